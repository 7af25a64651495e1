"""From records to one summary, and from that to figures and to the tables of the documentation.

The records in ``results`` are the truth; ``results/summary.json`` has the numbers that the pages
show, and everything between markers such as ``<!-- demo:begin -->`` is made from it alone, so that
a page can be checked without a record.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
import re
from typing import Any

from matplotlib.figure import Figure

from benchmarks.experiment import Experiment, Summary, finished, shortfall
from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.comparison import MAIN
from benchmarks.markdown import paragraph, table
from benchmarks.plots import save
from benchmarks.records import RESULTS, Store


ROOT = Path(__file__).parents[1]
PAGES = (
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "docs" / "faq.md",
    ROOT / "docs" / "methods.md",
)
"""The pages with blocks."""

_BLOCK = re.compile(
    r"(?P<begin><!-- (?P<name>[a-z-]+):begin -->\n).*?(?P<end><!-- (?P=name):end -->)", re.DOTALL
)


_DIGITS = 9


class Stale(Exception):
    """Pages do not show the numbers of the summary."""


def summarize(folder: Path) -> dict[str, Summary]:
    """The numbers of every experiment that has records in a folder, by its name.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If a file is not of its form, or runs cannot be compared.
    """
    summaries: dict[str, Summary] = {}
    for experiment in _with_tables():
        records = list(Store.of(folder, experiment).read().values())
        if finished(records):
            missing = "" if experiment.tables is MAIN.tables else shortfall(records)
            summaries[experiment.name] = {**experiment.summarize(records), "shortfall": missing}
    if not summaries:
        raise FileNotFoundError(f"There are no records (*.jsonl.xz) in {folder}.")
    demo = folder / "demo.json"
    if demo.exists():
        summaries["demo"] = _demo(json.loads(demo.read_text(encoding="utf-8")))
    return summaries


def _with_tables() -> list[Experiment[Any]]:
    """Experiments with records of their own."""
    return [experiment for experiment in EXPERIMENTS.values() if not experiment.records]


def _demo(result: Mapping[str, Any]) -> Summary:
    """What a page shows of the showcase, whose output is ``demo.json``."""
    shown = ("n_trials", "n_old_trials", "n_seeds", "conclusion", "table")
    return {name: result[name] for name in shown} | {"optuna": result["versions"]["optuna"]}


def _demo_block(summary: Summary) -> str:
    intro = """Log loss of the best trial so far, mean of {n_seeds} repeats, lower is better. Old
        studies have {n_old_trials} trials of Optuna's default sampler, TPE of Optuna {optuna}:"""
    rows = [
        {"data_set": data_set, "sampler": sampler, **losses}
        for data_set, samplers in summary["table"].items()
        for sampler, losses in samplers.items()
    ]
    by_trial = [
        (f"trial {name}", f"{{{name}:3}}")
        for name in rows[0]
        if name not in ("data_set", "sampler")
    ]
    columns = [("data set", "{data_set}"), ("sampler", "{sampler}"), *by_trial]
    parts = (paragraph(intro, summary), table(rows, columns), paragraph(summary["conclusion"]))
    return "\n\n".join(parts)


def blocks(summaries: Mapping[str, Summary]) -> dict[str, str]:
    """All blocks that a summary makes, by name."""
    found: dict[str, str] = {}
    for name, summary in summaries.items():
        if name == "demo":
            found["demo"] = _demo_block(summary)
            continue
        for block, text in EXPERIMENTS[name].tables(summary).items():
            found[block] = text + summary["shortfall"]
    return found


def figures(summaries: Mapping[str, Summary]) -> dict[str, Figure]:
    """All figures that a summary makes, by name."""
    found: dict[str, Figure] = {}
    for name, summary in summaries.items():
        if name in EXPERIMENTS:
            found |= EXPERIMENTS[name].figures(summary)
    return found


def filled(page: str, found: Mapping[str, str]) -> str:
    """A page with everything between its markers made anew.

    Raises:
        KeyError: If it has a marker that there is no block for.
    """
    return _BLOCK.sub(lambda m: f"{m['begin']}{found[m['name']]}\n{m['end']}", page)


def plain(value: Any) -> Any:
    """A value as JSON has it, its numbers without the digits in which machines differ."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def written(summaries: Mapping[str, Summary]) -> str:
    """A summary as a file, one entry a line: a change shows where it is."""
    lines = []
    for name, summary in summaries.items():
        entries = ",\n".join(
            f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
            for key, value in plain(summary).items()
        )
        lines.append(f"{json.dumps(name)}: {{\n{entries}\n}}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_summary(folder: Path = RESULTS) -> dict[str, Summary]:
    """The summary of a folder."""
    found: dict[str, Summary] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found


def write(records: Path, folder: Path) -> list[Path]:
    """Write ``summary.json``, ``figures`` and ``report.md``.

    Args:
        records: A folder of records.
        folder: Where the report goes.

    Returns:
        The files.
    """
    summary = written(summarize(records))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "summary.json"
    path.write_text(summary, encoding="utf-8")
    # As in a checkout without records: figures and tables are made from the file.
    summaries = read_summary(folder)
    drawn = {folder / "figures" / f"{name}.png": f for name, f in figures(summaries).items()}
    for place, figure in drawn.items():
        save(figure, place)
    report = folder / "report.md"
    parts = [f"## {name}\n\n{text}" for name, text in blocks(summaries).items()]
    parts += [f"![{p.stem}](figures/{p.name})" for p in drawn]
    report.write_text("# Report\n\n" + "\n\n".join(parts) + "\n", encoding="utf-8")
    return [path, report, *drawn]


def fill_pages() -> None:
    """Write the blocks of the committed summary into the pages."""
    found = blocks(read_summary())
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        if (after := filled(before, found)) != before:
            page.write_text(after, encoding="utf-8")


def check_pages() -> None:
    """See that pages show the numbers of the committed summary.

    Raises:
        Stale: If one does not.
    """
    found = blocks(read_summary())
    stale = [
        str(page.relative_to(ROOT))
        for page in PAGES
        if filled(before := page.read_text(encoding="utf-8"), found) != before
    ]
    if stale:
        raise Stale(f"Not up to date: {', '.join(stale)}. Run python -m benchmarks report.")

"""The documentation is correct: its code runs, and its names and numbers are those of the code."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import fields
import inspect
from pathlib import Path
import re
import shutil
import subprocess
import sys
from types import FrameType

import click
import nbformat
import optuna
from optuna.trial import TrialState
import pytest

from benchmarks.experiments import how_it_works
from benchmarks.plots import save
from benchmarks.records import RESULTS
from benchmarks.report import read_summary
import optuna_metasampler
from optuna_metasampler import MetaSampler, outcomes
from optuna_metasampler.cli import main as command_line
from optuna_metasampler.explain import calibration, forecasts
from optuna_metasampler.explain.report import data
from optuna_metasampler.explain.trial_record import (
    ENQUEUED,
    INDEPENDENT,
    Forecast,
    TrialRecord,
)
from optuna_metasampler.policies import acquisition, initial_design
from optuna_metasampler.policies.base import Phase
from optuna_metasampler.surrogates import prior_model, transfer
from tests.pages import (
    DOCS,
    ROOT,
    BrokenPage,
    Runner,
    blocks,
    n_fences,
    pages,
    run_notebook,
    runner_of,
    shape,
    targets,
    with_outputs,
)
from tests.studies import random_study


PAGES = pages()
PACKAGE = Path(optuna_metasampler.__file__).parent
HOW_IT_WORKS = (DOCS / "how-it-works.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_the_blocks_of_the_page_run_and_print_the_outputs_shown(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    runner = runner_of(page, tmp_path)
    runner.run(text)
    current = with_outputs(text, runner.printed)
    for old, new in zip(blocks(text), blocks(current), strict=True):
        assert shape(old.code) == shape(new.code), f"line {old.line}: run `make docs-figures`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_no_block_of_the_page_is_overlooked(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert n_fences(text) == 2 * len(blocks(text))


@pytest.mark.parametrize(
    "page",
    [*PAGES, *(ROOT / name for name in ("README.md", "CHANGELOG.md", "benchmarks/README.md"))],
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)
def test_the_make_targets_named_by_the_page_exist(page: Path) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)[`\s]", page.read_text("utf-8"), re.MULTILINE))
    assert named <= targets()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\n1 / 0\n```\n", "division by zero"),
        ("```ruby\nputs 1\n```\n", "'ruby'"),
        ("```\nanything\n```\n", "''"),
        ("```text\n1\n```\n", "output without"),
        ("```bash\nrm -r old.db\n```\n", "cannot run"),
        ("```bash\nmake no-such-target\n```\n", "no target"),
        ("```bash\npip install '.[no-such-extra]'\n```\n", "no extras"),
        ("```bash\npython no_such_program.py\n```\n", "no program"),
        ("```bash\noptuna-metasampler inspect no_such.db\n```\n", "no_such.db"),
        ("```yaml\n_target_: optuna_metasampler.MetaSampler\nno_such: 1\n```\n", "no_such"),
    ],
)
def test_a_broken_block_is_found(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=complaint):
        Runner(tmp_path).run(text)


def test_an_output_that_has_changed_is_found(tmp_path: Path) -> None:
    text = '```python\nprint("best", 0.25)\n```\n\n```text\nworst 0.31\n```\n'
    runner = Runner(tmp_path)
    runner.run(text)
    old, new = blocks(text)[1].code, blocks(with_outputs(text, runner.printed))[1].code
    assert new == "best 0.25\n"
    assert shape(old) != shape(new)
    assert shape("best  0.31") == shape(new)


def test_a_program_on_a_page_is_saved_and_run(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    runner.run(
        '```python title="one.py"\nx = 1\n```\n'
        '```python title="two.py"\nimport one\nprint(one.x)\n```\n'
        "```bash\npython two.py\n```\n"
    )
    assert runner.printed[2] == "1\n"
    with pytest.raises(BrokenPage, match="no program"):
        runner.run("```bash\npython three.py\n```\n")


def test_the_first_screen_has_an_example_of_ten_lines() -> None:
    index = next(page for page in PAGES if page.name == "index.md")
    first = next(b for b in blocks(index.read_text(encoding="utf-8")) if b.language == "python")
    assert len([line for line in first.code.splitlines() if line.strip()]) <= 10
    assert first.line < 30


def test_the_notebook_runs_and_prints_the_outputs_shown(tmp_path: Path) -> None:
    path = DOCS / "notebook.ipynb"
    old, new = nbformat.read(path, as_version=4), run_notebook(path, tmp_path)
    nbformat.validate(old)
    for old_cell, new_cell in zip(old.cells, new.cells, strict=True):
        assert outputs(old_cell) == outputs(new_cell), old_cell.source


def outputs(cell: nbformat.NotebookNode) -> list[str]:
    """The outputs of a cell, without numbers and contents of figures."""
    return [
        shape(output.text) if output.output_type == "stream" else " ".join(sorted(output.data))
        for output in cell.get("outputs", [])
    ]


def test_the_figures_are_drawn_from_the_committed_data(tmp_path: Path) -> None:
    summary = read_summary()["how_it_works"]
    for name, figure in how_it_works.figures(summary).items():
        save(figure, tmp_path / f"{name}.png")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"initial_design.png", "prior_weight.png", "slices.png"}
    assert all((RESULTS / "figures" / name).stat().st_size < 80_000 for name in names)


def test_how_it_works_has_the_numbers_of_the_code() -> None:
    text = " ".join(HOW_IT_WORKS.split())
    summary, resolution = read_summary()["how_it_works"], prior_model.Resolution()
    for fragment in (
        f"at most {initial_design.N_WARM_START_TRIALS} trials",
        f"Once there are {transfer._MIN_TRIALS_TO_FLIP} trials",
        f"at {resolution.n_points} *common points*",
        f"at most {prior_model._MAX_COMPONENTS}.",
        f"than {resolution.n_trials} trials, the best {resolution.n_trials // 4}",
        f"up to {prior_model._MAX_COMPLEMENTARY}",
        f"Up to {outcomes.MAX_MODELLED_OBJECTIVES} objectives",
        f"{how_it_works.N_PRIOR_TRIALS} trials of Optuna's default sampler each",
        f"2 prior studies of {how_it_works.N_SLICE_PRIOR_TRIALS} trials each",
        f"{len(summary['prior_weight']['1 wrong'])} seeds each",
    ):
        assert fragment in text
    assert acquisition.PROBE == 1, "the second trial is the probe"


def test_the_steps_of_an_ask_name_functions_that_a_study_runs() -> None:
    """A study with priors, a pruned trial and a pending one enters every function named."""
    steps = re.findall(r"^\| .* \| (`.*`) \| (`.*`) \|$", HOW_IT_WORKS, re.MULTILINE)
    assert len(steps) > 20
    ran = functions_run(run_a_warm_study)
    for files, functions in steps:
        paths = re.findall(r"`([\w/]+\.py)`", files)
        names = re.findall(r"`([\w.]+)\(\)`", functions)
        assert paths
        assert names
        for path in paths:
            assert any(name in names_in(path) for name in names), path
        for name in names:
            (path, *_) = [p for p in paths if name in names_in(p)]
            assert (path, name.rpartition(".")[2]) in ran, f"{path}: {name}() did not run"


def test_the_files_that_an_ask_enters_are_those_named() -> None:
    study = run_a_warm_study()
    entered = {path for path, _ in functions_run(lambda: example(study.ask()))}
    named = set(re.findall(r"`([\w/]+\.py)`", HOW_IT_WORKS))
    assert entered - named == set()
    assert all((PACKAGE / path).is_file() for path in named)


def test_every_function_named_by_how_it_works_exists() -> None:
    everywhere = set.union(*(names_in(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py")))
    own = set(re.findall(r"`([\w.]+)\(\)`", HOW_IT_WORKS))
    assert own - everywhere == set()


def test_the_keys_of_the_json_document_are_those_of_the_report() -> None:
    text = (DOCS / "explanation.md").read_text(encoding="utf-8")
    section = text.partition("### Keys of the JSON document")[2].partition("\n## ")[0]
    parts = (
        data.ReportData,
        data.BestTrial,
        data.PriorPart,
        data.ObjectivePart,
        data.ParameterPart,
        calibration.PriorGain,
        calibration.Progress,
        calibration.Calibration,
        forecasts.ImprovementForecast,
    )
    keys = {"version"} | {field.name for part in parts for field in fields(part)}
    assert set(re.findall(r"`(\w+)`", section)) - {"null", "repr"} == keys


def test_the_attributes_of_trials_are_those_documented() -> None:
    text = (DOCS / "explanation.md").read_text(encoding="utf-8")
    record = TrialRecord("model", (Forecast(1.0, 0.0, 2.0),), 0.0, 0.5, (("old", 0.5),), True)
    assert set(re.findall(r"`(meta:\w+)`", text)) == set(record.user_attributes())
    phases = text.partition("| `meta:phase` |")[2].partition("\n")[0]
    own = {ENQUEUED, INDEPENDENT}
    assert set(re.findall(r"`([\w-]+)`", phases)) == {phase.value for phase in Phase} | own


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "README.md", *sorted((ROOT / "examples").glob("*.py"))],
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)
def test_only_public_modules_are_imported(page: Path) -> None:
    """Code for readers uses the package itself and the three public modules below it."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"^(?:from|import) optuna_metasampler\.([\w.]+)", text, re.MULTILINE)
    assert {name.partition(".")[0] for name in named} <= {
        "exceptions",
        "extension",
        "visualization",
    }


def test_the_page_of_the_command_line_has_a_section_for_every_command() -> None:
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == set(command_line.commands)
    named = set(re.findall(r"--[a-z][a-z-]+", page))
    assert named - options(command_line) == {"--help"}


def test_the_page_of_options_has_every_argument_of_the_sampler() -> None:
    page = (DOCS / "options.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| .+ \|$", page, re.MULTILINE)
    assert sorted(table) == sorted(inspect.signature(MetaSampler).parameters)


def options(command: click.Command) -> set[str]:
    """The long options of a command and of all below it."""
    own = {name for parameter in command.params for name in parameter.opts}
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*(options(each) for each in below))


def names_in(path: Path | str) -> set[str]:
    """Functions of a file of the package, those of classes as ``Class.method`` and ``method``."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{f.name}" for f in node.body if isinstance(f, ast.FunctionDef)}
    return found


def functions_run(action: Callable[[], object]) -> set[tuple[str, str]]:
    """File and name of every function of the package that an action calls."""
    codes = set()

    def note(frame: FrameType, event: str, arg: object) -> None:
        codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return {
        (Path(code.co_filename).relative_to(PACKAGE).as_posix(), code.co_name)
        for code in codes
        if Path(code.co_filename).is_relative_to(PACKAGE)
    }


def example(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    return abs(rate - 0.1) + 0.1 * abs(trial.suggest_int("depth", 1, 30) - 20)


def run_a_warm_study() -> optuna.Study:
    old = [random_study(example, 8, seed, f"old-{seed}") for seed in range(2)]
    study = optuna.create_study(sampler=MetaSampler(old, seed=0))
    study.optimize(example, n_trials=6)
    stopped = study.ask()
    example(stopped)
    stopped.report(1.0, step=1)
    study.tell(stopped, state=TrialState.PRUNED)
    for _ in range(2):
        example(study.ask())
    return study


def test_broken_links_end_the_build_of_the_site(tmp_path: Path) -> None:
    for name in ("CHANGELOG.md", "Makefile", "benchmarks", "examples", "optuna_metasampler"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "docs" / "faq.md").open("a", encoding="utf-8") as file:
        file.write("\n[nowhere](../benchmarks/NOWHERE.md)\n")
        file.write("\n[nowhere](../benchmarks/README.md#nowhere)\n")
    done = subprocess.run(
        ["make", "-o", f"{sys.prefix}/.installed", f"VENV={sys.prefix}", "docs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "NOWHERE.md" in done.stderr
    assert "does not contain an anchor" in done.stderr

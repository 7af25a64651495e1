"""The table of all methods: each with the same eight related priors, beside random search.

Runs come from ``python -m benchmarks.run methods --out benchmarks/results/methods``; the report
makes ``summary.json`` there and the tables of ``docs/methods.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import json
from pathlib import Path
import textwrap
from typing import Any

import numpy as np
from scipy import stats

from benchmarks import markdown, results
from benchmarks.peers.metasampler import VARIANTS
from benchmarks.results import Run
from benchmarks.statistics import TIE, bootstrap, holm, log_regret, pooled_mean
from benchmarks.summary import regrets_by_peer, task_scales, usable_runs
from optuna_metasampler.methods import METHODS


FOLDER = Path(__file__).parent / "results" / "methods"
QUICK = "synthetic_0.9"
"""The suite that needs no data: what a method has to beat random search on."""

PEER_OF = {
    name: "MetaSampler" if name == "auto" else f"MetaSampler ({name})"
    for name in (*METHODS, *VARIANTS)
}
_SHOWN = (1, 5, 10, 20, 30)
_LEVEL = 0.05


def summarize(runs: Iterable[Run], scales: Mapping[str, Any]) -> dict[str, Any]:
    """All numbers of the tables.

    Args:
        runs: Of the plan ``methods``.
        scales: As in `summary.summarize`.

    Raises:
        ValueError: If runs would be compared that differ in their objective or prior trials.
    """
    usable, problems = usable_runs(runs)
    found, _ = task_scales(usable, scales)
    regrets = regrets_by_peer([r for r in usable if (r.suite, r.task) in found], found)
    random = regrets["Random", "none"]
    suites = sorted({suite for suite, _ in random}, key=lambda s: (s != QUICK, s))
    horizon = min(run.n_trials for run in usable)
    seconds = _seconds(usable)
    default = seconds[PEER_OF["auto"]]
    rows = []
    for name, peer, scenario in [
        *((name, peer, "tpe-8") for name, peer in PEER_OF.items()),
        ("TPE", "TPE", "none"),
        ("random search", "Random", "none"),
    ]:
        entry = regrets.get((peer, scenario), {})
        tasks = sorted(entry.keys() & random.keys())
        if not tasks:
            continue
        curves = np.array([log_regret(entry[t])[:, :horizon].mean(axis=0) for t in tasks])
        theirs = np.array([log_regret(random[t])[:, :horizon].mean(axis=0) for t in tasks])
        of = np.array([suite for suite, _ in tasks])
        gaps = (curves - theirs).mean(axis=1)
        low, high = bootstrap(gaps, of.tolist())
        rows.append(
            {
                "method": name,
                "n_tasks": len(tasks),
                "mean": _round(float(pooled_mean(curves.mean(axis=1), of.tolist()))),
                "difference": [_round(float(v)) for v in (pooled_mean(gaps, of), low, high)],
                "p_quick": float(f"{_p_less(gaps[of == QUICK]):.2g}"),
                "p": _p_less(gaps),
                "wins": int((gaps < -TIE).sum()),
                "losses": int((gaps > TIE).sum()),
                "by_trial": {
                    str(n): _round(float(pooled_mean(curves[:, n - 1], of.tolist())))
                    for n in _SHOWN
                    if n <= horizon
                },
                "by_suite": {
                    s: _round(float(curves[of == s].mean())) for s in suites if (of == s).any()
                },
                "seconds": {
                    key: _round(seconds[peer][key] / default[key], 2) for key in ("first", "later")
                },
            }
        )
    tested = [row for row in rows if row["method"] in PEER_OF]
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p"] = float(f"{p:.2g}")
    return {
        "horizon": horizon,
        "suites": {s: len({t for u, t in random if u == s}) for s in suites},
        "default_seconds": {key: _round(v, 2) for key, v in default.items()},
        "rows": rows,
        "problems": [[*map(str, key), problem] for key, problem in sorted(problems.items())],
    }


def _seconds(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """By peer the median over runs: until the first suggestion, and of later ones."""
    found: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        found.setdefault(run.peer, []).append((run.seconds[0], float(np.median(run.seconds[1:]))))
    medians = {peer: np.median(np.array(rows), axis=0) for peer, rows in found.items()}
    return {peer: {"first": float(a), "later": float(b)} for peer, (a, b) in medians.items()}


def _p_less(gaps: np.ndarray) -> float:
    """One-sided p-value of the Wilcoxon signed-rank test: is the first lower?"""
    if not np.any(gaps):
        return 1.0
    return float(stats.wilcoxon(gaps, alternative="less").pvalue)


def _round(value: float, digits: int = 3) -> float:
    return round(value, digits) + 0.0


def table(result: Mapping[str, Any]) -> str:
    """The tables as Markdown, and what they say."""
    rows, suites = result["rows"], list(result["suites"])
    shown = [str(n) for n in _SHOWN if n <= result["horizon"]]
    head = ["method", "mean", "minus random search", "wins, losses", "p, quick", "p, all"]
    header = [*head, *(f"@{n}" for n in shown)]
    quality = []
    for row in rows:
        gap, low, high = row["difference"]
        cells = [
            _name(row["method"]),
            f"{row['mean']:.2f}",
            f"{gap:+.2f} ({low:+.2f} to {high:+.2f})",
            f"{row['wins']}, {row['losses']}",
            *(_shown_p(row[key], row["method"]) for key in ("p_quick", "p")),
            *(f"{row['by_trial'][n]:.2f}" for n in shown),
        ]
        quality.append(cells)
    by_space = ["method", *(f"`{s}`" for s in suites), "first suggestion", "later ones"]
    spaces = []
    for row in rows:
        cells = [f"{row['by_suite'][s]:.2f}" if s in row["by_suite"] else "–" for s in suites]
        times = [f"{row['seconds'][key]:.2g} x" for key in ("first", "later")]
        spaces.append([_name(row["method"]), *cells, *times])
    weak = [
        f"`{row['method']}`"
        for row in rows
        if row["method"] in PEER_OF and row["method"] != "gp" and row["p_quick"] > _LEVEL
    ]
    default = result["default_seconds"]
    text = (
        f"{sum(result['suites'].values())} tasks, {len(suites)} spaces, eight prior studies of 60 "
        f"trials each, {result['horizon']} trials, one seed. Mean log10 regret over the trials, "
        "and at some of them; lower is better, every space weighs alike. p is one-sided (lower "
        "than random search, Wilcoxon signed-rank test over tasks): *quick* is on "
        f"`{QUICK}` alone, *all* on all tasks and corrected for the number of methods (Holm). "
        "Times are ratios to the default's medians in the same runs "
        f"({default['first']:.2g} s and {default['later']:.2g} s there, on a busy machine); the "
        "first suggestion includes learning."
    )
    verdict = (
        f"Not shown to beat random search on the quick benchmark: {', '.join(weak)}."
        if weak
        else "All methods that use the priors beat random search on the quick benchmark."
    )
    if result["problems"]:
        verdict += f" {len(result['problems'])} runs failed; `summary.json` names them."
    wrapped = [textwrap.fill(t, 100, break_long_words=False) for t in (text, verdict)]
    return "\n\n".join(
        [markdown.table(header, quality), markdown.table(by_space, spaces), *wrapped]
    )


def _name(method: str) -> str:
    if method not in PEER_OF:
        return method
    return f"**`{method}`**" if method == "auto" else f"`{method}`"


def _shown_p(p: float, method: str) -> str:
    if method not in PEER_OF:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def write(folder: Path = FOLDER) -> dict[str, Any] | None:
    """Make ``summary.json`` of a folder of runs; ``None`` where there are none."""
    paths = sorted((folder / "runs").glob("*.jsonl"))
    if not paths:
        return None
    scales = json.loads((folder / "scales.json").read_text(encoding="utf-8"))
    summary = summarize(results.read(paths), scales)
    (folder / "summary.json").write_text(
        json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return summary

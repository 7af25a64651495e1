"""The table of all methods: each with the same eight related priors, against random search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
import functools
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.experiment import Record, Summary, no_figures
from benchmarks.experiments.comparison import MAIN, planned
from benchmarks.experiments.comparison.data import (
    Entry,
    regrets_by_peer,
    rounded,
    scales_of,
    usable_runs,
)
from benchmarks.markdown import blocks, paragraph, table
from benchmarks.peers.metasampler import VARIANTS
from benchmarks.run import Run
from benchmarks.statistics import TIE, bootstrap, holm, log_regret, pooled_mean
from optuna_metasampler.methods import METHODS


QUICK = "synthetic_0.9"
"""The suite that needs no data: what a method has to beat random search on."""

PEER_OF = {
    name: "MetaSampler" if name == "auto" else f"MetaSampler ({name})"
    for name in (*METHODS, *VARIANTS)
}
N_PRIORS = 8
SHOWN = (1, 5, 10, 20, 30)
LEVEL = 0.05


def summarize(records: Sequence[Record]) -> Summary:
    """The numbers of the tables, of records."""
    return of_runs([Run.of(record) for record in records])


def of_runs(runs: Iterable[Run]) -> Summary:
    """All numbers of the tables.

    Raises:
        ValueError: If runs would be compared that differ in their objective or prior trials.
    """
    usable, problems = usable_runs(runs)
    scales = scales_of(usable)
    judged = [r for r in usable if (r.suite, r.task) in scales.of]
    regrets = regrets_by_peer(judged, scales.of)
    random = regrets["Random", "none"]
    suites = sorted({suite for suite, _ in random}, key=lambda s: (s != QUICK, s))
    horizon = min(run.n_trials for run in usable)
    seconds = _seconds(usable)
    default = seconds[PEER_OF["auto"]]
    contestants = [
        *((name, peer, f"tpe-{N_PRIORS}") for name, peer in PEER_OF.items()),
        ("TPE", "TPE", "none"),
        ("random search", "Random", "none"),
    ]
    rows = []
    for name, peer, scenario in contestants:
        entry = regrets.get((peer, scenario), {})
        if entry.keys() & random.keys():
            times = {key: rounded(seconds[peer][key] / default[key], 2) for key in default}
            row = _row(entry, random, suites, horizon)
            rows.append({"method": name, **row, "seconds": times})
    tested = [row for row in rows if row["method"] in PEER_OF]
    for row, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p"] = float(f"{p:.2g}")
    return {
        "horizon": horizon,
        "suites": {s: len({t for u, t in random if u == s}) for s in suites},
        "default_seconds": {key: rounded(v, 2) for key, v in default.items()},
        "rows": rows,
        "problems": [[*map(str, key), problem] for key, problem in sorted(problems.items())],
    }


def _row(entry: Entry, random: Entry, suites: Sequence[str], horizon: int) -> dict[str, Any]:
    tasks = sorted(entry.keys() & random.keys())
    curves, theirs = (
        np.array([log_regret(regrets[t])[:, :horizon].mean(axis=0) for t in tasks])
        for regrets in (entry, random)
    )
    of = [suite for suite, _ in tasks]
    gaps = (curves - theirs).mean(axis=1)
    own = {suite: np.array([s == suite for s in of]) for suite in suites}
    return {
        "n_tasks": len(tasks),
        "mean": _rounded(pooled_mean(curves.mean(axis=1), of)),
        "difference": [_rounded(v) for v in (pooled_mean(gaps, of), *bootstrap(gaps, of))],
        "p_quick": float(f"{_p_less(gaps[[s == QUICK for s in of]]):.2g}"),
        "p": _p_less(gaps),
        "wins": int((gaps < -TIE).sum()),
        "losses": int((gaps > TIE).sum()),
        "by_trial": {
            str(n): _rounded(pooled_mean(curves[:, n - 1], of)) for n in SHOWN if n <= horizon
        },
        "by_suite": {s: _rounded(curves[rows].mean()) for s, rows in own.items() if rows.any()},
    }


def _rounded(value: Any) -> float:
    # A zero has no sign.
    return round(float(value), 3) + 0.0


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


def no_better(summary: Summary) -> list[str]:
    """Methods that use the priors and are not shown to beat random search on `QUICK`."""
    return [
        row["method"]
        for row in summary["rows"]
        if row["method"] in PEER_OF and row["method"] != "gp" and row["p_quick"] > LEVEL
    ]


def tables(summary: Summary) -> dict[str, str]:
    """Regret by method, by trial and by space, and what it says."""
    rows = [{**row, **_shown(row)} for row in summary["rows"]]
    trials = [n for n in SHOWN if n <= summary["horizon"]]
    quality = [
        ("method", "{name}"),
        ("mean", "{mean:.2f}"),
        ("minus random search", "{difference:diff}"),
        ("wins, losses", "{wins}, {losses}"),
        ("p, quick", "{shown_p_quick:p}"),
        ("p, all", "{shown_p:p}"),
        *((f"@{n}", f"{{by_trial[{n}]:.2f}}") for n in trials),
    ]
    spaces = [
        ("method", "{name}"),
        *((f"`{suite}`", f"{{by_suite[{suite}]:.2f}}") for suite in summary["suites"]),
        ("first suggestion", "{seconds[first]:.2g} x"),
        ("later ones", "{seconds[later]:.2g} x"),
    ]
    n_tasks, n_spaces = sum(summary["suites"].values()), len(summary["suites"])
    text = f"""{n_tasks} tasks, {n_spaces} spaces, eight prior studies of 60 trials each,
        {{horizon}} trials, one seed. Mean log10 regret over the trials, and at some of them; lower
        is better, every space weighs alike. p is one-sided (lower than random search, Wilcoxon
        signed-rank test over tasks): *quick* is on `{QUICK}` alone, *all* on all tasks and
        corrected for the number of methods (Holm). Times are ratios to the default's medians in
        the same runs ({{default_seconds[first]:.2g}} s and {{default_seconds[later]:.2g}} s there,
        on a busy machine); the first suggestion includes learning."""
    weak = ", ".join(f"`{name}`" for name in no_better(summary))
    verdict = (
        f"Not shown to beat random search on the quick benchmark: {weak}."
        if weak
        else "All methods that use the priors beat random search on the quick benchmark."
    )
    if summary["problems"]:
        verdict += f" {len(summary['problems'])} runs failed; `summary.json` names them."
    parts = [table(rows, quality), table(rows, spaces), paragraph(text, summary)]
    return {"methods": blocks(*parts, paragraph(verdict))}


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The method's name, and p-values, which those that are no methods do not have."""
    method = row["method"]
    if method not in PEER_OF:
        return {"name": method}
    name = f"**`{method}`**" if method == "auto" else f"`{method}`"
    return {"name": name, "shown_p": row["p"], "shown_p_quick": row["p_quick"]}


EXPERIMENT = replace(
    MAIN,
    name="methods",
    title="every method of `MetaSampler`",
    jobs=functools.partial(planned, "methods"),
    summarize=summarize,
    tables=tables,
    figures=no_figures,
    split=None,
)

"""The small comparison: what prior studies are worth where they are related, and where they lie.

It has too few tasks for ranks and p-values, so it has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.experiment import Record
from benchmarks.experiments.comparison.aims import MAIN
from benchmarks.experiments.comparison.data import (
    REFERENCE,
    Data,
    regrets_by_peer,
    scales_of,
    usable_runs,
)
from benchmarks.experiments.comparison.figures import curves_by_suite
from benchmarks.experiments.comparison.summary import (
    COLD,
    DEFAULT,
    DEFAULT_ENQUEUED,
    curves,
    on_common_tasks,
)
from benchmarks.experiments.comparison.tables import bold, trials_to_match
from benchmarks.markdown import blocks, paragraph, table
from benchmarks.run import Run


_TRIALS = (1, 3, 5, 10, 20)
_FEW = 5
_PRIORS = {
    "synthetic_0.9": "Related prior studies (their correlation with the task is 0.9)",
    "synthetic_-1.0": "Misleading prior studies (they say the opposite of the task)",
}


def summarize(records: Sequence[Record]) -> dict[str, Any]:
    """The curves of all samplers on the tasks on which all of them ran, by suite."""
    usable, _ = usable_runs([Run.of(record) for record in records])
    scales = scales_of(usable)
    judged = [run for run in usable if (run.suite, run.task) in scales.of]
    horizon = max((run.n_trials for run in judged), default=1)
    # Without a bootstrap: no interval of so few tasks means much.
    data = Data(regrets_by_peer(judged, scales.of), {}, COLD, horizon, n_draws=0)
    by_suite = {
        suite: curves(data, on_common_tasks(data.entries(MAIN, [suite])))
        for suite in dict.fromkeys([*_PRIORS, *(run.suite for run in judged)])
        if any(run.suite == suite for run in judged)
    }
    return {
        "n_seeds": len({run.seed for run in judged}),
        "n_priors": max((run.n_priors for run in judged), default=0),
        "curves": {"by_suite": by_suite},
    }


def tables(summary: Mapping[str, Any]) -> dict[str, str]:
    """The regrets of each suite, and what they can show."""
    intro = """Regret of the best trial so far: 0 is the best known value, 1 the median
        configuration; geometric mean over tasks and {n_seeds} seeds, with {n_priors} prior studies
        of 60 TPE trials. Lower is better."""
    outro = """Made-up functions with a mixed, conditional space: they show what prior studies are
        worth where they are related, and what they cost where they mislead. They cannot tell
        apart samplers that are close, and do not stand for your problem. benchmarks/README.md has
        the comparison on real ones."""
    parts = [
        part
        for suite, found in summary["curves"]["by_suite"].items()
        for part in _of_suite(_PRIORS.get(suite, suite), found)
    ]
    return {"quick": blocks(paragraph(intro, summary), *parts, paragraph(outro))}


def _of_suite(title: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    n_tasks = max(curve["n_tasks"] for curve in found.values())
    rows = [
        {"sampler": bold(peer), "regret": {str(n): 10**x for n, x in enumerate(curve["mean"], 1)}}
        for peer, curve in found.items()
    ]
    n_trials = min(len(row["regret"]) for row in rows)
    by_trial = [(f"trial {n}", f"{{regret[{n}]:3}}") for n in _TRIALS if n <= n_trials]
    return (
        f"{title}, {n_tasks} tasks:",
        table(rows, [("sampler", "{sampler}"), *by_trial]),
        _sentence(found) if n_trials >= _FEW else "",
    )


def _sentence(found: Mapping[str, Any]) -> str:
    """What the first trials are worth, in trials of Optuna's default."""
    if not {REFERENCE, DEFAULT, DEFAULT_ENQUEUED} <= found.keys():
        return ""
    needed = []
    for peer in (DEFAULT, DEFAULT_ENQUEUED):
        n = trials_to_match(found[peer]["mean"], found[REFERENCE]["mean"], _FEW)
        needed.append(f"more than {len(found[peer]['mean'])}" if n is None else str(n))
    return paragraph(
        f"To get as far as {REFERENCE} in {_FEW} trials, Optuna's default, TPE, needs "
        f"{needed[0]}, and {needed[1]} with the best prior configurations enqueued."
    )


def figures(summary: Mapping[str, Any]) -> dict[str, Figure]:
    """A panel for each suite."""
    figure = curves_by_suite(summary)
    return {} if figure is None else {"quick": figure}

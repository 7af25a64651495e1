"""Smooth and rugged objectives without priors, and how often suggestions lie at a bound.

The tables that methods are developed on, on tasks that are compared nowhere else, twice: smooth,
as an interpolating forest makes them, and rugged, where the nearest recorded row answers. And the
training of small networks over ranges of many decades.

The regret is in units of what the median random configuration leaves to gain. Where no best value
is known it is that of the best run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import blocks, paragraph, table
from benchmarks.peers import PEERS
from benchmarks.problems import DEVELOPMENT_TABLES
from benchmarks.problems.base import Parameter, Scale, Suite, seed_of, targets
from benchmarks.problems.optimizers import LiveOptimizers
from benchmarks.run import setting_of, tune
from benchmarks.statistics import Interval, best_so_far, log_regret, t_interval


SMOOTH = DEVELOPMENT_TABLES
RUGGED = tuple(f"nearest_{name}" for name in SMOOTH)
SUITES = (*SMOOTH, *RUGGED, LiveOptimizers.name)
MINE, OTHERS = "MetaSampler", ("TPE", "GPSampler")
N_TRIALS = 50
N_TASKS, N_COMPARED_ELSEWHERE = 6, 4
_LATE = 10
_AT_BOUND = 1e-3


@dataclass(frozen=True)
class Job:
    """A study."""

    suite: str
    task: str
    seed: int
    peer: str


def jobs(options: Options) -> list[Job]:
    """Every sampler on every task, seed by seed; tasks whose rows are all alike are left out."""
    suites = {name: options.suite(name) for name in SUITES}
    tasks = {
        name: [
            task
            for task in targets(suite, N_COMPARED_ELSEWHERE + N_TASKS)[N_COMPARED_ELSEWHERE:]
            if not _is_flat(suite, task)
        ]
        for name, suite in suites.items()
    }
    return [
        Job(name, task, seed, peer)
        for seed in range(options.settings["seeds"])
        for name in SUITES
        for task in tasks[name]
        for peer in (MINE, *OTHERS)
    ]


def _is_flat(suite: Suite, task: str) -> bool:
    scale = suite.scale(task)
    return scale is not None and scale.best == scale.median


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study: its best values so far, and the shares of its coordinates at a bound."""
    suite = options.suite(job.suite)
    setting = setting_of(suite, (), seed_of(job.suite, job.task, job.seed))
    objective, asked = suite.objective(job.task), []

    def watched(params: Mapping[str, Any]) -> float:
        asked.append(dict(params))
        return objective(params)

    values, _, error = tune(setting, watched, PEERS[job.peer], N_TRIALS)
    if error is not None:
        raise RuntimeError(error)
    sign = 1.0 if suite.direction == "minimize" else -1.0
    losses = sign * np.array(values)
    scale = suite.scale(job.task)
    if scale is None:
        assert isinstance(suite, LiveOptimizers)
        best, median = None, sign * suite.median(job.task)
    else:
        best, median = sign * scale.best, sign * scale.median
    return {
        "losses": [float(f"{v:.7g}") for v in best_so_far(losses)],
        "best": best,
        "median": median,
        "at_bound": _share_at_bound(suite.parameters, asked[_LATE:]),
        "best_at_bound": _share_at_bound(suite.parameters, [asked[int(losses.argmin())]]),
    }


def _share_at_bound(
    parameters: Sequence[Parameter], asked: Sequence[Mapping[str, Any]]
) -> float | None:
    """The share of numbers that lie at an end of their range; ``None`` where there are none."""
    found = []
    for p in parameters:
        d = p.distribution
        if isinstance(d, CategoricalDistribution):
            continue
        for params in asked:
            if p.name in params:
                low, high, value = float(d.low), float(d.high), float(params[p.name])
                if d.log:
                    low, high, value = math.log(low), math.log(high), math.log(value)
                place = (value - low) / (high - low)
                found.append(min(place, 1.0 - place) < _AT_BOUND)
    return round(float(np.mean(found)), 4) if found else None


def summarize(records: Sequence[Record]) -> Summary:
    """Mean log10 regret by suite and peer, differences paired by task, shares at a bound."""
    done = finished(records)
    lowest: dict[tuple[str, str], float] = {}
    for r in done:
        key = (r["suite"], r["task"])
        known = r["losses"][-1] if r["best"] is None else r["best"]
        lowest[key] = min(known, lowest.get(key, math.inf))

    def endpoint(r: Record) -> float:
        scale = Scale(lowest[r["suite"], r["task"]], r["median"])
        return float(log_regret(scale.regret(r["losses"])).mean())

    def by_task(suite: str, peer: str) -> dict[str, float]:
        mine = [r for r in done if (r["suite"], r["peer"]) == (suite, peer)]
        found: dict[str, list[float]] = {}
        for r in mine:
            found.setdefault(r["task"], []).append(endpoint(r))
        return {task: float(np.mean(values)) for task, values in found.items()}

    def gap(suites: Sequence[str], other: str) -> Interval | None:
        gaps = []
        for suite in suites:
            mine, its = by_task(suite, MINE), by_task(suite, other)
            gaps += [mine[task] - its[task] for task in mine.keys() & its.keys()]
        return t_interval(sorted(gaps))

    def share(suite: str, peer: str, column: str) -> float | None:
        found = [
            r[column]
            for r in done
            if (r["suite"], r["peer"]) == (suite, peer) and r[column] is not None
        ]
        return float(np.mean(found)) if found else None

    rows = []
    for suite in SUITES:
        of_tasks = {peer: by_task(suite, peer) for peer in (MINE, *OTHERS)}
        rows.append(
            {
                "suite": suite,
                "n_tasks": len(of_tasks[MINE]),
                "means": {p: float(np.mean([*m.values()])) for p, m in of_tasks.items() if m},
                "gaps": {other: gap([suite], other) for other in OTHERS},
                "at_bound": {p: share(suite, p, "at_bound") for p in of_tasks},
                "best_at_bound": share(suite, MINE, "best_at_bound"),
            }
        )
    return {
        "n_seeds": len({r["seed"] for r in done}),
        "rows": rows,
        "rugged": {other: gap(RUGGED, other) for other in OTHERS},
        "smooth": {other: gap(SMOOTH, other) for other in OTHERS},
    }


def tables(summary: Summary) -> dict[str, str]:
    """A row a suite; below, the differences over all tasks."""
    regrets = [
        ("suite", "{suite}"),
        ("tasks", "{n_tasks}"),
        *((peer, f"{{means[{peer}]:2}}") for peer in (MINE, *OTHERS)),
        *((f"less {other}", f"{{gaps[{other}]:diff}}") for other in OTHERS),
    ]
    bounds = [
        ("suite", "{suite}"),
        *((peer, f"{{at_bound[{peer}]:.0%}}") for peer in (MINE, *OTHERS)),
        ("best trials of MetaSampler", "{best_at_bound:.0%}"),
    ]
    text = paragraph(
        "Over all tasks of the rugged tables: {rugged[TPE]:diff} against TPE and "
        "{rugged[GPSampler]:diff} against GPSampler; of the smooth ones {smooth[TPE]:diff} and "
        "{smooth[GPSampler]:diff}.",
        summary,
    )
    return {
        "rugged": blocks(table(summary["rows"], regrets), text),
        "at-bound": table(summary["rows"], bounds),
    }


EXPERIMENT = Experiment(
    name="rugged",
    title="smooth and rugged objectives, and suggestions at a bound",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    shared=("suite", "task", "seed"),
    settings={"seeds": 1},
    needs_data=True,
)

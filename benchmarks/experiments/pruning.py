"""Regret by epochs spent, on training loops that report intermediate values to a pruner.

Prior studies are runs of TPE under the same pruner on related loops, see
:mod:`benchmarks.problems.training`, and all samplers get the same budget of epochs.

The regret at a number of epochs is that of the best completed trial so far, in units of what the
median random configuration leaves to gain; 1 before the first completed trial, and at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import functools
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.experiment import Experiment, Key, Options, Record, Summary, finished
from benchmarks.markdown import blocks, table
from benchmarks.paired import by_peer, common, gaps
from benchmarks.problems.curves import N_EPOCHS
from benchmarks.problems.training import LOOPS, Loop
from benchmarks.samplers import COLD, GP, META, SAMPLERS, TPE, Make
from benchmarks.statistics import t_interval
from optuna_metasampler import MetaSampler


BUDGET = 12 * N_EPOCHS
"""Epochs of one study; as many as a dozen trials would take that are never stopped."""

N_PRIOR_TRIALS = 40
N_RANDOM = 15
"""Random configurations, trained to the end, whose median sets the unit of regret."""

SHOWN = (54, 81, 162, 324)
COMPARED_AT = (81, 324)
GRID = np.arange(N_EPOCHS, BUDGET + 1, N_EPOCHS)

REFERENCE = TPE
HYPERBAND = "MetaSampler (hyperband)"
PEERS: dict[str, Make] = {name: SAMPLERS[name] for name in (REFERENCE, GP, COLD, META)} | {
    HYPERBAND: lambda priors, seed: MetaSampler(list(priors()), method="hyperband", seed=seed)
}
PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "MedianPruner": MedianPruner,
    "HyperbandPruner": lambda: HyperbandPruner(
        min_resource=1, max_resource=N_EPOCHS, reduction_factor=3
    ),
}


@dataclass(frozen=True)
class Job:
    """A study."""

    loop: str
    pruner: str
    task: str
    seed: int
    peer: str


def jobs(options: Options) -> list[Job]:
    """Every sampler in every loop, seed by seed."""
    tasks = [(loop, task) for loop in LOOPS for task in LOOPS[loop].targets]
    return [
        Job(loop, pruner, task, seed, peer)
        for seed in range(options.settings["seeds"])
        for (loop, task), pruner, peer in product(tasks, PRUNERS, PEERS)
    ]


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study."""
    del options
    unit = _unit(job.loop, job.task)
    priors = functools.partial(_prior_studies, job.loop, job.pruner, job.task, job.seed)
    sampler = PEERS[job.peer](priors, job.seed)
    study, spent = study_of(LOOPS[job.loop], job.task, sampler, PRUNERS[job.pruner](), BUDGET)
    return {"unit": unit, "best": best_by_epochs(study, spent, GRID)}


@functools.cache
def _unit(loop: str, task: str) -> float:
    """Loss of the median random configuration."""
    return median_of_random(LOOPS[loop], task)


def median_of_random(loop: Loop, task: str) -> float:
    """Loss of the median of `N_RANDOM` random configurations, trained to the end."""
    budget = N_RANDOM * loop.n_epochs
    study, _ = study_of(loop, task, RandomSampler(seed=0), NopPruner(), budget)
    return float(np.median([t.values[0] for t in study.trials]))


@functools.lru_cache(maxsize=1)
def _prior_studies(loop: str, pruner: str, task: str, seed: int) -> tuple[optuna.Study, ...]:
    """Runs of TPE on the sources of a task."""
    return runs_of_tpe(LOOPS[loop], LOOPS[loop].sources(task), PRUNERS[pruner], seed)


def runs_of_tpe(
    loop: Loop, tasks: Sequence[str], pruner: Callable[[], BasePruner], seed: int
) -> tuple[optuna.Study, ...]:
    """Prior studies, a task each: `N_PRIOR_TRIALS` trials, or the epochs of as many whole ones."""
    budget = N_PRIOR_TRIALS * loop.n_epochs
    return tuple(
        study_of(loop, task, TPESampler(seed=100 + seed), pruner(), budget, N_PRIOR_TRIALS)[0]
        for task in tasks
    )


def study_of(
    loop: Loop,
    task: str,
    sampler: BaseSampler,
    pruner: BasePruner,
    budget: int,
    n_trials: int | None = None,
) -> tuple[optuna.Study, list[int]]:
    """A study, and the epochs that each of its trials took."""
    study = optuna.create_study(sampler=sampler, pruner=pruner, study_name=task)
    spent: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        spent.append(0)
        loss = float("nan")
        try:
            for epoch, loss in enumerate(loop.losses(trial, task), start=1):
                spent[-1] += 1
                trial.report(loss, epoch)
                # A trial that has reached the end has nothing left to save.
                if epoch < loop.n_epochs and trial.should_prune():
                    raise optuna.TrialPruned
            return loss
        finally:
            if sum(spent) >= budget:
                study.stop()

    study.optimize(objective, n_trials=n_trials)
    return study, spent


def best_by_epochs(
    study: optuna.Study, spent: Sequence[int], grid: NDArray[np.int64]
) -> list[float | None]:
    """Value of the best completed trial at some numbers of epochs; ``None`` before one."""
    ends = np.cumsum(spent)
    values = [t.values[0] if t.state == TrialState.COMPLETE else np.inf for t in study.trials]
    best = np.minimum.accumulate(values)
    at = np.searchsorted(ends, grid, side="right") - 1
    return [
        round(float(best[i]), 5) if i >= 0 and np.isfinite(best[i]) else None for i in at.tolist()
    ]


def regrets(records: Sequence[Record]) -> dict[str, dict[Key, NDArray[np.float64]]]:
    """Regret at each point of the grid, of studies of one loop: by peer, task and seed."""
    curves = by_peer(records, _best, ("task", "seed"))
    unit = {r["task"]: r["unit"] for r in records}
    lowest = {
        task: min(c.min() for own in curves.values() for (t, _), c in own.items() if t == task)
        for task in unit
    }
    return {
        peer: {
            (task, seed): np.clip((c - lowest[task]) / (unit[task] - lowest[task]), 0.0, 1.0)
            for (task, seed), c in own.items()
        }
        for peer, own in curves.items()
    }


def _best(record: Record) -> NDArray[np.float64]:
    """The best value at each point of the grid; infinite before the first completed trial."""
    return np.array([np.inf if value is None else value for value in record["best"]])


def summarize(records: Sequence[Record]) -> Summary:
    """By loop and pruner a row a sampler: regrets, and paired differences to TPE."""
    done = finished(records)
    tables = []
    for loop, pruner in product(LOOPS, PRUNERS):
        rows = _rows([r for r in done if (r["loop"], r["pruner"]) == (loop, pruner)])
        if rows:
            tables.append({"loop": loop, "pruner": pruner, "rows": rows})
    return {"tables": tables}


def _rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    found = regrets(records)
    rows = []
    for peer in PEERS:
        pairs = common(found, peer, REFERENCE)
        if len(pairs) < 2:
            continue
        mean = np.mean([found[peer][pair] for pair in pairs], axis=0)
        row = {"peer": peer, "mean": float(mean.mean())}
        row |= {str(n): float(mean[_index(n)]) for n in SHOWN}
        if peer != REFERENCE:
            to_reference = gaps(found, peer, REFERENCE, pairs)
            row |= {f"to_{n}": t_interval(to_reference[:, _index(n)]) for n in COMPARED_AT}
            overall = to_reference.mean(axis=1)
            row |= {"to_mean": t_interval(overall)}
            row |= {"better": f"{int((overall < 0).sum())} of {len(pairs)}"}
        rows.append(row)
    return rows


def _index(n_epochs: int) -> int:
    return int(np.flatnonzero(n_epochs == GRID)[0])


def tables(summary: Summary) -> dict[str, str]:
    """Regret at a few numbers of epochs, and the differences to TPE."""
    early, late = COMPARED_AT
    columns = [
        *((str(n), f"{{{n}:.2f}}") for n in SHOWN),
        ("mean", "{mean:.2f}"),
        (f"minus {REFERENCE} at {early}", f"{{to_{early}:diff}}"),
        (f"at {late}", f"{{to_{late}:diff}}"),
        ("mean", "{to_mean:diff}"),
        ("better", "{better}"),
    ]
    parts = [
        table(
            found["rows"], [(f"`{found['loop']}` under `{found['pruner']}`", "{peer}"), *columns]
        )
        for found in summary["tables"]
    ]
    return {"pruning": blocks(*parts)}


EXPERIMENT = Experiment(
    name="pruning",
    title="samplers under `MedianPruner` and `HyperbandPruner`, by epochs spent",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    shared=("loop", "pruner", "task", "seed"),
    settings={"seeds": 4},
)

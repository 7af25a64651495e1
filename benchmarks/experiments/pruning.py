"""Regret by epochs spent, on training loops that report intermediate values to a pruner.

Prior studies are runs of TPE under the same pruner on related loops, see
:mod:`benchmarks.problems.training`, and all samplers get the same budget of epochs.

The regret at a number of epochs is that of the best completed trial so far, in units of what the
median random configuration leaves to gain; 1 before the first completed trial, and at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import NONE, difference, digits, number, table_of, text
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
    return [
        Job(loop, pruner, task, seed, peer)
        for seed in range(options.settings["seeds"])
        for loop in LOOPS
        for task in LOOPS[loop].targets
        for pruner in PRUNERS
        for peer in PEERS
    ]


def group(job: Job) -> object:
    """Studies of one task, seed and pruner have the same prior studies."""
    return job.loop, job.pruner, job.task, job.seed


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study."""
    del options
    unit = _unit(job.loop, job.task)
    priors = functools.partial(_prior_studies, job.loop, job.pruner, job.task, job.seed)
    sampler = PEERS[job.peer](priors, job.seed)
    study, spent = study_of(LOOPS[job.loop], job.task, sampler, PRUNERS[job.pruner](), BUDGET)
    return {"unit": unit, "best": best_by_epochs(study, spent)}


@functools.cache
def _unit(loop: str, task: str) -> float:
    """Loss of the median random configuration."""
    budget = N_RANDOM * N_EPOCHS
    study, _ = study_of(LOOPS[loop], task, RandomSampler(seed=0), NopPruner(), budget)
    return float(np.median([t.values[0] for t in study.trials]))


@functools.lru_cache(maxsize=1)
def _prior_studies(loop: str, pruner: str, task: str, seed: int) -> list[optuna.Study]:
    """Runs of TPE on the sources of a task."""
    budget = N_PRIOR_TRIALS * N_EPOCHS
    return [
        study_of(
            LOOPS[loop],
            source,
            TPESampler(seed=100 + seed),
            PRUNERS[pruner](),
            budget,
            N_PRIOR_TRIALS,
        )[0]
        for source in LOOPS[loop].sources(task)
    ]


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
                if epoch < N_EPOCHS and trial.should_prune():
                    raise optuna.TrialPruned
            return loss
        finally:
            if sum(spent) >= budget:
                study.stop()

    study.optimize(objective, n_trials=n_trials)
    return study, spent


def best_by_epochs(study: optuna.Study, spent: Sequence[int]) -> list[float | None]:
    """Value of the best completed trial at each point of the grid; ``None`` before one."""
    ends = np.cumsum(spent)
    values = [t.values[0] if t.state == TrialState.COMPLETE else np.inf for t in study.trials]
    best = np.minimum.accumulate(values)
    at = np.searchsorted(ends, GRID, side="right") - 1
    return [
        round(float(best[i]), 5) if i >= 0 and np.isfinite(best[i]) else None for i in at.tolist()
    ]


def regrets(
    records: Sequence[Record],
) -> dict[tuple[str, str, int], NDArray[np.float64]]:
    """Regret at each point of the grid, by peer, task and seed, of one loop under one pruner."""
    curves = {
        (r["peer"], r["task"], r["seed"]): np.array(
            [np.inf if value is None else value for value in r["best"]]
        )
        for r in records
    }
    unit = {r["task"]: r["unit"] for r in records}
    lowest = {task: min(c.min() for (_, t, _), c in curves.items() if t == task) for task in unit}
    return {
        (peer, task, seed): np.clip((c - lowest[task]) / (unit[task] - lowest[task]), 0.0, 1.0)
        for (peer, task, seed), c in curves.items()
    }


def summarize(records: Sequence[Record]) -> Summary:
    """By loop and pruner a row a sampler: regrets, and paired differences to TPE."""
    done = finished(records)
    return {
        "tables": [
            {"loop": loop, "pruner": pruner, "rows": rows}
            for loop in LOOPS
            for pruner in PRUNERS
            if (rows := _rows([r for r in done if (r["loop"], r["pruner"]) == (loop, pruner)]))
        ]
    }


def _rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    found = regrets(records)
    rows = []
    for peer in PEERS:
        pairs = [(t, s) for p, t, s in found if p == peer and (REFERENCE, t, s) in found]
        if len(pairs) < 2:
            continue
        mine = np.array([found[(peer, *pair)] for pair in pairs])
        gaps = mine - np.array([found[(REFERENCE, *pair)] for pair in pairs])
        rows.append(
            {
                "peer": peer,
                "n_pairs": len(pairs),
                "regret": mine.mean(axis=0).tolist(),
                "mean": float(mine.mean(axis=0).mean()),
                "differences": [t_interval(gaps[:, _index(n)]) for n in COMPARED_AT],
                "mean_difference": t_interval(gaps.mean(axis=1)),
                "n_better": int((gaps.mean(axis=1) < 0).sum()),
            }
        )
    return rows


def _index(n_epochs: int) -> int:
    return int(np.flatnonzero(n_epochs == GRID)[0])


def tables(summary: Summary) -> dict[str, str]:
    """Regret at a few numbers of epochs, and the differences to TPE."""

    def at(n: int) -> Callable[[Any], str]:
        return lambda row: number(row["regret"][_index(n)])

    def compared(show: Callable[[Mapping[str, Any]], str]) -> Callable[[Any], str]:
        return lambda row: NONE if row["peer"] == REFERENCE else show(row)

    differences = [
        (f"minus {REFERENCE} at {COMPARED_AT[0]}", compared(lambda r: _gap(r, 0))),
        (f"at {COMPARED_AT[1]}", compared(lambda r: _gap(r, 1))),
        ("mean", compared(lambda row: difference(row["mean_difference"]))),
        ("better", compared(lambda row: f"{row['n_better']} of {row['n_pairs']}")),
    ]
    parts = [
        table_of(
            found["rows"],
            [
                (f"`{found['loop']}` under `{found['pruner']}`", text("peer")),
                *((str(n), at(n)) for n in SHOWN),
                ("mean", digits("mean", 2)),
                *differences,
            ],
        )
        for found in summary["tables"]
    ]
    return {"pruning": "\n\n".join(parts)}


def _gap(row: Mapping[str, Any], i: int) -> str:
    return difference(row["differences"][i])


EXPERIMENT = Experiment(
    name="pruning",
    title="samplers under `MedianPruner` and `HyperbandPruner`, by epochs spent",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    group=group,
    settings={"seeds": 4},
)

"""Pruners, under TPE and under the sampler with prior studies, by epochs spent.

Every study may spend the epochs of as many whole trainings as `N_TRAININGS`. Prior studies are
runs of TPE on other data sets that were never stopped.

The regret at a number of epochs is that of the best completed trial so far, in units of what the
median random configuration leaves to gain; 1 before the first completed trial, and at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import functools
from itertools import product
from pathlib import Path
from typing import Any
import warnings

from matplotlib.figure import Figure
import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.trial import TrialState

from benchmarks.experiment import Experiment, Key, Options, Record, Summary, finished
from benchmarks.experiments.pruning import (
    best_by_epochs,
    median_of_random,
    regrets,
    runs_of_tpe,
    study_of,
)
from benchmarks.markdown import blocks, table
from benchmarks.paired import common
from benchmarks.problems import lcbench
from benchmarks.problems.training import LOOPS, Loop
from benchmarks.samplers import META, SAMPLERS, TPE
from benchmarks.statistics import first_at_or_below, log_regret, t_interval
from optuna_metasampler import MetaPruner


N_TRAININGS = 50
SHOWN = (3, 5, 10, 25, 50)
"""In whole trainings."""
POINTS_A_TRAINING = 4
N_FIRST = 10
COMPARED = {
    "first": slice(N_FIRST * POINTS_A_TRAINING),
    "all": slice(None),
    "end": slice(-1, None),
}
"""Points of the grid over which a pruner is compared with none, by name."""

LCBENCH, NETWORKS = "lcbench", "networks"
REFERENCE = TPE

Priors = Sequence[optuna.Study]
PRUNERS: dict[str, Callable[[Priors, int], BasePruner]] = {
    "": lambda priors, n_epochs: NopPruner(),
    "MedianPruner": lambda priors, n_epochs: MedianPruner(),
    "HyperbandPruner": lambda priors, n_epochs: HyperbandPruner(1, n_epochs),
    "WilcoxonPruner": lambda priors, n_epochs: _wilcoxon(),
    "MetaPruner, no priors": lambda priors, n_epochs: MetaPruner(),
    "MetaPruner": lambda priors, n_epochs: MetaPruner(priors),
    "MetaPruner, reversed priors": lambda priors, n_epochs: MetaPruner(_reversed(priors)),
    "MetaPruner, foreign priors": lambda priors, n_epochs: MetaPruner(_foreign()),
}
PEERS: dict[str, tuple[str, str]] = {
    **{f"{TPE} + {name}" if name else TPE: (TPE, name) for name in PRUNERS},
    META: (META, ""),
    f"{META} + MedianPruner": (META, "MedianPruner"),
    f"{META} + MetaPruner": (META, "MetaPruner"),
}
"""Sampler and pruner, by name."""


def _wilcoxon() -> BasePruner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return WilcoxonPruner()


def _reversed(priors: Priors) -> list[optuna.Study]:
    """Prior studies in whose curves whoever was ahead is behind, and the end is the beginning."""
    found = []
    for prior in priors:
        study = optuna.create_study(study_name=f"reversed {prior.study_name}")
        for trial in prior.trials:
            curve = {step: -value for step, value in trial.intermediate_values.items()}
            study.add_trial(
                optuna.create_trial(
                    params=trial.params,
                    distributions=trial.distributions,
                    value=curve[max(curve)],
                    intermediate_values=curve,
                )
            )
        found.append(study)
    return found


def _foreign() -> Priors:
    """Runs of TPE on loops whose curves are formulas."""
    loop = LOOPS["curves"]
    return runs_of_tpe(loop, loop.sources(loop.targets[0]), NopPruner, seed=0)


@dataclass(frozen=True)
class Job:
    """A study."""

    loop: str
    task: str
    seed: int
    peer: str


def jobs(options: Options) -> list[Job]:
    """Every pair of sampler and pruner in every loop, seed by seed."""
    assert options.data is not None
    return [
        Job(name, task, seed, peer)
        for seed in range(options.settings["seeds"])
        for name in (LCBENCH, NETWORKS)
        for task, peer in product(_loop(options.data, name, seed).targets, PEERS)
    ]


def _loop(data: Path, name: str, seed: int) -> Loop:
    return lcbench.loop(data, seed) if name == LCBENCH else LOOPS[name]


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study."""
    assert options.data is not None
    loop = _loop(options.data, job.loop, job.seed)
    sampler, pruner = PEERS[job.peer]
    priors = _prior_studies(options.data, job.loop, job.task, job.seed)
    study, spent = study_of(
        loop,
        job.task,
        SAMPLERS[sampler](lambda: priors, job.seed),
        PRUNERS[pruner](priors, loop.n_epochs),
        N_TRAININGS * loop.n_epochs,
    )
    return {
        "unit": _unit(options.data, job.loop, job.task),
        "best": best_by_epochs(study, spent, _grid(loop.n_epochs)),
        "n_trials": len(spent),
        "n_whole": sum(trial.state == TrialState.COMPLETE for trial in study.trials),
    }


def _grid(n_epochs: int) -> NDArray[np.int64]:
    points = np.arange(1, N_TRAININGS * POINTS_A_TRAINING + 1) / POINTS_A_TRAINING
    return np.floor(points * n_epochs).astype(np.int64)


@functools.cache
def _unit(data: Path, name: str, task: str) -> float:
    """Loss of the median random configuration."""
    return median_of_random(_loop(data, name, 0), task)


@functools.lru_cache(maxsize=1)
def _prior_studies(data: Path, name: str, task: str, seed: int) -> Priors:
    """Runs of TPE on the sources of a task."""
    loop = _loop(data, name, seed)
    return runs_of_tpe(loop, loop.sources(task), NopPruner, seed)


def summarize(records: Sequence[Record]) -> Summary:
    """By loop a row a peer: regrets, differences to no pruner, and the epochs that it takes."""
    done = finished(records)
    found = []
    for name in (LCBENCH, NETWORKS):
        own = [r for r in done if r["loop"] == name]
        if rows := _rows(own):
            found.append({"loop": name, "rows": rows})
    return {"tables": found}


def _by_task(keys: Sequence[Key], values: Sequence[float]) -> NDArray[np.float64]:
    """The mean of each task."""
    tasks = [key[0] for key in keys]
    return np.array(
        [
            np.mean([v for t, v in zip(tasks, values, strict=True) if t == task])
            for task in dict.fromkeys(tasks)
        ]
    )


def _rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    found = regrets(records)
    rows = []
    for peer in PEERS:
        pairs = common(found, peer, REFERENCE)
        if len({task for task, _ in pairs}) < 2:
            continue
        logs = {pair: log_regret(found[peer][pair]) for pair in pairs}
        curve = np.mean([logs[pair] for pair in pairs], axis=0)
        own = [r for r in records if r["peer"] == peer]
        row: dict[str, Any] = {
            "peer": peer,
            "n_tasks": len({task for task, _ in pairs}),
            "n_studies": len(pairs),
            "trials": float(np.mean([r["n_trials"] for r in own])),
            "whole": float(np.mean([r["n_whole"] for r in own])),
            "curve": np.round(curve, 3).tolist(),
        }
        row |= {str(n): float(curve[n * POINTS_A_TRAINING - 1]) for n in SHOWN}
        needed = [_share_needed(found[peer][p], found[REFERENCE][p][-1]) for p in pairs]
        row |= {"share": float(np.exp(_by_task(pairs, np.log(needed).tolist()).mean()))}
        row |= {"reached": float(np.mean([share < 1.0 for share in needed]))}
        alone = PEERS[peer][0]
        both = [pair for pair in common(found, peer, alone) if pair in logs]
        if peer != alone and both:
            gaps = [logs[pair] - log_regret(found[alone][pair]) for pair in both]
            for label, points in COMPARED.items():
                means = [float(gap[points].mean()) for gap in gaps]
                row[f"to_{label}"] = t_interval(_by_task(both, means))
        rows.append(row)
    return rows


def _share_needed(regret: NDArray[np.float64], target: float) -> float:
    """The share of all epochs after which a regret is at a target; 1 if it never is."""
    return min(first_at_or_below(regret, target), len(regret)) / len(regret)


def tables(summary: Summary) -> dict[str, str]:
    """Log regret after some trainings' worth of epochs, and the epochs to where TPE ends."""
    columns = [
        ("tasks", "{n_tasks}"),
        ("studies", "{n_studies}"),
        *((str(n), f"{{{n}:.2f}}") for n in SHOWN),
        (f"minus no pruner, the first {N_FIRST}", "{to_first:diff}"),
        ("all", "{to_all:diff}"),
        ("at the end", "{to_end:diff}"),
        (f"epochs to where {REFERENCE} ends", "{share:.0%}"),
        ("of which gets there", "{reached:.0%}"),
        ("trials", "{trials:.0f}"),
        ("whole", "{whole:.0f}"),
    ]
    parts = [table(t["rows"], [(f"`{t['loop']}`", "{peer}"), *columns]) for t in summary["tables"]]
    return {"pruners": blocks(*parts)}


def figures(summary: Summary) -> dict[str, Figure]:
    """Log regret by epochs."""
    found = [t for t in summary["tables"] if t["loop"] == LCBENCH]
    if not found:
        return {}
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.subplots()
    shown = (
        "TPE",
        "TPE + MedianPruner",
        "TPE + HyperbandPruner",
        "TPE + MetaPruner",
        "MetaSampler",
        "MetaSampler + MetaPruner",
    )
    for row in found[0]["rows"]:
        if row["peer"] in shown:
            style = "-" if "Meta" in row["peer"] else "--"
            trainings = np.arange(1, len(row["curve"]) + 1) / POINTS_A_TRAINING
            axes.plot(trainings, row["curve"], style, label=row["peer"])
    axes.set_xlabel("epochs spent, in whole trainings")
    axes.set_ylabel("log10 regret, mean")
    axes.legend(frameon=False)
    return {"pruners": figure}


EXPERIMENT = Experiment(
    name="pruners",
    title="`MetaPruner` and Optuna's pruners, by epochs spent",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    figures=figures,
    shared=("loop", "task", "seed"),
    settings={"seeds": 8},
    needs_data=True,
)

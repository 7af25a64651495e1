"""Regret by trials under constraints, and where trials fail, with and without prior studies.

Test and engineering problems with constraints; GPU kernels of which some configurations do not
compile or run, so that the trial fails; and problems of which some configurations fail by chance,
where there is nothing to be learned from it. Prior studies of a formula are the formula with its
numbers moved, those of a kernel the same kernel on other GPUs.

The regret is that of the best feasible trial so far, in units of what the median feasible random
configuration leaves to gain; 1 before the first feasible trial, and at most.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
import functools
from pathlib import Path
import time
from typing import Any, ClassVar

import numpy as np
import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import blocks, paragraph, table
from benchmarks.paired import by_peer, common, gaps
from benchmarks.problems.base import seed_of
from benchmarks.problems.constrained import Failure, Problem, formulas, kernels
from benchmarks.samplers import COLD, GP, META, RANDOM, SAMPLERS, TPE, Make
from benchmarks.statistics import FLOOR, Interval, t_interval
from optuna_metasampler import MetaSampler
from optuna_metasampler.methods.default import Auto


N_TRIALS = 40
N_PRIORS = 3
N_PRIOR_TRIALS = 40
SHOWN = (5, 10, 20, 40)
KERNELS = {
    "gpu_convolution_rtx": ("RTX_2080_Ti",),
    "gpu_pnpoly": ("RTX_2080_Ti",),
}
GROUPS = {
    "constraints": (
        "gramacy",
        "gardner 2",
        "townsend",
        "pressure vessel",
        "welded beam",
    ),
    "kernels that fail": tuple(f"{n} {task}" for n, tasks in KERNELS.items() for task in tasks),
    "failures by chance": ("branin, 15 % fail", "hartmann, 15 % fail"),
}
# Seeds are derived from the names of problems: renaming one makes other runs.
DEVELOPED_ON = ("gramacy", "gardner 2", "gpu_pnpoly RTX_2080_Ti", "branin, 15 % fail")
"""The problems that choices were made on; the others were looked at once they stood."""

UNMODELLED = "MetaSampler, no priors, not modelled"


@dataclass(frozen=True)
class Unmodelled(Auto):
    """The default method without constraint models: violations are bad outcomes to it."""

    models_constraints: ClassVar[bool] = False


PEERS: dict[str, Make] = {name: SAMPLERS[name] for name in (RANDOM, TPE, GP, META, COLD)} | {
    UNMODELLED: lambda priors, seed: MetaSampler(method=Unmodelled(), seed=seed, learner=None)
}


@dataclass(frozen=True)
class Job:
    """A study."""

    problem: str
    seed: int
    peer: str


def jobs(options: Options) -> list[Job]:
    """Every sampler on every problem at hand, seed by seed."""
    return [
        Job(name, seed, peer)
        for seed in range(options.settings["seeds"])
        for name in problems(options.data)
        for peer in PEERS
    ]


@functools.cache
def problems(data: Path | None) -> dict[str, Problem]:
    """All problems by name; the kernels only where there is a folder with their data."""
    found = formulas()
    for name in KERNELS:
        if data is not None and (data / name).is_dir():
            found |= kernels(data / name)
    return {n: found[n] for names in GROUPS.values() for n in names if n in found}


@functools.cache
def _unit(data: Path | None, name: str) -> float:
    return problems(data)[name].unit()


@functools.lru_cache(maxsize=1)
def _priors(data: Path | None, name: str, seed: int) -> Sequence[optuna.Study]:
    return [
        study_of(prior, TPESampler(seed=seed_of(prior.name, seed)), N_PRIOR_TRIALS)
        for prior in problems(data)[name].priors(N_PRIORS, seed)
    ]


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study."""
    problem, unit = problems(options.data)[job.problem], _unit(options.data, job.problem)
    priors = _priors(options.data, job.problem, job.seed)
    begin = time.process_time()
    study = study_of(problem, PEERS[job.peer](lambda: priors, job.seed), N_TRIALS)
    seconds = round(time.process_time() - begin, 2)
    return {"unit": unit, **outcome(study, problem.best, unit), "seconds": seconds}


def study_of(problem: Problem, sampler: BaseSampler, n_trials: int) -> optuna.Study:
    """A study in which failures are recorded and go on."""
    study = optuna.create_study(sampler=sampler, study_name=problem.name)
    study.optimize(problem.objective, n_trials=n_trials, catch=(Failure,))
    return study


def feasible(trial: FrozenTrial) -> bool:
    """Whether a trial came to its end and violated nothing."""
    return trial.state == TrialState.COMPLETE and all(c <= 0 for c in trial.constraints.values())


def outcome(study: optuna.Study, best: float, unit: float) -> dict[str, Any]:
    """Log10 regret after each number of trials shown, its mean over trials, infeasible share."""
    ok = [feasible(t) for t in study.trials]
    values = [t.values[0] if good else np.inf for t, good in zip(study.trials, ok, strict=True)]
    regret = np.clip((np.minimum.accumulate(values) - best) / unit, FLOOR, 1.0)
    log = np.log10(regret)
    return {
        "log_regret": [round(float(log[n - 1]), 3) for n in SHOWN],
        "mean_log_regret": round(float(log.mean()), 4),
        "infeasible": round(1.0 - float(np.mean(ok)), 4),
    }


def summarize(records: Sequence[Record]) -> Summary:
    """By group of problems a row a sampler; on the problems that confirm, what it gains on TPE."""
    done = finished(records)
    ends = by_peer(done, lambda r: r["mean_log_regret"], ("problem", "seed"))

    def gap(names: Container[str], peer: str, other: str) -> Interval | None:
        pairs = [key for key in common(ends, peer, other) if key[0] in names]
        return None if peer == other else t_interval(gaps(ends, peer, other, pairs))

    def row(names: Container[str], peer: str) -> dict[str, Any]:
        mine = [r for r in done if r["peer"] == peer and r["problem"] in names]
        return {
            "peer": peer,
            "regret": (10.0 ** np.mean([r["log_regret"] for r in mine], axis=0)).tolist(),
            "infeasible": float(np.mean([r["infeasible"] for r in mine])),
            **{other: gap(names, peer, other) for other in (TPE, GP)},
        }

    present = {(r["peer"], r["problem"]) for r in done}
    unseen = {name for names in GROUPS.values() for name in names} - {*DEVELOPED_ON}
    return {
        "n_seeds": len({r["seed"] for r in done}),
        "groups": {
            group: {
                "n_problems": len({problem for _, problem in present} & {*names}),
                "rows": [row(names, p) for p in PEERS if any((p, n) in present for n in names)],
            }
            for group, names in GROUPS.items()
        },
        "warm": gap(unseen, META, TPE),
        "cold": gap(unseen, COLD, TPE),
    }


def tables(summary: Summary) -> dict[str, str]:
    """One table a group of problems."""
    columns = [
        *((f"trial {n}", f"{{regret[{i}]:.3f}}") for i, n in enumerate(SHOWN)),
        ("infeasible", "{infeasible:.0%}"),
        (f"log10 regret minus {TPE}", f"{{{TPE}:diff}}"),
        (f"minus {GP}", f"{{{GP}:diff}}"),
    ]
    parts = [
        table(found["rows"], [(f"{group} ({found['n_problems']} problems)", "{peer}"), *columns])
        for group, found in summary["groups"].items()
        if found["rows"]
    ]
    chosen_on = "; ".join(DEVELOPED_ON).replace(" %", "%")
    outro = f"""{{n_seeds}} seeds a problem, {N_TRIALS} trials; {N_PRIORS} prior studies of
        {N_PRIOR_TRIALS} trials of {TPE} each. Choices were made on {chosen_on}; on the other
        problems alone, {META} minus {TPE} is {{warm:diff}} with and {{cold:diff}} without prior
        studies."""
    return {"constraints": blocks(*parts, paragraph(outro, summary))}


EXPERIMENT = Experiment(
    name="constraints",
    title="constraints, and configurations that fail",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    shared=("problem", "seed"),
    settings={"seeds": 5},
)

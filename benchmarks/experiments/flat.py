"""Equal outcomes: how many trials it takes to find the one region where outcomes differ at all.

The region covers 9% of the space, by two of the parameters, and lies somewhere else in every
problem. Outside of it all outcomes are equal, in one of six guises, so that nothing tells where to
search: a sampler can only fill the space well. A study ends when it is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import blocks, table
from benchmarks.problems.base import seed_of
from benchmarks.samplers import COLD, GP, RANDOM, SAMPLERS, TPE


GUISES = {
    "one value": "the reward is the same",
    "infinite": "the loss is infinite",
    "two objectives": "both are the same",
    "constraint": "it is violated, by the same amount",
    "pruned": "every trial is pruned, at the same value",
    "chance level": "the accuracy is that of guessing, with noise",
}
"""Name to what is the case outside of the region."""

SPACES = {"2 numbers": (), "2 of 6 parameters": ("log", "integer", "choice", "flag")}
"""Name to the parameters that change nothing."""

PEERS = (RANDOM, TPE, GP, COLD)
N_TRIALS = 60
SOON = 25
SIDE = 0.3
_GUESSING, _NOISE = 0.5, 0.01


@dataclass(frozen=True)
class Job:
    """A study of a problem; the seed also places the region."""

    guise: str
    space: str
    seed: int
    peer: str


def jobs(options: Options) -> list[Job]:
    """Every sampler in every guise and space, seed by seed."""
    return [
        Job(guise, space, seed, peer)
        for seed in range(options.settings["seeds"])
        for guise in GUISES
        for space in SPACES
        for peer in PEERS
    ]


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study: the trial that found the region, from 1; ``None`` if none did."""
    del options
    corner = corner_of(job.seed)
    noise = np.random.default_rng(seed_of("flat", job.seed, "noise"))
    directions = [StudyDirection.MAXIMIZE] * (2 if job.guise == "two objectives" else 1)
    sampler = SAMPLERS[job.peer](list, seed_of(job.guise, job.space, job.seed) % 1000)
    study = optuna.create_study(directions=directions, sampler=sampler)
    for i in range(N_TRIALS):
        trial = study.ask()
        point = np.array([trial.suggest_float("x", 0.0, 1.0), trial.suggest_float("y", 0.0, 1.0)])
        _suggest_others(trial, SPACES[job.space])
        if bool(((point >= corner) & (point <= corner + SIDE)).all()):
            return {"found": i + 1}
        _tell(study, trial, job.guise, noise)
    return {"found": None}


def corner_of(seed: int) -> np.ndarray:
    """The lower corner of the region, shape ``(2,)``."""
    return np.random.default_rng(seed_of("flat", seed)).uniform(0.0, 1.0 - SIDE, 2)


def _suggest_others(trial: optuna.Trial, names: Sequence[str]) -> None:
    if names:
        trial.suggest_float("log", 1e-6, 1.0, log=True)
        trial.suggest_int("integer", 1, 20)
        trial.suggest_categorical("choice", ["a", "b", "c"])
        trial.suggest_categorical("flag", [True, False])


def _tell(
    study: optuna.Study, trial: optuna.Trial, guise: str, noise: np.random.Generator
) -> None:
    """The outcome outside of the region."""
    if guise == "one value":
        study.tell(trial, -200.0)
    elif guise == "infinite":
        study.tell(trial, -np.inf)
    elif guise == "two objectives":
        study.tell(trial, [0.0, 0.0])
    elif guise == "constraint":
        trial.set_constraint("works", 1.0)
        # An objective that leads away, since it has a value everywhere.
        study.tell(trial, trial.params["x"])
    elif guise == "pruned":
        trial.report(_GUESSING, 1)
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, _GUESSING + _NOISE * float(noise.normal()))


def summarize(records: Sequence[Record]) -> Summary:
    """Shares of studies that found the region, and the median trial, by guise, space and peer."""
    done = finished(records)

    def of(guise: str, space: str, peer: str) -> dict[str, Any]:
        mine = [r for r in done if (r["guise"], r["space"], r["peer"]) == (guise, space, peer)]
        found = np.array([r["found"] or np.inf for r in mine])
        median = float(np.median(found)) if len(found) else np.inf
        return {
            "soon": float(np.mean(found <= SOON)) if len(found) else None,
            "ever": float(np.mean(found <= N_TRIALS)) if len(found) else None,
            "median": median if np.isfinite(median) else None,
        }

    return {
        "n_seeds": len({r["seed"] for r in done}),
        "rows": [
            {"guise": guise, "space": space, **{peer: of(guise, space, peer) for peer in PEERS}}
            for guise in GUISES
            for space in SPACES
        ],
    }


def tables(summary: Summary) -> dict[str, str]:
    """A row a guise and space: the shares found soon and at all, and the median trial."""
    cells = [
        (peer, f"{{{peer}[soon]:.0%}} / {{{peer}[ever]:.0%}} / {{{peer}[median]:.0f}}")
        for peer in PEERS
    ]
    columns = [("guise", "{guise}"), ("space", "{space}"), *cells]
    return {"flat": blocks(table(summary["rows"], columns))}


EXPERIMENT = Experiment(
    name="flat",
    title="equal outcomes but in 9% of the space",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    shared=("guise", "space", "seed"),
    settings={"seeds": 12},
)

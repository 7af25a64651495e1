"""Studies that reports are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
import math
from typing import Literal

import optuna

from optuna_metasampler import MetaSampler


def tuned(trial: optuna.Trial, optimum: float = 1e-2, sign: float = 1.0) -> float:
    """Least at `lr` near the optimum, `depth` 6 and `act` relu; `idle` is of no importance."""
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    depth = trial.suggest_int("depth", 2, 12)
    act = trial.suggest_categorical("act", ["relu", "tanh", "logistic"])
    trial.suggest_float("idle", 0, 1)
    away = (math.log10(lr) - math.log10(optimum)) ** 2
    loss = away + 0.01 * abs(depth - 6) + {"relu": 0.0, "tanh": 0.3, "logistic": 0.9}[act]
    return sign * loss


def prior_studies(n: int = 3, sign: float = 1.0, name: str = "old") -> list[optuna.Study]:
    studies = []
    for i in range(n):
        study = seeded(f"{name}-{i}", i)
        study.optimize(partial(tuned, optimum=0.01 * (i + 1), sign=sign), n_trials=30)
        studies.append(study)
    return studies


def seeded(name: str, seed: int = 0) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(study_name=name, sampler=optuna.samplers.RandomSampler(seed=seed))


def ran(
    sampler: optuna.samplers.BaseSampler,
    n_trials: int,
    objective: Callable[[optuna.Trial], object] = tuned,
    directions: Sequence[Literal["minimize", "maximize"]] = ("minimize",),
    name: str = "now",
) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=name, directions=directions, sampler=sampler)
    study.optimize(objective, n_trials=n_trials, catch=(ValueError,))  # type: ignore[arg-type]
    return study


def sampler_of(priors: object = None, **settings: object) -> MetaSampler:
    return MetaSampler(priors, **{"seed": 0, **settings})  # type: ignore[arg-type]

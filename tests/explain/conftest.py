"""Real studies of every kind, each run once."""

from __future__ import annotations

from functools import partial
import math

import optuna
from optuna.study import StudyDirection
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.snapshot import Snapshot


N_TRIALS = 16


def mixed(trial: optuna.Trial, shift: float = 0.0, sign: float = 1.0) -> float:
    """To be minimised: the learning rate matters most, `idle` not at all."""
    value = (math.log10(trial.suggest_float("lr", 1e-5, 1e-1, log=True)) + 3 - shift) ** 2
    value += 0.02 * trial.suggest_int("depth", 2, 8)
    trial.suggest_float("idle", 0.0, 1.0)
    if trial.suggest_categorical("kind", ["plain", "momentum"]) == "momentum":
        value += 2.0 * (trial.suggest_float("momentum", 0.0, 1.0) - 0.8) ** 2 - 0.2
    return sign * value


def two_objectives(trial: optuna.Trial) -> tuple[float, float]:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return (x - 0.2) ** 2 + 0.01 * y, -((y - 0.7) ** 2) - 0.01 * x


def studied(
    sampler: optuna.samplers.BaseSampler, n: int = N_TRIALS, shift: float = 0.0, sign: float = 1.0
) -> optuna.Study:
    direction = StudyDirection.MINIMIZE if sign > 0 else StudyDirection.MAXIMIZE
    study = optuna.create_study(direction=direction, sampler=sampler)
    study.optimize(lambda trial: mixed(trial, shift, sign), n_trials=n)
    return study


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def priors() -> list[optuna.Study]:
    """Two alike, and one in which everything is the other way round."""
    found = []
    for name, seed, sign in (("near", 0, 1.0), ("nearer", 1, 1.0), ("opposite", 2, -1.0)):
        study = optuna.create_study(
            study_name=name, sampler=optuna.samplers.RandomSampler(seed=seed)
        )
        study.optimize(partial(mixed, shift=0.2, sign=sign), n_trials=30)
        found.append(study)
    return found


@pytest.fixture(scope="session")
def with_priors(priors: list[optuna.Study]) -> optuna.Study:
    return studied(MetaSampler(priors, seed=0))


@pytest.fixture(scope="session")
def without_priors() -> optuna.Study:
    return studied(MetaSampler(seed=0))


@pytest.fixture(scope="session")
def warm(with_priors: optuna.Study) -> Snapshot:
    return Snapshot.of(with_priors)


@pytest.fixture(scope="session")
def cold(without_priors: optuna.Study) -> Snapshot:
    return Snapshot.of(without_priors)


@pytest.fixture(scope="session")
def first_trial(priors: list[optuna.Study]) -> Snapshot:
    return Snapshot.of(studied(MetaSampler(priors, seed=0), n=1))


@pytest.fixture(scope="session")
def several(request: pytest.FixtureRequest) -> optuna.Study:
    """Two objectives, the second of which is maximised."""
    directions = [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
    prior = optuna.create_study(
        directions=directions, sampler=optuna.samplers.RandomSampler(seed=0), study_name="before"
    )
    prior.optimize(two_objectives, n_trials=25)
    study = optuna.create_study(directions=directions, sampler=MetaSampler([prior], seed=0))
    study.optimize(two_objectives, n_trials=7)
    return study

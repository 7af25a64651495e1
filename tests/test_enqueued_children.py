"""Enqueued values of conditional parameters: their parents are chosen so that they are used."""

from __future__ import annotations

import optuna
import pytest

from optuna_metasampler import MetaSampler
from tests.studies import random_study


def branches(trial: optuna.Trial) -> float:
    """Three levels: `gamma` needs a kernel, and a kernel needs a model."""
    if trial.suggest_categorical("model", ["forest", "net", "svm"]) == "svm":
        if trial.suggest_categorical("kernel", ["linear", "rbf"]) == "rbf":
            return abs(trial.suggest_float("gamma", 0, 10) - 5) + 3.0
        return 2.5
    return abs(trial.suggest_int("depth", 1, 9) - 6) / 9 + (trial.params["model"] == "net")


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("enqueued", [{"gamma": 1.0}, {"kernel": "linear"}, {"depth": 2}])
@pytest.mark.parametrize("source", ["priors", "history"])
def test_an_enqueued_child_is_asked_for(
    source: str, enqueued: dict[str, object], seed: int
) -> None:
    old = random_study(branches, 40, seed)
    study = optuna.create_study(
        sampler=MetaSampler(old if source == "priors" else None, seed=seed)
    )
    if source == "history":
        study.add_trials(old.trials)
    study.enqueue_trial(enqueued)
    study.optimize(branches, n_trials=1)
    assert study.trials[-1].params.items() >= enqueued.items()


def test_an_enqueued_child_that_only_prior_studies_have_had_is_asked_for() -> None:
    study = optuna.create_study(sampler=MetaSampler(random_study(branches, 40), seed=0))
    study.enqueue_trial({"model": "forest", "depth": 6})
    study.optimize(branches, n_trials=1)
    study.enqueue_trial({"gamma": 1.0})
    study.optimize(branches, n_trials=1)
    assert study.trials[-1].params == {"model": "svm", "kernel": "rbf", "gamma": 1.0}


def test_a_parent_that_was_enqueued_too_stays_what_it_is() -> None:
    study = optuna.create_study(sampler=MetaSampler(random_study(branches, 40), seed=0))
    study.enqueue_trial({"gamma": 1.0, "model": "net"})
    study.optimize(branches, n_trials=1)
    assert study.trials[-1].params["model"] == "net"

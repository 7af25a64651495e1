"""Batches of trials that are asked for before any of them has ended."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
import pytest

from optuna_metasampler import MetaSampler
from tests.studies import random_study


CELLS: dict[str, BaseDistribution] = {
    "a": CategoricalDistribution(["x", "y", "z"]),
    "b": IntDistribution(1, 4),
    "c": IntDistribution(0, 2),
}


def loss(trial: optuna.Trial, highest: int = 4) -> float:
    a = trial.suggest_categorical("a", ["x", "y", "z"])
    return trial.suggest_int("b", 1, highest) + (a == "x") + 0.5 * trial.suggest_int("c", 0, 2)


def branches(trial: optuna.Trial) -> float:
    """18 configurations, of which each has the parameters of one branch only."""
    model = trial.suggest_categorical("model", ["svm", "forest", "net"])
    if model == "svm":
        return trial.suggest_int("C", 1, 6) / 3 + 0.3
    if model == "forest":
        return float(abs(trial.suggest_int("depth", 1, 6) - 4))
    return trial.suggest_int("layers", 1, 3) + float(trial.suggest_categorical("act", "rt") == "r")


def priors(objective: Any, kind: str) -> list[optuna.Study] | None:
    if kind == "none":
        return None
    return [random_study(objective, 15, seed, f"{kind}-{seed}") for seed in range(2)]


def configurations(study: optuna.Study) -> set[tuple[tuple[str, object], ...]]:
    return {tuple(sorted(t.params.items())) for t in study.trials}


@pytest.mark.parametrize("n_before", [0, 3])
@pytest.mark.parametrize("kind", ["none", "same", "wider"])
def test_a_batch_takes_every_cell_of_a_small_space_before_it_repeats_one(
    kind: str, n_before: int
) -> None:
    old = priors(lambda trial: loss(trial, 9 if kind == "wider" else 4), kind)
    study = optuna.create_study(sampler=MetaSampler(old, seed=0))
    study.optimize(loss, n_trials=n_before)
    for _ in range(36 - n_before):
        study.ask(CELLS)
    assert len(configurations(study)) == 36


@pytest.mark.parametrize("n_before", [0, 2])
@pytest.mark.parametrize("kind", ["none", "same"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_batch_takes_every_configuration_of_a_program_with_branches(
    seed: int, kind: str, n_before: int
) -> None:
    study = optuna.create_study(sampler=MetaSampler(priors(branches, kind), seed=seed))
    study.optimize(branches, n_trials=n_before)
    for _ in range(18 - n_before):
        branches(study.ask())
    assert len(configurations(study)) == 18


def test_a_trial_that_was_lost_before_any_ended_does_not_narrow_the_study() -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(study_name="s", storage=storage, sampler=MetaSampler(seed=0))
    study.ask().suggest_categorical("a", ["x", "y", "z"])
    again = optuna.load_study(study_name="s", storage=storage, sampler=MetaSampler(seed=0))
    again.optimize(loss, n_trials=20)
    assert len(configurations(again)) == 21
    assert again.best_value < 2.0

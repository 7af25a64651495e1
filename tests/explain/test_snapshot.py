"""What is known of a study at one moment."""

from __future__ import annotations

from functools import partial

import optuna
import pytest
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.outcomes import half_rank_unwarp
from optuna_metasampler.surrogates.gaussian_process import GaussianProcessPredictor
from tests.studies import random_study


def objective(trial: optuna.Trial, optimum: float = 0.3) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return (x - optimum) ** 2 + (y - 0.7) ** 2


@pytest.fixture(scope="module")
def priors() -> list[optuna.Study]:
    return [
        random_study(partial(objective, optimum=0.3 + 0.02 * i), 25, i, f"old-{i}")
        for i in range(2)
    ]


def test_all_finished_trials_are_taken_into_account(priors: list[optuna.Study]) -> None:
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    study.optimize(objective, n_trials=6)
    study.ask()
    taken = Snapshot.of(study)
    assert taken.method == "auto"
    assert taken.own_model
    assert len(taken.task) == 6
    assert taken.signs == (-1.0,)
    values = [t.value for t in study.trials[:6]]
    assert (taken.signs[0] * taken.task.y).tolist() == pytest.approx(values)
    assert [row.name for row in taken.overlaps] == [s.name for s in taken.priors]
    (predictor,) = taken.transfer
    # It knows the trials, in the units of the objective.
    known = half_rank_unwarp(predictor(taken.task.x).mean.detach(), taken.task.y)
    assert (known - taken.task.y).abs().max() < 0.05


def test_taking_it_changes_no_suggestion(priors: list[optuna.Study]) -> None:
    params = []
    for look in (True, False):
        study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
        for _ in range(8):
            study.optimize(objective, n_trials=1)
            if look:
                Snapshot.of(study)
        params.append([t.params for t in study.trials])
    assert params[0] == params[1]


def test_a_study_of_another_process_has_a_snapshot(priors: list[optuna.Study]) -> None:
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    study.optimize(objective, n_trials=6)
    study.sampler = MetaSampler(priors, seed=1)
    taken = Snapshot.of(study)
    assert len(taken.transfer) == 1
    assert taken.transfer[0].surrogate.model.names == ("old-0", "old-1")


@pytest.mark.parametrize("method", ["mlp", "portfolio", "q-learning", "hyperband", "gp"])
def test_every_method_has_a_gaussian_process_in_its_snapshot(
    priors: list[optuna.Study], method: str
) -> None:
    options = {"n_steps": 2} if method == "q-learning" else {}
    sampler = MetaSampler(priors, method=method, method_options=options, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=5)
    taken = Snapshot.of(study)
    assert taken.method == method
    assert taken.own_model == (method in ("portfolio", "gp"))
    assert all(isinstance(p, GaussianProcessPredictor) for p in taken.predictors)


def test_every_objective_has_a_model() -> None:
    for n in (2, 5):
        study = optuna.create_study(
            directions=["minimize", "maximize", "minimize", "minimize", "minimize"][:n],
            sampler=MetaSampler(seed=0),
        )
        study.optimize(lambda t, n=n: [objective(t, 0.1 * i) for i in range(n)], n_trials=4)
        taken = Snapshot.of(study)
        assert len(taken.predictors) == len(taken.signs) == n
        assert taken.task.outcomes is not None
        assert taken.task.outcomes.shape == (4, n)


def test_a_study_without_parameters_or_with_another_sampler_is_refused() -> None:
    study = optuna.create_study(sampler=MetaSampler())
    with pytest.raises(ValueError, match="0 trials, none of which has a parameter"):
        Snapshot.of(study)
    study = optuna.create_study(study_name="s", sampler=optuna.samplers.RandomSampler())
    with pytest.raises(TypeError, match="is a RandomSampler, which has no model to show"):
        Snapshot.of(study)


def test_the_warp_is_undone() -> None:
    from optuna_metasampler.outcomes import half_rank_warp

    y = torch.tensor([3.0, -1e18, 2.0, 2.5, 2.5, 0.0, 9.0], dtype=torch.float64)
    z = half_rank_warp(y)
    assert torch.allclose(half_rank_unwarp(z, y), y)
    beyond = half_rank_unwarp(torch.tensor([z.max() + 1, z.min() - 1], dtype=torch.float64), y)
    assert beyond[0] > 9.0
    assert beyond[1] < -1e18
    order = torch.linspace(-3, 5, 200, dtype=torch.float64)
    assert bool((half_rank_unwarp(order, y).diff() >= 0).all())

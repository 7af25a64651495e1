"""The transfer Gaussian process, and the target-only one that it is mixed with."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.distributions import MixtureSameFamily

from optuna_metasampler.outcomes import spearman
from optuna_metasampler.surrogates.gaussian_process import (
    GaussianProcess,
    GaussianProcessPredictor,
)
from optuna_metasampler.surrogates.prior_model import PriorModel
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess, TransferPredictor
from optuna_metasampler.task import Task
from tests.tasks import cube, task_of


SPACE = cube(f"x{i}" for i in range(3))


def points(n: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(SPACE.spread(np.random.default_rng(seed).random((n, 3))))


def value(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(7 * x[:, 0]) + torch.cos(5 * x[:, 1]) * x[:, 2]


def study(n: int, seed: int, sign: float = 1.0) -> Task:
    x = points(n, seed)
    return task_of(SPACE, x, sign * value(x), f"s{seed}")


def same(x: torch.Tensor) -> torch.Tensor:
    return x


@pytest.fixture(scope="module")
def related() -> TransferGaussianProcess:
    tasks = [study(60, 10 + i) for i in range(3)]
    return TransferGaussianProcess(PriorModel.fit(tasks), same)


@pytest.fixture(scope="module")
def opposed() -> TransferGaussianProcess:
    tasks = [study(60, 10 + i, sign=-1.0) for i in range(3)]
    return TransferGaussianProcess(PriorModel.fit(tasks), same)


def agreement(predictor: GaussianProcessPredictor, seed: int = 77) -> float:
    """Rank correlation of the prediction with the truth at new points."""
    x = points(200, seed)
    return spearman(predictor(x).mean, value(x))


def test_before_the_first_trial_prior_studies_predict(
    related: TransferGaussianProcess,
) -> None:
    predictor = related.condition(study(0, 0))
    assert predictor.incumbent is None
    x = points(200, 5)
    best = x[int(predictor(x).mean.argmax())]
    assert float(value(best[None])) > float(value(x).quantile(0.97))


@pytest.mark.parametrize(("n", "at_least"), [(2, 0.65), (4, 0.7), (8, 0.7), (15, 0.7)])
def test_related_studies_predict_better_than_none(
    related: TransferGaussianProcess, n: int, at_least: float
) -> None:
    task = study(n, 1)
    assert agreement(related.condition(task)) > at_least
    assert agreement(related.condition(task)) > agreement(GaussianProcess().condition(task))


def test_opposed_studies_are_read_the_other_way_round(opposed: TransferGaussianProcess) -> None:
    task = study(12, 1)
    predictor = opposed.condition(task)
    assert predictor.sign_flipped
    assert predictor.rank_correlation < 0.0
    assert predictor.p_transfer > 0.9
    assert agreement(predictor) > 0.7
    assert agreement(predictor) > agreement(GaussianProcess().condition(task))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_trials_turn_nothing_round(opposed: TransferGaussianProcess, n: int) -> None:
    assert not opposed.condition(study(n, 1)).sign_flipped


def test_studies_that_rank_the_trials_by_chance_lose_their_weight() -> None:
    """Whichever way round they are read: by chance in reverse in about half of 20 runs."""
    tasks = []
    for i in range(3):
        x, other = points(60, 10 + i), points(60, 20 + i)
        tasks.append(task_of(SPACE, x, value(other), f"s{i}"))
    model = PriorModel.fit(tasks)
    surrogate = TransferGaussianProcess(model, same)
    known = [surrogate.condition(study(12, seed)) for seed in range(100, 120)]
    sign_flipped = [predictor for predictor in known if predictor.sign_flipped]
    assert 2 <= len(sign_flipped) <= 18
    assert sum(predictor.p_transfer for predictor in sign_flipped) / len(sign_flipped) < 0.5


def test_predictions_keep_the_sign_of_their_studies(
    related: TransferGaussianProcess, opposed: TransferGaussianProcess
) -> None:
    task = study(12, 1)
    for surrogate, sign in ((related, 1.0), (opposed, -1.0)):
        predictor = surrogate.condition(task)
        torch.testing.assert_close(predictor.predictions, surrogate.model.each(task.x))
        correlations = [spearman(column, task.y) for column in predictor.predictions.T]
        assert all(sign * rho > 0.0 for rho in correlations)


def test_what_was_turned_round_is_turned_back_once_trials_say_so(
    opposed: TransferGaussianProcess, related: TransferGaussianProcess
) -> None:
    """The same predictor as of one that never knew better, past the trials of every refit too."""
    few, many = study(14, 1), study(45, 1)
    for surrogate in (opposed, related):
        unlucky = Task(SPACE, few.x, -few.y, few.mask, few.pending, few.tried)
        before = surrogate.condition(unlucky)
        after = surrogate.condition(many, before)
        assert before.sign_flipped is not after.sign_flipped
        anew = surrogate.condition(many)
        x = points(20, 3)
        assert spearman(after(x).mean, anew(x).mean) > 0.9


def test_related_studies_keep_their_weight(related: TransferGaussianProcess) -> None:
    assert related.condition(study(12, 1)).p_transfer > 0.9


def test_the_prediction_is_the_mixture_of_the_two(related: TransferGaussianProcess) -> None:
    predictor = related.condition(study(10, 1))
    x = points(6, 3)
    mixture = predictor(x)
    assert isinstance(mixture, MixtureSameFamily)
    each = predictor.each(x)
    w = predictor.p_transfer
    torch.testing.assert_close(mixture.mean, w * each.mean[0] + (1 - w) * each.mean[1])


def test_the_target_only_process_is_the_cold_one(related: TransferGaussianProcess) -> None:
    task = study(10, 1)
    predictor = related.condition(task)
    x = points(6, 3)
    each = predictor.each(x)
    cold = GaussianProcess().condition(task)(x)
    torch.testing.assert_close(each.mean[1], cold.mean)
    torch.testing.assert_close(each.stddev[1], cold.stddev)


def test_conditioning_leaves_the_model_as_it_was(related: TransferGaussianProcess) -> None:
    before = copy.deepcopy(related.model)
    predictor: TransferPredictor | None = None
    for n in (0, 1, 5, 6):
        predictor = related.condition(study(n, 1), predictor)
    x = points(20, 3)
    assert torch.equal(related.model(x), before(x))


def test_waiting_points_are_something_to_improve_on(related: TransferGaussianProcess) -> None:
    empty = study(0, 0)
    pending = points(3, 8)
    task = Task(SPACE, empty.x, empty.y, empty.mask, pending, empty.tried)
    predictor = related.condition(task)
    assert predictor.incumbent == pytest.approx(float(related.features(pending)[:, 1].max()))
    assert bool((predictor(pending).variance < related.condition(empty)(pending).variance).all())

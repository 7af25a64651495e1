"""The first trials among the priors' best configurations."""

from __future__ import annotations

from optuna.distributions import FloatDistribution
import torch

from optuna_metasampler.policies.acquisition import FavouritesPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.task import Task


SPACE = SearchSpace.of({"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)})
FAVOURITES = torch.tensor([[0.1, 0.5], [0.9, 0.5], [0.3, 0.5]], dtype=torch.float64)


def history(x: torch.Tensor, pending: torch.Tensor | None = None) -> Task:
    mask = torch.ones((len(x), 2), dtype=torch.bool)
    return Task(SPACE, x, -x[:, 0], mask, x[:0] if pending is None else pending, x[:0])


def propose(policy: FavouritesPolicy, task: Task) -> torch.Tensor:
    return policy.propose(task, torch.Generator().manual_seed(0)).x


def is_favourite(point: torch.Tensor) -> bool:
    return bool((point == FAVOURITES).all(dim=1).any())


def test_the_first_trials_are_favourites_and_later_ones_are_not() -> None:
    policy = FavouritesPolicy(GaussianProcess(), FAVOURITES, n_warm_start_trials=2)
    assert is_favourite(propose(policy, history(FAVOURITES[:0])))
    assert is_favourite(propose(policy, history(FAVOURITES[:1])))
    assert not is_favourite(propose(policy, history(FAVOURITES[:2])))


def test_a_pending_favourite_is_not_proposed_again() -> None:
    policy = FavouritesPolicy(GaussianProcess(), FAVOURITES)
    point = propose(policy, history(FAVOURITES[:1], pending=FAVOURITES[1:2]))
    assert torch.equal(point, FAVOURITES[2])


def test_the_opening_ends_where_all_favourites_are_known() -> None:
    policy = FavouritesPolicy(GaussianProcess(), FAVOURITES[:1])
    assert not is_favourite(propose(policy, history(FAVOURITES[:1])))


def test_space_filling_trials_come_first_where_they_are_asked_for() -> None:
    policy = FavouritesPolicy(GaussianProcess(), FAVOURITES, n_startup_trials=1)
    assert not is_favourite(propose(policy, history(FAVOURITES[:0])))
    assert is_favourite(propose(policy, history(FAVOURITES[:1])))


def test_a_parameter_that_no_prior_had_gets_other_values_than_the_neutral_one() -> None:
    policy = FavouritesPolicy(GaussianProcess(), FAVOURITES, unknown=("b",))
    point = propose(policy, history(FAVOURITES[:0]))
    assert float(point[0]) in FAVOURITES[:, 0].tolist()
    assert float(point[1]) != 0.5

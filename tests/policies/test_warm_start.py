"""Given points first, then the policy behind them."""

from __future__ import annotations

from optuna.distributions import FloatDistribution
import torch

from optuna_metasampler.policies.acquisition import AcquisitionPolicy, WarmStartPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.task import Task


SPACE = SearchSpace.of({"a": FloatDistribution(0, 1)})
POINTS = torch.tensor([[0.3], [0.6], [0.9]], dtype=torch.float64)


def ask(values: list[float], pending: tuple[float, ...] = (), n_startup_trials: int = 0) -> float:
    task = Task.of(
        SPACE,
        [{"a": v} for v in values],
        torch.tensor(values, dtype=torch.float64),
        pending=[{"a": v} for v in pending],
    )
    policy = WarmStartPolicy(POINTS, AcquisitionPolicy(GaussianProcess(), n_startup_trials))
    generator = torch.Generator(device="cpu").manual_seed(0)
    return float(policy.propose(task, generator).x[0])


def test_the_points_come_in_their_order() -> None:
    assert ask([]) == 0.3
    assert ask([0.3]) == 0.6
    assert ask([0.3, 0.6]) == 0.9


def test_a_point_that_is_pending_is_not_asked_for_again() -> None:
    assert ask([], pending=(0.3,)) == 0.6


def test_a_point_that_was_tried_already_is_left_out() -> None:
    assert ask([0.6]) == 0.3
    assert ask([0.3, 0.9]) == 0.6


def test_afterwards_the_other_policy_decides() -> None:
    assert ask([0.3, 0.6, 0.9]) not in POINTS.flatten().tolist()


def test_space_filling_trials_come_before_the_points() -> None:
    assert ask([], n_startup_trials=1) not in POINTS.flatten().tolist()
    assert ask([0.1], n_startup_trials=1) == 0.3

"""The policy of Bayesian optimisation."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution, FloatDistribution
import pytest
import torch

from optuna_metasampler.acquisition import pending_penalty
from optuna_metasampler.policies.acquisition import AcquisitionPolicy, ConfidenceBoundPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.task import Task
from tests.tasks import cube, generator


LINE = cube("x")
SPACE = cube("xy")


def test_points_next_to_a_pending_one_lose_whatever_they_promise() -> None:
    pending = torch.tensor([[0.5, 0.5], [0.2, 0.9]], dtype=torch.float64)
    x = torch.tensor([[0.505, 0.495], [0.505, 0.6], [0.2, 0.9], [0.9, 0.1]], dtype=torch.float64)
    assert (pending_penalty(x, pending) < 0).tolist() == [True, False, True, False]


def test_another_choice_is_not_next_to_a_pending_one() -> None:
    space = SearchSpace.of(
        {"x": FloatDistribution(0, 1), "kind": CategoricalDistribution(("a", "b"))}
    )
    points = torch.tensor(space.encode([{"x": 0.5, "kind": kind} for kind in "ab"]))
    assert (pending_penalty(points, points[:1]) < 0).tolist() == [True, False]


@pytest.mark.parametrize("seed", range(3))
def test_workers_that_are_close_to_the_optimum_keep_apart(seed: int) -> None:
    rng = generator(seed)
    x = torch.rand((12, 2), generator=rng, dtype=torch.float64)
    y = -((x - 0.4) ** 2).sum(dim=1)
    pending: list[dict[str, object]] = []
    for _ in range(6):
        task = Task.of(SPACE, SPACE.decode(x.numpy()), y, pending=pending)
        point = AcquisitionPolicy(GaussianProcess()).propose(task, rng).x
        pending += SPACE.decode(point.numpy()[None])
    points = torch.tensor(SPACE.encode(pending))
    gap = (points[:, None] - points).abs().amax(dim=2)
    gap.fill_diagonal_(1.0)
    assert float(gap.min()) >= 0.01


def test_exploration_goes_where_less_is_known_and_without_it_where_the_mean_is_highest() -> None:
    x = torch.tensor([[0.0], [0.05], [0.1], [0.15], [0.2]], dtype=torch.float64)
    task = Task.of(LINE, LINE.decode(x.numpy()), -((x[:, 0] - 0.1) ** 2))
    found = []
    for exploration in (0.0, 50.0):
        policy = ConfidenceBoundPolicy(GaussianProcess(), exploration)
        found.append(float(policy.propose(task, generator()).x))
    assert abs(found[0] - 0.1) < 0.05
    assert found[1] > 0.5

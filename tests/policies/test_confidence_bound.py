"""What is maximised: the prediction, and a share of its standard deviation."""

from __future__ import annotations

from optuna.distributions import FloatDistribution
import torch

from optuna_metasampler.policies.acquisition import ConfidenceBoundPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.task import Task


SPACE = SearchSpace.of({"x": FloatDistribution(0, 1)})


def test_exploration_goes_where_less_is_known_and_without_it_where_the_mean_is_highest() -> None:
    x = torch.tensor([[0.0], [0.05], [0.1], [0.15], [0.2]], dtype=torch.float64)
    task = Task.of(SPACE, SPACE.decode(x.numpy()), -((x[:, 0] - 0.1) ** 2))
    found = []
    for exploration in (0.0, 50.0):
        policy = ConfidenceBoundPolicy(GaussianProcess(), exploration)
        found.append(float(policy.propose(task, torch.Generator().manual_seed(0)).x))
    assert abs(found[0] - 0.1) < 0.05
    assert found[1] > 0.5

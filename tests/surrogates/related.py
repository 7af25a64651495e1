"""Related studies of a space of two numbers and a choice."""

from __future__ import annotations

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution
import torch

from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


SPACE = SearchSpace.of(
    {
        "a": FloatDistribution(0, 1),
        "b": FloatDistribution(0, 1),
        "c": CategoricalDistribution("xy"),
    }
)


def value(x: torch.Tensor, shift: float = 0.0) -> torch.Tensor:
    return -((x[:, 0] - 0.3 - shift) ** 2) - 0.3 * (x[:, 1] - 0.6) ** 2 + 0.1 * x[:, 2]


def points(n: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(SPACE.spread(np.random.default_rng(seed).random((n, 3))))


def study(seed: int, n: int = 40, shift: float = 0.0, sign: float = 1.0) -> Task:
    x = points(n, seed)
    params = SPACE.decode(x.numpy())
    return Task.of(SPACE, params, sign * value(x, shift), name=f"study-{seed}")

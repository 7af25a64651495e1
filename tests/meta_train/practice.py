"""Small prior studies to practise on."""

from __future__ import annotations

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution
import torch

from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


NUMBERS = SearchSpace.of({"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)})
# `b` takes part where `kind` is "x".
MIXED = SearchSpace.of(
    {
        "a": FloatDistribution(0, 1),
        "b": FloatDistribution(0, 1),
        "kind": CategoricalDistribution("xyz"),
    },
    [{"a": 0.1 * i, "b": 0.5, "kind": "x"} for i in range(9)]
    + [{"a": 0.1 * i, "kind": kind} for i in range(9) for kind in "yz"],
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def study(space: SearchSpace, seed: int, n: int = 25) -> Task:
    """Random trials; the best place is near 0.8 and differs a little from study to study."""
    rng = np.random.default_rng(seed)
    u = rng.random((n, len(space.parameters)))
    configurations = space.decode(space.spread(u))
    best = 0.8 + 0.03 * rng.standard_normal()
    y = [
        -((c["a"] - best) ** 2) - (c.get("b", 0.6) - 0.2) ** 2 - 0.2 * (c.get("kind") == "z")
        for c in configurations
    ]
    return Task.of(space, configurations, torch.tensor(y, dtype=torch.float64))

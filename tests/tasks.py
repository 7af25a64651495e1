"""Spaces, points and tasks that many tests begin with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution
import torch

from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


def cube(names: Iterable[str]) -> SearchSpace:
    """A space of numbers from 0 to 1."""
    return SearchSpace.of({name: FloatDistribution(0, 1) for name in names})


NUMBERS = cube("ab")
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
    return torch.Generator(device="cpu").manual_seed(seed)


def uniform(n: int, d: int = 2, seed: int = 0) -> torch.Tensor:
    """Points of shape `(n, d)` from 0 to 1."""
    return torch.rand((n, d), generator=generator(seed), dtype=torch.float64)


def contains(points: torch.Tensor, x: torch.Tensor) -> bool:
    """Whether `x` of shape `(d,)` is one of the points of shape `(n, d)`."""
    return bool((points - x).abs().sum(dim=1).min() < 1e-9)


def task_of(space: SearchSpace, x: torch.Tensor, y: torch.Tensor, name: str = "") -> Task:
    return Task.of(space, space.decode(x.numpy()), y, name=name)


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

"""Configurations of prior studies, completed by what these did not have."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from optuna_metasampler.maximize import quasi_random
from optuna_metasampler.space import SearchSpace


def completed(
    points: Tensor, unknown: Collection[str], space: SearchSpace, generator: torch.Generator
) -> Tensor:
    """The points with quasi-random values of some parameters, shape ``(k, d)``.

    Args:
        points: Points of the space, shape ``(k, d)``.
        unknown: Names of the parameters that get other values.
        space: The space.
        generator: Source of all randomness; nothing is drawn where nothing is unknown.
    """
    columns = [p.columns for p in space.parameters if p.name in unknown]
    if not columns:
        return points
    values = quasi_random(space, len(points), generator)
    filled = points.clone()
    for of_parameter in columns:
        filled[:, of_parameter] = values[:, of_parameter]
    return filled

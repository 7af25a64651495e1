"""Mixtures of a few normal distributions, many at a time.

Axis letters: ``h`` parts of the mixture, ``q`` mixtures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor


if TYPE_CHECKING:
    from optuna_metasampler.surrogates.gaussian_process import GaussianProcessPredictor

# Halvings: to the last digit of a double.
_N_STEPS = 60


def weights_of(predictor: GaussianProcessPredictor) -> Tensor:
    """The probability of each hypothesis of a predictor, shape ``(h,)``."""
    return torch.tensor(predictor.weights, dtype=torch.float64)


def quantiles(mean: Tensor, spread: Tensor, weights: Tensor, levels: Sequence[float]) -> Tensor:
    """Quantiles of mixtures of normal distributions.

    Args:
        mean: Shape ``(h, q)``.
        spread: Standard deviations, above 0, shape ``(h, q)``.
        weights: Shape ``(h,)``, sum 1.
        levels: Probabilities in ``(0, 1)``.

    Returns:
        Shape ``(levels, q)``, by bisection between the quantiles of the parts.
    """
    level = torch.tensor(levels, dtype=torch.float64)[:, None]
    each = mean + spread * torch.special.ndtri(level)[:, None]
    low, high = each.amin(1), each.amax(1)
    for _ in range(_N_STEPS):
        middle = (low + high) / 2
        parts = torch.special.ndtr((middle[:, None] - mean) / spread)
        below = torch.einsum("h,lhq->lq", weights, parts) < level
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    found: Tensor = (low + high) / 2
    return found

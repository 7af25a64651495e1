"""Plateaus: where the next outcome is likely to be one that is known already.

Many objectives are flat in steps: a parameter is rounded inside the objective, a metric counts the
errors on a small test set, a flag changes nothing while another is off. A Gaussian process knows
nothing of exact ties, and next to the best plateau it goes on to expect small improvements. How
often two trials have had *exactly* the same outcome, by their distance, tells how far away the
next trial has to be to find something out.

Axis letters: ``n`` trials, ``q`` query points, ``d`` encoded columns, ``t`` pairs of trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from optuna_metasampler.task import to_tensor


_MIN_TRIALS = 4
# As if one more pair had differed at every distance: two ties alone prove no plateau.
_PSEUDO_COUNT = 1.0
# A plateau is never certain, so the acquisition function keeps its order on it.
_MAX_PROBABILITY = 0.98


@dataclass(frozen=True)
class Plateaus:
    """Probability that a point has the outcome of its nearest trial, by their distance.

    Attributes:
        x: Trials' points, scaled, shape ``(n, d)``.
        scale: Columns' factors, shape ``(d,)``.
        distance: Distances of pairs of trials, ascending, shape ``(t,)``.
        log_new: Log probability that outcomes so far apart differ, ascending, shape ``(t,)``.
    """

    x: Tensor
    scale: Tensor
    distance: Tensor
    log_new: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, scale: Tensor) -> Plateaus | None:
        """Learn from trials.

        The share of exact ties is regressed on the distance, falling (isotonic regression: Barlow,
        Bartholomew, Bremner & Brunk 1972, *Statistical Inference under Order Restrictions*).

        Args:
            x: Points, shape ``(n, d)``.
            y: Raw outcomes, shape ``(n,)``.
            scale: Factor of each column in the distance, such as the inverse lengthscales, shape
                ``(d,)``: what hardly matters should hardly count.

        Returns:
            ``None`` where no two trials have the same outcome.
        """
        if len(x) < _MIN_TRIALS:
            return None
        i, j = torch.triu_indices(len(x), len(x), 1)
        tied = (y[i] == y[j]).to(torch.float64)
        if not bool(tied.any()):
            return None
        from sklearn.isotonic import IsotonicRegression

        scaled = x * scale
        distance, order = torch.sort(torch.cdist(scaled, scaled)[i, j], stable=True)
        falling = IsotonicRegression(increasing=False, y_min=0.0, y_max=1.0)
        share = to_tensor(falling.fit_transform(distance.numpy(), tied[order].numpy()))
        _, level, counts = torch.unique(share, return_inverse=True, return_counts=True)
        pairs = counts[level].to(torch.float64)
        probability = (share * pairs / (pairs + _PSEUDO_COUNT)).clamp(max=_MAX_PROBABILITY)
        # Small levels shrink more than large ones, which may undo their order.
        probability = torch.cummin(probability, 0).values
        return cls(scaled, scale, distance, torch.log1p(-probability))

    def __call__(self, x: Tensor) -> Tensor:
        """Log probability of an outcome other than the nearest trial's.

        Args:
            x: Points, shape ``(q, d)``.

        Returns:
            At most 0, shape ``(q,)``; differentiable in ``x``. Added to a log expected
            improvement it makes that of an outcome that is tied with probability ``1 - exp(.)``.
        """
        nearest = torch.cdist(x * self.scale, self.x).min(dim=1).values
        right = torch.searchsorted(self.distance, nearest.detach()).clamp(
            1, len(self.distance) - 1
        )
        lower, upper = self.distance[right - 1], self.distance[right]
        fraction = ((nearest - lower) / (upper - lower).clamp_min(1e-12)).clamp(0.0, 1.0)
        return torch.lerp(self.log_new[right - 1], self.log_new[right], fraction)

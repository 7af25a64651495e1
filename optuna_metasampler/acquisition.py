"""Acquisition functions: the utility of a point, given the distribution of its outcome.

Functions of ``(distribution, incumbent)``, larger is better, differentiable, in log space so that
they do not underflow far from the incumbent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal

from optuna_metasampler.pareto import Boxes
from optuna_metasampler.task import to_tensor


_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
# Below this the bracket of `_LogH` suffers from cancellation; its asymptote is exact to 1e-9.
_FAR_LEFT = -1e4
_LEAST_GAP = 1e-15
_MIN_TRIALS = 4
# One more pair that differs, at every distance: two ties alone are weak evidence.
_PSEUDO_COUNT = 1.0
# A tie is never certain, so the acquisition function keeps its order among tied points.
_MAX_PROBABILITY = 0.98
# A point next to a pending one is nearly redundant.
_NEAR = 0.01
_PENALTY = 50.0


class _LogH(torch.autograd.Function):
    """``log(phi(u) + u Phi(u))`` without underflow: Ament et al. 2023, arXiv:2310.20708.

    With the scaled complementary error function, ``phi(u) + u Phi(u)`` is ``phi(u)`` times
    ``1 + sqrt(pi / 2) u erfcx(-u / sqrt(2))``, and the bracket tends to ``u**-2`` for
    ``u -> -inf``. The derivative is ``Phi(u) / (phi(u) + u Phi(u))``.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        """The value, of the shape of ``u``."""
        log_density = -0.5 * u * u - _LOG_SQRT_2PI
        right = torch.log(log_density.exp() + u * torch.special.ndtr(u))
        bracket = _SQRT_HALF_PI * u * torch.special.erfcx(u * -math.sqrt(0.5))
        left = log_density + torch.where(u < _FAR_LEFT, -2.0 * torch.log(-u), torch.log1p(bracket))
        value = torch.where(u > -1.0, right, left)
        ctx.save_for_backward(u, value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """The gradient, of the shape of ``u``."""
        u, value = ctx.saved_tensors
        return gradients[0] * torch.exp(torch.special.log_ndtr(u) - value)


def _log_h(u: Tensor) -> Tensor:
    value: Tensor = _LogH.apply(u)  # type: ignore[no-untyped-call]
    return value


def log_expected_improvement(distribution: Distribution, incumbent: float | Tensor) -> Tensor:
    """Logarithm of the expected improvement over ``incumbent``.

    Expected improvement is linear in the density, so that of a mixture is the mixture of its
    components' expected improvements.

    Args:
        distribution: A ``Normal``, or a ``MixtureSameFamily`` of normals, of any batch shape.
        incumbent: The outcome to improve on; larger is better. A tensor must broadcast with the
            batch shape.

    Returns:
        ``log E[max(f - incumbent, 0)]``, of the batch shape.

    Raises:
        TypeError: For any other distribution.
    """
    if isinstance(distribution, MixtureSameFamily):
        log_weights = torch.log_softmax(distribution.mixture_distribution.logits, dim=-1)
        each = incumbent.unsqueeze(-1) if isinstance(incumbent, Tensor) else incumbent
        components = log_expected_improvement(distribution.component_distribution, each)
        return torch.logsumexp(components + log_weights, dim=-1)
    if not isinstance(distribution, Normal):
        raise TypeError(
            "`distribution` must be a Normal or a mixture of normals, but got "
            f"{type(distribution).__name__}."
        )
    u = (distribution.mean - incumbent) / distribution.stddev
    return _log_h(u) + torch.log(distribution.stddev)


def log_expected_hypervolume_improvement(
    distributions: Sequence[Distribution], boxes: Boxes
) -> Tensor:
    """Logarithm of the expected increase of the hypervolume of a front.

    Exact for independent objectives. The increase is the sum over boxes of a product over
    objectives of how far the outcome reaches into the box. The expectation of one such factor is
    the expected improvement over the box's lower edge less that over its upper one (Emmerich,
    Deutz & Klinkenberg 2011, "Hypervolume-based expected improvement", IEEE CEC; Yang, Emmerich,
    Deutz & Baeck 2019, J. Glob. Optim. 75). In log space, after Ament et al. 2023,
    arXiv:2310.20708.

    Args:
        distributions: One for each of ``m`` objectives: a ``Normal`` or a ``MixtureSameFamily`` of
            normals of batch shape ``(q,)``.
        boxes: The part that the front does not dominate, above a reference point.

    Returns:
        Shape ``(q,)``.

    Raises:
        TypeError: For any other distribution.
    """
    total: Tensor | None = None
    for distribution, lower, upper in zip(
        distributions, boxes.lower.T, boxes.upper.T, strict=True
    ):
        # Boxes lie side by side and share their edges.
        edges, place = torch.unique(torch.cat([lower, upper]), return_inverse=True)
        log_ei = _log_expected_improvements(distribution, edges)
        at_lower, at_upper = log_ei[:, place[: len(lower)]], log_ei[:, place[len(lower) :]]
        reach = at_lower + _log1mexp(at_upper - at_lower)
        total = reach if total is None else total + reach
    assert total is not None
    return torch.logsumexp(total, dim=1)


def _log_expected_improvements(distribution: Distribution, incumbents: Tensor) -> Tensor:
    """Log expected improvement at ``q`` points over ascending incumbents ``(e,)``: ``(q, e)``."""
    finite = incumbents[torch.isfinite(incumbents)]
    log_ei = log_expected_improvement(_with_axis(distribution), finite)
    beyond = len(incumbents) - len(finite)
    return torch.cat([log_ei, log_ei.new_full((len(log_ei), beyond), -torch.inf)], dim=1)


def _with_axis(distribution: Distribution) -> Distribution:
    """The distribution of batch shape ``(q,)`` with batch shape ``(q, 1)``."""
    if isinstance(distribution, MixtureSameFamily):
        parts = distribution.component_distribution
        return MixtureSameFamily(
            Categorical(
                logits=distribution.mixture_distribution.logits.unsqueeze(1), validate_args=False
            ),
            Normal(parts.mean.unsqueeze(1), parts.stddev.unsqueeze(1), validate_args=False),
            validate_args=False,
        )
    if not isinstance(distribution, Normal):
        return distribution
    return Normal(
        distribution.mean.unsqueeze(1), distribution.stddev.unsqueeze(1), validate_args=False
    )


def _log1mexp(x: Tensor) -> Tensor:
    """``log(1 - exp(x))`` for ``x <= 0``; clamped to a finite value near 0."""
    x = x.clamp_max(-_LEAST_GAP)
    # Maechler 2012, "Accurately computing log(1 - exp(-|a|))", note to the R package Rmpfr.
    near = x > -math.log(2.0)
    # Each branch gets arguments in its domain, or its gradient turns the sum into NaN.
    return torch.where(
        near,
        torch.log(-torch.expm1(torch.where(near, x, -1.0))),
        torch.log1p(-torch.exp(torch.where(near, -1.0, x))),
    )


@dataclass(frozen=True)
class TieProbability:
    """Probability that a point has the outcome of its nearest trial, by their distance.

    Many objectives are flat in steps: a parameter is rounded inside the objective, a metric counts
    the errors on a small test set, a flag has no effect while another is off. A Gaussian process
    does not model exact ties, and expects small improvements next to the best trial forever. The
    share of pairs of trials with *exactly* the same outcome, by their distance, estimates how far
    away the next trial must be to have a new outcome.

    Axis letters: ``n`` trials, ``q`` query points, ``d`` encoded columns, ``t`` pairs of trials.

    Attributes:
        x: Trials' points, scaled, shape ``(n, d)``.
        scale: Columns' factors, shape ``(d,)``.
        distance: Distances of pairs of trials, ascending, shape ``(t,)``.
        log_new: Log probability that outcomes at these distances differ, ascending, shape
            ``(t,)``.
    """

    x: Tensor
    scale: Tensor
    distance: Tensor
    log_new: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, scale: Tensor) -> TieProbability | None:
        """Estimate from trials.

        Decreasing isotonic regression of exact ties on the distance (Barlow, Bartholomew, Bremner
        & Brunk 1972, *Statistical Inference under Order Restrictions*).

        Args:
            x: Points, shape ``(n, d)``.
            y: Raw outcomes, shape ``(n,)``.
            scale: Factor of each column in the distance, such as the inverse lengthscales, shape
                ``(d,)``, so that unimportant columns hardly count.

        Returns:
            ``None`` if no two trials have the same outcome.
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
        # Small levels shrink more than large ones, which may change their order.
        probability = torch.cummin(probability, 0).values
        return cls(scaled, scale, distance, torch.log1p(-probability))

    def __call__(self, x: Tensor) -> Tensor:
        """Log probability of an outcome other than the nearest trial's.

        Args:
            x: Points, shape ``(q, d)``.

        Returns:
            At most 0, shape ``(q,)``; differentiable in ``x``. Added to a log expected
            improvement, it gives that of an outcome tied with probability ``1 - exp(.)``.
        """
        nearest = torch.cdist(x * self.scale, self.x).min(dim=1).values
        right = torch.searchsorted(self.distance, nearest.detach()).clamp(
            1, len(self.distance) - 1
        )
        lower, upper = self.distance[right - 1], self.distance[right]
        fraction = ((nearest - lower) / (upper - lower).clamp_min(1e-12)).clamp(0.0, 1.0)
        return torch.lerp(self.log_new[right - 1], self.log_new[right], fraction)


def pending_penalty(x: Tensor, pending: Tensor) -> Tensor:
    """Penalty for points ``(q, d)`` near a pending one, in nats: shape ``(q,)``, at most 0.

    Near means a difference of less than 1% of the range in all columns.
    """
    gap = (x.detach().unsqueeze(1) - pending).abs().amax(dim=2).amin(dim=1)
    return torch.where(gap < _NEAR, -_PENALTY, 0.0).to(x.dtype)

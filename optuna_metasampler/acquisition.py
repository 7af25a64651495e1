"""Acquisition functions: how much a point is worth, given the distribution of its outcome.

Functions of ``(distribution, incumbent)``, larger is better, differentiable, in log space from the
start so that they never flatten out to zero far from the incumbent.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily, Normal


_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
# Below this the bracket of `_LogH` loses its digits to cancellation; the limit is exact to 1e-9
# there.
_FAR_LEFT = -1e4


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


def log_expected_improvement(distribution: Distribution, incumbent: float) -> Tensor:
    """Logarithm of the expected improvement over ``incumbent``.

    Expected improvement is linear in the density, so that of a mixture is the mixture of its
    components' expected improvements.

    Args:
        distribution: A ``Normal``, or a ``MixtureSameFamily`` of normals, of any batch shape.
        incumbent: The outcome to improve on; larger is better.

    Returns:
        ``log E[max(f - incumbent, 0)]``, of the batch shape.

    Raises:
        TypeError: For any other distribution.
    """
    if isinstance(distribution, MixtureSameFamily):
        log_weights = torch.log_softmax(distribution.mixture_distribution.logits, dim=-1)
        components = log_expected_improvement(distribution.component_distribution, incumbent)
        return torch.logsumexp(components + log_weights, dim=-1)
    if not isinstance(distribution, Normal):
        raise TypeError(
            "`distribution` must be a Normal or a mixture of normals, but got "
            f"{type(distribution).__name__}."
        )
    u = (distribution.mean - incumbent) / distribution.stddev
    return _log_h(u) + torch.log(distribution.stddev)

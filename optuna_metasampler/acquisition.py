"""Acquisition functions: how much a point is worth, given the distribution of its outcome.

Functions of ``(distribution, incumbent)``, larger is better, differentiable, in log space from the
start so that they never flatten out to zero far from the incumbent.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily, Normal


_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
# Below this the bracket of `_log_h` loses its digits to cancellation; the limit is exact to 1e-9
# there.
_FAR_LEFT = -1e4


def _log_h(u: Tensor) -> Tensor:
    """``log(phi(u) + u Phi(u))`` without underflow: Eq. 14 of Ament et al. 2023, arXiv:2310.20708.

    With the scaled complementary error function, ``phi(u) + u Phi(u)`` is ``phi(u)`` times
    ``1 + sqrt(pi / 2) u erfcx(-u / sqrt(2))``, and the bracket tends to ``u**-2`` for ``u ->
    -inf``.
    """
    right = u > -1.0
    far = u < _FAR_LEFT
    # Each branch sees only arguments that it is meant for: `where` lets NaN gradients through.
    u_right = torch.where(right, u, torch.zeros_like(u))
    density = torch.exp(-0.5 * u_right**2 - _LOG_SQRT_2PI)
    log_right = torch.log(density + u_right * torch.special.ndtr(u_right))
    u_left = torch.where(right | far, torch.full_like(u, -2.0), u)
    bracket = _SQRT_HALF_PI * u_left * torch.special.erfcx(-u_left / math.sqrt(2.0))
    log_left = torch.log1p(bracket)
    u_far = torch.where(far, u, torch.full_like(u, -2.0))
    log_far = -2.0 * torch.log(-u_far)
    log_density = -0.5 * torch.where(right, torch.zeros_like(u), u) ** 2 - _LOG_SQRT_2PI
    return torch.where(right, log_right, log_density + torch.where(far, log_far, log_left))


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

"""How much of a function's variance moves with each of its inputs.

Axis letters: ``n`` points, ``p`` inputs, ``r`` functions, computed side by side.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine


_SEED = 0
# Below this share of a function's size its variance is rounding.
_ROUNDING = 1e-10


def quasi_uniform(n: int, p: int) -> Tensor:
    """Points that fill the unit cube, always the same: shape ``(n, p)``.

    Scrambled Sobol points; plain random ones past their dimension.
    """
    if 0 < p <= SobolEngine.MAXDIM:
        engine = SobolEngine(p, scramble=True, seed=_SEED)  # type: ignore[no-untyped-call]
        # Not the first point: torch computes it in the user's default type, whatever is asked for.
        drawn: Tensor = engine.draw(n + 1, dtype=torch.float64)[1:]
        return drawn
    generator = torch.Generator(device="cpu").manual_seed(_SEED)
    return torch.rand((n, p), generator=generator, dtype=torch.float64)


def total_effects(f: Callable[[Tensor], Tensor], p: int, n: int) -> tuple[Tensor, Tensor]:
    """Total-effect indices of functions of independent uniform inputs.

    The index of an input is the share of the variance that would be left if all other inputs were
    known: what moves with it, alone or together with others. Shares add up to 1 where inputs act
    one by one, and to more through interactions. The estimator is that of Jansen 1999 ("Analysis
    of variance designs for model output", Comput. Phys. Commun. 117), Eq. (f) of Table 2 in
    Saltelli et al. 2010 (Comput. Phys. Commun. 181), over quasi-random points that are always the
    same. The variance is that of all points that are evaluated.

    Args:
        f: From points ``(q, p)`` of the unit cube to values ``(q, r)``.
        p: Number of inputs.
        n: Pairs of points an input; ``f`` is asked for ``n (p + 1)`` values.

    Returns:
        The indices, shape ``(r, p)``, zeros where a function is constant; and the functions'
        means, shape ``(r,)``.
    """
    both = quasi_uniform(n, 2 * p)
    a, b = both[:, :p], both[:, p:]
    points = a.repeat(p + 1, 1, 1)
    for i in range(p):
        points[i, :, i] = b[:, i]
    values = f(points.reshape(-1, p))
    values = values.reshape(p + 1, n, -1)
    mean = values.mean((0, 1))
    variance = (values - mean).square().mean((0, 1))
    constant = variance.sqrt() <= _ROUNDING * (1.0 + mean.abs())
    moved = 0.5 * (values[:p] - values[p]).square().mean(1)
    indices = torch.where(constant, 0.0, moved / variance.clamp_min(torch.finfo(moved.dtype).tiny))
    return indices.T, mean

"""Scale-free features of outcomes, for policies without a surrogate.

Axis letters: ``q`` outcomes to describe, ``n`` outcomes so far.
"""

from __future__ import annotations

import torch
from torch import Tensor

from optuna_metasampler.task import Task


N_RANK_FEATURES = 2


def rank_features(y: Tensor, among: Tensor, known: Tensor | None = None) -> Tensor:
    """Two dimensionless features of each outcome, relative to the outcomes so far.

    A policy is trained on the smoothed ranks of prior studies and used on the raw outcomes of
    another study of unknown unit and scale. Its inputs must not depend on these, and must need the
    outcomes so far alone, so that they mean the same in training and in use:

    * the normal quantile of the rank, invariant to increasing functions of the outcomes;
    * the position between the median, 0, and the best, 1, squashed by a hyperbolic tangent. It
      distinguishes a narrow miss from a wide one and has a gradient, but is invariant to location
      and scale only. A diverged trial affects neither end.

    Args:
        y: Outcomes to describe, shape ``(..., q)``; larger is better; may be infinite.
        among: The outcomes so far, these included, shape ``(..., n)``.
        known: Which of them count, shape ``(..., n)``, bool; ``None`` for all.

    Returns:
        Features, shape ``(..., q, 2)``.
    """
    if not among.shape[-1]:
        return y.new_zeros((*y.shape, N_RANK_FEATURES))
    value, others = y.unsqueeze(-1), among.unsqueeze(-2)
    counts = torch.ones_like(among) if known is None else known.to(among)
    below = (others < value).to(among) + 0.5 * (others == value).to(among)
    share = (below * counts.unsqueeze(-2)).sum(-1) / counts.sum(-1, keepdim=True).clamp_min(1.0)
    # An outcome that is not among the known ones may be below or above all of them.
    edge = 0.5 / counts.sum(-1, keepdim=True).clamp_min(1.0)
    quantile = torch.special.ndtri(torch.minimum(torch.maximum(share, edge), 1.0 - edge))
    counted = among if known is None else among.masked_fill(~known, torch.nan)
    middle = counted.nanmedian(dim=-1, keepdim=True).values
    top = counted.nan_to_num(nan=-torch.inf).amax(dim=-1, keepdim=True)
    spread = top - middle
    usable = torch.isfinite(spread) & (spread > 0)
    place = (y - middle) / torch.where(usable, spread, 1.0)
    place = torch.where(usable, place.nan_to_num(nan=0.0), 0.0)
    return torch.stack([quantile, torch.tanh(place)], dim=-1)


def constant_liar(history: Task) -> tuple[Tensor, Tensor]:
    """The trials of a history; failed and pending ones get the worst outcome so far.

    A policy without another memory has to see these trials too, as outcomes that occurred in its
    training (the "constant liar" of Ginsbourger, Le Riche & Carraro 2010).

    Returns:
        Configurations ``(n, d)``, those without an outcome last, and outcomes ``(n,)``.
    """
    x = torch.cat([history.x, history.tried, history.pending])
    worst = history.y.min() if len(history) else torch.zeros((), dtype=torch.float64)
    return x, torch.cat([history.y, worst.expand(len(x) - len(history))])

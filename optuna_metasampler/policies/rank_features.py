"""What a policy without a surrogate is told of an outcome: where it stands among those so far.

Axis letters: ``q`` outcomes to describe, ``n`` outcomes so far.
"""

from __future__ import annotations

import torch
from torch import Tensor

from optuna_metasampler.task import Task


N_RANK_FEATURES = 2


def rank_features(y: Tensor, among: Tensor, known: Tensor | None = None) -> Tensor:
    """Two numbers for each outcome, in no unit: how it compares with the outcomes so far.

    A policy is trained on the smoothed ranks of prior studies and used on the raw outcomes of
    another one, whose unit and scale nobody knows. What it sees must not depend on them, and must
    need no more than the outcomes so far, so that it means the same in training and in use:

    * the normal quantile of the rank, which no increasing function of the outcomes changes;
    * the place between the median, 0, and the best, 1, squashed by a hyperbolic tangent. It tells
      a narrow miss from a wide one and has a gradient, but is free of location and scale only. A
      trial that diverged moves neither end.

    Args:
        y: Outcomes to describe, shape ``(..., q)``; larger is better; may be infinite.
        among: The outcomes so far, these included, shape ``(..., n)``.
        known: Which of them count, shape ``(..., n)``, bool; ``None`` for all.

    Returns:
        Signals, shape ``(..., q, 2)``.
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
    """The trials of a history, what failed or is being evaluated as bad as the worst so far.

    Nothing is known of these, but a policy that has no other memory has to be told of them, and in
    terms that it has met (the "constant liar" of Ginsbourger, Le Riche & Carraro 2010).

    Returns:
        Configurations ``(n, d)``, those without an outcome last, and outcomes ``(n,)``.
    """
    x = torch.cat([history.x, history.tried, history.pending])
    worst = history.y.min() if len(history) else torch.zeros((), dtype=torch.float64)
    return x, torch.cat([history.y, worst.expand(len(x) - len(history))])

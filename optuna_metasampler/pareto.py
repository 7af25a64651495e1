"""Pareto fronts, the volume that they dominate, and boxes that fill the rest of the space.

Pure functions on outcomes of several objectives; **larger is better**.

Axis letters: ``n`` points, ``m`` objectives, ``b`` boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import torch
from torch import Tensor


# Least width of a front, in units of the outcomes.
_LEAST_WIDTH = 0.1


def dominates(a: Tensor, b: Tensor) -> Tensor:
    """Whether points are at least as good as others in every objective and better in one.

    Args:
        a: Shape ``(n, m)``.
        b: Shape ``(k, m)``.

    Returns:
        Shape ``(n, k)``, bool.
    """
    left, right = a.unsqueeze(1), b.unsqueeze(0)
    return (left >= right).all(dim=2) & (left > right).any(dim=2)


def non_dominated(outcomes: Tensor) -> Tensor:
    """Which points no other point dominates, shape ``(n,)``, bool; duplicates are treated alike.

    Args:
        outcomes: Shape ``(n, m)``; may be infinite, not NaN.
    """
    # A dominating point has no smaller sum of ranks: in this order the first point is never
    # dominated. Each pass moves it to the front and drops the points that it dominates.
    left = torch.arange(len(outcomes))
    # Ranks, because sums of outcomes may overflow or lose a difference to rounding.
    ranks = torch.stack([torch.unique(c, return_inverse=True)[1] for c in outcomes.T], dim=1)
    left = left[torch.argsort(ranks.sum(dim=1), descending=True, stable=True)]
    front = torch.zeros(len(outcomes), dtype=torch.bool)
    while len(left):
        best = ranks[left[:1]]
        equal = (ranks[left] == best).all(dim=1)
        front[left[equal]] = True
        left = left[~equal & ~dominates(best, ranks[left])[0]]
    return front


def spread_out(outcomes: Tensor, limit: int) -> Tensor:
    """Rows of at most ``limit`` representative points: the best of each objective, then a spread.

    Greedily adds the point that is farthest from those taken (Gonzalez 1985, Theor. Comput. Sci.
    38), with each objective in units of its range.

    Args:
        outcomes: Shape ``(n, m)``, finite.
        limit: Number of rows to keep, at least ``m``.

    Returns:
        Sorted row numbers, shape ``(min(n, limit),)``.
    """
    n = len(outcomes)
    if n <= limit:
        return torch.arange(n)
    width = outcomes.max(dim=0).values - outcomes.min(dim=0).values
    unit = outcomes / torch.where(width > 0, width, 1.0)
    rows = list(dict.fromkeys(outcomes.argmax(dim=0).tolist()))
    gap = torch.cdist(unit, unit[rows]).min(dim=1).values
    gap[rows] = -1.0
    while len(rows) < limit:
        rows.append(int(gap.argmax()))
        gap = torch.minimum(gap, (unit - unit[rows[-1]]).norm(dim=1))
        gap[rows] = -1.0
    return torch.tensor(sorted(rows))


def reference_point(front: Tensor) -> Tensor:
    """Reference point of the hypervolume of a front, shape ``(m,)``.

    Worse than the worst of the front by the distance of neighbours, if its ``n`` points lay evenly
    on a plane. A point at the end of the front then contributes as much as one in its middle
    (Ishibuchi, Imada, Setoguchi & Nojima 2018, Evol. Comput. 26(3)).

    Args:
        front: Non-dominated points, shape ``(n, m)``, at least one, finite.
    """
    n, m = front.shape
    steps = 1
    while math.comb(steps + m, m - 1) <= n:
        steps += 1
    worst = front.min(dim=0).values
    width = (front.max(dim=0).values - worst).clamp_min(_LEAST_WIDTH)
    corner: Tensor = worst - width / steps
    return corner


@dataclass(frozen=True)
class Boxes:
    """Disjoint boxes ``[lower, upper)`` whose sides follow the axes.

    Attributes:
        lower: Lower corners, shape ``(b, m)``.
        upper: Upper corners, shape ``(b, m)``; may be infinite.
    """

    lower: Tensor
    upper: Tensor

    def volume_below(self, point: Tensor) -> Tensor:
        """Volume that a point of shape ``(m,)`` dominates; a scalar."""
        volume: Tensor = (torch.minimum(self.upper, point) - self.lower).clamp_min(0.0).prod(1)
        return volume.sum()

    def without(self, point: Tensor) -> Boxes:
        """The parts that a point of shape ``(m,)`` does not dominate.

        Each box that reaches below the point is cut along the point's coordinates, one after the
        other, into up to ``m`` boxes.
        """
        hit = (self.lower < point).all(dim=1)
        if not bool(hit.any()):
            return self
        lower, upper = self.lower[hit], self.upper[hit]
        lowers, uppers = [self.lower[~hit]], [self.upper[~hit]]
        for j in range(len(point)):
            above = upper[:, j] > point[j]
            cut = lower[above].clone()
            cut[:, j] = point[j]
            lowers.append(cut)
            uppers.append(upper[above])
            # The rest of the box is below the point in this objective.
            upper = upper.clone()
            upper[:, j] = upper[:, j].clamp(max=float(point[j]))
        return Boxes(torch.cat(lowers), torch.cat(uppers))


def everything_above(corner: Tensor) -> Boxes:
    """One box, from a corner of shape ``(m,)`` to infinity."""
    return Boxes(corner[None], torch.full_like(corner[None], torch.inf))


def non_dominated_boxes(points: Tensor, corner: Tensor) -> Boxes:
    """Boxes that fill the part above a corner that no point dominates.

    Args:
        points: Shape ``(n, m)``, finite; dominated points change nothing.
        corner: The reference point, shape ``(m,)``.
    """
    boxes = everything_above(corner)
    for point in _by_last(points):
        boxes = boxes.without(point)
    return boxes


def hypervolume(points: Tensor, corner: Tensor) -> float:
    """Volume that points dominate above a corner (Zitzler & Thiele 1998, PPSN V).

    The sum of the increments of one point after the other.

    Args:
        points: Shape ``(n, m)``, finite.
        corner: The reference point, shape ``(m,)``.
    """
    boxes, volume = everything_above(corner), 0.0
    for point in _by_last(points):
        volume += float(boxes.volume_below(point))
        boxes = boxes.without(point)
    return volume


def _by_last(points: Tensor) -> Tensor:
    """The points in the order that makes the fewest boxes: by the last objective, best first."""
    return points[torch.argsort(points[:, -1], descending=True, stable=True)]

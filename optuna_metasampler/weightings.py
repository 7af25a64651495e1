"""Weights of several objectives: what makes one outcome of them."""

from __future__ import annotations

import itertools


Weightings = tuple[tuple[float, ...], ...]
"""The weights of the objectives in each outcome that a policy models."""

# With more, nearly all trials are on the front and the boxes beside it are counted in thousands:
# volume tells trials apart no better than weights do, and costs more.
MAX_MODELLED_OBJECTIVES = 4
# A step that shares no factor with the number of points visits all of them, far ones first.
_STRIDE = 7


def each_alone(m: int) -> Weightings:
    """``m`` outcomes, one an objective."""
    return tuple(tuple(float(i == j) for i in range(m)) for j in range(m))


def in_turn(m: int, number: int) -> tuple[float, ...]:
    """The weights of ``m`` objectives in the trial of a number: those of a lattice, in turn."""
    lattice = simplex_lattice(m)
    return lattice[(number * _STRIDE) % len(lattice)]


def simplex_lattice(m: int) -> list[tuple[float, ...]]:
    """Weights of ``m`` objectives, evenly spread, none of them zero; 1 for a single one.

    Das & Dennis 1998, SIAM J. Optim. 8(3), moved inwards so that no objective is forgotten.
    """
    if m == 1:
        return [(1.0,)]
    steps = {2: 4, 3: 3}.get(m, 2)
    points = []
    for bars in itertools.combinations(range(steps + m - 1), m - 1):
        edges = (-1, *bars, steps + m - 1)
        parts = [b - a - 1 for a, b in itertools.pairwise(edges)]
        points.append(tuple((part + 0.5) / (steps + 0.5 * m) for part in parts))
    return points

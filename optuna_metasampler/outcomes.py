"""Scales on which outcomes are compared: warps, ranks, penalties and scalarisation.

Axis letters: ``n`` trials, ``m`` objectives.
"""

from __future__ import annotations

from dataclasses import replace
import itertools
import math

import numpy as np
import torch
from torch import Tensor

from optuna_metasampler.pareto import non_dominated
from optuna_metasampler.task import Task, to_tensor


_MIN_SPREAD = 0.3
_MIN_TIED = 3

ScalarisationWeights = tuple[tuple[float, ...], ...]
"""The weights of the objectives in each outcome that a policy models."""

# With more objectives nearly all trials are on the front, and the hypervolume has thousands of
# boxes: it costs more than scalarisation and ranks trials no better.
MAX_MODELLED_OBJECTIVES = 4
# A step that shares no factor with the number of points visits all of them, far ones first.
_STRIDE = 7


def penalized(task: Task) -> Task:
    """The task without constraints: infeasible trials get outcomes below all feasible ones.

    Of two infeasible trials the one with the smaller violation is better, whatever their outcomes
    (Deb 2000, "An efficient constraint handling method for genetic algorithms", Comput. Methods
    Appl. Mech. Eng. 186). Violations of several constraints have no common unit, so their ranks
    are added.
    """
    unconstrained = replace(task, constraints=None, constraint_names=(), crashed=None)
    bad = ~task.feasible
    if task.constraints is None or not bool(bad.any()):
        return unconstrained
    violations = task.constraints[bad].nan_to_num(nan=0.0).clamp_min(0.0)
    rank = _ranks(torch.stack([_ranks(column) for column in violations.T]).sum(0))
    good = task.y[~bad & torch.isfinite(task.y)]
    worst = good.min() if len(good) else task.y.new_zeros(())
    span = good.max() - worst if len(good) else worst
    step = torch.where(span > 0, span, worst.abs().clamp_min(1.0))
    y = task.y.clone()
    largest = torch.finfo(y.dtype).max
    y[bad] = (worst - step * rank / len(rank)).clamp(-largest, largest)
    return replace(unconstrained, y=y)


def _ranks(y: Tensor) -> Tensor:
    """Ranks from 1, ties averaged, shape ``(n,)``."""
    _, inverse, counts = torch.unique(y, return_inverse=True, return_counts=True)
    last = torch.cumsum(counts, 0).to(torch.float64)
    average = last - (counts - 1) / 2
    ranks: Tensor = average[inverse]
    return ranks


def rank_gaussianize(y: Tensor) -> Tensor:
    """Normal quantiles of the ranks: the outcome scale of prior studies.

    Independent of the metric's unit, so that studies with different metrics are comparable.

    Args:
        y: Outcomes, shape ``(n,)``; infinite values have a rank too.

    Returns:
        ``Phi^-1((rank - 0.5) / n)`` with ties averaged, shape ``(n,)``.
    """
    if len(y) == 0:
        return y
    quantiles: Tensor = torch.special.ndtri((_ranks(y) - 0.5) / len(y))
    return quantiles


def mean_and_spread(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread of the outcomes of a context, which define its units.

    Meta-training and suggestions must use the same units.

    Args:
        z: Outcomes, shape ``(..., c)``, at least one.

    Returns:
        Mean and spread, shapes ``(..., 1)``. The spread is at least 0.3, because a few nearly
        equal trials are no evidence of a small scale.
    """
    mean = z.mean(dim=-1, keepdim=True)
    spread = (z - mean).square().mean(dim=-1, keepdim=True).sqrt()
    return mean, spread.clamp_min(_MIN_SPREAD)


def half_rank_warp(y: Tensor) -> Tensor:
    """The outcome scale of the running study: linear for good outcomes, ranks for bad ones.

    The better half stays linear, in units of its own spread about the median, which preserves
    distances between good configurations. The worse half is mapped to normal quantiles, so that a
    configuration that diverged to 1e18 weighs no more than the worst of a normal sample. After the
    half-rank warping of Google Vizier (Song et al. 2024, arXiv:2408.11527).

    Args:
        y: Outcomes, shape ``(n,)``, larger is better; infinite values are clipped to the finite
            ones.

    Returns:
        Warped outcomes, shape ``(n,)``, finite, of about unit scale; zeros where all are equal.
    """
    if len(y) == 0:
        return y
    # Quarters, so that differences of very large floats do not overflow.
    y = finite_outcomes(y) / 4
    n = len(y)
    ordered = torch.sort(y).values
    gap = y - (ordered[(n - 1) // 2] / 2 + ordered[n // 2] / 2)
    if not bool((gap != 0).any()):
        return torch.zeros_like(y)
    better = gap > 0
    if bool(better.any()):
        # Divide by the largest first, to avoid under- and overflow of the squares.
        gap = gap / gap.max()
        gap = gap / (gap[better] ** 2).mean().sqrt()
    quantile = torch.special.ndtri(((_ranks(y) - 0.5) / n).clamp(max=0.5))
    return torch.where(better, gap, quantile)


def half_rank_unwarp(z: Tensor, y: Tensor) -> Tensor:
    """The inverse of :func:`half_rank_warp`.

    Linear between two outcomes of ``y``, and beyond the best and the worst of them.

    Args:
        z: Warped outcomes, any shape.
        y: Outcomes that define the warp, shape ``(n,)``, at least two different ones.

    Returns:
        Outcomes in the units of ``y``, the shape of ``z``.
    """
    return unwarped(z, half_rank_warp(y), finite_outcomes(y))


def unwarped(z: Tensor, warped: Tensor, y: Tensor) -> Tensor:
    """The inverse of a monotone map given at some points; linear between and beyond them.

    Args:
        z: Images, any shape.
        warped: Images of the given points, shape ``(n,)``, at least two different ones.
        y: The given points, shape ``(n,)``, finite.

    Returns:
        The shape of ``z``.
    """
    images, first = np.unique(warped.numpy(), return_index=True)
    # Halves, so that differences of very large floats do not overflow.
    known = y.numpy()[first] / 2
    at = z.numpy()
    left = np.clip(np.searchsorted(images, at, side="right") - 1, 0, len(images) - 2)
    share = (at - images[left]) / (images[left + 1] - images[left])
    # Overflow is clipped below.
    with np.errstate(over="ignore"):
        half = known[left] + share * (known[left + 1] - known[left])
    largest = np.finfo(half.dtype).max / 2
    return to_tensor(2 * np.clip(half, -largest, largest))


def share_of_ties(task: Task) -> float:
    """The share of trials that tie for the best outcome; 0 if the best ones differ.

    With several objectives the best are the Pareto front, which differs where it has two points.
    Infeasible trials rank below all feasible ones. Fewer than three trials say nothing: 0.
    """
    if len(task) < _MIN_TIED:
        return 0.0
    feasible = task.feasible
    if task.outcomes is None or task.outcomes.shape[1] == 1 or not bool(feasible.any()):
        y = finite_outcomes(penalized(task).y)
        return float((y == y.max()).to(torch.float64).mean())
    outcomes = task.outcomes[feasible]
    front = outcomes[non_dominated(outcomes)]
    tied = (outcomes == front[0]).all(dim=1)
    return float(tied.sum()) / len(task) if bool((front == front[0]).all()) else 0.0


def finite_outcomes(y: Tensor) -> Tensor:
    """Outcomes ``(n,)``, infinite ones clipped beyond the others; signs if none is finite."""
    finite = y[torch.isfinite(y)]
    if len(finite) == 0:
        # Only infinities: their signs are all the information.
        return torch.sign(torch.nan_to_num(y, posinf=1.0, neginf=-1.0))
    low, high = float(finite.min()), float(finite.max())
    # Beyond, not among them: a finite outcome stands out from infinitely bad ones.
    gap = high / 2 - low / 2 or max(abs(high), 1.0)
    largest = torch.finfo(y.dtype).max
    return y.clamp(min=max(low - gap, -largest), max=min(high + gap, largest))


def scalarize(outcomes: Tensor, weights: Tensor) -> Tensor:
    """One outcome for several objectives: augmented Chebyshev scalarisation of ranks.

    Weights that change with every suggestion spread the suggestions along the Pareto front: ParEGO
    (Knowles 2006, IEEE Trans. Evol. Comput. 10(1)), on ranks instead of min-max scaled objectives,
    which are sensitive to a single diverged trial.

    Args:
        outcomes: Shape ``(n, m)``, larger is better.
        weights: Shape ``(m,)``, non-negative, sum 1.

    Returns:
        Scalarised outcomes, shape ``(n,)``, larger is better; the column itself where ``m == 1``.
    """
    if outcomes.shape[1] == 1:
        return outcomes[:, 0]
    n = max(len(outcomes), 1)
    loss = torch.stack([1 - (_ranks(column) - 0.5) / n for column in outcomes.T], dim=1)
    weighted = loss * weights
    return -(weighted.max(dim=1).values + 0.05 * weighted.sum(dim=1))


def spearman(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two vectors of shape ``(n,)``; NaN where one is constant."""
    if len(a) < 2:
        return math.nan
    ranks = torch.stack([_ranks(a), _ranks(b)])
    ranks = ranks - ranks.mean(dim=1, keepdim=True)
    norm = ranks.norm(dim=1)
    if float(norm.min()) == 0.0:
        return math.nan
    return float((ranks[0] @ ranks[1]) / (norm[0] * norm[1]))


def spearman_of_columns(columns: Tensor, y: Tensor) -> list[float]:
    """Spearman's rank correlation of each column of a matrix ``(n, k)`` with ``y``."""
    if len(y) < 2:
        return [math.nan] * columns.shape[1]
    rows = torch.cat([columns.T, y[None]])
    ordered = torch.sort(rows).values
    # Twice the rank, ties averaged.
    ranks = torch.searchsorted(ordered, rows) + torch.searchsorted(ordered, rows, right=True)
    centred = ranks.to(torch.float64) - len(y)
    norm = centred.norm(dim=1)
    rho = (centred[:-1] @ centred[-1]) / (norm[:-1] * norm[-1])
    return [float(r) for r in rho]


def unit_weights(m: int) -> ScalarisationWeights:
    """Scalarisation weights of ``m`` outcomes, one an objective."""
    return tuple(tuple(float(i == j) for i in range(m)) for j in range(m))


def lattice_weights(m: int, number: int) -> tuple[float, ...]:
    """Scalarisation weights of ``m`` objectives for a trial number, cycling through a lattice."""
    lattice = simplex_lattice(m)
    return lattice[(number * _STRIDE) % len(lattice)]


def simplex_lattice(m: int) -> list[tuple[float, ...]]:
    """Evenly spread weights of ``m`` objectives, all positive; 1 for a single one.

    Das & Dennis 1998, SIAM J. Optim. 8(3), moved inwards so that no weight is 0.
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

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

from optuna_metasampler.task import Task, to_tensor


_MIN_SPREAD = 0.3

ScalarisationWeights = tuple[tuple[float, ...], ...]
"""The weights of the objectives in each outcome that a policy models."""

# With more, nearly all trials are on the front and the boxes beside it are counted in thousands:
# volume tells trials apart no better than weights do, and costs more.
MAX_MODELLED_OBJECTIVES = 4
# A step that shares no factor with the number of points visits all of them, far ones first.
_STRIDE = 7


def penalized(task: Task) -> Task:
    """The task without constraints: what violates one has an outcome below all feasible ones.

    Of two trials that do, the one with the smaller violation is better, whatever their outcomes
    (Deb 2000, "An efficient constraint handling method for genetic algorithms", Comput. Methods
    Appl. Mech. Eng. 186). Violations of several constraints are added up as ranks, for they have
    no common unit.
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

    Free of the metric's unit, so studies with other metrics or scales can be compared.

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
    """The units of a context's outcomes: all that a running study knows of its scale.

    Meta-training and use have to agree on them.

    Args:
        z: Outcomes, shape ``(..., c)``, at least one.

    Returns:
        Mean and spread, shapes ``(..., 1)``. Two trials that are nearly equal say little about how
        far apart others are, so the spread is at least 0.3.
    """
    mean = z.mean(dim=-1, keepdim=True)
    spread = (z - mean).square().mean(dim=-1, keepdim=True).sqrt()
    return mean, spread.clamp_min(_MIN_SPREAD)


def half_rank_warp(y: Tensor) -> Tensor:
    """The outcome scale of the running study: exact where it matters, robust where it does not.

    The better half stays linear, in units of its own spread about the median, so that the distance
    between good configurations is kept. The worse half is squashed to normal quantiles, so that a
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
    # A quarter, so that the difference of two of the largest floats is one as well.
    y = finite_outcomes(y) / 4
    n = len(y)
    ordered = torch.sort(y).values
    gap = y - (ordered[(n - 1) // 2] / 2 + ordered[n // 2] / 2)
    if not bool((gap != 0).any()):
        return torch.zeros_like(y)
    better = gap > 0
    if bool(better.any()):
        # In units of the largest first: the square of a tiny or a huge number is no number of use.
        gap = gap / gap.max()
        gap = gap / (gap[better] ** 2).mean().sqrt()
    quantile = torch.special.ndtri(((_ranks(y) - 0.5) / n).clamp(max=0.5))
    return torch.where(better, gap, quantile)


def half_rank_unwarp(z: Tensor, y: Tensor) -> Tensor:
    """The outcomes that :func:`half_rank_warp` of ``y`` would have warped to ``z``.

    Linear between two outcomes of ``y``, and beyond the best and the worst of them.

    Args:
        z: Warped outcomes, any shape.
        y: Outcomes that the warp was made from, shape ``(n,)``, at least two different ones.

    Returns:
        Outcomes in the units of ``y``, the shape of ``z``.
    """
    return unwarped(z, half_rank_warp(y), finite_outcomes(y))


def unwarped(z: Tensor, warped: Tensor, y: Tensor) -> Tensor:
    """The inverse of a monotone map that is known at some points, linear between and beyond them.

    Args:
        z: Images, any shape.
        warped: The images that are known, shape ``(n,)``, at least two different ones.
        y: What they are images of, shape ``(n,)``, finite.

    Returns:
        The shape of ``z``.
    """
    images, first = np.unique(warped.numpy(), return_index=True)
    # Halves, so that the difference of two of the largest floats is one as well.
    known = y.numpy()[first] / 2
    at = z.numpy()
    left = np.clip(np.searchsorted(images, at, side="right") - 1, 0, len(images) - 2)
    share = (at - images[left]) / (images[left + 1] - images[left])
    # Far beyond the largest numbers there are, what follows clips to them.
    with np.errstate(over="ignore"):
        half = known[left] + share * (known[left + 1] - known[left])
    largest = np.finfo(half.dtype).max / 2
    return to_tensor(2 * np.clip(half, -largest, largest))


def finite_outcomes(y: Tensor) -> Tensor:
    """Outcomes ``(n,)``, infinite ones clipped to the others; signs if none is finite."""
    finite = y[torch.isfinite(y)]
    if len(finite) == 0:
        # Nothing but infinities: their signs are all that is known.
        return torch.sign(torch.nan_to_num(y, posinf=1.0, neginf=-1.0))
    return y.clamp(min=float(finite.min()), max=float(finite.max()))


def scalarize(outcomes: Tensor, weights: Tensor) -> Tensor:
    """One outcome for several objectives: augmented Chebyshev over ranks.

    Random weights, drawn anew for every suggestion, spread the suggestions along the Pareto front:
    ParEGO (Knowles 2006, IEEE Trans. Evol. Comput. 10(1)), on ranks instead of min-max
    scaled objectives because those are at the mercy of one diverged trial.

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
    """The same of each column of a matrix ``(n, k)``, side by side."""
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


def each_alone(m: int) -> ScalarisationWeights:
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

"""Maximise a function over a search space: many candidates, then local search from the best.

Continuous columns follow the function's gradient with respect to the hyperparameters; grids and
choices move to neighbouring values. The two alternate, because the best number depends on the
choice.

Axis letters: ``n`` candidates, ``s`` starts, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from optuna_metasampler.space import Parameter, SearchSpace
from optuna_metasampler.task import to_tensor


if TYPE_CHECKING:
    from optuna_metasampler.space import FloatArray

Score = Callable[[Tensor], Tensor]
"""Function to maximise: points ``(n, d)`` to values ``(n,)``, differentiable in the points."""

# A numeric parameter with more values than this is treated as continuous, then rounded.
_COARSE = 8
# A finite space of at most this many points is enumerated.
_ENUMERABLE = 2048
# Inner part of a range that space-filling points use; chosen on the benchmark's plan `develop`.
_INNER = 0.8
# The mean logarithm of a uniform number stands in for the distance of values that do not exist.
_MEAN_LOG_GAP = -1.0
_HALF = 0.5
# Neighbours of more numbers than this are scored parameter by parameter, of which that many are
# kept for each start and parameter.
_LARGE, _N_KEPT = 2**22, 8


@dataclass(frozen=True)
class MaximizeConfig:
    """Effort of the search.

    Attributes:
        n_candidates: Number of quasi-random candidates.
        n_perturbed: Number of candidates near good points.
        n_starts: Number of candidates from which local search starts.
        n_rounds: Number of rounds of gradient steps and moves.
        n_gradient_steps: Gradient steps a round; with 0 the score needs no gradient.
        step_size: Step size of plain gradient ascent; ``None`` for L-BFGS.
    """

    n_candidates: int = 320
    n_perturbed: int = 160
    n_starts: int = 4
    n_rounds: int = 2
    n_gradient_steps: int = 8
    step_size: float | None = None


def maximize(
    score: Score,
    space: SearchSpace,
    generator: torch.Generator,
    good: Tensor,
    seen: Tensor,
    config: MaximizeConfig | None = None,
) -> Tensor:
    """The unseen feasible point with the highest score.

    Args:
        score: Function to maximise.
        space: The space; pinned parameters stay pinned.
        generator: Source of all randomness.
        good: Good points, to search around as well, shape ``(m, d)``; best first.
        seen: Points not to be proposed again, shape ``(t, d)``, unless a finite space has no other
            point left.
        config: Effort of the search.

    Returns:
        A feasible point, shape ``(d,)``.
    """
    config = config or MaximizeConfig()
    if space.n_points <= _ENUMERABLE:
        everything = to_tensor(space.grid())
        with torch.no_grad():
            return _unseen_or_best(everything, score(everything), seen)
    x = candidates(space, generator, good, config)
    with torch.no_grad():
        values = score(x)
    top = torch.topk(values, min(config.n_starts, len(x))).indices
    starts, start_values = x[top], values[top]
    visited, visited_values = [x], [values]
    for _ in range(config.n_rounds):
        climbed = _climbed(score, space, starts, config)
        with torch.no_grad():
            climbed_values = score(climbed)
        visited.append(climbed)
        visited_values.append(climbed_values)
        better = climbed_values > start_values
        starts = torch.where(better[:, None], climbed, starts)
        start_values = torch.where(better, climbed_values, start_values)
        moved, moved_values, owner = _moves(score, space, starts)
        if not len(moved):
            break
        visited.append(moved)
        visited_values.append(moved_values)
        improved = False
        for i in range(len(starts)):
            mine = owner == i
            if bool(mine.any()):
                best = int(torch.where(mine, moved_values, -torch.inf).argmax())
                if float(moved_values[best]) > float(start_values[i]):
                    starts[i], start_values[i] = moved[best], moved_values[best]
                    improved = True
        if not improved:
            break
    return _unseen_or_best(torch.cat(visited), torch.cat(visited_values), seen)


def quasi_uniform(n: int, p: int, generator: torch.Generator) -> Tensor:
    """Scrambled Sobol points of the unit cube, or random ones in too many dimensions.

    Args:
        n: Number of points.
        p: Number of dimensions.
        generator: Source of all randomness.

    Returns:
        Shape ``(n, p)``.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator))
    if not 0 < p <= SobolEngine.MAXDIM:
        return torch.rand((n, p), generator=generator, dtype=torch.float64)
    engine = SobolEngine(p, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    # Not the first point: torch computes it in its default dtype, whatever dtype is requested.
    points: Tensor = engine.draw(n + 1, dtype=torch.float64)[1:]
    return points


def quasi_random(
    space: SearchSpace, n: int, generator: torch.Generator, inner: float = 1.0
) -> Tensor:
    """Scrambled Sobol points, or random ones in too many dimensions: shape ``(n, d)``.

    Args:
        space: The space.
        n: Number of points.
        generator: Source of all randomness.
        inner: Central part of every numeric range to use, in ``(0, 1]``.
    """
    u = quasi_uniform(n, len(space.parameters), generator)
    numeric = torch.tensor([not p.categorical for p in space.parameters], dtype=torch.bool)
    u[:, numeric] = 0.5 + inner * (u[:, numeric] - 0.5)
    return to_tensor(space.spread(u.numpy()))


# Share of the points from which the first one is drawn, where some are more likely feasible.
_LIKELY = 0.25


def space_filling(
    space: SearchSpace,
    seen: Tensor,
    generator: torch.Generator,
    log_feasible: Score | None = None,
) -> Tensor:
    """The quasi-random point that is farthest from all seen points: shape ``(d,)``.

    Unless the space is small, the points avoid the ends of the ranges: the farthest point would be
    a corner, and configurations that are extreme in every parameter are rarely good.

    Args:
        space: The space.
        seen: Points that have been proposed, shape ``(t, d)``.
        generator: Source of all randomness.
        log_feasible: Log probability that a point is feasible, which weighs the distances; the
            first point is one of the quarter where it is largest; ``None`` if all are feasible.
    """
    x = (
        to_tensor(space.grid())
        if space.n_points <= _ENUMERABLE
        else quasi_random(space, 256, generator, _INNER)
    )
    if not len(seen):
        if log_feasible is not None:
            with torch.no_grad():
                likely = log_feasible(x)
            x = x[likely >= likely.quantile(1 - _LIKELY)]
        return x[int(torch.randint(len(x), (1,), generator=generator))]
    root = to_tensor(space.column_weight).sqrt()
    # Break ties at random: on a grid of choices nearly all points are equally far.
    jitter = 1e-6 * torch.rand(len(x), generator=generator, dtype=torch.float64)
    distance = torch.cdist(x * root, seen * root).min(dim=1).values + jitter
    if log_feasible is not None:
        with torch.no_grad():
            distance = distance * log_feasible(x).exp()
    return _unseen_or_best(x, distance, seen)


def maximum_projection(
    space: SearchSpace,
    seen: Tensor,
    generator: torch.Generator,
    log_feasible: Score | None = None,
) -> Tensor:
    """The quasi-random point that lies farthest from all seen points in all projections: ``(d,)``.

    Unlike :func:`space_filling` it goes on for as long as wanted, and covers every range up to its
    ends. It maximises the criterion of maximum projection designs, the harmonic mean over the seen
    points of the product of squared distances in each parameter (Joseph, Gul & Ba 2015, "Maximum
    projection designs for computer experiments", Biometrika 102; for grids and choices Joseph, Gul
    & Ba 2020, J. Qual. Technol. 52), so that a region that depends on few of many parameters is
    not missed. Ranges are closed to circles, or all points would be drawn to their ends.

    Args:
        space: The space.
        seen: Points that have been proposed, shape ``(t, d)``.
        generator: Source of all randomness.
        log_feasible: Log probability that a point is feasible, which weighs the distances;
            ``None`` if all points are.
    """
    small = space.n_points <= _ENUMERABLE
    x = to_tensor(space.grid()) if small else quasi_random(space, 256, generator)
    # On a grid many points are equally far.
    value = 1e-6 * torch.rand(len(x), generator=generator, dtype=torch.float64)
    if len(seen) and space.parameters:
        value += _log_projected_distance(space, x, seen)
    if log_feasible is not None:
        with torch.no_grad():
            value += log_feasible(x)
    return _unseen_or_best(x, value, seen)


def _log_projected_distance(space: SearchSpace, x: Tensor, seen: Tensor) -> Tensor:
    """Log of a point's mean distance in a parameter from the seen points: shape ``(n,)``."""
    total = torch.zeros((len(x), len(seen)), dtype=torch.float64)
    for p in space.parameters:
        if p.categorical:
            gap = 1.0 - x[:, p.columns] @ seen[:, p.columns].T
        else:
            gap = (x[:, p.start, None] - seen[:, p.start]).abs().clamp_max(1.0)
            gap = 2.0 * torch.minimum(gap, 1.0 - gap)
        # No finer than the grid, or than so few points can resolve.
        cells = len(seen) + 1
        log_gap = torch.log(gap + 1.0 / (cells if p.n_values is None else min(p.n_values, cells)))
        if p.activity is not None:
            both = torch.outer(x[:, p.activity], seen[:, p.activity]) > _HALF
            log_gap = torch.where(both, log_gap, _MEAN_LOG_GAP)
        total += log_gap
    return torch.logsumexp(-2.0 * total, dim=1) / (-2.0 * len(space.parameters))


def candidates(
    space: SearchSpace, generator: torch.Generator, good: Tensor, config: MaximizeConfig
) -> Tensor:
    """Good points, perturbations of them, and quasi-random points: shape ``(n, d)``."""
    spread = quasi_random(space, config.n_candidates, generator)
    if not len(good):
        return spread
    n = config.n_perturbed
    centre = good[torch.arange(n) % len(good)]
    # Parameters that are inactive at the centre may become active: draw a value for them, instead
    # of the neutral one.
    fresh = spread[torch.randint(len(spread), (n,), generator=generator)]
    x = centre.clone()
    for p in space.parameters:
        if p.activity is not None:
            inactive = centre[:, p.activity] < 0.5
            x[inactive, p.columns] = fresh[inactive, p.columns]
    radius = torch.tensor([0.1, 0.03], dtype=torch.float64)[torch.arange(n) % 2, None]
    noise = radius * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    chance = torch.rand((n, len(space.parameters)), generator=generator, dtype=torch.float64)
    for j, p in enumerate(space.parameters):
        if p.categorical:
            # Redraw 10% of the choices, or 1 in p if that is more.
            flip = chance[:, j] < max(0.1, 1.0 / len(space.parameters))
            x[flip, p.columns] = fresh[flip, p.columns]
        else:
            x[:, p.start] += noise[:, p.start]
    perturbed = to_tensor(space.project(x.numpy()))
    return torch.cat([to_tensor(space.project(good.numpy())), perturbed, spread])


def _climbed(score: Score, space: SearchSpace, starts: Tensor, config: MaximizeConfig) -> Tensor:
    """The starts after the gradient steps of the configuration."""
    if config.n_gradient_steps == 0:
        return starts
    if config.step_size is None:
        return climb(score, space, starts, config.n_gradient_steps)
    return ascend(score, space, starts, config.n_gradient_steps, config.step_size)


def ascend(
    score: Score, space: SearchSpace, starts: Tensor, n_steps: int, step_size: float
) -> Tensor:
    """Plain projected gradient ascent on the numeric hyperparameters: ``u <- P(u + eta grad)``.

    Args:
        score: Function to maximise.
        space: The space; coarse grids and choices stay fixed.
        starts: Feasible points, shape ``(s, d)``.
        n_steps: Number of steps.
        step_size: ``eta``, in ranges of a parameter per unit of slope.

    Returns:
        Feasible points after the last step, shape ``(s, d)``.
    """
    base = starts.detach()
    columns, active = _smooth_columns(space, base)
    if not len(columns):
        return starts
    u = base[:, columns]
    for _ in range(n_steps):
        leaf = u.clone().requires_grad_()
        with torch.enable_grad():
            value = score(base.index_copy(1, columns, leaf)).sum()
            (gradient,) = torch.autograd.grad(value, leaf)
        u = (u + step_size * torch.nan_to_num(gradient) * active).clamp(0.0, 1.0)
    return to_tensor(space.project(base.index_copy(1, columns, u).numpy()))


def climb(score: Score, space: SearchSpace, starts: Tensor, n_steps: int) -> Tensor:
    """L-BFGS-B on the numeric hyperparameters.

    One run serves all starts: it maximises the sum of their scores, which are independent.

    Args:
        score: Function to maximise.
        space: The space; coarse grids and choices stay fixed.
        starts: Feasible points, shape ``(s, d)``.
        n_steps: Number of iterations.

    Returns:
        Feasible points, shape ``(s, d)``; rounding to a grid may lower their scores.
    """
    base = starts.detach()
    columns, active = _smooth_columns(space, base)
    if not len(columns):
        return starts
    shape = active.shape

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        z = to_tensor(flat.reshape(shape)).requires_grad_()
        with torch.enable_grad():
            x = base.index_copy(1, columns, z)
            value = score(x).sum()
            (gradient,) = torch.autograd.grad(value, z)
        slope = np.nan_to_num(gradient.numpy()) * active.numpy()
        return -float(value.detach()), -slope.ravel()

    begin = base[:, columns].numpy().ravel()
    bounds = np.tile([0.0, 1.0], (begin.size, 1))
    result = minimize(
        objective,
        np.clip(begin, 0.0, 1.0),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": n_steps, "maxfun": n_steps + n_steps // 3},
    )
    x = base.clone()
    x[:, columns] = to_tensor(result.x.reshape(shape))
    return to_tensor(space.project(x.numpy()))


def _smooth_columns(space: SearchSpace, x: Tensor) -> tuple[Tensor, Tensor]:
    """Columns that gradients may change, and their activity at points ``(s, d)``.

    Returns:
        Column numbers ``(c,)`` and flags ``(s, c)``, bool.
    """
    smooth = [p for p in space.free if _is_smooth(p)]
    active = torch.ones((len(x), len(smooth)), dtype=torch.bool)
    for j, p in enumerate(smooth):
        if p.activity is not None:
            active[:, j] = x[:, p.activity] > 0.5
    return torch.tensor([p.start for p in smooth], dtype=torch.int64), active


def _is_smooth(p: Parameter) -> bool:
    return not p.categorical and (p.n_values is None or p.n_values > _COARSE)


def _moves(score: Score, space: SearchSpace, starts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """All neighbours of the starts, in one parameter each.

    Neighbours: all other choices, all other values of a coarse grid, and one step of a fine one.
    Of parameters with so many choices together that the points fill the memory, the best ones.

    Returns:
        The points ``(n, d)``, their scores ``(n,)`` and the indices of their starts ``(n,)``.
    """
    points, owners = [], []
    for p in space.free:
        if p.n_values is None or p.n_values < 2:
            continue
        if p.categorical:
            values = np.eye(p.width)
        elif p.n_values <= _COARSE and not p.log:
            values = ((np.arange(p.n_values) + 0.5) / p.n_values)[:, None]
        else:
            values = np.array([[-1.0], [1.0]]) / float(p.n_values)
        relative = not p.categorical and (p.n_values > _COARSE or p.log)
        block = starts.numpy().repeat(len(values), axis=0)
        tiled = np.tile(values, (len(starts), 1))
        block[:, p.columns] = (
            _step(p, block[:, p.start], tiled[:, 0])[:, None] if relative else tiled
        )
        points.append(block)
        owners.append(np.arange(len(starts)).repeat(len(values)))
    if not points:
        return starts[:0], torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    if sum(block.size for block in points) <= _LARGE:
        points, owners = [np.concatenate(points)], [np.concatenate(owners)]
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for block, owner in zip(points, owners, strict=True):
        x, of = to_tensor(space.project(block)), to_tensor(owner)
        with torch.no_grad():
            score_of = score(x)
        if len(points) > 1:
            best = torch.topk(score_of, min(len(x), _N_KEPT * len(starts))).indices
            x, score_of, of = x[best], score_of[best], of[best]
        found.append((x, score_of, of))
    each = [torch.cat(parts) for parts in zip(*found, strict=True)]
    return each[0], each[1], each[2]


def _step(p: Parameter, u: FloatArray, direction: FloatArray) -> FloatArray:
    """Positions one grid value up or down from ``u``, shape ``(n,)``."""
    if not p.log:
        return u + direction
    span = p.upper - p.lower
    value = np.rint(np.exp(p.lower + u * span)) + np.sign(direction)
    position: FloatArray = np.log(np.maximum(value, np.exp(p.lower) + 0.5)) - p.lower
    return position / span


def best_unseen(x: Tensor, values: Tensor, seen: Tensor) -> Tensor | None:
    """The unseen point ``(d,)`` with the highest value; ``None`` if all were seen."""
    values = torch.nan_to_num(values, nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    order = torch.argsort(values, descending=True, stable=True)
    new = order[unseen(x, seen)[order]]
    return x[new[0]] if len(new) else None


def unseen(x: Tensor, seen: Tensor) -> Tensor:
    """Which of the points ``(n, d)`` are not in ``seen``, ``(t, d)``: shape ``(n,)``, bool."""
    known = {row.tobytes() for row in _rounded(seen)}
    return torch.tensor([row.tobytes() not in known for row in _rounded(x)], dtype=torch.bool)


def _unseen_or_best(x: Tensor, values: Tensor, seen: Tensor) -> Tensor:
    """The best unseen point, or the best point if all were seen."""
    best = best_unseen(x, values, seen)
    return x[int(torch.nan_to_num(values, nan=-torch.inf).argmax())] if best is None else best


def _rounded(x: Tensor) -> FloatArray:
    # Adding 0 turns -0.0 into 0.0, whose bytes differ.
    rounded: FloatArray = np.round(x.numpy(), 9) + 0.0
    return rounded

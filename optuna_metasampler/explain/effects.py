"""Partial dependence on each hyperparameter, and how important it is, here and in prior studies.

Axis letters: ``g`` values of a parameter, ``q`` base points into which these are put, ``p``
parameters, ``d`` encoded columns, ``h`` hypotheses of the model, ``k`` prior studies, ``n`` pairs
of points, ``r`` functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from optuna_metasampler._runtime import isolated
from optuna_metasampler.explain.forecasts import quantiles
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import INTERVAL
from optuna_metasampler.maximize import quasi_uniform
from optuna_metasampler.space import Parameter, SearchSpace
from optuna_metasampler.surrogates.gaussian_process import (
    STDDEV_FACTOR,
    GaussianProcessPredictor,
    matern52,
)
from optuna_metasampler.task import to_tensor


if TYPE_CHECKING:
    from optuna_metasampler.space import FloatArray

# Values along a parameter that has more, and base points into which they are put; fewer of these
# where there are many parameters, so that their product stays below the last number.
_N_VALUES = 24
_N_BASE, _LEAST_BASE, _MOST_VALUES = 128, 16, 24_576
# Pairs of points for the indices, likewise.
_N_PAIRS, _LEAST_PAIRS, _MOST_POINTS = 512, 64, 8_192
# Points among which those are sought at which a conditional parameter is active.
_N_SEARCHED = 1024
# Points that are evaluated at a time.
_CHUNK = 4096
_SEED = 0
# Below this share of a function's size its variance is rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Effect:
    """Effect of one hyperparameter.

    Curves are partial dependences (Friedman 2001, "Greedy function approximation", Annals of
    Statistics 29): means over the other parameters, which vary over their whole ranges. Those of a
    conditional parameter are over the configurations that have it. They are in units of the warped
    outcome, see :func:`~optuna_metasampler.outcomes.half_rank_unwarp`; larger is better.

    Attributes:
        name: Name of the parameter.
        values: Raw values or choices along it, ``g`` of them.
        log: Whether its range is on the log scale.
        categorical: Whether the values are choices.
        posterior: Mean under the model now, shape ``(g,)``.
        low: 10% quantile of the curve under the model, shape ``(g,)``.
        high: 90% quantile.
        prior: Mean under the prior studies together, shape ``(g,)``; ``None`` without. It is that
            of the transfer hypothesis before any trial of this study, but for the level: prior
            studies know which values are better, not how good they are, so the curve is moved to
            the mean of ``posterior`` over the whole space. Its height stays as it is: the model
            takes one standard deviation of a prior study for about one here.
        per_study: Mean under each prior study alone, moved likewise, shape ``(k, g)``; flat for a
            study without the parameter.
        importance: Share of the model's variance over the space that varies with the parameter,
            alone or together with others; see :func:`total_effects`. The shares of all parameters
            can add up to more than 1 through interactions.
        prior_importance: Importance under the prior studies together; ``None`` without.
        importance_per_study: Importance under each prior study.
    """

    name: str
    values: tuple[Any, ...]
    log: bool
    categorical: bool
    posterior: Tensor
    low: Tensor
    high: Tensor
    prior: Tensor | None
    per_study: Tensor
    importance: float
    prior_importance: float | None
    importance_per_study: tuple[float, ...]


Curves: TypeAlias = tuple[
    tuple[float, ...], tuple[float, ...], tuple[float, ...], tuple[float, ...] | None
]


def curves_of(effect: Effect, snapshot: Snapshot, objective: int) -> Curves:
    """``posterior``, ``low``, ``high`` and ``prior`` of an effect as values of the objective.

    ``low`` is below ``high`` where the study minimises too. Without a unit, the curves stay in
    units of the warped outcome.
    """
    has_unit = snapshot.has_unit(objective)

    def values(z: Tensor) -> tuple[float, ...]:
        return snapshot.values(z, objective) if has_unit else tuple(z.tolist())

    low, high = values(effect.low), values(effect.high)
    if has_unit and snapshot.signs[objective] < 0:
        low, high = high, low
    prior = None if effect.prior is None else values(effect.prior)
    return values(effect.posterior), low, high, prior


def effects(snapshot: Snapshot, objective: int = 0) -> tuple[Effect, ...]:
    """Effects of the hyperparameters that are free, the most important first.

    Raises:
        IndexError: If there is no such objective.
    """
    predictor, space = snapshot.predictors[objective], snapshot.space
    names = {p.name: j for j, p in enumerate(space.parameters)}
    free = [p for p in space.free if p.n_values is None or p.n_values > 1]
    if not free:
        return ()
    with isolated(), torch.no_grad():
        columns = [names[p.name] for p in free]
        n = min(_N_PAIRS, max(_LEAST_PAIRS, _power_of_two(_MOST_POINTS // len(free))))
        indices, level = total_effects(
            lambda u: _means(predictor, _points(space, columns, u)), len(free), n
        )
        n_base = min(_N_BASE, max(_LEAST_BASE, _MOST_VALUES // (_N_VALUES * len(free))))
        searched = _quasi_uniform(_N_SEARCHED, len(space.parameters)).numpy()
        activity = space.spread(searched)
        found = [
            _effect(predictor, space, names[p.name], searched, activity, n_base, level, index)
            for p, index in zip(free, indices.T, strict=True)
        ]
    return tuple(sorted(found, key=lambda effect: (-effect.importance, effect.name)))


def total_effects(f: Callable[[Tensor], Tensor], p: int, n: int) -> tuple[Tensor, Tensor]:
    """Total-effect indices of functions of independent uniform inputs.

    The index of an input is the share of the variance that would remain if all other inputs were
    known: what varies with it, alone or together with others. Shares add up to 1 without
    interactions, and to more with them. The estimator is that of Jansen 1999 ("Analysis of
    variance designs for model output", Comput. Phys. Commun. 117), Eq. (f) of Table 2 in Saltelli
    et al. 2010 (Comput. Phys. Commun. 181), over the same quasi-random points at every call. The
    variance is that of all points that are evaluated.

    Args:
        f: From points ``(q, p)`` of the unit cube to values ``(q, r)``.
        p: Number of inputs.
        n: Pairs of points an input; ``f`` is evaluated at ``n (p + 1)`` points.

    Returns:
        The indices, shape ``(r, p)``, zeros where a function is constant; and the functions'
        means, shape ``(r,)``.
    """
    both = _quasi_uniform(n, 2 * p)
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


def _quasi_uniform(n: int, p: int) -> Tensor:
    """The same points ``(n, p)`` of the unit cube at every call."""
    return quasi_uniform(n, p, torch.Generator(device="cpu").manual_seed(_SEED))


def _power_of_two(n: int) -> int:
    """The largest power of two up to ``n``: Sobol points are balanced in such numbers."""
    return 1 << max(n.bit_length() - 1, 0)


def _points(space: SearchSpace, columns: list[int], u: Tensor) -> Tensor:
    """Feasible points ``(q, d)`` for uniform numbers ``(q, f)``, one a free parameter."""
    full = np.full((len(u), len(space.parameters)), 0.5)
    full[:, columns] = u.numpy()
    return to_tensor(space.spread(full))


def _means(predictor: GaussianProcessPredictor, x: Tensor) -> Tensor:
    """Means of the model, of the prior studies together, and of each: ``(q, 1 + 1 + k)``."""
    posterior, weights = (
        predictor.with_pending,
        torch.tensor(predictor.weights, dtype=torch.float64),
    )
    rows = []
    for part in torch.split(x, _CHUNK):
        phi = predictor.features(part)
        each = phi @ posterior.mean_weights + posterior.covariance(part, phi) @ posterior.alpha
        here = torch.einsum("h,hqo->qo", weights, each)
        rows.append(torch.cat([here, predictor.of_priors(part)], dim=1))
    return torch.cat(rows)


def _effect(
    predictor: GaussianProcessPredictor,
    space: SearchSpace,
    j: int,
    searched: FloatArray,
    activity: FloatArray,
    n_base: int,
    level: Tensor,
    index: Tensor,
) -> Effect:
    """The effect of parameter ``j``.

    Args:
        predictor: The model of one objective.
        space: The space.
        j: Number of the parameter.
        searched: Uniform numbers, one a parameter, shape ``(m, p)``.
        activity: Their points, shape ``(m, d)``.
        n_base: How many of them to use.
        level: Means of :func:`_means` over the space, shape ``(1 + 1 + k,)``.
        index: The parameter's share in the variance of each of these, the same shape.
    """
    p = space.parameters[j]
    values, positions = _values(p)
    rare = False
    base = searched[:n_base]
    if p.activity is not None:
        rows = np.flatnonzero(activity[:, p.activity] > 0.5)[:n_base]
        rare = len(rows) < _LEAST_BASE
        base = base if rare else searched[rows]
    g, q = len(values), len(base)
    u = np.tile(base, (g, 1, 1))
    u[:, :, j] = positions[:, None]
    points = space.spread(u.reshape(g * q, -1))
    if rare:
        # Hardly ever active: activate it against the choices of its parents.
        assert p.activity is not None
        points[:, p.activity] = 1.0
        points[:, p.columns] = p.encode(values).repeat(q, axis=0)
    mean, stddev, priors = _averages(predictor, to_tensor(points).reshape(g, q, -1))
    tail = (1 - INTERVAL) / 2
    low, high = quantiles(mean, stddev, predictor.weights, (tail, 1 - tail))
    priors = priors - level[1:, None] + level[0]
    shares = index.tolist()
    return Effect(
        name=p.name,
        values=values,
        log=p.log,
        categorical=p.categorical,
        posterior=torch.tensor(predictor.weights, dtype=torch.float64) @ mean,
        low=low,
        high=high,
        prior=priors[0] if len(priors) else None,
        per_study=priors[1:],
        importance=shares[0],
        prior_importance=shares[1] if len(shares) > 1 else None,
        importance_per_study=tuple(shares[2:]),
    )


def _averages(predictor: GaussianProcessPredictor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The model's mean over each of ``g`` groups of points ``(g, q, d)``.

    The mean of a Gaussian process over some points is normal too: its variance is the mean of the
    covariance over all pairs of points, in which independent errors of the points cancel
    (Moosbauer et al. 2021, arXiv:2111.04820, section 4).

    Returns:
        Means and standard deviations of every hypothesis, shapes ``(h, g)``, and the means under
        the prior studies, together and each: ``(1 + k, g)``.
    """
    posterior = predictor.with_pending
    phis, crosses, smooths, priors = [], [], [], []
    for group in x:
        phi = predictor.features(group)
        phis.append(phi.mean(0))
        priors.append(predictor.of_priors(group).mean(0))
        crosses.append(posterior.covariance(group, phi).mean(1))
        scaled = group * posterior.scale
        smooths.append(posterior.outputscale[:, 0, 0] * matern52(scaled, scaled).mean((1, 2)))
    phi, cross = torch.stack(phis), torch.stack(crosses, dim=1)
    linear = posterior.linear(x.mean(1), phi)
    mean = (phi @ posterior.mean_weights + cross @ posterior.alpha).squeeze(2)
    prior = torch.stack(smooths, dim=1) + linear.square().sum(2)
    explained = (cross @ posterior.inverse_root.transpose(1, 2)).square().sum(2)
    stddev = STDDEV_FACTOR * (prior - explained).clamp_min(1e-12).sqrt()
    return mean, stddev, torch.stack(priors, dim=1)


def _values(p: Parameter) -> tuple[tuple[Any, ...], FloatArray]:
    """Values along a parameter, and their uniform numbers ``(g,)``."""
    if p.n_values is not None and (p.categorical or p.n_values <= _N_VALUES):
        middles = (np.arange(p.n_values) + 0.5) / p.n_values
        if p.categorical:
            return p.choices, middles
        if p.log:
            # The cells of a log scale differ in width.
            lowest = p.decode(np.zeros(1))
            values = tuple(lowest + i for i in range(p.n_values))
        else:
            values = tuple(p.decode(np.array([u])) for u in middles)
    else:
        even = np.linspace(0.0, 1.0, _N_VALUES)
        values = tuple(dict.fromkeys(p.decode(np.array([u])) for u in even))
    return values, p.encode(values)[:, 0].clip(0.0, 1.0)

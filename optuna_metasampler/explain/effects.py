"""What each hyperparameter does, here and in the prior studies.

Axis letters: ``g`` values of a parameter, ``q`` base points that these are put into, ``p``
parameters, ``d`` encoded columns, ``h`` hypotheses of the model, ``k`` prior studies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from optuna_metasampler._runtime import isolated
from optuna_metasampler.explain.mixture import quantiles, weights_of
from optuna_metasampler.explain.sensitivity import quasi_uniform, total_effects
from optuna_metasampler.explain.trial_record import INTERVAL
from optuna_metasampler.surrogates.gaussian_process import (
    STDDEV_FACTOR,
    GaussianProcessPredictor,
    matern52,
)
from optuna_metasampler.task import to_tensor


if TYPE_CHECKING:
    from optuna_metasampler.explain.snapshot import Snapshot
    from optuna_metasampler.space import FloatArray, Parameter, SearchSpace

# Values along a parameter that has more, and base points that they are put into; fewer of these
# where there are many parameters, so that their product stays below the last number.
_N_VALUES = 24
_N_BASE, _LEAST_BASE, _MOST_VALUES = 128, 16, 24_576
# Pairs of points for the indices, the same.
_N_PAIRS, _LEAST_PAIRS, _MOST_POINTS = 512, 64, 8_192
# Points that are looked at for those at which a conditional parameter is active.
_N_LOOKED_AT = 1024
# Points that are evaluated at a time.
_CHUNK = 4096


@dataclass(frozen=True)
class Effect:
    """What one hyperparameter does.

    Curves are partial dependences (Friedman 2001, "Greedy function approximation", Annals of
    Statistics 29): means over the other parameters, which take values all over their ranges. Where
    the parameter is conditional, only over configurations that have it. They are in units of the
    warped outcome, see :func:`~optuna_metasampler.task.half_rank_unwarp`; larger is better.

    Attributes:
        name: Name of the parameter.
        values: Raw values or choices along it, ``g`` of them.
        log: Whether its range is on the log scale.
        categorical: Whether the values are choices.
        here: What the model expects now, shape ``(g,)``.
        low: Below it the curve lies with a probability of 10 %, as far as the model knows, shape
            ``(g,)``.
        high: Above it likewise.
        before: What the prior studies together say, shape ``(g,)``; ``None`` without. It is the
            mean of the transfer hypothesis before any trial of this study but for the level: what
            the prior studies know of is better and worse, not how good, so the curve is moved to
            the mean of ``here`` over the whole space. The size is as it is: the model takes one
            standard deviation there to be about one here.
        studies: What each prior study says alone, moved likewise, shape ``(k, g)``; flat for one
            that did not have the parameter.
        importance: Share of the variance over the space that moves with the parameter, alone or
            with others, in what the model expects now; see
            :func:`~optuna_metasampler.explain.sensitivity.total_effects`. The shares of all
            parameters can add up to more than 1 through interactions.
        importance_before: The like in what the prior studies together say; ``None`` without.
        importance_of_studies: The like in what each prior study says.
    """

    name: str
    values: tuple[Any, ...]
    log: bool
    categorical: bool
    here: Tensor
    low: Tensor
    high: Tensor
    before: Tensor | None
    studies: Tensor
    importance: float
    importance_before: float | None
    importance_of_studies: tuple[float, ...]


def effects(snapshot: Snapshot, objective: int = 0) -> tuple[Effect, ...]:
    """What each hyperparameter that is free does, the most important first.

    Args:
        snapshot: What is known of a study.
        objective: Number of the objective.

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
            lambda u: _expected(predictor, _points(space, columns, u)), len(free), n
        )
        n_base = min(_N_BASE, max(_LEAST_BASE, _MOST_VALUES // (_N_VALUES * len(free))))
        looked_at = quasi_uniform(_N_LOOKED_AT, len(space.parameters)).numpy()
        activity = space.spread(looked_at)
        found = [
            _effect(predictor, space, names[p.name], looked_at, activity, n_base, level, index)
            for p, index in zip(free, indices.T, strict=True)
        ]
    return tuple(sorted(found, key=lambda effect: (-effect.importance, effect.name)))


def _power_of_two(n: int) -> int:
    """The largest power of two up to ``n``: Sobol points are even in such numbers."""
    return 1 << max(n.bit_length() - 1, 0)


def _points(space: SearchSpace, columns: list[int], u: Tensor) -> Tensor:
    """Feasible points ``(q, d)`` for uniform numbers ``(q, f)``, one a free parameter."""
    full = np.full((len(u), len(space.parameters)), 0.5)
    full[:, columns] = u.numpy()
    return to_tensor(space.spread(full))


def _expected(predictor: GaussianProcessPredictor, x: Tensor) -> Tensor:
    """What is expected now, and what prior studies say together and each: ``(q, 1 + 1 + k)``."""
    posterior, weights = predictor.believed, weights_of(predictor)
    rows = []
    for part in torch.split(x, _CHUNK):
        phi = predictor.features(part)
        each = phi @ posterior.mean_weights + posterior.covariance(part, phi) @ posterior.alpha
        here = torch.einsum("h,hqo->qo", weights, each)
        rows.append(torch.cat([here, phi[:, 1:]], dim=1))
    return torch.cat(rows)


def _effect(
    predictor: GaussianProcessPredictor,
    space: SearchSpace,
    j: int,
    looked_at: FloatArray,
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
        looked_at: Uniform numbers, one a parameter, shape ``(m, p)``.
        activity: The points that they become, shape ``(m, d)``.
        n_base: How many of them to use.
        level: Means over the space of what :func:`_expected` gives, shape ``(1 + 1 + k,)``.
        index: The parameter's share in the variance of each of these, the same shape.
    """
    p = space.parameters[j]
    values, positions = _values(p)
    rare = False
    base = looked_at[:n_base]
    if p.activity is not None:
        rows = np.flatnonzero(activity[:, p.activity] > 0.5)[:n_base]
        rare = len(rows) < _LEAST_BASE
        base = base if rare else looked_at[rows]
    g, q = len(values), len(base)
    u = np.tile(base, (g, 1, 1))
    u[:, :, j] = positions[:, None]
    points = space.spread(u.reshape(g * q, -1))
    if rare:
        # Hardly ever active: as if it were, beside parents that say otherwise.
        assert p.activity is not None
        points[:, p.activity] = 1.0
        points[:, p.columns] = p.encode(values).repeat(q, axis=0)
    mean, spread, told = _averages(predictor, to_tensor(points).reshape(g, q, -1))
    weights = weights_of(predictor)
    tail = (1 - INTERVAL) / 2
    low, high = quantiles(mean, spread, weights, (tail, 1 - tail))
    told = told - level[1:, None] + level[0]
    shares = index.tolist()
    return Effect(
        name=p.name,
        values=values,
        log=p.log,
        categorical=p.categorical,
        here=weights @ mean,
        low=low,
        high=high,
        before=told[0] if len(told) else None,
        studies=told[1:],
        importance=shares[0],
        importance_before=shares[1] if len(shares) > 1 else None,
        importance_of_studies=tuple(shares[2:]),
    )


def _averages(predictor: GaussianProcessPredictor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What is known of a function's mean over each of ``g`` groups of points ``(g, q, d)``.

    The mean of a Gaussian process over some points is normal too: its variance is the mean of the
    covariance over all pairs of them, which has the points' own uncertainties cancel out as far as
    they are independent (Moosbauer et al. 2021, arXiv:2111.04820, section 4).

    Returns:
        Means and standard deviations of every hypothesis, shapes ``(h, g)``, and the means of what
        the prior studies say, together and each: ``(1 + k, g)``.
    """
    posterior = predictor.believed
    phis, crosses, smooths = [], [], []
    for group in x:
        phi = predictor.features(group)
        phis.append(phi.mean(0))
        crosses.append(posterior.covariance(group, phi).mean(1))
        scaled = group * posterior.scale
        smooths.append(posterior.outputscale[:, 0, 0] * matern52(scaled, scaled).mean((1, 2)))
    phi, cross = torch.stack(phis), torch.stack(crosses, dim=1)
    linear = posterior.linear(x.mean(1), phi)
    mean = (phi @ posterior.mean_weights + cross @ posterior.alpha).squeeze(2)
    prior = torch.stack(smooths, dim=1) + linear.square().sum(2)
    explained = (cross @ posterior.inverse_root.transpose(1, 2)).square().sum(2)
    spread = STDDEV_FACTOR * (prior - explained).clamp_min(1e-12).sqrt()
    return mean, spread, phi[:, 1:].T


def _values(p: Parameter) -> tuple[tuple[Any, ...], FloatArray]:
    """Values along a parameter, and the uniform numbers ``(g,)`` that they come from."""
    if p.n_values is not None and (p.categorical or p.n_values <= _N_VALUES):
        middles = (np.arange(p.n_values) + 0.5) / p.n_values
        if p.categorical:
            return tuple(p.decode(row) for row in np.eye(p.width)), middles
        if p.log:
            # Cells of a log scale have no even width.
            step = 1
            lowest = p.decode(np.zeros(1))
            values = tuple(lowest + i * step for i in range(p.n_values))
        else:
            values = tuple(p.decode(np.array([u])) for u in middles)
    else:
        even = np.linspace(0.0, 1.0, _N_VALUES)
        values = tuple(dict.fromkeys(p.decode(np.array([u])) for u in even))
    return values, p.encode(values)[:, 0].clip(0.0, 1.0)

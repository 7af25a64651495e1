"""Forecasts of trials, from the predictors that chose them, and of the improvement by more trials.

Axis letters: ``h`` hypotheses of a model, ``q`` points, ``s`` samples of the outcome, ``c``
candidates, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from statistics import NormalDist

import torch
from torch import Tensor

from optuna_metasampler._runtime import isolated
from optuna_metasampler.acquisition import log_expected_improvement
from optuna_metasampler.explain.prior_studies import prior_weights
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import INTERVAL, Forecast, TrialRecord
from optuna_metasampler.maximize import MaximizeConfig, candidates, maximize, unseen
from optuna_metasampler.outcomes import (
    finite_outcomes,
    half_rank_unwarp,
    half_rank_warp,
    penalized,
    unwarped,
)
from optuna_metasampler.policies.base import Proposal
from optuna_metasampler.surrogates.base import Predictor
from optuna_metasampler.surrogates.constraints import Feasibility
from optuna_metasampler.surrogates.gaussian_process import (
    MAX_TRIALS,
    STDDEV_FACTOR,
    GaussianProcessPredictor,
    representative_rows,
)
from optuna_metasampler.surrogates.transfer import TransferPredictor
from optuna_metasampler.task import Task, to_tensor


# Weights that a trial stores, the highest first: there may be a thousand prior studies.
_MAX_STORED = 30
_N_HALVINGS = 30
_SEED = 0
_N_SAMPLES = 512
_SEARCH = MaximizeConfig(n_candidates=256, n_perturbed=256)
# A finite space of at most this many points is enumerated.
_ENUMERABLE = 512
_N_GOOD = 5
# Gains beyond this many typical distances among the best values are shrunk; the best values are
# the best quarter, at least three.
_STEPS = 2.0
_LEAST_TOP = 3
# The samples ignore the errors of the model that they are drawn from: 80% of the gains lie between
# these of their quantiles (``benchmarks/experiments/improvement_forecast.py``).
_LEVELS = (0.02, 0.98)


def record_of(proposal: Proposal, task: Task, signs: Sequence[float]) -> TrialRecord:
    """The record of a proposal, made from the history ``task``.

    There is one sign an objective, -1 where smaller is better.
    """
    transfer = [p for p in proposal.predictors if isinstance(p, TransferPredictor)]
    return TrialRecord(
        phase=proposal.phase.value,
        forecasts=_forecasts(proposal.predictors, proposal.x, task, signs),
        acquisition=proposal.acquisition,
        p_transfer=sum(p.p_transfer for p in transfer) / len(transfer) if transfer else None,
        weights=tuple((r.name, r.weight) for r in prior_weights(transfer)[:_MAX_STORED]),
        sign_flipped=any(p.sign_flipped for p in transfer),
    )


def _forecasts(
    predictors: Sequence[Predictor], x: Tensor, task: Task, signs: Sequence[float]
) -> tuple[Forecast, ...]:
    if len(predictors) != len(signs):
        # A scalarisation of several objectives has no unit.
        return ()
    columns = [task.y] if len(signs) == 1 or task.outcomes is None else list(task.outcomes.T)
    forecasts = []
    for predictor, outcomes, sign in zip(predictors, columns, signs, strict=True):
        y = finite_outcomes(outcomes)
        if not isinstance(predictor, GaussianProcessPredictor) or not bool((y != y[:1]).any()):
            return ()
        z = outcome_quantiles(predictor, x[None], ((1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2))
        # The outcomes from which the predictor's warp was made.
        modelled = y[representative_rows(outcomes, MAX_TRIALS)]
        low, median, high = (
            sign * float(v) for v in unwarped(z[:, 0], predictor.posterior.outcomes, modelled)
        )
        if not all(map(math.isfinite, (low, median, high))):
            return ()
        forecasts.append(Forecast(median, min(low, high), max(low, high)))
    return tuple(forecasts)


def outcome_quantiles(
    predictor: GaussianProcessPredictor, x: Tensor, levels: Sequence[float]
) -> Tensor:
    """Quantiles of the warped outcome, noise included, at points ``(q, d)``: ``(levels, q)``.

    Levels are probabilities in ``(0, 1)``. A transfer process is a mixture of two.
    """
    with torch.no_grad():
        each = predictor.each(x)
        # The process predicts the function; an outcome has noise on top.
        stddev = (each.variance + predictor.posterior.noise[:, None]).sqrt()
    return quantiles(each.mean, stddev, predictor.weights, levels)


def quantiles(
    mean: Tensor, stddev: Tensor, weights: Sequence[float], levels: Sequence[float]
) -> Tensor:
    """Quantiles of mixtures of normal distributions.

    Args:
        mean: Shape ``(h, q)``.
        stddev: Standard deviations, above 0, shape ``(h, q)``.
        weights: ``h`` of them, which sum to 1.
        levels: Probabilities in ``(0, 1)``.

    Returns:
        Shape ``(levels, q)``.
    """
    mixtures = [
        [NormalDist(m, s) for m, s in zip(*pair, strict=True)]
        for pair in zip(mean.T.tolist(), stddev.T.tolist(), strict=True)
    ]
    return torch.tensor(
        [[_quantile(parts, weights, level) for parts in mixtures] for level in levels],
        dtype=torch.float64,
    )


def _quantile(parts: Sequence[NormalDist], weights: Sequence[float], level: float) -> float:
    """A quantile of one mixture, by bisection between the quantiles of its parts.

    With plain floats, which are faster than tensors for the single point of a suggestion.
    """
    each = [part.inv_cdf(level) for part in parts]
    low, high = min(each), max(each)
    for _ in range(_N_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        below = sum(w * part.cdf(middle) for w, part in zip(weights, parts, strict=True))
        low, high = (middle, high) if below < level else (low, middle)
    return (low + high) / 2


# --------------------------------------------------------------------------------------------
# Improvement


@dataclass(frozen=True)
class ImprovementForecast:
    """Forecast of the improvement by more trials, in the units of the objective.

    Attributes:
        n_trials: Number of further trials.
        best: The best value so far, of a feasible trial.
        expected: The expected best value after them.
        gain: The expected improvement, 0 or more.
        low: 10% quantile of the improvement.
        high: 90% quantile.
        probability: Probability of any improvement.
    """

    n_trials: int
    best: float
    expected: float
    gain: float
    low: float
    high: float
    probability: float


def improvement_forecast(snapshot: Snapshot, n_trials: int = 10) -> ImprovementForecast | None:
    """Forecast the improvement that more trials would bring.

    Args:
        snapshot: The model of a study.
        n_trials: Number of further trials, 1 or more.

    Returns:
        ``None`` with several objectives, without a feasible trial, or with fewer than two
        different outcomes, which is no scale.

    Raises:
        ValueError: If ``n_trials`` is less than 1.
    """
    if n_trials < 1:
        raise ValueError(f"`n_trials` must be 1 or more, but got {n_trials}.")
    task = snapshot.task
    feasible = task.feasible & torch.isfinite(task.y)
    if len(snapshot.signs) != 1 or not snapshot.has_unit(0) or not bool(feasible.any()):
        return None
    best = float(task.y[feasible].max())
    with isolated():
        gains = _gains(snapshot.predictors[0], task, best, n_trials)
    if not bool(torch.isfinite(gains).all()):
        return None
    sign = snapshot.signs[0]
    gain = float(gains.mean())
    low, high = torch.quantile(gains, torch.tensor(_LEVELS, dtype=gains.dtype)).tolist()
    return ImprovementForecast(
        n_trials=n_trials,
        best=sign * best,
        expected=sign * (best + gain),
        gain=gain,
        low=low,
        high=high,
        probability=float((gains > 0).to(torch.float64).mean()),
    )


def _gains(predictor: GaussianProcessPredictor, task: Task, best: float, n_trials: int) -> Tensor:
    """Samples of the gain in the outcome's units, shape ``(s,)``."""
    generator = torch.Generator(device="cpu").manual_seed(_SEED)
    x = _candidates(predictor, task, generator)
    if not len(x):
        return torch.zeros(1, dtype=torch.float64)
    with torch.no_grad():
        z = samples(predictor, x, generator)
        y = half_rank_unwarp(z, task.y)
        likely = Feasibility().condition(task)
        if likely is not None:
            # One draw for all candidates: neighbours are infeasible together.
            chance = torch.rand((len(y), 1), generator=generator, dtype=torch.float64)
            y = torch.where(chance < likely(x).exp(), y, -torch.inf)
        gains = (y - best).clamp_min(0.0)
        factor = torch.randn((len(gains), 1), generator=generator, dtype=torch.float64).exp()
        return greedy_gains(damped(gains, _step(task) * factor), n_trials)


def damped(gains: Tensor, step: Tensor) -> Tensor:
    """Shrink extrapolated gains logarithmically.

    The model extrapolates linearly beyond the best value, but objectives are bounded: an error
    cannot fall below zero, and many good configurations are nearly as good as the best. Gains much
    smaller than a step stay as they are, larger ones shrink.

    Args:
        gains: 0 or more, any shape.
        step: In their units, above 0, of a shape that can be broadcast.

    Returns:
        The shape of ``gains``.
    """
    return step * torch.log1p(gains / step)


def _step(task: Task) -> float:
    """A typical distance among the best values: from the best one to others near the top.

    The number :data:`_STEPS`, the logarithm in :func:`damped` and the uncertainty of the step by a
    factor of e were chosen on functions drawn from Gaussian processes and on exponentials of
    these, by the continuous ranked probability score of the gain of ten trials. On tables of real
    training runs, for which linear extrapolation promised far too much, the score improves as well
    (``benchmarks/experiments/improvement_forecast.py``).
    """
    finite = torch.isfinite(task.y)
    for rows in (finite & task.feasible, finite):
        ordered = torch.sort(task.y[rows], descending=True).values
        n_equal = int((ordered == ordered[:1]).sum())
        if n_equal < len(ordered):
            # With ties at the top, at least one value below them.
            n = max(len(ordered) // 4, _LEAST_TOP, n_equal + 1)
            return _STEPS * float((ordered[0] - ordered[1:n]).mean())
    raise ValueError("`task.y` must hold two different outcomes.")


def greedy_gains(gains: Tensor, n_trials: int) -> Tensor:
    """Gains of a batch of candidates in each sample, the batch chosen for the highest mean.

    The batch is chosen greedily. The gain of a batch is submodular, so it falls short of that of
    the best batch by less than 1/e (Wilson, Hutter & Deisenroth 2018, arXiv:1805.10196).

    Args:
        gains: Gain of each candidate in each sample, 0 or more, shape ``(s, c)``.
        n_trials: Size of the batch.

    Returns:
        Shape ``(s,)``.
    """
    reached = torch.zeros(len(gains), dtype=gains.dtype)
    for _ in range(n_trials):
        after = torch.maximum(gains, reached[:, None])
        reached = after[:, int(after.mean(0).argmax())]
    return reached


def samples(predictor: GaussianProcessPredictor, x: Tensor, generator: torch.Generator) -> Tensor:
    """Joint samples of the warped outcome without noise at points ``(c, d)``: ``(s, c)``.

    The samples are divided among the hypotheses by their weights.
    """
    mean, covariance = predictor.posterior.joint(x, predictor.features(x))
    weights = torch.tensor(predictor.weights, dtype=torch.float64)
    counts = (weights * _N_SAMPLES).round().long().tolist()
    drawn = []
    for m, k, n in zip(mean, covariance, counts, strict=True):
        noise = torch.randn((n, len(x)), generator=generator, dtype=torch.float64)
        drawn.append(m + STDDEV_FACTOR * noise @ _root(k).T)
    return torch.cat(drawn)


def _root(covariance: Tensor) -> Tensor:
    """A square root of a covariance ``(c, c)``, which is nearly singular for close points."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp_min(0.0).sqrt()
    return root


def _candidates(
    predictor: GaussianProcessPredictor, task: Task, generator: torch.Generator
) -> Tensor:
    """Candidates for the next trials: ``(c, d)``; none if a finite space is exhausted."""
    space = task.space
    seen = torch.cat([task.x, task.tried])
    if space.n_points <= _ENUMERABLE:
        x = to_tensor(space.grid())
    else:
        best = torch.topk(penalized(task).y, min(_N_GOOD, len(task))).indices
        good = task.x[best]
        incumbent = float(half_rank_warp(task.y).max())
        most_promising = maximize(
            lambda q: log_expected_improvement(predictor(q), incumbent),
            space,
            generator,
            good,
            seen,
        )
        x = candidates(space, generator, torch.cat([most_promising[None], good]), _SEARCH)
    return x[unseen(x, seen)]

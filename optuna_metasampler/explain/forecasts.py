"""Forecasts of trials from the predictors that chose them.

Axis letters: ``h`` hypotheses of a model, ``q`` points.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from statistics import NormalDist

import torch
from torch import Tensor

from optuna_metasampler.explain.prior_weights import prior_weights
from optuna_metasampler.explain.trial_record import INTERVAL, Forecast, TrialRecord
from optuna_metasampler.outcomes import finite_outcomes, unwarped
from optuna_metasampler.policies.base import Proposal
from optuna_metasampler.surrogates.base import Predictor
from optuna_metasampler.surrogates.gaussian_process import (
    MAX_TRIALS,
    GaussianProcessPredictor,
    representative_rows,
)
from optuna_metasampler.surrogates.transfer import TransferPredictor
from optuna_metasampler.task import Task


_N_HALVINGS = 30


def record_of(proposal: Proposal, task: Task, signs: Sequence[float]) -> TrialRecord:
    """The record of a proposal.

    Args:
        proposal: The proposed point, and how the policy chose it.
        task: The history that the policy was asked with.
        signs: One an objective, -1 where smaller is better.
    """
    transfer = [p for p in proposal.predictors if isinstance(p, TransferPredictor)]
    return TrialRecord(
        phase=proposal.phase.value,
        forecasts=_forecasts(proposal.predictors, proposal.x, task, signs),
        acquisition=proposal.acquisition,
        p_transfer=sum(p.p_transfer for p in transfer) / len(transfer) if transfer else None,
        weights=tuple((row.name, row.weight) for row in prior_weights(transfer)),
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

    Args:
        predictor: A Gaussian process; a transfer process is a mixture of two.
        x: The points.
        levels: Probabilities in ``(0, 1)``.
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

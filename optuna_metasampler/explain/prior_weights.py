"""Weights of the prior studies in the model of the running one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

from optuna_metasampler.outcomes import spearman_of_columns
from optuna_metasampler.surrogates.transfer import TransferPredictor


@dataclass(frozen=True)
class PriorWeight:
    """Weight of one prior study; the mean over several objectives.

    Attributes:
        name: Name of the prior study.
        n_trials: Its number of trials with an outcome.
        rank_correlation: Spearman correlation of its predictions for this study's trials with
            their outcomes, in ``[-1, 1]``; NaN with fewer than two trials or equal outcomes.
        weight: Its weight in the next suggestion, in ``[0, 1]``: its share of the transfer weight,
            which is divided in proportion to the positive rank correlations (before the second
            trial, to how well the prior studies agree with one another). With flipped signs, to
            the negative ones.
    """

    name: str
    n_trials: int
    rank_correlation: float
    weight: float


def prior_weights(predictors: Sequence[TransferPredictor]) -> list[PriorWeight]:
    """The weight of each prior study, the highest first.

    Args:
        predictors: One an objective; empty without prior studies.
    """
    by_objective = [_prior_weights(predictor) for predictor in predictors]
    rows = [_mean(of_study) for of_study in zip(*by_objective, strict=True)]
    return sorted(rows, key=lambda row: (-row.weight, row.name))


def _prior_weights(predictor: TransferPredictor) -> list[PriorWeight]:
    """One row a prior study, for one objective."""
    model = predictor.surrogate.model
    correlations = spearman_of_columns(predictor.predictions, predictor.posterior.outcomes)
    if all(math.isnan(rho) for rho in correlations):
        merits = model.share.tolist()
    else:
        sign = -1.0 if predictor.sign_flipped else 1.0
        merits = [max(sign * rho, 0.0) if not math.isnan(rho) else 0.0 for rho in correlations]
    unit = predictor.p_transfer / max(sum(merits), 1e-12)
    return [
        PriorWeight(name=name, n_trials=n, rank_correlation=rho, weight=unit * merit)
        for name, n, rho, merit in zip(
            model.names, model.n_trials, correlations, merits, strict=True
        )
    ]


def _mean(rows: Sequence[PriorWeight]) -> PriorWeight:
    """Mean over the objectives; of the correlations, over those that are known."""
    known = [row.rank_correlation for row in rows if not math.isnan(row.rank_correlation)]
    return replace(
        rows[0],
        rank_correlation=sum(known) / len(known) if known else math.nan,
        weight=sum(row.weight for row in rows) / len(rows),
    )

"""How much each prior study says about the running one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from optuna_metasampler.surrogates.transfer import TransferPredictor


@dataclass(frozen=True)
class PriorWeight:
    """How much one prior study says about the running one; the mean over several objectives.

    Attributes:
        name: Name of the prior study.
        n_trials: Its number of trials with an outcome.
        rank_correlation: Spearman correlation of what it predicts for this study's trials with
            their outcomes, in ``[-1, 1]``; NaN with fewer than two trials or equal outcomes.
        weight: Its share of the say that prior studies have in the next suggestion, in ``[0, 1]``:
            the probability that they are of use at all, divided among them by rank correlation
            (before the second trial, by how well they agree with one another). While they are
            taken the other way round, those with a negative correlation have the say.
    """

    name: str
    n_trials: int
    rank_correlation: float
    weight: float


def relevance(predictors: Sequence[TransferPredictor]) -> list[PriorWeight]:
    """How much each prior study says, the one that says most first.

    Args:
        predictors: What is known of each objective; none is no prior study.
    """
    by_objective = [_relevance(predictor) for predictor in predictors]
    rows = [_mean(of_study) for of_study in zip(*by_objective, strict=True)]
    return sorted(rows, key=lambda row: (-row.weight, row.name))


def _relevance(predictor: TransferPredictor) -> list[PriorWeight]:
    """One row a prior study, for one objective."""
    from optuna_metasampler.outcomes import spearman_of_columns

    model = predictor.surrogate.model
    correlations = spearman_of_columns(predictor.predictions, predictor.posterior.outcomes)
    if all(math.isnan(rho) for rho in correlations):
        merits = model.share.tolist()
    else:
        sign = -1.0 if predictor.sign_flipped else 1.0
        merits = [max(sign * rho, 0.0) if not math.isnan(rho) else 0.0 for rho in correlations]
    say = predictor.evidence / max(sum(merits), 1e-12)
    return [
        PriorWeight(name=name, n_trials=n, rank_correlation=rho, weight=say * merit)
        for name, n, rho, merit in zip(
            model.names, model.n_trials, correlations, merits, strict=True
        )
    ]


def _mean(rows: Sequence[PriorWeight]) -> PriorWeight:
    """One prior study's mean over the objectives; of the correlations over those there are."""
    known = [row.rank_correlation for row in rows if not math.isnan(row.rank_correlation)]
    return replace(
        rows[0],
        rank_correlation=sum(known) / len(known) if known else math.nan,
        weight=sum(row.weight for row in rows) / len(rows),
    )

"""What the sampler made of the prior studies."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from optuna import Study

    from optuna_metasampler.sampler import MetaSampler


@dataclass(frozen=True)
class PriorRelevance:
    """How much one prior study says about the running one.

    Attributes:
        name: Name of the prior study.
        n_trials: Its number of trials with an outcome.
        rank_correlation: Spearman correlation of what it predicts for this study's trials with
            their outcomes, in ``[-1, 1]``; NaN with fewer than two trials or equal outcomes.
        weight: Its share in the prediction, in ``[0, 1]``. The shares of all prior studies sum to
            the probability that they are of use at all.
    """

    name: str
    n_trials: int
    rank_correlation: float
    weight: float


def prior_relevance(sampler: MetaSampler, study: Study) -> list[PriorRelevance]:
    """Which prior studies helped, the most helpful first.

    Args:
        sampler: The sampler of the study.
        study: The study, with any number of trials.

    Returns:
        One row a prior study that is used; none where there is no prior study or the sampler has
        not made a suggestion to this study yet.
    """
    predictor = sampler.transfer_predictor(study)
    if predictor is None:
        return []
    from optuna_metasampler.isolation import isolated
    from optuna_metasampler.task import spearman

    with isolated():
        model = predictor.surrogate.model
        weights = predictor.source_weights()
        share = weights / weights.sum().clamp_min(1e-12) * predictor.evidence
        # The posterior holds what has come back, with the sources' predictions as its features.
        predictions = predictor.posterior.phi[:, 2:]
        outcomes = predictor.posterior.outcomes
        rows = [
            PriorRelevance(
                name=name,
                n_trials=n_trials,
                rank_correlation=spearman(predictions[:, k], outcomes)
                if len(outcomes)
                else math.nan,
                weight=float(share[k]),
            )
            for k, (name, n_trials) in enumerate(zip(model.names, model.n_trials, strict=True))
        ]
    return sorted(rows, key=lambda row: (-row.weight, row.name))

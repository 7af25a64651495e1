"""What prior studies have in common with a study, and what the sampler made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import math
from typing import TYPE_CHECKING, Any

from optuna_metasampler.priors.filter import PriorFilter
from optuna_metasampler.priors.sources import PriorLike, resolve


if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

    from optuna_metasampler.priors.overlap import Overlaps
    from optuna_metasampler.priors.study import PriorStudy
    from optuna_metasampler.sampler import MetaSampler
    from optuna_metasampler.surrogates.transfer import TransferPredictor


@dataclass(frozen=True)
class PriorRelevance:
    """How much one prior study says about the running one; the mean over several objectives.

    Attributes:
        name: Name of the prior study.
        n_trials: Its number of trials with an outcome.
        rank_correlation: Spearman correlation of what it predicts for this study's trials with
            their outcomes, in ``[-1, 1]``; NaN with fewer than two trials or equal outcomes.
        weight: Its share of the say that prior studies have in the next suggestion, in ``[0, 1]``:
            the probability that they are of use at all, divided among them by rank correlation
            (before the second trial, by how well they agree with one another).
    """

    name: str
    n_trials: int
    rank_correlation: float
    weight: float


def inspect_priors(
    prior: PriorLike | Sequence[PriorLike],
    target: Mapping[str, BaseDistribution] | Study | PriorStudy,
    *,
    prior_studies: str | Sequence[str] | None = None,
    prior_filter: PriorFilter | Mapping[str, Any] | None = None,
    rename: Mapping[str, str] | None = None,
) -> Overlaps:
    """Which prior studies are of use for a study, how far, and why the others are not.

    For the priors of a sampler see ``MetaSampler.inspect_priors``.

    Args:
        prior: Prior studies, as ``MetaSampler`` takes them.
        target: What they are compared with: a search space (name to distribution), or a study with
            at least one finished trial.
        prior_studies: As in ``MetaSampler``.
        prior_filter: As in ``MetaSampler``.
        rename: As in ``MetaSampler``.

    Returns:
        One entry a prior study; ``print`` shows a table.

    Raises:
        PriorError: If a source cannot be read.
    """
    from optuna_metasampler.priors.overlap import inspect

    conditions = PriorFilter.of(prior_filter)
    studies = [study for source in resolve(prior, prior_studies) for study in source.read()]
    return inspect(studies, target, conditions, rename)


def prior_relevance(sampler: MetaSampler, study: Study) -> list[PriorRelevance]:
    """Which prior studies helped, the most helpful first.

    Args:
        sampler: The sampler of the study.
        study: The study, with any number of trials.

    Returns:
        One row a prior study that is used; none where there is no prior study or the sampler has
        not made a suggestion to this study yet.
    """
    from optuna_metasampler.isolation import isolated

    with isolated():
        by_objective = [_relevance(p) for p in sampler.transfer_predictors(study)]
    rows = [_mean(of_study) for of_study in zip(*by_objective, strict=True)]
    return sorted(rows, key=lambda row: (-row.weight, row.name))


def _relevance(predictor: TransferPredictor) -> list[PriorRelevance]:
    """One row a prior study, for one objective."""
    from optuna_metasampler.task import spearman

    model = predictor.surrogate.model
    # The posterior holds what has come back, with the sources' predictions as its features.
    predictions, outcomes = predictor.posterior.phi[:, 2:], predictor.posterior.outcomes
    correlations = [spearman(column, outcomes) for column in predictions.T]
    if all(math.isnan(rho) for rho in correlations):
        merits = model.share.tolist()
    else:
        merits = [max(rho, 0.0) if not math.isnan(rho) else 0.0 for rho in correlations]
    say = predictor.evidence / max(sum(merits), 1e-12)
    return [
        PriorRelevance(name=name, n_trials=n, rank_correlation=rho, weight=say * merit)
        for name, n, rho, merit in zip(
            model.names, model.n_trials, correlations, merits, strict=True
        )
    ]


def _mean(rows: Sequence[PriorRelevance]) -> PriorRelevance:
    """One prior study's mean over the objectives; of the correlations over those there are."""
    known = [row.rank_correlation for row in rows if not math.isnan(row.rank_correlation)]
    return replace(
        rows[0],
        rank_correlation=sum(known) / len(known) if known else math.nan,
        weight=sum(row.weight for row in rows) / len(rows),
    )

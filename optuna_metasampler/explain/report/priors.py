"""Which prior studies are of use to a study, and which of them helped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optuna_metasampler.priors.sources import PriorLike, read_priors
from optuna_metasampler.priors.study import PriorFilter, PriorFilterOptions


if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

    from optuna_metasampler.explain.prior_weights import PriorWeight
    from optuna_metasampler.priors.overlap import Overlaps
    from optuna_metasampler.priors.study import PriorStudy
    from optuna_metasampler.sampler import MetaSampler


def inspect_priors(
    prior: PriorLike | Sequence[PriorLike],
    target: Mapping[str, BaseDistribution] | Study | PriorStudy,
    *,
    prior_studies: str | Sequence[str] | None = None,
    prior_filter: PriorFilter | PriorFilterOptions | None = None,
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
    studies = read_priors(prior, prior_studies)
    return inspect(studies, target, conditions, rename)


def prior_relevance(sampler: MetaSampler, study: Study) -> list[PriorWeight]:
    """Which prior studies helped, the most helpful first.

    Args:
        sampler: The sampler of the study.
        study: The study, with any number of trials.

    Returns:
        One row a prior study that is used; none where there is no prior study or the sampler has
        not made a suggestion to this study yet.
    """
    from optuna_metasampler._runtime import isolated
    from optuna_metasampler.explain.prior_weights import relevance

    with isolated():
        return relevance(sampler.transfer_predictors(study))

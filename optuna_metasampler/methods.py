"""The one table of methods: a name, and how its policy is built.

Importing this module is cheap: what a method is made of is imported when it is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from torch import Tensor

    from optuna_metasampler.policies.base import Policy
    from optuna_metasampler.space import SearchSpace
    from optuna_metasampler.surrogates.prior_mean import PriorModel


@dataclass(frozen=True)
class Prior:
    """What is known from prior studies, seen from the space of the running study.

    Attributes:
        model: What was learned from them.
        to_prior: Maps points ``(q, d)`` of the running study to the common space of the prior
            studies.
        favourites: The prior studies' best configurations in the running study's space, ``(k,
            d)``.
        unknown: Names of the running study's parameters that no prior study had.
    """

    model: PriorModel
    to_prior: Callable[[Tensor], Tensor]
    favourites: Tensor
    unknown: tuple[str, ...] = ()


Builder = Callable[["SearchSpace", "Prior | None", "int | None"], "Policy"]
"""From a space, the prior knowledge and ``n_startup_trials`` to a policy."""


def _auto(space: SearchSpace, prior: Prior | None, n_startup_trials: int | None) -> Policy:
    """The transfer Gaussian process with prior studies, the cold one without."""
    if prior is None:
        return _gaussian_process(space, prior, n_startup_trials)
    from optuna_metasampler.policies.transfer import TransferPolicy
    from optuna_metasampler.surrogates.transfer import TransferGaussianProcess

    # The prior studies stand in for space-filling trials; who asks for some gets them.
    surrogate = TransferGaussianProcess(prior.model, prior.to_prior)
    return TransferPolicy(surrogate, prior.favourites, prior.unknown, n_startup_trials or 0)


def _gaussian_process(
    space: SearchSpace, prior: Prior | None, n_startup_trials: int | None
) -> Policy:
    """The cold Gaussian process; prior studies are passed over."""
    from optuna_metasampler.policies.acquisition import AcquisitionPolicy
    from optuna_metasampler.surrogates.gaussian_process import GaussianProcess

    del prior
    if n_startup_trials is None:
        n_startup_trials = max(4, min(6, len(space.parameters)))
    return AcquisitionPolicy(GaussianProcess(), n_startup_trials)


METHODS: dict[str, Builder] = {
    "auto": _auto,
    "gp": _gaussian_process,
}

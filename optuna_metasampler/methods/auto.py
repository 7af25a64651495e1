"""``auto``, the default: the transfer Gaussian process, or the cold one without priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna_metasampler.methods.base import Prior
from optuna_metasampler.methods.gp import cold_policy
from optuna_metasampler.methods.prior_model import PriorModelMethod
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.transfer import TransferPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.prior_model import PriorModel
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess


@dataclass(frozen=True)
class Auto(PriorModelMethod):
    """The default method."""

    name: ClassVar[str] = "auto"

    def policy(
        self, space: SearchSpace, prior: Prior[PriorModel] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
        if prior is None:
            return cold_policy(space, n_startup_trials)
        # The prior studies stand in for space-filling trials; who asks for some gets them.
        surrogate = TransferGaussianProcess(prior.learned, prior.to_prior)
        return TransferPolicy(
            surrogate,
            prior.prior_incumbents,
            prior.unknown,
            n_startup_trials or 0,
            feasibility=prior.feasibility,
        )

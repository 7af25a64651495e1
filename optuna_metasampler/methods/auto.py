"""``auto``, the default: the transfer Gaussian process, or the cold one without priors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.gp import cold_policy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.transfer import TransferPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.prior_mean import PriorModel
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess
from optuna_metasampler.task import Task


@dataclass(frozen=True)
class Auto(Method[PriorModel]):
    """The default method."""

    name: ClassVar[str] = "auto"
    min_studies: ClassVar[int] = 0

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> PriorModel:
        """See :meth:`Method.learn`; a Gaussian process a study, and a network across them."""
        return PriorModel.fit(list(tasks), generator)

    def policy(
        self, space: SearchSpace, prior: Prior[PriorModel] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
        if prior is None:
            return cold_policy(space, n_startup_trials)
        # The prior studies stand in for space-filling trials; who asks for some gets them.
        surrogate = TransferGaussianProcess(prior.learned, prior.to_prior)
        return TransferPolicy(surrogate, prior.favourites, prior.unknown, n_startup_trials or 0)

    def pack(self, learned: PriorModel) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return learned.pack()

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> PriorModel:
        """See :meth:`Method.unpack`."""
        return PriorModel.unpack(space, tensors)

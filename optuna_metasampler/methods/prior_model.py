"""What the methods on the transfer Gaussian process share: the prior model and its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.gp import NO_TREND, cold_policy_of_objectives
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.multi_objective import MultiObjectivePolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.prior_model import PriorModel
from optuna_metasampler.surrogates.transfer import TransferConfig, TransferGaussianProcess
from optuna_metasampler.task import Task


@dataclass(frozen=True)
class PriorModelMethod(Method[PriorModel]):
    """Learns a Gaussian process a prior study, and a network across them; works without any."""

    min_studies: ClassVar[int] = 0
    models_constraints: ClassVar[bool] = True
    models_objectives: ClassVar[bool] = True

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> PriorModel:
        """See :meth:`Method.learn`."""
        return PriorModel.fit(list(tasks), generator, trainer.count)

    def policy_of_objectives(
        self,
        space: SearchSpace,
        priors: Sequence[Prior[PriorModel] | None],
        n_startup_trials: int | None,
    ) -> Policy:
        """See :meth:`Method.policy_of_objectives`."""
        known = [prior for prior in priors if prior is not None]
        if len(known) < len(priors):
            return cold_policy_of_objectives(space, len(priors), n_startup_trials)
        config = TransferConfig(process=NO_TREND)
        surrogates = [TransferGaussianProcess(p.learned, p.to_prior, config) for p in known]
        first = known[0]
        return MultiObjectivePolicy(
            surrogates,
            n_startup_trials or 0,
            first.prior_incumbents,
            first.unknown,
            feasibility=first.feasibility,
        )

    def pack(self, learned: PriorModel) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return learned.pack()

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> PriorModel:
        """See :meth:`Method.unpack`."""
        return PriorModel.unpack(space, tensors)

"""What the methods on the transfer Gaussian process share: the prior model and its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import Method
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.prior_mean import PriorModel
from optuna_metasampler.task import Task


@dataclass(frozen=True)
class PriorModelMethod(Method[PriorModel]):
    """Learns a Gaussian process a prior study, and a network across them; works without any."""

    min_studies: ClassVar[int] = 0
    models_constraints: ClassVar[bool] = True

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> PriorModel:
        """See :meth:`Method.learn`."""
        return PriorModel.fit(list(tasks), generator)

    def pack(self, learned: PriorModel) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return learned.pack()

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> PriorModel:
        """See :meth:`Method.unpack`."""
        return PriorModel.unpack(space, tensors)

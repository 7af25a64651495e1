"""``gp``: the cold Gaussian process of the default, without any use of prior studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.multi_objective import MultiObjectivePolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import (
    GaussianProcess,
    GaussianProcessConfig,
    GaussianProcessPredictor,
)
from optuna_metasampler.task import Task


# With a trend in each objective, proposals are slow to reach the ends of a Pareto front.
NO_TREND = GaussianProcessConfig(trend=False)
"""Of the processes of several objectives."""


@dataclass(frozen=True)
class ColdGaussianProcess(Method[None]):
    """The cold Gaussian process; prior studies are passed over."""

    name: ClassVar[str] = "gp"
    min_studies: ClassVar[int] = 0
    models_constraints: ClassVar[bool] = True
    models_objectives: ClassVar[bool] = True

    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> None:
        """Nothing."""

    def policy(
        self, space: SearchSpace, prior: Prior[None] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
        return cold_policy(space, n_startup_trials)

    def policy_of_objectives(
        self,
        space: SearchSpace,
        priors: Sequence[Prior[None] | None],
        n_startup_trials: int | None,
    ) -> Policy:
        """See :meth:`Method.policy_of_objectives`."""
        return cold_policy_of_objectives(space, len(priors), n_startup_trials)

    def pack(self, learned: None) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return {}

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.unpack`."""


def n_cold_startup_trials(space: SearchSpace) -> int:
    """Space-filling trials of a study without prior ones, by its number of parameters."""
    return max(4, min(6, len(space.parameters)))


def cold_policy(
    space: SearchSpace, n_startup_trials: int | None
) -> AcquisitionPolicy[GaussianProcessPredictor]:
    """The policy without prior studies."""
    n = n_cold_startup_trials(space) if n_startup_trials is None else n_startup_trials
    return AcquisitionPolicy(GaussianProcess(), n)


def cold_policy_of_objectives(
    space: SearchSpace, n_objectives: int, n_startup_trials: int | None
) -> MultiObjectivePolicy[GaussianProcessPredictor]:
    """The policy of several objectives without prior studies."""
    n = n_cold_startup_trials(space) if n_startup_trials is None else n_startup_trials
    return MultiObjectivePolicy([GaussianProcess(NO_TREND) for _ in range(n_objectives)], n)

"""The default methods.

``auto`` is the transfer Gaussian process, or the target-only one without prior studies; ``gp`` is
the target-only one in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import AlignedPrior, Method, Priors
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import N_WARM_START_TRIALS, InitialDesign
from optuna_metasampler.policies.multi_objective import MultiObjectivePolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.constraints import Feasibility
from optuna_metasampler.surrogates.gaussian_process import (
    GaussianProcess,
    GaussianProcessConfig,
    GaussianProcessPredictor,
)
from optuna_metasampler.surrogates.prior_model import PriorModel
from optuna_metasampler.surrogates.transfer import TransferConfig, TransferGaussianProcess
from optuna_metasampler.task import Task


# The best configurations of fewer studies are few enough to choose among.
_MANY_STUDIES = 10
# With a trend in each objective, proposals are slow to reach the ends of a Pareto front.
_NO_TREND = GaussianProcessConfig(trend=False)


@dataclass(frozen=True)
class ColdGaussianProcess(Method):
    """The target-only Gaussian process; prior studies are ignored."""

    name: ClassVar[str] = "gp"
    min_studies: ClassVar[int] = 0
    models_constraints: ClassVar[bool] = True
    models_objectives: ClassVar[bool] = True

    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> None:
        """Nothing."""

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`."""
        return cold_policy(space, n_startup_trials, len(priors))

    def pack(self, learned: None) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return {}

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.unpack`."""


@dataclass(frozen=True)
class PriorModelMethod(Method):
    """Learns the mean of the prior studies and how they differ; works without any."""

    min_studies: ClassVar[int] = 0
    models_constraints: ClassVar[bool] = True
    models_objectives: ClassVar[bool] = True

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> PriorModel:
        """See :meth:`Method.learn`."""
        return PriorModel.fit(tasks, trainer.count)

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`."""
        known = [prior for prior in priors if prior is not None]
        if len(known) < len(priors):
            return cold_policy(space, n_startup_trials, len(priors))
        config = TransferConfig() if len(known) == 1 else TransferConfig(process=_NO_TREND)
        surrogates = [TransferGaussianProcess(p.learned, p.to_prior, config) for p in known]
        feasibility = known[0].feasibility
        if len(known) == 1:
            design = transfer_design(known[0], n_startup_trials)
            return AcquisitionPolicy(surrogates[0], design, feasibility=feasibility)
        design = _warm_start(known[0], known[0].prior_incumbents, n_startup_trials)
        return MultiObjectivePolicy(surrogates, design, feasibility=feasibility)

    def pack(self, learned: PriorModel) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return learned.pack()

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> PriorModel:
        """See :meth:`Method.unpack`."""
        return PriorModel.unpack(space, tensors)


@dataclass(frozen=True)
class Auto(PriorModelMethod):
    """The default method: transfer with prior studies, the target-only process without."""

    name: ClassVar[str] = "auto"


def transfer_design(prior: AlignedPrior, n_startup_trials: int | None) -> InitialDesign:
    """The initial design with prior studies, which stand in for space-filling trials.

    Its candidates are the prior incumbents; of many studies, configurations that complement one
    another: together they leave little to gain in any prior study, at the values that the running
    study allows.
    """
    model: PriorModel = prior.learned
    if len(model.names) < _MANY_STUDIES or prior.feasibility.prior is not None:
        return _warm_start(prior, prior.prior_incumbents, n_startup_trials)
    points = prior.from_prior(model.points)
    with torch.no_grad():
        chosen = model.complementary(prior.to_prior(points))
    return _warm_start(prior, points[chosen], n_startup_trials)


def _warm_start(
    prior: AlignedPrior, candidates: Tensor, n_startup_trials: int | None
) -> InitialDesign:
    return InitialDesign(
        n_startup_trials or 0,
        candidates,
        N_WARM_START_TRIALS,
        probes=not prior.shipped,
        unknown=prior.unknown,
    )


def cold_design(space: SearchSpace, n_startup_trials: int | None) -> InitialDesign:
    """The initial design without prior studies: by default 4 to 6 space-filling trials."""
    default = max(4, min(6, len(space.parameters)))
    return InitialDesign(default if n_startup_trials is None else n_startup_trials)


def cold_policy(
    space: SearchSpace,
    n_startup_trials: int | None,
    n_objectives: int = 1,
    feasibility: Feasibility | None = None,
) -> AcquisitionPolicy[GaussianProcessPredictor]:
    """The policy without prior studies, or with those that only say where trials fail."""
    design = cold_design(space, n_startup_trials)
    if n_objectives == 1:
        return AcquisitionPolicy(GaussianProcess(), design, feasibility=feasibility)
    surrogates = [GaussianProcess(_NO_TREND) for _ in range(n_objectives)]
    return MultiObjectivePolicy(surrogates, design, feasibility=feasibility)

"""The ``mlp`` method, and the pre-training of its ensemble.

Networks as surrogates: Snoek et al. 2015, arXiv:1502.05700. Their disagreement as uncertainty:
Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474.

Axis letters: ``k`` studies, ``g`` studies of a step, ``s`` records of each, ``m`` members, ``e``
encoded columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.maximize import MaximizeConfig
from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.meta_train.loop import Learner, TrainConfig, Trainer
from optuna_metasampler.methods import networks
from optuna_metasampler.methods.base import Method, Priors, option
from optuna_metasampler.methods.default import cold_design
from optuna_metasampler.methods.mlp.ensemble import (
    Ensemble,
    Inputs,
    MlpConfig,
    PriorRecords,
    layer_sizes,
    new_ensemble,
    study_shares,
)
from optuna_metasampler.methods.mlp.regressors import KINDS, Regressors
from optuna_metasampler.methods.networks import forward
from optuna_metasampler.packing import checked, checked_sequence, pack
from optuna_metasampler.policies.acquisition import AcquisitionConfig, ConfidenceBoundPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


# Without prior studies the networks start from random weights and are trained for longer.
_COLD_STEPS = 4
# Records of a study in a step of pre-training, and in validation.
_N_RECORDS = 32
_N_VALIDATION_RECORDS = 256


class RegressionLearner(Learner):
    """Pre-training by the mean squared error over the records of all prior studies.

    Args:
        records: Records of the prior studies.
        weights: Initial weights of the ensemble, one output a member; on the records' device.
        shares: Weight of each study for each member, shape ``(m, k)``, of mean 1; likewise.
    """

    state_name = "weights"

    def __init__(self, records: StudyRecords, weights: Sequence[Tensor], shares: Tensor) -> None:
        self._records = records
        self._weights = [w.clone().requires_grad_() for w in weights]
        self._shares = shares

    @property
    def n_studies(self) -> int:
        """See :class:`Learner`."""
        return len(self._records.sizes)

    def parameters(self) -> list[Tensor]:
        """See :class:`Learner`."""
        return self._weights

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        """Weighted mean squared error of each member, summed; see :class:`Learner`."""
        x, z = self._drawn(studies, _N_RECORDS, generator)
        error = (forward(self._weights, x).reshape(-1, *z.shape) - z).square().mean(dim=2)
        return (self._shares[:, studies.to(z.device)] * error).mean(dim=1).sum()

    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        """Mean squared error of the members' mean; see :class:`Learner`."""
        x, z = self._drawn(studies, _N_VALIDATION_RECORDS, generator)
        with torch.no_grad():
            mean = forward(self._weights, x).reshape(-1, *z.shape).mean(dim=0)
        return float((mean - z).square().mean())

    def _drawn(self, studies: Tensor, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Records with replacement: points ``(g * s, e)`` and outcomes ``(g, s)``."""
        u = torch.rand((len(studies), n), generator=generator)
        rows = (u * self._records.sizes[studies, None]).long().to(self._records.x.device)
        study = studies[:, None].to(self._records.x.device)
        x = self._records.x[study, rows]
        return x.reshape(-1, x.shape[-1]), self._records.z[study, rows]


@dataclass(frozen=True)
class LearnedMlp:
    """Records of the prior studies and an ensemble trained on them.

    Attributes:
        records: Records of the prior studies.
        weights: Weights of the ensemble, for ``e`` inputs; empty for regressors of scikit-learn,
            which are fitted to the records anew.
        shares: Weight of each study for each member, shape ``(m, k)``.
    """

    records: PriorRecords
    weights: tuple[Tensor, ...]
    shares: Tensor


@dataclass(frozen=True)
class Mlp(Method):
    """An ensemble of networks, maximised by gradient ascent on the hyperparameters.

    Attributes:
        surrogate: ``"mlp"``, or a regressor of scikit-learn in its place: ``"svr"``, ``"forest"``
            or ``"boosting"``, which have no gradient and are searched by candidates and moves.
        exploration: Number of standard deviations that are added to the ensemble's mean; 0 for the
            prediction alone.
        n_members: Networks in the ensemble.
        width: Units in each of their two hidden layers.
        n_steps: Steps of Adam at every suggestion.
        n_meta_steps: Steps of Adam over the prior studies, at most.
        prior_weight: Weight of all prior records together, in trials of the running study.
        n_starts: Points from which gradients are followed.
        n_gradient_steps: Gradient steps; two rounds of them, each followed by moves of choices.
        step_size: Size of the gradient steps, in ranges of a parameter per unit of slope.
    """

    name: ClassVar[str] = "mlp"
    min_studies: ClassVar[int] = 0

    surrogate: str = option("mlp", choices=("mlp", *KINDS))
    exploration: float = option(1.0, ge=0)
    n_members: int = option(8, ge=1)
    width: int = option(64, ge=1)
    n_steps: int = option(80, ge=0)
    n_meta_steps: int = option(1000, ge=0)
    prior_weight: float = option(10.0, ge=0)
    n_starts: int = option(16, ge=1)
    n_gradient_steps: int = option(25, ge=0)
    step_size: float = option(
        0.02, gt=0, hint="To make no gradient steps, set `n_gradient_steps` to 0."
    )

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> LearnedMlp:
        """See :meth:`Method.learn`; the networks are trained, regressors are not."""
        records = PriorRecords.of(tasks, generator)
        shares = study_shares(len(tasks), self.n_members, generator)
        if self.surrogate != "mlp":
            return LearnedMlp(records, (), shares)
        first = new_ensemble(tasks[0].space.n_columns, self._config(1), generator)
        learner = RegressionLearner(
            StudyRecords.of(tasks, trainer.device),
            [w.to(trainer.device) for w in first],
            shares.to(trainer.device),
        )
        # Each member learns from a few studies; a held-out study may be all of them.
        config = TrainConfig(n_steps=self.n_meta_steps, n_studies=len(tasks), validation_share=0.0)
        trainer.run(learner, config, generator)
        weights = tuple(w.detach().cpu() for w in learner.parameters())
        return LearnedMlp(records, weights, shares)

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`."""
        (prior,) = priors
        if prior is None:
            design = cold_design(space, n_startup_trials)
            inputs = Inputs.of(space)
            records, shares = PriorRecords.none(space.n_columns), torch.zeros((self.n_members, 0))
            learned = LearnedMlp(records, self._cold_weights(space), shares)
        else:
            design = InitialDesign(n_startup_trials or 0, prior.prior_incumbents)
            inputs, learned = Inputs.of(space, prior.to_prior, prior.unknown), prior.learned
        if self.surrogate != "mlp":
            regressors = Regressors(self.surrogate, learned.records, inputs, self.prior_weight)
            search = MaximizeConfig(n_starts=self.n_starts, n_gradient_steps=0)
            return ConfidenceBoundPolicy(
                regressors, self.exploration, design, AcquisitionConfig(search=search)
            )
        config = self._config(_COLD_STEPS if prior is None else 1)
        ensemble = Ensemble(learned.records, learned.weights, learned.shares, inputs, config)
        search = MaximizeConfig(
            n_starts=self.n_starts,
            n_gradient_steps=self.n_gradient_steps,
            step_size=self.step_size,
        )
        return ConfidenceBoundPolicy(
            ensemble, self.exploration, design, AcquisitionConfig(search=search)
        )

    def pack(self, learned: LearnedMlp) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return pack(learned)

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> LearnedMlp:
        """See :meth:`Method.unpack`."""
        n, e = len(checked(tensors, "records.z", None)), space.n_columns
        m = self.n_members
        shares = checked(tensors, "shares", m, None)
        study = checked(tensors, "records.study", n).long()
        if bool((study < 0).any() | (study >= shares.shape[1]).any()):
            raise ValueError(f"'records.study' must be indices of {shares.shape[1]} studies")
        records = PriorRecords(checked(tensors, "records.x", n, e), tensors["records.z"], study)
        if self.surrogate != "mlp":
            return LearnedMlp(records, (), shares)
        shapes = networks.shapes(layer_sizes(e, self.width), [m])
        return LearnedMlp(records, checked_sequence(tensors, "weights", shapes), shares)

    def _config(self, times: int) -> MlpConfig:
        return MlpConfig(
            n_members=self.n_members,
            width=self.width,
            n_steps=times * self.n_steps,
            prior_weight=self.prior_weight,
        )

    def _cold_weights(self, space: SearchSpace) -> tuple[Tensor, ...]:
        """Initial weights without prior studies: always the same, as part of the model."""
        generator = torch.Generator(device="cpu").manual_seed(0)
        return tuple(new_ensemble(space.n_columns, self._config(1), generator))

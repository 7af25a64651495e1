"""``mlp``, the plain form: a network ``f(h) -> performance``, and gradient ascent on ``h``.

Networks as surrogates: Snoek et al. 2015, arXiv:1502.05700. Their disagreement as uncertainty:
Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.maximize import MaximizeConfig
from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.meta_train.regression import RegressionLearner
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.default import cold_design
from optuna_metasampler.methods.options import non_negative, one_of, positive, whole
from optuna_metasampler.packing import checked
from optuna_metasampler.policies.acquisition import AcquisitionConfig, ConfidenceBoundPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.mlp import Ensemble, MlpConfig, new_ensemble, study_shares
from optuna_metasampler.surrogates.pooled import Inputs, PriorRecords
from optuna_metasampler.surrogates.regressors import KINDS, Regressors
from optuna_metasampler.task import Task


# Without prior studies the networks begin with nothing, and have to be trained for longer.
_COLD_STEPS = 4


@dataclass(frozen=True)
class LearnedMlp:
    """What the method keeps of the prior studies.

    Attributes:
        records: Their records.
        weights: The ensemble that was trained on them, for ``e`` inputs; empty where regressors of
            scikit-learn, which are fitted to the records anew, take its place.
        shares: How much each study weighs with each member, shape ``(m, k)``.
    """

    records: PriorRecords
    weights: tuple[Tensor, ...]
    shares: Tensor


@dataclass(frozen=True)
class Mlp(Method[LearnedMlp]):
    """An ensemble of networks, climbed with respect to the hyperparameters.

    Attributes:
        surrogate: ``"mlp"``, or a regressor of scikit-learn in its place: ``"svr"``, ``"forest"``
            or ``"boosting"``, which have no gradient to climb and are searched by candidates and
            moves.
        exploration: How many standard deviations of the ensemble are added to its mean; 0 for the
            bare prediction.
        n_members: Networks in the ensemble.
        width: Units in each of their two hidden layers.
        n_steps: Steps of Adam at every suggestion.
        n_meta_steps: Steps of Adam over the prior studies, at most.
        prior_weight: As many trials of the running study as all prior records together weigh.
        n_starts: Points from which gradients are followed.
        n_gradient_steps: Gradient steps, twice, with moves of choices after each time.
        step_size: Of the gradient steps, in ranges of a parameter per unit of slope.
    """

    surrogate: str = "mlp"
    exploration: float = 1.0
    n_members: int = 8
    width: int = 64
    n_steps: int = 80
    n_meta_steps: int = 1000
    prior_weight: float = 10.0
    n_starts: int = 16
    n_gradient_steps: int = 25
    step_size: float = 0.02

    name: ClassVar[str] = "mlp"
    min_studies: ClassVar[int] = 0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: If one is out of range.
        """
        one_of("surrogate", self.surrogate, ("mlp", *KINDS))
        for option in ("n_members", "width", "n_starts"):
            whole(option, getattr(self, option), 1)
        for option in ("n_steps", "n_meta_steps", "n_gradient_steps"):
            whole(option, getattr(self, option), 0)
        non_negative("exploration", self.exploration)
        non_negative("prior_weight", self.prior_weight)
        positive(
            "step_size",
            self.step_size,
            " To make no gradient steps at all, set `n_gradient_steps` to 0.",
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
        # Each member has a few studies of its own; one that is held out would be all that it has.
        config = TrainConfig(n_steps=self.n_meta_steps, n_studies=len(tasks), validation_share=0.0)
        trainer.run(learner, config, generator)
        weights = tuple(w.detach().cpu() for w in learner.parameters())
        return LearnedMlp(records, weights, shares)

    def policy(
        self, space: SearchSpace, prior: Prior[LearnedMlp] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
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
        tensors = {f"records.{name}": tensor for name, tensor in vars(learned.records).items()}
        tensors |= {f"weights.{i}": w for i, w in enumerate(learned.weights)}
        return {**tensors, "shares": learned.shares}

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> LearnedMlp:
        """See :meth:`Method.unpack`."""
        n, e = len(checked(tensors, "records.z", None)), space.n_columns
        m, w = self.n_members, self.width
        shares = checked(tensors, "shares", m, None)
        study = checked(tensors, "records.study", n).long()
        if bool((study < 0).any() | (study >= shares.shape[1]).any()):
            raise ValueError(f"there are records of other than the {shares.shape[1]} studies")
        records = PriorRecords(checked(tensors, "records.x", n, e), tensors["records.z"], study)
        if self.surrogate != "mlp":
            return LearnedMlp(records, (), shares)
        shapes = [(e, w), (1, w), (w, w), (1, w), (w, 1), (1, 1)]
        return LearnedMlp(
            records,
            tuple(checked(tensors, f"weights.{i}", m, *shape) for i, shape in enumerate(shapes)),
            shares,
        )

    def _config(self, times: int) -> MlpConfig:
        return MlpConfig(
            n_members=self.n_members,
            width=self.width,
            n_steps=times * self.n_steps,
            prior_weight=self.prior_weight,
        )

    def _cold_weights(self, space: SearchSpace) -> tuple[Tensor, ...]:
        """Where training begins without prior studies: always the same, as a part of the model."""
        generator = torch.Generator(device="cpu").manual_seed(0)
        return tuple(new_ensemble(space.n_columns, self._config(1), generator))

"""``lstm``: a recurrent policy, trained on the prior studies' surrogates; no surrogate in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.meta_train.lstm import LstmLearner
from optuna_metasampler.meta_train.simulators import Simulators
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.options import non_negative, one_of, positive, whole
from optuna_metasampler.packing import checked
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.lstm import LstmPolicy, RecurrentNetwork
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


Training = Literal["policy-gradient", "unrolled"]


@dataclass(frozen=True)
class Lstm(Method[RecurrentNetwork]):
    """A recurrent policy over (last hyperparameters, last result) to the next hyperparameters.

    Chen et al. 2017, arXiv:1611.03824. Meta-training maximises the best outcome so far, summed
    over an episode on the prior studies' own Gaussian processes; meta-test reads the running
    study's trials and draws the next one. Nothing of it is trained on the running study.

    Attributes:
        training: ``"policy-gradient"`` (REINFORCE with a baseline, Williams 1992) or
            ``"unrolled"`` (gradients through the objectives along the episode).
        width: Units of the cell.
        horizon: Trials of an episode of training. A study may be longer, but what the policy
            does beyond was not trained.
        n_steps: Steps of training, at most.
        learning_rate: First step size of Adam.
        n_objectives: Objectives that a step sees.
        n_rollouts: Episodes on each of them, two or more.
        variation: Standard deviation of the random function on top of a prior study's outcomes,
            which have about unit scale.
        entropy: Weight of the entropy in training.
        temperature: Factor on the spread of proposals in use; near 0 it is the mean alone.
    """

    name: ClassVar[str] = "lstm"
    same_parameters: ClassVar[bool] = True

    training: Training = "policy-gradient"
    width: int = 48
    horizon: int = 20
    n_steps: int = 100
    learning_rate: float = 1e-2
    n_objectives: int = 8
    n_rollouts: int = 32
    variation: float = 0.5
    entropy: float = 0.1
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Check the options."""
        one_of("training", self.training, get_args(Training))
        for option in ("width", "horizon", "n_steps", "n_objectives"):
            whole(option, getattr(self, option), 1)
        whole("n_rollouts", self.n_rollouts, 2, " Each is compared with the others.")
        positive("learning_rate", self.learning_rate)
        positive("temperature", self.temperature)
        non_negative("variation", self.variation)
        non_negative("entropy", self.entropy)

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> RecurrentNetwork:
        """See :meth:`Method.learn`."""
        learner = LstmLearner(
            Simulators.of(tasks, self.variation, trainer.device),
            RecurrentNetwork.initial(tasks[0].space, self.width, generator),
            self.horizon,
            self.n_objectives,
            self.n_rollouts,
            self.training == "unrolled",
            self.entropy,
            trainer.device,
        )
        config = TrainConfig(self.n_steps, self.n_objectives, self.learning_rate, n_validations=10)
        trainer.run(learner, config, generator)
        return learner.network

    def policy(
        self,
        space: SearchSpace,
        prior: Prior[RecurrentNetwork] | None,
        n_startup_trials: int | None,
    ) -> Policy:
        """See :meth:`Method.policy`."""
        assert prior is not None
        return LstmPolicy(
            prior.learned,
            prior.to_prior,
            prior.from_prior,
            n_startup_trials or 0,
            self.temperature,
        )

    def pack(self, learned: RecurrentNetwork) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return {f"weight.{i}": w for i, w in enumerate(learned.weights)}

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> RecurrentNetwork:
        """See :meth:`Method.unpack`."""
        (width,) = checked(tensors, "weight.3", None).shape
        shapes = RecurrentNetwork.shapes(space, width)
        weights = [checked(tensors, f"weight.{i}", *shape) for i, shape in enumerate(shapes)]
        return RecurrentNetwork(space, tuple(weights))

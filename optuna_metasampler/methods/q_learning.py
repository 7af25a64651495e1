"""``q-learning``: a Q function over history and candidate, trained on the prior studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.meta_train.q_learning import QConfig, QLearner
from optuna_metasampler.meta_train.simulators import Simulators
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.options import non_negative, positive, probability, whole
from optuna_metasampler.packing import checked
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.q_learning import QNetwork, QPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


# Candidates of a history in training; in use there are more.
_N_SHARED = 32
_N_NEAR = 8
# Generations of parallel episodes that the replay keeps.
_N_GENERATIONS = 24
# Share of the training over which exploration falls, and to what.
_EXPLORING = 0.5
_LEAST_EXPLORATION = 0.1


@dataclass(frozen=True)
class QLearning(Method[QNetwork]):
    """A neural Q function over the encoded history and a candidate.

    Jomaa et al. 2019, arXiv:1906.11527. It is trained on the prior studies' own Gaussian
    processes, with experience replay and a target network (Mnih et al. 2015), and not trained any
    further on the running study.

    Attributes:
        width: Units of each hidden layer.
        horizon: Trials of an episode of training; past it, a study is always at its last trial.
        n_steps: Steps of training, at most.
        learning_rate: First step size of Adam.
        n_parallel: Episodes that go on at a time.
        n_replayed: Steps of the replay that a step of training looks at.
        discount: How much the next improvement counts, in ``[0, 1]``.
        target_every: Steps from one update of the target network to the next.
        variation: Standard deviation of the random function on top of a prior study's outcomes,
            which have about unit scale.
        epsilon: Probability of a random candidate in use, in ``[0, 1]``.
    """

    name: ClassVar[str] = "q-learning"
    same_parameters: ClassVar[bool] = True

    width: int = 64
    horizon: int = 20
    n_steps: int = 300
    learning_rate: float = 3e-3
    n_parallel: int = 32
    n_replayed: int = 96
    discount: float = 0.8
    target_every: int = 25
    variation: float = 0.5
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        """Check the options."""
        counts = ("width", "horizon", "n_steps", "n_parallel", "n_replayed", "target_every")
        for option in counts:
            whole(option, getattr(self, option), 1)
        positive("learning_rate", self.learning_rate)
        non_negative("variation", self.variation)
        probability("discount", self.discount)
        probability("epsilon", self.epsilon)

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> QNetwork:
        """See :meth:`Method.learn`."""
        learner = QLearner(
            Simulators.of(tasks, self.variation, trainer.device),
            QNetwork.initial(tasks[0].space, self.width, self.horizon, generator),
            torch.cat([task.x for task in tasks]),
            QConfig(
                n_parallel=self.n_parallel,
                n_episodes=_N_GENERATIONS * self.n_parallel,
                n_replayed=self.n_replayed,
                n_shared=_N_SHARED,
                n_near=_N_NEAR,
                discount=self.discount,
                target_every=self.target_every,
                n_exploring=round(_EXPLORING * self.n_steps),
                epsilon=_LEAST_EXPLORATION,
            ),
            trainer.device,
        )
        config = TrainConfig(
            self.n_steps, self.n_parallel, self.learning_rate, n_validations=10, patience=10
        )
        trainer.run(learner, config, generator)
        return learner.network

    def policy(
        self, space: SearchSpace, prior: Prior[QNetwork] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
        assert prior is not None
        return QPolicy(
            prior.learned,
            prior.to_prior,
            prior.prior_incumbents,
            n_startup_trials or 0,
            self.epsilon,
        )

    def pack(self, learned: QNetwork) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return {f"weight.{i}": w for i, w in enumerate(learned.weights)}

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> QNetwork:
        """See :meth:`Method.unpack`."""
        _, width = checked(tensors, "weight.0", None, None).shape
        # Only the shapes of it count.
        like = QNetwork.initial(space, width, self.horizon, torch.Generator(device="cpu"))
        return like.with_weights(
            [checked(tensors, f"weight.{i}", *w.shape) for i, w in enumerate(like.weights)]
        )

"""Training of the recurrent policy by REINFORCE or along unrolled episodes, and the method.

Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning", Machine Learning 8.

Axis letters: ``g`` objectives, ``r`` rollouts of each, ``t`` steps, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Learner, TrainConfig, Trainer
from optuna_metasampler.meta_train.simulators import Objectives, Simulators
from optuna_metasampler.methods.base import Method, Priors, option
from optuna_metasampler.methods.lstm.policy import LstmPolicy, RecurrentNetwork, feasible
from optuna_metasampler.packing import checked, checked_sequence, pack
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.rank_features import rank_features
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


def rewards_to_go(rewards: Tensor) -> Tensor:
    """Sums of the rewards from each step on, shape ``(..., t)``."""
    return rewards.flip(-1).cumsum(-1).flip(-1)


def policy_gradient_loss(log_prob: Tensor, rewards: Tensor) -> Tensor:
    """A scalar whose gradient estimates that of the negative expected return: REINFORCE.

    Each step's log probability is weighed by the rewards from that step on, less a baseline: the
    mean of the *other* rollouts' on the same objective. The baseline does not depend on the action
    that it is compared with, so the estimate is unbiased (Kool, van Hoof & Welling
    2019, "Buy 4 REINFORCE samples, get a baseline for free", ICLR workshop).

    Args:
        log_prob: Log probabilities of the actions taken, shape ``(g, r, t)``.
        rewards: Reward of each action, shape ``(g, r, t)``, ``r >= 2``.

    Returns:
        A scalar; only its gradient is meaningful.

    Raises:
        ValueError: If there is only one rollout to compare.
    """
    r = rewards.shape[1]
    if r < 2:
        raise ValueError(f"The baseline needs at least 2 rollouts of an objective, but got {r}.")
    returns = rewards_to_go(rewards.detach())
    baseline = (returns.sum(1, keepdim=True) - returns) / (r - 1)
    loss: Tensor = -((returns - baseline) * log_prob).sum(-1).mean()
    return loss


def improvements(outcomes: Tensor) -> Tensor:
    """Rewards whose sum is the best outcome so far, summed over the steps.

    An improvement counts once for every remaining step. The first outcome is compared with 0, the
    mean of the objective.

    Args:
        outcomes: Outcomes, shape ``(..., t)``; larger is better.
    """
    best = outcomes.cummax(dim=-1).values
    gain = torch.diff(best, dim=-1, prepend=torch.zeros_like(best[..., :1]))
    remaining = torch.arange(outcomes.shape[-1], 0, -1, device=outcomes.device)
    return gain * remaining


@dataclass(frozen=True)
class Rollouts:
    """Episodes of a policy on objectives.

    Attributes:
        outcomes: Outcomes, shape ``(g, r, t)``.
        log_prob: Log probabilities of the draws, shape ``(g, r, t)``.
        entropy: Entropy of the distributions drawn from, shape ``(g, r, t)``.
    """

    outcomes: Tensor
    log_prob: Tensor
    entropy: Tensor


def roll_out(
    network: RecurrentNetwork,
    objectives: Objectives,
    n_rollouts: int,
    horizon: int,
    generator: torch.Generator,
    unrolled: bool = False,
) -> Rollouts:
    """Episodes in which a policy chooses every step.

    Args:
        network: The policy.
        objectives: Objectives, ``g`` of them.
        n_rollouts: Episodes on each objective, ``r``.
        horizon: Steps, ``t``.
        generator: Source of all randomness.
        unrolled: Whether gradients flow through the draws and through the objectives. Otherwise
            they flow through the log probabilities alone.
    """
    state = network.begin((len(objectives.x), n_rollouts))
    states, taken, outcomes = [], [], []
    activity = _activity_columns(network.space).to(state.output.device)
    for _ in range(horizon):
        states.append(state.output)
        with torch.set_grad_enabled(unrolled and torch.is_grad_enabled()):
            drawn = network.act(state.output).draw(generator)
            x = feasible(network.space, drawn)
            outcomes.append(objectives(x))
            so_far = torch.stack(outcomes, dim=-1)
            signal = rank_features(so_far[..., -1:], so_far)[..., 0, :]
        # The draw before rounding, with the activity that the space decided.
        taken.append(torch.where(activity, x, drawn).detach())
        state = network.step(state, x, signal)
    actions = network.act(torch.stack(states, dim=-2))
    log_prob = actions.log_prob(torch.stack(taken, dim=-2))
    return Rollouts(torch.stack(outcomes, dim=-1), log_prob, actions.entropy)


class LstmLearner(Learner):
    """Trains the recurrent policy on objectives made from prior studies.

    Args:
        simulators: Prior studies as objectives.
        network: The policy before training.
        horizon: Steps of an episode.
        n_objectives: Objectives a step, of the studies that the loop draws.
        n_rollouts: Episodes on each of them.
        unrolled: Whether to differentiate the objectives along the unrolled episode, instead of
            estimating the policy gradient.
        entropy: Weight of the entropy, which keeps the policy from collapsing too early.
        device: Where tensors are kept.
    """

    state_name = "weight"

    def __init__(
        self,
        simulators: Simulators,
        network: RecurrentNetwork,
        horizon: int,
        n_objectives: int,
        n_rollouts: int,
        unrolled: bool = False,
        entropy: float = 0.0,
        device: str = "cpu",
    ) -> None:
        self._simulators = simulators
        self._horizon = horizon
        self._n_objectives = n_objectives
        self._n_rollouts = n_rollouts
        self._unrolled = unrolled
        self._entropy = entropy
        weights = [w.detach().clone().to(device).requires_grad_() for w in network.weights]
        self._network = RecurrentNetwork(network.space, tuple(weights))

    @property
    def n_studies(self) -> int:
        """See :class:`Learner`."""
        return len(self._simulators)

    @property
    def network(self) -> RecurrentNetwork:
        """The current policy, on the CPU and without gradients."""
        weights = tuple(w.detach().cpu().clone() for w in self._network.weights)
        return RecurrentNetwork(self._network.space, weights)

    def parameters(self) -> list[Tensor]:
        """See :class:`Learner`."""
        return list(self._network.weights)

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        """See :class:`Learner`; by the policy gradient, or along the unrolled episode."""
        asked = studies[torch.arange(max(self._n_objectives, len(studies))) % len(studies)]
        objectives = self._simulators.draw(asked, generator)
        rollouts = roll_out(
            self._network,
            objectives,
            self._n_rollouts,
            self._horizon,
            generator,
            self._unrolled,
        )
        rewards = improvements(rollouts.outcomes)
        if self._unrolled:
            loss = -rewards.sum(-1).mean()
        else:
            loss = policy_gradient_loss(rollouts.log_prob, rewards)
        bonus = self._entropy * rollouts.entropy.sum(-1).mean()
        total: Tensor = (loss - bonus) / self._horizon
        return total

    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        """See :class:`Learner`; the negative best outcome so far, averaged over the steps."""
        with torch.no_grad():
            objectives = self._simulators.draw(studies.repeat_interleave(4), generator)
            rollouts = roll_out(
                self._network, objectives, self._n_rollouts, self._horizon, generator
            )
        return -float(rollouts.outcomes.cummax(dim=-1).values.mean())


def _activity_columns(space: SearchSpace) -> Tensor:
    """Which columns hold the activity of a parameter, shape ``(d,)``, bool."""
    columns = torch.zeros(space.n_columns, dtype=torch.bool)
    columns[[p.activity for p in space.parameters if p.activity is not None]] = True
    return columns


@dataclass(frozen=True)
class Lstm(Method):
    """A recurrent policy over (last hyperparameters, last result) to the next hyperparameters.

    Chen et al. 2017, arXiv:1611.03824. Meta-training maximises the best outcome so far, summed
    over an episode on the prior studies' own Gaussian processes; meta-test reads the running
    study's trials and draws the next one. Nothing is trained on the running study.

    Attributes:
        training: ``"policy-gradient"`` (REINFORCE with a baseline, Williams 1992) or
            ``"unrolled"`` (gradients through the objectives along the episode).
        width: Units of the cell.
        horizon: Trials of a training episode. A study may be longer, but the policy was not
            trained for the trials beyond.
        n_steps: Steps of training, at most.
        learning_rate: First step size of Adam.
        n_objectives: Objectives of a step.
        n_rollouts: Episodes on each of them, at least 2.
        variation: Standard deviation of the random function on top of a prior study's outcomes,
            which have about unit scale.
        entropy: Weight of the entropy in training.
        temperature: Factor on the spread of proposals in use; near 0 proposals are the mean.
    """

    name: ClassVar[str] = "lstm"
    same_parameters: ClassVar[bool] = True

    training: str = option("policy-gradient", choices=("policy-gradient", "unrolled"))
    width: int = option(48, ge=1)
    horizon: int = option(20, ge=1)
    n_steps: int = option(100, ge=1)
    learning_rate: float = option(1e-2, gt=0)
    n_objectives: int = option(8, ge=1)
    n_rollouts: int = option(32, ge=2, hint="Each rollout is compared with the others.")
    variation: float = option(0.5, ge=0)
    entropy: float = option(0.1, ge=0)
    temperature: float = option(1.0, gt=0)

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

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`."""
        (prior,) = priors
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
        return pack({"weight": learned.weights})

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> RecurrentNetwork:
        """See :meth:`Method.unpack`."""
        (width,) = checked(tensors, "weight.3", None).shape
        shapes = RecurrentNetwork.shapes(space, width)
        return RecurrentNetwork(space, checked_sequence(tensors, "weight", shapes))

"""Training of the recurrent policy on objectives made from prior studies.

Axis letters: ``g`` objectives, ``r`` rollouts of each, ``t`` steps, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from optuna_metasampler.meta_train.reinforce import improvements, policy_gradient_loss
from optuna_metasampler.meta_train.simulators import Objectives, Simulators
from optuna_metasampler.policies.lstm import RecurrentNetwork, feasible
from optuna_metasampler.policies.rank_features import rank_features
from optuna_metasampler.space import SearchSpace


@dataclass(frozen=True)
class Rollouts:
    """What a policy did on objectives.

    Attributes:
        outcomes: Shape ``(g, r, t)``.
        log_prob: Of what was drawn, shape ``(g, r, t)``.
        entropy: Of what it was drawn from, shape ``(g, r, t)``.
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
    """Let a policy choose, step by step.

    Args:
        network: The policy.
        objectives: ``g`` of them.
        n_rollouts: Of each, ``r``.
        horizon: Steps, ``t``.
        generator: Source of all randomness.
        unrolled: Whether gradients flow through what was drawn and through the objectives.
            Otherwise they flow through the log probabilities alone.
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
        # What was drawn, before it was rounded, and which of it had an effect.
        taken.append(torch.where(activity, x, drawn).detach())
        state = network.step(state, x, signal)
    actions = network.act(torch.stack(states, dim=-2))
    log_prob = actions.log_prob(torch.stack(taken, dim=-2))
    return Rollouts(torch.stack(outcomes, dim=-1), log_prob, actions.entropy)


class LstmLearner:
    """Offers the recurrent policy to the loop that trains it.

    Args:
        simulators: Prior studies as objectives.
        network: The policy to begin with.
        horizon: Steps of an episode.
        n_objectives: Objectives a step, of the studies that the loop asks for.
        n_rollouts: Episodes on each of them.
        unrolled: Whether the gradient is the objectives' own, along the unrolled episode, instead
            of the policy gradient.
        entropy: Weight of the entropy, which keeps the policy from being too sure too early.
        device: Where tensors are kept.
    """

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
        """The policy as it is now, on the CPU and without gradients."""
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
        """See :class:`Learner`; the best outcome so far, averaged over the steps, sign turned."""
        with torch.no_grad():
            objectives = self._simulators.draw(studies.repeat_interleave(4), generator)
            rollouts = roll_out(
                self._network, objectives, self._n_rollouts, self._horizon, generator
            )
        return -float(rollouts.outcomes.cummax(dim=-1).values.mean())

    def state(self) -> dict[str, Tensor]:
        """See :class:`Learner`."""
        return {f"weight.{i}": w.detach().clone() for i, w in enumerate(self._network.weights)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`Learner`."""
        with torch.no_grad():
            for i, w in enumerate(self._network.weights):
                w.copy_(state[f"weight.{i}"])


def _activity_columns(space: SearchSpace) -> Tensor:
    """Which columns say whether a parameter is active, shape ``(d,)``, bool."""
    columns = torch.zeros(space.n_columns, dtype=torch.bool)
    columns[[p.activity for p in space.parameters if p.activity is not None]] = True
    return columns

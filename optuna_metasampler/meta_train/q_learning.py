"""Q-learning on objectives made from prior studies, with experience replay and a target network.

Watkins & Dayan 1992, "Q-learning", Machine Learning 8; Mnih et al. 2015, "Human-level control
through deep reinforcement learning", Nature 518; double Q-learning after van Hasselt, Guez &
Silver 2016, arXiv:1509.06461.

Axis letters: ``b`` episodes or steps side by side, ``t`` steps of an episode, ``c`` actions, ``d``
encoded columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from optuna_metasampler.maximize import MaximizeConfig, candidates
from optuna_metasampler.meta_train.replay import Replay, Steps
from optuna_metasampler.meta_train.simulators import Objectives, Simulators
from optuna_metasampler.policies.q_learning import QNetwork


# Validation plays this many episodes on each held-out study.
_N_VALIDATION_EPISODES = 8


def double_q_target(
    rewards: Tensor, online: Tensor, target: Tensor, ended: Tensor, discount: float
) -> Tensor:
    """What the value of an action should be: the reward, and the value of the best next one.

    Which action is best next is the online network's choice, its value the target network's word:
    ``r + discount * Q_target(s', argmax_a Q_online(s', a))`` (van Hasselt et al. 2016, Eq. 4).
    With one network for both it is the target of plain Q-learning.

    Args:
        rewards: Shape ``(b,)``.
        online: Values of the next actions by the network in training, shape ``(b, c)``.
        target: Values of the same actions by the target network, shape ``(b, c)``.
        ended: Whether there is no next action, shape ``(b,)``, bool.
        discount: How much the next reward counts, in ``[0, 1]``.

    Returns:
        Shape ``(b,)``, without gradient.
    """
    best = online.argmax(dim=1, keepdim=True)
    ahead = target.gather(1, best).squeeze(1)
    return (rewards + discount * torch.where(ended, 0.0, ahead)).detach()


def temporal_difference_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Huber loss of the values of the actions taken, ``(b,)``, against their targets: a scalar."""
    return smooth_l1_loss(values, targets)


@dataclass(frozen=True)
class QConfig:
    """How the Q function is trained.

    Attributes:
        n_parallel: Episodes that go on at a time.
        n_episodes: Episodes that the replay keeps, a multiple of ``n_parallel``.
        n_replayed: Steps of the replay that a step of training looks at.
        n_shared: Candidates that all histories have in common: half of them prior studies'
            configurations, half quasi-random.
        n_near: Candidates near the best trial of each history.
        discount: How much the next improvement counts, in ``[0, 1]``.
        target_every: Steps from one update of the target network to the next.
        n_exploring: Steps over which the share of random actions falls to ``epsilon``.
        epsilon: Share of random actions from then on.
    """

    n_parallel: int
    n_episodes: int
    n_replayed: int
    n_shared: int
    n_near: int
    discount: float
    target_every: int
    n_exploring: int
    epsilon: float


class QLearner:
    """Offers the Q function to the loop that trains it.

    Every step of the loop is one of all running episodes, and one of learning from the replay.

    Args:
        simulators: Prior studies as objectives.
        network: The Q function to begin with.
        configurations: Of the prior studies' trials, shape ``(n, d)``.
        config: Sizes and rates.
        device: Where tensors are kept.
    """

    def __init__(
        self,
        simulators: Simulators,
        network: QNetwork,
        configurations: Tensor,
        config: QConfig,
        device: str = "cpu",
    ) -> None:
        self._simulators = simulators
        self._configurations = configurations
        self._config = config
        self._device = device
        weights = [w.detach().clone().to(device) for w in network.weights]
        self._target = network.with_weights([w.clone() for w in weights])
        self._online = network.with_weights([w.requires_grad_() for w in weights])
        self._replay = Replay(
            config.n_episodes, config.n_parallel, network.horizon, network.space.n_columns, device
        )
        # The objectives of the running episodes: which studies, and the seed of the random part.
        self._studies = torch.zeros(config.n_parallel, dtype=torch.int64)
        self._seed = torch.zeros((), dtype=torch.int64)

    @property
    def n_studies(self) -> int:
        """See :class:`Learner`."""
        return len(self._simulators)

    @property
    def network(self) -> QNetwork:
        """The Q function as it is now, on the CPU and without gradients."""
        return self._online.with_weights([w.detach().cpu().clone() for w in self._online.weights])

    @property
    def target(self) -> QNetwork:
        """The target network."""
        return self._target

    def parameters(self) -> list[Tensor]:
        """See :class:`Learner`."""
        return self._online.weights

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        """See :class:`Learner`; one step of the running episodes, then the loss on the replay.

        New episodes are on the studies asked for; an episode that goes on stays with its own.
        """
        config = self._config
        if self._replay.n_steps % config.target_every == 0:
            for mine, theirs in zip(self._target.weights, self._online.weights, strict=True):
                mine.copy_(theirs.detach())
        with torch.no_grad():
            self._go_on(studies, generator)
            steps = self._replay.sample(config.n_replayed, generator)
            targets = self._targets(steps, generator)
        before = _until(steps.y, steps.step)
        rows = torch.arange(len(steps.x), device=steps.x.device)
        taken = steps.x[rows, steps.step].unsqueeze(1)
        values = self._online(steps.x, steps.y, before, taken).squeeze(1)
        return temporal_difference_loss(values, targets)

    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        """See :class:`Learner`; the best outcome so far of greedy episodes, averaged, negative."""
        with torch.no_grad():
            asked = studies.repeat_interleave(_N_VALIDATION_EPISODES)
            objectives = self._simulators.draw(asked, generator)
            d = self._configurations.shape[1]
            x = torch.zeros((len(asked), 0, d), device=self._device)
            y = torch.zeros((len(asked), 0), device=self._device)
            for _ in range(self._online.horizon):
                chosen = self._choose(x, y, 0.0, generator)
                x = torch.cat([x, chosen.unsqueeze(1)], dim=1)
                y = torch.cat([y, objectives(chosen.unsqueeze(1))], dim=1)
        return -float(y.cummax(dim=1).values.mean())

    def state(self) -> dict[str, Tensor]:
        """See :class:`Learner`; with the target network, the replay and the running episodes."""
        state = {f"online.{i}": w.detach().clone() for i, w in enumerate(self._online.weights)}
        state |= {f"target.{i}": w.clone() for i, w in enumerate(self._target.weights)}
        state |= {f"replay.{name}": tensor for name, tensor in self._replay.state().items()}
        return state | {"studies": self._studies.clone(), "seed": self._seed.clone()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`Learner`."""
        with torch.no_grad():
            for name, network in (("online", self._online), ("target", self._target)):
                for i, w in enumerate(network.weights):
                    w.copy_(state[f"{name}.{i}"])
        self._replay.load({name: state[f"replay.{name}"] for name in self._replay.state()})
        self._studies, self._seed = state["studies"].clone(), state["seed"].clone()

    def _go_on(self, studies: Tensor, generator: torch.Generator) -> None:
        """One more trial of each running episode, chosen epsilon-greedily."""
        config = self._config
        if self._replay.step == 0:
            self._studies = studies[torch.arange(config.n_parallel) % len(studies)]
            self._seed = torch.randint(2**31 - 1, (), generator=generator)
        share = min(1.0, self._replay.n_steps / max(config.n_exploring, 1))
        chosen = self._choose(
            *self._replay.running, 1.0 + share * (config.epsilon - 1.0), generator
        )
        self._replay.add(chosen, self._objectives()(chosen.unsqueeze(1)).squeeze(1))

    def _objectives(self) -> Objectives:
        seeded = torch.Generator(device="cpu").manual_seed(int(self._seed))
        return self._simulators.draw(self._studies, seeded)

    def _choose(self, x: Tensor, y: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
        """Epsilon-greedy actions after histories ``(b, n, d)`` and ``(b, n)``: ``(b, d)``."""
        known = torch.ones(y.shape, dtype=torch.bool, device=y.device)
        options = self._candidates(x, y, known, generator)
        best = self._online(x, y, known, options).argmax(dim=1).cpu()
        anything = torch.randint(options.shape[1], (len(x),), generator=generator)
        explore = torch.rand(len(x), generator=generator) < epsilon
        return options[torch.arange(len(x)), torch.where(explore, anything, best)]

    def _targets(self, steps: Steps, generator: torch.Generator) -> Tensor:
        """What the actions taken were worth, shape ``(b,)``."""
        after = _until(steps.y, steps.step + 1)
        options = self._candidates(steps.x, steps.y, after, generator)
        return double_q_target(
            improvement(steps.y, steps.step),
            self._online(steps.x, steps.y, after, options),
            self._target(steps.x, steps.y, after, options),
            steps.step + 1 == self._online.horizon,
            self._config.discount,
        )

    def _candidates(
        self, x: Tensor, y: Tensor, known: Tensor, generator: torch.Generator
    ) -> Tensor:
        """A finite set of actions for each of the histories, shape ``(b, c, d)``."""
        config, b = self._config, len(x)
        n = len(self._configurations)
        drawn = torch.randint(n, (b + config.n_shared // 2,), generator=generator)
        prior = self._configurations[drawn]
        centre = prior[:b].clone()
        if y.shape[1]:
            # The best trial, where there is one yet.
            best = y.masked_fill(~known, -torch.inf).argmax(dim=1)
            own = x[torch.arange(b, device=x.device), best].double().cpu()
            centre = torch.where(known.any(dim=1).cpu()[:, None], own, centre)
        search = MaximizeConfig(
            n_candidates=config.n_shared - config.n_shared // 2, n_perturbed=b * config.n_near
        )
        points = candidates(self._online.space, generator, centre, search).to(
            self._target.log_scale
        )
        near = points[b : b + b * config.n_near].reshape(config.n_near, b, -1).transpose(0, 1)
        shared = torch.cat([prior[b:].to(points), points[b + b * config.n_near :]])
        return torch.cat([shared.expand(b, -1, -1), near], dim=1)


def improvement(y: Tensor, step: Tensor) -> Tensor:
    """By how much a step raised the best outcome so far; the first one counts from 0.

    Args:
        y: Outcomes of whole episodes, shape ``(b, t)``.
        step: Which step, shape ``(b,)``.

    Returns:
        Rewards, shape ``(b,)``.
    """
    best = y.cummax(dim=1).values
    gains = torch.diff(best, dim=1, prepend=torch.zeros_like(best[:, :1]))
    return gains.gather(1, step[:, None]).squeeze(1)


def _until(y: Tensor, step: Tensor) -> Tensor:
    """Which trials came before a step, shape ``(b, t)``, bool."""
    return torch.arange(y.shape[1], device=y.device) < step[:, None]

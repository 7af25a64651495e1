"""Training of the Q function with experience replay and a target network, and the method.

Watkins & Dayan 1992, "Q-learning", Machine Learning 8; Mnih et al. 2015, "Human-level control
through deep reinforcement learning", Nature 518; double Q-learning after van Hasselt, Guez &
Silver 2016, arXiv:1509.06461.

Axis letters: ``b`` episodes or steps side by side, ``m`` episodes kept, ``t`` steps of an episode,
``c`` actions, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from optuna_metasampler.maximize import MaximizeConfig, candidates
from optuna_metasampler.meta_train.loop import Learner, TrainConfig, Trainer, copy_into
from optuna_metasampler.meta_train.simulators import Objectives, Simulators
from optuna_metasampler.methods.base import Method, Priors, option
from optuna_metasampler.methods.q_learning.policy import QNetwork, QPolicy
from optuna_metasampler.packing import below, checked, checked_sequence, pack
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


# Candidates of a history in training; there are more in use.
_N_SHARED = 32
_N_NEAR = 8
# Generations of parallel episodes in the replay.
_N_GENERATIONS = 24
# Share of the training over which exploration falls, and its final value.
_EXPLORING = 0.5
_LEAST_EXPLORATION = 0.1
# Validation plays this many episodes on each held-out study.
_N_VALIDATION_EPISODES = 8


@dataclass(frozen=True)
class Steps:
    """Steps of episodes, each with the whole episode.

    Attributes:
        x: Configurations of the whole episode, shape ``(b, t, d)``.
        y: Outcomes, shape ``(b, t)``.
        step: Which step, from 0, shape ``(b,)``; later ones are in the future.
    """

    x: Tensor
    y: Tensor
    step: Tensor


class Replay:
    """Experience replay: the last episodes, in a ring, ``n_parallel`` of them in lockstep.

    Args:
        n_episodes: Episodes kept, a multiple of ``n_parallel``.
        n_parallel: Episodes at a time, ``b``.
        horizon: Steps of an episode, ``t``.
        n_columns: Encoded columns, ``d``.
        device: Where the episodes are kept.
    """

    def __init__(
        self, n_episodes: int, n_parallel: int, horizon: int, n_columns: int, device: str = "cpu"
    ) -> None:
        self._n_parallel = n_parallel
        self._x = torch.zeros((n_episodes, horizon, n_columns), device=device)
        self._y = torch.zeros((n_episodes, horizon), device=device)
        self._n_steps = 0

    @property
    def n_steps(self) -> int:
        """Steps added so far."""
        return self._n_steps

    @property
    def step(self) -> int:
        """The next step of the running episodes, from 0."""
        return self._n_steps % self._y.shape[1]

    @property
    def running(self) -> tuple[Tensor, Tensor]:
        """The running episodes so far: ``(b, step, d)`` and ``(b, step)``."""
        rows = self._rows
        return self._x[rows, : self.step], self._y[rows, : self.step]

    def add(self, x: Tensor, y: Tensor) -> None:
        """The next step of each running episode: points ``(b, d)`` and outcomes ``(b,)``."""
        self._x[self._rows, self.step] = x
        self._y[self._rows, self.step] = y
        self._n_steps += 1

    def sample(self, n: int, generator: torch.Generator) -> Steps:
        """Draw ``n`` past steps, uniformly."""
        horizon = self._y.shape[1]
        b, m = self._n_parallel, len(self._y)
        # A block is one step of the episodes that ran side by side.
        n_blocks = min(self._n_steps, horizon * (m // b))
        oldest = self._n_steps - n_blocks
        # The running episodes overwrite the oldest ones, whose remaining steps do not count.
        oldest = -(-oldest // horizon) * horizon
        block = oldest + torch.randint(self._n_steps - oldest, (n,), generator=generator)
        row = block // horizon % (m // b) * b + torch.randint(b, (n,), generator=generator)
        row = row.to(self._x.device)
        return Steps(self._x[row], self._y[row], (block % horizon).to(self._x.device))

    def state(self) -> dict[str, Tensor]:
        """All tensors, not copied."""
        return {"x": self._x, "y": self._y, "n_steps": torch.tensor(self._n_steps)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state, in place."""
        self._x.copy_(state["x"])
        self._y.copy_(state["y"])
        self._n_steps = int(state["n_steps"])

    @property
    def _rows(self) -> slice:
        first = self._n_steps // self._y.shape[1] * self._n_parallel % len(self._y)
        return slice(first, first + self._n_parallel)


def double_q_target(
    rewards: Tensor, online: Tensor, target: Tensor, ended: Tensor, discount: float
) -> Tensor:
    """Target of the value of an action: the reward plus the value of the best next action.

    The online network chooses the best next action, the target network evaluates it:
    ``r + discount * Q_target(s', argmax_a Q_online(s', a))`` (van Hasselt et al. 2016, Eq. 4).
    With one network for both it is the target of plain Q-learning.

    Args:
        rewards: Rewards, shape ``(b,)``.
        online: Values of the next actions by the online network, shape ``(b, c)``.
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
    """Sizes and rates of the training.

    Attributes:
        n_parallel: Episodes that run in parallel.
        n_episodes: Episodes that the replay keeps, a multiple of ``n_parallel``.
        n_replayed: Steps of the replay in a step of training.
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


class QLearner(Learner):
    """Trains the Q function on objectives made from prior studies.

    A step of the loop is one step of all running episodes, and one of learning from the replay.

    Args:
        simulators: Prior studies as objectives.
        network: The Q function before training.
        configurations: The prior studies' trials, shape ``(n, d)``.
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
        # The objectives of the running episodes: their studies, and the seed of the random part.
        self._studies = torch.zeros(config.n_parallel, dtype=torch.int64)
        self._seed = torch.zeros((), dtype=torch.int64)

    @property
    def n_studies(self) -> int:
        """See :class:`Learner`."""
        return len(self._simulators)

    @property
    def network(self) -> QNetwork:
        """The current Q function, on the CPU and without gradients."""
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

        New episodes are on the given studies; running episodes stay with their own.
        """
        config = self._config
        if self._replay.n_steps % config.target_every == 0:
            for mine, theirs in zip(self._target.weights, self._online.weights, strict=True):
                mine.copy_(theirs.detach())
        with torch.no_grad():
            self._step(studies, generator)
            steps = self._replay.sample(config.n_replayed, generator)
            targets = self._targets(steps, generator)
        before = _until(steps.y, steps.step)
        rows = torch.arange(len(steps.x), device=steps.x.device)
        taken = steps.x[rows, steps.step].unsqueeze(1)
        values = self._online(steps.x, steps.y, before, taken).squeeze(1)
        return temporal_difference_loss(values, targets)

    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        """See :class:`Learner`; the negative best outcome so far of greedy episodes, averaged."""
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
        tensors = {
            "online": self._online.weights,
            "target": self._target.weights,
            "replay": self._replay.state(),
            "studies": self._studies,
            "seed": self._seed,
        }
        return {name: tensor.detach().clone() for name, tensor in pack(tensors).items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`Learner`."""
        copy_into(pack({"online": self._online.weights, "target": self._target.weights}), state)
        self._replay.load(below("replay.", state))
        self._studies, self._seed = state["studies"].clone(), state["seed"].clone()

    def _step(self, studies: Tensor, generator: torch.Generator) -> None:
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
        """Target values of the actions taken, shape ``(b,)``."""
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
        """Actions to choose from after each history, shape ``(b, c, d)``."""
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
    """Improvement of the best outcome so far in a step; the first is compared with 0.

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
    """Which trials precede a step, shape ``(b, t)``, bool."""
    return torch.arange(y.shape[1], device=y.device) < step[:, None]


@dataclass(frozen=True)
class QLearning(Method):
    """A neural Q function over the encoded history and a candidate.

    Jomaa et al. 2019, arXiv:1906.11527. It is trained on the prior studies' own Gaussian
    processes, with experience replay and a target network (Mnih et al. 2015), and not trained
    further on the running study.

    Attributes:
        width: Units of each hidden layer.
        horizon: Trials of a training episode; beyond it, every trial counts as the last one.
        n_steps: Steps of training, at most.
        learning_rate: First step size of Adam.
        n_parallel: Episodes that run in parallel.
        n_replayed: Steps of the replay in a step of training.
        discount: How much the next improvement counts, in ``[0, 1]``.
        target_every: Steps between updates of the target network.
        variation: Standard deviation of the random function on top of a prior study's outcomes,
            which have about unit scale.
        epsilon: Probability of a random candidate in use, in ``[0, 1]``.
    """

    name: ClassVar[str] = "q-learning"
    same_parameters: ClassVar[bool] = True

    width: int = option(64, ge=1)
    horizon: int = option(20, ge=1)
    n_steps: int = option(300, ge=1)
    learning_rate: float = option(3e-3, gt=0)
    n_parallel: int = option(32, ge=1)
    n_replayed: int = option(96, ge=1)
    discount: float = option(0.8, ge=0, le=1)
    target_every: int = option(25, ge=1)
    variation: float = option(0.5, ge=0)
    epsilon: float = option(0.0, ge=0, le=1)

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

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`."""
        (prior,) = priors
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
        return pack({"weight": learned.weights})

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> QNetwork:
        """See :meth:`Method.unpack`."""
        _, width = checked(tensors, "weight.0", None, None).shape
        # Only its shapes matter.
        like = QNetwork.initial(space, width, self.horizon, torch.Generator(device="cpu"))
        shapes = [tuple(w.shape) for w in like.weights]
        return like.with_weights(list(checked_sequence(tensors, "weight", shapes)))

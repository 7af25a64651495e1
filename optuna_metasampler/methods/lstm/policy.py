"""A recurrent policy: from the last configuration and its result to the next configuration.

Chen et al. 2017, "Learning to learn without gradient descent by gradient descent", ICML,
arXiv:1611.03824; after Andrychowicz et al. 2016, arXiv:1606.04474.

Axis letters: ``n`` trials, ``d`` encoded columns, ``h`` units, ``u`` numeric parameters, ``c``
one-hot columns, ``o = 2 u + c`` outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
import math

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from optuna_metasampler.maximize import best_unseen, maximize, space_filling
from optuna_metasampler.policies.base import Phase, Proposal
from optuna_metasampler.policies.rank_features import N_RANK_FEATURES, constant_liar, rank_features
from optuna_metasampler.space import Parameter, SearchSpace
from optuna_metasampler.task import Task, to_tensor


# Least, largest and initial standard deviation of a number on the logit scale, where a standard
# deviation of 1.7 is nearly the uniform distribution of the unit interval.
_LEAST, _MOST, _FIRST = 0.05, 2.0, 1.2
# Numbers are clipped this close to the ends of their range.
_EDGE = 1e-5
# Draws, of which the first unseen one is proposed.
_N_DRAWS = 64
# Initially the network's outputs vary little from trial to trial.
_OUTPUT_GAIN = 0.1


@dataclass(frozen=True)
class Actions:
    """The distribution of the next configuration: independent over the parameters.

    A number is logit-normal, a choice categorical. The space decides which parameters are active.

    Attributes:
        space: The space.
        mean: Means of the numbers on the logit scale, shape ``(..., u)``.
        std: Their standard deviations, shape ``(..., u)``.
        logits: Logits of the choices, side by side, shape ``(..., c)``.
    """

    space: SearchSpace
    mean: Tensor
    std: Tensor
    logits: Tensor

    @classmethod
    def of(cls, space: SearchSpace, outputs: Tensor) -> Actions:
        """The distribution with outputs ``(..., o)`` of a network as parameters."""
        u = len(_numbers(space))
        low, high = math.log(_LEAST), math.log(_MOST)
        first = (math.log(_FIRST) - low) / (high - low)
        start = math.log(first / (1 - first))
        log_std = low + (high - low) * torch.sigmoid(outputs[..., u : 2 * u] + start)
        return cls(space, outputs[..., :u], log_std.exp(), outputs[..., 2 * u :])

    @staticmethod
    def n_outputs(space: SearchSpace) -> int:
        """Number of a network's outputs, ``o``."""
        return 2 * len(_numbers(space)) + sum(p.width for p in _choices(space))

    def draw(self, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """Points before projection, differentiable in the distribution's parameters.

        Numbers are reparameterised. Choices are drawn by the Gumbel-max trick; their gradient is
        that of the softmax in its place (straight-through: Jang, Gu & Poole 2017,
        arXiv:1611.01144), so it is biased.

        Args:
            generator: Source of all randomness, on the CPU.
            temperature: Factor on the standard deviations, and the softmax's temperature.

        Returns:
            Points of shape ``(..., d)``, activity columns 0.
        """
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype)
        uniform = torch.rand(self.logits.shape, generator=generator, dtype=self.logits.dtype)
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-7, 1 - 1e-7)))
        number = torch.sigmoid(self.mean + temperature * self.std * noise.to(self.mean.device))
        choice = self.logits + temperature * gumbel.to(self.logits.device)
        return self._columns(number, choice, temperature)

    @property
    def mode(self) -> Tensor:
        """The middle of every number and the likeliest choices, not projected: ``(..., d)``."""
        return self._columns(torch.sigmoid(self.mean), self.logits, 1.0)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density of points.

        The density of numbers is that on the logit scale. Inactive parameters do not count,
        because their values have no effect.

        Args:
            x: Points with activity columns, shape ``(..., d)``.

        Returns:
            Shape ``(...)``.
        """
        value = torch.logit(x[..., self._number_columns].clamp(_EDGE, 1 - _EDGE))
        deviation = (value - self.mean) / self.std
        density = -0.5 * deviation.square() - self.std.log() - 0.5 * math.log(2 * math.pi)
        numbers = _numbers(self.space)
        total = (density * _activity(numbers, x)).sum(-1)
        for p, logits in self._each_choice(self.logits):
            chosen = (torch.log_softmax(logits, -1) * x[..., p.columns]).sum(-1)
            total = total + chosen * _activity([p], x)[..., 0]
        return total

    @property
    def entropy(self) -> Tensor:
        """Entropy, with numbers on the logit scale and all parameters active: ``(...)``."""
        total = (self.std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)
        for _, logits in self._each_choice(self.logits):
            log_p = torch.log_softmax(logits, -1)
            total = total - (log_p.exp() * log_p).sum(-1)
        return total

    @cached_property
    def _number_columns(self) -> list[int]:
        return [p.start for p in _numbers(self.space)]

    def _columns(self, number: Tensor, choice: Tensor, temperature: float) -> Tensor:
        """Points ``(..., d)`` of numbers ``(..., u)`` and scores of choices ``(..., c)``."""
        columns = list(torch.zeros_like(number[..., :1]).expand(*number.shape[:-1], 1).unbind(-1))
        columns *= self.space.n_columns
        for j, p in enumerate(_numbers(self.space)):
            columns[p.start] = number[..., j]
        for p, scores in self._each_choice(choice):
            soft = torch.softmax(scores / temperature, -1)
            hard = one_hot(scores.argmax(-1), p.width).to(soft)
            columns[p.columns] = (hard + soft - soft.detach()).unbind(-1)
        return torch.stack(columns, dim=-1)

    def _each_choice(self, columns: Tensor) -> list[tuple[Parameter, Tensor]]:
        """The categorical parameters, each with its part of columns ``(..., c)``."""
        parameters = _choices(self.space)
        parts = torch.split(columns, [p.width for p in parameters], dim=-1) if parameters else ()
        return list(zip(parameters, parts, strict=True))


@dataclass(frozen=True)
class CellState:
    """State of the recurrent cell.

    Attributes:
        output: Shape ``(..., h)``.
        cell: Shape ``(..., h)``.
    """

    output: Tensor
    cell: Tensor


@dataclass(frozen=True)
class RecurrentNetwork:
    """A long short-term memory cell, as pure functions of its weights.

    Hochreiter & Schmidhuber 1997, "Long short-term memory", Neural Computation 9(8), with forget
    gates (Gers, Schmidhuber & Cummins 2000).

    Attributes:
        space: The space of the configurations.
        weights: Of the input ``(d + 2, 4 h)`` and of the last output ``(h, 4 h)``, biases
            ``(4 h,)``, the first output and cell ``(h,)`` each, and of the last layer ``(h, o)``
            and ``(o,)``.
    """

    space: SearchSpace
    weights: tuple[Tensor, ...]

    @staticmethod
    def shapes(space: SearchSpace, width: int) -> list[tuple[int, ...]]:
        """Shapes of the weights."""
        i, h, o = space.n_columns + N_RANK_FEATURES, width, Actions.n_outputs(space)
        return [(i, 4 * h), (h, 4 * h), (4 * h,), (h,), (h,), (h, o), (o,)]

    @classmethod
    def initial(
        cls,
        space: SearchSpace,
        width: int,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> RecurrentNetwork:
        """Random weights, with open forget gates and nearly uniform proposals."""
        weights = []
        for shape in cls.shapes(space, width):
            w = torch.randn(shape, generator=generator, dtype=dtype)
            weights.append(w / math.sqrt(max(shape[0], 1)) if len(shape) == 2 else 0 * w)
        weights[2][width : 2 * width] = 1.0  # forget gates: open
        weights[5] *= _OUTPUT_GAIN
        return cls(space, tuple(weights))

    def begin(self, batch: Sequence[int] = ()) -> CellState:
        """The state before the first trial, with leading axes."""
        output, cell = self.weights[3], self.weights[4]
        return CellState(output.expand(*batch, len(output)), cell.expand(*batch, len(cell)))

    def step(self, state: CellState, x: Tensor, signal: Tensor) -> CellState:
        """The state after one more trial.

        Args:
            state: The state before.
            x: The configuration that was evaluated, shape ``(..., d)``.
            signal: Rank features of its outcome, shape ``(..., 2)``.
        """
        w_input, w_output, bias = self.weights[:3]
        gates = torch.cat([x, signal], dim=-1) @ w_input + state.output @ w_output + bias
        enter, forget, candidate, leave = gates.chunk(4, dim=-1)
        cell = torch.sigmoid(forget) * state.cell + torch.sigmoid(enter) * torch.tanh(candidate)
        return CellState(torch.sigmoid(leave) * torch.tanh(cell), cell)

    def act(self, output: Tensor) -> Actions:
        """The distribution of the next configuration after outputs ``(..., h)`` of the cell."""
        return Actions.of(self.space, output @ self.weights[5] + self.weights[6])

    def replay(self, x: Tensor, y: Tensor) -> CellState:
        """The state after a sequence of trials.

        Args:
            x: Configurations in the order in which they were evaluated, shape ``(n, d)``.
            y: Their outcomes, shape ``(n,)``, larger is better.
        """
        state = self.begin()
        for t in range(len(x)):
            signal = rank_features(y[t : t + 1], y[: t + 1])[0]
            state = self.step(state, x[t].to(state.output), signal.to(state.output))
        return state


class LstmPolicy:
    """Draws the next configuration from a recurrent network, conditioned on the history.

    The state is computed from the history at every proposal and stored nowhere else, so a resumed
    study or another process proposes the same. Failed and pending trials are read last, with the
    worst outcome so far. The network is used beyond the number of trials that it was trained for,
    without having learned anything about it.

    Args:
        network: The trained network, in the common space of the prior studies.
        to_prior: Maps points ``(q, d)`` of the running study to that space.
        from_prior: Maps points of that space to feasible ones of the running study.
        n_startup_trials: Space-filling points before the network is used.
        temperature: Factor on the spread of its proposals.
    """

    def __init__(
        self,
        network: RecurrentNetwork,
        to_prior: Callable[[Tensor], Tensor],
        from_prior: Callable[[Tensor], Tensor],
        n_startup_trials: int = 0,
        temperature: float = 1.0,
    ) -> None:
        self._network = network
        self._to_prior = to_prior
        self._from_prior = from_prior
        self._n_startup_trials = n_startup_trials
        self._temperature = temperature

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        """The next point; see :meth:`Policy.propose`."""
        return Proposal(self._next(history, generator), Phase.POLICY)

    def _next(self, history: Task, generator: torch.Generator) -> Tensor:
        space, known = history.space, history.asked
        if history.n_asked < self._n_startup_trials:
            return space_filling(space, known, generator)
        with torch.no_grad():
            actions = self.actions(history)
            wide = Actions(actions.space, *(t.expand(_N_DRAWS, -1) for t in _parts(actions)))
            x = self._feasible(space, wide.draw(generator, self._temperature))
            unseen = best_unseen(x, torch.zeros(len(x)), known)
            if unseen is not None:
                return unseen
            # All draws have been tried: search for the most likely unseen point.
            good = self._feasible(space, actions.mode[None])
        return maximize(self._score(actions), space, generator, good, known)

    def actions(self, history: Task) -> Actions:
        """The distribution of the next point, in the common space of the prior studies."""
        x, y = constant_liar(history)
        return self._network.act(self._network.replay(self._to_prior(x), y).output)

    def _score(self, actions: Actions) -> Callable[[Tensor], Tensor]:
        return lambda x: actions.log_prob(self._to_prior(x).to(actions.mean)).double()

    def _feasible(self, space: SearchSpace, drawn: Tensor) -> Tensor:
        """Points ``(q, d)`` of the running study for draws in the common space."""
        x = to_tensor(self._network.space.project(drawn.double().numpy()))
        return to_tensor(space.project(self._from_prior(x).numpy()))


def feasible(space: SearchSpace, drawn: Tensor) -> Tensor:
    """The nearest feasible points, with the gradients of the points themselves.

    Rounding to a grid has no slope, and the gradient ignores it (straight-through). Values of
    inactive parameters have no effect and get no gradient.

    Args:
        space: The space.
        drawn: Any points, shape ``(..., d)``.
    """
    flat = drawn.detach().reshape(-1, space.n_columns).double().cpu().numpy()
    x = to_tensor(space.project(flat)).to(drawn).reshape(drawn.shape)
    if not drawn.requires_grad:
        return x
    active = torch.ones_like(x)
    for p in space.parameters:
        if p.activity is not None:
            active[..., p.columns] = x[..., p.activity].unsqueeze(-1)
            active[..., p.activity] = 0.0
    return x + (drawn - drawn.detach()) * active


def _parts(actions: Actions) -> tuple[Tensor, Tensor, Tensor]:
    return actions.mean, actions.std, actions.logits


def _numbers(space: SearchSpace) -> list[Parameter]:
    return [p for p in space.parameters if not p.categorical]


def _choices(space: SearchSpace) -> list[Parameter]:
    return [p for p in space.parameters if p.categorical]


def _activity(parameters: Sequence[Parameter], x: Tensor) -> Tensor:
    """Whether parameters are active at points ``(..., d)``, one column each."""
    one = torch.ones_like(x[..., 0])
    return torch.stack(
        [one if p.activity is None else x[..., p.activity] for p in parameters] or [one], dim=-1
    )[..., : len(parameters)]

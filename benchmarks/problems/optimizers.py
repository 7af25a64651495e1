"""Real training whose search space is that of an optimiser, over ranges of many decades.

A small network learns to tell classes of noisy sequences apart. What is tuned is how it is
trained: most of the space diverges or does not move, and the boundary between is a cliff. The
tasks differ in their sequences, and in the size of the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import functools
import math
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks.problems.base import Objective, Parameter, Scale, Suite, random_params, seed_of


N_TASKS = 16
_N_STEPS = 60
_N_ROWS = 240
_N_RANDOM = 100
_WORST = 10.0
"""Loss of a network that diverged."""


@dataclass(frozen=True)
class Sequences:
    """Labelled sequences ``(n, t)``, their labels ``(n,)``, and the width of a network."""

    x: np.ndarray
    label: np.ndarray
    n_hidden: int

    @classmethod
    def draw(cls, seed: int) -> Sequences:
        """Waves of one frequency a class, with noise."""
        generator = np.random.default_rng(seed)
        n_classes, length = int(generator.integers(2, 5)), int(generator.integers(8, 33))
        label = generator.permutation(np.arange(_N_ROWS) % n_classes)
        frequency = generator.uniform(0.2, 1.5, n_classes)
        phase = generator.uniform(0.0, 1.0, (_N_ROWS, 1)) * generator.uniform(0.5, 3.0)
        waves = np.sin(frequency[label][:, None] * np.arange(length) + phase)
        noise = generator.normal(0.0, generator.uniform(0.1, 1.0), waves.shape)
        scale = 10.0 ** generator.uniform(-1.0, 1.0)
        return cls(scale * (waves + noise), label, int(generator.integers(4, 13)))


class LiveOptimizers(Suite):
    """The training of small networks; see the module."""

    name = "live_optimizers"
    direction = "minimize"
    tasks = tuple(f"sequences-{i}" for i in range(N_TASKS))
    parameters = (
        Parameter("optimizer", CategoricalDistribution(["sgd", "adam", "rmsprop"])),
        Parameter("learning_rate", FloatDistribution(1e-8, 10.0, log=True)),
        Parameter("momentum_gap", FloatDistribution(1e-4, 1.0, log=True)),
        Parameter("square_gap", FloatDistribution(1e-5, 1.0, log=True)),
        Parameter("epsilon", FloatDistribution(1e-10, 1.0, log=True)),
        Parameter("weight_decay", FloatDistribution(1e-9, 1.0, log=True)),
        Parameter("clip", FloatDistribution(1e-4, 1e3, log=True)),
        Parameter("batch_size", IntDistribution(8, 120, log=True)),
    )

    def objective(self, task: str) -> Objective:
        """The cross entropy of the held-out half after a fixed number of steps, at most 10."""
        sequences = Sequences.draw(seed_of(self.name, task))
        seed = seed_of(self.name, task, "weights")
        return functools.partial(_loss, sequences, seed)

    def scale(self, task: str) -> Scale | None:
        """Nobody knows the best value."""
        del task
        return None

    def median(self, task: str) -> float:
        """The median loss of random configurations."""
        generator, objective = np.random.default_rng(0), self.objective(task)
        losses = [objective(random_params(self.parameters, generator)) for _ in range(_N_RANDOM)]
        return float(np.median(losses))


def _loss(sequences: Sequences, seed: int, params: Mapping[str, Any]) -> float:
    generator = np.random.default_rng(seed)
    x, label = sequences.x, sequences.label
    half = len(x) // 2
    first = generator.normal(0.0, x.shape[1] ** -0.5, (x.shape[1], sequences.n_hidden))
    shape = (sequences.n_hidden, int(label.max()) + 1)
    second = generator.normal(0.0, sequences.n_hidden**-0.5, shape)
    weights = np.concatenate([first.ravel(), second.ravel()])
    state = np.zeros((2, len(weights)))
    with np.errstate(all="ignore"):
        for _ in range(_N_STEPS):
            rows = generator.permutation(half)[: params["batch_size"]]
            _, gradient = _cross_entropy(weights, x[rows], label[rows], sequences.n_hidden)
            gradient *= min(1.0, params["clip"] / (float(np.linalg.norm(gradient)) + 1e-12))
            weights, state = _step(weights, state, gradient, params)
        final, _ = _cross_entropy(weights, x[half:], label[half:], sequences.n_hidden)
    return min(final, _WORST) if math.isfinite(final) else _WORST


def _cross_entropy(
    weights: np.ndarray, x: np.ndarray, label: np.ndarray, n_hidden: int
) -> tuple[float, np.ndarray]:
    """The loss of a network with one hidden layer of tanh units, and its gradient."""
    first = weights[: x.shape[1] * n_hidden].reshape(x.shape[1], n_hidden)
    second = weights[first.size :].reshape(n_hidden, -1)
    hidden = np.tanh(x @ first)
    logits = hidden @ second
    logits -= logits.max(axis=1, keepdims=True)
    share = np.exp(logits)
    share /= share.sum(axis=1, keepdims=True)
    rows = np.arange(len(x))
    loss = -np.log(np.maximum(share[rows, label], 1e-30)).mean()
    share[rows, label] -= 1.0
    share /= len(x)
    back = (share @ second.T) * (1.0 - hidden**2)
    return float(loss), np.concatenate([(x.T @ back).ravel(), (hidden.T @ share).ravel()])


def _step(
    weights: np.ndarray, state: np.ndarray, gradient: np.ndarray, params: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """A step of momentum, Adam (without its correction of the bias) or RMSprop."""
    gradient = gradient + params["weight_decay"] * weights
    velocity, square = state
    gap = params["momentum_gap"]
    if params["optimizer"] == "sgd":
        velocity = (1.0 - gap) * velocity + gradient
        return weights - params["learning_rate"] * velocity, np.stack([velocity, square])
    square = square + params["square_gap"] * (gradient**2 - square)
    scale = np.sqrt(square) + params["epsilon"]
    if params["optimizer"] == "adam":
        velocity = velocity + gap * (gradient - velocity)
        return weights - params["learning_rate"] * velocity / scale, np.stack([velocity, square])
    velocity = (1.0 - gap) * velocity + gradient / scale
    return weights - params["learning_rate"] * velocity, np.stack([velocity, square])

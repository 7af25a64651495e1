"""A multilayer perceptron in NumPy.

It is what PyTorch makes of `Linear`, `Dropout`, `AdamW` and `SGD` at their defaults, but networks
as small as these train ten times as fast without a graph of operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Training:
    """How a network looks, and how it is trained; names as in `NeuralNetwork`."""

    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 32
    dropout: float = 0.0
    n_layers: int = 2
    n_units: int = 64
    activation: Literal["relu", "tanh", "sigmoid"] = "relu"


class Network:
    """Weights of all layers, as one vector and as views of it.

    Args:
        sizes: Of the input, the hidden layers and the output.
        rng: Draws the first weights.
    """

    def __init__(self, sizes: list[int], rng: np.random.Generator) -> None:
        self.weights = np.concatenate(
            [
                rng.uniform(-(n**-0.5), n**-0.5, (n + 1) * m).astype(np.float32)
                for n, m in pairwise(sizes)
            ]
        )
        self.gradient = np.zeros_like(self.weights)
        self._layers = _views(self.weights, sizes)
        self._slopes = _views(self.gradient, sizes)

    def predict(self, x: np.ndarray, activation: str) -> np.ndarray:
        """Outputs ``(n, outputs)`` without dropout."""
        for weights, bias in self._layers[:-1]:
            x = _activate(x @ weights + bias, activation)
        weights, bias = self._layers[-1]
        out: np.ndarray = x @ weights + bias
        return out

    def learn(
        self, x: np.ndarray, y: np.ndarray, training: Training, rng: np.random.Generator
    ) -> None:
        """Set the gradient of the mean loss: cross-entropy of classes, squares of numbers."""
        inputs, activated, masks = [x], [], []
        for weights, bias in self._layers[:-1]:
            out = _activate(inputs[-1] @ weights + bias, training.activation)
            activated.append(out)
            if training.dropout > 0:
                kept = rng.random(out.shape, dtype=np.float32) >= training.dropout
                masks.append(kept.astype(np.float32) / np.float32(1 - training.dropout))
                out = out * masks[-1]
            inputs.append(out)
        weights, bias = self._layers[-1]
        delta = _slope(inputs[-1] @ weights + bias, y)
        for i in range(len(self._layers) - 1, -1, -1):
            slope, bias_slope = self._slopes[i]
            np.matmul(inputs[i].T, delta, out=slope)
            delta.sum(0, out=bias_slope)
            if i:
                delta = delta @ self._layers[i][0].T
                if masks:
                    delta *= masks[i - 1]
                delta *= _derivative(activated[i - 1], training.activation)


def train(
    x: np.ndarray, y: np.ndarray, n_outputs: int, training: Training, seed: int
) -> Iterator[Network]:
    """Train a network; it is given back after every epoch, for ever.

    Args:
        x: Features of mean 0 and standard deviation 1, shape ``(n, d)``.
        y: Whole numbers are classes, fractions are numbers; shape ``(n,)``.
        n_outputs: Classes, or 1.
        training: How.
        seed: Of everything random.
    """
    rng = np.random.default_rng(seed)
    x = np.asarray(x, dtype=np.float32)
    network = Network([x.shape[1], *[training.n_units] * training.n_layers, n_outputs], rng)
    step = (_Adam if training.optimizer == "adam" else _Descent)(network, training)
    while True:
        order = rng.permutation(len(x))
        for start in range(0, len(x), training.batch_size):
            batch = order[start : start + training.batch_size]
            network.learn(x[batch], y[batch], training, rng)
            step()
        yield network


class _Adam:
    """AdamW: the decay is apart from the gradient."""

    def __init__(self, network: Network, training: Training) -> None:
        self._network = network
        self._training = training
        self._mean = np.zeros_like(network.weights)
        self._square = np.zeros_like(network.weights)
        self._n = 0

    def __call__(self) -> None:
        self._n += 1
        rate, gradient = self._training.learning_rate, self._network.gradient
        self._mean += np.float32(0.1) * (gradient - self._mean)
        self._square += np.float32(0.001) * (gradient**2 - self._square)
        root = np.sqrt(self._square)
        root /= np.float32((1 - 0.999**self._n) ** 0.5)
        root += np.float32(1e-8)
        weights = self._network.weights
        weights *= np.float32(1 - rate * self._training.weight_decay)
        weights -= np.float32(rate / (1 - 0.9**self._n)) * self._mean / root


class _Descent:
    """Gradient descent with momentum; the decay is a part of the gradient."""

    def __init__(self, network: Network, training: Training) -> None:
        self._network = network
        self._training = training
        self._speed = np.zeros_like(network.weights)

    def __call__(self) -> None:
        weights = self._network.weights
        self._speed *= np.float32(self._training.momentum)
        self._speed += self._network.gradient
        self._speed += np.float32(self._training.weight_decay) * weights
        weights -= np.float32(self._training.learning_rate) * self._speed


def _views(vector: np.ndarray, sizes: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    views = []
    start = 0
    for n, m in pairwise(sizes):
        middle, end = start + n * m, start + (n + 1) * m
        views.append((vector[start:middle].reshape(n, m), vector[middle:end]))
        start = end
    return views


def _activate(x: np.ndarray, activation: str) -> np.ndarray:
    out: np.ndarray
    if activation == "relu":
        out = np.maximum(x, 0)
    else:
        out = np.tanh(x) if activation == "tanh" else 0.5 + 0.5 * np.tanh(0.5 * x)
    return out


def _derivative(activated: np.ndarray, activation: str) -> np.ndarray:
    if activation == "relu":
        return activated > 0
    return 1 - activated**2 if activation == "tanh" else activated * (1 - activated)


def _slope(out: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of the mean loss, with respect to the outputs."""
    shares: np.ndarray
    if np.issubdtype(y.dtype, np.floating):
        shares = ((2 / len(y)) * (out - y[:, None])).astype(np.float32)
        return shares
    shares = np.exp(out - out.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    shares[np.arange(len(y)), y] -= 1
    shares /= np.float32(len(y))
    return shares

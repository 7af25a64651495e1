"""Small multi-layer perceptrons as pure functions of their weights, many side by side.

A network is a list of tensors ``[w_1, b_1, w_2, b_2, ...]``, so that gradients flow through
weights that were computed from it, for example by a step of gradient descent. Leading axes hold
networks side by side: the members of an ensemble, the studies of a step.

Axis letters: ``m`` networks side by side, ``q`` points, ``i`` inputs, ``o`` outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
import math

import torch
from torch import Tensor
from torch.nn.functional import silu


def initial(
    sizes: Sequence[int],
    batch: Sequence[int],
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
    gain: float = 1.0,
) -> list[Tensor]:
    """Random weights of variance ``gain^2 / i``, and biases of zero.

    Args:
        sizes: Number of inputs, units of each hidden layer, number of outputs.
        batch: Leading axes.
        generator: Source of all randomness.
        dtype: Type of the weights.
        gain: Scale of the weights.

    Returns:
        ``[w (*batch, i, o), b (*batch, 1, o), ...]``, one pair a layer.
    """
    parameters = []
    for i, o in pairwise(sizes):
        w = torch.randn((*batch, i, o), generator=generator, dtype=dtype)
        parameters += [w * (gain / math.sqrt(max(i, 1))), torch.zeros((*batch, 1, o), dtype=dtype)]
    return parameters


def shapes(sizes: Sequence[int], batch: Sequence[int] = ()) -> list[tuple[int, ...]]:
    """Shapes of the weights of :func:`initial`."""
    return [(*batch, rows, o) for i, o in pairwise(sizes) for rows in (i, 1)]


def forward(parameters: Sequence[Tensor], x: Tensor) -> Tensor:
    """Outputs ``(*batch, q, o)`` at points ``(*batch, q, i)``; leading axes may be absent."""
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    for w, b in layers[:-1]:
        x = silu(x @ w + b)
    w, b = layers[-1]
    return x @ w + b

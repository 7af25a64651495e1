"""Networks as pure functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from optuna_metasampler.methods.networks import forward, initial
from tests.tasks import generator


def test_a_network_is_what_numpy_computes() -> None:
    parameters = initial([3, 8, 8, 2], [], generator(), torch.float64)
    for bias in parameters[1::2]:
        bias += 0.3
    x = torch.randn((5, 3), generator=generator(), dtype=torch.float64)
    h = x.numpy()
    for i in (0, 2):
        h = h @ parameters[i].numpy() + parameters[i + 1].numpy()
        h = h / (1 + np.exp(-h))
    h = h @ parameters[4].numpy() + parameters[5].numpy()
    np.testing.assert_allclose(forward(parameters, x).numpy(), h, rtol=1e-12)


def test_networks_side_by_side_know_nothing_of_each_other() -> None:
    parameters = initial([2, 4, 1], [3, 2], generator(), torch.float64)
    x = torch.randn((3, 2, 7, 2), generator=generator(), dtype=torch.float64)
    together = forward(parameters, x)
    assert together.shape == (3, 2, 7, 1)
    alone = forward([p[1, 0] for p in parameters], x[1, 0])
    torch.testing.assert_close(together[1, 0], alone, rtol=1e-12, atol=1e-14)
    # Points without the leading axes go to every network.
    shared = forward(parameters, x[0, 0])
    torch.testing.assert_close(shared[0, 0], together[0, 0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_weights_have_the_variance_that_is_asked_for(gain: float) -> None:
    w = initial([50, 400], [], generator(), gain=gain)[0]
    assert float(w.std()) == pytest.approx(gain / math.sqrt(50), rel=0.05)

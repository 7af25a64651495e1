"""Training of the recurrent policy."""

from __future__ import annotations

import pytest
import torch

from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.meta_train.simulators import Simulators
from optuna_metasampler.methods.lstm.method import LstmLearner, roll_out
from optuna_metasampler.methods.lstm.policy import RecurrentNetwork
from optuna_metasampler.space import SearchSpace
from tests.tasks import MIXED, NUMBERS, generator, study


def learner(space: SearchSpace, unrolled: bool, dtype: torch.dtype) -> LstmLearner:
    simulators = Simulators.of([study(space, s) for s in range(3)], 0.2, dtype=dtype)
    network = RecurrentNetwork.initial(space, 5, generator(), dtype)
    return LstmLearner(simulators, network, 4, 2, 3, unrolled, entropy=0.1)


def test_the_unrolled_gradient_is_that_of_finite_differences() -> None:
    """A space of numbers: the gradient of choices is not exact by design."""
    tiny = learner(NUMBERS, True, torch.float64)
    studies = torch.tensor([0, 2])
    weights = tiny.parameters()
    gradients = torch.autograd.grad(tiny.meta_loss(studies, generator(1)), weights)
    step = 1e-6
    for w, gradient in zip(weights, gradients, strict=True):
        # Along one random direction for each of the tensors.
        direction = torch.randn(w.shape, generator=generator(2), dtype=torch.float64)
        losses = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                w += sign * step * direction
                losses.append(float(tiny.meta_loss(studies, generator(1))))
                w -= sign * step * direction
        difference = (losses[0] - losses[1]) / (2 * step)
        assert difference == pytest.approx(float((gradient * direction).sum()), rel=1e-4, abs=1e-7)
        assert abs(difference) > 1e-6


def test_the_unrolled_gradient_flows_through_choices_too() -> None:
    mixed = learner(MIXED, True, torch.float32)
    loss = mixed.meta_loss(torch.tensor([0]), generator())
    bias = torch.autograd.grad(loss, mixed.parameters()[-1:])[0]
    assert float(bias[4:].abs().min()) > 0.0


def mean_outcome(network: RecurrentNetwork, simulators: Simulators) -> float:
    """The best so far, averaged over the steps of many episodes."""
    with torch.no_grad():
        objectives = simulators.draw(torch.arange(6).repeat(8), generator(5))
        outcomes = roll_out(network, objectives, 8, 6, generator(6)).outcomes
    return float(outcomes.cummax(-1).values.mean())


@pytest.mark.parametrize("unrolled", [False, True])
def test_the_expected_return_grows_in_training(unrolled: bool) -> None:
    simulators = Simulators.of([study(MIXED, s) for s in range(6)], 0.3)
    network = RecurrentNetwork.initial(MIXED, 16, generator())
    trained = LstmLearner(simulators, network, 6, 6, 12, unrolled)
    before = mean_outcome(network, simulators)
    Trainer().run(trained, TrainConfig(30, 6, 2e-2, validation_share=0.0), generator())
    # Outcomes have about unit scale.
    assert mean_outcome(trained.network, simulators) > before + 0.2


def test_the_state_brings_back_the_very_same_loss() -> None:
    trained = learner(MIXED, False, torch.float32)
    state = trained.state()
    with torch.no_grad():
        loss = float(trained.meta_loss(torch.tensor([1]), generator()))
        for w in trained.parameters():
            w += 1.0
        assert float(trained.meta_loss(torch.tensor([1]), generator())) != loss
        trained.load(state)
        assert float(trained.meta_loss(torch.tensor([1]), generator())) == loss

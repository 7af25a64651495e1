"""The inner loop and what it makes of a running study."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from optuna_metasampler.methods.few_shot.surrogate import (
    FewShotNetworks,
    FewShotSurrogate,
    adapt,
    context_loss,
    outputs,
)
from optuna_metasampler.methods.networks import forward, initial
from optuna_metasampler.task import Task
from tests.tasks import cube, generator


SPACE = cube("ab")


def networks(n_steps: int = 5, pull: float = 0.0) -> FewShotNetworks:
    weights = initial((2, 16, 16, 1), [4], generator())
    return FewShotNetworks(tuple(weights), (torch.tensor(0.1),) * 6, n_steps, pull)


def task(n: int, pending: int = 0) -> Task:
    x = torch.rand((n + pending, 2), generator=generator(1)).double()
    y = -((x[:n] - 0.4) ** 2).sum(1)
    mask = torch.ones((n, 2), dtype=torch.bool)
    return Task(SPACE, x[:n], y, mask, x[n:], x[:0])


def surrogate(n_steps: int = 5, pull: float = 0.0) -> FewShotSurrogate:
    return FewShotSurrogate(networks(n_steps, pull), lambda x: x)


@pytest.fixture
def problem() -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
    g = generator(2)
    weights = initial((2, 4, 1), [3], g, torch.float64)
    x = torch.rand((3, 6, 2), generator=g, dtype=torch.float64)
    z = torch.randn((3, 6), generator=g, dtype=torch.float64)
    return weights, [torch.tensor(0.05)] * 4, x, z - z.mean(1, keepdim=True)


def test_an_infinite_pull_leaves_the_meta_learned_weights(
    problem: tuple[list[Tensor], list[Tensor], Tensor, Tensor],
) -> None:
    weights, rates, x, z = problem
    for a, b in zip(adapt(weights, rates, x, z, 7, math.inf), weights, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(adapt(weights, rates, x, z, 7, 1e12), weights, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-10)


def test_no_pull_gives_plain_gradient_steps(
    problem: tuple[list[Tensor], list[Tensor], Tensor, Tensor],
) -> None:
    weights, rates, x, z = problem
    current = [w.clone() for w in weights]
    for _ in range(7):
        leaves = [w.detach().requires_grad_() for w in current]
        slopes = torch.autograd.grad(context_loss(leaves, x, z).sum(), leaves)
        current = [w - 0.05 * s for w, s in zip(leaves, slopes, strict=True)]
    for a, b in zip(adapt(weights, rates, x, z, 7), current, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-7)


def test_many_pulled_steps_reach_a_stationary_point_of_the_proximal_objective(
    problem: tuple[list[Tensor], list[Tensor], Tensor, Tensor],
) -> None:
    weights, rates, x, z = problem
    found = [w.detach().requires_grad_() for w in adapt(weights, rates, x, z, 3000, 0.5)]
    distance = sum((f - w).square().sum() for f, w in zip(found, weights, strict=True))
    loss = context_loss(found, x, z).sum() + 0.25 * distance
    slopes = torch.autograd.grad(loss, found)
    assert max(float(s.abs().max()) for s in slopes) < 1e-6


def test_a_step_size_of_zero_holds_a_layer(
    problem: tuple[list[Tensor], list[Tensor], Tensor, Tensor],
) -> None:
    weights, rates, x, z = problem
    held = [torch.zeros(()), torch.zeros(()), *rates[2:]]
    found = adapt(weights, held, x, z, 3)
    assert torch.equal(found[0], weights[0])
    assert torch.equal(found[1], weights[1])
    assert not torch.equal(found[2], weights[2])


def test_episodes_side_by_side_do_not_touch_each_other(
    problem: tuple[list[Tensor], list[Tensor], Tensor, Tensor],
) -> None:
    weights, rates, x, z = problem
    together = adapt(weights, rates, x, z, 3)
    alone = adapt([w[1:2] for w in weights], rates, x[1:2], z[1:2], 3)
    for a, b in zip(together, alone, strict=True):
        assert torch.allclose(a[1:2], b, rtol=0, atol=1e-12)


def test_the_level_of_a_study_does_not_matter() -> None:
    found = networks()
    x, context = torch.rand(5, 2), torch.rand(3, 2)
    lifted = [*found.weights[:-1], found.weights[-1] + 3.0]
    assert torch.allclose(
        outputs(found.weights, x, context), outputs(lifted, x, context), atol=1e-5
    )


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_conditioning_leaves_the_weights_as_they_were(n: int) -> None:
    model = surrogate()
    before = [w.clone() for w in model.networks.weights]
    first = model.condition(task(n))(task(8).x)
    model.condition(task(20, pending=2))
    second = model.condition(task(n))(task(8).x)
    for a, b in zip(model.networks.weights, before, strict=True):
        assert torch.equal(a, b)
        assert not a.requires_grad
    assert torch.equal(first.mean, second.mean)
    assert torch.equal(first.stddev, second.stddev)


def test_before_the_first_trial_the_prediction_is_that_of_the_meta_learned_weights() -> None:
    model, x = surrogate(), task(8).x
    predictor = model.condition(task(0))
    assert predictor.incumbent is None
    expected = forward(model.networks.weights, x.float())[..., 0].mean(0)
    assert torch.allclose(predictor(x).mean, expected.double(), atol=1e-6)


def test_one_trial_does_not_change_the_order_of_others() -> None:
    model, x = surrogate(), task(8).x
    order = model.condition(task(0))(x).mean.argsort()
    assert torch.equal(model.condition(task(1))(x).mean.argsort(), order)


def test_many_trials_are_followed() -> None:
    known, new = task(60), task(100)
    mean = surrogate().condition(known)(new.x[60:]).mean
    assert float(torch.corrcoef(torch.stack([mean, new.y[60:]]))[0, 1]) > 0.9


def test_the_members_agree_more_where_a_trial_is_pending() -> None:
    with_pending = task(12, pending=3)
    alone = task(12)
    x = with_pending.pending
    model = surrogate(n_steps=20)
    assert float(model.condition(with_pending)(x).stddev.mean()) < float(
        model.condition(alone)(x).stddev.mean()
    )


def test_the_score_has_a_slope_in_the_hyperparameters() -> None:
    x = task(5).x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(surrogate().condition(task(9))(x).mean.sum(), x)
    assert bool((slope != 0).any())

"""Meta-gradients against finite differences, definitions and closed forms, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from optuna_metasampler.meta_train.episodes import Episodes
from optuna_metasampler.methods.few_shot.rules import (
    conjugate_gradients,
    implicit_maml,
    joint,
    maml,
    reptile,
    target_loss,
)
from optuna_metasampler.methods.few_shot.surrogate import adapt, context_loss
from optuna_metasampler.methods.networks import initial
from tests.tasks import generator


SIZES = (2, 3, 1)
RATE = 0.1


@pytest.fixture
def weights() -> list[Tensor]:
    found = initial(SIZES, [1], generator(), torch.float64)
    return [(w + 0.1).requires_grad_() for w in found]


@pytest.fixture
def rates(weights: list[Tensor]) -> list[Tensor]:
    return [torch.full_like(w, RATE).requires_grad_() for w in weights]


@pytest.fixture
def episodes() -> Episodes:
    g = generator()
    context, target = (torch.rand((1, n, 2), generator=g, dtype=torch.float64) for n in (5, 7))

    def f(x: Tensor) -> Tensor:
        return 4 * (x[..., 0] - 0.3) ** 2 - x[..., 1]

    mean = f(context).mean()
    return Episodes(context, f(context) - mean, target, f(target) - mean)


def numeric(loss: Callable[[], Tensor], tensors: Sequence[Tensor], step: float = 1e-5) -> Tensor:
    """Central differences with respect to every number of the tensors."""
    slopes = []
    for tensor in tensors:
        flat = tensor.detach().view(-1)
        for i in range(len(flat)):
            values = []
            for sign in (1.0, -1.0):
                flat[i] += sign * step
                values.append(float(loss().sum().detach()))
                flat[i] -= sign * step
            slopes.append((values[0] - values[1]) / (2 * step))
    return torch.tensor(slopes, dtype=torch.float64)


def exact(loss: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss.sum(), tensors)])


def close(a: Tensor, b: Tensor, tolerance: float = 1e-7) -> bool:
    return float((a - b).detach().abs().max()) < tolerance * float(b.abs().max().clamp_min(1.0))


def test_the_meta_gradient_of_maml_is_that_of_finite_differences(
    weights: list[Tensor], rates: list[Tensor], episodes: Episodes
) -> None:
    rule = partial(maml, n_steps=3)
    expected = numeric(lambda: rule(weights, rates, episodes), weights)
    assert close(exact(rule(weights, rates, episodes), weights), expected)


def test_the_first_order_meta_gradient_is_the_gradient_at_the_adapted_weights(
    weights: list[Tensor], rates: list[Tensor], episodes: Episodes
) -> None:
    first = exact(partial(maml, n_steps=3, first_order=True)(weights, rates, episodes), weights)
    adapted = adapt(weights, rates, episodes.context_x, episodes.context_z, 3)
    leaves = [a.detach().requires_grad_() for a in adapted]
    assert torch.equal(first, exact(target_loss(leaves, episodes), leaves))
    assert not close(
        first, exact(partial(maml, n_steps=3)(weights, rates, episodes), weights), 1e-4
    )


def test_first_and_second_order_agree_where_there_is_no_inner_step(
    weights: list[Tensor], rates: list[Tensor], episodes: Episodes
) -> None:
    plain = exact(target_loss(weights, episodes), weights)
    for first_order in (False, True):
        assert torch.equal(
            exact(
                partial(maml, n_steps=0, first_order=first_order)(weights, rates, episodes),
                weights,
            ),
            plain,
        )


def test_the_step_sizes_gradient_is_that_of_finite_differences(
    weights: list[Tensor], rates: list[Tensor], episodes: Episodes
) -> None:
    rule = partial(maml, n_steps=2)
    expected = numeric(lambda: rule(weights, rates, episodes), rates)
    assert close(exact(rule(weights, rates, episodes), rates), expected)
    # To first order the last of the gradients is the only one that is exact.
    one = partial(maml, n_steps=1, first_order=True)
    expected = numeric(lambda: one(weights, rates, episodes), rates)
    assert close(exact(one(weights, rates, episodes), rates), expected)


def test_reptile_goes_from_the_weights_towards_the_adapted_ones(
    weights: list[Tensor], rates: list[Tensor], episodes: Episodes
) -> None:
    x = torch.cat([episodes.context_x, episodes.target_x], dim=1)
    z = torch.cat([episodes.context_z, episodes.target_z], dim=1)
    current = [w.detach().clone() for w in weights]
    for _ in range(4):
        leaves = [w.requires_grad_() for w in current]
        loss = context_loss(leaves, x, z - z.mean(1, keepdim=True)).sum()
        slopes = torch.autograd.grad(loss, leaves)
        current = [w.detach() - RATE * s for w, s in zip(leaves, slopes, strict=True)]
    expected = torch.cat([(w - a).reshape(-1) for w, a in zip(weights, current, strict=True)])
    assert close(
        exact(partial(reptile, n_steps=4)(weights, rates, episodes), weights),
        expected.detach(),
        1e-12,
    )


def test_one_step_of_reptile_is_joint_training(
    weights: list[Tensor], rates: list[Tensor], episodes: Episodes
) -> None:
    of_joint = exact(joint(weights, rates, episodes), weights)
    of_reptile = exact(reptile(weights, rates, episodes, n_steps=1), weights)
    assert close(of_reptile, RATE * of_joint, 1e-12)


@pytest.mark.parametrize("curved", [True, False])
def test_the_implicit_gradient_is_that_of_the_exact_proximal_solution(
    curved: bool, episodes: Episodes
) -> None:
    # A linear network has a quadratic loss, whose proximal solution is that of a linear system.
    pull = 0.7
    w = torch.tensor([[[0.4], [-0.8]]], dtype=torch.float64, requires_grad=True)
    b = torch.zeros((1, 1, 1), dtype=torch.float64, requires_grad=True)
    x = episodes.context_x[0] - episodes.context_x[0].mean(0)
    hessian = 2 * x.T @ x / len(x)
    right = 2 * x.T @ episodes.context_z[0] / len(x)

    def solution() -> list[Tensor]:
        eye = torch.eye(2, dtype=torch.float64)
        v = torch.linalg.solve(hessian + pull * eye, right + pull * w[0, :, 0])
        return [v[None, :, None], b]

    rates = [torch.tensor(0.5, dtype=torch.float64)] * 2
    rule = partial(implicit_maml, n_steps=300, pull=pull, n_conjugate=4, first_order=not curved)
    loss = rule([w, b], rates, episodes)
    assert close(loss, target_loss(solution(), episodes).detach(), 1e-9)
    expected = numeric(lambda: target_loss(solution(), episodes), [w])
    assert close(exact(loss, [w]), expected, 1e-6) == curved


def test_implicit_gradients_of_a_network_are_those_of_its_solved_proximal_problem(
    weights: list[Tensor], rates: list[Tensor], episodes: Episodes
) -> None:
    rule = partial(implicit_maml, n_steps=100, pull=2.0, n_conjugate=20)
    expected = numeric(lambda: rule(weights, rates, episodes), weights)
    assert close(exact(rule(weights, rates, episodes), weights), expected, 1e-5)


def test_conjugate_gradients_solve_systems_side_by_side_and_stop_at_negative_curvature() -> None:
    root = torch.randn((2, 4, 4), generator=generator(), dtype=torch.float64)
    matrix = root @ root.transpose(1, 2) + torch.eye(4, dtype=torch.float64)
    matrix[1] = -matrix[1]
    right = torch.ones((2, 4), dtype=torch.float64)
    found = conjugate_gradients(lambda v: (matrix @ v[..., None])[..., 0], right, 8)
    assert close(found[0], torch.linalg.solve(matrix[0], right[0]), 1e-9)
    assert torch.equal(found[1], right[1])

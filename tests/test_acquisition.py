"""Acquisition functions."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy import integrate, stats
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal, StudentT

from optuna_metasampler.acquisition import (
    log_expected_hypervolume_improvement,
    log_expected_improvement,
)
from optuna_metasampler.pareto import Boxes, non_dominated_boxes
from tests.tasks import generator


def normal(mean: float, std: float) -> Normal:
    return Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64))


@pytest.mark.parametrize("mean", [-2.0, 0.0, 1.5])
@pytest.mark.parametrize("std", [0.1, 1.0, 7.0])
def test_log_expected_improvement_matches_quadrature(mean: float, std: float) -> None:
    def integrand(f: float) -> float:
        return (f - 0.3) * float(stats.norm.pdf(f, mean, std))

    expected, _ = integrate.quad(integrand, 0.3, max(mean, 0.3) + 12 * std, epsabs=0, epsrel=1e-10)
    got = float(log_expected_improvement(normal(mean, std), 0.3))
    if expected > 1e-60:
        assert got == pytest.approx(math.log(expected), rel=1e-6)


# Computed with mpmath 1.3 at 60 digits: log(pdf(u) + u * cdf(u)).
@pytest.mark.parametrize(
    ("u", "expected"),
    [
        (-1.0, -2.4851210257126413),
        (-5.0, -16.74430116266099),
        (-30.0, -457.724653760598),
        (-1000.0, -500014.73445209116),
        (-1e5, -5000000023.94479),
    ],
)
def test_the_far_tail_keeps_its_digits(u: float, expected: float) -> None:
    assert float(log_expected_improvement(normal(u, 1.0), 0.0)) == pytest.approx(
        expected, rel=1e-9
    )


@given(st.floats(-1e8, 1e8), st.floats(1e-6, 1e6), st.floats(-1e6, 1e6))
def test_value_and_gradient_are_finite_everywhere(mean: float, std: float, best: float) -> None:
    m = torch.tensor(mean, dtype=torch.float64, requires_grad=True)
    s = torch.tensor(std, dtype=torch.float64, requires_grad=True)
    value = log_expected_improvement(Normal(m, s), best)
    gradient = torch.autograd.grad(value, [m, s])
    assert math.isfinite(float(value.detach()))
    assert all(math.isfinite(float(g)) for g in gradient)


def test_the_gradient_is_that_of_the_value() -> None:
    mean = torch.tensor([-300.0, -8.0, -1.01, -0.99, 0.0, 3.0], dtype=torch.float64)
    std = torch.full_like(mean, 0.7)

    def value(m: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return log_expected_improvement(Normal(m, s), 0.2)

    assert torch.autograd.gradcheck(value, [mean.requires_grad_(), std.requires_grad_()])


@given(st.floats(-50, 50), st.floats(0.01, 10), st.floats(1e-3, 10))
def test_a_higher_mean_is_worth_more(mean: float, std: float, more: float) -> None:
    low = log_expected_improvement(normal(mean, std), 0.0)
    assert float(log_expected_improvement(normal(mean + more, std), 0.0)) > float(low)


def test_it_is_smooth_where_its_branches_meet() -> None:
    for edge in (-1.0, -1e4):
        u = torch.tensor([edge * (1 + 1e-12), edge * (1 - 1e-12)], dtype=torch.float64)
        pair = log_expected_improvement(Normal(u, torch.ones(2, dtype=torch.float64)), 0.0)
        assert float(pair[0]) == pytest.approx(float(pair[1]), rel=1e-9)


def test_a_mixture_improves_as_much_as_its_parts_together() -> None:
    parts = Normal(
        torch.tensor([[0.0, 1.0]], dtype=torch.float64),
        torch.tensor([[1.0, 0.5]], dtype=torch.float64),
    )
    weights = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    mixture = MixtureSameFamily(Categorical(probs=weights), parts)
    each = log_expected_improvement(parts, 0.8).exp()
    expected = float((weights * each).sum())
    assert float(log_expected_improvement(mixture, 0.8).exp()) == pytest.approx(expected)


def test_a_mixture_matches_simulation() -> None:
    parts = Normal(
        torch.tensor([0.0, 1.0], dtype=torch.float64),
        torch.tensor([1.0, 0.5], dtype=torch.float64),
    )
    probs = torch.tensor([0.4, 0.6], dtype=torch.float64)
    rng = np.random.default_rng(0)
    which = rng.random(200_000) < 0.4
    f = np.where(which, rng.normal(0, 1, 200_000), rng.normal(1, 0.5, 200_000))
    gain = np.maximum(f - 0.8, 0)
    got = float(log_expected_improvement(MixtureSameFamily(Categorical(probs), parts), 0.8).exp())
    # Four standard errors: one seed in 16,000 fails a correct program, and this seed is fixed.
    assert abs(got - gain.mean()) < 4 * gain.std() / math.sqrt(len(gain))


def test_another_distribution_is_refused() -> None:
    with pytest.raises(TypeError, match="StudentT"):
        log_expected_improvement(StudentT(3.0), 0.0)


def boxes_beside(front: list[list[float]], corner: list[float]) -> Boxes:
    return non_dominated_boxes(
        torch.tensor(front, dtype=torch.float64), torch.tensor(corner, dtype=torch.float64)
    )


def normals(means: list[float], stds: list[float]) -> Normal:
    return Normal(
        torch.tensor(means, dtype=torch.float64), torch.tensor(stds, dtype=torch.float64)
    )


FRONTS = {
    2: ([[0.0, 1.0], [0.4, 0.7], [0.8, 0.1]], [-0.5, -0.3]),
    3: ([[0.0, 1.0, 0.5], [0.4, 0.7, 0.1], [0.8, 0.1, 0.3], [0.2, 0.2, 0.9]], [-0.5, -0.3, -0.1]),
    4: ([[0.0, 1.0, 0.5, 0.2], [0.4, 0.7, 0.1, 0.8]], [-0.5, -0.3, -0.1, 0.0]),
}


@pytest.mark.parametrize("m", [2, 3, 4])
def test_the_expected_hypervolume_improvement_is_the_mean_over_draws(m: int) -> None:
    """Of mixtures; 5 standard errors, so a false alarm once in 600,000 of the 9 comparisons."""
    boxes = boxes_beside(*FRONTS[m])
    logits = torch.tensor([0.3, -0.4], dtype=torch.float64).expand(3, 2)
    torch_rng = generator(m)
    draws, distributions = [], []
    for _ in range(m):
        mean = torch.randn((3, 2), generator=torch_rng, dtype=torch.float64) * 0.5
        std = 0.2 + torch.rand((3, 2), generator=torch_rng, dtype=torch.float64)
        distributions.append(MixtureSameFamily(Categorical(logits=logits), Normal(mean, std)))
        first = torch.rand((3, 40_000), generator=torch_rng, dtype=torch.float64) < torch.sigmoid(
            torch.tensor(0.7, dtype=torch.float64)
        )
        noise = torch.randn((3, 40_000), generator=torch_rng, dtype=torch.float64)
        picked = torch.where(first, mean[:, :1], mean[:, 1:])
        draws.append(picked + torch.where(first, std[:, :1], std[:, 1:]) * noise)
    y = torch.stack(draws, dim=-1).unsqueeze(-2)
    reach = (torch.minimum(y, boxes.upper) - boxes.lower).clamp_min(0.0)
    added = reach.prod(dim=-1).sum(dim=-1)
    error = added.std(dim=1) / math.sqrt(added.shape[1])
    got = log_expected_hypervolume_improvement(distributions, boxes).exp()
    assert bool(((got - added.mean(dim=1)).abs() < 5 * error).all())


@pytest.mark.parametrize("mean", [(-1.0, 0.2), (0.5, 0.5), (2.0, -0.4)])
def test_of_two_objectives_it_is_what_quadrature_over_stripes_gives(
    mean: tuple[float, float],
) -> None:
    """The probability of reaching a place, summed over all places that nothing dominates."""
    front, corner = FRONTS[2]
    std = (0.3, 0.6)

    def reached(objective: int, low: float, high: float) -> float:
        high = min(high, mean[objective] + 12 * std[objective])
        if high <= low:
            return 0.0
        law = stats.norm(mean[objective], std[objective])
        return float(integrate.quad(law.sf, low, high, epsabs=0, epsrel=1e-11)[0])

    edges = [corner[0], *(p[0] for p in front), math.inf]
    floors = [*(p[1] for p in front), corner[1]]
    expected = sum(
        reached(0, low, high) * reached(1, floor, math.inf)
        for low, high, floor in zip(edges, edges[1:], floors, strict=False)
    )
    got = log_expected_hypervolume_improvement(
        [normals([mean[j]], [std[j]]) for j in range(2)], boxes_beside(front, corner)
    )
    assert float(got) == pytest.approx(math.log(expected), rel=1e-8)


def test_of_one_objective_it_is_the_expected_improvement() -> None:
    law = normals([-3.0, 0.2, 1.0], [0.1, 1.0, 5.0])
    got = log_expected_hypervolume_improvement([law], boxes_beside([[0.5], [0.1]], [0.0]))
    assert torch.allclose(got, log_expected_improvement(law, 0.5), rtol=1e-12)


@pytest.mark.parametrize("m", [2, 3])
def test_its_gradient_is_that_of_finite_differences(m: int) -> None:
    boxes = boxes_beside(*FRONTS[m])
    rng = generator()
    means = torch.randn((m, 5), generator=rng, dtype=torch.float64).requires_grad_()
    stds = (0.1 + torch.rand((m, 5), generator=rng, dtype=torch.float64)).requires_grad_()

    def value(means: torch.Tensor, stds: torch.Tensor) -> torch.Tensor:
        laws = [Normal(mean, std) for mean, std in zip(means, stds, strict=True)]
        return log_expected_hypervolume_improvement(laws, boxes)

    assert torch.autograd.gradcheck(value, (means, stds))


@given(
    st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3),
    st.lists(st.floats(1e-4, 1e4), min_size=3, max_size=3),
)
def test_its_value_and_gradient_are_finite_everywhere(
    means: list[float], stds: list[float]
) -> None:
    """Also where boxes are thin, and where none of them is likely to be reached."""
    front = [[0.0, 1.0, 0.5], [1e-13, 1.0 - 1e-13, 0.5], [0.8, 0.1, 0.3]]
    mean = torch.tensor(means, dtype=torch.float64, requires_grad=True)
    laws = [
        Normal(mean[j : j + 1], torch.tensor([std], dtype=torch.float64))
        for j, std in enumerate(stds)
    ]
    value = log_expected_hypervolume_improvement(laws, boxes_beside(front, [-0.5, -0.3, -0.1]))
    (gradient,) = torch.autograd.grad(value.sum(), mean)
    assert math.isfinite(float(value.detach()))
    assert bool(torch.isfinite(gradient).all())


def test_the_order_of_the_objectives_does_not_matter() -> None:
    front, corner = FRONTS[3]
    rng = generator(3)
    laws = [
        Normal(
            torch.randn(6, generator=rng, dtype=torch.float64),
            0.1 + torch.rand(6, generator=rng, dtype=torch.float64),
        )
        for _ in range(3)
    ]
    order = [2, 0, 1]
    turned = boxes_beside([[p[j] for j in order] for p in front], [corner[j] for j in order])
    assert torch.allclose(
        log_expected_hypervolume_improvement([laws[j] for j in order], turned),
        log_expected_hypervolume_improvement(laws, boxes_beside(front, corner)),
        rtol=1e-10,
    )


def test_the_hypervolume_improvement_too_wants_normals() -> None:
    other = StudentT(torch.ones(1, dtype=torch.float64))
    with pytest.raises(TypeError, match="must be a Normal or a mixture"):
        log_expected_hypervolume_improvement([other, other], boxes_beside(*FRONTS[2]))

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

from optuna_metasampler.acquisition import log_expected_improvement


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

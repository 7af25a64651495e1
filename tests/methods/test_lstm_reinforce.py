"""The policy gradient."""

from __future__ import annotations

import pytest
import torch

from optuna_metasampler.methods.lstm.method import (
    improvements,
    policy_gradient_loss,
    rewards_to_go,
)
from tests.tasks import generator


def test_the_estimate_is_unbiased_on_a_bandit() -> None:
    """Three arms, two pulls an episode, against the gradient of the expected return.

    The mean of 20,000 independent estimates is within 4 standard errors of the truth in each of
    three components but for one time in 5,000 (normal distribution, Bonferroni).
    """
    theta = torch.tensor([0.5, -0.3, 0.1], dtype=torch.float64, requires_grad=True)
    value = torch.tensor([1.0, 3.0, -2.0], dtype=torch.float64)
    expected = 2 * (torch.softmax(theta, 0) * value).sum()
    (truth,) = torch.autograd.grad(expected, theta)

    n, rollouts = 20_000, 3
    probability = torch.softmax(theta, 0).detach()
    arms = torch.multinomial(probability, n * rollouts * 2, True, generator=generator())
    arms = arms.reshape(n, rollouts, 2)
    own = theta.detach().expand(n, 3).clone().requires_grad_()  # one estimate a row
    log_prob = torch.log_softmax(own, 1)[torch.arange(n)[:, None, None], arms]
    # `n` times the mean over rows is their sum, so each row has its own estimate as gradient.
    loss = n * policy_gradient_loss(log_prob, value[arms])
    (estimates,) = torch.autograd.grad(loss, own)
    error = (-estimates).mean(0) - truth
    standard = estimates.std(0) / n**0.5
    assert bool((error.abs() < 4 * standard).all())
    # The test can fail: the truth itself is many standard errors from zero.
    assert bool((truth.abs() > 20 * standard).any())


def test_the_baseline_takes_away_variance_where_rewards_have_an_offset() -> None:
    log_prob = torch.zeros((1, 4, 1), requires_grad=True)
    (slope,) = torch.autograd.grad(
        policy_gradient_loss(log_prob, torch.full((1, 4, 1), 100.0)), log_prob
    )
    assert torch.equal(slope, torch.zeros_like(slope))


def test_a_single_rollout_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 rollouts"):
        policy_gradient_loss(torch.zeros((2, 1, 3)), torch.zeros((2, 1, 3)))


def test_improvements_add_up_to_the_best_so_far_over_all_steps() -> None:
    outcomes = torch.tensor([[-1.0, 2.0, 0.0, 2.5], [0.5, 0.1, 0.2, -3.0]])
    best = outcomes.cummax(1).values
    torch.testing.assert_close(improvements(outcomes).sum(1), best.sum(1))
    # From a step on: what the best will be above that before the step.
    before = torch.cat([torch.zeros((2, 1)), best[:, :-1]], 1)
    remaining = torch.tensor([4.0, 3.0, 2.0, 1.0])
    expected = rewards_to_go(best) - before * remaining
    torch.testing.assert_close(rewards_to_go(improvements(outcomes)), expected)

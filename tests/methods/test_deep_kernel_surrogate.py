"""The deep kernel, against ten lines of NumPy and SciPy's normal distribution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
import pytest
from scipy import stats
import torch

from optuna_metasampler.methods import networks
from optuna_metasampler.methods.deep_kernel import (
    DeepKernel,
    adapt,
    initial_parameters,
    negative_log_likelihood,
    predict,
)
from optuna_metasampler.task import Task
from tests.tasks import cube, generator, uniform


SPACE = cube("ab")


def parameters(seed: int = 0) -> list[torch.Tensor]:
    made = initial_parameters(2, 8, generator(seed))
    made[-1] = torch.tensor([0.3, -0.2, 0.4, -1.5], dtype=torch.float64)
    return made


def problem(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x = uniform(n, seed=seed)
    return x, torch.sin(6 * x[:, 0]) + x[:, 1]


def task_of(y: list[float], pending: int = 0, same_point: bool = False) -> Task:
    x, _ = problem(len(y))
    points = [{"a": 0.5, "b": 0.5} if same_point else {"a": a, "b": b} for a, b in x.tolist()]
    waiting = [{"a": a, "b": b} for a, b in problem(pending, seed=9)[0].tolist()]
    return Task.of(SPACE, list(points), torch.tensor(y), pending=list(waiting))


def surrogate(n_steps: int = 20) -> DeepKernel:
    return DeepKernel(parameters(), lambda x: x, n_steps, 1e-2)


def plain_kernel(of: list[torch.Tensor], a: torch.Tensor, b: torch.Tensor) -> NDArray[np.float64]:
    """Matern-5/2 on the network's outputs, point by point."""
    _, log_lengthscale, log_outputscale, _ = of[-1].tolist()
    fa, fb = (networks.forward(of[:-1], x).numpy() / math.exp(log_lengthscale) for x in (a, b))
    s = math.sqrt(5) * np.linalg.norm(fa[:, None] - fb[None], axis=2)
    k: NDArray[np.float64] = math.exp(log_outputscale) * (1 + s + s**2 / 3) * np.exp(-s)
    return k


def test_the_posterior_is_that_of_a_plain_exact_process() -> None:
    of, (x, z), query = parameters(), problem(12), problem(7, seed=1)[0]
    mean, noise = float(of[-1][0]), math.exp(float(of[-1][3])) + 1e-4
    k, cross, own = (
        plain_kernel(of, x, x),
        plain_kernel(of, query, x),
        plain_kernel(of, query, query),
    )
    inverse = np.linalg.inv(k + noise * np.eye(12))
    expected = mean + cross @ inverse @ (z.numpy() - mean)
    variance = np.diag(own - cross @ inverse @ cross.T)
    got = predict(of, x, z, query)
    np.testing.assert_allclose(got.mean.numpy(), expected, atol=1e-8)
    np.testing.assert_allclose(got.variance.numpy(), variance, atol=1e-8)
    noisy = predict(of, x, z, query, noisy=True)
    np.testing.assert_allclose(noisy.variance.numpy(), variance + noise, atol=1e-8)


def test_the_marginal_likelihood_is_the_density_of_a_multivariate_normal() -> None:
    of, (x, z) = parameters(), problem(12)
    covariance = plain_kernel(of, x, x) + (math.exp(float(of[-1][3])) + 1e-4) * np.eye(12)
    mean = np.full(12, float(of[-1][0]))
    expected = -stats.multivariate_normal(mean, covariance).logpdf(z.numpy())
    assert float(negative_log_likelihood(of, x, z)) == pytest.approx(expected, abs=1e-8)


def test_studies_side_by_side_are_what_they_are_one_by_one() -> None:
    of = parameters()
    each = [problem(9, seed) for seed in range(3)]
    x, z = torch.stack([x for x, _ in each]), torch.stack([z for _, z in each])
    query = torch.stack([problem(4, seed + 10)[0] for seed in range(3)])
    together, losses = predict(of, x, z, query), negative_log_likelihood(of, x, z)
    for i in range(3):
        alone = predict(of, x[i], z[i], query[i])
        torch.testing.assert_close(together.mean[i], alone.mean)
        torch.testing.assert_close(together.stddev[i], alone.stddev)
        torch.testing.assert_close(losses[i], negative_log_likelihood(of, x[i], z[i]))


def test_the_gradient_of_the_marginal_likelihood_is_that_of_finite_differences() -> None:
    x, z = problem(6)
    moving = [p.requires_grad_() for p in parameters()]
    assert torch.autograd.gradcheck(lambda *p: negative_log_likelihood(p, x, z), moving)


def test_the_prediction_can_be_climbed() -> None:
    predictor = surrogate().condition(task_of([0.0, 1.0, 0.5, 0.2]))
    query = problem(3, seed=1)[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: predictor(x).mean, query)
    assert torch.autograd.gradcheck(lambda x: predictor(x).stddev, query)


def test_fine_tuning_makes_the_study_more_likely_and_leaves_the_start_as_it_was() -> None:
    of, (x, z) = parameters(), problem(15)
    before = [p.clone() for p in of]
    tuned = adapt(of, x, z, 30, 1e-2)
    assert negative_log_likelihood(tuned, x, z) < negative_log_likelihood(of, x, z) - 0.1
    assert all(torch.equal(a, b) for a, b in zip(of, before, strict=True))


def test_no_step_leaves_the_parameters_as_they_are() -> None:
    of, (x, z) = parameters(), problem(15)
    tuned = adapt(of, x, z, 0, 1e-2)
    assert all(torch.equal(a, b) for a, b in zip(of, tuned, strict=True))


def test_conditioning_leaves_what_was_learned_bit_for_bit() -> None:
    model = surrogate()
    before = [p.clone() for p in model.parameters]
    first = model.condition(task_of([0.0, 1.0, 0.5, 0.2], pending=2))
    model.condition(task_of([3.0, 1.0]), first)
    again = model.condition(task_of([0.0, 1.0, 0.5, 0.2], pending=2))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters, before, strict=True))
    query = problem(5, seed=1)[0]
    assert torch.equal(first(query).mean, again(query).mean)


@pytest.mark.parametrize(
    "task",
    [
        task_of([]),
        task_of([], pending=2),
        task_of([1.0]),
        task_of([2.0] * 5),
        task_of([0.0, 1.0, 2.0, 3.0] * 10, same_point=True),
        task_of([math.inf, -math.inf, 1.0, 1e300]),
    ],
    ids=["empty", "pending-only", "one", "constant", "duplicates", "infinite"],
)
def test_a_task_of_little_information_gives_a_finite_prediction(task: Task) -> None:
    predicted = surrogate().condition(task)(problem(4, seed=1)[0])
    assert bool(torch.isfinite(predicted.mean).all())
    assert bool((predicted.stddev > 0).all())


def test_a_pending_point_leaves_the_mean_and_takes_the_doubt_away() -> None:
    without = surrogate(0).condition(task_of([0.0, 1.0, 0.5, 0.2]))
    task = task_of([0.0, 1.0, 0.5, 0.2], pending=2)
    having = surrogate(0).condition(task)
    torch.testing.assert_close(without(task.pending).mean, having(task.pending).mean)
    assert bool((having(task.pending).stddev < without(task.pending).stddev).all())


def test_the_incumbent_is_the_best_outcome_or_what_a_pending_point_may_reach() -> None:
    assert surrogate().condition(task_of([])).incumbent is None
    mean = float(parameters()[-1][0])
    assert surrogate().condition(task_of([], pending=1)).incumbent == pytest.approx(mean)
    conditioned = surrogate().condition(task_of([0.0, 1.0, 3.0, 2.0], pending=1))
    assert conditioned.incumbent is not None
    assert conditioned.incumbent > 0.5

"""``deep-kernel``: what it learns, its options, and a live study."""

from __future__ import annotations

import optuna
import pytest
import torch

from benchmarks.problems.base import suggest
from benchmarks.problems.synthetic import SyntheticSuite
from optuna_metasampler import MetaSampler
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.deep_kernel import (
    DeepKernelMethod,
    LearnedDeepKernel,
    initial_parameters,
    warm_start,
)
from optuna_metasampler.task import Task
from tests.methods.studies import suite_priors
from tests.tasks import cube, generator, task_of, uniform


SPACE = cube("ab")


def study(best: float, seed: int, n: int = 30) -> Task:
    x = uniform(n, seed=seed)
    return task_of(SPACE, x, -(x[:, 0] - best).abs())


def learned(method: DeepKernelMethod) -> LearnedDeepKernel:
    tasks = [study(0.2, 0), study(0.3, 1), study(0.8, 2)]
    return method.learn(tasks, generator(), Trainer())


def test_the_warm_start_serves_every_prior_study_and_the_many_first() -> None:
    # Two studies are best at 0.2 and one at 0.8.
    tasks = [study(0.2, 0), study(0.2, 1), study(0.8, 2)]
    points = warm_start(initial_parameters(2, 16, generator()), tasks, 2)
    assert abs(float(points[0, 0]) - 0.2) < 0.15
    assert abs(float(points[1, 0]) - 0.8) < 0.15


def test_the_warm_start_repeats_no_configuration() -> None:
    tasks = [study(0.2, 0, n=3), study(0.2, 0, n=3)]
    points = warm_start(initial_parameters(2, 16, generator()), tasks, 5)
    assert len(points) == len(torch.unique(points, dim=0)) == 3


def test_what_does_not_fit_is_refused() -> None:
    method = DeepKernelMethod(n_steps=5, width=8)
    tensors = method.pack(learned(method))
    with pytest.raises(ValueError, match=r"parameter\.0"):
        DeepKernelMethod(width=16).unpack(SPACE, tensors)
    with pytest.raises(KeyError):
        method.unpack(SPACE, {k: t for k, t in tensors.items() if k != "warm_start"})


def test_the_same_seed_learns_the_same() -> None:
    method = DeepKernelMethod(n_steps=10, width=8)
    pairs = zip(learned(method).parameters, learned(method).parameters, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_study_on_a_mixed_conditional_space_is_better_than_random_search() -> None:
    suite = SyntheticSuite(0.9)
    target = suite.targets[0]
    objective = suite.objective(target)

    sampler = MetaSampler(
        suite_priors(suite, target),
        method="deep-kernel",
        method_options={"n_steps": 100},
        seed=0,
    )
    running, random = (
        optuna.create_study(direction=suite.direction, sampler=s)
        for s in (sampler, optuna.samplers.RandomSampler(seed=0))
    )
    for each in (running, random):
        each.optimize(lambda t: objective(suggest(t, suite.parameters)), n_trials=10)
    assert running.best_value < random.best_value

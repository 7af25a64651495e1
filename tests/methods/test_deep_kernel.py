"""``deep-kernel``: what it learns, its options, and a live study."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import FloatDistribution
import pytest
import torch

from benchmarks.problems.base import suggest
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from optuna_metasampler import MetaSampler
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.deep_kernel import (
    DeepKernelMethod,
    LearnedDeepKernel,
    initial_parameters,
    warm_start,
)
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


SPACE = SearchSpace.of({"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator(device="cpu").manual_seed(seed)


def study(best: float, seed: int, n: int = 30) -> Task:
    x = torch.rand((n, 2), generator=generator(seed), dtype=torch.float64)
    return Task.of(SPACE, SPACE.decode(x.numpy()), -(x[:, 0] - best).abs())


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


def test_what_was_learned_survives_packing_exactly() -> None:
    method = DeepKernelMethod(n_steps=5, width=8)
    before = learned(method)
    after = method.unpack(SPACE, method.pack(before))
    pairs = zip(before.parameters, after.parameters, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(before.warm_start, after.warm_start)


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


@pytest.mark.parametrize(
    "option",
    [
        {"n_steps": -1},
        {"batch_size": 1},
        {"width": 2.5},
        {"n_adaptation_steps": True},
        {"n_warm_start": 0},
        {"learning_rate": 0.0},
        {"adaptation_rate": "fast"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_an_option_out_of_range_is_named(option: dict[str, Any]) -> None:
    (name,) = option
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        DeepKernelMethod(**option)


def test_a_study_on_a_mixed_conditional_space_is_better_than_its_priors_were() -> None:
    suite = SyntheticSuite(0.9)
    target = suite.targets[0]
    logs = prior_logs("random-5", suite, target, 0)
    objective = suite.objective(target)

    def run() -> list[float]:
        sampler = MetaSampler(
            list(setting_of(suite, logs, 0).priors),
            method="deep-kernel",
            method_options={"n_steps": 100},
            seed=0,
        )
        running = optuna.create_study(direction=suite.direction, sampler=sampler)
        running.optimize(lambda t: objective(suggest(t, suite.parameters)), n_trials=10)
        configurations = {str(sorted(t.params.items())) for t in running.trials}
        assert len(configurations) == len(running.trials)
        return [float(t.values[0]) for t in running.trials]

    values = run()
    random = optuna.create_study(
        direction=suite.direction, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    random.optimize(lambda t: objective(suggest(t, suite.parameters)), n_trials=10)
    assert min(values) < random.best_value
    assert values == run()

"""Meta-training of the deep kernel on studies that have something in common."""

from __future__ import annotations

import math

import torch

from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.methods.deep_kernel import DeepKernelLearner
from optuna_metasampler.task import Task
from tests.tasks import cube, generator, task_of


SPACE = cube(f"x{i}" for i in range(4))


def studies(n_studies: int, n_trials: int = 40) -> list[Task]:
    """Studies in which one parameter of four matters, by a wave whose phase differs."""
    made = []
    for i in range(n_studies):
        rng = generator(i)
        x = torch.rand((n_trials, 4), generator=rng, dtype=torch.float64)
        phase = float(torch.rand((), generator=rng))
        y = torch.sin(9 * x[:, 0] + 2 * math.pi * phase)
        made.append(task_of(SPACE, x, y))
    return made


def test_meta_training_lowers_the_loss_on_studies_that_it_has_not_seen() -> None:
    learner = DeepKernelLearner(studies(10), 16, 32, generator())
    fresh = DeepKernelLearner(studies(14)[10:], 16, 32, generator())
    held_out = torch.arange(4)
    before = fresh.validation_loss(held_out, generator())
    Trainer().run(learner, TrainConfig(n_steps=200, learning_rate=5e-3), generator())
    fresh.load(learner.state())
    assert fresh.validation_loss(held_out, generator()) < before - 0.2


def test_a_step_sees_no_trial_twice_and_works_with_two_trials() -> None:
    tasks = [*studies(2), studies(3, n_trials=2)[2]]
    learner = DeepKernelLearner(tasks, 8, 64, generator())
    loss = learner.meta_loss(torch.tensor([0, 2]), generator())
    assert bool(torch.isfinite(loss))
    assert math.isfinite(learner.validation_loss(torch.tensor([0, 2]), generator()))


def test_a_state_is_a_copy_and_going_back_is_exact() -> None:
    learner = DeepKernelLearner(studies(3), 8, 32, generator())
    state = learner.state()
    before = {name: tensor.clone() for name, tensor in state.items()}
    Trainer().run(learner, TrainConfig(n_steps=5), generator())
    assert not torch.equal(learner.parameters()[0], before["0"])
    assert all(torch.equal(state[name], before[name]) for name in before)
    learner.load(state)
    assert torch.equal(learner.parameters()[0], before["0"])

"""Pre-training of an ensemble on the records of prior studies."""

from __future__ import annotations

import torch

from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.methods.mlp.method import RegressionLearner
from optuna_metasampler.methods.networks import forward, initial
from optuna_metasampler.task import Task
from tests.tasks import cube, generator


SPACE = cube("x")


def rising_and_falling() -> StudyRecords:
    x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    configurations = SPACE.decode(x.numpy())
    return StudyRecords.of([Task.of(SPACE, configurations, sign * x[:, 0]) for sign in (1, -1)])


def test_each_member_learns_from_its_own_studies() -> None:
    weights = initial((1, 16, 1), (2,), generator())
    learner = RegressionLearner(rising_and_falling(), weights, 2.0 * torch.eye(2))
    Trainer().run(learner, TrainConfig(n_steps=200, n_studies=2), generator())
    ends = forward(learner.parameters(), torch.tensor([[0.0], [1.0]])).squeeze(2).detach()
    slope = ends[:, 1] - ends[:, 0]
    assert float(slope[0]) > 2.0
    assert float(slope[1]) < -2.0


def test_a_state_can_be_gone_back_to() -> None:
    learner = RegressionLearner(
        rising_and_falling(), initial((1, 8, 1), (2,), generator()), torch.ones((2, 2))
    )
    before = learner.state()
    loss = learner.validation_loss(torch.tensor([0, 1]), generator())
    Trainer().run(learner, TrainConfig(n_steps=5), generator())
    assert learner.validation_loss(torch.tensor([0, 1]), generator()) != loss
    learner.load(before)
    assert learner.validation_loss(torch.tensor([0, 1]), generator()) == loss

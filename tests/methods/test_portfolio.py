"""A zero-shot list from prior studies, in a live study."""

from __future__ import annotations

import pytest
import torch

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.portfolio import Portfolio
from optuna_metasampler.task import Task
from tests.methods.studies import learned_prior
from tests.tasks import cube, generator, task_of, uniform


SPACE = cube("xy")


def studies(*tops: float) -> list[Task]:
    tasks = []
    for seed, top in enumerate(tops):
        x = uniform(40, seed=seed)
        tasks.append(task_of(SPACE, x, -((x[:, 0] - top) ** 2) - 0.1 * (x[:, 1] - 0.5) ** 2))
    return tasks


def test_two_kinds_of_studies_have_an_entry_each_among_the_first() -> None:
    learned = Portfolio().learn(studies(0.1, 0.1, 0.9, 0.9), generator(), Trainer())
    tops = learned[:3, 0]
    assert float(tops.min()) < 0.25
    assert float(tops.max()) > 0.75


def test_every_entry_is_a_configuration_that_a_prior_study_tried() -> None:
    tasks = studies(0.2, 0.6)
    learned = Portfolio(size=3).learn(tasks, generator(), Trainer())
    tried = {tuple(row) for task in tasks for row in task.x.tolist()}
    assert 1 <= len(learned) <= 3
    assert all(tuple(row) in tried for row in learned.tolist())


def test_a_suggestion_leaves_the_list_as_it_was() -> None:
    method, tasks = Portfolio(), studies(0.2, 0.6)
    prior = learned_prior(method, tasks)
    before = prior.learned.clone()
    policy = method.policy(SPACE, [prior], None)
    empty = Task.of(SPACE, [], torch.zeros(0))
    assert torch.equal(policy.propose(empty, generator()).x, before[0])
    assert torch.equal(prior.learned, before)


def test_nonsense_is_not_unpacked() -> None:
    method = Portfolio()
    learned = method.learn(studies(0.2, 0.6), generator(), Trainer())
    with pytest.raises(ValueError, match="entries"):
        method.unpack(SPACE, {"entries": learned[:, :1]})
    with pytest.raises(KeyError):
        method.unpack(SPACE, {})

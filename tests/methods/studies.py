"""Prior studies and running ones for the tests of methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
import torch

from benchmarks.problems.base import Suite, suggest
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from optuna_metasampler import MetaSampler
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import AlignedPrior, Method
from optuna_metasampler.task import Task
from tests.tasks import generator


SUITE = SyntheticSuite(0.9)
"""Mixed and conditional."""


def suite_priors(suite: Suite, target: str, seed: int = 0) -> list[optuna.Study]:
    """Five studies of random search on other tasks."""
    logs = prior_logs("random-5", suite, target, seed)
    return list(setting_of(suite, logs, seed).priors)


def run_live(
    method: str, options: Mapping[str, Any], n_trials: int, seed: int = 0
) -> list[dict[str, Any]]:
    """The configurations of a live study with five random prior ones."""
    target = SUITE.targets[0]
    priors = suite_priors(SUITE, target)
    sampler = MetaSampler(priors, method=method, method_options=options, seed=seed)
    study = optuna.create_study(
        direction=optuna.study.StudyDirection[SUITE.direction.upper()], sampler=sampler
    )
    objective = SUITE.objective(target)
    study.optimize(lambda t: objective(suggest(t, SUITE.parameters)), n_trials=n_trials)
    return [t.params for t in study.trials]


def learned_prior(method: Method, tasks: list[Task], seed: int = 0) -> AlignedPrior:
    """What a study of the very space of the priors knows."""
    space = tasks[0].space
    learned = method.learn(tasks, generator(seed), Trainer())
    best = torch.stack([task.x[int(task.y.argmax())] for task in tasks])
    return AlignedPrior(space, learned, lambda x: x, lambda x: x, best)

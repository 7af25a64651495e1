"""A Gaussian process for each of a few prior studies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from optuna_metasampler.outcomes import rank_gaussianize
from optuna_metasampler.surrogates.gaussian_process import (
    BasisPrior,
    HyperPrior,
    Metric,
    Posterior,
    fit_hyperparameters,
)
from optuna_metasampler.surrogates.source_processes import SourceProcesses, most_informative
from optuna_metasampler.task import Task
from tests.surrogates.related import SPACE, points, study


def test_the_processes_are_those_of_each_study_alone() -> None:
    tasks = [study(0, n=30), study(1, n=17)]
    x = points(8, 99)
    together = SourceProcesses.fit(tasks)(x)
    metric = Metric.of(SPACE, trend=False)
    prior = HyperPrior.default(metric.n_blocks)
    for k, task in enumerate(tasks):
        one = torch.ones((len(task), 1), dtype=torch.float64)
        z = rank_gaussianize(task.y)
        theta = fit_hyperparameters(task.x, z, one, metric, BasisPrior.constant(), prior)
        alone = Posterior.of(task.x, z, one, metric, [(theta, BasisPrior.constant())])
        expected = alone.predict(x, torch.ones((8, 1), dtype=torch.float64)).mean[0]
        torch.testing.assert_close(together[:, k], expected, rtol=1e-6, atol=1e-8)


def test_a_parameter_that_a_study_lacks_does_not_change_what_it_predicts() -> None:
    lacking = Task.of(
        SPACE,
        [{"a": float(a), "c": "x"} for a in np.linspace(0, 1, 20)],
        -((torch.linspace(0, 1, 20, dtype=torch.float64) - 0.4) ** 2),
    )
    processes = SourceProcesses.fit([lacking])
    x = points(1, 0).repeat(5, 1)
    x[:, 1] = torch.linspace(0, 1, 5, dtype=torch.float64)
    assert float(processes(x).std()) == pytest.approx(0.0, abs=1e-12)


def test_a_study_of_equal_outcomes_is_predicted_flat() -> None:
    flat = Task.of(SPACE, SPACE.decode(points(5, 0).numpy()), torch.ones(5, dtype=torch.float64))
    prediction = SourceProcesses.fit([flat])(points(9, 1))
    assert float(prediction.abs().max()) < 1e-6
    assert not math.isnan(float(prediction.sum()))


def test_of_many_studies_those_with_most_of_the_parameters_count_before_the_longest() -> None:
    def line(name: str, n: int) -> Task:
        configurations: list[dict[str, object]] = [{"a": float(a)} for a in np.linspace(0, 1, n)]
        return Task.of(SPACE, configurations, torch.linspace(0, 1, n).double(), name=name)

    others = [line(f"one parameter {i}", 20 + i) for i in range(29)]
    chosen = most_informative([*others, study(0, n=8), study(1, n=8)])
    assert [task.name for task in chosen] == [
        *(task.name for task in others[1:]),
        "study-0",
        "study-1",
    ]

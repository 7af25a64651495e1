"""Prior studies in groups."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from optuna_metasampler.methods.cluster import (
    behaviour,
    distances,
    group,
    group_means,
    shared_features,
    standardized,
)
from optuna_metasampler.surrogates.source_processes import SourceProcesses
from optuna_metasampler.task import Task
from tests.tasks import cube, generator, task_of, uniform


SPACE = cube("xy")


def study(seed: int, optimum: float, features: dict[str, float] | None = None) -> Task:
    x = uniform(25, seed=seed)
    y = -((x[:, 0] - optimum) ** 2) - 0.1 * x[:, 1]
    task = task_of(SPACE, x, y, f"study-{seed}")
    return replace(task, features=features or {})


def grouped(tasks: list[Task], max_groups: int = 4, min_size: int = 2) -> list[list[int]]:
    rows = behaviour(SourceProcesses.fit(tasks), tasks, generator())
    _, features = shared_features(tasks)
    return group(distances(rows, features), max_groups, min_size)


def test_studies_that_behave_alike_are_put_together() -> None:
    optima = [0.1, 0.9, 0.1, 0.9, 0.15, 0.1]
    tasks = [study(i, optimum) for i, optimum in enumerate(optima)]
    assert grouped(tasks) == [[0, 2, 4, 5], [1, 3]]


def test_studies_that_are_all_alike_stay_together() -> None:
    assert grouped([study(i, 0.5) for i in range(6)]) == [list(range(6))]


def test_no_group_is_smaller_than_it_may_be() -> None:
    tasks = [study(i, optimum) for i, optimum in enumerate([0.1, 0.1, 0.1, 0.1, 0.9])]
    assert grouped(tasks, min_size=1) == [[0, 1, 2, 3], [4]]
    assert grouped(tasks, min_size=2) == [[0, 1, 2, 3, 4]]


def test_there_are_no_more_groups_than_there_may_be() -> None:
    tasks = [study(i, (0.0, 0.5, 1.0)[i % 3]) for i in range(9)]
    assert len(grouped(tasks)) == 3
    assert len(grouped(tasks, max_groups=2)) == 2
    assert grouped(tasks, max_groups=1) == [list(range(9))]


def test_behaviour_is_a_matter_of_ranks() -> None:
    tasks = [study(0, 0.3), replace(study(0, 0.3), y=1e6 * study(0, 0.3).y - 7.0)]
    rows = behaviour(SourceProcesses.fit(tasks), tasks, generator())
    assert float(rows.min()) == 0.0
    assert float(rows.max()) == 1.0
    torch.testing.assert_close(rows[0], rows[1])


def test_distances_are_those_of_spearman() -> None:
    rows = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.5, 1.0], [1.0, 0.5, 0.0]], dtype=torch.float64)
    apart = distances(rows, torch.zeros((3, 0), dtype=torch.float64))
    expected = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    torch.testing.assert_close(apart, expected.double())


def test_meta_features_that_all_have_separate_studies() -> None:
    def with_rows(i: int, n: float) -> Task:
        return study(i, 0.5, {"rows": n, f"own-{i}": 1.0})

    tasks = [with_rows(i, n) for i, n in enumerate([1e2, 1e6, 1.2e2, 1e6, 0.9e2])]
    names, values = shared_features(tasks)
    assert names == ("rows",)
    assert values[:, 0].tolist() == [1e2, 1e6, 1.2e2, 1e6, 0.9e2]
    assert grouped(tasks) == [[0, 2, 4], [1, 3]]


def test_meta_features_of_which_one_study_has_none_do_not_count() -> None:
    tasks = [study(0, 0.5, {"rows": 1.0}), study(1, 0.5)]
    names, values = shared_features(tasks)
    assert names == ()
    assert values.shape == (2, 0)


def test_a_feature_that_is_the_same_everywhere_does_not_count() -> None:
    reference = torch.tensor([[5.0, 1.0], [5.0, 3.0]], dtype=torch.float64)
    z = standardized(torch.tensor([9.0, 2.0], dtype=torch.float64), reference)
    assert float(z[0]) == 0.0
    assert abs(float(z[1])) < 1.0


def test_the_prediction_of_a_group_is_the_mean_of_its_studies() -> None:
    predicted = torch.tensor([[1.0, 2.0, 6.0], [0.0, 4.0, 8.0]])
    means = group_means(predicted, [[0, 2], [1]])
    assert means.tolist() == [[3.5, 2.0], [4.0, 4.0]]


@pytest.mark.parametrize("k", [2, 3])
def test_few_studies_make_one_group(k: int) -> None:
    assert grouped([study(i, i / k) for i in range(k)]) == [list(range(k))]

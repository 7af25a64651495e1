"""What is shipped about learners, learned from their records, and measured."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from benchmarks.experiments import learners
from benchmarks.learner_records import knowledge
from benchmarks.learner_records.catalogue import HELD_OUT
from benchmarks.learner_records.knowledge import SHIPPED
from benchmarks.learner_records.learners import LEARNERS
from benchmarks.learner_records.store import Store
from optuna_metasampler.builtin import catalogue
from optuna_metasampler.builtin.origin import origins
from optuna_metasampler.shipped import knowledge_of


FEATURES = {row["name"]: row["features"] for row in Store().manifest()}


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_was_learned_from_the_published_records(name: Any) -> None:
    assert set(origins()) == set(SHIPPED)
    _, tasks = knowledge.tasks_of(name, Store().published(name), FEATURES)
    assert knowledge_of(name).header.data == knowledge.digest(tasks)


@pytest.mark.parametrize("name", LEARNERS)
def test_the_names_and_ranges_of_the_records_are_those_of_the_package(name: Any) -> None:
    own = {p.name: p for p in catalogue.learners()[name].parameters}
    learner = LEARNERS[name]
    for kind in ("classification", "regression"):
        for p in learner.parameters(cast("Any", kind)):
            if p.choices:
                assert set(p.choices) <= set(own[p.name].choices)
            else:
                assert (p.low, p.high, p.log) == (
                    own[p.name].low,
                    own[p.name].high,
                    own[p.name].log,
                )
    assert catalogue.learners()[name].size == (learner.size.name if learner.size else "")
    if learner.size:
        assert own[learner.size.name].high == learner.size.most


def record(values: list[Any], stages: list[int], losses: list[float | None]) -> dict[str, Any]:
    return {
        "learner": "random_forest",
        "data_set": "a table",
        "part": "space",
        "kind": "classification",
        "parameters": ["max_depth", "max_features", "bootstrap", "max_samples"],
        "size": "n_estimators",
        "configurations": [values],
        "stages": [stages],
        "log_loss": [losses],
    }


def test_every_stage_of_a_fit_is_a_trial_and_defaults_have_their_values() -> None:
    units = [
        record([5, None, None, None], [10, 100], [0.5, 0.4]),
        record([7, 0.5, False, None], [10, 100], [0.3, None]),
    ]
    space, (task,) = knowledge.tasks_of("random_forest", units, {"a table": 16})
    assert task.y.tolist() == [-0.5, -0.4, -0.3]
    first, second, third = space.decode(task.x.numpy())
    assert (first["n_estimators"], second["n_estimators"]) == (10, 100)
    # The square root of 16 features is a quarter of them.
    assert first["max_features"] == pytest.approx(0.25)
    assert first["bootstrap"] is True
    assert first["max_samples"] == 1.0
    assert "max_samples" not in third


def test_a_value_that_depends_on_the_data_and_is_not_known_costs_its_trial() -> None:
    unit = record([5, 0.5, True, 0.5], [10], [0.5])
    unit |= {
        "learner": "catboost",
        "parameters": ["learning_rate", "depth"],
        "size": "iterations",
        "configurations": [[None, 3], [0.1, 3], [0.2, 3]],
        "stages": [[10], [10], [10]],
        "log_loss": [[0.1], [0.2], [0.3]],
    }
    _, (task,) = knowledge.tasks_of("catboost", [unit], {"a table": 16})
    assert task.y.tolist() == [-0.2, -0.3]


def test_the_data_sets_of_scikit_learn_are_read_as_those_of_the_records_are() -> None:
    for name in HELD_OUT:
        data = learners.data_set_of(name)
        assert len(data.x) == len(data.y)
        assert np.isfinite(data.x).all()
        assert (data.n_classes > 1) == (data.kind == "classification")


def run(peer: str, values: list[float | None]) -> dict[str, Any]:
    key = {"learner": "lightgbm", "data_set": "wine", "space": "wide", "seed": 0}
    return {**key, "peer": peer, "values": values, "error": None}


def test_regret_is_in_units_of_a_random_trial_and_failures_count_as_nothing() -> None:
    n = learners.N_TRIALS
    runs = [
        run(learners.TPE, [1.0] * n),
        run(learners.COLD, [1.0] * 9 + [0.1] * (n - 9)),
        run(learners.KNOWS, [None, 0.1] + [0.0] * (n - 2)),
    ]
    (curves,) = learners._curves(runs).values()
    assert curves[learners.TPE] == pytest.approx(np.zeros(n))
    assert curves[learners.KNOWS][:3] == pytest.approx([2.0, -1.0, -2.0])
    (row,) = learners.summarize(runs)["rows"]
    assert row["n"] == 1
    assert row["ahead"] == 1.0


def test_the_lines_are_of_studies_that_all_their_samplers_have() -> None:
    n = learners.N_TRIALS
    recognises = learners.RECOGNISES
    losses = {learners.TPE: 1.0, learners.COLD: 0.5, recognises: 1.5, learners.KNOWS: 0.0}
    runs = [
        {**run(peer, [2.0] * 10 + [loss] * (n - 10)), "data_set": data_set}
        for data_set in ("car", "iris", "magic")
        for peer, loss in losses.items()
        if (data_set, peer) != ("magic", learners.KNOWS)
    ]
    lines = learners.summarize(runs)["lines"]
    assert lines["n"] == 1
    assert [row["reached"] for row in lines["rows"]] == ["11", "11", "more than 30", "11"]
    assert [row["at30"] for row in lines["rows"]] == pytest.approx(
        [0.5, 0.25, 0.75, learners.FLOOR]
    )

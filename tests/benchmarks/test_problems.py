"""Problems: what a table says is what the objective says."""

from __future__ import annotations

import json
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
import pytest

from benchmarks.experiments.comparison.plans import PLANS, jobs
from benchmarks.problems import PACKAGED, TABLES, find
from benchmarks.problems.base import (
    Condition,
    Parameter,
    Params,
    Scale,
    fingerprint,
    order,
    quantile,
    random_params,
    seed_of,
    suggest,
    targets,
)
from benchmarks.problems.flags import FlagsSuite
from benchmarks.problems.learners import LiveLearners, MadeLearners
from benchmarks.problems.live import LiveMLP, LiveSVM
from benchmarks.problems.synthetic import SteppedSuite, SyntheticSuite
from benchmarks.problems.tables import FolderSuite, HPOBSuite, read_hpo_b
from tests.benchmarks.conftest import write_suite


def row_params(suite: FolderSuite, row: np.ndarray) -> dict[str, object]:
    """A row of the toy tables as parameters, in the order of its file."""
    momentum, lr, units, solver = row
    params: dict[str, object] = {
        "lr": float(lr),
        "units": int(units),
        "solver": ("sgd", "adam", "lbfgs")[int(solver)],
    }
    return params if np.isnan(momentum) else {**params, "momentum": float(momentum)}


@pytest.mark.parametrize("complete_grid", [None, True], ids=["forest", "nearest row"])
def test_a_row_of_the_table_has_the_value_of_the_table(
    tmp_path: Path, complete_grid: bool | None
) -> None:
    suite = FolderSuite(write_suite(tmp_path, "toy", complete_grid))
    x, y = suite.rows("task3")
    objective = suite.objective("task3")
    found = [objective(row_params(suite, row)) for row in x]
    np.testing.assert_allclose(found, y, rtol=1e-6)


def test_no_point_is_better_than_the_best_of_the_table(suite: FolderSuite) -> None:
    scale = suite.scale("task0")
    objective = suite.objective("task0")
    generator = np.random.default_rng(1)
    values = [objective(random_params(suite.parameters, generator)) for _ in range(300)]
    assert min(values) >= scale.best - 1e-9
    assert scale.regret([scale.best])[0] == 0.0
    assert scale.regret([scale.median])[0] == 1.0


def test_parents_are_asked_for_before_their_children(suite: FolderSuite) -> None:
    assert [p.name for p in suite.parameters] == ["lr", "units", "solver", "momentum"]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        params = suggest(study.ask(), suite.parameters)
        assert ("momentum" in params) == (params["solver"] == "sgd")


def test_conditions_in_a_circle_are_refused() -> None:
    unit = FloatDistribution(0, 1)
    circle = (
        Parameter("a", unit, Condition("b", (1,))),
        Parameter("b", unit, Condition("a", (1,))),
    )
    with pytest.raises(ValueError, match="conditions of a, b"):
        order(circle)


def test_equal_tasks_are_found(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "toy")
    (folder / "task5.npz").write_bytes((folder / "task2.npz").read_bytes())
    assert FolderSuite(folder).duplicates() == [("task2", "task5")]


def test_a_folder_of_another_form_is_refused(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, "toy")
    path = folder / "space.json"
    space = json.loads(path.read_text(encoding="utf-8"))
    space["params"][0]["type"] = "complex"
    path.write_text(json.dumps(space), encoding="utf-8")
    with pytest.raises(ValueError, match="complex"):
        FolderSuite(folder)
    del space["params"]
    path.write_text(json.dumps(space), encoding="utf-8")
    with pytest.raises(ValueError, match="does not describe a suite"):
        FolderSuite(folder)


def test_a_data_folder_without_suites_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"space\.json"):
        find(tmp_path)


def test_a_file_of_hpo_b_becomes_one_suite_a_search_space(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    data = {
        space: {
            str(task): {
                "X": generator.uniform(size=(20, d)).tolist(),
                "y": generator.uniform(size=(20, 1)).tolist(),
            }
            for task in (3, 12, 31)
        }
        for space, d in (("4796", 3), ("5636", 6))
    }
    path = tmp_path / "meta-test-dataset.json"
    path.write_text(json.dumps(data), encoding="utf-8")

    suites = find(hpo_b=path)
    suite = suites["hpob_5636"]
    assert suite.direction == "maximize"
    assert suite.tasks == ("12", "3", "31")
    objective = suite.objective("12")
    for x, y in zip(data["5636"]["12"]["X"], data["5636"]["12"]["y"], strict=True):
        # A little off the row: the row counts.
        params = {f"x{i}": v + 1e-4 for i, v in enumerate(x)}
        assert objective(params) == y[0]
    assert suite.scale("12").best == max(y for (y,) in data["5636"]["12"]["y"])
    with pytest.raises(ValueError, match="4796, 5636"):
        HPOBSuite(path, "9999")


@pytest.mark.parametrize(
    "content", ['{"4796": {"3": {"X": [[0.1]], "y": []}}}', "[1, 2]", '{"a": 1}']
)
def test_a_file_that_is_not_of_hpo_b_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"other\.json"):
        read_hpo_b(path)


@pytest.mark.parametrize("relatedness", [1.0, 0.9, 0.5, 0.0, -1.0])
def test_the_dial_is_the_correlation_of_priors_and_target(relatedness: float) -> None:
    suite = SyntheticSuite(relatedness)
    generator = np.random.default_rng(0)
    points = [random_params(suite.parameters, generator) for _ in range(400)]
    found = []
    for target in suite.targets:
        truth = [suite.objective(target)(p) for p in points]
        for source in suite.sources(target)[:3]:
            values = [suite.objective(source)(p) for p in points]
            found.append(np.corrcoef(truth, values)[0, 1])
    # Independent draws of a smooth function correlate by chance: 24 of them, about 0.06 here.
    assert np.mean(found) == pytest.approx(relatedness, abs=0.1)


def test_climbing_finds_a_better_synthetic_optimum_than_sampling() -> None:
    suite = SyntheticSuite(0.9)
    generator = np.random.default_rng(5)
    values = [
        suite.objective("0")(random_params(suite.parameters, generator)) for _ in range(3000)
    ]
    scale = suite.scale("0")
    assert scale.best < min(values)
    assert scale.median == pytest.approx(np.median(values), abs=0.1)


def test_a_live_machine_is_better_with_the_right_kernel_width() -> None:
    objective = LiveSVM().objective("iris")
    good = objective({"scaler": "standard", "kernel": "rbf", "C": 10.0, "gamma": 0.05})
    useless = objective({"scaler": "standard", "kernel": "rbf", "C": 1e-3, "gamma": 1e-5})
    assert good < 0.15
    assert useless > 0.5


def test_a_network_that_diverges_has_the_worst_value_and_no_traceback() -> None:
    params = {
        "hidden_units": 32,
        "n_layers": 1,
        "activation": "relu",
        "batch_size": 16,
        "learning_rate": 1e-2,
        "alpha": 1e-4,
        "solver": "adam",
    }
    objective = LiveMLP().objective("diabetes")
    assert 0 < objective(params) < 0.8
    wild = {"solver": "sgd", "momentum": 0.99, "learning_rate": 0.1, "alpha": 10.0}
    assert objective({**params, **wild}) <= 10


def test_which_learner_is_best_differs_from_data_set_to_data_set() -> None:
    suite = MadeLearners()
    settings = (
        {"learner": "boosting", "learning_rate": 0.2, "max_leaves": 8},
        {"learner": "forest", "max_features": 0.5, "min_leaf": 1},
        {"learner": "linear", "alpha": 1.0},
        {"learner": "neighbors", "n_neighbors": 10},
        {"learner": "svm", "C": 10.0, "gamma": 0.1},
    )
    values = {
        task: [suite.objective(task)({"scaler": "standard", **s}) for s in settings]
        for task in ("friedman2", "sparse_linear", "circles")
    }
    best = {task: settings[int(np.argmin(v))]["learner"] for task, v in values.items()}
    assert best == {"friedman2": "boosting", "sparse_linear": "linear", "circles": "svm"}
    assert all(0.0 < v < 1.5 for row in values.values() for v in row)


def test_large_data_sets_are_thinned_for_the_learners() -> None:
    x, y = LiveLearners().data("digits")
    assert len(x) == len(y) == 599
    assert len(set(y.tolist())) == 10


def test_fingerprints_tell_objectives_apart_and_are_stable(
    suite: FolderSuite, folder: Path
) -> None:
    prints = {task: fingerprint(suite, task) for task in suite.tasks}
    assert len(set(prints.values())) == len(prints)
    assert fingerprint(FolderSuite(folder), "task1") == prints["task1"]


@given(
    st.one_of(
        st.builds(IntDistribution, st.integers(1, 5), st.integers(6, 90), log=st.booleans()),
        st.builds(FloatDistribution, st.floats(0.1, 1.0), st.floats(2.0, 9.0), log=st.booleans()),
        st.just(FloatDistribution(0.0, 1.0, step=0.25)),
        st.just(IntDistribution(2, 12, step=5)),
        st.just(CategoricalDistribution([None, True, "a", 3])),
    ),
    st.floats(0.0, 1.0, exclude_max=True),
)
def test_every_share_of_a_distribution_is_a_value_of_it(
    distribution: optuna.distributions.BaseDistribution, share: float
) -> None:
    value = quantile(distribution, share)
    assert distribution._contains(distribution.to_internal_repr(value))


def test_seeds_depend_on_names_alone() -> None:
    assert seed_of("lcbench", "3945", 0) == 265057667
    assert seed_of("a", "b") != seed_of("b", "a")


def test_a_task_whose_configurations_are_all_alike_has_no_regret() -> None:
    with pytest.raises(ValueError, match="alike"):
        Scale(best=0.5, median=0.5).regret([0.5])


def test_a_stepped_function_is_flat_between_its_steps_and_not_flat_across_them() -> None:
    objective = SteppedSuite(0.9).objective("0")
    base: Params = {"x1": 0.01, "x2": 6, "kind": "c", "flag": False}
    values = [objective({**base, "x0": -1.0 + 2.0 * i / 400}) for i in range(401)]
    # At most nine levels, as the objective rounds to at most eight steps.
    assert 3 < len(set(values)) <= 9


def test_what_is_inactive_is_not_rounded_to_something_active() -> None:
    stepped, smooth = SteppedSuite(0.9), SyntheticSuite(0.9)
    corner: Params = {"x0": -1.0, "x1": 1e-4, "x2": 1, "kind": "c", "flag": False}
    assert stepped.objective("0")(corner) == pytest.approx(smooth.objective("0")(corner))


def test_few_of_the_options_of_a_program_matter() -> None:
    suite, generator = FlagsSuite(0.9), np.random.default_rng(0)
    objective = suite.objective("0")
    changes = {p.name: 0.0 for p in suite.parameters}
    for _ in range(40):
        params = random_params(suite.parameters, generator)
        for p in suite.parameters:
            other = {**params, p.name: random_params([p], generator)[p.name]}
            changes[p.name] += abs(math.log(objective(other) / objective(params)))
    largest = sorted(changes.values(), reverse=True)
    assert sum(largest[:5]) > 0.5 * sum(largest)
    assert largest[-1] < 0.1 * largest[0]


def test_sources_of_a_program_go_along_with_it_as_far_as_they_are_related() -> None:
    generator = np.random.default_rng(0)
    for relatedness in (0.9, 0.5):
        suite = FlagsSuite(relatedness)
        rows = [random_params(suite.parameters, generator) for _ in range(300)]
        target = np.log([suite.objective("1")(row) for row in rows])
        correlations = [
            np.corrcoef(target, np.log([suite.objective(f"1/{k}")(row) for row in rows]))[0, 1]
            for k in range(8)
        ]
        assert np.mean(correlations) == pytest.approx(relatedness, abs=0.15)


def test_nothing_that_was_tried_is_better_than_the_best_of_a_program() -> None:
    suite, generator = FlagsSuite(0.9), np.random.default_rng(1)
    scale = suite.scale("2")
    values = [suite.objective("2")(random_params(suite.parameters, generator)) for _ in range(500)]
    assert scale.best < min(values) < scale.median < max(values)


class Twelve(SyntheticSuite):
    """Any suite with twelve tasks."""

    def __init__(self, name: str) -> None:
        super().__init__(0.5)
        self.name = name
        self.tasks = tuple(map(str, range(12)))


def test_the_plan_of_development_leaves_the_tasks_of_the_report_alone() -> None:
    suites = {name: Twelve(name) for block in PLANS["develop"] for name in block.suites}
    developed = {(j.suite, j.task) for j in jobs(PLANS["develop"], suites)}
    reported = {
        (name, task)
        for name in TABLES + PACKAGED
        for task in targets(suites.get(name, Twelve(name)), 4)
    }
    assert {suite for suite, _ in developed & reported} == {"fcnet_hpolib"}

"""Prior studies: of other tasks, as they were asked for, the same for every peer."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from optuna.distributions import CategoricalDistribution
import pytest

from benchmarks import priors, scenarios
from benchmarks.priors import View, fingerprint, make_log
from benchmarks.problems.base import Objective, Suite
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.problems.tables import FolderSuite
from benchmarks.scenarios import SCENARIOS, applies, prior_logs


# Scenarios that a suite of seven tasks has.
HAD = [name for name, scenario in SCENARIOS.items() if 0 < scenario.n_priors < 7]


@pytest.mark.parametrize("name", HAD)
def test_priors_are_never_made_from_the_target(
    suite: FolderSuite, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    original = FolderSuite.objective

    def spy(self: FolderSuite, task: str) -> Objective:
        asked.append(task)
        return original(self, task)

    monkeypatch.setattr(FolderSuite, "objective", spy)
    # A seed that no other test has: logs are kept.
    logs = prior_logs(name, suite, "task4", seed=100 + list(SCENARIOS).index(name))
    assert len(logs) == SCENARIOS[name].n_priors
    assert all(0 < len(log.values) <= SCENARIOS[name].n_trials for log in logs)
    assert "task4" not in asked
    assert len(set(asked)) == (0 if name == "foreign" else len(logs))


def test_every_peer_gets_the_same_priors_and_every_seed_others(suite: FolderSuite) -> None:
    first = fingerprint(prior_logs("tpe-3", suite, "task0", seed=0))
    assert fingerprint(prior_logs("tpe-3", suite, "task0", seed=0)) == first
    assert fingerprint(prior_logs("tpe-3", suite, "task0", seed=1)) != first
    assert fingerprint(prior_logs("tpe-3", suite, "task1", seed=0)) != first


def test_more_priors_begin_with_the_fewer(suite: FolderSuite) -> None:
    three = prior_logs("tpe-3", suite, "task0", seed=0)
    five = prior_logs("tpe-5", suite, "task0", seed=0)
    assert five[:3] == three


def test_scenarios_of_many_priors_begin_with_the_tasks_of_five(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Many(SyntheticSuite):
        """A hundred and twenty tasks, of which none has to be evaluated."""

        def __init__(self) -> None:
            super().__init__(0.9)
            self.tasks = tuple(map(str, range(120)))

        def sources(self, target: str) -> tuple[str, ...]:
            return tuple(task for task in self.tasks if task != target)

    made = []

    def spy(suite: Suite, task: str, view: View, design: str, seed: int, n_trials: int) -> str:
        made.append((design, n_trials))
        return task

    monkeypatch.setattr(scenarios, "_log", spy)
    suite = Many()
    for seed in (0, 1):
        five = prior_logs("tpe-5", suite, "7", seed)
        for name, n in (("tpe-30", 30), ("tpe-100", 100), ("random-30x200", 30)):
            assert applies(name, suite, "7")
            logs = prior_logs(name, suite, "7", seed)
            assert (len(set(logs)), logs[:5]) == (n, five)
    assert made[-30:] == [("random", 200)] * 30


def test_tpe_logs_are_better_than_random_ones(suite: FolderSuite) -> None:
    view = View(suite.parameters)
    means = {
        design: np.mean(
            [make_log(suite, task, view, design, seed=1).values[20:] for task in suite.tasks]
        )
        for design in ("tpe", "random")
    }
    assert means["tpe"] < means["random"]


def test_flipped_shuffled_and_scaled_priors_are_that(suite: FolderSuite) -> None:
    good = prior_logs("tpe-5", suite, "task2", seed=0)
    flipped = prior_logs("flipped", suite, "task2", seed=0)
    shuffled = prior_logs("shuffled", suite, "task2", seed=0)
    scaled = prior_logs("scaled", suite, "task2", seed=0)
    for a, b, c, d in zip(good, flipped, shuffled, scaled, strict=True):
        assert a.configurations == b.configurations == c.configurations == d.configurations
        np.testing.assert_allclose(b.values, -np.array(a.values))
        assert sorted(c.values) == sorted(a.values)
        assert c.values != a.values
        np.testing.assert_allclose(d.values, 1000.0 * np.array(a.values))


def test_short_long_and_one_sided_priors_are_that(suite: FolderSuite) -> None:
    whole = prior_logs("tpe-5", suite, "task2", seed=0)
    for a, b in zip(whole, prior_logs("short", suite, "task2", seed=0), strict=True):
        assert b.configurations == a.configurations[:10]
    (long,) = prior_logs("long", suite, "task2", seed=0)
    assert len(long.values) == 1000
    sign = {"minimize": 1.0, "maximize": -1.0}[suite.direction]
    for a, b in zip(whole, prior_logs("one-sided", suite, "task2", seed=0), strict=True):
        assert sorted(sign * v for v in b.values) == sorted(sign * v for v in a.values)[:15]
        kept = dict(zip(map(str, a.configurations), a.values, strict=True))
        assert all(kept[str(c)] == v for c, v in zip(b.configurations, b.values, strict=True))


def test_a_log_is_the_same_on_a_processor_without_vector_instructions() -> None:
    """NumPy sorts ties in another order there, and its last digits are others."""
    script = (
        "import optuna; optuna.logging.set_verbosity(optuna.logging.ERROR)\n"
        "from benchmarks.priors import fingerprint\n"
        "from benchmarks.problems.synthetic import SyntheticSuite\n"
        "from benchmarks.scenarios import prior_logs\n"
        "suite = SyntheticSuite(0.5)\n"
        "print(fingerprint(prior_logs('tpe-5', suite, suite.tasks[0], 0)))\n"
    )
    known = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    plain = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(known)},
        check=True,
        capture_output=True,
        text=True,
    )
    suite = SyntheticSuite(0.5)
    here = fingerprint(prior_logs("tpe-5", suite, suite.tasks[0], seed=0))
    assert plain.stdout.strip() == here


def test_mixed_priors_are_two_good_and_four_flipped(suite: FolderSuite) -> None:
    values = [log.values for log in prior_logs("mixed", suite, "task2", seed=0)]
    # Objectives of this suite are positive.
    assert [np.mean(v) > 0 for v in values] == [True, True, False, False, False, False]


def test_foreign_priors_clash_in_names_and_kinds(suite: FolderSuite) -> None:
    (log, *_) = prior_logs("foreign", suite, "task2", seed=0)
    theirs = {p.name: p.distribution for p in log.parameters}
    ours = {p.name: p.distribution for p in suite.parameters}
    shared = theirs.keys() & ours.keys()
    assert shared == ours.keys()
    assert any(type(theirs[name]) is not type(ours[name]) for name in shared)
    log.to_study("foreign")


def test_a_dropped_parameter_keeps_one_value_and_the_rest_is_tuned(suite: FolderSuite) -> None:
    view = priors.dropped(suite.parameters, np.random.default_rng(0))
    ((name, value),) = view.fixed
    assert name not in {p.name for p in view.parameters}
    assert name != "solver"  # a parent
    asked = {"lr": 0.1, "units": 8, "solver": "sgd", "momentum": 0.2}
    asked.pop(name)
    full = view.complete(asked, suite.parameters)
    assert full == {**asked, name: value}


def test_ranges_are_parts_of_those_of_today(suite: FolderSuite) -> None:
    view = priors.ranges(suite.parameters, np.random.default_rng(0))
    for then, now in zip(view.parameters, suite.parameters, strict=True):
        if not isinstance(now.distribution, CategoricalDistribution):
            assert now.distribution.low <= then.distribution.low
            assert then.distribution.high <= now.distribution.high
            assert then.distribution != now.distribution


def test_a_renamed_parent_keeps_its_children(suite: FolderSuite) -> None:
    for seed in range(50):
        view = priors.renamed(suite.parameters, np.random.default_rng(seed))
        ((_, now),) = view.names
        if now == "solver":
            break
    else:
        raise AssertionError("no seed renames the parent")
    (child,) = [p for p in view.parameters if p.condition is not None]
    assert child.condition.parent == "solver_v1"
    params = {"lr": 0.1, "units": 8, "solver_v1": "sgd", "momentum": 0.2}
    assert view.complete(params, suite.parameters) == {
        "lr": 0.1,
        "units": 8,
        "solver": "sgd",
        "momentum": 0.2,
    }


def test_linear_and_fewer_choices_are_that(suite: FolderSuite) -> None:
    generator = np.random.default_rng(0)
    lr = next(p for p in priors.linear(suite.parameters, generator).parameters if p.name == "lr")
    assert not lr.distribution.log
    solver = next(
        p for p in priors.choices(suite.parameters, generator).parameters if p.name == "solver"
    )
    assert len(solver.distribution.choices) == 2


def test_a_scenario_that_changes_nothing_does_not_apply() -> None:
    assert applies("overlap-linear", SyntheticSuite(0.9), "0")
    suite = SyntheticSuite(0.9)
    assert not applies("tpe-30", suite, "0")
    assert applies("tpe-8", suite, "0")

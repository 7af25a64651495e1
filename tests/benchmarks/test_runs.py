"""Runs: the same problem for all, failures on record, no way to cheat."""

from __future__ import annotations

from dataclasses import replace
import gc
import inspect
import itertools
import types
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler
import pytest

from benchmarks.experiments.audit import Relabelled, compare_relabelled, turned_round
from benchmarks.experiments.comparison.plans import PLANS, Block, jobs, only
from benchmarks.peers import PEERS
from benchmarks.peers.base import Peer, Setting
from benchmarks.priors import N_TRIALS
from benchmarks.problems.base import Scale, Suite, random_params, targets
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.problems.tables import FolderSuite
from benchmarks.run import Run, run_one, tune
from benchmarks.run import setting_of as setting_after
from benchmarks.scenarios import SCENARIOS, prior_logs


def setting_of(suite: Suite, task: str, scenario: str = "none", seed: int = 0) -> Setting:
    return setting_after(suite, prior_logs(scenario, suite, task, seed), seed)


# --- Peers ------------------------------------------------------------------------------------


CHEAP = [name for name, peer in PEERS.items() if not peer.packages]


@pytest.mark.parametrize("name", CHEAP)
def test_the_values_are_those_of_the_objective_for_every_peer(
    suite: FolderSuite, name: str
) -> None:
    setting = setting_of(suite, "task0", "tpe-3")
    objective = suite.objective("task0")
    evaluated = []

    def spy(params: Any) -> float:
        evaluated.append((dict(params), objective(params)))
        return evaluated[-1][1]

    values, seconds, error = tune(setting, spy, PEERS[name], 8)
    assert error is None
    assert values == [value for _, value in evaluated]
    assert values == [objective(params) for params, _ in evaluated]
    assert len(seconds) == 8


@pytest.mark.parametrize("scenario", ["tpe-3", "foreign", "overlap-all", "overlap-choices"])
@pytest.mark.parametrize("name", ["TPE + best priors", "GPSampler + best priors"])
def test_enqueued_priors_are_tried_first_and_fit(
    suite: FolderSuite, name: str, scenario: str
) -> None:
    setting = setting_of(suite, "task0", scenario)
    study = PEERS[name].build(setting)
    n_waiting = len(study.get_trials(states=[optuna.trial.TrialState.WAITING]))
    assert n_waiting <= len(setting.priors)
    if scenario == "tpe-3":
        assert n_waiting == 3
        objective = suite.objective("task0")
        values, _, _ = tune(setting, objective, PEERS[name], 3)
        known = [objective(prior.best_params) for prior in setting.priors]
        np.testing.assert_allclose(values, known)
    _, _, error = tune(setting, suite.objective("task0"), PEERS[name], n_waiting + 1)
    assert error is None


def test_added_prior_trials_are_not_counted(suite: FolderSuite) -> None:
    setting = setting_of(suite, "task0", "tpe-3")
    study = PEERS["TPE + all prior trials"].build(setting)
    assert len(study.trials) == 3 * N_TRIALS
    values, _, _ = tune(setting, suite.objective("task0"), PEERS["TPE + all prior trials"], 4)
    assert len(values) == 4


def test_without_priors_the_methods_of_metasampler_are_one(suite: FolderSuite) -> None:
    runs = [
        tune(setting_of(suite, "task0"), suite.objective("task0"), PEERS[name], 12)[0]
        for name in ("MetaSampler", "MetaSampler (gp)")
    ]
    assert runs[0] == runs[1]


def test_a_peer_that_fails_is_on_record_with_what_it_had(suite: FolderSuite) -> None:
    class Failing(RandomSampler):
        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            if trial.number == 3:
                raise RuntimeError("out of ideas")

    peer = Peer("Failing", lambda s: optuna.create_study(sampler=Failing(seed=s.seed)))
    values, seconds, error = tune(setting_of(suite, "task0"), suite.objective("task0"), peer, 10)
    assert len(values) == len(seconds) == 3
    assert error == "RuntimeError: out of ideas"


# --- Honesty ----------------------------------------------------------------------------------


def reachable(root: object) -> list[object]:
    """Everything that can be reached from an object without leaving for code."""
    found: dict[int, object] = {}
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        code = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
        if id(thing) in found or isinstance(thing, code):
            continue
        found[id(thing)] = thing
        waiting += gc.get_referents(thing)
    return list(found.values())


@pytest.mark.parametrize("scenario", ["none", "tpe-5", "foreign"])
def test_nothing_of_the_target_can_be_reached_from_what_a_peer_is_told(
    suite: FolderSuite, scenario: str
) -> None:
    setting = setting_of(suite, "task0", scenario)
    _, y = suite.rows("task0")
    things = reachable(setting)
    assert not [thing for thing in things if isinstance(thing, (Suite, Scale, np.ndarray))]
    numbers = {thing for thing in things if type(thing) is float}
    texts = {thing for thing in things if type(thing) is str}
    assert not numbers & set(y.tolist())
    assert not {text for text in texts if text in (*suite.tasks, suite.name)}


class Peeking(RandomSampler):
    """Looks for the objective among its callers, and evaluates it before it answers."""

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        frame = inspect.currentframe()
        while frame is not None:
            if "objective" in frame.f_locals and "setting" in frame.f_locals:
                setting = frame.f_locals["setting"]
                generator = np.random.default_rng(0)
                frame.f_locals["objective"](random_params(setting.parameters, generator))
            frame = frame.f_back
        return super().sample_independent(study, trial, name, distribution)


def test_a_peer_that_evaluates_the_objective_itself_is_stopped(suite: FolderSuite) -> None:
    peer = Peer("Peeking", lambda s: optuna.create_study(sampler=Peeking(seed=s.seed)))
    values, _, error = tune(setting_of(suite, "task0"), suite.objective("task0"), peer, 10)
    assert error is not None
    assert "PeerCheated" in error
    assert len(values) <= 1


class Knowing(BaseSampler):
    """Knows the best row of every table, as from a file that lies beside the problems."""

    def __init__(self, setting: Setting, suites: list[Suite]) -> None:
        self._best: dict[str, Any] = {}
        names = {p.name for p in setting.parameters}
        for suite in suites:
            if {p.name for p in suite.parameters} == names:
                generator = np.random.default_rng(0)
                points = [random_params(suite.parameters, generator) for _ in range(300)]
                # One of the tasks is meant; the middle of their optima is near all of them.
                self._best = min(points, key=suite.objective(suite.tasks[3]))

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        value = self._best.get(name)
        if value is None or trial.number > 0:
            sampler = RandomSampler(seed=trial.number)
            return sampler.sample_independent(study, trial, name, distribution)
        return value


@pytest.fixture(scope="module")
def worlds() -> list[Suite]:
    """Four suites whose optima are not in the middle: 16 targets."""
    return [Corner(i) for i in range(4)]


class Corner(SyntheticSuite):
    """A synthetic suite under another name, with draws of its own, tilted towards a corner."""

    def __init__(self, index: int) -> None:
        super().__init__(0.9)
        self.name = f"corner_{index}"
        self.tasks = tuple(f"{index}{task}" for task in self.tasks)

    def scale(self, task: str) -> Scale:
        return Scale(best=-9.0, median=3.5)

    def objective(self, task: str) -> Any:
        objective = super().objective(task)
        return lambda params: objective(params) + 6.0 * params["x0"] + params["x2"] / 2.0


def test_a_peer_that_knows_the_tasks_is_caught_and_honest_ones_are_not(
    worlds: list[Suite],
) -> None:
    def build(setting: Setting) -> optuna.Study:
        return optuna.create_study(
            direction=setting.direction, sampler=Knowing(setting, worlds[:1])
        )

    assert compare_relabelled(Peer("Knowing", build), worlds, "none", 4).is_accused
    for name in ("Random", "TPE", "MetaSampler"):
        assert not compare_relabelled(PEERS[name], worlds, "none", 4).is_accused


def test_relabelling_changes_names_and_places_but_not_values(suite: FolderSuite) -> None:
    world = Relabelled(suite)
    assert not {p.name for p in world.parameters} & {p.name for p in suite.parameters}
    generator = np.random.default_rng(0)
    names = dict(zip((p.name for p in world.parameters), suite.parameters, strict=True))
    for _ in range(20):
        params = random_params(world.parameters, generator)
        original = {
            names[name].name: turned_round(names[name].distribution, value)
            for name, value in params.items()
        }
        assert world.objective("task1")(params) == suite.objective("task1")(original)
        for name, value in original.items():
            distribution = {p.name: p.distribution for p in suite.parameters}[name]
            assert distribution._contains(distribution.to_internal_repr(value))


# --- Plans and runs --------------------------------------------------------------------------


def test_cold_peers_are_not_run_again_for_every_scenario() -> None:
    for plan in PLANS.values():
        for block in plan:
            for peer in block.peers:
                if peer in PEERS and not PEERS[peer].uses_priors:
                    assert block.scenarios == ("none",)


def test_warm_starts_that_learn_nothing_run_wherever_the_default_has_priors() -> None:
    found: dict[str, set[tuple[object, ...]]] = {}
    for block in PLANS["main"]:
        targets = range(block.n_skipped, block.n_targets)
        for peer, *job in itertools.product(
            block.peers, block.suites, block.scenarios, range(block.seeds), targets
        ):
            found.setdefault(peer, set()).add((*job, block.n_trials))
    mine = {job for job in found["MetaSampler"] if job[1] != "none"}
    assert {scenario for _, scenario, *_ in mine} == SCENARIOS.keys() - {"none", "tpe-3"}
    for peer in ("TPE + best priors", "MetaSampler (gp) + best priors"):
        assert mine <= found[peer]


def test_plans_name_peers_and_scenarios_that_there_are() -> None:
    for plan in PLANS.values():
        for block in plan:
            assert set(block.peers) <= PEERS.keys()
            assert set(block.scenarios) <= SCENARIOS.keys()


def test_the_longer_of_two_equal_jobs_is_kept(suite: FolderSuite) -> None:
    block = Block(("toy",), ("none",), ("TPE",), 2, 10, 3)
    found = jobs((block, replace(block, n_trials=5), replace(block, seeds=1)), {"toy": suite})
    assert len(found) == 6
    assert {job.n_trials for job in found} == {10}
    assert {job.task for job in found} == set(targets(suite, 3))


def test_a_suite_that_is_not_at_hand_is_named_with_the_way_out(suite: FolderSuite) -> None:
    plan = (Block(("toy", "hpob_5636"), ("none",), ("TPE",), 1, 10, 3),)
    with pytest.raises(ValueError, match=r"Not at hand: hpob_5636.*--data"):
        jobs(plan, {"toy": suite})
    assert len(jobs(only(plan, ["toy"]), {"toy": suite})) == 3


def test_a_suite_that_is_not_in_the_plan_stands_in_for_those_of_its_first_block() -> None:
    plan = PLANS["main"]
    mine = only(plan, ["mine"])
    assert {block.suites for block in mine} == {("mine",)}
    assert len(mine) == sum(block.suites == plan[0].suites for block in plan)


def test_a_peer_that_cannot_be_built_is_a_failed_run(
    monkeypatch: pytest.MonkeyPatch, suite: FolderSuite
) -> None:
    def build(setting: Setting) -> optuna.Study:
        raise ImportError("no such package")

    monkeypatch.setitem(PEERS, "Absent", Peer("Absent", build, packages=("no-such-package",)))
    run = run_one(suite, "task0", "none", "Absent", 0, 5)
    assert run.error == "ImportError: no such package"
    assert run.values == []
    assert run.versions["no-such-package"] == "not installed"


def test_a_run_comes_back_from_its_record_up_to_rounding(suite: FolderSuite) -> None:
    run = run_one(suite, "task0", "none", "Random", 0, 3)
    columns = ("suite", "task", "scenario", "peer", "seed", "n_trials")
    back = Run.of({**{name: getattr(run, name) for name in columns}, **run.measured()})
    assert back.values == pytest.approx(run.values, rel=1e-6)
    assert back.seconds == pytest.approx(run.seconds, rel=1e-2)
    exact = {"values": run.values, "seconds": run.seconds}
    assert replace(back, **exact) == run
    assert run.scale == suite.scale("task0")

"""Graphs for optuna-dashboard: when they are drawn, and that no study fails for them."""

from __future__ import annotations

from collections.abc import Sequence
import json
import logging
from pathlib import Path
import threading
from typing import Any
import warnings
from wsgiref.util import setup_testing_defaults

import optuna
from optuna.trial import FrozenTrial
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler._optuna import (
    is_watchable,
    storage_of,
    study_id,
    trials_of_all_brackets,
)
from optuna_metasampler.explain import dashboard
from optuna_metasampler.explain.dashboard import Budget, LiveGraphs, noted, publish
from optuna_metasampler.explain.snapshot import Snapshot


def objective(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw whenever a trial ends."""
    monkeypatch.setattr(Budget, "allows", lambda self, now: True)


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def graphs(study: optuna.Study) -> dict[str, dict[str, Any]]:
    """The graphs that are kept with a study, by id."""
    attributes = storage_of(study).get_study_system_attrs(study_id(study))
    return {
        key.split(":")[2].removeprefix(dashboard.PREFIX): json.loads(value)
        for key, value in attributes.items()
        if key.startswith("dashboard:plot_data:")
    }


def n_trials(study: optuna.Study) -> set[int]:
    return {graph["layout"]["meta"]["trials"] for graph in graphs(study).values()}


class Clock:
    """A clock that is set by hand; to look at it takes a second where that is asked for."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_no_more_time_is_spent_than_a_share_of_it() -> None:
    budget = Budget(share=0.05, cost=1.0, last=0.0)
    assert not budget.allows(19.0)
    assert budget.allows(20.0)
    budget.spend(20.0, 22.0, 3)
    assert not budget.allows(61.0)
    assert budget.allows(62.0)
    # The clock of another machine began later.
    assert not budget.allows(1.0)
    assert budget.allows(41.0)


@pytest.mark.parametrize("seconds", [0.001, 1.0, 60.0, 3600.0])
def test_drawing_takes_less_than_five_percent_whatever_a_trial_takes(
    storage: str, seconds: float
) -> None:
    study = optuna.create_study(storage=storage, sampler=MetaSampler(explain=False, seed=0))
    study.optimize(objective, n_trials=5)
    clock = Clock()
    spent = 0.0

    def trials() -> Sequence[FrozenTrial]:
        nonlocal spent
        clock.now, spent = clock.now + 0.2, spent + 0.2
        return trials_of_all_brackets(study)

    def snapshot(known: Sequence[FrozenTrial]) -> Snapshot | None:
        nonlocal spent
        clock.now, spent = clock.now + 0.2, spent + 0.2
        return None

    live = LiveGraphs(clock)
    for _ in range(200):
        clock.now += seconds
        live.refresh(study, trials, snapshot)
    assert spent <= 0.05 * clock.now
    if seconds >= 60.0:
        assert spent > 0.0


@pytest.mark.usefixtures("always")
def test_graphs_follow_the_study_from_the_third_trial_on(storage: str) -> None:
    study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0))
    seen = []
    for _ in range(5):
        study.optimize(objective, n_trials=1)
        seen.append(n_trials(study))
    assert seen == [set(), set(), {3}, {4}, {5}]
    assert graphs(study).keys() >= {"parameters", "predicted"}


@pytest.mark.usefixtures("always")
def test_drawing_changes_no_suggestion(storage: str) -> None:
    params = []
    for explain in (True, False):
        study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0, explain=explain))
        study.optimize(objective, n_trials=9)
        params.append([t.params for t in study.trials])
    assert params[0] == params[1]
    assert not graphs(study)


@pytest.mark.usefixtures("always")
def test_a_failure_to_draw_does_not_fail_the_study(
    storage: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(dashboard, "write", broken)
    study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=6)
    assert len(study.trials) == 6
    (warning,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "no ink" in warning.getMessage()


@pytest.mark.usefixtures("always")
def test_threads_draw_one_at_a_time(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing, most = 0, 0
    lock = threading.Lock()
    write = dashboard.write

    def counted(*arguments: Any) -> None:
        nonlocal drawing, most
        with lock:
            drawing += 1
            most = max(most, drawing)
        try:
            write(*arguments)
        finally:
            with lock:
                drawing -= 1

    monkeypatch.setattr(dashboard, "write", counted)
    study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=12, n_jobs=4)
    assert most == 1
    assert graphs(study)


@pytest.mark.usefixtures("always")
def test_brackets_of_hyperband_are_drawn_as_one_study(storage: str) -> None:
    study = optuna.create_study(
        storage=storage,
        sampler=MetaSampler(seed=0),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=4),
    )

    def pruned(trial: optuna.Trial) -> float:
        value = objective(trial)
        for step in range(4):
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study.optimize(pruned, n_trials=6)
    assert max(n_trials(study)) == 6


def test_an_older_picture_does_not_replace_a_newer_one(storage: str) -> None:
    study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=6)
    publish(study)
    newest = graphs(study)
    assert n_trials(study) == {6}
    # Another worker, which has read the study before.
    charts = dashboard.of_trials(study.trials[:4], 1)
    dashboard.write(study, charts, 4)
    assert graphs(study) == newest


def test_a_graph_is_one_attribute_so_that_no_reader_sees_half_of_it(storage: str) -> None:
    study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=30)
    publish(study)
    keys = [
        key
        for key in storage_of(study).get_study_system_attrs(study_id(study))
        if key.startswith("dashboard:plot_data:")
    ]
    assert keys
    assert all(key.endswith(":0") for key in keys)


def shown(storage: optuna.storages.BaseStorage, study: optuna.Study) -> dict[str, str]:
    """The graphs that optuna-dashboard hands to the browser, by id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from optuna_dashboard import wsgi

        page = wsgi(storage)
    status: list[str] = []
    environment = {"PATH_INFO": f"/api/studies/{study_id(study)}"}
    setup_testing_defaults(environment)
    body = b"".join(page(environment, lambda line, *_: status.append(line)))
    assert status == ["200 OK"], body
    return {g["id"]: g["graph_object"] for g in json.loads(body)["plotly_graph_objects"]}


def test_the_dashboard_reads_what_was_written(storage: str) -> None:
    study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=8)
    publish(study)
    expected = {dashboard.PREFIX + name: graph for name, graph in graphs(study).items()}
    assert {i: json.loads(g) for i, g in shown(storage_of(study), study).items()} == expected
    assert len(expected) == 3


def test_workers_that_write_at_once_leave_whole_graphs_to_read(storage: str) -> None:
    study = optuna.create_study(study_name="s", storage=storage, sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=12)
    trials = study.trials
    errors: list[BaseException] = []

    def work(first: int) -> None:
        # With a connection of its own, as another process has.
        own = optuna.load_study(study_name="s", storage=storage)
        try:
            for n in range(first, 13, 2):
                dashboard.write(own, dashboard.of_trials(trials[:n], 1), n)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(first,)) for first in (7, 8)]
    for worker in workers:
        worker.start()
    reader = optuna.storages.RDBStorage(storage)
    while any(worker.is_alive() for worker in workers):
        for graph in shown(reader, study).values():
            json.loads(graph)
    for worker in workers:
        worker.join()
    assert not errors
    assert n_trials(study) <= {11, 12}
    assert n_trials(study)


def test_studies_in_memory_are_drawn_only_where_a_dashboard_runs_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = optuna.create_study()
    monkeypatch.delitem(__import__("sys").modules, "optuna_dashboard", raising=False)
    assert not is_watchable(study)
    monkeypatch.setitem(__import__("sys").modules, "optuna_dashboard", logging)
    assert is_watchable(study)


def test_the_users_own_note_is_kept() -> None:
    mine = "# My plan\n\nDo not touch."
    first = noted(mine, "report one")
    assert first.startswith(mine)
    assert "report one" in first
    second = noted(first + "\n\nand after", "report two")
    assert second.startswith(mine)
    assert second.endswith("and after")
    assert "report one" not in second
    assert second.count("report two") == 1
    assert noted("", "report").count("report of optuna_metasampler") == 2


def test_publishing_needs_something_to_show() -> None:
    with pytest.raises(TypeError, match="RandomSampler"):
        publish(optuna.create_study(sampler=optuna.samplers.RandomSampler()))
    with pytest.raises(ValueError, match="none of which has a parameter"):
        publish(optuna.create_study(sampler=MetaSampler()))


def test_what_is_postponed_is_drawn_at_the_end_of_the_process(storage: str) -> None:
    study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=9)
    late = [live for live in dashboard._live if live._postponed and live._postponed[0] is study]
    assert len(late) == 1
    late[0].finish()
    assert n_trials(study) == {9}
    # Once is enough, and a storage that is gone does not matter.
    assert late[0]._postponed is None
    late[0]._postponed = study, lambda known: 1 / 0  # type: ignore[assignment,return-value]
    late[0].finish()

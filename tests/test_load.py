"""The sampler in long studies, in many of them, and asked by many threads."""

from __future__ import annotations

from collections import Counter
import gc
from pathlib import Path
import threading
import time
import tracemalloc

import optuna
from optuna.samplers import RandomSampler
import pytest

import optuna_metasampler
from optuna_metasampler import MetaSampler
from optuna_metasampler._study_state import MAX_RUNNING


def bowl(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", 0.0, 1.0) - 0.3) ** 2


def board(trial: optuna.Trial) -> float:
    """A finite space of 80 points."""
    row = trial.suggest_int("row", 0, 9)
    column = trial.suggest_categorical("column", list("abcdefgh"))
    time.sleep(0.02)
    return abs(row - 4) + "cdbeafgh".index(column)


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.mark.parametrize("with_priors", [False, True])
def test_64_threads_ask_at_once_and_are_never_given_the_same_point(with_priors: bool) -> None:
    """While points are left, that is, and once the space is known: from a first trial on."""
    prior = []
    if with_priors:
        prior = [optuna.create_study(study_name="old", sampler=RandomSampler(seed=0))]
        prior[0].optimize(board, n_trials=12)
    study = optuna.create_study(sampler=MetaSampler(prior or None, seed=0))
    study.optimize(board, n_trials=1)
    study.optimize(board, n_trials=75, n_jobs=64)
    assert all(t.state == optuna.trial.TrialState.COMPLETE for t in study.trials)
    counts = Counter(tuple(sorted(t.params.items())) for t in study.trials)
    assert len(study.trials) == 76
    assert max(counts.values()) == 1


def test_64_threads_begin_an_unknown_study_without_an_exception() -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=0))
    study.optimize(board, n_trials=64, n_jobs=64)
    assert all(t.state == optuna.trial.TrialState.COMPLETE for t in study.trials)


def soak(n_studies: int, n_trials: int) -> MetaSampler:
    """One sampler for many studies, the last of which are kept by it."""
    sampler = MetaSampler(seed=0)
    for _ in range(n_studies):
        optuna.create_study(sampler=sampler).optimize(bowl, n_trials=n_trials)
    return sampler


def test_a_sampler_that_serves_many_studies_keeps_the_last_ones_only() -> None:
    soak(2, 6)
    threads, files = threading.active_count(), open_files()
    sampler = soak(20, 6)
    assert len(sampler._states) == 16
    assert all(not state.asked and not state.plans for state in sampler._states.values())
    assert (threading.active_count(), open_files()) == (threads, files)


def test_the_study_that_is_still_in_use_is_not_the_one_that_is_forgotten() -> None:
    sampler = MetaSampler(seed=0)
    lasting = optuna.create_study(sampler=sampler)
    lasting.optimize(bowl, n_trials=8)
    policies = sampler._state(lasting).policies
    assert policies
    for _ in range(40):
        optuna.create_study(sampler=sampler).optimize(bowl, n_trials=1)
        lasting.tell(lasting.ask(), 0.0)
    assert sampler._state(lasting).policies is policies


def test_trials_that_never_end_do_not_pile_up() -> None:
    """Workers that were killed, or trials that another process tells the end of."""
    sampler = MetaSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    asked = sampler._state(study).asked
    # As if so many had been asked for before, which takes half a minute.
    asked.update({-number: {} for number in range(1, MAX_RUNNING + 1)})
    for _ in range(4):
        study.ask().suggest_float("x", 0.0, 1.0)
    assert len(asked) == MAX_RUNNING
    assert {0, 1, 2, 3} <= asked.keys()


def traced() -> float:
    """Megabytes that the package's own lines hold on to."""
    gc.collect()
    here = tracemalloc.Filter(True, str(Path(optuna_metasampler.__file__).parent / "*"))
    snapshot = tracemalloc.take_snapshot().filter_traces([here])
    return sum(s.size for s in snapshot.statistics("filename")) / 1e6


@pytest.mark.slow
def test_a_soak_of_2000_suggestions_leaks_nothing() -> None:
    sampler = MetaSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl, n_trials=1000)
    tracemalloc.start()
    try:
        study.optimize(bowl, n_trials=200)
        before, threads, files = traced(), threading.active_count(), open_files()
        study.optimize(bowl, n_trials=800)
        assert traced() < before + 1.0
    finally:
        tracemalloc.stop()
    assert (threading.active_count(), open_files()) == (threads, files)
    state = sampler._state(study)
    assert not state.asked
    assert not state.plans


@pytest.mark.slow
def test_100_short_studies_leave_nothing_behind() -> None:
    sampler = soak(20, 8)
    tracemalloc.start()
    try:
        before = traced()
        for _ in range(100):
            optuna.create_study(sampler=sampler).optimize(bowl, n_trials=8)
        assert traced() < before + 1.0
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_study_of_10000_trials_goes_on(tmp_path: Path) -> None:
    from benchmarks.problems.timed import history, objective_of, write_storage

    made = optuna.create_study(study_name="long")
    made.add_trials(history("mixed", 10_000))
    write_storage([made], tmp_path / "long.db")
    study = optuna.load_study(
        study_name="long", storage=f"sqlite:///{tmp_path}/long.db", sampler=MetaSampler(seed=0)
    )
    study.optimize(objective_of("mixed"), n_trials=10)
    best = sorted(t.values[0] for t in made.trials)
    # Suggestions of a model: better than nine in ten random configurations, at the median.
    mine = sorted(t.values[0] for t in study.trials[-10:])
    assert mine[5] < best[1000]

"""Storages that fail: the error reaches the user, and the sampler works at the next trial."""

from __future__ import annotations

from collections.abc import Container
from contextlib import closing
from pathlib import Path
import sqlite3
import threading
import time
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
import pytest

from optuna_metasampler import MetaSampler
from tests.parallel.problem import configurations, loss, write_priors
from tests.studies import sqlite


class FaultyStorage(InMemoryStorage):
    """Fails at reading all trials, or at writing a parameter, on demand; may be slow."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_to_read = self.fails_to_write = False
        self.delay = 0.0

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        time.sleep(self.delay)
        if self.fails_to_read:
            raise StorageInternalError("reading fails")
        return super().get_all_trials(study_id, deepcopy, states)

    def set_trial_param(
        self, trial_id: int, param_name: str, value: float, distribution: BaseDistribution
    ) -> None:
        time.sleep(self.delay)
        if self.fails_to_write:
            raise StorageInternalError("writing fails")
        super().set_trial_param(trial_id, param_name, value, distribution)


def suggests_in_another_thread(study: optuna.Study) -> bool:
    """Whether a suggestion comes to an end in another thread: no lock was kept."""
    trials = []
    thread = threading.Thread(target=lambda: trials.append(loss(study.ask())), daemon=True)
    thread.start()
    thread.join(60)
    return len(trials) == 1


@pytest.mark.parametrize("fault", ["fails_to_read", "fails_to_write"])
@pytest.mark.parametrize("n_before", [0, 6])
def test_an_error_of_the_storage_reaches_the_user_and_leaves_no_lock_behind(
    fault: str, n_before: int
) -> None:
    storage = FaultyStorage()
    priors = write_priors(InMemoryStorage(), 2)
    study = optuna.create_study(storage=storage, sampler=MetaSampler(priors))
    study.optimize(loss, n_trials=n_before)
    trial = study.ask()
    setattr(storage, fault, True)
    with pytest.raises(StorageInternalError):
        loss(trial)
    setattr(storage, fault, False)
    assert suggests_in_another_thread(study)
    loss(trial)  # the trial itself can go on
    study.optimize(loss, n_trials=3)
    assert study.best_value < 1.0


def test_threads_wait_for_a_slow_storage_and_none_repeats_another() -> None:
    storage = FaultyStorage()
    storage.delay = 0.01
    study = optuna.create_study(storage=storage, sampler=MetaSampler())
    study.optimize(loss, n_trials=12, n_jobs=4)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 12
    assert len(configurations(study.trials)) == 12


# Seconds for which a storage waits for a lock: a moment only.
IMPATIENT = {"engine_kwargs": {"connect_args": {"timeout": 0.05}}}


def test_a_lock_on_the_file_that_times_out_costs_a_trial_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with sqlite(path, **IMPATIENT) as storage:
        study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0))
        study.optimize(loss, n_trials=5)
        trial = study.ask()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StorageInternalError) as error:
                loss(trial)
            assert "database is locked" in str(error.value.__cause__)
            other.execute("ROLLBACK")
        assert suggests_in_another_thread(study)
        study.optimize(loss, n_trials=3)
        assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 8


def test_a_trial_that_is_deleted_underneath_costs_that_trial_only(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with sqlite(path, **IMPATIENT) as storage:
        study = optuna.create_study(storage=storage, sampler=MetaSampler(seed=0))
        study.optimize(loss, n_trials=5)
        trial = study.ask()
        with closing(sqlite3.connect(path)) as other:
            other.execute("DELETE FROM trials WHERE trial_id = ?", (trial._trial_id,))
            other.commit()
        with pytest.raises(KeyError):
            loss(trial)
        study.optimize(loss, n_trials=3)
        assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 8


def test_after_a_study_was_deleted_underneath_its_sampler_serves_the_next_one() -> None:
    storage = InMemoryStorage()
    sampler = MetaSampler(seed=0)
    study = optuna.create_study(study_name="new", storage=storage, sampler=sampler)
    study.optimize(loss, n_trials=5)
    trial = study.ask()
    optuna.delete_study(study_name="new", storage=storage)
    with pytest.raises(KeyError):
        loss(trial)
    again: Any = optuna.create_study(study_name="new", storage=storage, sampler=sampler)
    again.optimize(loss, n_trials=5)
    assert [t.state for t in again.trials] == [TrialState.COMPLETE] * 5

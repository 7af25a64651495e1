"""Two workers that choose at the same moment do not take the same configuration."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
import pytest

from optuna_metasampler import MetaSampler, _ask
from optuna_metasampler._claims import CLAIM, claim, claimed
from optuna_metasampler.history import PendingTrial


SPACE: dict[str, BaseDistribution] = {
    "a": CategoricalDistribution(["x", "y"]),
    "b": IntDistribution(1, 4),
    "n": IntDistribution(2**60, 2**60 + 5),
}
PARAMS = {"a": "y", "b": 3, "n": 2**60 + 3}


@pytest.fixture(params=["memory", "sqlite", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Any) -> BaseStorage:
    if request.param == "memory":
        return InMemoryStorage()
    if request.param == "sqlite":
        return optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 's.db'}")
    return JournalStorage(JournalFileBackend(str(tmp_path / "s.log")))


def worker(storage: BaseStorage, seed: int | None = None) -> optuna.Study:
    return optuna.create_study(
        study_name="s", storage=storage, sampler=MetaSampler(seed=seed), load_if_exists=True
    )


def claims(study: optuna.Study, trial: optuna.Trial, params: dict[str, Any] = PARAMS) -> bool:
    sampler: Any = study.sampler
    return claim(sampler._state(study), study, trial._get_latest_trial(), SPACE, params, ())


def test_the_later_of_two_claims_gives_way(storage: BaseStorage) -> None:
    first, second = worker(storage), worker(storage)
    low, high = first.ask(), second.ask()
    assert claims(first, low)
    assert claimed(first.trials[0], SPACE) == PARAMS
    assert not claims(second, high)
    # It waits for nobody any more, and nobody for it.
    assert second.trials[1].system_attrs[CLAIM] == {}
    assert claims(second, high, {**PARAMS, "n": 2**60 + 4})


def test_a_configuration_that_is_being_used_is_not_taken_by_an_older_trial(
    storage: BaseStorage,
) -> None:
    first, second = worker(storage), worker(storage)
    low, high = first.ask(), second.ask()
    assert claims(second, high)
    second._storage.set_trial_param(high._trial_id, "b", 3, SPACE["b"])
    assert not claims(first, low)


def test_nothing_is_written_where_there_is_one_worker() -> None:
    study = worker(InMemoryStorage(), seed=0)
    study.optimize(lambda t: t.suggest_int("b", 1, 4) + t.suggest_int("c", 1, 4), n_trials=6)
    assert not any(CLAIM in t.system_attrs for t in study.trials)


def test_a_worker_that_sees_its_choice_taken_chooses_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = InMemoryStorage()
    first, second = worker(storage, seed=0), worker(storage, seed=1)
    cells = {"b": IntDistribution(1, 3), "c": IntDistribution(1, 3)}
    for i in range(4):
        trial = first.ask(cells)
        first.tell(trial, float(i))
    rival, trial = first.ask(), second.ask()
    suggested = _ask._suggested
    n_calls = 0

    def at_the_same_moment(*arguments: Any) -> Any:
        nonlocal n_calls
        params, record = suggested(*arguments)
        n_calls += 1
        if n_calls == 1:
            # The other worker, which began before, takes just this configuration meanwhile.
            for name, value in params.items():
                storage.set_trial_param(rival._trial_id, name, value, cells[name])
        return params, record

    monkeypatch.setattr(_ask, "_suggested", at_the_same_moment)
    params = {name: trial.suggest_int(name, 1, 3) for name in cells}
    assert n_calls == 2
    assert params != first.trials[4].params
    assert len({tuple(sorted(t.params.items())) for t in first.trials}) == 6


def frozen(number: int, minutes: float, state: TrialState) -> FrozenTrial:
    start = datetime(2024, 1, 1) - timedelta(minutes=minutes)
    done = state.is_finished()
    return FrozenTrial(
        number=number,
        state=state,
        value=0.5 if done else None,
        datetime_start=start,
        datetime_complete=start + timedelta(seconds=30) if done else None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=number,
    )


def test_a_trial_that_outlasts_a_whole_later_trial_is_not_waited_for() -> None:
    """A killed job array leaves trials without parameters; a new one begins at once."""
    lost = [frozen(i, 4.0, TrialState.RUNNING) for i in range(16)]
    mine = frozen(20, 0.0, TrialState.RUNNING)

    def undecided(*others: FrozenTrial) -> list[int]:
        beside = PendingTrial.beside(mine, [*lost, *others, mine], {})
        return [p.number for p in beside if p.undecided]

    started_together = frozen(16, 0.01, TrialState.RUNNING)
    assert len(undecided(started_together)) == 17
    assert undecided(started_together, frozen(17, 3.0, TrialState.COMPLETE)) == [16]
    # A trial that ended, but began before them, says nothing.
    assert len(undecided(frozen(17, 4.5, TrialState.COMPLETE))) == 16

"""Damaged storages: what is wrong costs a trial or a study, and never the user's own study."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
import json
from pathlib import Path
import shutil
import sqlite3
from typing import Any
import warnings

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler._optuna import constraints_of
from optuna_metasampler.exceptions import PriorError, PriorWarning
from optuna_metasampler.priors import cache
from optuna_metasampler.priors.sources import read_priors, resolve
from optuna_metasampler.priors.study import PriorStudy


N = 8
DAMAGED, SOUND = "damaged", "sound"


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    trial.set_user_attr("host", "here")
    trial.report(x, 1)
    return (x - 0.3) ** 2 + (kind == "a")


def constraints(trial: FrozenTrial) -> tuple[float]:
    return (trial.params["x"] - 0.9,)


def fill(storage: optuna.storages.BaseStorage) -> None:
    for seed, name in enumerate((DAMAGED, SOUND)):
        sampler = optuna.samplers.TPESampler(seed=seed, constraints_func=constraints)
        study = optuna.create_study(study_name=name, storage=storage, sampler=sampler)
        study.set_user_attr("model", name)
        study.optimize(objective, n_trials=N)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite storage of two studies."""
    path = tmp_path_factory.mktemp("made") / "old.db"
    storage = RDBStorage(f"sqlite:///{path}")
    with warnings.catch_warnings():
        # `constraints_func` is deprecated in Optuna 5, and the only way before it.
        warnings.simplefilter("ignore")
        fill(storage)
    storage.remove_session()
    storage.engine.dispose()
    return path


@pytest.fixture
def database(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "old.db"))


def change(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        changed = sum(abs(connection.execute(one).rowcount) for one in statements)
    connection.close()
    assert changed, "nothing was damaged"


def kept(prior: Any) -> tuple[dict[str, int], str]:
    """Numbers of trials by study, and the one warning; empty if there was none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        studies = read_priors(prior)
    assert len(caught) <= 1, [str(w.message) for w in caught]
    assert all(w.category is PriorWarning for w in caught)
    return {s.name: len(s.trials) for s in studies}, str(caught[0].message) if caught else ""


# --- Databases -------------------------------------------------------------------------------


X = "WHERE trial_id = 3 AND param_name = 'x'"
KIND = "WHERE trial_id = 3 AND param_name = 'kind'"
OF_TRIAL = {
    "a distribution of a later release": (
        'UPDATE trial_params SET distribution_json = \'{"name": "Later", "attributes": {}}\' ' + X
    ),
    "a distribution cut off": f"UPDATE trial_params SET distribution_json = '{{\"name' {X}",
    "a distribution that is a list": f"UPDATE trial_params SET distribution_json = '[1]' {X}",
    "a distribution without its range": (
        f'UPDATE trial_params SET distribution_json = \'{{"name": "FloatDistribution"}}\' {X}'
    ),
    "no distribution": f"UPDATE trial_params SET distribution_json = NULL {X}",
    "low above high": (
        "UPDATE trial_params SET distribution_json = "
        f"replace(distribution_json, '\"low\": 0.0', '\"low\": 5.0') {X}"
    ),
    "a range without an end": (
        "UPDATE trial_params SET distribution_json = "
        f"replace(distribution_json, '\"high\": 1.0', '\"high\": Infinity') {X}"
    ),
    "no choices": (
        "UPDATE trial_params SET distribution_json = "
        f"replace(distribution_json, '[\"a\", \"b\"]', '[]') {KIND}"
    ),
    "a choice beyond the last": f"UPDATE trial_params SET param_value = 7 {KIND}",
    "a choice that is a text": f"UPDATE trial_params SET param_value = 'x' {KIND}",
    "a parameter without a value": f"UPDATE trial_params SET param_value = NULL {X}",
    "a parameter that is a text": f"UPDATE trial_params SET param_value = 'x' {X}",
    "a parameter that is infinite": f"UPDATE trial_params SET param_value = 9e999 {X}",
    "no number as the value": "UPDATE trial_values SET value = NULL WHERE trial_id = 3",
    "a text as the value": "UPDATE trial_values SET value = 'high' WHERE trial_id = 3",
    "bytes as the value": "UPDATE trial_values SET value = x'ff00' WHERE trial_id = 3",
    "an unknown kind of value": "UPDATE trial_values SET value_type = '?' WHERE trial_id = 3",
    "a value of another objective": "UPDATE trial_values SET objective = 4 WHERE trial_id = 3",
    "no value": "DELETE FROM trial_values WHERE trial_id = 3",
    "two values": (
        "INSERT INTO trial_values (trial_id, objective, value, value_type) "
        "VALUES (3, 1, 2.0, 'FINITE')"
    ),
    "a report that is a text": (
        "UPDATE trial_intermediate_values SET intermediate_value = 'x' WHERE trial_id = 3"
    ),
    "a report of nothing": (
        "UPDATE trial_intermediate_values SET intermediate_value = NULL WHERE trial_id = 3"
    ),
    "a step that is a text": "UPDATE trial_intermediate_values SET step = 'x' WHERE trial_id = 3",
    "constraints cut off": (
        "UPDATE trial_system_attributes SET value_json = '[0.' "
        "WHERE trial_id = 3 AND key LIKE 'constraints%'"
    ),
    "constraints of text": (
        "UPDATE trial_system_attributes SET value_json = '[\"x\"]' "
        "WHERE trial_id = 3 AND key LIKE 'constraints%'"
    ),
    "an end that is no date": "UPDATE trials SET datetime_complete = 'now' WHERE trial_id = 3",
    "a start in month 13": "UPDATE trials SET datetime_start = '2026-13-01' WHERE trial_id = 3",
    "a date that is a number": "UPDATE trials SET datetime_start = 5 WHERE trial_id = 3",
    "an unknown state": "UPDATE trials SET state = 'DONE' WHERE trial_id = 3",
    "no number of the trial": "UPDATE trials SET number = NULL WHERE trial_id = 3",
    "a name that is not UTF-8": (
        f"UPDATE trial_params SET distribution_json = CAST(x'7bff7d' AS TEXT) {X}"
    ),
}
OF_STUDY = {
    "an unknown direction": "UPDATE study_directions SET direction = 'UP' WHERE study_id = 1",
    "no direction": "DELETE FROM study_directions WHERE study_id = 1",
    "no trial that can be read": "UPDATE trial_params SET distribution_json = '' WHERE trial_id<9",
}
OF_NEITHER = {
    "a user attribute of a trial": (
        "UPDATE trial_user_attributes SET value_json = '{' WHERE trial_id = 3"
    ),
    "a text that is not UTF-8": (
        "UPDATE trial_user_attributes SET value_json = CAST(x'22ff22' AS TEXT) WHERE trial_id = 3"
    ),
    "a system attribute of the study": (
        "INSERT INTO study_system_attributes (study_id, key, value_json) VALUES (1, 'k', '{')"
    ),
    "a table that nobody needs": "DROP TABLE trial_user_attributes",
}


@pytest.mark.parametrize("damage", OF_TRIAL)
def test_a_damaged_trial_of_a_database_is_left_out_by_name(database: Path, damage: str) -> None:
    change(database, OF_TRIAL[damage])
    before = database.read_bytes()
    trials, message = kept(database)
    assert trials == {DAMAGED: N - 1, SOUND: N}
    assert "old.db' is damaged" in message
    assert "1 trial of the study 'damaged' (first trial" in message
    assert "'sound'" not in message
    assert database.read_bytes() == before
    assert sorted(p.name for p in database.parent.iterdir()) == ["old.db"]


@pytest.mark.parametrize("damage", OF_STUDY)
def test_a_study_that_cannot_be_read_is_left_out_by_name(database: Path, damage: str) -> None:
    change(database, OF_STUDY[damage])
    trials, message = kept(database)
    assert trials == {SOUND: N}
    assert "without the study 'damaged' (" in message


@pytest.mark.parametrize("damage", OF_NEITHER)
def test_damage_of_what_no_prior_needs_costs_nothing(database: Path, damage: str) -> None:
    change(database, OF_NEITHER[damage])
    assert kept(database) == ({DAMAGED: N, SOUND: N}, "")


def test_a_trial_that_is_read_by_itself_is_the_trial_that_optuna_reads(database: Path) -> None:
    """All are, as soon as one is damaged."""
    whole = {study.name: study for study in read_priors(database)}
    change(database, OF_NEITHER["a user attribute of a trial"])
    for study in read_priors(database):
        other = whole[study.name]
        assert (study.directions, study.user_attrs) == (other.directions, other.user_attrs)
        for got, expected in zip(study.trials, other.trials, strict=True):
            assert got.params == expected.params
            assert list(got.distributions.items()) == list(expected.distributions.items())
            for name in ("number", "state", "values", "datetime_start", "datetime_complete"):
                assert getattr(got, name) == getattr(expected, name)
            assert got.intermediate_values == expected.intermediate_values
            assert constraints_of(got) == constraints_of(expected) != {}


@pytest.mark.parametrize(
    "statement",
    [
        *(OF_TRIAL[name] for name in ("a distribution of a later release", "a text as the value")),
        *OF_STUDY.values(),
        "UPDATE study_user_attributes SET value_json = '{' WHERE study_id = 1",
        "DROP TABLE study_user_attributes",
        "DROP TABLE trial_intermediate_values",
    ],
)
def test_the_running_study_goes_on_with_what_is_sound(database: Path, statement: str) -> None:
    change(database, statement)
    sampler = MetaSampler(database, seed=0)
    study = optuna.create_study(sampler=sampler)
    with pytest.warns(PriorWarning, match="is damaged") as caught:
        study.optimize(objective, n_trials=3)
    assert len(caught) == 1
    assert SOUND in {row.name for row in sampler.prior_weights(study)}


@pytest.mark.parametrize("table", ["trial_values", "trial_params", "study_directions"])
def test_a_database_without_a_table_costs_its_studies_only(database: Path, table: str) -> None:
    change(database, f"DELETE FROM {table} WHERE 1", f"DROP TABLE {table}")
    study = optuna.create_study(sampler=MetaSampler(database, seed=0))
    with pytest.warns(PriorWarning, match=f"no such table: {table}"):
        study.optimize(objective, n_trials=2)


def test_a_study_that_cannot_be_called_by_a_name_is_mentioned(database: Path) -> None:
    change(database, "UPDATE studies SET study_name = x'ff00' WHERE study_id = 1")
    trials, message = kept(database)
    assert trials == {SOUND: N}
    assert "A study has the name b'" in message


def test_an_attribute_of_a_study_that_cannot_be_read_is_named(database: Path) -> None:
    change(
        database,
        "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, 'rows', '{')",
    )
    with pytest.warns(PriorWarning, match=r"User attributes of the study 'damaged' .*: rows\."):
        (study,) = resolve(database, DAMAGED)[0]()
    assert study.user_attrs == {"model": DAMAGED}
    assert len(study.trials) == N


def test_a_study_that_has_lost_trials_is_not_kept_in_the_cache(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_MIN_TRIALS", 1)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    change(database, OF_TRIAL["no distribution"])
    first = kept(database)
    assert first[0] == {DAMAGED: N - 1, SOUND: N}
    # The second time the sound study comes from the cache, and the warning from the storage.
    change(database, "UPDATE trial_values SET value = 99")
    assert kept(database) == first
    values = {s.name: s.trials[0].value for s in quietly(database)}
    assert values[DAMAGED] == 99
    assert values[SOUND] != 99


def test_a_cached_study_does_not_suffer_from_the_attributes_of_another(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_MIN_TRIALS", 1)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    read_priors(database)
    change(database, "UPDATE study_user_attributes SET value_json = '{' WHERE study_id = 1")
    change(database, "UPDATE trial_values SET value = 99")
    (study,) = [s for s in quietly(database) if s.name == SOUND]
    assert study.user_attrs == {"model": SOUND}
    assert study.trials[0].value != 99


def quietly(prior: Any) -> list[PriorStudy]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorWarning)
        return read_priors(prior)


def test_an_overwritten_page_of_a_database_raises_nothing_but_our_own_errors(
    database: Path,
) -> None:
    content = database.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    for start in range(size, len(content), size):
        database.write_bytes(content[:start] + bytes([255]) * size + content[start + size :])
        with suppress(PriorError):
            quietly(database)


# --- Journal logs ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines of a log of two studies."""
    path = tmp_path_factory.mktemp("log") / "old.log"
    storage = JournalStorage(JournalFileBackend(str(path)))
    for name in (DAMAGED, SOUND):
        study = optuna.create_study(study_name=name, storage=storage)
        study.optimize(objective, n_trials=4)
    return path.read_bytes().split(b"\n")[:-1]


def facts(studies: list[PriorStudy]) -> dict[tuple[str, datetime | None], tuple[Any, ...]]:
    return {
        (s.name, t.datetime_complete): (t.params, t.values, t.intermediate_values)
        for s in studies
        for t in s.trials
        if t.state.is_finished()
    }


CUTS: dict[str, Callable[[bytes], bytes]] = {
    "no JSON": lambda line: b"~" * len(line),
    "JSON of something else": lambda line: b"[]",
    "not even text": lambda line: b"\xff\xfe",
    "empty": lambda line: b"",
    "cut off early": lambda line: line[:30],
    "cut off late": lambda line: line[:110],
    "an unknown operation": lambda line: line.replace(b'"op_code":', b'"op_code":9'),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_damaged_line_of_a_log_costs_one_trial_or_one_study(
    lines: list[bytes], tmp_path: Path, cut: str
) -> None:
    path = tmp_path / "old.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    truth = facts(read_priors(path))
    # The last line may still be in the making.
    for i, line in enumerate(lines[:-1]):
        path.write_bytes(b"\n".join([*lines[:i], CUTS[cut](line), *lines[i + 1 :]]) + b"\n")
        with pytest.warns(PriorWarning, match=rf"Lines that cannot be read: {i + 1} "):
            got = facts(read_priors(path))
        # Nothing that is read is anything else than it was.
        assert got.items() <= truth.items(), line
        lost = truth.keys() - got.keys()
        creates_study = json.loads(line)["op_code"] == 0
        assert len(lost) <= (4 if creates_study else 1), line
        if creates_study:
            assert len({name for name, _ in lost}) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"FloatDistribution", b"Later"),
        (b'"values":[', b'"values":["x",'),
        (b'"state":1', b'"state":77'),
        (b'"datetime_start":"', b'"datetime_start":"x'),
        (b'"datetime_complete":"', b'"datetime_complete":"x'),
        (b'"intermediate_value":', b'"intermediate_value":"x","y":'),
        (b'"param_value_internal":', b'"param_value_internal":"x","y":'),
        (b'"directions":[1]', b'"directions":[9]'),
        (b'"directions":[1]', b'"directions":[]'),
        (b'"study_name":"damaged"', b'"study_name":5'),
    ],
)
def test_a_line_of_a_log_that_says_what_cannot_be_costs_one_trial_or_one_study(
    lines: list[bytes], tmp_path: Path, old: bytes, new: bytes
) -> None:
    path = tmp_path / "old.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    truth = facts(read_priors(path))
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    sampler = MetaSampler(path, seed=0)
    study = optuna.create_study(sampler=sampler)
    with pytest.warns(PriorWarning, match="is damaged") as caught:
        study.optimize(objective, n_trials=2)
    assert len(caught) == 1
    got = facts(quietly(path))
    assert got.items() <= truth.items()
    assert len({name for name, _ in truth.keys() - got.keys()}) == 1
    assert {name for name, _ in got} >= {SOUND}


def test_a_line_that_two_writers_have_mixed_costs_what_is_uncertain(
    lines: list[bytes], tmp_path: Path
) -> None:
    path = tmp_path / "old.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    truth = facts(read_priors(path))
    for i in range(len(lines) - 1):
        mixed = lines[i][:40] + lines[i + 1]
        path.write_bytes(b"\n".join([*lines[:i], mixed, *lines[i + 2 :]]) + b"\n")
        got = facts(quietly(path))
        assert got.items() <= truth.items(), i
        # Two lines are lost, which can be two studies' first.
        assert len(truth) - len(got) <= 8


def test_a_log_that_several_workers_wrote_yields_nothing_wrong(tmp_path: Path) -> None:
    path = tmp_path / "old.log"
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(study_name="a", storage=storage)
    # Three trials at a time, told in another order than they were asked for.
    for _ in range(3):
        trials = [study.ask() for _ in range(3)]
        for name in ("x", "y"):
            for trial in trials:
                trial.suggest_float(name, 0, 1)
        for trial in reversed(trials):
            study.tell(trial, trial.params["x"])
    lines = path.read_bytes().split(b"\n")[:-1]
    truth = facts(read_priors(path))
    for i in range(1, len(lines) - 1):
        path.write_bytes(b"\n".join([*lines[:i], b"?", *lines[i + 1 :]]) + b"\n")
        got = facts(quietly(path))
        assert got.items() <= truth.items(), lines[i]
        assert len(got) >= len(truth) - 4


# --- Objects ---------------------------------------------------------------------------------


def completed(**changes: Any) -> FrozenTrial:
    fields: dict[str, Any] = {
        "number": 0,
        "trial_id": 0,
        "state": TrialState.COMPLETE,
        "value": 0.5,
        "datetime_start": None,
        "datetime_complete": None,
        "params": {"x": 0.5},
        "distributions": {"x": FloatDistribution(0, 1)},
        "user_attrs": {},
        "system_attrs": {},
        "intermediate_values": {},
    }
    trial = FrozenTrial(**fields)
    for name, value in changes.items():
        setattr(trial, name, value)
    return trial


@pytest.mark.parametrize(
    "changes",
    [
        {"values": None},
        {"values": ["0.5"]},
        {"values": [True]},
        {"values": [0.5, 0.5]},
        {"number": None},
        {"state": "COMPLETE"},
        {"params": {"x": None}},
        {"params": {}},
        {"distributions": {"x": "uniform"}},
        {"intermediate_values": {1: None}},
        {"datetime_complete": "2026-01-31"},
        {"system_attrs": {"constraints": ["x"]}},
    ],
    ids=str,
)
def test_a_trial_in_memory_is_looked_at_like_one_of_a_storage(changes: dict[str, Any]) -> None:
    trials = (*(completed(value=float(i)) for i in range(3)), completed(**changes))
    study = PriorStudy("told", (StudyDirection.MINIMIZE,), trials)
    trials_kept, message = kept(study)
    assert trials_kept == {"told": 3}
    assert "1 trial of the study 'told'" in message


def test_sound_trials_are_passed_on_as_they_are() -> None:
    study = PriorStudy("told", None, (completed(value=1.0), completed(value=2.0)))
    (got,) = read_priors(study)
    assert got is study


class Fragile(InMemoryStorage):
    """A storage of somebody else that cannot give all trials at once."""

    def get_all_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        trials = super().get_all_trials(*args, **kwargs)
        if len(trials) >= N:
            raise RuntimeError("the reply is too long")
        return trials

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if trial_id == 2:
            raise OSError("sector not found")
        return super().get_trial(trial_id)


def test_a_storage_that_fails_as_a_whole_is_asked_for_trials_one_by_one() -> None:
    storage = Fragile()
    study = optuna.create_study(study_name="theirs", storage=storage)
    for i in range(N):
        study.add_trial(
            create_trial(
                params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)}, value=float(i)
            )
        )
    got, message = kept(study)
    assert got == {"theirs": N - 1}
    assert "first trial 2: OSError sector not found" in message

"""Storages are read without a trace, in whatever state somebody left them."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import sqlite3
import stat
import subprocess
import sys

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
import pytest

from optuna_metasampler.exceptions import PriorError, PriorWarning
from optuna_metasampler.priors import cache
from optuna_metasampler.priors.sources import read_priors
from optuna_metasampler.priors.storages import opened, redacted
from optuna_metasampler.priors.study import PriorStudy
from tests.priors.files import fingerprint


DATA = os.environ.get("METASAMPLER_DATA", "")
# Of Optuna's own tests and of its dashboard: studies and their numbers of trials.
STORES = {
    "optuna__3.2.0.a.db": {
        "single": 1,
        "single_empty": 0,
        "multi": 1,
        "multi_empty": 0,
        "schema migration": 1,
    },
    "optuna__4.0.0.dev.log": {
        "single_empty": 0,
        "single_user_attr": 0,
        "single_system_attr": 0,
        "single_optimization": 10,
    },
    "optuna-dashboard__sample_db.sqlite3": {"pytorch_simple": 100},
}


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def read(location: str | Path) -> list[PriorStudy]:
    return read_priors(location)


def trials_of(location: str | Path) -> dict[str, int]:
    return {study.name: len(study.trials) for study in read(location)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite storage with one study of five trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = tmp_path_factory.mktemp("made") / "old.db"
    storage = RDBStorage(f"sqlite:///{path}")
    study = optuna.create_study(study_name="old", storage=storage)
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=5)
    storage.remove_session()
    storage.engine.dispose()
    return path


@pytest.fixture
def database(made: Path, tmp_path: Path) -> Path:
    """A copy of it, alone in a folder."""
    folder = tmp_path / "storage"
    folder.mkdir()
    return Path(shutil.copy(made, folder / "old.db"))


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Path:
    path = Path(DATA) / "optuna_stores" / request.param
    if not DATA or not path.exists():
        pytest.skip(
            f"optuna_stores/{request.param} is not at hand; set METASAMPLER_DATA to the folder "
            "that holds optuna_stores"
        )
    return path


def test_stores_of_older_releases_are_read_where_they_lie(store: Path) -> None:
    before = fingerprint(store.parent)
    assert trials_of(store) == STORES[store.name]
    assert fingerprint(store.parent) == before


def test_a_copy_of_a_store_that_could_be_written_stays_as_it_was(
    store: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copyfile(store, tmp_path / store.name))
    before = fingerprint(tmp_path)
    assert trials_of(copy) == STORES[store.name]
    assert fingerprint(tmp_path) == before


def make_write_ahead_log(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    connection.close()


def test_a_database_with_a_write_ahead_log_gets_no_file_beside_it(database: Path) -> None:
    make_write_ahead_log(database)
    before = fingerprint(database.parent)
    assert trials_of(database) == {"old": 5}
    assert fingerprint(database.parent) == before


@pytest.mark.parametrize("with_index", [True, False])
def test_changes_that_are_in_the_write_ahead_log_only_are_read(
    database: Path, tmp_path: Path, with_index: bool
) -> None:
    make_write_ahead_log(database)
    crashed = tmp_path / "crashed"
    writer = sqlite3.connect(database)
    try:
        with writer:
            writer.execute("UPDATE studies SET study_name = 'in the log'")
        # What a process leaves behind that is killed here.
        shutil.copytree(database.parent, crashed)
    finally:
        writer.close()
    if not with_index:
        (crashed / "old.db-shm").unlink()
    before = fingerprint(crashed)
    assert trials_of(crashed / "old.db") == {"in the log": 5}
    assert fingerprint(crashed) == before


def test_a_journal_that_a_crash_has_left_is_rolled_back_in_a_copy_only(
    database: Path, tmp_path: Path
) -> None:
    crashed = tmp_path / "crashed"
    writer = sqlite3.connect(database)
    try:
        # So small a cache that the changed page is in the file before the end of the transaction.
        writer.execute("PRAGMA cache_size=1")
        writer.execute("PRAGMA cache_spill=1")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE studies SET study_name = 'half done'")
        writer.execute("CREATE TABLE filler (text)")
        writer.executemany("INSERT INTO filler VALUES (?)", [("x" * 2000,)] * 500)
        shutil.copytree(database.parent, crashed)
        writer.rollback()
    finally:
        writer.close()
    assert b"half done" in (crashed / "old.db").read_bytes()
    assert (crashed / "old.db-journal").stat().st_size > 0
    before = fingerprint(crashed)
    assert trials_of(crashed / "old.db") == {"old": 5}
    assert fingerprint(crashed) == before


def test_a_writer_goes_on_while_a_prior_is_open(database: Path) -> None:
    with opened(str(database)) as storage:
        assert optuna.get_all_study_names(storage) == ["old"]
        writer = sqlite3.connect(database, timeout=0)
        with writer:
            writer.execute("UPDATE studies SET study_name = 'renamed'")
        writer.close()
        assert optuna.get_all_study_names(storage) == ["renamed"]


@pytest.mark.parametrize("log", [False, True])
def test_a_read_leaves_this_process_the_locks_that_it_has(
    database: Path, log: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own storage may be in the same file, in the middle of a transaction."""
    monkeypatch.setenv("METASAMPLER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_MIN_LOG_BYTES", 0)
    if log:
        make_write_ahead_log(database)
    program = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')"
    )

    def another_process_is_refused() -> bool:
        done = subprocess.run(
            [sys.executable, "-c", program, str(database)],
            capture_output=True,
            text=True,
            check=False,
        )
        return "database is locked" in done.stderr

    own = sqlite3.connect(database, isolation_level=None)
    try:
        own.execute("BEGIN IMMEDIATE")
        own.execute("UPDATE studies SET study_name = 'not yet'")
        assert another_process_is_refused()
        assert trials_of(database) == {"old": 5}
        assert another_process_is_refused()
    finally:
        own.close()


def test_what_is_open_cannot_be_written_to(database: Path) -> None:
    before = fingerprint(database.parent)
    with pytest.raises(PriorError, match="readonly"), opened(str(database)) as storage:
        optuna.create_study(storage=storage)
    assert fingerprint(database.parent) == before


def test_a_journal_log_gets_no_lock_file_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "old.log"
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(study_name="j", storage=storage)
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=3)
    path.chmod(stat.S_IRUSR)
    before = fingerprint(tmp_path)
    assert trials_of(path) == {"j": 3}
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize(
    "line", [b"{}\n", b'{"op_code": 99}\n', b'{"op_code": 4, "study_id": []}\n', b"\xff\n"]
)
def test_a_damaged_journal_log_is_read_as_far_as_it_can_be_and_left_alone(
    tmp_path: Path, line: bytes
) -> None:
    path = tmp_path / "old.log"
    optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="j")
    path.write_bytes(path.read_bytes() + line * 2)
    before = fingerprint(tmp_path)
    with pytest.warns(PriorWarning, match="Lines that cannot be read: 2 "):
        read(path)
    assert fingerprint(tmp_path) == before


def test_the_last_line_of_a_journal_log_may_be_half_written(tmp_path: Path) -> None:
    path = tmp_path / "old.log"
    optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="j")
    path.write_bytes(path.read_bytes() + b'{"op_code": 4, "wor')
    assert trials_of(path) == {"j": 0}


def test_a_prior_is_read_by_who_may_not_write(database: Path) -> None:
    make_write_ahead_log(database)
    database.chmod(0o444)
    database.parent.chmod(0o555)
    program = (
        "import os, sys; from optuna_metasampler.priors.sources import read_priors, resolve; "
        "print([len(s.trials) for r in resolve(sys.argv[1], None) for s in r()], "
        "os.access(os.path.dirname(sys.argv[1]), os.W_OK))"
    )
    done = subprocess.run(
        [*without_privileges(), sys.executable, "-c", program, str(database)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    database.parent.chmod(0o755)
    assert done.stdout.strip() == "[5] False", done.stderr


def without_privileges() -> list[str]:
    """The beginning of a command that runs without root's right to write anywhere."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip(
            "root may write anywhere, and setpriv, which takes that away, is not installed"
        )
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def test_a_location_is_shown_without_its_password() -> None:
    assert redacted("mysql://me:s3cret@host/db") == "mysql://me:***@host/db"
    assert redacted("sub/old.db") == "sub/old.db"

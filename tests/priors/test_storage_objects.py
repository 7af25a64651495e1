"""A storage that is open in this process is a prior like any other, and is only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import copy
from pathlib import Path
import pickle
import socket
import sqlite3
from typing import Any
import warnings

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError, PriorWarning
from optuna_metasampler.priors.sources import read_priors, resolve
from tests.priors.files import fingerprint


class Lines(BaseJournalBackend):
    """A journal in memory, as one on a server of somebody else."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.lines[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.lines += logs


class Foreign(BaseStorage):
    """A storage of another library: it has the interface, and nothing else of Optuna's."""

    def __init__(self, storage: BaseStorage) -> None:
        self.storage = storage
        self.guard = lambda: None  # it cannot be pickled
        self.writes: list[str] = []


def _passed_on(name: str) -> Callable[..., Any]:
    def method(self: Foreign, *args: Any, **kwargs: Any) -> Any:
        if name.startswith(("set_", "create_", "delete_")):
            self.writes.append(name)
        return getattr(self.storage, name)(*args, **kwargs)

    return method


for _name in sorted(BaseStorage.__abstractmethods__):
    setattr(Foreign, _name, _passed_on(_name))
Foreign.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


@pytest.fixture(
    params=["memory", "sqlite", "cached", "sqlite in memory", "log", "lines", "foreign"]
)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStorage]:
    """An empty storage of every kind."""
    database = None
    if request.param in ("sqlite", "cached", "sqlite in memory"):
        file = "" if request.param == "sqlite in memory" else tmp_path / "old.db"
        database = RDBStorage(f"sqlite:///{file}")
    made: BaseStorage
    if request.param == "cached":
        study = optuna.create_study(storage=database, study_name="unused")
        made = study._storage
        optuna.delete_study(study_name="unused", storage=made)
    elif database is not None:
        made = database
    elif request.param == "log":
        made = JournalStorage(JournalFileBackend(str(tmp_path / "old.log")))
    elif request.param == "lines":
        made = JournalStorage(Lines())
    elif request.param == "foreign":
        made = Foreign(InMemoryStorage())
    else:
        made = InMemoryStorage()
    yield made
    if database is not None:
        database.remove_session()
        database.engine.dispose()


def objective(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2


def fill(storage: BaseStorage, *names: str, n: int = 6) -> None:
    for seed, name in enumerate(names):
        sampler = optuna.samplers.RandomSampler(seed=seed)
        optuna.create_study(study_name=name, storage=storage, sampler=sampler).optimize(
            objective, n_trials=n
        )


def counts(prior: Any, prior_studies: Any = None) -> dict[str, int]:
    return {s.name: len(s.trials) for s in read_priors(prior, prior_studies)}


def test_a_storage_object_of_any_kind_is_read(storage: BaseStorage, tmp_path: Path) -> None:
    fill(storage, "a", "b")
    before = fingerprint(tmp_path)
    assert counts(storage) == {"a": 6, "b": 6}
    assert counts(storage, "b") == {"b": 6}
    other = optuna.create_study(study_name="c")
    other.optimize(objective, n_trials=2)
    assert counts([storage, other], "a") == {"a": 6, "c": 2}
    assert fingerprint(tmp_path) == before


def test_a_study_is_tuned_in_the_storage_that_holds_its_priors(storage: BaseStorage) -> None:
    fill(storage, "a", "b")
    sampler = MetaSampler(storage, seed=0)
    study = optuna.create_study(study_name="new", storage=storage, sampler=sampler)
    study.optimize(objective, n_trials=3)
    assert {row.name for row in sampler.prior_weights(study)} == {"a", "b"}
    assert [row.name for row in sampler.inspect_priors(study)] == ["a", "b"]
    assert sampler.report(study).to_dict()
    assert repr(sampler).startswith("MetaSampler(prior=<")


def test_nothing_is_written_to_it() -> None:
    storage = Foreign(InMemoryStorage())
    fill(storage, "a")
    storage.writes.clear()
    sampler = MetaSampler(storage, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=3)
    sampler.inspect_priors(study)
    assert storage.writes == []


@pytest.mark.parametrize("way", ["pickle", "copy"])
def test_a_copy_of_the_sampler_has_the_same_priors(storage: BaseStorage, way: str) -> None:
    """In another process, where a database in memory would be empty."""
    fill(storage, "a", "b", "c")
    sampler = MetaSampler(storage, prior_studies=["a", "b"], seed=0)
    again = pickle.loads(pickle.dumps(sampler)) if way == "pickle" else copy.deepcopy(sampler)
    study = optuna.create_study(sampler=again)
    study.optimize(objective, n_trials=2)
    assert {row.name for row in again.prior_weights(study)} == {"a", "b"}


def test_a_storage_without_a_study_is_an_error(storage: BaseStorage) -> None:
    with pytest.raises(PriorError, match="contains no study"):
        MetaSampler(storage)


def test_a_study_that_is_deleted_is_named(storage: BaseStorage) -> None:
    fill(storage, "a", "b")
    (source,) = resolve(storage, None)
    optuna.delete_study(study_name="a", storage=storage)
    with pytest.raises(PriorNotFoundError, match="deleted"):
        source()


class Gone(InMemoryStorage):
    """A server that no longer answers."""

    def get_all_studies(self) -> Any:
        raise ConnectionError("no route to host")


def test_a_storage_that_does_not_answer_is_an_error_at_first_and_a_warning_later() -> None:
    with pytest.raises(PriorError, match=r"storage Gone, .* no route to host"):
        MetaSampler(Gone())
    storage = InMemoryStorage()
    fill(storage, "a")
    study = optuna.create_study(sampler=MetaSampler(storage, seed=0))

    def gone(name: str) -> int:
        raise ConnectionError("no route to host")

    storage.get_study_id_from_name = gone  # type: ignore[method-assign]
    with pytest.warns(PriorWarning, match="left out: .*no route to host"):
        study.optimize(objective, n_trials=2)
    assert len(study.trials) == 2


def test_a_storage_behind_a_proxy_of_grpc_is_read(tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="grpcio is not installed")
    from optuna.storages import GrpcStorageProxy
    from optuna.storages._grpc.server import make_server

    storage = InMemoryStorage()
    fill(storage, "a", "b")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = make_server(storage, "localhost", port)
    server.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        proxy = GrpcStorageProxy(host="localhost", port=port)
    try:
        proxy.wait_server_ready(timeout=60)
        assert counts(proxy) == {"a": 6, "b": 6}
        again = pickle.loads(pickle.dumps(MetaSampler(proxy, seed=0)))
        study = optuna.create_study(sampler=again)
        study.optimize(objective, n_trials=1)
        assert {row.name for row in again.prior_weights(study)} == {"a", "b"}
    finally:
        server.stop(grace=None)
        proxy.close()
    with pytest.raises(PriorError, match="storage GrpcStorageProxy"):
        MetaSampler(proxy)


def test_a_damaged_row_behind_an_object_costs_its_trial(tmp_path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path / 'old.db'}")
    fill(storage, "a", "b")
    study = optuna.load_study(study_name="a", storage=storage)
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("UPDATE trial_params SET distribution_json = '{' WHERE trial_id = 2")
    connection.close()
    for prior, expected in ((storage, {"a": 5, "b": 6}), (study, {"a": 5})):
        with pytest.warns(PriorWarning, match="is damaged.*first trial 1"):
            assert counts(prior) == expected
    storage.remove_session()
    storage.engine.dispose()


# --- URIs of SQLite --------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    folder = tmp_path / "old results"
    folder.mkdir()
    storage = RDBStorage(f"sqlite:///{folder / 'old.db'}")
    fill(storage, "a")
    storage.remove_session()
    storage.engine.dispose()
    return folder / "old.db"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///file:{path}?mode=ro&uri=true",
        "sqlite:///file:{quoted}?mode=ro&uri=true",
        "sqlite:///file://{path}?uri=true&mode=rw",
        "sqlite:///file://localhost{path}?uri=true",
        "sqlite:///file:{path}?mode=ro&immutable=1&nolock=1&uri=true",
        "sqlite:///file:old.db?mode=ro&uri=true",
        "sqlite:///file:./old.db?uri=1&mode=rwc&timeout=3",
        "sqlite+pysqlite:///file:old.db?cache=shared&uri=true",
    ],
)
def test_a_uri_of_sqlite_is_read_and_left_as_it_was(
    database: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(database.parent)
    before = fingerprint(database.parent)
    url = url.format(path=database, quoted=str(database).replace(" ", "%20"))
    assert counts(url) == {"a": 6}
    assert counts([url], "a") == {"a": 6}
    assert fingerprint(database.parent) == before


def test_sqlalchemy_takes_these_uris_too(database: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        storage = RDBStorage(f"sqlite:///file:{database}?mode=ro&uri=true")
        assert counts(storage) == {"a": 6}
        storage.remove_session()
        storage.engine.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:name?mode=memory&cache=shared&uri=true",
    ],
)
def test_a_uri_of_a_database_in_memory_asks_for_the_object(url: str) -> None:
    with pytest.raises(PriorError, match="Pass the Study object or the storage object"):
        MetaSampler(url)


def test_a_uri_of_a_file_that_is_not_there_does_not_create_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PriorNotFoundError, match="there is no file"):
        MetaSampler("sqlite:///file:new.db?mode=rwc&uri=true")
    assert list(tmp_path.iterdir()) == []

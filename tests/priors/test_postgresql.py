"""Prior studies on a PostgreSQL server that really runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import itertools
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError, PriorWarning
from optuna_metasampler.priors import cache
from optuna_metasampler.priors.sources import read_priors, resolve
from optuna_metasampler.priors.storages import opened
from optuna_metasampler.priors.study import PriorStudy
from tests.priors import postgresql


psycopg = pytest.importorskip(
    "psycopg", reason="the driver psycopg is not installed (pip install 'psycopg[binary]')"
)
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def socket() -> Iterator[str]:
    try:
        with postgresql.server() as folder:
            yield folder
    except postgresql.Unavailable as error:
        pytest.skip(str(error))


def execute(socket: str, database: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements as the owner; gives what the last one finds."""
    with psycopg.connect(
        host=socket, user=postgresql.OWNER, dbname=database, autocommit=True
    ) as connection:
        for statement in statements:
            found = connection.execute(statement)
        return found.fetchall() if found.description else []


@pytest.fixture
def database(socket: str) -> str:
    """An empty database."""
    name = f"test_{next(_numbers)}"
    execute(socket, "postgres", f"CREATE DATABASE {name}")
    return name


def objective(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2


@contextmanager
def writable(url: str) -> Iterator[RDBStorage]:
    storage = RDBStorage(url)
    yield storage
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture
def url(socket: str, database: str) -> str:
    """A storage with two studies of four trials."""
    url = postgresql.url(socket, database)
    with writable(url) as storage:
        for name in ("first", "second"):
            study = optuna.create_study(study_name=name, storage=storage)
            study.set_user_attr("model", name)
            study.optimize(objective, n_trials=4)
    return url


def read(url: str) -> list[PriorStudy]:
    return read_priors(url)


def contents(socket: str, database: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    tables = execute(
        socket, database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    return {
        name: sorted(execute(socket, database, f'SELECT * FROM "{name}"'), key=repr)
        for (name,) in tables
    }


def test_studies_are_read_and_the_database_is_left_as_it_was(
    socket: str, database: str, url: str
) -> None:
    before = contents(socket, database)
    studies = read(url)
    assert sorted(s.name for s in studies) == ["first", "second"]
    assert [len(s.trials) for s in studies] == [4, 4]
    assert {s.user_attrs["model"] for s in studies} == {"first", "second"}
    assert contents(socket, database) == before


def test_only_a_study_that_has_gone_on_is_read_again(
    socket: str, database: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_MIN_TRIALS", 1)
    monkeypatch.setenv("METASAMPLER_CACHE", str(tmp_path))
    first = {s.name: [t.value for t in s.trials] for s in read(url)}
    # The only way to see where it comes from: what is changed by hand is not noticed.
    execute(socket, database, "UPDATE trial_values SET value = 99")
    with writable(url) as storage:
        optuna.load_study(study_name="second", storage=storage).optimize(objective, n_trials=1)
    second = {s.name: [t.value for t in s.trials] for s in read(url)}
    assert second["first"] == first["first"]
    assert second["second"][:4] == [99, 99, 99, 99]
    assert len(second["second"]) == 5


def test_a_role_that_may_only_select_suffices(socket: str, database: str, url: str) -> None:
    execute(
        socket,
        database,
        f"CREATE ROLE reader_{database} LOGIN",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_{database}",
    )
    studies = read(postgresql.url(socket, database, f"reader_{database}"))
    assert sorted(s.name for s in studies) == ["first", "second"]


def test_the_server_refuses_whatever_would_be_written(url: str) -> None:
    with pytest.raises(PriorError, match="read-only"), opened(url) as storage:
        optuna.create_study(storage=storage)


def test_an_empty_database_is_an_error_and_stays_empty(socket: str, database: str) -> None:
    with pytest.raises(PriorError, match="cannot be opened as a storage of Optuna"):
        MetaSampler(postgresql.url(socket, database))
    assert contents(socket, database) == {}


def test_an_old_schema_is_an_error_that_names_the_way_out(
    socket: str, database: str, url: str
) -> None:
    execute(socket, database, "UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    before = contents(socket, database)
    with pytest.raises(PriorError, match=r"Upgrade a copy.*storage upgrade"):
        MetaSampler(url)
    assert contents(socket, database) == before


def test_no_session_stays_behind(socket: str, database: str, url: str) -> None:
    read(url)
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'"
    assert execute(socket, "postgres", count) == [(0,)]


def test_a_study_is_tuned_in_the_database_that_holds_its_priors(url: str) -> None:
    sampler = MetaSampler(url, seed=0)
    with writable(url) as storage:
        study = optuna.create_study(study_name="new", storage=storage, sampler=sampler)
        study.optimize(objective, n_trials=3)
        assert {row.name for row in sampler.prior_weights(study)} == {"first", "second"}


def test_a_server_that_goes_away_costs_a_warning_and_not_the_study(
    socket: str, database: str, url: str
) -> None:
    study = optuna.create_study(sampler=MetaSampler(url, seed=0))
    execute(socket, "postgres", f"DROP DATABASE {database} WITH (FORCE)")
    with pytest.warns(PriorWarning, match="source of prior studies is left out"):
        study.optimize(objective, n_trials=2)
    assert len(study.trials) == 2


def test_a_study_that_is_deleted_is_named(url: str) -> None:
    (source,) = resolve(url, None)
    with writable(url) as storage:
        optuna.delete_study(study_name="first", storage=storage)
    with pytest.raises(PriorNotFoundError, match="deleted"):
        source()


def test_a_password_stands_in_no_message() -> None:
    with pytest.raises(PriorError, match=r"postgresql\+psycopg://me:\*\*\*@") as caught:
        MetaSampler("postgresql+psycopg://me:s3cret@127.0.0.1:1/old")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trial_params SET distribution_json = '{' WHERE trial_id = 2",
        "UPDATE trial_params SET param_value = NULL WHERE trial_id = 2",
        "UPDATE trial_params SET param_value = 'Infinity' WHERE trial_id = 2",
        "UPDATE trial_values SET value = NULL WHERE trial_id = 2",
        "DELETE FROM trial_values WHERE trial_id = 2",
        "UPDATE trials SET number = NULL WHERE trial_id = 2",
    ],
)
def test_a_damaged_trial_is_left_out_by_name(
    socket: str, database: str, url: str, statement: str
) -> None:
    execute(socket, database, statement)
    before = contents(socket, database)
    with pytest.warns(PriorWarning, match="is damaged.*1 trial of the study 'first'") as caught:
        studies = {s.name: s for s in read(url)}
    assert len(caught) == 1
    assert {name: len(s.trials) for name, s in studies.items()} == {"first": 3, "second": 4}
    assert contents(socket, database) == before


def test_trials_are_the_same_when_one_of_them_is_damaged(
    socket: str, database: str, url: str
) -> None:
    whole = {s.name: s for s in read(url)}
    execute(socket, database, "DROP TABLE trial_user_attributes")
    for study in read(url):
        other = whole[study.name]
        assert [vars(t) | {"_user_attrs": {}} for t in study.trials] == [
            vars(t) | {"_user_attrs": {}} for t in other.trials
        ]


def test_a_study_without_its_direction_is_left_out_by_name(
    socket: str, database: str, url: str
) -> None:
    execute(socket, database, "DELETE FROM study_directions WHERE study_id = 1")
    with pytest.warns(PriorWarning, match="without the study 'first'"):
        studies = read(url)
    assert [s.name for s in studies] == ["second"]


def test_a_storage_object_is_read_like_its_url(url: str) -> None:
    with writable(url) as storage:
        assert [s.name for s in read_priors(storage)] == ["first", "second"]

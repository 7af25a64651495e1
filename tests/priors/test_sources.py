"""Where prior studies are kept, and what happens when they are not there."""

from __future__ import annotations

from pathlib import Path
import sqlite3

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.exceptions import (
    MetaSamplerError,
    PriorError,
    PriorNotFoundError,
    PriorWarning,
)
from optuna_metasampler.priors.sources import PriorStudy, resolve
from tests.priors.files import fingerprint


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def run(study: optuna.Study, n: int = 5) -> optuna.Study:
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=n)
    return study


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """An SQLite storage with three studies, in a path that needs quoting."""
    folder = tmp_path / "old results #1 100%"
    folder.mkdir()
    path = folder / "old ?.db"
    storage = optuna.storages.RDBStorage("sqlite:///" + str(tmp_path / "made.db"))
    for name in ("resnet-a", "resnet-b", "svm[1]"):
        run(optuna.create_study(study_name=name, storage=storage))
    storage.remove_session()
    storage.engine.dispose()
    (tmp_path / "made.db").rename(path)
    return path


def names(studies: list[PriorStudy]) -> list[str]:
    return sorted(study.name for study in studies)


def read(prior: object, prior_studies: object = None) -> list[PriorStudy]:
    sources = resolve(prior, prior_studies)  # type: ignore[arg-type]
    return [study for source in sources for study in source()]


@pytest.mark.parametrize("as_path", [True, False])
def test_a_file_is_read_and_left_as_it_was(database: Path, as_path: bool) -> None:
    before = fingerprint(database.parent)
    studies = read(database if as_path else str(database))
    assert names(studies) == ["resnet-a", "resnet-b", "svm[1]"]
    assert [len(study.trials) for study in studies] == [5, 5, 5]
    assert fingerprint(database.parent) == before


def test_an_sqlite_url_is_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    run(optuna.create_study(study_name="a", storage=url))
    before = fingerprint(tmp_path)
    assert names(read(url)) == ["a"]
    assert fingerprint(tmp_path) == before


def test_a_journal_log_is_read_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "old.log"
    run(optuna.create_study(study_name="j", storage=JournalStorage(JournalFileBackend(str(path)))))
    before = fingerprint(tmp_path)
    (study,) = read(path)
    assert (study.name, len(study.trials)) == ("j", 5)
    assert fingerprint(tmp_path) == before


def test_sources_of_every_kind_can_be_mixed(database: Path, tmp_path: Path) -> None:
    study = run(optuna.create_study(study_name="live"))
    frame = study.trials_dataframe()
    frame.to_csv(tmp_path / "export.csv")
    table = {"data": frame, "parameters": ["x"], "name": "told"}
    studies = read(
        [
            study,
            study.trials,
            frame,
            tmp_path / "export.csv",
            table,
            PriorStudy.of(study),
            database,
        ],
    )
    assert [s.name for s in studies] == [
        *("live", "trials[1]", "table[2]", "export", "told", "live"),
        *("resnet-a", "resnet-b", "svm[1]"),
    ]
    assert {len(s.trials) for s in studies} == {5}


def test_studies_trials_and_storages_can_be_mixed(database: Path) -> None:
    study = run(optuna.create_study(study_name="live"))
    studies = read([study, study.trials, database], "resnet-*")
    assert [s.name for s in studies] == ["live", "trials[1]", "resnet-a", "resnet-b"]
    assert studies[1].directions is None


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("resnet-a", ["resnet-a"]),
        ("resnet-*", ["resnet-a", "resnet-b"]),
        (["*-b", "svm[1]"], ["resnet-b", "svm[1]"]),
        ("*", ["resnet-a", "resnet-b", "svm[1]"]),
    ],
)
def test_studies_are_chosen_by_name_and_glob(
    database: Path, patterns: str | list[str], expected: list[str]
) -> None:
    assert names(read(database, patterns)) == expected


def test_a_study_name_that_is_not_there_is_an_error_that_lists_what_is(database: Path) -> None:
    with pytest.raises(PriorNotFoundError, match=r"'resnet-c'.*'resnet-[ab]'"):
        MetaSampler(database, prior_studies=["resnet-a", "resnet-c"])


@pytest.mark.parametrize("prior", ["nowhere.db", "sqlite:///nowhere.db", "sub/nowhere.log"])
def test_a_missing_file_is_an_error_and_is_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prior: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PriorNotFoundError, match="there is no file"):
        MetaSampler(prior)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PriorError, match="is a directory"):
        MetaSampler(tmp_path)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"{}\n", b"[1]\n", b"\x00\xff" * 99])
def test_a_file_of_another_kind_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(PriorError, match="not an SQLite database"):
        MetaSampler(path)
    assert path.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


def test_a_database_of_something_else_is_an_error_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()
    before = fingerprint(tmp_path)
    with pytest.raises(PriorError, match="cannot be opened as a storage of Optuna"):
        MetaSampler(path)
    assert fingerprint(tmp_path) == before


def test_a_cut_off_database_is_an_error(database: Path) -> None:
    database.write_bytes(database.read_bytes()[:5000])
    with pytest.raises(PriorError, match="cannot be opened"):
        MetaSampler(database)


def test_an_old_schema_is_an_error_that_names_the_way_out(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    connection.close()
    before = fingerprint(database.parent)
    with pytest.raises(PriorError, match=r"Upgrade a copy.*storage upgrade"):
        MetaSampler(database)
    assert fingerprint(database.parent) == before


def test_an_empty_storage_is_an_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    optuna.storages.RDBStorage(url)
    with pytest.raises(PriorError, match="no study"):
        MetaSampler(url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_an_error_that_asks_for_the_study(url: str) -> None:
    with pytest.raises(PriorError, match="Pass the Study"):
        MetaSampler(url)


@pytest.mark.parametrize("url", ["postgresql+nodriver://a/b", "no-such-database://a/b"])
def test_a_url_that_nothing_can_open_is_an_error(url: str) -> None:
    with pytest.raises(PriorError, match="`prior`"):
        MetaSampler(url)


@pytest.mark.parametrize("prior", [3, {"a": 1}, [1, 2], object(), [[]], b"old.db"])
def test_what_cannot_be_a_source_is_an_error_that_lists_what_can(prior: object) -> None:
    with pytest.raises(TypeError, match="`prior` must be a storage URL"):
        MetaSampler(prior)  # type: ignore[arg-type]


def test_choosing_studies_without_a_storage_is_an_error(database: Path) -> None:
    with pytest.raises(ValueError, match="no storage"):
        MetaSampler(prior_studies="resnet-*")
    with pytest.raises(ValueError, match="must not be empty"):
        MetaSampler(database, prior_studies=[])
    with pytest.raises(TypeError, match="study name"):
        MetaSampler(database, prior_studies=[3])  # type: ignore[list-item]


def test_a_study_that_goes_away_after_the_start_costs_a_warning(database: Path) -> None:
    study = optuna.create_study(sampler=MetaSampler(database, seed=0))
    database.unlink()
    with pytest.warns(PriorWarning, match="A source of prior studies is left out: .*no file"):
        run(study, 2)
    assert len(study.trials) == 2


def test_every_error_of_a_source_is_an_error_of_the_package(tmp_path: Path) -> None:
    with pytest.raises(MetaSamplerError):
        MetaSampler(tmp_path / "nowhere.db")


def test_no_source_at_all_is_fine() -> None:
    assert resolve(None, None) == ()
    assert resolve([], None) == ()

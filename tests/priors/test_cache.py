"""The cache of large storages: right whenever it is used, and never in the way."""

from __future__ import annotations

import logging
import os
from pathlib import Path
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler._file_format import packed, unpacked
from optuna_metasampler.priors import cache
from optuna_metasampler.priors.archive import KEY, Archive
from optuna_metasampler.priors.cache import VARIABLE, cache_folder
from optuna_metasampler.priors.sources import read_priors, resolve
from optuna_metasampler.priors.study import PriorStudy


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache, which is worth while from the first trial on."""
    monkeypatch.setattr(cache, "_MIN_TRIALS", 1)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def two_studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("storage") / "two.db"
    for name in ("a", "b"):
        run(path, name)
    return path


@pytest.fixture
def database(two_studies: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(two_studies, tmp_path / "old.db"))


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0, 1)
    return x + trial.suggest_int("n", 1, 4) * trial.suggest_categorical("c", [True, 1.5])


def run(path: Path, name: str, n: int = 3) -> None:
    storage = RDBStorage(f"sqlite:///{path}")
    sampler = optuna.samplers.RandomSampler(seed=n)
    study = optuna.create_study(
        study_name=name, storage=storage, load_if_exists=True, sampler=sampler
    )
    study.optimize(objective, n_trials=n)
    storage.remove_session()
    storage.engine.dispose()


def read(path: Path, names: str | None = None) -> dict[str, PriorStudy]:
    studies = read_priors(path, names)
    return {study.name: study for study in studies}


def values(studies: dict[str, PriorStudy]) -> dict[str, list[float | None]]:
    return {name: [t.value for t in study.trials] for name, study in studies.items()}


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def test_the_second_reading_is_from_the_cache_and_the_same(folder: Path, database: Path) -> None:
    first = read(database)
    # The only way to see where it comes from: what is changed by hand is not noticed.
    change(database, "UPDATE trial_values SET value = 99")
    second = read(database)
    assert values(second) == values(first)
    for name, study in first.items():
        assert second[name].directions == study.directions
        assert [t.params for t in second[name].trials] == [t.params for t in study.trials]
        assert [t.distributions for t in second[name].trials] == [
            t.distributions for t in study.trials
        ]
    assert len(list(folder.iterdir())) == 1


def test_only_a_study_that_has_gone_on_is_read_again(folder: Path, database: Path) -> None:
    first = values(read(database))
    change(database, "UPDATE trial_values SET value = 99")
    run(database, "b", n=1)
    second = values(read(database))
    assert second["a"] == first["a"]
    assert second["b"][:3] == [99, 99, 99]
    assert len(second["b"]) == 4
    # And has been kept as it is now.
    change(database, "UPDATE trial_values SET value = 100")
    assert values(read(database)) == second


def test_a_new_study_of_an_old_name_is_read_again(folder: Path, database: Path) -> None:
    read(database)
    optuna.delete_study(study_name="b", storage=f"sqlite:///{database}")
    run(database, "b", n=3)
    change(database, "UPDATE trial_values SET value = 99")
    assert values(read(database))["b"] == [99, 99, 99]


def test_studies_that_are_not_asked_for_stay_in_the_cache(folder: Path, database: Path) -> None:
    first = values(read(database, "a"))
    read(database, "b")
    change(database, "UPDATE trial_values SET value = 99")
    both = values(read(database))
    assert both["a"] == first["a"]
    assert 99 not in both["b"]


def test_notes_about_a_study_are_those_of_now(folder: Path, database: Path) -> None:
    read(database)
    study = optuna.load_study(study_name="a", storage=f"sqlite:///{database}")
    study.set_user_attr("data", "iris")
    assert read(database)["a"].user_attrs == {"data": "iris"}


def test_running_trials_do_not_make_a_study_another(folder: Path, database: Path) -> None:
    first = values(read(database))
    optuna.load_study(study_name="a", storage=f"sqlite:///{database}").ask()
    change(database, "UPDATE trial_values SET value = 99")
    assert values(read(database)) == first


def test_a_log_is_read_again_only_when_it_has_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache, "_MIN_LOG_BYTES", 1)
    path = tmp_path / "old.log"
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(study_name="a", storage=storage)
    study.set_user_attr("data", "iris")
    optuna.create_study(study_name="b", storage=storage)
    study.optimize(objective, n_trials=3)
    caplog.set_level(logging.INFO)
    first = read(path, "a")
    assert "Wrote 2 prior studies" in caplog.text
    caplog.clear()
    second = read(path)
    assert "Read " not in caplog.text
    assert list(second) == ["a", "b"]
    assert second["a"].user_attrs == {"data": "iris"}
    assert [t.params for t in second["a"].trials] == [t.params for t in first["a"].trials]
    study.optimize(objective, n_trials=1)
    assert len(read(path)["a"].trials) == 4
    assert len(list(folder.iterdir())) == 1


def test_a_damaged_cache_is_made_again_with_a_log_line(
    folder: Path, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = values(read(database))
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert values(read(database)) == first
    assert "Rebuilding" in caplog.text
    assert len(Archive(path).entries()) == 2


@pytest.mark.parametrize("source", ["database", "log"])
def test_a_cache_of_the_wrong_content_is_made_again_with_a_log_line(
    folder: Path,
    database: Path,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its checksum is right: what wrote it was not this version of the package."""
    location = database
    if source == "log":
        monkeypatch.setattr(cache, "_MIN_LOG_BYTES", 1)
        location = database.with_suffix(".log")
        optuna.copy_study(
            from_study_name="a",
            from_storage=f"sqlite:///{database}",
            to_storage=JournalStorage(JournalFileBackend(str(location))),
        )
    first = values(read(location))
    (path,) = folder.iterdir()
    document, arrays = unpacked(path, KEY)
    wrong = {name: np.zeros(9, dtype=np.uint8) for name in arrays}
    path.write_bytes(packed(KEY, document, wrong))
    assert values(read(location)) == first
    assert "Rebuilding" in caplog.text
    assert len(Archive(path).read()) == len(first)


def test_a_cache_of_an_earlier_version_is_made_again(
    folder: Path, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read(database)
    (path,) = folder.iterdir()
    shutil.copy(Path(__file__).parents[1] / "data" / "archive_v1.metaprior", path)
    assert len(read(database)) == 2
    assert "Rebuilding" in caplog.text
    assert len(Archive(path).read()) == 2


def test_a_folder_that_cannot_be_written_costs_a_log_line_only(
    folder: Path, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_bytes(b"a file where the folder should be")
    assert len(read(database)) == 2
    (record,) = (r for r in caplog.records if r.levelno == logging.WARNING)
    assert "could not be cached" in record.message
    assert VARIABLE in record.message


def test_a_disk_without_room_costs_a_log_line_only(
    small_disk: Path,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(cache, "_MIN_TRIALS", 1)
    monkeypatch.setenv(VARIABLE, str(small_disk))
    (small_disk / "full").write_bytes(bytes(14 * 1024))
    assert len(read(database)) == 2
    assert "No space left" in caplog.text
    assert [path.name for path in small_disk.iterdir()] == ["full"]


def test_a_disk_that_is_read_only_costs_a_log_line_only(
    read_only_disk: Path,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(cache, "_MIN_TRIALS", 1)
    for folder in (read_only_disk, read_only_disk / "below"):
        caplog.clear()
        monkeypatch.setenv(VARIABLE, str(folder))
        assert len(read(database)) == 2
        assert "Read-only file system" in caplog.text


def test_it_can_be_switched_off(
    folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    read(database)
    change(database, "UPDATE trial_values SET value = 99")
    assert values(read(database))["a"] == [99, 99, 99]
    assert not folder.exists()


def test_a_small_storage_is_not_kept(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    read(database)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("location", ["{}", "sqlite:///{}"])
def test_a_storage_has_one_cache_whatever_it_is_called(
    folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    read(database)
    monkeypatch.chdir(database.parent)
    list(resolve(location.format(database.name), None)[0]())
    (path,) = folder.iterdir()
    assert Archive(path).load().origin == str(database)


def test_leftovers_of_killed_writers_are_removed_after_a_day(folder: Path, database: Path) -> None:
    folder.mkdir()
    old, new = (folder / f".{name}.metaprior.0.tmp" for name in ("old", "new"))
    old.touch()
    new.touch()

    os.utime(old, (0, 0))
    read(database)
    assert new.exists()
    assert not old.exists()


def test_suggestions_are_the_same_from_storage_cache_and_archive(
    folder: Path, database: Path, tmp_path: Path
) -> None:
    archive = Archive.write(tmp_path / "old.metaprior", list(read(database).values()))
    (kept,) = folder.iterdir()
    kept.unlink()

    def suggested(prior: object) -> list[dict[str, object]]:
        sampler = MetaSampler(prior, seed=0)  # type: ignore[arg-type]
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=3)
        return [t.params for t in study.trials]

    from_storage = suggested(database)
    assert len(list(folder.iterdir())) == 1
    assert suggested(database) == from_storage
    assert suggested(archive) == from_storage
    assert suggested(str(archive.path)) == from_storage


READER = """
import sys
import optuna
from optuna_metasampler.priors import cache
from optuna_metasampler.priors.sources import read_priors, resolve

cache._MIN_TRIALS = 1
optuna.logging.set_verbosity(optuna.logging.WARNING)
studies = read_priors(sys.argv[1])
print([len(s.trials) for s in studies])
"""


def test_processes_that_start_at_once_all_read_right(folder: Path, database: Path) -> None:
    command = [sys.executable, "-c", READER, str(database)]
    readers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for reader in readers:
        out, err = reader.communicate()
        assert (reader.returncode, out.strip(), err) == (0, "[3, 3]", "")
    (path,) = folder.iterdir()
    assert [e.n_trials for e in Archive(path).entries()] == [3, 3]


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "/home/me/.cache/optuna-metasampler"),
        ("linux", {"XDG_CACHE_HOME": "/scratch"}, "/scratch/optuna-metasampler"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/optuna-metasampler"),
        ("darwin", {}, "/home/me/Library/Caches/optuna-metasampler"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/optuna-metasampler"),
        ("linux", {VARIABLE: "~/mine", "XDG_CACHE_HOME": "/scratch"}, "/home/me/mine"),
        ("linux", {VARIABLE: "OFF"}, None),
    ],
)
def test_the_folder_is_the_one_that_the_system_has_for_caches(
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    variables: dict[str, str],
    expected: str | None,
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    for name in (VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == (Path(expected) if expected else None)

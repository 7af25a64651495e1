"""`optuna-metasampler explain`."""

from __future__ import annotations

from contextlib import closing
import hashlib
import json
from pathlib import Path
import shutil
import sqlite3
import subprocess
import sys

from click.testing import CliRunner, Result
import optuna
from optuna.storages.journal import JournalFileBackend
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.cli import main
from optuna_metasampler.priors.origin import ORIGIN
from optuna_metasampler.shipped import title
from tests.studies import random_study, sqlite


def objective(trial: optuna.Trial) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return (x - 0.3) ** 2 + 0.1 * y


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prior studies in `old.db`, and the study that used them in `new.db` and `new.log`."""
    path = tmp_path_factory.mktemp("storages")
    journal = optuna.storages.JournalStorage(JournalFileBackend(str(path / "new.log")))
    with sqlite(path / "old.db") as old, sqlite(path / "new.db") as new:
        for i in range(2):
            random_study(objective, 12, i, f"old-{i}", old)
        for storage in (new, journal):
            sampler = MetaSampler(str(path / "old.db"), seed=0)
            study = optuna.create_study(study_name="now", storage=storage, sampler=sampler)
            study.optimize(objective, n_trials=8)
            study.ask()
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


def contents(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", ["new.db", "new.log"])
def test_a_study_is_explained_and_only_read(folder: Path, name: str) -> None:
    before = contents(folder)
    result = run(folder / name, "now", "--prior", folder / "old.db")
    assert result.exit_code == 0, result.output
    assert "now: 9 trials, minimize" in result.output
    assert "Transfer weight" in result.output
    assert "Most important: x" in result.output
    assert max(map(len, result.output.splitlines())) <= 80
    assert contents(folder) == before


def change_origin(path: Path, origin: object) -> None:
    """Change what the trials of a storage say of the prior studies, or take it away."""
    with closing(sqlite3.connect(path)) as database:
        where = f"FROM trial_system_attributes WHERE key = '{ORIGIN}'"
        assert database.execute(f"SELECT count(*) {where}").fetchone() == (1,)
        if origin is None:
            database.execute(f"DELETE {where}")
        else:
            database.execute(
                f"UPDATE trial_system_attributes SET value_json = ? WHERE key = '{ORIGIN}'",
                [json.dumps(origin)],
            )
        database.commit()


def test_the_prior_studies_that_a_study_was_run_with_are_found(folder: Path) -> None:
    result = run(folder / "new.db", "--json")
    assert result.exit_code == 0, result.output
    assert all(p["n_trials"] == 12 for p in json.loads(result.output)["priors"])


@pytest.mark.parametrize(
    ("sampler", "used"),
    [
        (MetaSampler(learner="lightgbm", seed=0), [title("lightgbm")]),
        (MetaSampler(seed=0), [title("lightgbm")]),
        (MetaSampler(learner=None, seed=0), []),
        (optuna.samplers.TPESampler(seed=0), []),
    ],
)
def test_what_is_shipped_counts_where_the_study_was_run_with_it(
    tmp_path: Path, sampler: optuna.samplers.BaseSampler, used: list[str]
) -> None:
    with sqlite(tmp_path / "new.db") as storage:
        study = optuna.create_study(storage=storage, study_name="new", sampler=sampler)
        study.optimize(
            lambda t: (
                t.suggest_float("learning_rate", 1e-3, 0.5, log=True)
                + t.suggest_int("num_leaves", 4, 64) / 64
            ),
            n_trials=6,
        )
    result = run(tmp_path / "new.db", "--json")
    assert result.exit_code == 0, result.output
    assert [p["name"] for p in json.loads(result.output)["priors"]] == used


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"prior": ["gone.db"]}, "gone.db, which is not used"),
        ({"prior": ["postgresql://u@host/db"]}, "postgresql://u@host/db. Pass it as --prior"),
        ({"prior": [3]}, "Pass it as --prior"),
        ({"prior": ["gone.db"], "rename": "x"}, "which is not used"),
    ],
)
def test_prior_studies_that_cannot_be_found_are_named_and_not_used(
    folder: Path, tmp_path: Path, origin: object, message: str
) -> None:
    shutil.copy(folder / "new.db", tmp_path)
    change_origin(tmp_path / "new.db", origin)
    result = run(tmp_path / "new.db")
    assert result.exit_code == 0, result.output
    assert message in " ".join(result.output.split())
    assert "now: 9 trials" in result.output


def test_without_priors_the_trial_records_are_reported(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "new.db", tmp_path)
    change_origin(tmp_path / "new.db", None)
    result = run(f"sqlite:///{tmp_path}/new.db", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert {p["name"] for p in document["priors"]} == {"old-0", "old-1"}
    n = len(document["weights_at"])
    assert n >= 7
    assert all(len(p["weights"]) == n for p in document["priors"])
    assert any("does not have now (old-" in w for w in document["warnings"])
    assert document["objectives"][0]["calibration"]["accuracy"]["n_trials"] == 6
    assert document["objectives"][0]["gain"] is None


def test_the_document_is_json_to_the_letter(folder: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    result = run(folder / "new.db", "now", "--prior", folder / "old.db", "--json")
    document = json.loads(result.output, parse_constant=refuse)
    assert document["version"] == 1
    assert document["study"] == "now"
    assert document["states"] == {"complete": 8, "running": 1}


def test_which_priors_is_a_matter_of_options(folder: Path) -> None:
    result = run(
        *(folder / "new.db", "now", "--prior", folder / "old.db"),
        *("--studies", "old-1", "--rename", "y=z", "--json"),
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    at_hand = {p["name"]: p["shared"] for p in document["priors"] if p["n_trials"]}
    assert at_hand == {"old-1": ["x"]}


def test_assumed_values_are_options(folder: Path) -> None:
    result = run(
        # As it was written before.
        *("--storage", folder / "new.db", "--study", "now", "--prior", folder / "old.db"),
        *("--rename", "y=z", "--prior-fixed", "y=9", "--fixed", "z=0.5", "--json"),
    )
    assert result.exit_code == 0, result.output
    used = [p for p in json.loads(result.output)["priors"] if p["n_trials"]]
    assert [p["fixed_here"] for p in used] == [{"z": 0.5}] * 2


def test_the_page_is_written_once(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "now.html"
    arguments = (folder / "new.db", "--html", page)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert f"Wrote {page}." in " ".join(result.output.split("\n"))
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    page.write_text("mine", encoding="utf-8")
    result = run(*arguments)
    assert result.exit_code == 2
    assert "--force" in result.output
    assert page.read_text(encoding="utf-8") == "mine"
    assert run(*arguments, "--force", "--json").exit_code == 0
    assert page.read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.db"], 1, "LOCATION names 'nowhere.db', but"),
        (["{}/new.db", "then"], 1, "Studies: 'now'."),
        (["{}/old.db"], 1, "STUDY must be named"),
        (
            ["{}/new.db", "--prior", "nowhere.db"],
            1,
            "--prior names 'nowhere.db', but",
        ),
        (["{}/new.db", "--studies", "a"], 2, "requires --prior"),
        (["{}/new.db", "--rename", "a"], 2, "must be OLD=NEW"),
        (
            ["{}/new.db", "--html", "{}/nowhere/a.html"],
            1,
            "No such file",
        ),
        ([], 2, "Missing argument 'LOCATION'"),
        (["sqlite:///:memory:"], 1, "a database in memory"),
    ],
)
def test_wrong_usage_is_an_error_of_one_line(
    folder: Path, arguments: list[str], code: int, message: str
) -> None:
    result = run(*(a.format(folder) for a in arguments))
    assert result.exit_code == code, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_it_works_in_a_process_of_its_own(folder: Path) -> None:
    result = subprocess.run(
        [
            *(sys.executable, "-m", "optuna_metasampler", "explain"),
            *(folder / "new.db", "--prior", folder / "old.db"),
        ],
        capture_output=True,
        check=False,
        # Not every terminal has the characters of a sparkline.
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(b"now: 9 trials")
    assert b"old-0" in result.stdout


def test_one_trial_is_explained(folder: Path) -> None:
    said = run(folder / "new.db", "--trial", 1)
    assert said.exit_code == 0, said.output
    assert said.output.startswith("Trial 1 of now: ")
    assert "Probe: away from the best prior configurations" in said.output
    as_json = json.loads(run(folder / "new.db", "--trial", 1, "--json").output)
    assert as_json["phase"] == "probe"
    assert as_json["nearest"]["study"] in {"old-0", "old-1"}


def test_a_trial_that_does_not_exist_and_a_page_of_one_trial_are_wrong_usage(
    folder: Path, tmp_path: Path
) -> None:
    for arguments in (["--trial", 99], ["--trial", 1, "--html", tmp_path / "page.html"]):
        result = run(folder / "new.db", *arguments)
        assert result.exit_code == 2
        assert "trial" in result.output


def test_the_method_is_that_of_the_run(tmp_path: Path) -> None:
    with sqlite(tmp_path / "old.db") as old, sqlite(tmp_path / "new.db") as new:
        random_study(objective, 12, 0, "old", old)
        sampler = MetaSampler(str(tmp_path / "old.db"), method="gp", seed=0)
        study = optuna.create_study(study_name="now", storage=new, sampler=sampler)
        study.optimize(objective, n_trials=3)
        said = str(sampler.report(study))
    for given in ([], ["--prior", tmp_path / "old.db"]):
        assert run(tmp_path / "new.db", *given).output == f"{said}\n"

"""`optuna-metasampler fit`."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
import pytest

from optuna_metasampler.checkpoint import Checkpoint
from optuna_metasampler.cli import main
from tests.studies import random_study, sqlite


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("storage") / "old.db"
    with sqlite(path) as storage:
        for seed, name in enumerate(["xgb-0", "xgb-1", "xgb-2", "xgb-3", "svm"]):
            random_study(
                lambda t: (t.suggest_float("x", -1, 1) - 0.2) ** 2, 8, seed, name, storage
            )
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["fit", *map(str, arguments)])


def test_a_file_is_written_that_the_sampler_reads(database: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    result = run("--prior", f"sqlite:///{database}", "--studies", "xgb-*", "--out", out)
    assert result.exit_code == 0, result.output
    assert "learned from 4 studies with 32 trials" in result.output
    assert Checkpoint.read(out).header.n_studies == 4


def test_the_json_document_has_the_same_content(database: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    result = run("--prior", database, "--out", out, "--seed", 3, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert document["n_trials"] == 40
    assert document["seed"] == 3
    assert document["finished"] is True


def test_what_prior_studies_held_constant_is_an_option(database: Path, tmp_path: Path) -> None:
    held = run(
        "--prior", database, "--out", tmp_path / "a.safetensors", "--prior-fixed", "depth=3"
    )
    assert held.exit_code == 0, held.output
    wrong = run(
        "--prior", database, "--out", tmp_path / "b.safetensors", "--prior-fixed", "x=high"
    )
    assert wrong.exit_code == 2
    assert "'high'" in wrong.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--prior", "nowhere.db"], 1, "nowhere.db"),
        (["--studies", "no-such-*"], 1, "no-such-"),
        (["--method", "of-tomorrow"], 2, "of-tomorrow"),
        (["--option", "unheard=1"], 2, "unheard"),
        (["--option", "novalue"], 2, "NAME=VALUE"),
        (["--device", "cuda:99"], 2, "cuda:99"),
        (["--resume"], 2, "does not exist"),
    ],
)
def test_wrong_usage_is_an_error_of_one_line(
    database: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    prior = [] if "--prior" in arguments else ["--prior", database]
    result = run(*prior, *arguments, "--out", tmp_path / "model.safetensors")
    assert result.exit_code == code, result.output
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "model.safetensors").exists()


def test_an_existing_file_is_replaced_only_by_force(database: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.safetensors"
    out.write_text("mine")
    result = run("--prior", database, "--out", out)
    assert result.exit_code == 2
    assert "--force" in result.output
    assert out.read_text() == "mine"
    assert run("--prior", database, "--out", out, "--force").exit_code == 0
    assert Checkpoint.read(out).header.n_studies == 5

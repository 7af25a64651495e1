"""`optuna-metasampler archive`."""

from __future__ import annotations

import json
from pathlib import Path
import subprocess
import sys

from click.testing import CliRunner, Result
import pytest

from optuna_metasampler import Archive
from optuna_metasampler.cli import main
from tests.priors.studies import study


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return Archive.write(tmp_path / "old.metaprior", [study("a"), study("b")], None, "home").path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["archive", *map(str, arguments)])


def test_an_archive_is_built_listed_and_verified(written: Path) -> None:
    out = written.with_name("new.metaprior")
    result = run("build", written, "--studies", "b", "-o", out)
    assert result.exit_code == 0, result.output
    assert "1 study with 4 finished trials" in result.output
    assert [e.name for e in Archive(out).entries()] == ["b"]
    listed = run("list", written, out)
    assert listed.exit_code == 0
    assert "from home" in listed.output
    assert [line.split()[0] for line in listed.output.splitlines()[2:4]] == ["a", "b"]
    verified = run("verify", written, out)
    assert verified.exit_code == 0
    assert verified.output.count(": ok, ") == 2


def test_the_json_documents_have_the_same_content(written: Path) -> None:
    out = written.with_name("new.metaprior")
    built = json.loads(run("build", written, "-o", out, "--json").output)
    assert built == {
        "path": str(out),
        "studies": 2,
        "trials": 8,
        "bytes": out.stat().st_size,
    }
    (listed,) = json.loads(run("list", out, "--json").output)
    assert [s["study"] for s in listed["studies"]] == ["a", "b"]
    assert json.loads(run("verify", out, "--json").output) == [
        {"path": str(out), "ok": True, "studies": 2, "trials": 8}
    ]


def test_verify_finds_a_damaged_archive(written: Path) -> None:
    damaged = written.with_name("damaged.metaprior")
    damaged.write_bytes(written.read_bytes()[:-1])
    result = run("verify", written, damaged, written.with_name("missing"))
    assert result.exit_code == 1
    assert "old.metaprior: ok" in result.output
    assert "damaged.metaprior cannot be read" in result.output
    assert "no file" in result.output
    document = json.loads(run("verify", written, damaged, "--json").stdout)
    assert [each["ok"] for each in document] == [True, False]
    assert run("list", damaged).exit_code == 1
    assert run("build", damaged, "-o", written.with_name("new")).exit_code == 1
    assert not written.with_name("new").exists()


def test_a_file_that_exists_is_replaced_only_by_force(written: Path) -> None:
    before = written.read_bytes()
    result = run("build", written, "--studies", "a", "-o", written)
    assert result.exit_code == 2
    assert "--force" in result.output
    assert written.read_bytes() == before
    assert run("build", written, "--studies", "a", "-o", written, "--force").exit_code == 0
    assert len(Archive(written).entries()) == 1


def test_a_place_that_cannot_be_written_is_an_error(written: Path) -> None:
    result = run("build", written, "-o", written / "below a file.metaprior")
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert "Traceback" not in result.output


def test_the_cache_is_listed(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "disabled" in run("list").output
    monkeypatch.setenv("METASAMPLER_CACHE", str(written.parent))
    written.with_name("damaged.metaprior").write_bytes(b"")
    result = run("list")
    assert result.exit_code == 0
    assert "will be rebuilt" in result.output
    assert [line.split()[0] for line in result.output.splitlines()[3:]] == ["home"]
    assert len(json.loads(run("list", "--json").output)["archives"]) == 2


@pytest.mark.parametrize("arguments", [["build"], ["verify"], ["build", "x"], ["burn"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("command", ["build", "list", "verify"])
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.output


def test_a_real_process_ends_as_it_should(written: Path) -> None:
    command = [sys.executable, "-m", "optuna_metasampler", "archive", "verify", str(written)]
    whole = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert "2 studies, 8 trials" in whole.stdout
    written.write_bytes(written.read_bytes()[:-1])
    cut = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (cut.returncode, cut.stdout) == (1, "")
    assert "cannot be read" in cut.stderr
    assert "Traceback" not in cut.stderr

"""The README is correct: its numbers are the measured ones, and its code runs."""

from __future__ import annotations

from pathlib import Path
import re
import shlex

from click.testing import CliRunner
import optuna
import pytest

from benchmarks.report import blocks, filled, read_summary
from optuna_metasampler import Archive
from optuna_metasampler.cli import main


README = Path(__file__).parents[1] / "README.md"


def test_the_numbers_are_those_of_the_result_files() -> None:
    text = README.read_text(encoding="utf-8")
    assert filled(text, blocks(read_summary())) == text


def test_the_code_runs_from_an_old_storage_to_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def train_and_validate(lr: float, depth: int) -> float:
        return abs(lr - 0.01) + abs(depth - 5)

    old = optuna.create_study(study_name="an earlier study", storage="sqlite:///old.db")
    old.optimize(
        lambda t: train_and_validate(
            t.suggest_float("lr", 1e-5, 1e-1, log=True), t.suggest_int("depth", 2, 12)
        ),
        n_trials=15,
    )
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "runs.csv").write_text(
        "data set,learning rate,layers,test accuracy\ncats,0.1,2,0.5\ncats,0.001,3,0.7\n"
    )
    assert len(blocks) == 3
    names: dict[str, object] = {"train_and_validate": train_and_validate}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    printed = capsys.readouterr().out
    assert "prior study       trials  shared  used" in printed
    assert printed.count("an earlier study") == 2
    example = [line for line in blocks[0].splitlines() if line.strip()]
    assert len(example) <= 12


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("old", "new"):
        study = optuna.create_study(study_name=name, storage="sqlite:///old.db")
        study.optimize(lambda t: t.suggest_float("lr", 0, 1), n_trials=2)
    Path("runs.csv").write_text("lr,layers,val_loss\n0.1,2,0.5\n0.001,3,0.4\n", encoding="utf-8")
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^optuna-metasampler (.*?)(?:#.*)?$", text, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        result = CliRunner().invoke(main, shlex.split(command))
        assert result.exit_code == 0, f"{command}: {result.output}"
    assert {e.name for e in Archive("old.metaprior").entries()} == {"old", "new", "runs"}

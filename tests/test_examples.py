"""The examples run without a warning, and print a result."""

from __future__ import annotations

from pathlib import Path
import runpy
import subprocess
import sys

import pytest


EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
# Its workers are processes, which import the main module.
WITH_PROCESSES = ("08_many_machines",)

# Run where they are installed.
NEEDS = {"10_lightgbm": ("lightgbm",), "11_xgboost": ("xgboost",)}


@pytest.mark.parametrize(
    "path", [p for p in EXAMPLES if p.stem not in WITH_PROCESSES], ids=lambda p: p.stem
)
def test_the_example_runs_without_a_warning(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for needed in NEEDS.get(path.stem, ()):
        pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path)])
    # Warnings are errors.
    runpy.run_path(str(path), run_name="__main__")
    assert "best of" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WITH_PROCESSES)
def test_the_example_with_processes_runs_without_a_warning(name: str, tmp_path: Path) -> None:
    (path,) = (p for p in EXAMPLES if p.stem == name)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "best of" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_there_are_examples() -> None:
    assert EXAMPLES

"""Targets install what they need, once; a program that only takes notes stands in for Python."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess
import time

import pytest

from tests.pages import ROOT


STUB = """#!/bin/sh
echo "$@" >> "{log}"
[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cp "{stub}" "$3/bin/python"
exit {status}
"""


class Checkout:
    """The Makefile in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.stub = folder, folder / "log", folder / "python"
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)
            os.utime(folder / name, (time.time() - 60,) * 2)
        self.let_python_exit_with(0)

    def let_python_exit_with(self, status: int) -> None:
        self.stub.write_text(STUB.format(log=self.log, stub=self.stub, status=status))
        self.stub.chmod(0o755)

    def make(self, target: str) -> list[str]:
        """What Python was called with; nothing of calls before."""
        self.log.write_text("")
        words = ["make", target, f"PYTHON={self.stub}", f"VENV={self.folder / 'venv'}"]
        self.status = subprocess.run(words, cwd=self.folder, check=False).returncode
        return self.log.read_text().splitlines()


def installs(calls: list[str]) -> list[str]:
    return [call.partition(" -e ")[2].split()[0] for call in calls if "pip install" in call]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.any_optuna
@pytest.mark.parametrize("target", ["demo", "bench-quick"])
def test_the_demo_and_the_quick_comparison_install_little_and_that_once(
    checkout: Checkout, target: str
) -> None:
    assert installs(checkout.make(target)) == [".[demo]"]
    assert installs(checkout.make(target)) == []


@pytest.mark.any_optuna
def test_where_everything_is_installed_the_demo_installs_nothing(checkout: Checkout) -> None:
    assert installs(checkout.make("types")) == [".[dev]"]
    assert installs(checkout.make("demo")) == []


@pytest.mark.any_optuna
def test_other_requirements_are_installed_anew(checkout: Checkout) -> None:
    checkout.make("types")
    checkout.make("demo")
    later = time.time() + 60
    os.utime(checkout.folder / "pyproject.toml", (later, later))
    assert installs(checkout.make("demo")) == [".[demo]"]


@pytest.mark.any_optuna
def test_an_installation_that_fails_is_tried_again(checkout: Checkout) -> None:
    (checkout.folder / "venv" / "bin").mkdir(parents=True)
    checkout.let_python_exit_with(1)
    checkout.make("demo")
    assert checkout.status != 0
    checkout.let_python_exit_with(0)
    assert installs(checkout.make("demo")) == [".[demo]"]

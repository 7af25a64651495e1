"""An installed wheel, as opposed to the checkout."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys
import zipfile

import pytest


_ROOT = Path(__file__).parent.parent
_MOST_BYTES_OF_BUILTIN = 4_000_000

_PROGRAM = """
import logging
from pathlib import Path
import sys

import optuna
import optuna_metasampler
from optuna_metasampler.builtin.origin import origins

assert Path(optuna_metasampler.__file__).is_relative_to(sys.argv[1]), optuna_metasampler.__file__
optuna.logging.set_verbosity(logging.ERROR)
for learner in origins():
    sampler = optuna_metasampler.MetaSampler(learner=learner, seed=0)
    study = optuna.create_study(sampler=sampler)
    trial = study.ask()
    trial.suggest_float("learning_rate", 1e-3, 1.0, log=True)
    study.tell(trial, 1.0)
    trial = study.ask()
    print(learner, trial.suggest_float("learning_rate", 1e-3, 1.0, log=True))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel was unpacked into."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_has_the_files_that_a_checkout_has(installed: Path) -> None:
    package = _ROOT / "optuna_metasampler"
    there = {p.relative_to(package) for p in package.rglob("*") if p.is_file()}
    there = {p for p in there if "__pycache__" not in p.parts}
    unpacked = installed / "optuna_metasampler"
    assert {p.relative_to(unpacked) for p in unpacked.rglob("*") if p.is_file()} == there


def test_what_is_shipped_is_small(installed: Path) -> None:
    builtin = installed / "optuna_metasampler" / "builtin"
    size = sum(p.stat().st_size for p in builtin.iterdir() if p.is_file())
    assert 0 < size <= _MOST_BYTES_OF_BUILTIN


def test_an_installed_wheel_starts_warm(installed: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(installed)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert {line.split()[0] for line in result.stdout.splitlines()} >= {"lightgbm", "xgboost"}

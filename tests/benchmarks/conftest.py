"""A small suite of tables that tests can read in an instant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.problems.tables import FolderSuite


N_TASKS, N_ROWS = 7, 150


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven related tasks over a mixed, conditional space, in the form of the tables."""
    root = tmp_path_factory.mktemp("tables")
    return write_suite(root, "toy")


@pytest.fixture(scope="session")
def suite(folder: Path) -> FolderSuite:
    """The suite in that folder."""
    return FolderSuite(folder)


def write_suite(root: Path, name: str, complete_grid: bool | None = None) -> Path:
    """A suite with a child that is listed before its parent, to be minimised."""
    folder = root / name
    folder.mkdir()
    params: list[dict[str, Any]] = [
        {"name": "momentum", "type": "float", "low": 0.0, "high": 1.0, "log": False},
        {"name": "lr", "type": "float", "low": 1e-4, "high": 1.0, "log": True},
        {"name": "units", "type": "int", "low": 4, "high": 40, "log": False},
        {"name": "solver", "type": "categorical", "low": None, "high": None, "log": False},
    ]
    for param in params:
        param |= {"step": None, "choices": None}
    params[-1]["choices"] = ["sgd", "adam", "lbfgs"]
    generator = np.random.default_rng(0)
    tasks = [f"task{i}" for i in range(N_TASKS)]
    stats = {}
    for i, task in enumerate(tasks):
        solver = generator.integers(3, size=N_ROWS)
        momentum = np.where(solver == 0, generator.uniform(size=N_ROWS), np.nan)
        lr = 10 ** generator.uniform(-4, 0, N_ROWS)
        units = generator.integers(4, 41, N_ROWS)
        y = (
            (np.log10(lr) + 2.0 + 0.1 * i) ** 2
            + ((units - 30) / 36) ** 2
            + np.where(solver == 0, np.abs(np.nan_to_num(momentum) - 0.7), 0.5)
        )
        x = np.stack([momentum, lr, units, solver], axis=1)
        np.savez(folder / f"{task}.npz", X=x, y=y)
        stats[task] = {"file": f"{task}.npz"}
    space: dict[str, Any] = {
        "name": name,
        "direction": "minimize",
        "params": params,
        "conditions": [{"child": "momentum", "parent": "solver", "values": ["sgd"]}],
        "tasks": tasks,
        "task_stats": stats,
    }
    if complete_grid is not None:
        space["complete_grid"] = complete_grid
    (folder / "space.json").write_text(json.dumps(space), encoding="utf-8")
    return folder


# What holds the committed figures and their statistics together. The benchmarks themselves are
# tried by those tests that may take long.
_QUICK = (
    "test_comparison",
    "test_experiments",
    "test_markdown",
    "test_problems",
    "test_records",
    "test_report",
    "test_runner",
    "test_statistics",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave runs of the benchmarks out of what every change waits for."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem not in _QUICK:
            item.add_marker(pytest.mark.slow)

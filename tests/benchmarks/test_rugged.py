"""Smooth and rugged objectives, and suggestions at a bound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
import pytest

from benchmarks.experiments import rugged
from benchmarks.problems.base import Parameter, random_params
from benchmarks.problems.optimizers import LiveOptimizers
from benchmarks.problems.tables import FolderSuite, NearestRows


SPACE = (
    Parameter("rate", FloatDistribution(1e-8, 10.0, log=True)),
    Parameter("depth", IntDistribution(1, 9)),
    Parameter("kind", CategoricalDistribution(["a", "b"])),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A suite of one task with 2,000 rows of one parameter."""
    space = {
        "name": "made",
        "direction": "minimize",
        "params": [
            {"name": "x", "type": "float", "low": 0.0, "high": 1.0, "log": False, "step": None}
        ],
        "tasks": ["only"],
        "task_stats": {"only": {"file": "only.npz"}},
    }
    (tmp_path / "space.json").write_text(json.dumps(space), encoding="utf-8")
    x = np.random.default_rng(0).uniform(size=(2000, 1))
    np.savez(tmp_path / "only.npz", X=x, y=np.sin(20 * x[:, 0]))
    return tmp_path


def test_the_nearest_of_few_rows_answers_on_a_rugged_table(folder: Path) -> None:
    smooth, steps = FolderSuite(folder), NearestRows(folder)
    rows, values = steps.rows("only")
    assert (len(rows), steps.name) == (900, "nearest_made")
    assert {tuple(r) for r in rows} <= {tuple(r) for r in smooth.rows("only")[0]}
    point = float(rows[7, 0])
    assert steps.objective("only")({"x": point}) == values[7]
    assert steps.objective("only")({"x": point + 1e-9}) == values[7]
    scale = steps.scale("only")
    assert scale is not None
    assert scale.best == values.min()


def test_numbers_at_an_end_of_their_range_are_counted_on_their_own_scale() -> None:
    asked = [
        {"rate": 1e-8, "depth": 9, "kind": "a"},
        {"rate": 1e-4, "depth": 1, "kind": "b"},
        {"rate": 0.1, "depth": 5},
    ]
    assert rugged._share_at_bound(SPACE, asked) == 0.5
    assert rugged._share_at_bound(SPACE, []) is None
    assert rugged._share_at_bound(SPACE[2:], asked) is None


def test_regret_counts_from_the_best_run_where_no_best_value_is_known() -> None:
    def record(peer: str, loss: float) -> dict[str, object]:
        return {
            "suite": LiveOptimizers.name,
            "task": "sequences-0",
            "seed": 0,
            "peer": peer,
            "losses": [1.0, loss],
            "best": None,
            "median": 1.0,
            "at_bound": 0.25,
            "best_at_bound": None,
        }

    summary = rugged.summarize([record("MetaSampler", 0.1), record("TPE", 0.0)])
    row = next(r for r in summary["rows"] if r["suite"] == LiveOptimizers.name)
    assert row["means"]["MetaSampler"] == pytest.approx(-0.5)
    assert row["means"]["TPE"] == pytest.approx(-1.5)
    assert row["at_bound"]["TPE"] == 0.25


def test_training_is_the_same_every_time_and_diverges_in_part_of_the_space() -> None:
    suite = LiveOptimizers()
    objective, generator = suite.objective(suite.tasks[0]), np.random.default_rng(0)
    points = [random_params(suite.parameters, generator) for _ in range(30)]
    losses = [objective(p) for p in points]
    assert [objective(p) for p in points[:3]] == losses[:3]
    assert max(losses) <= 10.0
    assert min(losses) < 0.6 < np.median(losses)

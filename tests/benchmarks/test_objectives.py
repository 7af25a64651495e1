"""The benchmark of several objectives."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
import numpy as np
import optuna
import pytest

from benchmarks.objectives import (
    GRID,
    PROBLEMS,
    RESULTS,
    difference,
    front,
    main,
    missing,
    run,
    table,
    volumes,
)


def on_the_front(name: str, n: int) -> np.ndarray:
    """Points of the unit cube on the Pareto set of a function."""
    t = np.linspace(0, 1, n)
    if name.startswith("ZDT"):
        return np.column_stack([t, np.zeros((n, 5))])
    # From one of the two optima to the other.
    return np.repeat((0.5 + (2 * t - 1) / 8)[:, None], 4, axis=1)


@pytest.mark.parametrize("name", ["ZDT1", "ZDT2", "ZDT3", "VLMOP2"])
def test_the_best_known_volume_is_that_of_the_front(name: str) -> None:
    problem = PROBLEMS[name]
    values = []
    for u in on_the_front(name, 300):
        trial = optuna.trial.FixedTrial({f"x{i}": float(v) for i, v in enumerate(u)})
        values.append(problem.objective(trial))  # type: ignore[arg-type]
    padded = [*values, *[values[-1]] * (-len(values) % GRID[-1])][: len(values)]
    points = front(padded)
    # Few points at a time: the curve ends at the last trial of the grid.
    step = max(1, -(-len(points) // GRID[-1]))
    kept = points[::step]
    got = volumes([*kept, *[kept[-1]] * (GRID[-1] - len(kept))], problem.corner)[-1]
    assert problem.best is not None
    assert 0.97 * problem.best < got <= problem.best


def test_a_shifted_problem_has_its_optimum_elsewhere() -> None:
    problem = PROBLEMS["ZDT1"]
    trial = optuna.trial.FixedTrial(dict.fromkeys([f"x{i}" for i in range(6)], 0.0))
    own, other = problem.objective(trial), problem.relative(0, 0)(trial)  # type: ignore[arg-type]
    assert own == (0.0, 1.0)
    assert other != own
    assert other == problem.relative(0, 0)(trial)  # type: ignore[arg-type]
    assert other != problem.relative(1, 0)(trial)  # type: ignore[arg-type]


def test_volumes_grow_with_the_trials() -> None:
    study = run(PROBLEMS["vehicle"].objective, 3, optuna.samplers.RandomSampler(seed=0), 60)
    curve = volumes([t.values for t in study.trials], PROBLEMS["vehicle"].corner)
    assert len(curve) == len(GRID)
    assert 0 < curve[0] <= curve[-1] < 246.8161
    assert curve == sorted(curve)


def test_differences_are_paired_by_problem_and_seed() -> None:
    gaps = {
        (peer, "ZDT1", seed): np.full(2, value - seed)
        for peer, value in (("a", -2.0), ("b", -1.5))
        for seed in range(3)
    }
    found = difference(gaps, "a", "b", ["ZDT1"])
    assert found is not None
    assert found[:3] == pytest.approx((-0.5, -0.5, -0.5))
    assert found[3] == "3 of 3"
    assert difference(gaps, "a", "b", ["ZDT2"]) is None


def test_a_run_is_resumed_and_ends_in_a_table(tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    command = ["--seeds", "1", "--problem", "ZDT1", "--peer", "NSGA-II", "--out", str(out)]
    first = CliRunner().invoke(main, command, catch_exceptions=False)
    written = out.read_text(encoding="utf-8")
    again = CliRunner().invoke(main, command, catch_exceptions=False)
    assert out.read_text(encoding="utf-8") == written
    assert "| NSGA-II |" in first.output
    assert "| NSGA-II |" in again.output


def test_the_committed_result_can_be_read() -> None:
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    gaps = missing(result)
    assert all(np.isfinite(curve).all() and curve.max() <= 0 for curve in gaps.values())
    assert "| MetaSampler |" in table(result)

"""Two and three objectives."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from benchmarks.experiments.objectives import (
    FLOOR,
    GRID,
    compared,
    front,
    missing,
    study_of,
    summarize,
    volumes,
)
from benchmarks.problems.multi_objective import PROBLEMS
from benchmarks.samplers import COLD, TPE


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
    study = study_of(PROBLEMS["vehicle"].objective, 3, optuna.samplers.RandomSampler(seed=0))
    curve = volumes([t.values for t in study.trials], PROBLEMS["vehicle"].corner)
    assert len(curve) == len(GRID)
    assert 0 < curve[0] <= curve[-1] < 246.8161
    assert curve == sorted(curve)


def test_differences_are_paired_by_problem_and_seed() -> None:
    found = {
        peer: {("ZDT1", seed): np.full(2, value - seed) for seed in range(3)}
        for peer, value in (("a", -2.0), ("b", -1.5))
    }
    row = compared(found, "a", "b", ["ZDT1"])
    assert row is not None
    assert row["difference"] == pytest.approx((-0.5, -0.5, -0.5))
    assert (row["n_better"], row["n_pairs"]) == (3, 3)
    assert compared(found, "a", "b", ["ZDT2"]) is None


def test_the_best_volume_of_a_problem_without_one_is_that_of_all_fronts() -> None:
    def record(peer: str, values: list[list[float]], volume: float) -> dict[str, object]:
        key = {"problem": "forest", "seed": 0, "peer": peer}
        return {**key, "volume": [volume] * len(GRID), "seconds": 1.0, "front": front(values)}

    # The corner is (2, 5): two boxes of which one part is in both.
    records = [record(TPE, [[1.0, 2.0], [1.5, 2.5]], 3.0), record(COLD, [[0.0, 4.0]], 2.0)]
    found = missing(records)
    assert found[TPE]["forest", 0] == pytest.approx(np.log10(1 - 3.0 / 4.0))
    assert found[COLD]["forest", 0] == pytest.approx(np.log10(1 - 2.0 / 4.0))
    summary = summarize(records)
    assert summary["shared"] == ["forest"]
    assert summary["rows"][0]["last"]["forest"] == pytest.approx(np.log10(0.25))
    assert np.log10(FLOOR) == -4

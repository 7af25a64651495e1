"""Runs of the benchmark, made up."""

from __future__ import annotations

from typing import Any

from benchmarks.problems.base import Scale
from benchmarks.run import Run


def run_of(peer: str, values: list[float], scenario: str = "none", **columns: Any) -> Run:
    """A run on a task whose regret is its value, but for the columns that are given."""
    plain: dict[str, Any] = {
        "suite": "one",
        "task": "t0",
        "seed": 0,
        "n_trials": len(values),
        "seconds": [0.01] * len(values),
        "objective": "same",
        "priors": "" if scenario == "none" else "same",
        "n_priors": 0 if scenario == "none" else 8,
        "scale": Scale(0.0, 1.0),
    }
    return Run(peer=peer, values=values, scenario=scenario, **{**plain, **columns})

"""Forecasts of where learning curves end."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.experiments import curve_forecasts


def record(task: str, error: float) -> dict[str, Any]:
    rows = [
        {
            "priors": priors,
            "whole": n,
            "length": length,
            "covered": 0.8,
            "error": error,
            "of_last": 1.0,
        }
        for priors in ("none", "five")
        for n in curve_forecasts.N_WHOLE
        for length in curve_forecasts.LENGTHS
    ]
    return {"task": task, "seed": 0, "rows": rows}


def test_errors_are_shares_of_that_of_the_last_value() -> None:
    summary = curve_forecasts.summarize([record("a", 0.4), record("b", 0.9)])
    assert len(summary["rows"]) == 2 * len(curve_forecasts.N_WHOLE)
    for row in summary["rows"]:
        assert row["error_30"] == pytest.approx(0.6)
        assert row["covered_30"][0] == pytest.approx(0.8)


def test_one_task_says_nothing() -> None:
    assert curve_forecasts.summarize([record("a", 0.4)])["rows"] == []

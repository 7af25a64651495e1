"""What more trials are expected to bring, and bring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.experiments import improvement_forecast
from benchmarks.problems.base import random_params
from benchmarks.problems.synthetic import SkewedSuite, SyntheticSuite


def row(gain: float, real: float, high: float = 0.5) -> dict[str, Any]:
    return {
        "n_trials": 10,
        "gain": gain,
        "low": 0.0,
        "high": high,
        "probability": 0.5,
        "real": real,
    }


def test_expected_and_real_gains_are_compared() -> None:
    got = improvement_forecast.compared(
        [row(0.2, 0.1), row(0.04, 0.0), row(0.001, 0.002), row(0.002, 0.6)]
    )
    assert got["expected"] == pytest.approx(0.06075)
    assert got["real"] == pytest.approx(0.1755)
    # Of 2, 4, 1 and a sixtieth, where small gains count as 1%.
    assert got["ratio"] == pytest.approx(1.5)
    assert got["coverage"] == 0.75
    assert got["any"] == 0.75
    assert (got["n_small"], got["small_right"]) == (2, 0.5)


def test_cases_are_pooled_by_kind_scenario_and_number_of_trials() -> None:
    record = {"kind": "table", "scenario": "none", "forecasts": [row(0.2, 0.1), row(0.04, 0.0)]}
    rows = improvement_forecast.summarize([record])["rows"]
    assert [(r["kind"], r["scenario"], r["n_trials"], r["n"]) for r in rows] == [
        ("tables", "none", 10, 2),
        ("tables", "none", "all", 2),
    ]
    assert rows[0]["expected"] == pytest.approx(0.12)
    assert rows[0]["ratio"] == pytest.approx(3.0)


def test_one_study_is_asked_three_times() -> None:
    rows = improvement_forecast.forecasts(SkewedSuite(0.9), "0", "none")
    assert [r["n_trials"] for r in rows] == list(improvement_forecast.N_TRIALS)
    for r in rows:
        assert 0 <= r["low"] <= r["high"]
        assert r["real"] >= 0


def test_skewed_functions_keep_the_order_and_are_never_negative() -> None:
    plain, skewed = SyntheticSuite(0.9), SkewedSuite(0.9)
    generator = np.random.default_rng(0)
    for task in ("0", "0/1"):
        points = [random_params(plain.parameters, generator) for _ in range(50)]
        values = np.array([plain.objective(task)(params) for params in points])
        others = np.array([skewed.objective(task)(params) for params in points])
        assert (others > 0).all()
        assert (np.argsort(values) == np.argsort(others)).all()

"""The benchmarks of what trials say about themselves."""

from __future__ import annotations

import optuna
import pytest

from benchmarks import explanation, forecasts
from benchmarks.overhead import PROBLEMS, prior_studies
from benchmarks.problems import find


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.parametrize("storage", explanation.STORAGES)
def test_both_studies_are_timed_trial_by_trial(storage: str) -> None:
    priors = prior_studies("mixed", 2, 5)
    seconds = explanation.measure(
        lambda trial: PROBLEMS["mixed"](trial, 0.4), priors, storage, seed=0, n_trials=3
    )
    assert {name: len(found) for name, found in seconds.items()} == {"with": 3, "without": 3}
    assert all(s > 0 for found in seconds.values() for s in found)


def test_the_table_of_costs_divides_what_stood_side_by_side() -> None:
    def row(seed: int, factor: float) -> dict[str, object]:
        without = [9.0] * explanation.N_WARM_UP + [1.0, 2.0, 6.0]
        return {
            "storage": "memory",
            "problem": "mixed",
            "n_priors": 5,
            "seed": seed,
            "seconds": {"without": without, "with": [factor * s for s in without]},
        }

    lines = explanation.table({"rows": [row(0, 1.0), row(1, 1.5), row(2, 1.25)]}).splitlines()
    assert lines[2:] == [
        "| memory | 8 mixed | 5 | 1.250 (1.000 to 1.500) | 1.250 (1.000 to 1.500) |"
    ]


def test_outcomes_are_laid_beside_what_was_expected_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forecasts, "N_TRIALS", 12)
    suite = find(None)["synthetic_0.9"]
    row = forecasts.measure(suite, suite.tasks[0], "none")
    assert row["n"] > 4
    assert 0.0 <= row["inside"] <= 1.0
    assert 0.0 <= row["above"] <= row["better_than_predicted"] <= 1.0


def test_every_suite_weighs_alike_in_the_table_of_forecasts() -> None:
    rows = [
        {
            "suite": suite,
            "task": str(i),
            "scenario": scenario,
            "n": 10,
            "inside": inside,
            "above": 0.1,
            "better_than_predicted": 0.5,
        }
        for scenario in forecasts.SCENARIOS
        for i, (suite, inside) in enumerate(
            [("fcnet_hpolib", 0.6), ("fcnet_hpolib", 0.8), ("yahpo_lcbench", 1.0), ("new", 0.5)]
        )
    ]
    lines = forecasts.table({"rows": rows}).splitlines()
    assert len(lines) == 6
    assert any("70%" in line or "85%" in line for line in lines[2:])

"""What trials keep about how they were chosen: what it costs, and whether it comes true."""

from __future__ import annotations

import pytest

from benchmarks.experiments import explanation, forecasts
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.problems.timed import five_centres, objective_of, prior_studies


@pytest.mark.parametrize("storage", explanation.STORAGES)
def test_both_studies_are_timed_trial_by_trial(storage: str) -> None:
    priors = prior_studies("mixed", five_centres(2), 5)
    seconds = explanation.measure(objective_of("mixed"), priors, storage, seed=0, n_trials=3)
    assert {name: len(found) for name, found in seconds.items()} == {"with": 3, "without": 3}
    assert all(s > 0 for found in seconds.values() for s in found)


def test_costs_are_ratios_of_what_stood_side_by_side() -> None:
    def record(seed: int, factor: float) -> dict[str, object]:
        without = [9.0] * explanation.N_WARM_UP + [1.0, 2.0, 6.0]
        return {
            "storage": "memory",
            "problem": "mixed",
            "n_priors": 5,
            "seed": seed,
            "seconds": {"without": without, "with": [factor * s for s in without]},
        }

    (row,) = explanation.summarize([record(0, 1.0), record(1, 1.5), record(2, 1.25)])["rows"]
    assert row["median"] == row["all"] == (1.25, 1.0, 1.5)


def test_outcomes_are_compared_with_their_forecasts() -> None:
    suite = SyntheticSuite(0.9)
    row = forecasts.measure(suite, suite.tasks[0], "none", 12)
    assert row["n"] > 4
    assert 0.0 <= row["inside"] <= 1.0
    assert 0.0 <= row["above"] <= row["better_than_predicted"] <= 1.0


def test_every_suite_weighs_alike_among_forecasts() -> None:
    seen = [("fcnet_hpolib", 0.6), ("fcnet_hpolib", 0.8), ("yahpo_lcbench", 1.0), ("new", 0.5)]
    records = [
        {
            "suite": suite,
            "task": str(i),
            "scenario": "none",
            "n": 10,
            "inside": inside,
            "above": 0.1,
            "better_than_predicted": 0.5,
        }
        for i, (suite, inside) in enumerate(seen)
    ]
    rows = {row["suites"]: row for row in forecasts.summarize(records)["rows"]}
    assert rows["2 seen"]["inside"] == pytest.approx([0.85, 0.7, 1.0])
    assert rows["1 unseen"]["inside"] == pytest.approx([0.5, 0.5, 0.5])
    assert rows["2 seen"]["n_trials"] == 30

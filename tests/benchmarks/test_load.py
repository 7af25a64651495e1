"""The benchmark of long studies and large spaces."""

from __future__ import annotations

import optuna
from optuna.samplers import RandomSampler

from benchmarks import load


def test_the_large_space_has_a_hundred_parameters_and_thirty_are_conditional() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.optimize(load.wide, n_trials=12)
    names = [set(t.params) for t in study.trials]
    assert len(set.union(*names)) == 100
    assert sum(name.startswith("conditional") for name in set.union(*names)) == 30
    assert len(set.intersection(*names)) == 70


def test_a_history_of_any_length_has_no_two_outcomes_alike() -> None:
    trials = load.history("8", 1100)
    assert len(trials) == len({t.value for t in trials}) == 1100


def test_every_sampler_is_measured_but_the_one_that_cannot_keep_up() -> None:
    plan = load.plan()
    assert {(p, n) for p, n, _, _ in plan} == {("8", n) for n in load.N_TRIALS} | {("100", 100)}
    assert [row for row in plan if row[2] == "GPSampler" and row[1] > load.MAX_GP] == []
    assert sum(row[2] == "TPESampler" for row in plan) == 4


def test_a_suggestion_is_measured_with_its_memory() -> None:
    row = load.measure("8", 12, "TPESampler", 3)
    assert row["n_suggestions"] == 3
    assert 0 < row["median"] <= row["p95"]
    assert row["peak MB"] > 10
    assert load.read(12)["later"] > 0


def test_the_table_compares_within_the_run() -> None:
    def row(sampler: str, median: float) -> dict[str, object]:
        return {
            "parameters": "8",
            "n_trials": 1000,
            "sampler": sampler,
            "first": 1.0,
            "median": median,
            "p95": 2.0,
            "peak MB": 200.0,
        }

    text = load.table(
        {
            "reads": [{"n_trials": 1000, "first": 0.5, "later": 0.001}],
            "rows": [row("TPESampler", 0.1), row("MetaSampler, no prior", 0.25)],
        }
    )
    assert (
        "| 8 | 1,000 | MetaSampler, no prior | 1.00 | 0.250 | 2.000 | 2.5 | – | 200 MB |" in text
    )
    assert "1,000 trials 0.50 at first and 0.0010 later" in " ".join(text.split())

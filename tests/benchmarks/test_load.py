"""Long studies and large spaces."""

from __future__ import annotations

import optuna
from optuna.samplers import RandomSampler
import pytest

from benchmarks.experiment import Options
from benchmarks.experiments import load
from benchmarks.problems.timed import history, wide
from benchmarks.samplers import GP, META, TPE


def test_the_large_space_has_a_hundred_parameters_and_thirty_are_conditional() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.optimize(wide, n_trials=12)
    names = [set(t.params) for t in study.trials]
    assert len(set.union(*names)) == 100
    assert sum(name.startswith("conditional") for name in set.union(*names)) == 30
    assert len(set.intersection(*names)) == 70


def test_a_history_of_any_length_has_no_two_outcomes_alike() -> None:
    trials = history("mixed", 1100)
    assert len(trials) == len({t.value for t in trials}) == 1100


def test_every_sampler_is_measured_but_the_one_that_cannot_keep_up() -> None:
    jobs = load.jobs(Options())
    studies = {("mixed", n) for n in load.N_TRIALS} | {("wide", 100)}
    assert {(j.problem, j.n_trials) for j in jobs} == studies
    assert sum(job.sampler == TPE for job in jobs) == 4
    assert {job.n_trials for job in jobs if job.sampler == GP} == {100, load.MAX_GP}


def test_a_suggestion_is_measured_with_its_memory() -> None:
    row = load.measure("mixed", 12, TPE, 3)
    assert row["n_suggestions"] == 3
    assert 0 < row["median"] <= row["p95"]
    assert row["peak_mb"] > 10
    assert load.read(12)["later"] > 0


def test_ratios_are_within_one_study() -> None:
    def record(n: int, sampler: str, median: float) -> dict[str, object]:
        own = {"first": 1.0, "median": median, "p95": 2.0, "peak_mb": 200.0}
        return {"problem": "mixed", "n_trials": n, "sampler": sampler, **own}

    storage = {"problem": "mixed", "n_trials": 100, "sampler": load.STORAGE}
    records = [
        record(1000, TPE, 0.1),
        record(1000, META, 0.25),
        record(100, META, 0.5),
        {**storage, "first": 0.5, "later": 0.001},
    ]
    found = load.summarize(records)
    rows = {(row["n_trials"], row["sampler"].split(",")[0]): row for row in found["rows"]}
    assert rows[1000, META][TPE] == pytest.approx(2.5)
    assert rows[1000, META][GP] is None
    assert rows[100, META][TPE] is None
    assert TPE not in rows[1000, TPE]
    assert found["reads"] == [{"n_trials": 100, "first": 0.5, "later": 0.001}]

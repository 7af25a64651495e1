"""Calibration of the forecasts that a running study keeps of its own trials.

A study of the default sampler runs on a held-out task, without and with prior studies, and each
trial keeps the interval that should hold 80% of outcomes. The trials are those that the model
chose because it expected much of them, so over-confidence shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import optuna

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import table
from benchmarks.problems import PACKAGED, SEEN, TABLES
from benchmarks.problems.base import Suite, seed_of, suggest, targets
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.trial_record import TrialRecord


N_TRIALS = 40
N_PRIORS = {"tpe-5": "5", "none": "none"}
"""Prior studies by scenario."""


@dataclass(frozen=True)
class Job:
    """A study."""

    suite: str
    task: str
    scenario: str


def jobs(options: Options) -> list[Job]:
    """The first tasks of all tables, in each scenario."""
    n = options.settings["targets"]
    return [
        Job(name, target, scenario)
        for name in TABLES + PACKAGED
        for target in targets(options.suite(name), n)
        for scenario in N_PRIORS
    ]


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study."""
    return measure(options.suite(job.suite), job.task, job.scenario, N_TRIALS)


def measure(suite: Suite, target: str, scenario: str, n_trials: int) -> dict[str, Any]:
    """How the trials of one study came out: shares of those that had a forecast."""
    seed = seed_of(suite.name, target, "forecasts")
    setting = setting_of(suite, prior_logs(scenario, suite, target, 0), seed)
    objective = suite.objective(target)
    study = optuna.create_study(
        direction=suite.direction, sampler=MetaSampler(list(setting.priors), seed=seed)
    )
    study.optimize(lambda t: objective(suggest(t, suite.parameters)), n_trials=n_trials)
    sign = 1.0 if suite.direction == "maximize" else -1.0
    places = []
    for trial in study.trials:
        record = TrialRecord.read(trial)
        if record is not None and record.forecasts and trial.value is not None:
            (forecast,) = record.forecasts
            low, high = sorted((sign * forecast.low, sign * forecast.high))
            value = sign * trial.value
            places.append((value < low, value > high, value > sign * forecast.predicted))
    below, above, better = np.mean(places, axis=0).round(4).tolist()
    return {
        "n": len(places),
        "inside": round(1.0 - below - above, 4),
        "above": above,
        "better_than_predicted": better,
    }


def summarize(records: Sequence[Record]) -> Summary:
    """Shares by scenario, every suite weighing alike, by seen and unseen suites."""
    rows = []
    for scenario, seen in product(N_PRIORS, (True, False)):
        mine = [
            r
            for r in finished(records)
            if r["scenario"] == scenario and (r["suite"] in SEEN) == seen
        ]
        if mine:
            inside = _by_suite(mine, "inside")
            rows.append(
                {
                    "priors": N_PRIORS[scenario],
                    "suites": f"{len(inside)} {'seen' if seen else 'unseen'}",
                    "n_trials": sum(r["n"] for r in mine),
                    "inside": [float(np.mean(inside)), min(inside), max(inside)],
                    "above": float(np.mean(_by_suite(mine, "above"))),
                    "better": float(np.mean(_by_suite(mine, "better_than_predicted"))),
                }
            )
    return {"rows": rows}


def _by_suite(records: Sequence[Record], column: str) -> list[float]:
    suites = dict.fromkeys(r["suite"] for r in records)
    return [float(np.mean([r[column] for r in records if r["suite"] == s])) for s in suites]


def tables(summary: Summary) -> dict[str, str]:
    """A row a scenario and kind of suites."""
    columns = [
        ("priors", "{priors}"),
        ("suites", "{suites}"),
        ("trials", "{n_trials}"),
        ("inside the 80% interval (least and most of a suite)", "{inside:ci%}"),
        ("better than the interval", "{above:.0%}"),
        ("better than the median", "{better:.0%}"),
    ]
    return {"forecasts": table(summary["rows"], columns)}


EXPERIMENT = Experiment(
    name="forecasts",
    title="forecasts of running studies against outcomes",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    settings={"targets": 3},
    needs_data=True,
)

"""What explaining costs: a study that keeps how its trials were chosen, against one that does not.

Two studies of the same seed get the same suggestions; the one explains (``explain=True``, graphs
of optuna-dashboard included where it is installed), the other does not. The studies take
turns, and each goes first in every other trial, so that the load of the machine slows both alike.
An objective that takes no time is the worst case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import functools
from itertools import product
import statistics
import tempfile
import time
from typing import Any

import numpy as np
import optuna

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import table
from benchmarks.problems.timed import N_PARAMETERS, five_centres, objective_of, prior_studies
from benchmarks.versions import versions_of
from optuna_metasampler import MetaSampler


N_TRIALS = 100
N_WARM_UP = 5
N_PRIORS = (5, 0)
PROBLEMS = ("continuous", "mixed")
STORAGES = ("memory", "SQLite")


@dataclass(frozen=True)
class Job:
    """A pair of studies."""

    storage: str
    problem: str
    n_priors: int
    seed: int


def jobs(options: Options) -> list[Job]:
    """All pairs."""
    seeds = range(options.settings["seeds"])
    return [Job(*cells) for cells in product(STORAGES, PROBLEMS, N_PRIORS, seeds)]


@functools.cache
def _priors(problem: str) -> list[optuna.Study]:
    return prior_studies(problem, five_centres(max(N_PRIORS)))


@functools.cache
def _warm_up() -> None:
    """What is imported or compiled at a first suggestion is no part of any figure."""
    measure(objective_of("mixed"), _priors("mixed"), "SQLite", seed=0, n_trials=20)


def run(job: Job, options: Options) -> dict[str, Any]:
    """One pair."""
    del options
    _warm_up()
    priors = _priors(job.problem)[: job.n_priors]
    seconds = measure(objective_of(job.problem), priors, job.storage, job.seed, N_TRIALS)
    versions = versions_of(("torch", "scipy", "optuna-dashboard", "plotly"))
    return {"seconds": seconds, "versions": versions}


def measure(
    objective: Callable[[optuna.Trial], float],
    priors: Sequence[optuna.Study],
    storage: str,
    seed: int,
    n_trials: int,
) -> dict[str, list[float]]:
    """Seconds of each trial, asking, suggesting and telling, with and without explanation."""
    with tempfile.TemporaryDirectory() as folder:
        studies = {
            name: optuna.create_study(
                storage=f"sqlite:///{folder}/{name}.db" if storage == "SQLite" else None,
                sampler=MetaSampler(priors, seed=seed, explain=name == "with"),
            )
            for name in ("with", "without")
        }
        seconds: dict[str, list[float]] = {name: [] for name in studies}
        for i in range(n_trials):
            for name in sorted(studies, reverse=bool(i % 2)):
                start = time.perf_counter()
                trial = studies[name].ask()
                studies[name].tell(trial, objective(trial))
                seconds[name].append(time.perf_counter() - start)
        params = [[t.params for t in study.trials] for study in studies.values()]
        assert params[0] == params[1]
    return {name: [round(s, 6) for s in found] for name, found in seconds.items()}


def summarize(records: Sequence[Record]) -> Summary:
    """Ratios of the median trial and of all trials together: median and range over the seeds."""
    rows = []
    for key in product(STORAGES, PROBLEMS, N_PRIORS):
        columns = dict(zip(("storage", "problem", "n_priors"), key, strict=True))
        mine = [r for r in finished(records) if columns.items() <= r.items()]
        if mine:
            ratios = {
                "median": _range([_ratio(r, statistics.median) for r in mine]),
                "all": _range([_ratio(r, sum) for r in mine]),
            }
            rows.append({**columns, "n_parameters": N_PARAMETERS[key[1]], **ratios})
    return {"rows": rows}


def _ratio(record: Record, mean: Callable[[Sequence[float]], float]) -> float:
    pair = [mean(record["seconds"][name][N_WARM_UP:]) for name in ("with", "without")]
    return pair[0] / pair[1]


def _range(ratios: Sequence[float]) -> tuple[float, float, float]:
    return float(np.median(ratios)), min(ratios), max(ratios)


def tables(summary: Summary) -> dict[str, str]:
    """A row a storage, problem and number of prior studies."""
    columns = [
        ("storage", "{storage}"),
        ("parameters", "{n_parameters} {problem}"),
        ("prior studies", "{n_priors}"),
        ("median trial", "{median:ci3}"),
        ("all trials", "{all:ci3}"),
    ]
    return {"explanation": table(summary["rows"], columns)}


EXPERIMENT = Experiment(
    name="explanation",
    title="what explaining costs",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    settings={"seeds": 3},
    timed=True,
)

"""Seconds that a suggestion takes: MetaSampler and Optuna's own samplers, in one run.

Every study is brought to ``n`` trials with the same random configurations; then each sampler in
turn makes one ``ask``, all ``suggest_*`` calls and one ``tell``, again and again, so that the
load of the machine slows all of them alike. Compare ratios, not seconds.

The grid: four numbers of trials without and with five prior studies, and at 100 trials further
numbers of prior studies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import functools
from itertools import product
import statistics
import time
from typing import Any

from matplotlib.figure import Figure
import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import blocks, cell, paragraph, table
from benchmarks.plots import BLUE, GREEN, ORANGE, tidy
from benchmarks.problems.timed import (
    N_PARAMETERS,
    N_PRIOR_TRIALS,
    five_centres,
    objective_of,
    prior_studies,
)
from benchmarks.samplers import GP, META, SAMPLERS, TPE


PROBLEMS = ("continuous", "mixed")
N_TRIALS = (10, 100, 300, 1000)
N_PRIORS = (0, 5, 30, 300)
HEAD_TRIALS, HEAD_PRIORS = 100, (5, 0)
"""What the small table shows; the numbers of prior studies that every number of trials has."""

N_REPEATS = {10: 6, 100: 20, 300: 10, 1000: 3}
"""Suggestions that are timed, by trials: fewer where one of them takes seconds."""

N_WARM_UP = 2
"""Suggestions before those; the first of them is reported on its own."""

N_STARTUP = 10
"""No study begins with fewer trials: before them Optuna's samplers only draw at random."""

Contestant = tuple[str, int]
"""A sampler's name, and how many prior studies it has."""


@dataclass(frozen=True)
class Job:
    """All samplers in turn."""

    problem: str
    n_trials: int
    seed: int


def jobs(options: Options) -> list[Job]:
    """The whole grid, again and again."""
    seeds = range(options.settings["seeds"])
    return [Job(problem, n, seed) for n, problem, seed in product(N_TRIALS, PROBLEMS, seeds)]


@functools.cache
def _priors(problem: str) -> list[optuna.Study]:
    return prior_studies(problem, five_centres(max(N_PRIORS)))


@functools.cache
def _warm_up() -> None:
    """What is imported or compiled at a first suggestion is no part of any figure."""
    measure("mixed", _priors("mixed"), N_STARTUP, 1, seed=0)


def run(job: Job, options: Options) -> dict[str, Any]:
    """All samplers in turn."""
    del options
    _warm_up()
    n_repeats = N_REPEATS[job.n_trials]
    return {"rows": measure(job.problem, _priors(job.problem), job.n_trials, n_repeats, job.seed)}


def contestants(n_trials: int) -> list[Contestant]:
    """Who is measured at a number of trials, in the order of the small table."""
    more = [n for n in N_PRIORS if n not in HEAD_PRIORS and n_trials == HEAD_TRIALS]
    return [*((META, n) for n in (*HEAD_PRIORS, *more)), (GP, 0), (TPE, 0)]


def _make(contestant: Contestant, priors: Sequence[optuna.Study], seed: int) -> BaseSampler:
    name, n = contestant
    return SAMPLERS[name](lambda: priors[:n], seed)


def measure(
    problem: str, priors: Sequence[optuna.Study], n_trials: int, n_repeats: int, seed: int
) -> list[dict[str, Any]]:
    """Seconds of ``n_repeats`` suggestions around ``n_trials`` trials, a row a sampler."""
    objective = objective_of(problem)
    # Half of the repeats on either side of `n_trials`, where there is room.
    n_before = max(n_trials - n_repeats // 2 - N_WARM_UP, N_STARTUP)
    history = optuna.create_study(sampler=RandomSampler(seed=seed))
    history.optimize(objective, n_trials=n_before)
    studies: dict[Contestant, optuna.Study] = {}
    seconds: dict[Contestant, list[float]] = {who: [] for who in contestants(n_trials)}
    for repeat in range(N_WARM_UP + n_repeats):
        for who, times in seconds.items():
            if repeat == 0:
                studies[who] = optuna.create_study()
                studies[who].add_trials(history.trials)
            start = time.perf_counter()
            if repeat == 0:
                studies[who].sampler = _make(who, priors, seed)
            trial = studies[who].ask()
            studies[who].tell(trial, objective(trial))
            times.append(time.perf_counter() - start)
    return [
        {
            "sampler": name,
            "n_priors": n_priors,
            "first": round(seconds[name, n_priors][0], 5),
            "median": statistics.median(seconds[name, n_priors][N_WARM_UP:]),
            "p95": float(np.percentile(seconds[name, n_priors][N_WARM_UP:], 95)),
            "seconds": [round(s, 5) for s in seconds[name, n_priors][N_WARM_UP:]],
        }
        for name, n_priors in seconds
    ]


def summarize(records: Sequence[Record]) -> Summary:
    """A row a problem, number of trials, sampler and number of prior studies."""
    done = finished(records)
    rows = []
    for problem, n in product(PROBLEMS, N_TRIALS):
        runs = [
            {(row["sampler"], row["n_priors"]): row for row in r["rows"]}
            for r in done
            if (r["problem"], r["n_trials"]) == (problem, n)
        ]
        for who in contestants(n) if runs else ():
            name, n_priors = who
            number = f"{n_priors or 'no'} priors"
            rows.append(
                {
                    "problem": problem,
                    "n_parameters": N_PARAMETERS[problem],
                    "n_trials": n,
                    "sampler": name,
                    "n_priors": n_priors,
                    "name": f"{name}, {number}" if name == META else name,
                    **_pooled([run[who] for run in runs], [run[GP, 0] for run in runs]),
                }
            )
    return {"rows": rows, "n_seeds": len({r["seed"] for r in done})}


def _pooled(mine: Sequence[Mapping[str, Any]], base: Sequence[Mapping[str, Any]]) -> Summary:
    """All suggestions of a sampler, and their ratio to ``GPSampler``'s in the same run."""
    seconds = [s for row in mine for s in row["seconds"]]
    ratios = [a["median"] / b["median"] for a, b in zip(mine, base, strict=True)]
    return {
        "median": float(np.median(seconds)),
        "p95": float(np.percentile(seconds, 95)),
        "median_of_runs": statistics.median(row["median"] for row in mine),
        "first": statistics.median(row["first"] for row in mine),
        "ratio": [statistics.median(ratios), min(ratios), max(ratios)],
    }


def tables(summary: Summary) -> dict[str, str]:
    """The figures at 100 trials, and the grid: by trials, and by prior studies."""
    rows = summary["rows"]
    here = [row for row in rows if row["n_trials"] == HEAD_TRIALS]
    head = [row for row in here if row["n_priors"] in HEAD_PRIORS]
    who = [("parameters", "{n_parameters} {problem}"), ("sampler", "{name}")]
    ratio, seconds = ("of GPSampler's", "{ratio:ci}"), "{median:.3f} ({p95:.3f})"
    intro = f"""One `ask`, all `suggest_*` and one `tell` at {HEAD_TRIALS} trials, medians; the
        priors have {N_PRIOR_TRIALS} trials each. Compare the ratios (range over {{n_seeds}} runs),
        not the seconds of a machine."""
    small = table(head, [*who, ("seconds per suggestion", "{median_of_runs:.3f}"), ratio])
    grid: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["n_priors"] in HEAD_PRIORS:
            line = grid.setdefault((row["problem"], row["name"]), dict(row))
            line[str(row["n_trials"])] = cell(seconds, row)
    between = f"""At {HEAD_TRIALS} trials, by prior studies of {N_PRIOR_TRIALS} trials; learning
        from them is part of a study's first suggestion:"""
    by_priors = [*who, ("seconds per suggestion", seconds), ratio]
    whole = blocks(
        "Seconds per suggestion by trials, median (95th percentile):",
        table(grid.values(), [*who, *((f"{n} trials", f"{{{n}}}") for n in N_TRIALS)]),
        paragraph(between),
        table(sorted(here, key=_by_priors), [*by_priors, ("first suggestion", "{first:.3f}")]),
    )
    return {"overhead": blocks(paragraph(intro, summary), small), "overhead-grid": whole}


def _by_priors(row: Mapping[str, Any]) -> tuple[str, bool, int]:
    """MetaSampler first, by its prior studies."""
    return row["problem"], row["sampler"] != META, row["n_priors"]


_STYLES: dict[str, dict[str, Any]] = {
    META: {"color": ORANGE, "marker": "o"},
    GP: {"color": GREEN, "marker": "s"},
    TPE: {"color": BLUE, "marker": "v"},
}


def figures(summary: Summary) -> dict[str, Figure]:
    """Seconds per suggestion against trials and against prior studies, a row a problem."""
    drawn = Figure(figsize=(8.5, 6.0), layout="constrained")
    grid = drawn.subplots(len(PROBLEMS), 2, sharex="col", sharey="row")
    for problem, (left, right) in zip(PROBLEMS, grid, strict=True):
        rows = [row for row in summary["rows"] if row["problem"] == problem]
        for name in dict.fromkeys(r["name"] for r in rows if r["n_priors"] in HEAD_PRIORS):
            mine = [row for row in rows if row["name"] == name]
            line = ":" if name.endswith("no priors") else "-"
            style = _STYLES[mine[0]["sampler"]] | {"linestyle": line, "label": name}
            left.plot(*_line(mine, "n_trials"), **style)
        left.set(xscale="log", yscale="log", ylabel=f"seconds per suggestion\n8 {problem}")
        for sampler, style in _STYLES.items():
            mine = [r for r in rows if (r["sampler"], r["n_trials"]) == (sampler, HEAD_TRIALS)]
            numbers, seconds = _line(mine, "n_priors")
            # The others know nothing of prior studies: the same at every number of them.
            if len(numbers) == 1:
                numbers, seconds = list(N_PRIORS), seconds * len(N_PRIORS)
            right.plot(numbers, seconds, **style)
        right.set_xscale("symlog", linthresh=5)
        right.set_xticks(N_PRIORS, map(str, N_PRIORS))
        for axes in (left, right):
            axes.grid(alpha=0.3)
            tidy(axes, grid=False)
    grid[-1][0].set_xlabel("trials in the study")
    grid[-1][1].set_xlabel(f"prior studies, at {HEAD_TRIALS} trials")
    drawn.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return {"overhead": drawn}


def _line(rows: Iterable[Mapping[str, Any]], key: str) -> tuple[list[int], list[float]]:
    ordered = sorted(rows, key=lambda row: int(row[key]))
    return [row[key] for row in ordered], [row["median"] for row in ordered]


EXPERIMENT = Experiment(
    name="overhead",
    title="seconds per suggestion",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    figures=figures,
    settings={"seeds": 3},
    timed=True,
)

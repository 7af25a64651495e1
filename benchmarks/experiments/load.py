"""Seconds of a suggestion in long studies and in large spaces, and the memory that they take.

Studies of random configurations are brought to ``n`` trials with ``study.add_trials``; then each
sampler makes a few suggestions. What a storage takes to hand over ``n`` trials is measured apart,
for every sampler pays it. Seconds are processor time on one thread, so that a busy machine changes
them little; compare ratios within the run. Each job has a process of its own, whose peak of
resident memory is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import resource
import sys
import tempfile
import time
from typing import Any

import numpy as np
import optuna

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import blocks, cell, paragraph, table
from benchmarks.problems.timed import (
    N_PARAMETERS,
    five_centres,
    history,
    objective_of,
    prior_studies,
    write_storage,
)
from benchmarks.processes import apart
from benchmarks.samplers import COLD, GP, META, SAMPLERS, TPE


N_TRIALS = (100, 1000, 10_000)
N_WIDE = 100
"""Trials of the study with a hundred parameters."""

N_PRIORS = 8
N_WARM_UP = 1
N_SUGGESTIONS = 10
N_SLOW = 3
"""Suggestions of a sampler that takes seconds for each."""

MAX_GP = 1000
"""Trials past which ``GPSampler`` is left out: its factorisation is cubic in them."""

N_READS = 6
STORAGE = "storage"
"""In place of a sampler: to read the trials from SQLite, and nothing else."""


@dataclass(frozen=True)
class Job:
    """Suggestions of a sampler to a study, or readings of it."""

    problem: str
    n_trials: int
    sampler: str


def jobs(options: Options) -> list[Job]:
    """Every sampler that can keep up, in studies of each length."""
    del options
    studies = [*(("mixed", n) for n in N_TRIALS), ("wide", N_WIDE)]
    return [Job("mixed", n, STORAGE) for n in N_TRIALS] + [
        Job(problem, n, sampler)
        for problem, n in studies
        for sampler in (COLD, META, TPE, GP)
        if sampler != GP or n <= MAX_GP
    ]


def run(job: Job, options: Options) -> dict[str, Any]:
    """One job, in a process of its own."""
    del options
    if job.sampler == STORAGE:
        return apart(read, job.n_trials)
    slow = job.sampler == GP and (job.n_trials > 100 or job.problem != "mixed")
    n_suggestions = N_SLOW if slow else N_SUGGESTIONS
    return apart(measure, job.problem, job.n_trials, job.sampler, n_suggestions)


def priors_of(problem: str) -> list[optuna.Study]:
    """Prior studies of the same parameters, with their optimum elsewhere."""
    if problem == "wide":
        return prior_studies("wide", [0.2 + 0.05 * i for i in range(N_PRIORS)])
    return prior_studies(problem, five_centres(N_PRIORS))


def measure(problem: str, n_trials: int, sampler: str, n_suggestions: int) -> dict[str, Any]:
    """Seconds of suggestions for a study of ``n_trials``, and the peak of this process."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Its import is no part of the first suggestion.
    import torch  # noqa: F401

    objective = objective_of(problem)
    study = optuna.create_study()
    study.add_trials(history(problem, n_trials))
    priors = priors_of(problem) if sampler == META else []
    study.sampler = SAMPLERS[sampler](lambda: priors, 0)
    seconds = []
    for _ in range(1 + N_WARM_UP + n_suggestions):
        before = time.process_time()
        trial = study.ask()
        value = objective(trial)
        seconds.append(time.process_time() - before)
        study.tell(trial, value)
    later = seconds[1 + N_WARM_UP :]
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return {
        "first": round(seconds[0], 4),
        "median": round(float(np.median(later)), 4),
        "p95": round(float(np.percentile(later, 95)), 4),
        "n_suggestions": len(later),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1),
    }


def read(n_trials: int) -> dict[str, Any]:
    """Seconds that an SQLite storage takes to hand over trials: at first, and once it knows."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="long")
    study.add_trials(history("mixed", n_trials))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.db"
        write_storage([study], path)
        loaded = optuna.load_study(study_name="long", storage=f"sqlite:///{path}")
        seconds = []
        for _ in range(N_READS):
            before = time.process_time()
            assert len(loaded.get_trials(deepcopy=False)) == n_trials
            seconds.append(time.process_time() - before)
    return {"first": round(seconds[0], 4), "later": round(float(np.median(seconds[1:])), 4)}


def summarize(records: Sequence[Record]) -> Summary:
    """A row a study and sampler, with ratios to Optuna's samplers, and a row a storage."""
    by_job = {(r["problem"], r["n_trials"], r["sampler"]): r for r in finished(records)}
    rows = []
    for job in jobs(Options()):
        record = by_job.get((job.problem, job.n_trials, job.sampler))
        if record is None or job.sampler == STORAGE:
            continue
        medians = {
            other: by_job.get((job.problem, job.n_trials, other), {}).get("median")
            for other in (TPE, GP)
            if other != job.sampler
        }
        rows.append(
            {
                "n_parameters": N_PARAMETERS[job.problem],
                "n_trials": job.n_trials,
                "sampler": f"{META}, {N_PRIORS} priors" if job.sampler == META else job.sampler,
                **{name: record[name] for name in ("first", "median", "p95", "peak_mb")},
                **{other: m and record["median"] / m for other, m in medians.items()},
            }
        )
    reads = [
        {"n_trials": n, "first": r["first"], "later": r["later"]}
        for (_, n, sampler), r in sorted(by_job.items())
        if sampler == STORAGE
    ]
    return {"rows": rows, "reads": reads}


def tables(summary: Summary) -> dict[str, str]:
    """Seconds by number of trials and parameters."""
    columns = [
        ("parameters", "{n_parameters}"),
        ("trials", "{n_trials:,}"),
        ("sampler", "{sampler}"),
        ("first suggestion", "{first:.2f}"),
        ("median", "{median:.3f}"),
        ("95th percentile", "{p95:.3f}"),
        (f"/ {TPE}", f"{{{TPE}:.2g}}"),
        (f"/ {GP}", f"{{{GP}:.2g}}"),
        ("peak memory", "{peak_mb:.0f} MB"),
    ]
    read_in = "{n_trials:,} trials {first:.2f} at first and {later:.4f} later"
    reads = "; ".join(cell(read_in, row) for row in summary["reads"])
    outro = paragraph(f"Seconds to read the trials from an SQLite storage: {reads}.")
    return {"load": blocks(table(summary["rows"], columns), outro)}


EXPERIMENT = Experiment(
    name="load",
    title="long studies and a hundred parameters",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    timed=True,
)

"""What a thousand prior studies cost: to read them, to keep them, and to suggest by them.

Studies of random search are written into an SQLite storage. Then each start is a process of its
own: one that reads the storage, ones that find the studies in the cache, and ones that read an
archive. A start ends when the studies are in one common space, ready to be learned from; what
Python takes to import its libraries is measured apart. Last come suggestions for a study of 30
trials.

Seconds are processor time of one machine: everything runs on one thread, so a quiet machine takes
as long by the clock, and a busy one changes them little. Compare the ratios within the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import os
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import optuna
from optuna.samplers import RandomSampler

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import blocks, paragraph, table
from benchmarks.problems.timed import (
    N_PARAMETERS,
    five_centres,
    objective_of,
    prior_studies,
    write_storage,
)
from benchmarks.processes import apart
from benchmarks.versions import versions_of
from optuna_metasampler import Archive, MetaSampler
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.sources import read_priors
from optuna_metasampler.priors.study import PriorStudy


N_STUDIES = (5, 100, 1000)
N_TRIALS = 30
N_STARTS = 3
"""Starts from the cache and from the archive; the storage is read in full only once."""

N_SUGGESTIONS = 15
N_WARM_UP = 2
PROBLEM = "mixed"


@dataclass(frozen=True)
class Job:
    """A number of prior studies; one with more trials each will do."""

    n_studies: int
    n_prior_trials: int = field(compare=False)


def jobs(options: Options) -> list[Job]:
    """Few, some and many; other numbers may be named in the options."""
    numbers = options.only.get("n_studies", N_STUDIES)
    return [Job(int(n), options.settings["trials"]) for n in numbers]


def run(job: Job, options: Options) -> dict[str, Any]:
    """All figures of one number of studies."""
    del options
    studies = prior_studies(PROBLEM, five_centres(job.n_studies), job.n_prior_trials)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(studies, Path(folder))
    return {**measured, "versions": versions_of(("torch", "scipy", "sqlalchemy"))}


def measure(studies: Sequence[optuna.Study], folder: Path) -> dict[str, Any]:
    """Starts, sizes and suggestions."""
    storage, cache = folder / "old.db", folder / "cache"
    write_storage(studies, storage)
    os.environ["METASAMPLER_CACHE"] = str(cache)
    cold = apart(start, storage)
    kept = [path.stat().st_size for path in cache.iterdir()] if cache.exists() else []
    again = [apart(start, storage) for _ in range(N_STARTS)]
    os.environ["METASAMPLER_CACHE"] = "off"
    before = time.process_time()
    archive = Archive.write(folder / "old.metaprior", [PriorStudy.of(s) for s in studies])
    written = time.process_time() - before
    starts = [apart(start, archive.path) for _ in range(N_STARTS)]
    expected = (len(studies), sum(len(s.trials) for s in studies))
    assert all((r["n_studies"], r["n_trials"]) == expected for r in [cold, *again, *starts])
    return {
        "bytes": {"storage": storage.stat().st_size, "archive": archive.path.stat().st_size},
        "cached": bool(kept),
        "imports": statistics.median(_import_seconds() for _ in range(N_STARTS)),
        "write": written,
        "first_start": _seconds([cold]),
        "second_start": _seconds(again),
        "archive_start": _seconds(starts),
        "suggestion": apart(suggest, archive.path),
    }


def start(prior: Path) -> dict[str, Any]:
    """Seconds from nothing to prior studies in one common space, in a process that has just begun.

    ``read`` is a part of ``ready``.
    """
    before = time.process_time()
    studies = read_priors(str(prior))
    read = time.process_time()
    pooled = pool(studies, [optuna.study.StudyDirection.MINIMIZE])
    ready = time.process_time()
    assert not pooled.skipped
    return {
        "read": read - before,
        "ready": ready - before,
        "n_studies": len(studies),
        "n_trials": sum(len(s.trials) for s in studies),
    }


def _import_seconds() -> float:
    """Seconds of the imports beside Optuna's, in a process that has imported nothing else."""
    program = (
        "import optuna, time; before = time.process_time(); "
        "import optuna_metasampler.priors.align, optuna_metasampler.priors.sources; "
        "print(time.process_time() - before)"
    )
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def suggest(prior: Path) -> dict[str, Any]:
    """Seconds of the first suggestion by an archive, reading included, and of later ones."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    objective = objective_of(PROBLEM)
    study.optimize(objective, n_trials=N_TRIALS - N_SUGGESTIONS // 2)
    study.sampler = MetaSampler(prior, seed=0)
    seconds = []
    for _ in range(1 + N_WARM_UP + N_SUGGESTIONS):
        before = time.process_time()
        trial = study.ask()
        study.tell(trial, objective(trial))
        seconds.append(time.process_time() - before)
    later = seconds[1 + N_WARM_UP :]
    return {"first": seconds[0], "later": statistics.median(later), "slowest": max(later)}


def _seconds(starts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: statistics.median(s[key] for s in starts) for key in ("read", "ready")}


def summarize(records: Sequence[Record]) -> Summary:
    """A row a number of studies."""
    done = sorted(finished(records), key=lambda r: int(r["n_studies"]))
    return {
        "n_prior_trials": done[0]["n_prior_trials"],
        "imports": statistics.median(r["imports"] for r in done),
        "rows": [
            {
                "n_studies": r["n_studies"],
                "note": "" if r["cached"] else " (not cached)",
                "first": r["first_start"]["ready"],
                "second": r["second_start"]["ready"],
                "archive": r["archive_start"]["ready"],
                "gain": r["first_start"]["ready"] / r["second_start"]["ready"],
                "storage_mb": r["bytes"]["storage"] / 1e6,
                "archive_mb": r["bytes"]["archive"] / 1e6,
                "compression": r["bytes"]["storage"] / r["bytes"]["archive"],
                "first_suggestion": r["suggestion"]["first"],
                "later": r["suggestion"]["later"],
                "slowest": r["suggestion"]["slowest"],
                "to_fewest": r["suggestion"]["later"] / done[0]["suggestion"]["later"],
            }
            for r in done
        ],
    }


def tables(summary: Summary) -> dict[str, str]:
    """Starts and files, and suggestions."""
    rows = summary["rows"]
    intro = f"""Prior studies of {{n_prior_trials}} trials and {N_PARAMETERS[PROBLEM]} parameters
        in an SQLite storage. Seconds of processor time, of one machine, until all of them are in
        one common space; before that, the imports of PyTorch and others take {{imports:.1f}}:"""
    number = ("prior studies", "{n_studies:,}")
    starts = [
        number,
        ("first start", "{first:.2f}"),
        ("second start", "{second:.2f}{note}"),
        ("start from an archive", "{archive:.2f}"),
        ("first / second", "{gain:.0f}"),
        ("storage", "{storage_mb:.1f} MB"),
        ("archive", "{archive_mb:.2f} MB"),
        ("storage / archive", "{compression:.0f}"),
    ]
    suggestions = [
        number,
        ("first suggestion", "{first_suggestion:.2f}"),
        ("later ones, median", "{later:.3f}"),
        ("slowest of them", "{slowest:.3f}"),
        (f"later ones / those with {rows[0]['n_studies']}", "{to_fewest:.2f}"),
    ]
    between = f"""Suggestions for a study of {N_TRIALS} trials by the same archives. The first one
        reads and learns:"""
    first, second = table(rows, starts), table(rows, suggestions)
    return {"scale": blocks(paragraph(intro, summary), first, paragraph(between), second)}


EXPERIMENT = Experiment(
    name="scale",
    title="reading, keeping and suggesting by 1,000 prior studies",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    settings={"trials": 100},
    timed=True,
)

"""What a thousand prior studies cost: to read them, to keep them, and to suggest by them.

Studies of random search are written into an SQLite storage. Then each start is a process of its
own: one that reads the storage, ones that find the studies in the cache, and ones that read an
archive. A start ends when the studies are in one common space, ready to be learned from; what
Python takes to import its libraries is measured apart. Last come suggestions for a study of 30
trials.

Seconds are processor time of one machine: everything runs on one thread, so a quiet machine takes
as long by the clock, and a busy one changes them little. Compare the ratios within the run.

Usage: ``python -m benchmarks.scale [--out FILE]``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
import json
import multiprocessing
import os
from pathlib import Path
import platform
import sqlite3
import statistics
import tempfile
import time
from typing import Any

import click
import optuna
from optuna.distributions import distribution_to_json
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from tqdm import tqdm

from benchmarks.overhead import PROBLEMS, prior_studies
from optuna_metasampler import Archive, MetaSampler
from optuna_metasampler.priors.study import PriorStudy


RESULTS = Path(__file__).parent / "results" / "scale.json"

N_STUDIES = (5, 100, 1000)
N_PRIOR_TRIALS = 100
N_TRIALS = 30
N_STARTS = 3
"""Starts from the cache and from the archive; the storage is read in full only once."""

N_SUGGESTIONS = 15
N_WARM_UP = 2
PROBLEM = "mixed"

Result = Mapping[str, Any]


def write_storage(studies: Sequence[optuna.Study], path: Path) -> None:
    """Write studies into an SQLite storage, past Optuna, which takes minutes for as many."""
    RDBStorage(f"sqlite:///{path}").engine.dispose()
    with sqlite3.connect(path) as connection:
        add = connection.executemany
        trials = [(t, study_id) for study_id, s in enumerate(studies, 1) for t in s.trials]
        add(
            "INSERT INTO studies (study_id, study_name) VALUES (?, ?)",
            [(i, s.study_name) for i, s in enumerate(studies, 1)],
        )
        add(
            "INSERT INTO study_directions (direction, study_id, objective) VALUES (?, ?, 0)",
            [(s.direction.name, i) for i, s in enumerate(studies, 1)],
        )
        add(
            "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, "
            "datetime_complete) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (i, t.number, s, t.state.name, str(t.datetime_start), str(t.datetime_complete))
                for i, (t, s) in enumerate(trials, 1)
            ],
        )
        add(
            "INSERT INTO trial_values (trial_id, objective, value, value_type) "
            "VALUES (?, 0, ?, 'FINITE')",
            [(i, t.value) for i, (t, _) in enumerate(trials, 1)],
        )
        add(
            "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
            "VALUES (?, ?, ?, ?)",
            [
                (i, name, d.to_internal_repr(t.params[name]), distribution_to_json(d))
                for i, (t, _) in enumerate(trials, 1)
                for name, d in t.distributions.items()
            ],
        )
    connection.close()


def start(prior: Path) -> dict[str, Any]:
    """Seconds from nothing to prior studies in one common space, in a process that has just begun.

    ``read`` is a part of ``ready``.
    """
    before = time.process_time()
    import torch  # noqa: F401

    from optuna_metasampler.priors.align import pool
    from optuna_metasampler.priors.sources import read_priors

    imported = time.process_time()
    studies = read_priors(str(prior))
    read = time.process_time()
    pooled = pool(studies, [optuna.study.StudyDirection.MINIMIZE])
    ready = time.process_time()
    assert not pooled.skipped
    return {
        "imports": imported - before,
        "read": read - imported,
        "ready": ready - imported,
        "n_studies": len(studies),
        "n_trials": sum(len(s.trials) for s in studies),
    }


def suggest(prior: Path) -> dict[str, Any]:
    """Seconds of the first suggestion by an archive, reading included, and of later ones."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    objective: Callable[[optuna.Trial, float], float] = PROBLEMS[PROBLEM]
    study.optimize(lambda t: objective(t, 0.4), n_trials=N_TRIALS - N_SUGGESTIONS // 2)
    import torch  # noqa: F401

    study.sampler = MetaSampler(prior, seed=0)
    seconds = []
    for _ in range(1 + N_WARM_UP + N_SUGGESTIONS):
        before = time.process_time()
        trial = study.ask()
        study.tell(trial, objective(trial, 0.4))
        seconds.append(time.process_time() - before)
    later = seconds[1 + N_WARM_UP :]
    return {"first": seconds[0], "later": statistics.median(later), "slowest": max(later)}


def apart(function: Callable[[Path], dict[str, Any]], prior: Path) -> dict[str, Any]:
    """Call a function in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, prior).result()


def measure(studies: Sequence[optuna.Study], folder: Path) -> dict[str, Any]:
    """All figures of one number of studies."""
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
        "n_studies": len(studies),
        "bytes": {"storage": storage.stat().st_size, "archive": archive.path.stat().st_size},
        "cached": bool(kept),
        "imports": statistics.median(r["imports"] for r in [cold, *again, *starts]),
        "write": written,
        "first_start": _seconds([cold]),
        "second_start": _seconds(again),
        "archive_start": _seconds(starts),
        "suggestion": apart(suggest, archive.path),
    }


def _seconds(starts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: statistics.median(s[key] for s in starts) for key in ("read", "ready")}


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Where to write the figures.",
)
@click.option(
    "--studies",
    type=click.IntRange(min=2),
    multiple=True,
    default=N_STUDIES,
    show_default=True,
    help="Number of prior studies; may be given more than once.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=2),
    default=N_PRIOR_TRIALS,
    show_default=True,
    help="Trials of each.",
)
def main(out: Path, studies: tuple[int, ...], trials: int) -> None:
    """Measure what many prior studies cost: starts, files and suggestions."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    numbers = sorted(set(studies))
    made = prior_studies(PROBLEM, max(numbers), trials)
    rows = []
    for n in tqdm(numbers, unit="number of studies", disable=None):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(made[:n], Path(folder)))
    result = {
        "n_prior_trials": trials,
        "n_trials": N_TRIALS,
        "n_parameters": 8,
        "rows": rows,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("optuna", "torch", "numpy", "sqlalchemy")},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    click.echo(f"{table(result)}\n\nFigures: {out}")


def table(result: Result) -> str:
    """The figures as two Markdown tables: starts and files, and suggestions."""
    rows = result["rows"]
    few = rows[0]
    imports = statistics.median(row["imports"] for row in rows)
    lines = [
        f"Prior studies of {result['n_prior_trials']} trials and {result['n_parameters']} "
        "parameters in an SQLite storage. Seconds of processor",
        "time, of one machine, until all of them are in one common space; before that, the",
        f"imports of PyTorch and others take {imports:.1f}:",
        "",
        "| prior studies | first start | second start | start from an archive | first / second | "
        "storage | archive | storage / archive |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        first, second, archive = (
            row[key]["ready"] for key in ("first_start", "second_start", "archive_start")
        )
        storage_mb, archive_mb = (row["bytes"][key] / 1e6 for key in ("storage", "archive"))
        note = "" if row["cached"] else " (not cached)"
        lines.append(
            f"| {row['n_studies']:,} | {first:.2f} | {second:.2f}{note} | {archive:.2f} | "
            f"{first / second:.0f} | {storage_mb:.1f} MB | {archive_mb:.2f} MB | "
            f"{storage_mb / archive_mb:.0f} |"
        )
    lines += [
        "",
        f"Suggestions for a study of {result['n_trials']} trials by the same archives. The first "
        "one reads and learns:",
        "",
        "| prior studies | first suggestion | later ones, median | slowest of them | "
        f"later ones / those with {few['n_studies']} |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        own = row["suggestion"]
        lines.append(
            f"| {row['n_studies']:,} | {own['first']:.2f} | {own['later']:.3f} | "
            f"{own['slowest']:.3f} | {own['later'] / few['suggestion']['later']:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

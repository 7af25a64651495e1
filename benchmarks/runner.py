"""The runner of all experiments: what has a record is not done again.

An interrupted command is simply given again. Finished jobs are on disk at once, failed ones with
their error; jobs that were asked for and are missing have a record that says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
import multiprocessing
import os
from queue import Empty, Queue
import time
from typing import Any
import warnings

import click
import optuna
from tqdm import tqdm

from benchmarks.experiment import NOT_RUN, Experiment, Options, Record, failed, row_of
from benchmarks.records import Store
from benchmarks.versions import versions_of


_SECONDS_PER_LINE = 10.0

Run = Callable[[Any, Options], Mapping[str, Any]]
"""See `Experiment.run`."""


@dataclass(frozen=True)
class Outcome:
    """What a command came to.

    Attributes:
        n_planned: Jobs that it asked for.
        n_there: How many of them had a record before.
        records: Of these jobs, now.
    """

    n_planned: int
    n_there: int
    records: tuple[Record, ...]

    @property
    def failures(self) -> Counter[str]:
        """How often jobs failed, now or before, by their error."""
        return Counter(str(record["error"]) for record in self.records if failed(record))


def run(
    experiment: Experiment[Any],
    options: Options,
    store: Store,
    processes: int = 1,
    again: bool = False,
    retry_failed: bool = False,
) -> Outcome:
    """Do what is missing of an experiment.

    Args:
        experiment: What to do.
        options: Which part of it.
        store: Where its records are and go.
        processes: How many at once; one for an experiment that measures seconds.
        again: Do again what has a record already.
        retry_failed: Do again what has failed before.

    Raises:
        ValueError: If the options do not fit the experiment.
        BrokenProcessPool: If a process was killed; what was finished is kept.
    """
    jobs = experiment.planned(options)
    there = {} if again or experiment.verdicts else store.read()
    todo = [
        job
        for job in jobs
        if not experiment.is_done(job, there.get(experiment.key_of(job)), retry_failed)
    ]
    for job in todo:
        store.append(row_of(job) | {"error": NOT_RUN})
    options = experiment.completed(options)
    n_processes = 1 if experiment.timed else processes
    with _progress(len(todo), n_processes) as advance:
        for record in _carried_out(experiment, todo, options, n_processes):
            store.append(record)
            advance()
    store.pack()
    now = store.read()
    records = tuple(now[experiment.key_of(job)] for job in jobs)
    return Outcome(len(jobs), len(jobs) - len(todo), records)


@contextmanager
def _progress(n_jobs: int, n_processes: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, and lines elsewhere, such as in the log of a CI job."""
    start = said = time.monotonic()
    with tqdm(total=n_jobs, unit="job", disable=None, smoothing=0.05) as bar:
        done = 0

        def advance() -> None:
            nonlocal done, said
            done += 1
            bar.update()
            now = time.monotonic()
            if bar.disable and (now - said >= _SECONDS_PER_LINE or done == n_jobs):
                said = now
                click.echo(f"{now - start:5.0f} s  {done} of {n_jobs} jobs done", err=True)

        if bar.disable and n_jobs:
            click.echo(f"{n_jobs} jobs, {n_processes} at once", err=True)
        yield advance


def _carried_out(
    experiment: Experiment[Any], jobs: Sequence[Any], options: Options, processes: int
) -> Iterator[Record]:
    """The records of jobs, as they are finished."""
    if not jobs:
        return
    # Spawned processes have these from the start, before any library has made its threads.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    context = multiprocessing.get_context("spawn")
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(processes, context, initializer=_be_quiet) as pool,
    ):
        done: Queue[Record] = manager.Queue()
        futures: list[Future[None]] = [
            pool.submit(_work, experiment.run, group, options, done)
            for group in experiment.groups(jobs)
        ]
        try:
            waiting = len(jobs)
            while waiting:
                try:
                    yield done.get(timeout=0.5)
                    waiting -= 1
                except Empty:
                    for future in futures:
                        if future.done():
                            # Jobs do not raise: a process was killed.
                            future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _be_quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Peers warn about priors that do not fit: here that is the point.
    warnings.simplefilter("ignore")


def _work(run_job: Run, jobs: Sequence[Any], options: Options, done: Queue[Record]) -> None:
    for job in jobs:
        done.put(record_of(run_job, job, options))


def record_of(run_job: Run, job: Any, options: Options) -> Record:
    """Do a job in this process; whatever it raises is a result."""
    try:
        measured = run_job(job, options)
    except Exception as error:
        measured = {"error": f"{type(error).__name__}: {error}"}
    return {**row_of(job), "versions": versions_of(), **measured}

"""Tune one problem with one peer, or carry out a whole plan.

Usage: ``python -m benchmarks.run PLAN [--data DIR] [--out DIR]``. What a file of the output folder
already has is not run again, so an interrupted command is simply given again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
import functools
from importlib.metadata import PackageNotFoundError, version
import itertools
import json
import multiprocessing
import os
from pathlib import Path
import platform
from queue import Empty, Queue
import time
from typing import Any
import warnings

import click
import optuna
from tqdm import tqdm

from benchmarks import results
from benchmarks.options import data_option
from benchmarks.peers import PEERS
from benchmarks.peers.base import Peer, Setting
from benchmarks.plans import PLANS, Job, only
from benchmarks.plans import jobs as plan_jobs
from benchmarks.priors import Log
from benchmarks.priors import fingerprint as fingerprint_priors
from benchmarks.problems import SEEN, find
from benchmarks.problems.base import Objective, Suite, digest, fingerprint, seed_of, suggest
from benchmarks.results import Run
from benchmarks.scenarios import prior_logs
import optuna_metasampler
from optuna_metasampler import __version__


RESULTS = Path(__file__).parent / "results"


class PeerCheated(Exception):
    """A peer has used what it must not know."""


class Counted:
    """An objective that counts how often it is evaluated."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.n_calls = 0

    def __call__(self, params: Mapping[str, Any]) -> float:
        self.n_calls += 1
        return self._objective(params)


def tune(
    setting: Setting, objective: Objective, peer: Peer, n_trials: int
) -> tuple[list[float], list[float], str | None]:
    """Let a peer tune an objective that it never gets to see.

    A peer that finds the objective all the same, and evaluates it, is stopped.

    Returns:
        The values of all trials, the seconds that the peer took for each (``ask``, ``suggest_*``
        and ``tell``; making the study counts to the first), and what went wrong, if anything.
    """
    values: list[float] = []
    seconds: list[float] = []
    problem = None
    objective = Counted(objective)
    try:
        start = time.perf_counter()
        study = peer.build(setting)
        for _ in range(n_trials):
            trial = study.ask()
            params = suggest(trial, setting.parameters)
            asked = time.perf_counter() - start
            value = objective(params)
            start = time.perf_counter()
            study.tell(trial, value)
            seconds.append(asked + time.perf_counter() - start)
            values.append(value)
            if objective.n_calls != len(values):
                raise PeerCheated(
                    f"The objective was evaluated {objective.n_calls} times in {len(values)} "
                    "trials: the peer did so by itself."
                )
            start = time.perf_counter()
    except Exception as error:  # A peer that fails is a result, whatever it raises.
        problem = f"{type(error).__name__}: {error}"
    return values, seconds, problem


def setting_of(suite: Suite, logs: Iterable[Log], seed: int) -> Setting:
    """What a peer is told. Names of priors say nothing: it must not recognise a data set."""
    priors = tuple(log.to_study(f"prior-{i}") for i, log in enumerate(logs))
    return Setting(suite.parameters, suite.direction, priors, seed)


def run_one(suite: Suite, job: Job) -> Run:
    """Carry out one job."""
    peer = PEERS[job.peer]
    logs = prior_logs(job.scenario, suite, job.task, job.seed)
    setting = setting_of(suite, logs, seed_of(suite.name, job.task, job.seed))
    values, seconds, error = tune(setting, suite.objective(job.task), peer, job.n_trials)
    return Run(
        suite=job.suite,
        task=job.task,
        scenario=job.scenario,
        peer=job.peer,
        seed=job.seed,
        n_trials=job.n_trials,
        values=values,
        seconds=seconds,
        objective=_fingerprint(suite, job.task),
        priors=fingerprint_priors(logs),
        n_priors=len(logs),
        versions=_versions(peer),
        error=error,
    )


@functools.lru_cache(maxsize=256)
def _fingerprint(suite: Suite, task: str) -> str:
    return fingerprint(suite, task)


@functools.cache
def _code() -> str:
    """Tells states of the package's code apart that have one version number."""
    folder = Path(optuna_metasampler.__file__).parent
    return digest([path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))])


@functools.cache
def _versions(peer: Peer) -> dict[str, str]:
    found = {"python": platform.python_version(), "optuna_metasampler": f"{__version__}+{_code()}"}
    for package in ("optuna", "numpy", "scikit-learn", *peer.packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


# --- Many jobs --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Places:
    """Where problems are found: what a worker needs to make the suites itself."""

    data: Path | None = None
    hpo_b: Path | None = None


_SUITES: dict[str, Suite] = {}


def _start_worker(places: Places) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Peers warn about priors that do not fit: here that is the point.
    warnings.simplefilter("ignore")
    _SUITES.update(find(places.data, places.hpo_b))


def _work(jobs: list[Job], done: Queue[Run]) -> None:
    for job in jobs:
        done.put(run_one(_SUITES[job.suite], job))


def run_all(jobs: Iterable[Job], places: Places, out: Path, n_workers: int) -> None:
    """Carry out jobs in parallel; every finished one is on disk at once, a file a suite.

    Args:
        jobs: What to do; jobs on the same problem and seed stay together, as they share priors.
        places: Where problems are found.
        out: The folder of the files.
        n_workers: Processes.

    Raises:
        BrokenProcessPool: If a worker was killed; what was finished is kept.
    """
    jobs = list(jobs)
    groups = [
        list(group)
        for _, group in itertools.groupby(
            # Shuffled, so that the time left is guessed well; whole repetitions one by one.
            sorted(jobs, key=lambda j: (j.seed, seed_of(j.suite, j.task), j)),
            key=lambda j: (j.suite, j.task, j.seed),
        )
    ]
    out.mkdir(parents=True, exist_ok=True)
    # Spawned workers have these from the start, before any library has made its threads.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    context = multiprocessing.get_context("spawn")
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(n_workers, context, _start_worker, (places,)) as pool,
        tqdm(total=len(jobs), unit="run", disable=None, smoothing=0.05) as bar,
    ):
        done: Queue[Run] = manager.Queue()
        futures: list[Future[None]] = [pool.submit(_work, group, done) for group in groups]
        try:
            while True:
                finished = all(future.done() for future in futures)
                try:
                    while True:
                        run = done.get(timeout=0.5)
                        results.append(out / f"{run.suite}.jsonl", run)
                        bar.update()
                except Empty:
                    pass
                for future in futures:
                    if future.done():
                        # A worker's own error, not a peer's, ends everything.
                        future.result()
                if finished:
                    break
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@click.command()
@click.argument("plan", type=click.Choice(sorted(PLANS)))
@data_option(required=False)
@click.option(
    "--hpo-b",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of HPO-B, such as meta-test-dataset.json.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Where the results go.",
)
@click.option("--workers", default=os.cpu_count(), show_default=True, help="Processes.")
@click.option("--suite", "suites", multiple=True, help="Only this suite; may be repeated.")
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice(list(PEERS)),
    help="Only this peer; may be repeated.",
)
@click.option(
    "--scenario", "scenarios", multiple=True, help="Only this scenario; may be repeated."
)
@click.option("--retry-failed", is_flag=True, help="Run again what has failed before.")
def main(
    plan: str,
    data: Path | None,
    hpo_b: Path | None,
    out: Path,
    workers: int,
    suites: tuple[str, ...],
    peers: tuple[str, ...],
    scenarios: tuple[str, ...],
    retry_failed: bool,
) -> None:
    """Carry out PLAN, or what is still missing of it."""
    try:
        suites_at_hand = find(data, hpo_b)
        wanted = plan_jobs(only(PLANS[plan], suites) if suites else PLANS[plan], suites_at_hand)
    except (FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    wanted = [
        job
        for job in wanted
        if (not peers or job.peer in peers) and (not scenarios or job.scenario in scenarios)
    ]
    if not wanted:
        raise click.ClickException("Nothing of the plan is left by these options.")
    folder = out / "runs"
    there = results.latest(folder)
    todo = [job for job in wanted if not _is_done(job, there.get(job.key), retry_failed)]
    click.echo(f"{len(wanted)} runs, {len(wanted) - len(todo)} of them are there already.")
    write_scales(out / "scales.json", suites_at_hand, wanted)
    write_expected(out / "expected.json", wanted)
    run_all(todo, Places(data, hpo_b), folder, workers)
    there = results.latest(folder)
    failed = [run for job in wanted if (run := there[job.key]).error is not None]
    for error, count in Counter((r.peer, r.error) for r in failed).most_common(10):
        click.echo(f"failed {count} times: {error[0]}: {error[1]}", err=True)
    click.echo(f"Results: {folder}. Tables and figures: python -m benchmarks.report")


def _is_done(job: Job, run: Run | None, retry_failed: bool) -> bool:
    if run is None or run.n_trials < job.n_trials:
        return False
    return run.error is None or not retry_failed


def write_scales(path: Path, suites: Mapping[str, Suite], jobs: Iterable[Job]) -> None:
    """Write what the report needs to judge values, for tasks that have not been written yet."""
    scales = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    pairs = sorted({(job.suite, job.task) for job in jobs})
    for name, task in tqdm(pairs, desc="scales", unit="task", leave=False, disable=None):
        suite = suites[name]
        entry = scales.setdefault(name, {"tasks": {}})
        entry |= {"direction": suite.direction, "seen": name in SEEN}
        if task not in entry["tasks"] and (scale := suite.scale(task)) is not None:
            entry["tasks"][task] = {"best": scale.best, "median": scale.median}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(scales, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_expected(path: Path, jobs: Iterable[Job]) -> None:
    """Add to the list of runs that were asked for, so that the report sees what is missing."""
    expected = (
        {tuple(k) for k in json.loads(path.read_text(encoding="utf-8"))}
        if path.exists()
        else set()
    )
    expected |= {job.key for job in jobs}
    path.write_text(
        "[\n" + ",\n".join(json.dumps(list(key)) for key in sorted(expected)) + "\n]\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()

"""The studies of the demonstration, run in worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
import json
import multiprocessing
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
import os
from pathlib import Path
import platform
import signal
import time
from typing import Any

import optuna
import torch
from tqdm import tqdm

from examples.demo.problem import DATA_SETS, evaluate, largest_data_set, n_rows, suggest
from examples.demo.result import DemoResult, Run, draw
from optuna_metasampler import MetaSampler, __version__


N_PRIOR_TRIALS = 30
"""Trials of every prior study."""

# Every prior study has a seed of its own, also apart from those of the compared studies: with a
# shared one, Optuna's default sampler would start all of them with the same random trials.
_PRIOR_SEED = {name: 1000 + i for i, name in enumerate(DATA_SETS)}
# Written as the last thing of a prior study. A study without it is incomplete or of an older
# version of this file, and is made again.
_RECIPE_KEY = "optuna_metasampler:demo"
_RECIPE = {"version": 1, "n_trials": N_PRIOR_TRIALS}
_PACKAGES = ("optuna", "torch", "scikit-learn", "numpy")


# --- Worker processes


class _Stopped(Exception):
    """Raised in a worker when the demo was interrupted."""


# Set in the worker processes by `_start_worker`.
_n_done: Synchronized[int]
_stop: Event


def _start_worker(n_done: Synchronized[int], stop: Event) -> None:
    """Prepares a worker process.

    Args:
        n_done: Counts the finished trials of all workers.
        stop: Set when the workers shall end.
    """
    global _n_done, _stop
    _n_done, _stop = n_done, stop
    # Ctrl-C reaches all processes of a terminal; the parent answers it and sets `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)


def _optimize(study: optuna.Study, data_set: str, n_trials: int) -> list[float]:
    """Runs trials, counting them.

    Args:
        study: The study to run.
        data_set: One of `DATA_SETS`.
        n_trials: How many trials to run.

    Returns:
        Seconds that every trial took outside the objective.
    """
    seconds = []
    for _ in range(n_trials):
        if _stop.is_set():
            raise _Stopped
        start = time.perf_counter()
        trial = study.ask()
        params = suggest(trial)
        asked = time.perf_counter()
        value = evaluate(data_set, params)
        evaluated = time.perf_counter()
        study.tell(trial, value)
        seconds.append(asked - start + time.perf_counter() - evaluated)
        with _n_done.get_lock():
            _n_done.value += 1
    return seconds


def _run_prior(data_set: str) -> list[optuna.trial.FrozenTrial]:
    """Tunes a data set for a prior study, in memory."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=_PRIOR_SEED[data_set]))
    _optimize(study, data_set, N_PRIOR_TRIALS)
    return study.trials


def _run_target(
    data_set: str, seed: int, n_trials: int, prior: str | None, prior_studies: list[str]
) -> Run:
    """Tunes the target data set once, with `MetaSampler` if there is a prior storage."""
    start = time.perf_counter()
    sampler: optuna.samplers.BaseSampler
    if prior is None:
        sampler = optuna.samplers.TPESampler(seed=seed)
    else:
        sampler = MetaSampler(prior, prior_studies=prior_studies, seed=seed)
    made = time.perf_counter() - start
    study = optuna.create_study(study_name=_study_name(data_set), sampler=sampler)
    seconds = _optimize(study, data_set, n_trials)
    seconds[0] += made
    weights = sampler.prior_weights(study) if isinstance(sampler, MetaSampler) else []
    return Run(
        sampler=type(sampler).__name__,
        seed=seed,
        values=[trial.value for trial in study.trials if trial.value is not None],
        seconds=seconds,
        priors=[asdict(prior) for prior in weights],
    )


# --- The parent process


def _study_name(data_set: str) -> str:
    return f"demo-{data_set}"


def _missing_priors(storage: optuna.storages.BaseStorage, data_sets: Sequence[str]) -> list[str]:
    """Deletes half-written prior studies, and says which data sets are still to be tuned."""
    missing = []
    complete = {
        summary.study_name: summary.user_attrs.get(_RECIPE_KEY) == _RECIPE
        for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)
    }
    for data_set in data_sets:
        name = _study_name(data_set)
        if complete.get(name, False):
            continue
        if name in complete:
            optuna.delete_study(study_name=name, storage=storage)
        missing.append(data_set)
    return missing


def _save_prior(
    storage: optuna.storages.BaseStorage,
    data_set: str,
    trials: Sequence[optuna.trial.FrozenTrial],
) -> None:
    study = optuna.create_study(storage=storage, study_name=_study_name(data_set))
    study.add_trials(trials)
    study.set_user_attr(_RECIPE_KEY, _RECIPE)


@contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Lets processes started meanwhile use one thread each for linear algebra."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keeps Optuna's log lines out of the progress bar."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def run(
    out: Path,
    *,
    target: str | None = None,
    n_trials: int = 20,
    n_seeds: int = 8,
    n_jobs: int = 2,
) -> DemoResult:
    """Runs the demonstration.

    Args:
        out: Folder for ``prior.db``, ``demo.png`` and ``demo.json``; made if missing. Prior
            studies that are complete in ``prior.db`` are used again.
        target: The data set to tune with and without prior studies, one of `DATA_SETS`. None
            takes the one with the most rows.
        n_trials: Trials of every compared study.
        n_seeds: Repeats of the comparison, with the seeds 0, 1, and so on.
        n_jobs: Worker processes.

    Returns:
        All numbers, also written to ``demo.json``.

    Raises:
        ValueError: If `target` is not one of `DATA_SETS`.
    """
    start = time.perf_counter()
    if target is None:
        target = largest_data_set()
    elif target not in DATA_SETS:
        raise ValueError(f"`target` must be one of {', '.join(DATA_SETS)}, but got {target!r}.")
    prior_sets = [name for name in DATA_SETS if name != target]
    # Named one by one: a study of the target itself, left by another run, must not be read.
    prior_studies = [_study_name(name) for name in prior_sets]

    out.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{(out / 'prior.db').resolve().as_posix()}"
    context = multiprocessing.get_context("spawn")
    n_done: Synchronized[int] = context.Value("i", 0)
    stop = context.Event()
    with _quiet_optuna(), _single_threaded_children():
        storage = optuna.storages.RDBStorage(url)
        missing = _missing_priors(storage, prior_sets)
        # The slowest first, so that no worker is left alone with it.
        missing.sort(key=lambda name: -n_rows(name))
        n_total = len(missing) * N_PRIOR_TRIALS + 2 * n_seeds * n_trials
        with (
            tqdm(total=n_total, unit="trial", smoothing=0.05, disable=None) as bar,
            ProcessPoolExecutor(
                n_jobs, mp_context=context, initializer=_start_worker, initargs=(n_done, stop)
            ) as pool,
        ):
            try:
                bar.set_description("Prior studies")
                making = {pool.submit(_run_prior, name): name for name in missing}
                done: dict[str, list[optuna.trial.FrozenTrial]] = {}
                for made in _as_completed(making, bar, n_done):
                    done[making[made]] = made.result()
                    # In one order, whoever comes first: what is learned depends on it a little.
                    while missing and missing[0] in done:
                        name = missing.pop(0)
                        _save_prior(storage, name, done[name])

                bar.set_description(f"Tuning {target}")
                tuning = [
                    pool.submit(_run_target, target, seed, n_trials, prior, prior_studies)
                    for seed in range(n_seeds)
                    for prior in (url, None)
                ]
                for _ in _as_completed(tuning, bar, n_done):
                    pass
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    result = DemoResult(
        target=target,
        n_trials=n_trials,
        n_prior_trials=N_PRIOR_TRIALS,
        runs=[future.result() for future in tuning],
        seconds=time.perf_counter() - start,
        versions={"optuna-metasampler": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
    )
    numbers = json.dumps(result.to_json(), indent=1, allow_nan=False)
    (out / "demo.json").write_text(numbers + "\n", encoding="utf-8")
    draw(result, out / "demo.png")
    return result


def _as_completed(
    futures: Iterable[Future[Any]], bar: Any, n_done: Synchronized[int]
) -> Iterator[Future[Any]]:
    """Yields futures as they end, moving the progress bar meanwhile.

    An error of a worker is raised here.
    """
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
        bar.update(n_done.value - bar.n)
        for future in ended:
            future.result()
            yield future

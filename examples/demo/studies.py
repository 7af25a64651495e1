"""The studies of the demonstration, run in worker processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
import multiprocessing
import platform
import signal
import time

import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial
from threadpoolctl import threadpool_limits

from examples.demo.problem import DATA_SETS, objective
from examples.demo.result import COLD, ENQUEUED, TPE, WARM, Result
from optuna_metasampler import MetaSampler, __version__


_PACKAGES = ("optuna", "torch", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Old:
    """A data set to tune with Optuna's default sampler."""

    data_set: str
    seed: int
    n_trials: int


@dataclass(frozen=True)
class New:
    """A data set to tune with every sampler."""

    data_set: str
    seed: int
    n_trials: int
    old: dict[str, list[FrozenTrial]]
    """The trials of the old studies of the other data sets."""


@dataclass(frozen=True)
class Tuned:
    """What became of it."""

    data_set: str
    seed: int
    values: dict[str, list[float]]
    """The log loss of every trial, by sampler."""
    report: str
    """What `MetaSampler` reports on its study with old studies."""


def _run_old(old: Old) -> tuple[Old, list[FrozenTrial]]:
    # With the seed of a new study, it would start with the same random trials.
    seed = 1000 + 10 * old.seed + DATA_SETS.index(old.data_set)
    study = optuna.create_study(sampler=TPESampler(seed=seed))
    study.optimize(lambda trial: objective(trial, old.data_set), n_trials=old.n_trials)
    return old, study.trials


def _run_new(new: New) -> Tuned:
    old = []
    for name, trials in new.old.items():
        old.append(optuna.create_study(study_name=name))
        old[-1].add_trials(trials)
    warm = MetaSampler(old, seed=new.seed)
    samplers: dict[str, BaseSampler] = {
        WARM: warm,
        COLD: MetaSampler(seed=new.seed),
        ENQUEUED: TPESampler(seed=new.seed),
        TPE: TPESampler(seed=new.seed),
    }
    studies = {}
    for name, sampler in samplers.items():
        studies[name] = study = optuna.create_study(study_name=new.data_set, sampler=sampler)
        if name == ENQUEUED:
            for each in old:
                study.enqueue_trial(each.best_params)
        study.optimize(lambda trial: objective(trial, new.data_set), n_trials=new.n_trials)
    values = {name: [trial.values[0] for trial in s.trials] for name, s in studies.items()}
    report = str(warm.report(studies[WARM])) if new.seed == 0 else ""
    return Tuned(new.data_set, new.seed, values, report)


def _start_worker() -> None:
    # Ctrl-C reaches all processes of a terminal; the parent answers it and ends the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # There is a worker for every core.
    threadpool_limits(1)


def run(
    say: Callable[[str], None],
    *,
    n_trials: int = 15,
    n_seeds: int = 3,
    n_old_trials: int = 30,
    n_jobs: int = 2,
) -> Result:
    """Runs the demonstration.

    Args:
        say: Called with a line about whatever starts or ends.
        n_trials: Trials of every new study.
        n_seeds: Repeats of everything, with the seeds 0, 1, and so on.
        n_old_trials: Trials of every old study.
        n_jobs: Worker processes.

    Returns:
        All numbers.
    """
    start = time.perf_counter()

    def tell(text: str) -> None:
        say(f"{time.perf_counter() - start:5.0f} s  {text}")

    problems = [(name, seed) for seed in range(n_seeds) for name in DATA_SETS]
    # Ends the workers when it is left by an error.
    with multiprocessing.get_context("spawn").Pool(n_jobs, _start_worker) as pool:
        say(
            f"Old studies: Optuna's default sampler tunes each data set, {n_old_trials} trials "
            f"and {n_seeds} times."
        )
        trials: dict[tuple[str, int], list[FrozenTrial]] = {}
        for old, its in pool.imap(_run_old, [Old(*p, n_old_trials) for p in problems]):
            trials[old.data_set, old.seed] = its
            best = min(trial.values[0] for trial in its)
            tell(f"{old.data_set}, seed {old.seed}: best log loss {best:.3f}")
        say(
            f"New studies: each sampler tunes each data set, {n_trials} trials and {n_seeds} "
            "times, with the old\nstudies of the other data sets or without."
        )
        tasks = [
            New(name, seed, n_trials, {n: trials[n, seed] for n in DATA_SETS if n != name})
            for name, seed in problems
        ]
        tuned = []
        for each in pool.imap(_run_new, tasks):
            tuned.append(each)
            tell(
                f"{each.data_set}, seed {each.seed}: best log loss {min(each.values[WARM]):.3f} "
                f"({WARM}), {min(each.values[TPE]):.3f} ({TPE})"
            )
        pool.close()
        pool.join()
    return Result(
        n_old_trials=n_old_trials,
        values={
            data_set: {
                name: [each.values[name] for each in tuned if each.data_set == data_set]
                for name in (WARM, COLD, ENQUEUED, TPE)
            }
            for data_set in DATA_SETS
        },
        reports={each.data_set: each.report for each in tuned if each.report},
        seconds=time.perf_counter() - start,
        versions={"optuna-metasampler": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
    )

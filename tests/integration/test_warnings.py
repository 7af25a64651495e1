"""Whole studies in a process where every warning is an error from the first import on.

The settings of the other tests leave out what is warned of before a test begins, and in threads.
"""

from __future__ import annotations

import os
import subprocess
import sys

import optuna
from optuna.study import Study
from optuna.trial import Trial

from optuna_metasampler import MetaSampler
from tests.studies import random_study


SPLIT = "one", "two"


def loss(trial: Trial) -> float:
    """A mixed, conditional problem."""
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    depth = trial.suggest_int("depth", 1, 9)
    value = rate + abs(depth - 4)
    if trial.suggest_categorical("split", SPLIT) == "two":
        value += trial.suggest_float("share", 0.0, 1.0)
    return value


def pruned(trial: Trial) -> float:
    """A loss that is seen to fall."""
    value = loss(trial)
    for step in range(1, 5):
        trial.report(value + 1.0 / step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return value


def front(trial: Trial) -> tuple[float, float]:
    """Two objectives, of which each has its own optimum."""
    return loss(trial), trial.params["depth"]


def failing(trial: Trial) -> float:
    """A loss that does not always come to an end."""
    value = loss(trial)
    if trial.number % 3 == 1:
        raise ArithmeticError
    return float("inf") if trial.number % 3 == 2 else value


def earlier(objective: object, n_objectives: int) -> Study:
    """A finished study."""
    return random_study(objective, 12, directions=["minimize"] * n_objectives)


def run(with_priors: bool) -> None:
    """Small studies of every kind."""
    single = [earlier(loss, 1)] if with_priors else None
    double = [earlier(front, 2)] if with_priors else None

    def sampler(prior: list[Study] | None) -> MetaSampler:
        return MetaSampler(prior, n_startup_trials=None if prior else 2, seed=0)

    optuna.create_study(sampler=sampler(single)).optimize(loss, n_trials=6, n_jobs=2)
    optuna.create_study(sampler=sampler(single)).optimize(
        failing, n_trials=5, catch=(ArithmeticError,)
    )
    median = optuna.pruners.MedianPruner(n_startup_trials=1)
    optuna.create_study(sampler=sampler(single), pruner=median).optimize(pruned, n_trials=6)
    hyperband = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=4)
    optuna.create_study(sampler=sampler(single), pruner=hyperband).optimize(pruned, n_trials=5)
    optuna.create_study(directions=["minimize"] * 2, sampler=sampler(double)).optimize(
        front, n_trials=5
    )


def run_all() -> None:
    """Without prior studies and with them, in the order in which more and more is imported."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for with_priors in (False, True):
        run(with_priors)


def test_no_warning_is_part_of_normal_use() -> None:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    code = "from tests.integration.test_warnings import run_all; run_all()"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""

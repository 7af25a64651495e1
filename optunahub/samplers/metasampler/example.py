"""Tune on a new data set after the studies of 2 other data sets.

Run: ``python example.py``. Takes a few seconds.
"""

from __future__ import annotations

import optuna
import optunahub


def train(trial: optuna.Trial, best_rate: float) -> float:
    """Stand-in for training a model; the best learning rate differs by data set."""
    rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    depth = trial.suggest_int("depth", 1, 8)
    misfit = abs(rate / best_rate - 1) / (rate / best_rate + 1)
    return misfit + 0.1 * abs(depth - 4)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    MetaSampler = optunahub.load_module("samplers/metasampler").MetaSampler

    old = []
    for name, best_rate in (("cats", 1e-3), ("dogs", 4e-3)):
        study = optuna.create_study(study_name=name, sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(lambda trial, rate=best_rate: train(trial, rate), n_trials=30)
        old.append(study)

    # Usually the old studies are in a storage, and its URL replaces the list.
    new = optuna.create_study(sampler=MetaSampler(old, seed=0))
    new.optimize(lambda trial: train(trial, best_rate=2e-3), n_trials=10)
    print(f"first trial {new.trials[0].value:.3f}, best of 10 {new.best_value:.3f}")
    print(f"best parameters {new.best_params}")

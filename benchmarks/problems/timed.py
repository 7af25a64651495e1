"""Objectives that take no time, for experiments that measure what samplers take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
import sqlite3
from typing import Any

import numpy as np
import optuna
from optuna.distributions import distribution_to_json
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial


N_PRIOR_TRIALS = 60


def continuous(trial: Trial, centre: float = 0.4) -> float:
    """Eight continuous parameters."""
    x = [trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(8)]
    return sum((i + 1) * (v - centre) ** 2 for i, v in enumerate(x))


def mixed(trial: Trial, centre: float = 0.4) -> float:
    """Eight parameters of the usual kinds."""
    value = (trial.suggest_float("dropout", 0.0, 1.0) - centre) ** 2
    value += abs(trial.suggest_float("lr", 1e-5, 1e-1, log=True) ** 0.2 - centre)
    value += abs(trial.suggest_float("decay", 1e-6, 1.0, log=True) ** 0.2 - centre)
    value += abs(trial.suggest_int("units", 8, 512, log=True) / 512 - centre)
    value += abs(trial.suggest_int("layers", 1, 6) - 3) / 6
    value += abs(trial.suggest_float("momentum", 0.0, 0.95, step=0.05) - centre)
    value += 0.2 * (trial.suggest_categorical("act", ["relu", "tanh", "gelu"]) == "tanh")
    return float(value + 0.1 * trial.suggest_categorical("norm", [True, False]))


def wide(trial: Trial, centre: float = 0.4) -> float:
    """A hundred parameters of the usual kinds, thirty of which depend on ten others."""
    gates = [trial.suggest_categorical(f"gate{i}", ["on", "off"]) for i in range(10)]
    value = 0.0
    for i in range(15):
        value += (trial.suggest_float(f"float{i}", 0.0, 1.0) - centre) ** 2
        value += abs(trial.suggest_float(f"log{i}", 1e-5, 1.0, log=True) ** 0.2 - centre)
        value += abs(trial.suggest_int(f"int{i}", 1, 50) / 50 - centre)
        value += 0.1 * (trial.suggest_categorical(f"choice{i}", ["a", "b", "c"]) == "b")
    for i in range(30):
        if gates[i // 3] == "on":
            value += (trial.suggest_float(f"conditional{i}", 0.0, 1.0) - centre) ** 2
    return value


PROBLEMS: dict[str, Callable[[Trial, float], float]] = {
    "continuous": continuous,
    "mixed": mixed,
    "wide": wide,
}
N_PARAMETERS = {"continuous": 8, "mixed": 8, "wide": 100}


def objective_of(problem: str, centre: float = 0.4) -> Callable[[Trial], float]:
    """An objective as Optuna takes it."""
    return lambda trial: PROBLEMS[problem](trial, centre)


def prior_studies(
    problem: str, centres: Iterable[float], n_trials: int = N_PRIOR_TRIALS
) -> list[optuna.Study]:
    """Finished studies with their optima elsewhere, of random search: hundreds are made soon."""
    studies = []
    for seed, centre in enumerate(centres):
        study = optuna.create_study(study_name=f"prior-{seed}", sampler=RandomSampler(seed=seed))
        study.optimize(objective_of(problem, centre), n_trials=n_trials)
        studies.append(study)
    return studies


def five_centres(n: int) -> list[float]:
    """``n`` centres of prior studies, of which five are different."""
    return [0.2 + 0.05 * (i % 5) for i in range(n)]


def history(problem: str, n: int) -> list[FrozenTrial]:
    """Trials of random search; beyond a thousand, configurations repeat and outcomes do not."""
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.optimize(objective_of(problem), n_trials=min(n, 1000))
    generator = np.random.default_rng(0)
    trials = study.get_trials(deepcopy=False)
    return [
        optuna.trial.create_trial(
            params=t.params,
            distributions=t.distributions,
            value=t.values[0] + 0.01 * float(generator.random()),
        )
        for t in (trials[i % len(trials)] for i in range(n))
    ]


def write_storage(studies: Sequence[optuna.Study], path: Path) -> None:
    """Write studies into an SQLite storage, past Optuna, which takes minutes for as many."""
    RDBStorage(f"sqlite:///{path}").engine.dispose()
    ids = list(enumerate(studies, 1))
    trials = [
        (trial_id, study_id, trial)
        for trial_id, (study_id, trial) in enumerate(
            ((study_id, trial) for study_id, study in ids for trial in study.trials), 1
        )
    ]
    rows: dict[str, list[tuple[Any, ...]]] = {
        "studies (study_id, study_name)": [(i, s.study_name) for i, s in ids],
        "study_directions (study_id, direction, objective)": [
            (i, s.direction.name, 0) for i, s in ids
        ],
        "trials (trial_id, study_id, number, state, datetime_start, datetime_complete)": [
            (i, s, t.number, t.state.name, str(t.datetime_start), str(t.datetime_complete))
            for i, s, t in trials
        ],
        "trial_values (trial_id, value, value_type, objective)": [
            (i, t.value, "FINITE", 0) for i, _, t in trials
        ],
        "trial_params (trial_id, param_name, param_value, distribution_json)": [
            (i, name, d.to_internal_repr(t.params[name]), distribution_to_json(d))
            for i, _, t in trials
            for name, d in t.distributions.items()
        ],
    }
    with sqlite3.connect(path) as connection:
        for table, values in rows.items():
            places = ", ".join("?" * (table.count(",") + 1))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", values)
    connection.close()

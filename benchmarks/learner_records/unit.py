"""One unit of work: all configurations of a learner on a data set."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
import math
import time
from typing import Any, Literal
import warnings

import numpy as np

from benchmarks.learner_records import metrics
from benchmarks.learner_records.data import DataSet
from benchmarks.learner_records.learners import Clock, Fit, Learner
from benchmarks.learner_records.parameters import Configuration, slices, space_filling


Record = dict[str, Any]
Part = Literal["tuned", "slice", "space"]

PARTS: tuple[Part, ...] = ("tuned", "slice", "space")
SIZES: dict[Part, int] = {"tuned": 60, "slice": 40, "space": 64}
"""Configurations: a study of Optuna's default sampler; the library's defaults and points near
them; points that fill the space."""
SECONDS_PER_FIT = 20.0
"""Of computing; what is not judged by then has no value."""
_SHARED_SEED = 29
_DIGITS = 5


def run(learner: Learner, data: DataSet, part: Part, n: int | None = None) -> Record:
    """Evaluate a learner on a data set; columns as in the README.

    Args:
        learner: Any.
        data: Any.
        part: Which configurations.
        n: How many of them.
    """
    began = time.process_time()
    parameters = learner.parameters(data.kind)
    names = [parameter.name for parameter in parameters]
    n = SIZES[part] if n is None else n
    rows = _tune(learner, data, n) if part == "tuned" else _design(learner, data, part, n)
    return {
        "learner": learner.name,
        "data_set": data.name,
        "part": part,
        "kind": data.kind,
        "sha256": data.sha256,
        "parameters": names,
        "size": learner.size.name if learner.size else None,
        "configurations": [[row["point"].get(name) for name in names] for row in rows],
        "stages": [row["stages"] for row in rows],
        **{
            name: [row["metrics"].get(name) for row in rows]
            for name in names_of_metrics(learner, data)
        },
        "seconds": [row["seconds"] for row in rows],
        "failures": {str(i): row["failure"] for i, row in enumerate(rows) if row["failure"]},
        "total_seconds": round(time.process_time() - began, 1),
        "versions": _versions(learner),
    }


def _design(learner: Learner, data: DataSet, part: Part, n: int) -> list[Record]:
    """Half of the points are the same on all data sets."""
    parameters = learner.parameters(data.kind)
    points: list[Configuration] = [{}] if part == "slice" else []
    design = slices if part == "slice" else space_filling
    points += design(parameters, n // 2, _SHARED_SEED)
    points += design(parameters, n - len(points), data.seed)
    stages = learner.size.stages if learner.size else ()
    return [evaluate(learner, data, point, stages) for point in points]


def names_of_metrics(learner: Learner, data: DataSet) -> tuple[str, ...]:
    """Which metrics a unit has; the first is what the study of it minimises."""
    if data.kind == "regression":
        return metrics.REGRESSION
    return metrics.CLASSIFICATION if learner.probabilities else metrics.CLASSIFICATION[1:]


def evaluate(
    learner: Learner, data: DataSet, point: Configuration, stages: Sequence[int]
) -> Record:
    """Cross-validate one configuration at all stages; a failure is part of the record."""
    began = time.process_time()
    per_fold: list[list[metrics.Metrics]] = []
    failure = ""
    try:
        for train, test in data.folds():
            clock = Clock(SECONDS_PER_FIT)
            fit = Fit(
                data.kind, point, tuple(stages), data.x[train], data.y[train], data.x[test], clock
            )
            per_fold.append(_judge(learner, fit, data.y[test]))
            if clock.expired:
                failure = f"stopped after {SECONDS_PER_FIT:g} s"
    except Exception as error:
        per_fold = []
        failure = f"{type(error).__name__}: {error}"[:200]
    return {
        "point": point,
        "stages": list(stages),
        "metrics": {
            name: [_mean(per_fold, i, name) for i in range(max(len(stages), 1))]
            for name in names_of_metrics(learner, data)
        },
        "seconds": round(time.process_time() - began, 3),
        "failure": failure,
    }


def _judge(learner: Learner, fit: Fit, y: np.ndarray) -> list[metrics.Metrics]:
    from sklearn import config_context

    judged: list[metrics.Metrics] = []
    # Checks of arguments are a good part of the time that a small tree takes.
    checks = config_context(assume_finite=True, skip_parameter_validation=True)
    with checks, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for guess in learner.predict(fit):
            if not np.isfinite(guess).all():
                # Training has diverged, and does not come back.
                break
            judged.append(
                metrics.of_classes(y, guess, learner.probabilities)
                if fit.classes
                else metrics.of_numbers(y, guess)
            )
    return judged


def _mean(per_fold: list[list[metrics.Metrics]], stage: int, name: str) -> float | None:
    """Over folds; nothing where a fold did not get so far, or its value is no number."""
    if not per_fold or any(len(fold) <= stage for fold in per_fold):
        return None
    mean = float(np.mean([fold[stage][name] for fold in per_fold]))
    return float(f"{mean:.{_DIGITS}g}") if math.isfinite(mean) else None


def _tune(learner: Learner, data: DataSet, n: int) -> list[Record]:
    """A study as users run it: Optuna's default sampler on all parameters and the size."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows: list[Record] = []
    first = names_of_metrics(learner, data)[0]

    def objective(trial: optuna.Trial) -> float:
        point: Configuration = {}
        for parameter in learner.parameters(data.kind):
            if parameter.applies(point):
                point[parameter.name] = parameter.suggest(trial)
        stages: list[int] = []
        if learner.size:
            last = int(learner.size.parameter.suggest(trial))
            stages = [*(stage for stage in learner.size.stages if stage < last), last]
        row = evaluate(learner, data, point, stages)
        rows.append(row)
        value = row["metrics"][first][-1]
        if value is None:
            raise optuna.TrialPruned
        return float(-value if first in {"accuracy", "auc"} else value)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=data.seed))
    study.optimize(objective, n_trials=n)
    return rows


def _versions(learner: Learner) -> dict[str, str]:
    found = {}
    for name in dict.fromkeys((learner.package, "optuna", "scikit-learn", "numpy")):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = metadata.version(f"{name}-cpu")
    return found

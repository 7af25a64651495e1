"""What the package ships about a learner, learned from its records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
import math
from typing import Any

import numpy as np
import torch

from benchmarks.learner_records.learners import LEARNERS
from benchmarks.learner_records.parameters import Parameter
from benchmarks.learner_records.unit import Record
from optuna_metasampler.builtin.catalogue import LEARNERS as LEARNER_NAMES
from optuna_metasampler.builtin.catalogue import Learner, LearnerName, learners
from optuna_metasampler.checkpoint import Checkpoint, Header, digest_of
from optuna_metasampler.methods import method_of
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.prior_model import (
    PriorModel,
    Resolution,
    best_configurations,
)
from optuna_metasampler.task import Task, to_tensor


# Three or four parameters are soon found; of the network there are too few records.
_NOT_SHIPPED: tuple[LearnerName, ...] = ("linear", "nearest_neighbors", "neural_network")
SHIPPED = tuple(name for name in LEARNER_NAMES if name not in _NOT_SHIPPED)
"""The learners that something is shipped about."""
RESOLUTION = Resolution(n_points=800, n_trials=900)
_DIGITS = torch.float32


def learn(name: LearnerName, records: Iterable[Record], features: Mapping[str, int]) -> Checkpoint:
    """The checkpoint of a learner.

    Args:
        name: Of the learner.
        records: Its units.
        features: Number of features of each data set.
    """
    space, tasks = tasks_of(name, records, features)
    model = PriorModel.fit(tasks, resolution=RESOLUTION)
    # Points keep their digits, so that round values are suggested as they were.
    small = replace(model, weights=model.weights.to(_DIGITS))
    header = Header(
        seed=0,
        data=digest(tasks),
        n_studies=len(tasks),
        n_trials=sum(map(len, tasks)),
        versions={},
        curve=(),
        finished=True,
        studies=tuple((task.name, len(task)) for task in tasks),
    )
    return Checkpoint(method_of("auto"), space, best_configurations(tasks), small, header, {})


def digest(tasks: Iterable[Task]) -> str:
    """A digest of tasks that is the same on every processor.

    Encodings hold logarithms, whose last bit is not.
    """
    return digest_of([replace(t, x=t.x.to(_DIGITS), y=t.y.to(_DIGITS)) for t in tasks])


def tasks_of(
    name: LearnerName, records: Iterable[Record], features: Mapping[str, int]
) -> tuple[SearchSpace, list[Task]]:
    """The data sets of a learner's records as tasks of one space.

    Every stage of a fit is a trial. What stands at a default has its value: the library's, or what
    it means on that data set. The outcome is the metric that a study of the records minimises.

    Args:
        name: Of the learner.
        records: Its units.
        features: Number of features of each data set.
    """
    learner = learners()[name]
    found: dict[str, list[tuple[dict[str, Any], float]]] = {}
    for record in records:
        trials = found.setdefault(record["data_set"], [])
        trials += _trials(learner, record, features[record["data_set"]])
    everything = [configuration for trials in found.values() for configuration, _ in trials]
    groups = [i for i, trials in enumerate(found.values()) for _ in trials]
    distributions = {p.name: p.distribution for p in learner.parameters}
    present = set().union(*everything)
    space = SearchSpace.of(
        {n: d for n, d in distributions.items() if n in present}, everything, groups
    )
    tasks = [
        Task.of(
            space,
            [configuration for configuration, _ in trials],
            to_tensor(np.array([outcome for _, outcome in trials])),
            name=data_set,
        )
        for data_set, trials in found.items()
        if len({outcome for _, outcome in trials}) > 1
    ]
    return space, tasks


def _trials(
    learner: Learner, record: Record, n_features: int
) -> Iterator[tuple[dict[str, Any], float]]:
    """Configurations with all values that have a meaning, and outcomes; larger is better."""
    known = {p.name: p for p in learner.parameters}
    kind = record["kind"]
    parameters = {p.name: p for p in LEARNERS[learner.name].parameters(kind)}
    metric = next(m for m in ("log_loss", "accuracy", "rmse") if m in record)
    sign = 1.0 if metric == "accuracy" else -1.0
    rows = zip(record["configurations"], record["stages"], record[metric], strict=True)
    for values, stages, outcomes in rows:
        given = {n: v for n, v in zip(record["parameters"], values, strict=True) if v is not None}
        whole = _completed(given, parameters, known, kind, n_features)
        if whole is None:
            continue
        for stage, outcome in zip(stages or [None], outcomes, strict=True):
            if outcome is not None:
                size = {} if stage is None else {record["size"]: stage}
                yield {**whole, **size}, sign * outcome


def _completed(
    given: Mapping[str, Any],
    parameters: Mapping[str, Parameter],
    known: Mapping[str, Any],
    kind: str,
    n_features: int,
) -> dict[str, Any] | None:
    """A configuration with the values that stand at defaults; ``None`` if one is not known."""
    whole: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if parameter.needs is not None and whole.get(parameter.needs[0]) not in parameter.needs[1]:
            continue
        value = given.get(name)
        if value is None and (parameter.default is not None or name != "learning_rate"):
            # CatBoost's learning rate is chosen by the data.
            value = stand_in(name, known[name].default, kind, n_features)
        if value is None:
            return None
        if not parameter.choices:
            value = min(max(value, parameter.low), parameter.high)
        whole[name] = value
    return whole


def stand_in(name: str, default: Any, kind: str, n_features: int) -> Any:
    """What a library's default means on a data set; ``None`` where it cannot be said."""
    if name == "max_features" and default is None:
        # Of forests, as scikit-learn has it.
        return 1.0 if kind == "regression" else math.sqrt(n_features) / n_features
    if name == "gamma" and default is None:
        # Of support-vector machines on features with variance 1.
        return 1.0 / n_features
    return default

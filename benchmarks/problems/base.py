"""What every suite of problems offers: tasks over one search space, and an objective for each.

What a sampler may know (`Parameter`, direction) and what only the report may know (`Scale`) are
different objects that never travel together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
import hashlib
import json
import math
from typing import Any, Literal, TypeAlias

import numpy as np
import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


Params = dict[str, Any]
Objective = Callable[[Mapping[str, Any]], float]
Direction: TypeAlias = Literal["minimize", "maximize"]
Distribution: TypeAlias = FloatDistribution | IntDistribution | CategoricalDistribution


@dataclass(frozen=True)
class Condition:
    """A parameter exists only where ``parent`` has one of ``values``."""

    parent: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a search space.

    Attributes:
        name: As the objective asks for it.
        distribution: As Optuna writes it.
        condition: When it takes part; ``None`` for always. Its parent comes earlier in the space.
    """

    name: str
    distribution: Distribution
    condition: Condition | None = None

    def is_active(self, params: Mapping[str, Any]) -> bool:
        """Whether the parameter takes part, given the parameters before it."""
        if self.condition is None:
            return True
        return params.get(self.condition.parent) in self.condition.values


@dataclass(frozen=True)
class Scale:
    """What is needed to judge a result: for the report alone, never for a sampler.

    Attributes:
        best: The best known value of the task.
        median: The value of the median configuration.
    """

    best: float
    median: float

    def regret(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Regret of each value: 0 is the best known, 1 the median configuration; not below 0."""
        span = self.median - self.best
        if span == 0:
            raise ValueError(
                "best and median are equal: every configuration of the task is alike."
            )
        return np.maximum((np.asarray(values, dtype=float) - self.best) / span, 0.0)


class Suite(ABC):
    """Tasks over one search space, such as one learner tuned on several data sets."""

    name: str
    direction: Direction
    parameters: tuple[Parameter, ...]
    tasks: tuple[str, ...]

    @abstractmethod
    def objective(self, task: str) -> Objective:
        """The function to optimise: from parameters (the active ones) to a value."""

    @abstractmethod
    def scale(self, task: str) -> Scale | None:
        """The best and the median value of a task; ``None`` where only runs can tell."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Tasks that may be held out and tuned; all of them by default."""
        return self.tasks

    def sources(self, target: str) -> tuple[str, ...]:
        """Tasks that prior studies of ``target`` may come from; all others by default."""
        return tuple(task for task in self.tasks if task != target)


def targets(suite: Suite, n: int) -> list[str]:
    """The first ``n`` targets in an order that depends on the suite's name alone."""
    order = np.random.default_rng(seed_of(suite.name, "targets")).permutation(len(suite.targets))
    return [suite.targets[i] for i in order[:n]]


def suggest(trial: optuna.Trial, parameters: Iterable[Parameter]) -> Params:
    """Ask a trial for all parameters that take part, in order, as an objective does."""
    params: Params = {}
    for parameter in parameters:
        if parameter.is_active(params):
            params[parameter.name] = suggest_one(trial, parameter.name, parameter.distribution)
    return params


def suggest_one(trial: optuna.Trial, name: str, distribution: Distribution) -> Any:
    """Ask a trial for one parameter by Optuna's public calls."""
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    return trial.suggest_int(
        name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
    )


def random_params(parameters: Iterable[Parameter], generator: np.random.Generator) -> Params:
    """One configuration, uniform in every parameter (on its log scale where it has one)."""
    params: Params = {}
    for parameter in parameters:
        if parameter.is_active(params):
            params[parameter.name] = quantile(parameter.distribution, generator.uniform())
    return params


def quantile(distribution: Distribution, u: float) -> Any:
    """The value at share ``u`` in [0, 1) of a distribution, on its log scale where it has one."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[
            min(int(u * len(distribution.choices)), len(distribution.choices) - 1)
        ]
    whole = isinstance(distribution, IntDistribution)
    half = 0.5 if whole and distribution.step == 1 else 0.0
    low, high = distribution.low - half, distribution.high + half
    if distribution.log:
        value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
    else:
        value = low + u * (high - low)
    if distribution.step is not None and not distribution.log:
        value = distribution.low + distribution.step * round(
            (value - distribution.low) / distribution.step
        )
    value = min(max(value, distribution.low), distribution.high)
    return round(value) if whole else float(value)


def rename(parameters: Iterable[Parameter], names: Mapping[str, str]) -> tuple[Parameter, ...]:
    """The parameters under other names, in conditions too; those not in ``names`` keep theirs."""
    renamed = []
    for p in parameters:
        condition = p.condition
        if condition is not None:
            condition = replace(condition, parent=names.get(condition.parent, condition.parent))
        renamed.append(replace(p, name=names.get(p.name, p.name), condition=condition))
    return tuple(renamed)


def seed_of(*parts: object) -> int:
    """A seed that depends on nothing but the names given: the same on every machine."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def digest(value: object) -> str:
    """Twelve characters that differ where two JSON values differ."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


_N_PROBES = 8


def fingerprint(suite: Suite, task: str) -> str:
    """Tells objectives apart: the values at a few fixed configurations, digested.

    Runs are only ever compared where it is the same.
    """
    generator = np.random.default_rng(seed_of(suite.name, "fingerprint"))
    objective = suite.objective(task)
    probes = [random_params(suite.parameters, generator) for _ in range(_N_PROBES)]
    return digest([f"{objective(probe):.6g}" for probe in probes])


def order(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """The parameters with every parent before its children.

    Raises:
        ValueError: If a parent is missing or conditions go round in a circle.
    """
    placed: dict[str, Parameter] = {}
    waiting = list(parameters)
    while waiting:
        ready = [p for p in waiting if p.condition is None or p.condition.parent in placed]
        if not ready:
            names = ", ".join(p.name for p in waiting)
            raise ValueError(f"The conditions of {names} name a missing parent or each other.")
        placed |= {p.name: p for p in ready}
        waiting = [p for p in waiting if p.name not in placed]
    return tuple(placed.values())

"""Parameters of learners: ranges of tutorials, defaults of libraries, and points to try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np


if TYPE_CHECKING:
    from optuna.trial import Trial


Value = float | int | str | bool
Configuration = dict[str, Value]
"""Values by name. What is left out stands at the library's default, or has no meaning here."""

_DIGITS = 4


@dataclass(frozen=True)
class Parameter:
    """A parameter of a learner and its generous range.

    Attributes:
        name: The official one.
        low: Smallest value; unused where there are ``choices``.
        high: Largest value.
        log: Whether it is spread by orders of magnitude.
        whole: Whether values are whole numbers.
        choices: Of a categorical parameter.
        needs: Another parameter and the values at which this one has a meaning.
        default: The library's, for the record: ``None`` where it is no number or choice.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    choices: tuple[Value, ...] = ()
    needs: tuple[str, tuple[Value, ...]] | None = None
    default: Value | None = None

    def at(self, u: float) -> Value:
        """The value at a place between 0 and 1 of the range."""
        if self.choices:
            value: Value = self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
            return value
        low, high = (self.low, self.high + 1) if self.whole else (self.low, self.high)
        number = low * (high / low) ** u if self.log else low + (high - low) * u
        return min(math.floor(number), int(self.high)) if self.whole else rounded(number)

    def suggest(self, trial: Trial) -> Value:
        """Let Optuna choose."""
        if self.choices:
            return cast("Value", trial.suggest_categorical(self.name, self.choices))
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return rounded(trial.suggest_float(self.name, self.low, self.high, log=self.log))

    def applies(self, configuration: Mapping[str, Value]) -> bool:
        """Whether it has a meaning beside the other values."""
        if self.needs is None:
            return True
        name, values = self.needs
        return name in configuration and configuration[name] in values

    def describe(self) -> dict[str, Any]:
        """As a table says it."""
        range_ = (
            {"choices": self.choices} if self.choices else {"low": self.low, "high": self.high}
        )
        return {
            "name": self.name,
            **range_,
            "log": self.log,
            "whole": self.whole,
            "needs": self.needs,
            "default": self.default,
        }


def rounded(value: float) -> float:
    """A value as it is run and recorded."""
    return float(f"{value:.{_DIGITS}g}")


def space_filling(parameters: tuple[Parameter, ...], n: int, seed: int) -> list[Configuration]:
    """Points of a scrambled Sobol sequence over all ranges."""
    return [_configuration(parameters, u) for u in sobol(len(parameters), n, seed)]


def slices(parameters: tuple[Parameter, ...], n: int, seed: int) -> list[Configuration]:
    """Points at which one, two or three parameters move and all others stand at defaults.

    A parameter that needs another one's value brings that value along.
    """
    rng = np.random.default_rng(seed)
    places = sobol(len(parameters), n, seed)
    found: list[Configuration] = []
    order = rng.permutation(len(parameters))
    for i, u in enumerate(places):
        first = order[i % len(order)]
        others = rng.permutation([j for j in range(len(parameters)) if j != first])
        free = {parameters[first].name, *(parameters[j].name for j in others[: i % 3])}
        free |= {p.needs[0] for p in parameters if p.name in free and p.needs}
        found.append(_slice(parameters, free, u))
    return found


def _slice(parameters: tuple[Parameter, ...], free: set[str], places: np.ndarray) -> Configuration:
    configuration: Configuration = {}
    # A needed value stands before what needs it; it is one of those that are needed.
    for parameter, u in zip(parameters, places, strict=True):
        if parameter.name not in free:
            continue
        dependants = [
            p.needs[1]
            for p in parameters
            if p.name in free and p.needs and p.needs[0] == parameter.name
        ]
        if dependants:
            values = dependants[0]
            configuration[parameter.name] = values[min(int(u * len(values)), len(values) - 1)]
        elif parameter.applies(configuration):
            configuration[parameter.name] = parameter.at(float(u))
    return configuration


def _configuration(parameters: tuple[Parameter, ...], places: np.ndarray) -> Configuration:
    configuration: Configuration = {}
    for parameter, u in zip(parameters, places, strict=True):
        if parameter.applies(configuration):
            configuration[parameter.name] = parameter.at(float(u))
    return configuration


def sobol(d: int, n: int, seed: int) -> np.ndarray:
    """Places in the unit cube, shape ``(n, d)``."""
    from scipy.stats import qmc

    m = math.ceil(math.log2(max(n, 1)))
    points: np.ndarray = qmc.Sobol(d, rng=np.random.default_rng(seed)).random_base2(m)[:n]
    return points

"""Random functions with a dial for how much the prior studies have to do with the target.

The target is a draw f from a Gaussian process, and source k is ``r f + sqrt(1 - r^2) g_k`` with
independent draws g_k: its correlation with the target is r everywhere. With r = 1 the priors are
the target itself, with 0 they say nothing, with -1 they say the opposite. The space is mixed and
conditional. The draws are made of random Fourier features (Rahimi & Recht 2007, NeurIPS).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import functools
import math
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks.problems.base import (
    Condition,
    Objective,
    Parameter,
    Scale,
    Suite,
    random_params,
    seed_of,
)


Function = Callable[[np.ndarray], np.ndarray]
"""From points ``(n, k)`` to values ``(n,)``."""

RELATEDNESS = (1.0, 0.9, 0.5, 0.0, -1.0)

_N_TARGETS = 8
_N_SOURCES = 8
_N_FEATURES = 512
_LENGTHSCALE = 0.6
_N_SCAN = 20_000
_N_CLIMBERS, _N_STEPS = 64, 200

_PARAMETERS = (
    Parameter("x0", FloatDistribution(-1.0, 1.0)),
    Parameter("x1", FloatDistribution(1e-4, 1.0, log=True)),
    Parameter("x2", IntDistribution(1, 12)),
    Parameter("kind", CategoricalDistribution(["a", "b", "c"])),
    Parameter("flag", CategoricalDistribution([False, True])),
    Parameter("x3", FloatDistribution(0.0, 1.0), Condition("kind", ("a", "b"))),
    Parameter("x4", FloatDistribution(0.0, 1.0), Condition("flag", (True,))),
)
# Columns of `features`: a number each, one-hot choices, and whether a conditional is there.
_N_NUMBERS = 5
_N_COLUMNS = _N_NUMBERS + 3 + 2
_N_STEPS_BETWEEN = (4, 9)
_SKEW = 1.5


class SyntheticSuite(Suite):
    """Independent groups of one target (``"3"``) and its sources (``"3/0"``, ``"3/1"``, ...).

    Args:
        relatedness: Correlation of every source with its target, in [-1, 1].
    """

    direction = "minimize"
    parameters: tuple[Parameter, ...] = _PARAMETERS

    def __init__(self, relatedness: float) -> None:
        if not -1.0 <= relatedness <= 1.0:
            raise ValueError(f"`relatedness` must be in [-1, 1], but got {relatedness}.")
        self.name = f"synthetic_{relatedness}"
        self.relatedness = relatedness
        groups = [str(i) for i in range(_N_TARGETS)]
        self.tasks = tuple(
            task for g in groups for task in (g, *(f"{g}/{k}" for k in range(_N_SOURCES)))
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """See `Suite.targets`."""
        return tuple(task for task in self.tasks if "/" not in task)

    def sources(self, target: str) -> tuple[str, ...]:
        """See `Suite.sources`."""
        return tuple(task for task in self.tasks if task.startswith(f"{target}/"))

    def objective(self, task: str) -> Objective:
        """See `Suite.objective`."""
        return lambda params: float(self._values(task, self._features([params]))[0])

    def scale(self, task: str) -> Scale:
        """The median of a random sample, and the best after climbing from its best."""
        generator = np.random.default_rng(seed_of("synthetic", task, "scale"))
        configurations = [random_params(_PARAMETERS, generator) for _ in range(_N_SCAN)]
        x = features(configurations)
        y = self._values(task, x)
        median = float(np.median(y))
        x = x[np.argsort(y)[:_N_CLIMBERS]]
        y = np.sort(y)[:_N_CLIMBERS]
        for step in range(_N_STEPS):
            # Only numbers move, and only those that take part.
            width = 0.2 * 0.97**step
            moved = x.copy()
            moved[:, :5] = np.where(
                x[:, :5] < 0,
                x[:, :5],
                np.clip(x[:, :5] + generator.normal(0, width, (len(x), 5)), 0, 1),
            )
            moved[:, 2] = x[:, 2]
            moved_y = self._values(task, moved)
            better = moved_y < y
            x[better], y[better] = moved[better], moved_y[better]
        return Scale(float(y.min()), median)

    def _values(self, task: str, x: np.ndarray) -> np.ndarray:
        target, _, source = task.partition("/")
        value = self._function(target)(x)
        if not source:
            return value
        r = self.relatedness
        return r * value + math.sqrt(1.0 - r * r) * self._function(task)(x)

    def _features(self, configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return features(configurations)

    def _function(self, name: str) -> Function:
        """What a target is, or what a source has of its own."""
        return _draw(name)


class SteppedSuite(SyntheticSuite):
    """The same functions with every number rounded to a few levels inside the objective.

    Which levels differs from group to group and is the same for a target and its sources.
    """

    def __init__(self, relatedness: float) -> None:
        super().__init__(relatedness)
        self.name = f"stepped_{relatedness}"

    def _values(self, task: str, x: np.ndarray) -> np.ndarray:
        generator = np.random.default_rng(seed_of("steps", task.partition("/")[0]))
        n_steps = generator.integers(*_N_STEPS_BETWEEN, _N_NUMBERS)
        x = x.copy()
        numbers = x[:, :_N_NUMBERS]
        # Inactive numbers are negative and stay what they are.
        x[:, :_N_NUMBERS] = np.where(numbers < 0, numbers, np.round(numbers * n_steps) / n_steps)
        return super()._values(task, x)


class SkewedSuite(SyntheticSuite):
    """Exponentials of the same functions: there is an end that good values come near, a zero."""

    def __init__(self, relatedness: float) -> None:
        super().__init__(relatedness)
        self.name = f"skewed_{relatedness}"

    def _values(self, task: str, x: np.ndarray) -> np.ndarray:
        return np.exp(_SKEW * super()._values(task, x))


def features(configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Configurations as points ``(n, 10)``: numbers in [0, 1], -1 where inactive; choices."""
    return np.array(
        [
            [
                (params["x0"] + 1.0) / 2.0,
                math.log(params["x1"] / 1e-4) / math.log(1e4),
                (params["x2"] - 1) / 11,
                params.get("x3", -1.0),
                params.get("x4", -1.0),
                *(float(params["kind"] == k) for k in "abc"),
                *(float(params["flag"] is f) for f in (False, True)),
            ]
            for params in configurations
        ]
    )


@functools.lru_cache(maxsize=64)
def _draw(name: str) -> Function:
    """A function ``(n, 10) -> (n,)`` drawn from a Gaussian process of unit variance."""
    generator = np.random.default_rng(seed_of("synthetic", name))
    frequencies = generator.normal(0.0, 1.0 / _LENGTHSCALE, (_N_COLUMNS, _N_FEATURES))
    # Choices shift a function without turning it into another one.
    frequencies[5:] *= 0.5
    phases = generator.uniform(0.0, 2.0 * math.pi, _N_FEATURES)
    weights = generator.normal(0.0, math.sqrt(2.0 / _N_FEATURES), _N_FEATURES)
    return lambda x: np.cos(x @ frequencies + phases) @ weights

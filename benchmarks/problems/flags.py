"""Options of a program: many switches and choices, few of which matter, some of them together.

The logarithm of the objective is a sum of main effects, whose sizes fall geometrically, and of
effects of pairs; the objective is rounded, as measured times are, so that many configurations tie.
Source k has effects ``r`` times the target's plus ``sqrt(1 - r^2)`` times its own, for the same
options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import functools
import math
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, IntDistribution

from benchmarks.problems.base import Parameter, Scale, random_params, seed_of
from benchmarks.problems.synthetic import Function, SyntheticSuite


_LEVELS = (3, 8, 16, 60)
_PARAMETERS = (
    *(Parameter(f"flag{i}", CategoricalDistribution([False, True])) for i in range(12)),
    *(Parameter(f"kind{i}", CategoricalDistribution("abcde"[: 3 + i % 3])) for i in range(4)),
    *(Parameter(f"level{i}", IntDistribution(0, high)) for i, high in enumerate(_LEVELS)),
)
# Effects along a parameter are known at so many places, and linear between them.
_N_KNOTS = 5
_DECAY = 0.7
_N_PAIRS = 12
_PAIR_SIZE = 0.7
_SPREAD = 0.6
_N_SCAN, _N_CLIMBERS, _N_SWEEPS = 4000, 12, 6


class FlagsSuite(SyntheticSuite):
    """Independent groups of one target and its sources, like those of `SyntheticSuite`."""

    parameters = _PARAMETERS

    def __init__(self, relatedness: float) -> None:
        super().__init__(relatedness)
        self.name = f"flags_{relatedness}"

    def scale(self, task: str) -> Scale:
        """The median of a random sample, and the best after changing one parameter at a time."""
        generator = np.random.default_rng(seed_of("flags", task, "scale"))
        x = places([random_params(_PARAMETERS, generator) for _ in range(_N_SCAN)])
        y = self._values(task, x)
        best = float(y.min())
        for start in np.argsort(y)[:_N_CLIMBERS]:
            row = x[start]
            for _ in range(_N_SWEEPS):
                for j, p in enumerate(_PARAMETERS):
                    n = _n_values(p)
                    changed = np.repeat(row[None], n, axis=0)
                    changed[:, j] = np.arange(n) / (n - 1)
                    row = changed[int(self._values(task, changed).argmin())]
            best = min(best, float(self._values(task, row[None])[0]))
        return Scale(best, float(np.median(y)))

    def _values(self, task: str, x: np.ndarray) -> np.ndarray:
        values: np.ndarray = np.round(10.0 * np.exp(_SPREAD * super()._values(task, x)), 1)
        return values

    def _features(self, configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return places(configurations)

    def _function(self, name: str) -> Function:
        return _effects(name)


def places(configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Each value's place among the values of its parameter, in [0, 1], shape ``(n, 20)``."""
    return np.array(
        [[_place(p, params[p.name]) for p in _PARAMETERS] for params in configurations]
    )


def _place(p: Parameter, value: Any) -> float:
    d = p.distribution
    at = d.choices.index(value) if isinstance(d, CategoricalDistribution) else int(value)
    return at / (_n_values(p) - 1)


def _n_values(p: Parameter) -> int:
    d = p.distribution
    if isinstance(d, CategoricalDistribution):
        return len(d.choices)
    assert isinstance(d, IntDistribution)
    return d.high + 1


@functools.lru_cache(maxsize=128)
def _effects(name: str) -> Function:
    """The sum of all effects at places ``(n, 20)``; which of them matter is the group's."""
    of_group = np.random.default_rng(seed_of("program", name.partition("/")[0]))
    n = len(_PARAMETERS)
    size = _DECAY ** of_group.permutation(n).astype(float)
    share = size / size.sum()
    pairs = [of_group.choice(n, 2, replace=False, p=share) for _ in range(_N_PAIRS)]
    generator = np.random.default_rng(seed_of("program effects", name))
    alone = [generator.normal(size=_N_KNOTS) for _ in range(n)]
    together = [generator.normal(size=(_N_KNOTS, _N_KNOTS)) for _ in pairs]
    knots = np.linspace(0.0, 1.0, _N_KNOTS)

    def total(x: np.ndarray) -> np.ndarray:
        nearest = np.rint(x * (_N_KNOTS - 1)).astype(int)
        value = np.zeros(len(x))
        for j, p in enumerate(_PARAMETERS):
            if isinstance(p.distribution, CategoricalDistribution):
                value += size[j] * alone[j][nearest[:, j]]
            else:
                value += size[j] * np.interp(x[:, j], knots, alone[j])
        for (a, b), effect in zip(pairs, together, strict=True):
            weight = _PAIR_SIZE * math.sqrt(size[a] * size[b])
            value += weight * effect[nearest[:, a], nearest[:, b]]
        return value

    return total

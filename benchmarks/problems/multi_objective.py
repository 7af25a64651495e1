"""Problems with two and three objectives, all to be minimised, and relatives of each.

Test functions with published fronts, and a forest of trees that is to be accurate and small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
import optuna
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from benchmarks.problems.live import load


LARGEST_SHIFT = 0.1
"""Of the optimum of a prior study, in ranges of a parameter."""

Array = NDArray[np.float64]
Objective = Callable[[optuna.Trial], tuple[float, ...]]


@dataclass(frozen=True)
class Problem:
    """Objectives that are all to be minimised.

    Attributes:
        objective: Of the running study.
        relative: Objective of a prior study, by its number and a seed.
        corner: The reference point.
        best: The best known hypervolume; ``None`` where it is that of all runs together.
    """

    objective: Objective
    relative: Callable[[int, int], Objective]
    corner: tuple[float, ...]
    best: float | None


def zdt1(u: Array) -> Array:
    """Zitzler, Deb & Thiele 2000, Evol. Comput. 8(2), function 1, on the unit cube."""
    g = 1 + 9 * u[1:].mean()
    return np.array([u[0], g * (1 - np.sqrt(u[0] / g))])


def zdt2(u: Array) -> Array:
    """The same, function 2: a front that is not convex."""
    g = 1 + 9 * u[1:].mean()
    return np.array([u[0], g * (1 - (u[0] / g) ** 2)])


def zdt3(u: Array) -> Array:
    """The same, function 3: a front in five parts."""
    g = 1 + 9 * u[1:].mean()
    share = u[0] / g
    return np.array([u[0], g * (1 - np.sqrt(share) - share * np.sin(10 * np.pi * u[0]))])


def vlmop2(u: Array) -> Array:
    """Van Veldhuizen & Lamont 1999, on the unit cube in place of ``[-2, 2]``."""
    x, end = 4 * u - 2, 1 / np.sqrt(len(u))
    distances = np.array([((x - end) ** 2).sum(), ((x + end) ** 2).sum()])
    return np.asarray(1 - np.exp(-distances))


def branin_currin(u: Array) -> Array:
    """Branin's function and that of Currin et al. 1991, as Belakaria et al. 2019 join them."""
    a, b = 15 * u[0] - 5, 15 * u[1]
    branin = (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2
    branin += 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10
    damp = 1 - np.exp(-1 / (2 * u[1])) if u[1] > 0 else 1.0
    above = 2300 * u[0] ** 3 + 1900 * u[0] ** 2 + 2092 * u[0] + 60
    below = 100 * u[0] ** 3 + 500 * u[0] ** 2 + 4 * u[0] + 20
    return np.array([branin, damp * above / below])


def dtlz2(u: Array) -> Array:
    """Deb, Thiele, Laumanns & Zitzler 2002, CEC, function 2 with three objectives."""
    g = 1 + ((u[2:] - 0.5) ** 2).sum()
    a, b = np.pi / 2 * u[:2]
    return np.asarray(g * np.array([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)]))


def vehicle(u: Array) -> Array:
    """Mass, acceleration and intrusion of a car in a crash, by five thicknesses of steel.

    Liao et al. 2008, Struct. Multidiscip. Optim. 35; RE3-5-4 of Tanabe & Ishibuchi 2020, Appl.
    Soft Comput. 89.
    """
    a, b, c, d, e = 1 + 2 * u
    mass = 1640.2823 + 2.3573285 * a + 2.3220035 * b + 4.5688768 * c + 7.7213633 * d
    acceleration = 6.5856 + 1.15 * a - 1.0427 * b + 0.9738 * c + 0.8364 * d - 0.3695 * a * d
    acceleration += 0.0861 * a * e + 0.3628 * b * d - 0.1106 * a**2 - 0.3437 * c**2
    intrusion = -0.0551 + 0.0181 * a + 0.1024 * b + 0.0421 * c - 0.0073 * a * b
    intrusion += 0.024 * b * c - 0.0118 * b * d - 0.0204 * c * d - 0.008 * c * e - 0.0241 * b**2
    return np.array(
        [
            mass + 4.4559504 * e,
            acceleration + 0.1764 * d**2,
            intrusion + 0.0109 * d**2,
        ]
    )


def _function(
    f: Callable[[Array], Array], d: int, corner: tuple[float, ...], best: float
) -> Problem:
    """A function on the unit cube, and shifted versions of it, folded at the edges."""

    def shifted(shift: Array) -> Objective:
        def objective(trial: optuna.Trial) -> tuple[float, ...]:
            u = np.array([trial.suggest_float(f"x{i}", 0, 1) for i in range(d)]) - shift
            return tuple(map(float, f(1 - np.abs(1 - np.abs(u)))))

        return objective

    def relative(number: int, seed: int) -> Objective:
        generator = np.random.default_rng([seed, number])
        return shifted(generator.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, d))

    return Problem(shifted(np.zeros(d)), relative, corner, best)


_DATA_SETS = ("digits", "breast_cancer", "wine")


@cache
def data(number: int) -> tuple[NDArray[Any], ...]:
    """Training and validation inputs and labels; 0 is the running study's data set."""
    if number < len(_DATA_SETS):
        x, y = load(_DATA_SETS[number])
    else:
        x, y = make_classification(400, 12, n_informative=6, random_state=0)
    return tuple(train_test_split(x, y, test_size=0.5, stratify=y, random_state=0))


def forest(number: int) -> Objective:
    """Log loss on a data set, at most 2, and log10 of the number of nodes."""

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        x, x_valid, y, y_valid = data(number)
        trees = ExtraTreesClassifier(
            n_estimators=trial.suggest_int("trees", 1, 50, log=True),
            max_depth=trial.suggest_int("depth", 1, 16),
            min_samples_leaf=trial.suggest_int("leaf", 1, 20, log=True),
            max_features=trial.suggest_float("features", 0.05, 1.0),
            criterion=trial.suggest_categorical("criterion", ["gini", "entropy"]),
            bootstrap=trial.suggest_categorical("bootstrap", [False, True]),
            random_state=0,
        ).fit(x, y)
        nodes = sum(tree.tree_.node_count for tree in trees.estimators_)
        loss = log_loss(y_valid, trees.predict_proba(x_valid))
        return min(float(loss), 2.0), math.log10(nodes)

    return objective


# Reference points and best volumes as in BoTorch's test functions (Balandat et al. 2020), where it
# has the function; those of ZDT3 and VLMOP2 from 20,000 points on their fronts.
PROBLEMS = {
    "ZDT1": _function(zdt1, 6, (11.0, 11.0), 120 + 2 / 3),
    "ZDT2": _function(zdt2, 6, (11.0, 11.0), 120 + 1 / 3),
    "ZDT3": _function(zdt3, 6, (11.0, 11.0), 128.77811613069076),
    "VLMOP2": _function(vlmop2, 4, (1.1, 1.1), 0.5521),
    "Branin-Currin": _function(branin_currin, 2, (18.0, 6.0), 59.36011874867746),
    "forest": Problem(forest(0), lambda number, _: forest(number + 1), (2.0, 5.0), None),
    "DTLZ2": _function(dtlz2, 6, (1.1, 1.1, 1.1), 1.1**3 - np.pi / 6),
    "vehicle": _function(vehicle, 5, (1864.72022, 11.81993945, 0.2903999384), 246.81607081187002),
}

"""Problems with constraints: formulas with published optima, and GPU kernels.

A constraint's value above 0 violates it. What fails raises `Failure`, and nothing says beforehand
which configurations do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import math
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from benchmarks.problems.base import Distribution, quantile, seed_of, suggest_one
from benchmarks.problems.tables import FolderSuite


Params: TypeAlias = Mapping[str, Any]
Evaluation: TypeAlias = tuple[float, dict[str, float]]
"""The value, to be minimised, and the constraints' values by name."""

# How far prior studies' problems are moved, in ranges of a parameter.
_SHIFT = 0.08
_N_RANDOM = 20_000


class Failure(Exception):
    """The configuration cannot be evaluated."""


@dataclass(frozen=True)
class Problem:
    """Something to minimise under constraints.

    Attributes:
        name: Of the problem.
        parameters: The search space.
        evaluate: From parameters to an evaluation; raises `Failure` where there is none.
        best: The best known feasible value.
        related: Problems that prior studies come from; empty for the problem with its numbers
            moved.
    """

    name: str
    parameters: Mapping[str, Distribution]
    evaluate: Callable[[Params], Evaluation]
    best: float
    related: tuple[Problem, ...] = field(default=())

    def objective(self, trial: optuna.Trial) -> float:
        """As a user writes it for Optuna 5."""
        params = {n: suggest_one(trial, n, d) for n, d in self.parameters.items()}
        value, constraints = self.evaluate(params)
        for key, each in constraints.items():
            trial.set_constraint(key, each)
        return value

    def unit(self) -> float:
        """The median value of feasible random configurations, less the best."""
        generator = np.random.default_rng(seed_of(self.name, "unit"))
        values = []
        for _ in range(_N_RANDOM):
            params = {n: quantile(d, generator.uniform()) for n, d in self.parameters.items()}
            try:
                value, constraints = self.evaluate(params)
            except Failure:
                continue
            if all(c <= 0 for c in constraints.values()):
                values.append(value)
        return float(np.median(values)) - self.best

    def priors(self, n: int, seed: int) -> list[Problem]:
        """Problems of ``n`` prior studies."""
        return list(self.related[:n]) or [shifted(self, seed_of(seed, i)) for i in range(n)]


def gardner_2(p: Params) -> Evaluation:
    """Simulation 2 of Gardner et al. 2014: small, separate feasible regions."""
    x, y = p["x"], p["y"]
    return math.sin(x) + y, {"c": math.sin(x) * math.sin(y) + 0.95}


def gramacy(p: Params) -> Evaluation:
    """The toy problem of Gramacy et al. 2016, "Modeling an augmented Lagrangian", sec. 2."""
    x, y = p["x"], p["y"]
    wave = 0.5 * math.sin(2 * math.pi * (x * x - 2 * y))
    return x + y, {"wave": 1.5 - x - 2 * y - wave, "circle": x * x + y * y - 1.5}


def townsend(p: Params) -> Evaluation:
    """Townsend 2014, "Constrained optimization in Chebfun", as modified by common usage."""
    x, y = p["x"], p["y"]
    value = -(math.cos((x - 0.1) * y) ** 2) - x * math.sin(3 * x + y)
    t = math.atan2(x, y)
    across = 2 * math.cos(t) - 0.5 * math.cos(2 * t) - 0.25 * math.cos(3 * t)
    across -= 0.125 * math.cos(4 * t)
    return value, {"edge": x * x + y * y - across**2 - (2 * math.sin(t)) ** 2}


def pressure_vessel(p: Params) -> Evaluation:
    """Pressure vessel, plates in sixteenths of an inch (Kannan & Kramer 1994, J. Mech. Des.)."""
    shell, head = p["shell"] * 0.0625, p["head"] * 0.0625
    r, length = p["radius"], p["length"]
    value = 0.6224 * shell * r * length + 1.7781 * head * r**2
    value += 3.1661 * shell**2 * length + 19.84 * shell**2 * r
    return value, {
        "shell": 0.0193 * r - shell,
        "head": 0.00954 * r - head,
        "volume": 1_296_000 - math.pi * r**2 * length - 4 / 3 * math.pi * r**3,
        "length": length - 240,
    }


def welded_beam(p: Params) -> Evaluation:
    """Welded beam (Deb 2000, "An efficient constraint handling method"; Coello 2000)."""
    h, length, t, b = p["h"], p["l"], p["t"], p["b"]
    load, span, e, g = 6000.0, 14.0, 30e6, 12e6
    direct = load / (math.sqrt(2) * h * length)
    moment = load * (span + length / 2)
    r = math.sqrt(length**2 / 4 + ((h + t) / 2) ** 2)
    inertia = 2 * math.sqrt(2) * h * length * (length**2 / 12 + ((h + t) / 2) ** 2)
    torsion = moment * r / inertia
    shear = math.sqrt(direct**2 + direct * torsion * length / r + torsion**2)
    buckling = 4.013 * e * math.sqrt(t**2 * b**6 / 36) / span**2
    buckling *= 1 - t / (2 * span) * math.sqrt(e / (4 * g))
    return 1.10471 * h**2 * length + 0.04811 * t * b * (14.0 + length), {
        "shear": shear - 13600,
        "bending": 6 * load * span / (b * t**2) - 30000,
        "weld": h - b,
        "cost": 0.10471 * h**2 + 0.04811 * t * b * (14.0 + length) - 5,
        "thinnest": 0.125 - h,
        "deflection": 4 * load * span**3 / (e * t**3 * b) - 0.25,
        "buckling": load - buckling,
    }


def branin(p: Params) -> Evaluation:
    """Branin's function (Dixon & Szego 1978), without constraints."""
    x, y = p["x"], p["y"]
    well = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return well**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10, {}


_HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(p: Params) -> Evaluation:
    """Hartmann's function of six numbers (Dixon & Szego 1978), without constraints."""
    x = np.array([p[f"x{i}"] for i in range(6)])
    wells = np.exp(-(_HARTMANN_A * (x - _HARTMANN_P) ** 2).sum(1))
    return -float(wells @ [1.0, 1.2, 3.0, 3.2]), {}


def flaky(
    evaluate: Callable[[Params], Evaluation], share: float
) -> Callable[[Params], Evaluation]:
    """The same, but a share of the configurations fails, wherever they are."""

    def evaluate_or_fail(params: Params) -> Evaluation:
        if seed_of(sorted(params.items())) < share * 2**31:
            raise Failure
        return evaluate(params)

    return evaluate_or_fail


def shifted(problem: Problem, seed: int) -> Problem:
    """The problem with its numbers moved by up to 8% of their ranges, and whole ones left."""
    generator = np.random.default_rng(seed)
    moved = {
        name: (d, float(generator.uniform(-_SHIFT, _SHIFT)) * (d.high - d.low))
        for name, d in problem.parameters.items()
        if isinstance(d, FloatDistribution)
    }

    def evaluate(params: Params) -> Evaluation:
        # Inside of the range: beyond it some of the formulas have no value.
        new = {n: min(max(params[n] + by, d.low), d.high) for n, (d, by) in moved.items()}
        return problem.evaluate({**params, **new})

    return Problem(f"{problem.name} {seed}", problem.parameters, evaluate, problem.best)


def _floats(ranges: Mapping[str, tuple[float, float]]) -> dict[str, Distribution]:
    return {name: FloatDistribution(*ends) for name, ends in ranges.items()}


def formulas() -> dict[str, Problem]:
    """The problems that are formulas, by name."""
    square = _floats({"x": (0.0, 6.0), "y": (0.0, 6.0)})
    plates = IntDistribution(1, 99)
    problems = [
        Problem("gardner 2", square, gardner_2, 0.2532359),
        Problem("gramacy", _floats({"x": (0.0, 1.0), "y": (0.0, 1.0)}), gramacy, 0.599788),
        Problem("townsend", _floats({"x": (-2.25, 2.5), "y": (-2.5, 1.75)}), townsend, -2.0239884),
        Problem(
            "pressure vessel",
            {"shell": plates, "head": plates}
            | _floats({"radius": (10.0, 200.0), "length": (10.0, 240.0)}),
            pressure_vessel,
            6059.7143,
        ),
        Problem(
            "welded beam",
            _floats({"h": (0.1, 2.0), "l": (0.1, 10.0), "t": (0.1, 10.0), "b": (0.1, 2.0)}),
            welded_beam,
            1.724852,
        ),
        Problem(
            "branin, 15 % fail",
            _floats({"x": (-5.0, 10.0), "y": (0.0, 15.0)}),
            flaky(branin, 0.15),
            0.397887,
        ),
        Problem(
            "hartmann, 15 % fail",
            _floats({f"x{i}": (0.0, 1.0) for i in range(6)}),
            flaky(hartmann, 0.15),
            -3.32237,
        ),
    ]
    return {problem.name: problem for problem in problems}


def kernels(folder: Path) -> dict[str, Problem]:
    """Tuning a GPU kernel on one GPU, with the same kernel on others as related problems.

    A user knows the values that each parameter may have, and not which combinations of them
    compile and run: those that do are the table's rows, the others fail (data of Lurati et al.
    2024, "Bringing auto-tuning to HIP", Euro-Par).

    Args:
        folder: Of a suite, see `FolderSuite`.
    """
    suite = FolderSuite(folder)
    names = [p.name for p in suite.parameters]
    rows = {task: suite.rows(task) for task in suite.tasks}
    grids = [
        sorted(set(np.concatenate([x[:, j] for x, _ in rows.values()]).tolist()))
        for j in range(len(names))
    ]
    # Numbers are given by their place in the list of values: every sampler sees their order.
    parameters: dict[str, Distribution] = {
        p.name: p.distribution
        if isinstance(p.distribution, CategoricalDistribution)
        else IntDistribution(0, len(grid) - 1)
        for p, grid in zip(suite.parameters, grids, strict=True)
    }

    def problem(task: str, related: tuple[Problem, ...] = ()) -> Problem:
        x, y = rows[task]
        known = {tuple(point): value for point, value in zip(x.tolist(), y.tolist(), strict=True)}

        def evaluate(params: Params) -> Evaluation:
            # The choices of these suites are numbers as well: their own indices.
            point = tuple(grid[params[n]] for n, grid in zip(names, grids, strict=True))
            if point not in known:
                raise Failure
            return known[point], {}

        return Problem(f"{suite.name} {task}", parameters, evaluate, float(y.min()), related)

    alone = {task: problem(task) for task in suite.tasks}
    return {
        p.name: p
        for task in suite.tasks
        for p in [problem(task, tuple(o for other, o in alone.items() if other != task))]
    }

"""Noisy objectives, and the truth about them.

Synthetic targets with Gaussian noise, and support vector machines whose validation folds are drawn
anew for every trial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import functools
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.problems.base import Parameter, Params, random_params, suggest
from benchmarks.problems.live import load
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.scenarios import prior_logs


SUITE = SyntheticSuite(0.9)
SCENARIO = "random-5"
N_RANDOM = 500
"""Random configurations whose spread is the unit of noise."""

DATA_SETS = ("breast_cancer", "digits", "wine")
N_ROWS = 100
"""Rows of a data set that are used: few, so that the choice of those for validation matters."""

N_FOLDS = 2
N_LIVE_SAMPLE = 30
N_TRUTH = 12
"""Draws of the folds whose mean counts as the truth."""


@dataclass(frozen=True)
class Problem:
    """A noisy objective to be minimised, and the truth about it.

    Attributes:
        noise: Its kind and level; the row of the result that it belongs to.
        name: Tells it from others of the row.
        parameters: What is tuned.
        priors: Prior studies.
        noisy: From parameters and a source of noise to a value.
        regret: From parameters to their regret, without noise.
    """

    noise: str
    name: str
    parameters: tuple[Parameter, ...]
    priors: Sequence[optuna.Study]
    noisy: Callable[[Params, np.random.Generator], float]
    regret: Callable[[Params], float]


def synthetic(target: str, kind: str, level: float, seed: int) -> Problem:
    """A synthetic target with noise of ``level`` times the outcomes' own spread."""
    objective, scale = SUITE.objective(target), SUITE.scale(target)
    generator = np.random.default_rng(0)
    sample = [random_params(SUITE.parameters, generator) for _ in range(N_RANDOM)]
    spread = level * float(np.std([objective(params) for params in sample]))

    def noisy(params: Params, noise: np.random.Generator) -> float:
        # From 0.25 to 1.75 along the first parameter, which goes from -1 to 1.
        factor = 1.0 + 0.75 * params["x0"] if kind == "uneven" else 1.0
        return objective(params) + spread * factor * float(noise.standard_normal())

    logs = prior_logs(SCENARIO, SUITE, target, seed)
    priors = [log.to_study(f"prior-{i}") for i, log in enumerate(logs)]
    return Problem(
        f"{kind} {level}",
        f"{target}/{seed}",
        SUITE.parameters,
        priors,
        noisy,
        lambda params: float(scale.regret([objective(params)])[0]),
    )


_MACHINE = (
    Parameter("C", FloatDistribution(1e-3, 1e3, log=True)),
    Parameter("gamma", FloatDistribution(1e-6, 1e1, log=True)),
    Parameter("weight", CategoricalDistribution(["balanced", None])),
    Parameter("shrinking", CategoricalDistribution([True, False])),
)


@functools.cache
def _data(name: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = load(name)
    rows = np.random.default_rng(0).permutation(len(x))[:N_ROWS]
    return x[rows], y[rows]


def error(name: str, params: Params, split: int) -> float:
    """Cross-validated share of errors of a support vector machine, with folds drawn by a seed."""
    x, y = _data(name)
    machine = SVC(
        C=params["C"],
        gamma=params["gamma"],
        class_weight=params["weight"],
        shrinking=params["shrinking"],
    )
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=split)
    model = make_pipeline(StandardScaler(), machine)
    return 1.0 - float(np.mean(cross_val_score(model, x, y, cv=folds)))


@functools.cache
def _truth(name: str, items: tuple[tuple[str, Any], ...]) -> float:
    return float(np.mean([error(name, dict(items), split) for split in range(N_TRUTH)]))


@functools.cache
def _live_scale(name: str) -> tuple[float, float]:
    """The least and the median true error of random configurations."""
    generator = np.random.default_rng(0)
    sample = [random_params(_MACHINE, generator) for _ in range(N_LIVE_SAMPLE)]
    errors = [_truth(name, tuple(sorted(params.items()))) for params in sample]
    return float(np.min(errors)), float(np.median(errors))


def _prior_objective(name: str, trial: optuna.Trial) -> float:
    return error(name, suggest(trial, _MACHINE), trial.number)


def live(name: str, seed: int) -> Problem:
    """A support vector machine; prior studies are on the other data sets.

    The least true error of a random sample stands for the best there is, so that a regret may be
    a little below 0.
    """
    best, median = _live_scale(name)
    priors = []
    for other in DATA_SETS:
        if other != name:
            study = optuna.create_study(study_name=other, sampler=RandomSampler(seed=seed))
            study.optimize(functools.partial(_prior_objective, other), 20)
            priors.append(study)

    def noisy(params: Params, noise: np.random.Generator) -> float:
        return error(name, params, int(noise.integers(1000, 2**31)))

    def regret(params: Params) -> float:
        return (_truth(name, tuple(sorted(params.items()))) - best) / (median - best)

    return Problem("live", f"{name}/{seed}", _MACHINE, priors, noisy, regret)

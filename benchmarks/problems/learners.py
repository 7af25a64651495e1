"""Real tuning where the learner itself is a parameter, and others belong to one learner each.

The space is the one that tutorials of hyperparameter optimisation begin with: which model, and how
(Thornton, Hutter, Hoos & Leyton-Brown 2013, "Auto-WEKA: combined selection and hyperparameter
optimization of classification algorithms", KDD). The best learner differs from data set to data
set, so what was best before is a worse guide than it is within one learner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import functools
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks.problems.base import Condition, Parameter
from benchmarks.problems.live import MAX_ITERATIONS, LiveSuite, is_regression, load, relative_loss


_MAX_ROWS = 600
_N_TREES = 40
_MIN_LEAF_OF_BOOSTING = 5

_MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "circles": ("make_circles", {"n_samples": 200, "noise": 0.15, "factor": 0.5}),
    "clusters": (
        "make_classification",
        {"n_samples": 250, "n_features": 15, "n_informative": 5, "n_classes": 3, "flip_y": 0.05},
    ),
    "friedman1": ("make_friedman1", {"n_samples": 200, "noise": 1.0}),
    "friedman2": ("make_friedman2", {"n_samples": 200, "noise": 50.0}),
    "friedman3": ("make_friedman3", {"n_samples": 200, "noise": 0.1}),
    "hastie": ("make_hastie_10_2", {"n_samples": 300}),
    "moons": ("make_moons", {"n_samples": 200, "noise": 0.3}),
    "quantiles": (
        "make_gaussian_quantiles",
        {"n_samples": 250, "n_features": 5, "n_classes": 3},
    ),
    "s_curve": ("make_s_curve", {"n_samples": 200, "noise": 0.2}),
    "sparse_linear": (
        "make_regression",
        {"n_samples": 150, "n_features": 30, "n_informative": 5, "noise": 20.0},
    ),
    "swiss_roll": ("make_swiss_roll", {"n_samples": 200, "noise": 1.0}),
    "wide": (
        "make_classification",
        {"n_samples": 150, "n_features": 60, "n_informative": 10, "flip_y": 0.1},
    ),
}


def _of(learner: str) -> Condition:
    return Condition("learner", (learner,))


class LiveLearners(LiveSuite):
    """Five learners with eight parameters of their own, on the data sets of scikit-learn."""

    name = "live_learners"
    parameters = (
        Parameter("scaler", CategoricalDistribution(["standard", "minmax", "none"])),
        Parameter(
            "learner",
            CategoricalDistribution(["boosting", "forest", "linear", "neighbors", "svm"]),
        ),
        Parameter("learning_rate", FloatDistribution(1e-2, 1.0, log=True), _of("boosting")),
        Parameter("max_leaves", IntDistribution(2, 64, log=True), _of("boosting")),
        Parameter("max_features", FloatDistribution(0.1, 1.0), _of("forest")),
        Parameter("min_leaf", IntDistribution(1, 30, log=True), _of("forest")),
        Parameter("alpha", FloatDistribution(1e-3, 1e3, log=True), _of("linear")),
        Parameter("n_neighbors", IntDistribution(1, 50, log=True), _of("neighbors")),
        Parameter("C", FloatDistribution(1e-2, 1e3, log=True), _of("svm")),
        Parameter("gamma", FloatDistribution(1e-4, 1e1, log=True), _of("svm")),
    )

    def data(self, task: str) -> tuple[np.ndarray, np.ndarray]:
        """Inputs ``(n, d)`` and targets ``(n,)``, every second or third row of the large ones."""
        x, y = load(task)
        step = -(-len(x) // _MAX_ROWS)
        return x[::step], y[::step]

    def evaluate(self, task: str, params: Mapping[str, Any]) -> float:
        """See `LiveSuite.evaluate`."""
        x, y = self.data(task)
        learner = _MAKERS[params["learner"]](params, is_regression(y))
        return relative_loss(learner, params["scaler"], x, y)


class MadeLearners(LiveLearners):
    """The same space on data sets that scikit-learn draws at random."""

    name = "made_learners"
    tasks = tuple(_MADE)

    def data(self, task: str) -> tuple[np.ndarray, np.ndarray]:
        """See `LiveLearners.data`."""
        return _make(task)


@functools.cache
def _make(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``(n, d)`` and targets ``(n,)``: whole numbers are classes."""
    from sklearn import datasets

    maker, options = _MADE[task]
    x, y = getattr(datasets, maker)(random_state=0, **options)[:2]
    return (x, (y > 0).astype(int)) if maker == "make_hastie_10_2" else (x, y)


def _boosting(params: Mapping[str, Any], regression: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return (HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier)(
        learning_rate=params["learning_rate"],
        max_leaf_nodes=params["max_leaves"],
        max_iter=_N_TREES,
        min_samples_leaf=_MIN_LEAF_OF_BOOSTING,
        early_stopping=False,
        random_state=0,
    )


def _forest(params: Mapping[str, Any], regression: bool) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return (RandomForestRegressor if regression else RandomForestClassifier)(
        _N_TREES,
        max_features=params["max_features"],
        min_samples_leaf=params["min_leaf"],
        random_state=0,
    )


def _linear(params: Mapping[str, Any], regression: bool) -> Any:
    from sklearn.linear_model import Ridge, RidgeClassifier

    return (Ridge if regression else RidgeClassifier)(params["alpha"])


def _neighbors(params: Mapping[str, Any], regression: bool) -> Any:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    return (KNeighborsRegressor if regression else KNeighborsClassifier)(params["n_neighbors"])


def _svm(params: Mapping[str, Any], regression: bool) -> Any:
    from sklearn.svm import SVC, SVR

    return (SVR if regression else SVC)(
        C=params["C"], gamma=params["gamma"], max_iter=MAX_ITERATIONS
    )


_MAKERS: dict[str, Callable[[Mapping[str, Any], bool], Any]] = {
    "boosting": _boosting,
    "forest": _forest,
    "linear": _linear,
    "neighbors": _neighbors,
    "svm": _svm,
}

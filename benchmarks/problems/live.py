"""Real tuning: scikit-learn models on the data sets that come with it, cross-validated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
import functools
from typing import Any
import warnings

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks.problems import network
from benchmarks.problems.base import Condition, Objective, Parameter, Suite


_N_FOLDS = 4
# Unscaled polynomial kernels may not converge within hours.
MAX_ITERATIONS = 20_000
"""Of a support-vector machine."""


class LiveSuite(Suite):
    """One learner on the five data sets; the value is a relative loss to minimise.

    0 is perfect and 1 is no better than a constant prediction. The best possible value
    is unknown, so `scale` is ``None`` and results are judged by the best of all runs.
    """

    direction = "minimize"
    tasks: tuple[str, ...] = network.DATA_SETS

    def __init__(self) -> None:
        # Cross-validation costs more than a look-up, and finite spaces repeat themselves.
        self._cached = functools.lru_cache(maxsize=100_000)(self._evaluate)

    def objective(self, task: str) -> Objective:
        """See `Suite.objective`."""
        return lambda params: self._cached(task, tuple(sorted(params.items())))

    def scale(self, task: str) -> None:
        """Only the runs can tell."""

    def _evaluate(self, task: str, items: tuple[tuple[str, Any], ...]) -> float:
        return self.evaluate(task, dict(items))

    @abstractmethod
    def evaluate(self, task: str, params: Mapping[str, Any]) -> float:
        """Cross-validate one configuration on one data set."""


class LiveMLP(LiveSuite):
    """A small neural network: eight parameters, one conditional."""

    name = "live_mlp"
    parameters = (
        Parameter("hidden_units", IntDistribution(8, 128, log=True)),
        Parameter("n_layers", IntDistribution(1, 3)),
        Parameter("activation", CategoricalDistribution(["relu", "tanh", "logistic"])),
        Parameter("batch_size", IntDistribution(16, 256, log=True)),
        Parameter("learning_rate", FloatDistribution(1e-4, 1e-1, log=True)),
        Parameter("alpha", FloatDistribution(1e-6, 10.0, log=True)),
        Parameter("solver", CategoricalDistribution(["adam", "sgd"])),
        Parameter("momentum", FloatDistribution(0.0, 0.99), Condition("solver", ("sgd",))),
    )

    def evaluate(self, task: str, params: Mapping[str, Any]) -> float:
        """See `LiveSuite.evaluate`."""
        return network.evaluate(task, params)


class LiveSVM(LiveSuite):
    """Support-vector machines: six parameters, three of them conditional on the kernel."""

    name = "live_svm"
    parameters = (
        Parameter("scaler", CategoricalDistribution(["standard", "minmax", "none"])),
        Parameter("kernel", CategoricalDistribution(["rbf", "linear", "poly", "sigmoid"])),
        Parameter("C", FloatDistribution(1e-3, 1e3, log=True)),
        Parameter(
            "gamma",
            FloatDistribution(1e-5, 1e1, log=True),
            Condition("kernel", ("rbf", "poly", "sigmoid")),
        ),
        Parameter("degree", IntDistribution(2, 5), Condition("kernel", ("poly",))),
        Parameter("coef0", FloatDistribution(0.0, 2.0), Condition("kernel", ("poly", "sigmoid"))),
    )

    def evaluate(self, task: str, params: Mapping[str, Any]) -> float:
        """See `LiveSuite.evaluate`."""
        from sklearn.svm import SVC, SVR

        x, y = load(task)
        options = {name: params[name] for name in ("gamma", "degree", "coef0") if name in params}
        machine = (SVR if is_regression(y) else SVC)(
            kernel=params["kernel"], C=params["C"], max_iter=MAX_ITERATIONS, **options
        )
        return relative_loss(machine, params["scaler"], x, y)


def is_regression(y: np.ndarray) -> bool:
    """Whether targets are numbers to predict; whole ones are classes."""
    return np.issubdtype(y.dtype, np.floating)


def relative_loss(learner: Any, scaler: str, x: np.ndarray, y: np.ndarray) -> float:
    """Cross-validate a learner of scikit-learn on scaled inputs; the value as in `LiveSuite`.

    Args:
        learner: Not fitted yet.
        scaler: ``"standard"``, ``"minmax"`` or ``"none"``.
        x: Inputs, shape ``(n, d)``.
        y: Targets, shape ``(n,)``.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    regression = is_regression(y)
    scalers = {"standard": [StandardScaler()], "minmax": [MinMaxScaler()], "none": []}
    folds = (KFold if regression else StratifiedKFold)(_N_FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        guess = cross_val_predict(make_pipeline(*scalers[scaler], learner), x, y, cv=folds)
    if regression:
        # An unfinished fit may predict anything; worse than ten constants is just bad.
        return float(min(np.mean((guess - y) ** 2) / np.var(y), 10.0))
    majority = np.bincount(y).max() / len(y)
    return float(np.mean(guess != y) / (1.0 - majority))


@functools.cache
def load(task: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``(n, d)`` and targets ``(n,)``: whole numbers are classes."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{task}")(return_X_y=True)
    return x, y

"""The tuning problem: one small neural network on five data sets.

The search space is the same for all: eight parameters, numerical on linear and log scales,
integer, categorical, and one that exists for one solver only. The value to minimise is the
*relative loss*: the cross-validated loss (log loss for classes, squared error for numbers)
divided by the loss of a constant prediction. 0 is perfect, 1 is no better than a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
from typing import Any
import warnings

import numpy as np
import optuna
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


DATA_SETS = ("breast_cancer", "diabetes", "digits", "iris", "wine")
"""The data sets that come with scikit-learn, in alphabetical order."""

_N_EPOCHS = 20
_N_FOLDS = 3
# A diverged or wildly overconfident network: without a ceiling, one such trial hides all others.
_MAX_RELATIVE_LOSS = 10.0


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """Asks for one setting of the network.

    Args:
        trial: The trial that is asked.

    Returns:
        The eight parameters by name; ``momentum`` is there for the solver ``sgd`` only.
    """
    params: dict[str, Any] = {
        "hidden_units": trial.suggest_int("hidden_units", 8, 128, log=True),
        "n_layers": trial.suggest_int("n_layers", 1, 3),
        "activation": trial.suggest_categorical("activation", ["relu", "tanh", "logistic"]),
        "batch_size": trial.suggest_int("batch_size", 16, 256, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "alpha": trial.suggest_float("alpha", 1e-6, 10.0, log=True),
        "solver": trial.suggest_categorical("solver", ["adam", "sgd"]),
    }
    if params["solver"] == "sgd":
        params["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
    return params


@functools.cache
def load(data_set: str) -> tuple[Any, Any]:
    """Loads a data set that comes with scikit-learn.

    Args:
        data_set: One of `DATA_SETS`.

    Returns:
        Inputs, shape ``(n, d)``, and targets, shape ``(n,)``; numerical targets are standardised.
    """
    x, y = getattr(datasets, f"load_{data_set}")(return_X_y=True)
    if _is_regression(data_set):
        y = (y - y.mean()) / y.std()
    return x, y


def _is_regression(data_set: str) -> bool:
    return data_set == "diabetes"


def evaluate(data_set: str, params: Mapping[str, Any]) -> float:
    """Cross-validates one setting of the network.

    Args:
        data_set: One of `DATA_SETS`.
        params: What `suggest` returned.

    Returns:
        The relative loss, at least 0 and at most 10; smaller is better.
    """
    x, y = load(data_set)
    regression = _is_regression(data_set)
    network = (MLPRegressor if regression else MLPClassifier)(
        hidden_layer_sizes=(params["hidden_units"],) * params["n_layers"],
        activation=params["activation"],
        solver=params["solver"],
        alpha=params["alpha"],
        batch_size=params["batch_size"],
        learning_rate_init=params["learning_rate"],
        momentum=params.get("momentum", 0.0),
        max_iter=_N_EPOCHS,
        random_state=0,
    )
    folds = (KFold if regression else StratifiedKFold)(_N_FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # The short training is the point, and small data sets have folds below `batch_size`.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Got `batch_size` less than 1 or larger")
        try:
            prediction = cross_val_predict(
                make_pipeline(StandardScaler(), network),
                x,
                y,
                cv=folds,
                method="predict" if regression else "predict_proba",
            )
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            return _MAX_RELATIVE_LOSS  # the solver diverged
    if not np.isfinite(prediction).all():
        return _MAX_RELATIVE_LOSS
    if regression:
        loss, constant = mean_squared_error(y, prediction), float(np.var(y))
    else:
        share = np.bincount(y) / len(y)
        loss, constant = log_loss(y, prediction), -float(share @ np.log(share))
    return min(float(loss / constant), _MAX_RELATIVE_LOSS)


def n_rows(data_set: str) -> int:
    """Counts the rows of one of `DATA_SETS`."""
    return len(load(data_set)[0])


def largest_data_set() -> str:
    """Finds the one of `DATA_SETS` with the most rows."""
    return max(DATA_SETS, key=n_rows)

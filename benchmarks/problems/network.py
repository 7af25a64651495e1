"""A small neural network on the five data sets that come with scikit-learn.

The value to minimise is the *relative loss*: the cross-validated loss (log loss for classes,
squared error for numbers) divided by the loss of a constant prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
from typing import Any
import warnings

import numpy as np
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


@functools.cache
def _load(data_set: str) -> tuple[Any, Any]:
    """Inputs ``(n, d)`` and targets ``(n,)``; numerical targets are standardised."""
    x, y = getattr(datasets, f"load_{data_set}")(return_X_y=True)
    if _is_regression(data_set):
        y = (y - y.mean()) / y.std()
    return x, y


def _is_regression(data_set: str) -> bool:
    return data_set == "diabetes"


def evaluate(data_set: str, params: Mapping[str, Any]) -> float:
    """Cross-validate one configuration of the network.

    Args:
        data_set: One of `DATA_SETS`.
        params: Those of `live.LiveMLP`; ``momentum`` is there for the solver ``sgd`` only.

    Returns:
        The relative loss, at least 0 and at most 10; smaller is better.
    """
    x, y = _load(data_set)
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

"""The tuning problem: gradient boosting, by cross-validated log loss."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import optuna
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict


DATA_SETS = ("wine", "breast_cancer", "diabetes", "digits")
"""Data sets that come with scikit-learn."""

_N_ROWS = 300


@functools.cache
def load(data_set: str) -> tuple[Any, Any]:
    """Loads a data set of at most 300 rows, drawn at random.

    Args:
        data_set: One of `DATA_SETS`.

    Returns:
        Inputs, shape ``(n, d)``, and classes, shape ``(n,)``. Of ``diabetes``, the class is
        whether the disease progressed more than in the median patient; of ``digits``, whether the
        digit is odd, as ten classes take ten times as many trees.
    """
    x, y = getattr(datasets, f"load_{data_set}")(return_X_y=True)
    if data_set == "diabetes":
        y = (y > np.median(y)).astype(int)
    elif data_set == "digits":
        y = y % 2
    rows = np.random.default_rng(0).permutation(len(y))[:_N_ROWS]
    return x[rows], y[rows]


def objective(trial: optuna.Trial, data_set: str) -> float:
    """Cross-validates one configuration, on the same three folds each time.

    Args:
        trial: Says the configuration.
        data_set: One of `DATA_SETS`.

    Returns:
        The log loss.
    """
    x, y = load(data_set)
    model = HistGradientBoostingClassifier(
        learning_rate=trial.suggest_float("learning_rate", 0.01, 1.0, log=True),
        max_iter=trial.suggest_int("max_iter", 5, 30, log=True),
        max_leaf_nodes=trial.suggest_int("max_leaf_nodes", 2, 64, log=True),
        min_samples_leaf=trial.suggest_int("min_samples_leaf", 1, 64, log=True),
        l2_regularization=trial.suggest_float("l2_regularization", 1e-6, 100.0, log=True),
        max_features=trial.suggest_float("max_features", 0.1, 1.0),
        early_stopping=False,
        random_state=0,
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    return float(log_loss(y, cross_val_predict(model, x, y, cv=folds, method="predict_proba")))

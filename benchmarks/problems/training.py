"""Training loops that report a loss after every epoch.

``networks``: a scikit-learn network on each data set that comes with scikit-learn, with runs on
the other data sets, and on two that are made up, as prior studies. ``curves``: learning curves
drawn at random, without any training, see :mod:`benchmarks.problems.curves`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
import warnings

import numpy as np
from numpy.typing import NDArray
import optuna
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks.problems.base import suggest
from benchmarks.problems.curves import N_EPOCHS, CurveSuite
from benchmarks.problems.live import load


@dataclass(frozen=True)
class Loop:
    """A kind of training loop.

    Attributes:
        targets: Names of the tasks that samplers are compared on.
        sources: Names of the tasks of a target's prior studies.
        losses: Losses after every epoch of a trial of a task, as it is trained.
        n_epochs: Number of epochs of a whole training.
    """

    targets: tuple[str, ...]
    sources: Callable[[str], tuple[str, ...]]
    losses: Callable[[optuna.Trial, str], Iterable[float]]
    n_epochs: int = N_EPOCHS


DATA_SETS = ("digits", "breast_cancer", "wine")
_MADE_UP = ("made up 1", "made up 2")
_MAX_ROWS = 600


@cache
def data(name: str) -> tuple[NDArray[Any], ...]:
    """Training and validation inputs and labels: ``(x, x_valid, y, y_valid)``."""
    if name in _MADE_UP:
        x, y = make_classification(
            n_samples=400, n_features=12, n_informative=6, random_state=_MADE_UP.index(name)
        )
    else:
        x, y = (column[:_MAX_ROWS] for column in load(name))
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.4, stratify=y, random_state=0)
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(x_valid), y, y_valid


def _network(trial: optuna.Trial, name: str) -> Iterator[float]:
    """Validation log loss of a network after every epoch."""
    x, x_valid, y, y_valid = data(name)
    network = MLPClassifier(
        hidden_layer_sizes=(trial.suggest_int("units", 4, 64, log=True),),
        learning_rate_init=trial.suggest_float("rate", 1e-5, 1.0, log=True),
        alpha=trial.suggest_float("alpha", 1e-6, 10.0, log=True),
        batch_size=trial.suggest_int("batch", 16, 128, log=True),
        activation=trial.suggest_categorical("activation", ["relu", "tanh", "logistic"]),
        beta_1=trial.suggest_float("beta_1", 0.0, 0.99),
        random_state=0,
    )
    for _ in range(N_EPOCHS):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a network that diverges says so many times
            try:
                network.partial_fit(x, y, classes=np.unique(y))
                loss = float(log_loss(y_valid, network.predict_proba(x_valid)))
            except ValueError:  # its weights are numbers no more
                loss = 20.0
        yield loss


CURVES = CurveSuite(0.8)
N_SOURCES = 4

LOOPS = {
    "networks": Loop(
        targets=DATA_SETS,
        sources=lambda target: tuple(n for n in (*DATA_SETS, *_MADE_UP) if n != target),
        losses=_network,
    ),
    "curves": Loop(
        targets=CURVES.targets,
        sources=lambda target: CURVES.sources(target)[:N_SOURCES],
        losses=lambda trial, task: CURVES.losses(task, suggest(trial, CURVES.parameters)).tolist(),
    ),
}

"""Regressors of scikit-learn in place of the networks: no gradient, the same pooled records.

Axis letters: ``m`` members, ``n`` prior records, ``t`` trials, ``q`` points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.svm import SVR
import torch
from torch import Tensor
from torch.distributions import Normal

from optuna_metasampler.methods.mlp.ensemble import (
    Inputs,
    PriorRecords,
    pooled_outcomes,
    pooled_weights,
)
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.task import Task, to_tensor


FloatArray: TypeAlias = NDArray[np.float64]

KINDS = ("svr", "forest", "boosting")
"""Support vector regression, random forest, gradient-boosted trees."""

Members: TypeAlias = Callable[[FloatArray], FloatArray]
"""Predictions of all members: from inputs ``(q, i)`` to ``(m, q)``."""

_N_TREES = 60
_N_BAGS = 4
_MIN_DEVIATION = 1e-6


def fit_members(kind: str, x: FloatArray, z: FloatArray, weight: FloatArray) -> Members:
    """Fit several regressors whose spread is their uncertainty.

    Args:
        kind: One of :data:`KINDS`.
        x: Inputs, shape ``(n, i)``.
        z: Outcomes, shape ``(n,)``.
        weight: Weights of the records, shape ``(n,)``, with mean 1.

    Returns:
        The trees of a forest, whose spread is its uncertainty (Hutter, Hoos & Leyton-Brown 2011,
        "Sequential model-based optimization for general algorithm configuration"); or bootstrapped
        copies of the others ("bagging", Breiman 1996).
    """
    if kind == "forest":
        forest = RandomForestRegressor(
            _N_TREES, max_features=0.8, min_samples_leaf=2, random_state=0, n_jobs=1
        )
        forest.fit(x, z, sample_weight=weight)
        # `tree_` itself, because `predict` spends most of its time on input validation.
        trees = [tree.tree_ for tree in forest.estimators_]

        def of_trees(points: FloatArray) -> FloatArray:
            single = np.ascontiguousarray(points, dtype=np.float32)
            return np.stack([tree.predict(single)[:, 0] for tree in trees])

        return of_trees
    rng = np.random.default_rng(0)
    models: list[Any] = []
    for seed in range(_N_BAGS):
        # Poisson counts in place of draws with replacement: a new record does not change the
        # counts of the others.
        count = rng.poisson(1.0, len(x)).astype(np.float64)
        rows = np.flatnonzero(count)
        if not len(rows):
            rows, count = np.arange(len(x)), np.ones(len(x))
        model = (
            SVR(C=2.0, epsilon=0.05)
            if kind == "svr"
            else GradientBoostingRegressor(
                n_estimators=50, learning_rate=0.15, max_depth=4, subsample=0.5, random_state=seed
            )
        )
        models.append(model.fit(x[rows], z[rows], sample_weight=(weight * count)[rows]))

    def of_bags(points: FloatArray) -> FloatArray:
        return np.stack([model.predict(points) for model in models])

    return of_bags


@dataclass(frozen=True)
class RegressorPredictor:
    """Fitted regressors.

    Attributes:
        inputs: Inputs of the regressors.
        members: Their predictions; ``None`` without any record or trial.
        incumbent: The best outcome of the running study on the scale of the prediction; ``None``
            without any.
    """

    inputs: Inputs
    members: Members | None
    incumbent: float | None

    def __call__(self, x: Tensor) -> Normal:
        """Mean and standard deviation over the members, at points ``(q, d)``; no gradient."""
        if self.members is None or not len(x):
            return Normal(x.new_zeros(len(x)), x.new_ones(len(x)), validate_args=False)
        with torch.no_grad():
            each = to_tensor(self.members(self.inputs(x).numpy()))
        deviation = each.std(dim=0, unbiased=False).clamp_min(_MIN_DEVIATION)
        return Normal(each.mean(dim=0), deviation, validate_args=False)


class Regressors(Surrogate[RegressorPredictor]):
    """Regressors on the prior records and the running study's trials.

    Args:
        kind: One of :data:`KINDS`.
        records: Records of the prior studies; there may be none.
        inputs: Inputs of the regressors at a point of the running study.
        prior_weight: Weight of all prior records together, in trials of the running study.
    """

    def __init__(
        self, kind: str, records: PriorRecords, inputs: Inputs, prior_weight: float
    ) -> None:
        self.kind = kind
        self.inputs = inputs
        self.prior_weight = prior_weight
        self._prior_x = inputs.of_prior(records.x)
        self._prior_z = records.z

    @cached_property
    def _prior_predictor(self) -> RegressorPredictor:
        """The predictions of the prior records alone."""
        n = len(self._prior_x)
        members = self._fitted(self._prior_x, self._prior_z, torch.ones(n)) if n else None
        return RegressorPredictor(self.inputs, members, None)

    def condition(self, task: Task, previous: Predictor | None = None) -> RegressorPredictor:
        """See :meth:`Surrogate.condition`; always fitted anew."""
        x = torch.cat([task.x, task.pending])
        if not len(x):
            return self._prior_predictor
        n_prior = len(self._prior_x)
        z = pooled_outcomes(task, self._prior_predictor(task.x).mean if n_prior else None)
        prior, own = pooled_weights(n_prior, len(x), self.prior_weight)
        weight = torch.cat([torch.full((n_prior,), prior), torch.full((len(x),), own)])
        members = self._fitted(
            torch.cat([self._prior_x, self.inputs(x)]),
            torch.cat([self._prior_z, z]),
            weight * len(weight),
        )
        best = float(z[: len(task)].max()) if len(task) else None
        return RegressorPredictor(self.inputs, members, best)

    def _fitted(self, x: Tensor, z: Tensor, weight: Tensor) -> Members:
        return fit_members(self.kind, x.numpy(), z.numpy(), weight.double().numpy())

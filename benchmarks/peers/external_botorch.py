"""BoTorch (Balandat et al., 2020): a Gaussian process and log expected improvement."""

from __future__ import annotations

import itertools
import math
from typing import Any

import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import torch

from benchmarks.peers.base import Setting
from benchmarks.peers.external import ExternalSampler, plain, study_of
from benchmarks.problems.base import Params, quantile


N_START = 10
"""At most so many points of a Sobol sequence come first."""

N_RESTARTS, N_RAW_SAMPLES = 10, 512
"""Starts of the acquisition's optimiser, as BoTorch's tutorials have them."""

MAX_COMBINATIONS = 10
"""With more combinations of categories than this they are searched, not enumerated, as in Ax."""


def build(setting: Setting) -> optuna.Study:
    """A study that BoTorch drives.

    BoTorch is a library without a loop of its own; this is the one of its tutorials. After
    2 * (parameters + 1) Sobol points, 10 at most, ``SingleTaskGP`` (``MixedSingleTaskGP`` where
    there are categories) on inputs in the unit cube and standardised values,
    ``LogExpectedImprovement``, and ``optimize_acqf``, ``optimize_acqf_mixed`` or
    ``optimize_acqf_mixed_alternating``. Whole numbers are rounded. The space is flat. Failed
    trials are not told: BoTorch has nothing to say them with.
    """
    return study_of(BoTorchSampler(setting), setting)


class BoTorchSampler(ExternalSampler):
    """A column for each parameter: the place of a category, or 0 to 1 on its (log) scale."""

    def start(self, seed: int) -> None:
        self.categories = {
            column: len(parameter.distribution.choices)
            for column, parameter in enumerate(self.parameters)
            if isinstance(parameter.distribution, CategoricalDistribution)
        }
        d = len(self.parameters)
        self.n_start = min(2 * (d + 1), N_START)
        self.sobol = torch.quasirandom.SobolEngine(d, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        self.X = torch.empty(0, d, dtype=torch.double)
        self.Y = torch.empty(0, 1, dtype=torch.double)

    def ask(self) -> tuple[Any, Params]:
        from botorch.exceptions.errors import ModelFittingError

        if len(self.Y) < self.n_start:
            row = self.sobol_point()
        else:
            try:
                row = self.candidate()
            except ModelFittingError:
                row = self.sobol_point()
        params: Params = {}
        for column, (parameter, x) in enumerate(zip(self.parameters, row, strict=True)):
            distribution = parameter.distribution
            if isinstance(distribution, CategoricalDistribution):
                params[parameter.name] = round(x)
            else:
                params[parameter.name] = plain(distribution, quantile(distribution, x))
                row[column] = position(distribution, params[parameter.name])
        return row, params

    def tell(self, asked: Any, loss: float | None) -> None:
        if loss is not None:
            self.X = torch.cat([self.X, torch.tensor([asked], dtype=torch.double)])
            self.Y = torch.cat([self.Y, torch.tensor([[-loss]], dtype=torch.double)])

    def sobol_point(self) -> list[float]:
        """The next point of the sequence."""
        row = self.sobol.draw(1, dtype=torch.double)[0].tolist()
        for column, n_choices in self.categories.items():
            row[column] = float(min(int(row[column] * n_choices), n_choices - 1))
        return row

    def candidate(self) -> list[float]:
        """The point of the largest expected improvement."""
        from botorch.acquisition import LogExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import MixedSingleTaskGP, SingleTaskGP
        from botorch.optim import optimize_acqf, optimize_acqf_mixed
        from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
        from gpytorch.mlls import ExactMarginalLogLikelihood

        # Values are standardised by both models' default.
        if self.categories:
            model = MixedSingleTaskGP(self.X, self.Y, cat_dims=list(self.categories))
        else:
            model = SingleTaskGP(self.X, self.Y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        acquisition = LogExpectedImprovement(model, best_f=self.Y.max())
        high = [self.categories.get(column, 2) - 1.0 for column in range(len(self.parameters))]
        bounds = torch.tensor([[0.0] * len(high), high], dtype=torch.double)
        common = {"q": 1, "num_restarts": N_RESTARTS, "raw_samples": N_RAW_SAMPLES}
        if not self.categories:
            X, _ = optimize_acqf(acquisition, bounds, **common)
        elif math.prod(self.categories.values()) <= MAX_COMBINATIONS:
            places = [range(n_choices) for n_choices in self.categories.values()]
            combinations = [
                {column: float(place) for column, place in zip(self.categories, row, strict=True)}
                for row in itertools.product(*places)
            ]
            X, _ = optimize_acqf_mixed(
                acquisition, bounds, fixed_features_list=combinations, **common
            )
        else:
            X, _ = optimize_acqf_mixed_alternating(
                acquisition,
                bounds,
                cat_dims={column: range(n) for column, n in self.categories.items()},
                **common,
            )
        point: list[float] = X[0].tolist()
        return point


def position(distribution: FloatDistribution | IntDistribution, value: float) -> float:
    """Where a value is between 0 and 1: what `quantile` turns into it."""
    whole = isinstance(distribution, IntDistribution) and distribution.step == 1
    half = 0.5 if whole else 0.0
    low, high = distribution.low - half, distribution.high + half
    if distribution.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float((value - low) / (high - low))

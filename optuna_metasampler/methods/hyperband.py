"""``hyperband``: for studies with a pruner, which stop most trials early.

The value of a trial after a few steps is an observation at a low *fidelity*. A Gaussian process
over configurations and training lengths has one more column for it, with a lengthscale of its own,
so the marginal likelihood decides how much an early value tells about the last one; predictions
are made at full length (multi-fidelity Bayesian optimisation with a continuous fidelity: Kandasamy
et al. 2017, "BOCA", arXiv:1703.06240).

Learning curves rise. Each observation is therefore first moved to where it would be at full length
if its trial gained from there what others typically gained; the process models the differences
between trials that remain.

Axis letters: ``o`` observations, ``q`` query points, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from optuna_metasampler.methods.base import Priors, option
from optuna_metasampler.methods.default import PriorModelMethod, cold_design
from optuna_metasampler.outcomes import half_rank_warp
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace, with_unit_column
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import (
    GaussianProcess,
    GaussianProcessPredictor,
)
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess
from optuna_metasampler.task import Task


# Lengths are distinguished up to a factor of 3^(1/16), which is 7%.
_CELLS_A_RUNG = 16
_CELL = math.log(3.0) / _CELLS_A_RUNG
_FIDELITY = "training length"


@dataclass(frozen=True)
class Observations:
    """Observed outcomes of configurations at some training length.

    Attributes:
        x: Encoded configurations, shape ``(o, d)``.
        fidelity: Logarithm of the length as a share of that of the full length, shape ``(o,)``, in
            ``[0, 1]``; 1 is full length.
        y: Outcomes expected at full length, shape ``(o,)``; larger is better.
    """

    x: Tensor
    fidelity: Tensor
    y: Tensor


def observations_of(task: Task) -> Observations:
    """The observations of a task: of its curves, or its outcomes where it has none."""
    curves = task.curves
    if curves is None:
        return Observations(task.x, torch.ones_like(task.y), task.y)
    if not len(curves.y):
        return Observations(curves.x, curves.step, curves.y)
    ended = torch.isinf(curves.step)
    finite = curves.step[~ended]
    # Steps may count from 0 or from 1.
    full = float(finite.max()) + 1.0 if len(finite) else 1.0
    length = torch.where(ended, full, curves.step + 1.0)
    # Counted from the last; a completed trial has its final value in cell 0 and no other.
    cell = (torch.log(full / length) / _CELL).round().long()
    kept = _last_of_each(curves.trial, cell)
    trial, cell, y = curves.trial[kept], cell[kept], curves.y[kept]
    y = y + _typical_gains(trial, cell, y)[cell]
    # One observation a trial and factor of three in length is enough: neighbouring steps are
    # nearly equal, and the factorisation is cubic.
    few = _last_of_each(trial, cell // _CELLS_A_RUNG)
    kept = kept[few]
    fidelity = torch.log(length[kept]) / math.log(full) if full > 1.0 else torch.ones_like(y[few])
    return Observations(curves.x[kept], fidelity, y[few])


def _last_of_each(trial: Tensor, cell: Tensor) -> Tensor:
    """Rows of the last observation of each trial in each cell, shape ``(k,)``."""
    different = (trial[1:] != trial[:-1]) | (cell[1:] != cell[:-1])
    last = torch.cat([different, different.new_ones(1)])
    rows: Tensor = torch.nonzero(last).squeeze(1)
    return rows


def _typical_gains(trial: Tensor, cell: Tensor, y: Tensor) -> Tensor:
    """Typical gains of trials from each cell to full length, shape ``(max(cell) + 1,)``.

    The median over the trials that continued, of the gain up to the trial's own next observation
    plus the typical gain from there. The plain difference between the trials of two lengths would
    be biased, because the pruner let only the better ones continue.
    """
    gains = torch.zeros(int(cell.max()) + 1, dtype=torch.float64)
    continued = (trial[1:] == trial[:-1]) & torch.isfinite(y[1:]) & torch.isfinite(y[:-1])
    start, end, gain = cell[:-1][continued], cell[1:][continued], (y[1:] - y[:-1])[continued]
    for c in range(1, len(gains)):
        here = start == c
        # No trial continued from there: use the gain from the next longer length.
        gains[c] = (gain[here] + gains[end[here]]).median() if bool(here.any()) else gains[c - 1]
    return gains


@dataclass(frozen=True)
class MultiFidelityPredictor(Predictor):
    """The process conditioned on a task, queried at full length only.

    Attributes:
        process: Over configurations and training lengths.
        best: Best warped outcome at full length.
    """

    process: GaussianProcessPredictor
    best: float | None

    def __call__(self, x: Tensor) -> Distribution:
        """Distribution of the warped final outcome at points ``(q, d)``."""
        return self.process(_at_full_length(x))

    @property
    def incumbent(self) -> float | None:
        """The warped outcome to improve on."""
        return self.best

    @property
    def column_scale(self) -> Tensor:
        """Inverse lengthscales of the encoded columns, shape ``(d,)``."""
        return self.process.column_scale[:-1]


class MultiFidelity(Surrogate[MultiFidelityPredictor]):
    """A Gaussian process, with or without prior studies, over configurations and training lengths.

    Args:
        process: Over both. Prior studies are about the final outcome of a configuration, so its
            map to their space ignores the training length; see :func:`without_length`.
    """

    def __init__(self, process: GaussianProcess | TransferGaussianProcess) -> None:
        self.process = process

    def condition(self, task: Task, previous: Predictor | None = None) -> MultiFidelityPredictor:
        """Condition on a task; see :meth:`Surrogate.condition`."""
        seen = observations_of(task)
        space = with_unit_column(task.space, _FIDELITY)
        both = Task(
            space=space,
            x=torch.cat([seen.x, seen.fidelity[:, None]], dim=1),
            y=seen.y,
            mask=torch.ones((len(seen.y), len(space.names)), dtype=torch.bool),
            pending=_at_full_length(task.pending),
            tried=_at_full_length(task.tried),
        )
        earlier = previous.process if isinstance(previous, MultiFidelityPredictor) else None
        predictor = self.process.condition(both, earlier)
        finals = half_rank_warp(seen.y)[seen.fidelity == 1.0]
        best = float(finals.max()) if len(finals) else predictor.incumbent
        return MultiFidelityPredictor(predictor, best)


def without_length(to_prior: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The map to the prior studies' space, of points with a training length."""
    return lambda x: to_prior(x[:, :-1])


def _at_full_length(x: Tensor) -> Tensor:
    """Points ``(q, d)`` with a training length of 1, shape ``(q, d + 1)``."""
    return torch.cat([x, x.new_ones((len(x), 1))], dim=1)


@dataclass(frozen=True)
class Hyperband(PriorModelMethod):
    """Model-based Hyperband, with prior studies.

    BOHB's idea (Falkner, Klein & Hutter 2018, arXiv:1807.01774), with one Gaussian process over
    all training lengths in place of a density model of one.

    The pruner (Optuna's ``HyperbandPruner`` or ``SuccessiveHalvingPruner``) decides which trials
    continue; this method decides what they try. The first trials are the prior incumbents, best
    first by the prediction of all prior studies together. After them every reported value counts,
    of completed, pruned and running trials of all brackets.

    Without reported values there is one training length, and what remains is the transfer
    Gaussian process of ``auto`` behind another initial design.

    Attributes:
        n_warm_start: Prior incumbents to begin with.
    """

    name: ClassVar[str] = "hyperband"
    learns_from_curves: ClassVar[bool] = True

    n_warm_start: int = option(5, ge=0)

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`; several objectives are modelled without training lengths."""
        if len(priors) > 1:
            return super().policy(space, priors, n_startup_trials)
        prior = priors[0]
        if prior is None:
            design = cold_design(space, n_startup_trials)
            return AcquisitionPolicy(MultiFidelity(GaussianProcess()), design)
        process = TransferGaussianProcess(prior.learned, without_length(prior.to_prior))
        incumbents = prior.prior_incumbents
        with torch.no_grad():
            promise = prior.learned(prior.to_prior(incumbents))[:, 0]
        best_first = incumbents[torch.argsort(promise, descending=True, stable=True)]
        design = InitialDesign(
            n_startup_trials or 0, incumbents, ordered=best_first[: self.n_warm_start]
        )
        return AcquisitionPolicy(MultiFidelity(process), design, feasibility=prior.feasibility)

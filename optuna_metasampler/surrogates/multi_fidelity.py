"""A Gaussian process over configurations and training lengths, for studies that stop trials early.

What a trial shows after a few steps is an observation at a low *fidelity*. The process has one
more column for it, with a lengthscale of its own, so the marginal likelihood says how far an early
value tells the last one; predictions are made at full length (multi-fidelity Bayesian optimisation
with a continuous fidelity: Kandasamy et al. 2017, "BOCA", arXiv:1703.06240).

Learning curves rise. Before all that, each observation is moved to where it would be at full
length if its trial gained from there what others typically gained; the process is left with how
far a trial differs from that.

Axis letters: ``o`` observations, ``q`` query points, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from optuna_metasampler.outcomes import half_rank_warp
from optuna_metasampler.space import with_unit_column
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import (
    GaussianProcess,
    GaussianProcessPredictor,
)
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess
from optuna_metasampler.task import Task


# Lengths are told apart up to a factor of 3^(1/16), which is 7 %.
_CELLS_A_RUNG = 16
_CELL = math.log(3.0) / _CELLS_A_RUNG
_FIDELITY = "training length"


@dataclass(frozen=True)
class Observations:
    """What is known of configurations at some training length.

    Attributes:
        x: Encoded configurations, shape ``(o, d)``.
        fidelity: Logarithm of the length as a share of that of the full length, shape ``(o,)``, in
            ``[0, 1]``; 1 is full length.
        y: Outcomes that are to be expected at full length, shape ``(o,)``; larger is better.
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
    # Steps count from 0 or from 1, as the user likes.
    full = float(finite.max()) + 1.0 if len(finite) else 1.0
    length = torch.where(ended, full, curves.step + 1.0)
    # Counted from the last; a completed trial has its final value in cell 0 and no other.
    cell = (torch.log(full / length) / _CELL).round().long()
    kept = _last_of_each(curves.trial, cell)
    trial, cell, y = curves.trial[kept], cell[kept], curves.y[kept]
    y = y + _typical_gains(trial, cell, y)[cell]
    # One observation a trial and factor of three in length is enough: neighbouring steps say the
    # same, and the factorisation is cubic.
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
    """What trials typically gain from each cell to full length, shape ``(max(cell) + 1,)``.

    The median over the trials that went on, each with what it gained up to its own next
    observation and the typical gain from there. To compare the trials of a length with those of a
    shorter one would be to compare with worse ones, for the pruner has let the better go on.
    """
    gains = torch.zeros(int(cell.max()) + 1, dtype=torch.float64)
    went_on = (trial[1:] == trial[:-1]) & torch.isfinite(y[1:]) & torch.isfinite(y[:-1])
    start, end, gain = cell[:-1][went_on], cell[1:][went_on], (y[1:] - y[:-1])[went_on]
    for c in range(1, len(gains)):
        here = start == c
        # Nobody went on from there: as from the next longer length.
        gains[c] = (gain[here] + gains[end[here]]).median() if bool(here.any()) else gains[c - 1]
    return gains


@dataclass(frozen=True)
class MultiFidelityPredictor(Predictor):
    """The process after it has seen a task, asked about full length only.

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
    """A Gaussian process, cold or with prior studies, over configurations and training lengths.

    Args:
        process: Over both. The prior studies speak of the final outcome of a configuration, so
            its map to their space passes over the training length; see :func:`without_length`.
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
    """The map to the prior studies' space of points that have a training length as well."""
    return lambda x: to_prior(x[:, :-1])


def _at_full_length(x: Tensor) -> Tensor:
    """Points ``(q, d)`` with a training length of 1, shape ``(q, d + 1)``."""
    return torch.cat([x, x.new_ones((len(x), 1))], dim=1)

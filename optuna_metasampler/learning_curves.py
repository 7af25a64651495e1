"""Extrapolation of the learning curves of pruned trials, from the trials that continued.

The learning curves of one training loop are similar: they rise by about the same amount, and a
share of the difference between two trials at an early step remains at the end. The final value of
a trial that was stopped at a step is predicted as the median final value of the trials that
continued from there, minus that share of its distance behind them. This is the last-value baseline
of learning-curve extrapolation (Domhan, Springenberg & Hutter 2015, IJCAI) with the gain and the
share estimated; medians make it robust against diverged trials. The share comes from the prior
studies while the running study has few curves of its own.

Axis letters: ``n`` trials, ``r`` trials that continued, ``g`` lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray


Curve = Mapping[int, float]
"""Reported values by step; larger is better."""

_N_LENGTHS = 9
# Pseudo-trials: the weight of the prior share, in trials.
_IMAGINED_TRIALS = 20
# More would cost time without changing the result.
_MAX_CHECKPOINTS = 64
_MAX_REFERENCES = 64
_MAX_STUDIES = 50
# Values are clipped, so that their differences do not overflow.
_LARGEST = float(np.finfo(np.float64).max) / 4
_LARGEST_STEP = 2**63


@dataclass(frozen=True)
class CurveCorrelation:
    """Share of an early difference between two trials that remains at the end of training.

    Independent of the metric's unit and of the number of steps, so it transfers between studies.

    Attributes:
        shares: By length of training, shape ``(g,)``, at least 0; the lengths are evenly spaced
            from none to all of the training on the scale of ``log(1 + step)``.
    """

    shares: tuple[float, ...] = (1.0,)

    def at(self, step: float, horizon: float) -> float:
        """The share at a step.

        Args:
            step: At least 0.
            horizon: The last step of a complete training.
        """
        length = np.log1p(step) / np.log1p(horizon) if horizon > 0 else 1.0
        return float(np.interp(length, np.linspace(0.0, 1.0, len(self.shares)), self.shares))


def curve_correlation_of(
    studies: Iterable[tuple[Sequence[Curve], NDArray[np.float64]]],
) -> CurveCorrelation:
    """Estimate the curve correlation from the complete trials of prior studies.

    At each length, the median over pairs of trials of the final difference divided by the early
    one (the slope of Theil 1950 and Sen 1968), averaged over studies with their numbers of trials
    as weights, and shrunk towards 1.

    Args:
        studies: Curves and final values, as in :func:`final_values`.
    """
    total = np.full(_N_LENGTHS, float(_IMAGINED_TRIALS))
    weight = total.copy()
    n_used = 0
    for curves, finals in studies:
        lines = [_Line.of(curve) for curve, final in zip(curves, finals, strict=True)]
        whole = [i for i in spread(len(lines)) if not np.isnan(finals[i]) and len(lines[i].steps)]
        if len(whole) < 2:
            continue
        horizon = max(lines[i].last for i in whole)
        ended = np.clip(finals, -_LARGEST, _LARGEST)
        for g, step in enumerate(np.expm1(np.linspace(0.0, np.log1p(horizon), _N_LENGTHS))):
            # Users count steps from 0 or from 1.
            there = [i for i in whole if lines[i].first <= max(step, 1.0)]
            early = np.array([lines[i].at(step) for i in there])
            share = _median_ratio(early, ended[there])
            if share is not None:
                total[g] += len(there) * share
                weight[g] += len(there)
        n_used += 1
        if n_used == _MAX_STUDIES:
            break
    return CurveCorrelation(tuple(np.maximum(total / weight, 0.0).tolist()))


def final_values(
    curves: Sequence[Curve],
    finals: NDArray[np.float64],
    curve_correlation: CurveCorrelation | None = None,
) -> NDArray[np.float64]:
    """Final values of trials: observed, or extrapolated for stopped trials.

    Trials that were stopped late are extrapolated first, and then count among those that continued
    from earlier steps, as in the rungs of successive halving. No prediction exceeds the median of
    the trials that continued: a trial is stopped for being worse. If no trial is complete, those
    that were trained longest keep their last value. A trial without others to compare with keeps
    its last value, or the median of the others if that is worse.

    Args:
        curves: Reported values of each of ``n`` trials; NaN is ignored.
        finals: Their final values, shape ``(n,)``; **larger is better**; NaN for stopped trials.
        curve_correlation: Prior share of early differences that remains at the end; 1 by default.

    Returns:
        Shape ``(n,)``, finite for stopped trials; NaN for trials without reported values.
    """
    lines = [_Line.of(curve) for curve in curves]
    first = np.array([line.first for line in lines])
    last = np.array([line.last for line in lines])
    completed = ~np.isnan(finals)
    stopped = ~completed & (last >= 0)
    found: NDArray[np.float64] = finals.copy()
    if not stopped.any():
        return found
    if not completed.any():
        furthest = stopped & (last == last.max())
        found[furthest] = [lines[i].at(last[i]) for i in np.flatnonzero(furthest)]
        stopped &= ~furthest
    middle = float(np.nanmedian(np.clip(found, -_LARGEST, _LARGEST)))
    horizon = float(last.max())
    expected = curve_correlation or CurveCorrelation()

    checkpoints = np.unique(last[stopped])
    checkpoints = checkpoints[spread(len(checkpoints), _MAX_CHECKPOINTS)]
    for step in checkpoints[::-1].tolist():
        group = np.flatnonzero(stopped & np.isnan(found) & (last >= step))
        x = np.array([lines[i].at(step) for i in group])
        # A complete trial may not have reported up to its end.
        went_on = ~np.isnan(found) & (first <= step) & (completed | (last >= step))
        rows = np.flatnonzero(went_on & (last >= 0))
        rows = rows[spread(len(rows))]
        if not len(rows):
            found[group] = np.minimum(x, middle)
            continue
        early = np.array([lines[i].at(step) for i in rows])
        final = np.clip(found[rows], -_LARGEST, _LARGEST)
        share, n = expected.at(step, horizon), len(rows)
        measured = _median_ratio(early, final)
        if measured is not None:
            share = max((n * measured + _IMAGINED_TRIALS * share) / (n + _IMAGINED_TRIALS), 0.0)
        with np.errstate(over="ignore"):
            moved = np.median(final) + share * np.minimum(x - np.median(early), 0.0)
        found[group] = np.maximum(moved, -_LARGEST)
    return found


@dataclass(frozen=True)
class _Line:
    """A curve, interpolated; ``first`` and ``last`` are -1 if it is empty."""

    steps: NDArray[np.float64]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, curve: Curve) -> _Line:
        seen = [
            (min(max(s, 0), _LARGEST_STEP), v)
            for s, v in sorted(curve.items())
            if not math.isnan(v)
        ]
        points = np.array(seen, dtype=np.float64).reshape(len(seen), 2)
        return cls(points[:, 0], np.clip(points[:, 1], -_LARGEST, _LARGEST))

    @property
    def first(self) -> float:
        return float(self.steps[0]) if len(self.steps) else -1.0

    @property
    def last(self) -> float:
        return float(self.steps[-1]) if len(self.steps) else -1.0

    def at(self, step: float) -> float:
        """Interpolated value; the nearest one outside."""
        return float(np.interp(step, self.steps, self.values))


def spread(n: int, most: int = _MAX_REFERENCES) -> NDArray[np.intp]:
    """At most ``most`` of ``n`` indices, evenly spread, shape ``(min(n, most),)``."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))


def _median_ratio(early: NDArray[np.float64], final: NDArray[np.float64]) -> float | None:
    """Median over pairs of trials of final over early difference, both ``(r,)``."""
    i, j = np.triu_indices(len(early), 1)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratios = (final[j] - final[i]) / (early[j] - early[i])
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else None

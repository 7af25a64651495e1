"""How a learning curve goes on, from earlier curves like it.

The final value of a training is forecast from the curves that were trained to their end: each says
how much was gained from here on, and counts by how near its level and its slopes come to those of
the curve in question (Nadaraya 1964, "On estimating regression"; on gains, so that a level that no
earlier curve had is no obstacle). Curves of different studies are compared on a common scale:
length of training as the logarithm of the step, outcomes in units of their study. Power laws stand
beside the curves of prior studies, so that there is something to begin with.

Three models are weighed by what they said of the running study's own whole curves, each left out
in turn: its own curves together with earlier ones, its own curves alone, and a vague guess. So
earlier curves that went differently lose their influence.

Trials that were stopped teach nothing here, and their absence does no harm: that they were stopped
followed from the part of the curve that is known.

Axis letters: ``n`` curves, ``q`` curves in question, ``g`` points of the grid, ``f`` features.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri, softmax
from scipy.stats import qmc

from optuna_metasampler.learning_curves import Curve, spread


FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

_GRID = np.linspace(0.0, 1.0, 33)
# A curve is like another in its level, and in its slopes since these shares of its length.
_EARLIER = (0.5, 0.75)
# Of the spread of levels and of slopes among all curves.
_WIDTHS = np.array([1.0, 0.45, 0.45])
_MIN_WIDTH = 0.02
_WIDTH_OF_ONE = 0.3
# Earlier curves that one of the running study outweighs.
_WEIGHT_OF_OWN = 30.0
_MIN_OWN_ALONE = 4
# Of more curves, an even selection.
_MAX_PRIOR_STUDIES = 30
_MAX_CURVES_OF_PRIOR = 60
_MAX_OWN = 200
_MAX_JUDGED = 40
_MAX_LENGTHS_KEPT = 64
# Where forecasts of whole curves are judged, and what one that failed costs at most.
_JUDGED_AT = (0.3, 0.5, 0.7)
_WORST_SCORE = -6.0
_LARGEST = 1e150
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class CurveScale:
    """The units of one study: of its steps, and of its outcomes.

    Attributes:
        horizon: The last step of a whole training.
        center: Median final value.
        spread: Median distance from it of all values of whole curves.
    """

    horizon: float
    center: float
    spread: float

    @classmethod
    def of(cls, whole: Sequence[Curve]) -> CurveScale:
        """The units of whole curves, of which there is one at least; none is empty."""
        center = float(np.median(_clip([curve[max(curve)] for curve in whole])))
        apart = np.abs(_clip([v for curve in whole for v in curve.values()]) - center)
        spread = float(np.median(apart)) or float(apart.max()) or 1.0
        return cls(float(max(max(curve) for curve in whole)), center, spread)

    def length(self, step: FloatArray) -> FloatArray:
        """Lengths of training at some steps, in ``[0, 1]``."""
        ends = math.log1p(max(self.horizon, 1e-9))
        found: FloatArray = np.clip(np.log1p(np.maximum(step, 0.0)) / ends, 0.0, 1.0)
        return found

    def units(self, raw: FloatArray) -> FloatArray:
        """Outcomes in units of the study: linear near the final ones, logarithmic far off."""
        # Clipped: two values of a study may be farther apart than a float reaches.
        with np.errstate(over="ignore"):
            found: FloatArray = np.arcsinh(_clip((raw - self.center) / self.spread))
        return found

    def raw(self, units: float) -> float:
        """The inverse of :meth:`units`."""
        return self.center + self.spread * math.sinh(min(max(units, -300.0), 300.0))

    def on_grid(self, curves: Sequence[Curve]) -> FloatArray:
        """Curves on the grid in units of the study, shape ``(n, g)``.

        Interpolated; the nearest value before the first step and after the last.
        """
        rows = []
        for curve in curves:
            steps, values = _points(curve)
            rows.append(np.interp(_GRID, self.length(steps), values))
        return self.units(np.array(rows))


@dataclass(frozen=True)
class CurveForecast:
    """Distribution of a final value: a mixture of normal ones, in units of the study.

    Attributes:
        scale: The units.
        weights: Shape ``(n,)``, sum 1.
        means: Shape ``(n,)``.
        widths: Standard deviations, shape ``(n,)``.
    """

    scale: CurveScale
    weights: FloatArray
    means: FloatArray
    widths: FloatArray

    def quantile(self, probability: float) -> float:
        """The final value below which this much of the probability lies."""
        low = float((self.means - 9.0 * self.widths).min())
        high = float((self.means + 9.0 * self.widths).max())
        for _ in range(60):
            middle = (low + high) / 2.0
            below = float(self.weights @ ndtr((middle - self.means) / self.widths))
            low, high = (middle, high) if below < probability else (low, middle)
        return self.scale.raw((low + high) / 2.0)

    def probability_above(self, value: float) -> float:
        """Probability that the training ends at ``value`` or better."""
        units = self.scale.units(_clip(value))
        return min(float(self.weights @ ndtr((self.means - units) / self.widths)), 1.0)

    def log_density(self, value: float) -> float:
        """Logarithm of the density of the final value, per unit of the study."""
        units = self.scale.units(_clip(value))
        return float(_log_density(units, self.weights, self.means, self.widths))


@dataclass(frozen=True)
class CurveModel:
    """Earlier curves: whole ones of prior studies, and power laws.

    Attributes:
        curves: On the grid, in units of their studies, shape ``(n, g)``.
    """

    curves: FloatArray

    @classmethod
    def of(cls, studies: Iterable[Sequence[Curve]]) -> CurveModel:
        """Learn from the whole curves of prior studies; a study with a single one says nothing."""
        known = [_power_laws()]
        for study in studies:
            whole = _some([curve for curve in study if curve], _MAX_CURVES_OF_PRIOR)
            if len(whole) > 1:
                known.append(CurveScale.of(whole).on_grid(whole))
            if len(known) > _MAX_PRIOR_STUDIES:
                break
        return cls(np.concatenate(known))

    def given(self, whole: Sequence[Curve]) -> CurvePredictor:
        """The model, given the whole curves of the running study.

        Args:
            whole: At least one, and none is empty.
        """
        whole = _some(whole, _MAX_OWN)
        scale = CurveScale.of(whole)
        return CurvePredictor(scale, self.curves, scale.on_grid(whole))


@dataclass(frozen=True)
class CurvePredictor:
    """Forecasts for one study.

    Attributes:
        scale: The study's units.
        earlier: Earlier curves in units of theirs, shape ``(n, g)``.
        own: The study's whole curves in its units, shape ``(n, g)``.
    """

    scale: CurveScale
    earlier: FloatArray
    own: FloatArray
    _at_lengths: dict[float, tuple[_Like, _Like]] = field(default_factory=dict, repr=False)

    @cached_property
    def model_weights(self) -> FloatArray:
        """Weights of all curves, own curves, and the vague guess, shape ``(3,)``, sum 1."""
        n, first = len(self.own), len(self.earlier)
        rows = spread(n, _MAX_JUDGED)
        ends = self.own[rows, -1]

        def score(forecasts: _Forecasts) -> float:
            densities = np.maximum(forecasts.log_density(ends), _WORST_SCORE)
            return float(densities.sum()) / len(_JUDGED_AT)

        scores = np.zeros(3)
        if n <= _MIN_OWN_ALONE:
            scores[1] = -np.inf
        for length in _JUDGED_AT:
            everything, own = self._at(length)
            x = own.features[rows]
            scores[0] += score(everything.forecasts(x, rows + first))
            if n > _MIN_OWN_ALONE:
                scores[1] += score(own.forecasts(x, rows))
            scores[2] += score(_vague(x, length))
        weights: FloatArray = softmax(scores)
        return weights

    def forecast(self, curve: Curve) -> CurveForecast:
        """The distribution of the final value of a training.

        Args:
            curve: What it has reported so far; not empty.
        """
        steps, values = _points(curve)
        lengths = self.scale.length(steps)
        length = float(lengths[-1])
        looked_at = np.array(_looked_at(length))
        seen = np.interp(looked_at, lengths, self.scale.units(values))
        # What came before the first value is unknown.
        x = _features(np.where(looked_at < lengths[0], np.nan, seen))[None]
        models = [like.forecasts(x) for like in self._at(length)] + [_vague(x, length)]
        used = [
            (weight, model)
            for weight, model in zip(self.model_weights, models, strict=True)
            if weight > 0.0
        ]
        return CurveForecast(
            self.scale,
            np.concatenate([weight * model.weights[0] for weight, model in used]),
            np.concatenate([model.means[0] for _, model in used]),
            np.concatenate([np.full(model.means.shape[1], model.width[0]) for _, model in used]),
        )

    def leads(self, curve: Curve) -> bool:
        """Whether a training is ahead of where all whole ones of the study were at its step."""
        step = max(curve)
        length = float(self.scale.length(np.array(float(step))))
        value = float(self.scale.units(_clip(curve[step])))
        return value > float(_at(self.own, [length]).max())

    def _at(self, length: float) -> tuple[_Like, _Like]:
        """All curves, and the study's own, as they are at a length."""
        if length not in self._at_lengths:
            if len(self._at_lengths) == _MAX_LENGTHS_KEPT:
                self._at_lengths.clear()
            curves = np.concatenate([self.earlier, self.own])
            features = _features(_at(curves, _looked_at(length)))
            gains, first = curves[:, -1] - features[:, 0], len(self.earlier)
            weights = np.where(np.arange(len(gains)) < first, 1.0, _WEIGHT_OF_OWN)
            self._at_lengths[length] = (
                _Like(features, gains, weights),
                _Like(features[first:], gains[first:], weights[first:]),
            )
        return self._at_lengths[length]


@dataclass(frozen=True)
class _Forecasts:
    """Normal mixtures for ``q`` curves: of equal width each."""

    weights: FloatArray
    means: FloatArray
    width: FloatArray

    def log_density(self, ends: FloatArray) -> FloatArray:
        """Logarithm of the density at final values, shape ``(q,)``."""
        return _log_density(ends[:, None], self.weights, self.means, self.width[:, None])


@dataclass(frozen=True)
class _Like:
    """Curves at a length, to be compared with one of that length.

    Attributes:
        features: Shape ``(n, f)``.
        gains: What each gained from there on, shape ``(n,)``.
        weights: What each counts, shape ``(n,)``.
    """

    features: FloatArray
    gains: FloatArray
    weights: FloatArray

    @cached_property
    def _widths(self) -> FloatArray:
        low, high = np.percentile(self.features, [16.0, 84.0], axis=0)
        widths: FloatArray = _WIDTHS * np.maximum(high - low, 1e-3) / 2.0
        return widths

    def forecasts(self, x: FloatArray, left_out: IntArray | None = None) -> _Forecasts:
        """Forecasts from the curves, weighted by likeness.

        Args:
            x: Features of the curves in question, shape ``(q, f)``; NaN for unknown slopes.
            left_out: The curve that each of these is, and that is not to be used for it.
        """
        apart = (self.features - x[:, None]) / self._widths
        near = np.log(self.weights) - 0.5 * np.nansum(apart**2, axis=2)
        if left_out is not None:
            near[np.arange(len(x)), left_out] = -np.inf
        near = softmax(near, axis=1)
        means = x[:, :1] + self.gains
        mean = (near * means).sum(axis=1, keepdims=True)
        stddev = np.sqrt((near * (means - mean) ** 2).sum(axis=1))
        # One over the effective number of curves.
        few = (near**2).sum(axis=1)
        # Silverman's rule; how far curves lie apart is not known of few.
        width = np.maximum(0.5 * stddev * few**0.2, _MIN_WIDTH + _WIDTH_OF_ONE * few)
        return _Forecasts(near, means, width)


def _vague(x: FloatArray, length: float) -> _Forecasts:
    """Forecasts from no other curve: training ends about where it is."""
    width = np.full(len(x), 0.1 + 2.0 * (1.0 - length))
    return _Forecasts(np.ones((len(x), 1)), x[:, :1], width)


def _power_laws() -> FloatArray:
    """Curves whose distance from the end falls by a power of what is left, shape ``(n, g)``.

    Gains and exponents differ; good curves are as likely to start low as bad ones. Parametric
    curves as a prior: Domhan, Springenberg & Hutter 2015, IJCAI.
    """
    draws = qmc.Sobol(3, scramble=False).random_base2(7) * 0.98 + 0.01
    final, gain, exponent = ndtri(draws).T[:, :, None]
    curves: FloatArray = final - 1.5 * np.exp(0.7 * gain) * (1.0 - _GRID) ** np.exp(0.5 * exponent)
    return curves


def _looked_at(length: float) -> list[float]:
    """The lengths that determine the features of a curve of a length."""
    return [length, *(share * length for share in _EARLIER)]


def _features(values: FloatArray) -> FloatArray:
    """Level and slopes, shape ``(..., f)``, from the values now and at earlier lengths."""
    return np.concatenate([values[..., :1], values[..., :1] - values[..., 1:]], axis=-1)


def _at(curves: FloatArray, lengths: Sequence[float]) -> FloatArray:
    """Values of curves ``(n, g)`` at some lengths, interpolated."""
    position = np.asarray(lengths) * (len(_GRID) - 1)
    left = np.minimum(position.astype(np.intp), len(_GRID) - 2)
    share = position - left
    found: FloatArray = curves[:, left] * (1.0 - share) + curves[:, left + 1] * share
    return found


def _some(curves: Sequence[Curve], most: int) -> Sequence[Curve]:
    """At most ``most`` of some curves, evenly spread."""
    return [curves[i] for i in spread(len(curves), most).tolist()]


def _points(curve: Curve) -> tuple[FloatArray, FloatArray]:
    """Steps of a curve in order, and the values there."""
    steps = sorted(curve)
    return np.array(steps, dtype=np.float64), _clip([curve[step] for step in steps])


def _log_density(
    at: FloatArray, weights: FloatArray, means: FloatArray, widths: FloatArray
) -> FloatArray:
    """Log density of normal mixtures, whose parts are along the last axis."""
    z = (at - means) / widths
    # Some weights may be 0.
    logs = np.log(np.maximum(weights, 1e-300)) - np.log(widths) - 0.5 * z * z
    found: FloatArray = logsumexp(logs, axis=-1) - _LOG_ROOT_2PI
    return found


def _clip(values: object) -> FloatArray:
    return np.clip(np.asarray(values, dtype=np.float64), -_LARGEST, _LARGEST)

"""How well trials were forecast, and what the warm start and the prior studies contributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from statistics import median

from optuna.trial import FrozenTrial
from scipy.stats import binomtest
import torch

from optuna_metasampler._optuna import finite_value, is_feasible
from optuna_metasampler._runtime import isolated
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import TrialRecord
from optuna_metasampler.maximize import quasi_random
from optuna_metasampler.outcomes import spearman
from optuna_metasampler.policies.base import Phase


_CONFIDENCE = 0.95
_WARM_START = (Phase.WARM_START.value, Phase.PROBE.value)
_N_POINTS = 1024


@dataclass(frozen=True)
class ForecastedTrial:
    """The forecast and the outcome of one trial, in the objective's units.

    Attributes:
        number: Number of the trial.
        phase: Why it was chosen, see
            :class:`~optuna_metasampler.explain.trial_record.TrialRecord`.
        predicted: Median of the forecast.
        low: Its 10% quantile.
        high: Its 90% quantile.
        observed: The outcome.
    """

    number: int
    phase: str
    predicted: float
    low: float
    high: float
    observed: float

    @property
    def covered(self) -> bool:
        """Whether the outcome is inside the interval."""
        return self.low <= self.observed <= self.high

    @property
    def standardised_error(self) -> float:
        """Absolute error in half widths of the interval: 1 is at one of its ends.

        Infinite for any error if the interval has no width.
        """
        error = abs(self.observed - self.predicted)
        half = self.high / 2 - self.low / 2
        return error / half if half > 0 else (0.0 if error == 0 else math.inf)


@dataclass(frozen=True)
class Accuracy:
    """How good a group of forecasts was.

    Attributes:
        n_trials: Number of forecasts.
        coverage: Share of the outcomes inside their 80% interval; NaN without any.
        coverage_low: Lower end of the 95% interval of the coverage (Wilson 1927, "Probable
            inference, the law of succession, and statistical inference", JASA 22).
        coverage_high: Upper end of it.
        rank_correlation: Spearman correlation of predictions and outcomes; NaN with fewer than two
            different values.
        median_error: Median absolute error, in the objective's units; NaN without any.
    """

    n_trials: int
    coverage: float
    coverage_low: float
    coverage_high: float
    rank_correlation: float
    median_error: float

    @property
    def n_covered(self) -> int:
        """Number of outcomes inside their interval."""
        return round(self.coverage * self.n_trials) if self.n_trials else 0

    @classmethod
    def of(cls, trials: Sequence[ForecastedTrial]) -> Accuracy:
        """How good the forecasts of some trials were."""
        n, n_covered = len(trials), sum(trial.covered for trial in trials)
        low, high = 0.0, 1.0
        if n:
            low, high = binomtest(n_covered, n).proportion_ci(_CONFIDENCE, method="wilson")
        predicted, observed = (
            torch.tensor([getattr(t, name) for t in trials], dtype=torch.float64, device="cpu")
            for name in ("predicted", "observed")
        )
        return cls(
            n_trials=n,
            coverage=n_covered / n if n else math.nan,
            coverage_low=float(low),
            coverage_high=float(high),
            rank_correlation=spearman(predicted, observed),
            median_error=median(abs(t.observed - t.predicted) for t in trials) if n else math.nan,
        )


@dataclass(frozen=True)
class Calibration:
    """How good the forecasts of a study were.

    Attributes:
        trials: Trials with a forecast and a finite value, in their order.
        accuracy: Of all of these forecasts.
        by_phase: By the phase of the trials, in the order in which the phases occurred.
        worst: The trial with the largest standardised error; ``None`` without trials.
    """

    trials: tuple[ForecastedTrial, ...]
    accuracy: Accuracy
    by_phase: dict[str, Accuracy]
    worst: ForecastedTrial | None


def calibration(trials: Sequence[FrozenTrial], objective: int = 0) -> Calibration:
    """How good the forecasts that are stored with trials were.

    Trials without a forecast, and those that failed, were pruned or have an infinite value, are
    left out.
    """
    forecasted = []
    for trial in trials:
        record, value = TrialRecord.read(trial), finite_value(trial, objective)
        if record is None or value is None or objective >= len(record.forecasts):
            continue
        f = record.forecasts[objective]
        if all(map(math.isfinite, (f.predicted, f.low, f.high))):
            forecasted.append(
                ForecastedTrial(trial.number, record.phase, f.predicted, f.low, f.high, value)
            )
    phases = dict.fromkeys(t.phase for t in forecasted)
    return Calibration(
        trials=tuple(forecasted),
        accuracy=Accuracy.of(forecasted),
        by_phase={p: Accuracy.of([t for t in forecasted if t.phase == p]) for p in phases},
        worst=max(forecasted, key=lambda t: t.standardised_error, default=None),
    )


@dataclass(frozen=True)
class Progress:
    """How much a study improved, and how much of that came from its warm start.

    Attributes:
        average: Value of an average configuration: the model's median over the space, in the
            units of the objective.
        warm_start: Best value of the warm-start trials, probes included; ``None`` without any.
        best: Best value of all trials.
        n_warm_start: Number of warm-start trials with a value.
        share: Share of the improvement from ``average`` to ``best`` that the warm start reached,
            in ``[0, 1]``; ``None`` without a warm start or without an improvement.
    """

    average: float
    warm_start: float | None
    best: float
    n_warm_start: int
    share: float | None


def progress(
    snapshot: Snapshot, trials: Sequence[FrozenTrial], objective: int = 0
) -> Progress | None:
    """How much a study improved, and how much of that came from its warm start.

    Infeasible trials are ignored.

    Returns:
        ``None`` with fewer than two different outcomes, which is no scale, or without a feasible
        trial.
    """
    average = _average(snapshot, objective)
    if average is None:
        return None
    sign = snapshot.signs[objective]
    outcomes, of_warm_start = [], []
    for trial in trials:
        value = finite_value(trial, objective)
        if value is None or not is_feasible(trial):
            continue
        outcomes.append(sign * value)
        record = TrialRecord.read(trial)
        if record is not None and record.phase in _WARM_START:
            of_warm_start.append(sign * value)
    if not outcomes:
        return None
    best, warm_start = max(outcomes), max(of_warm_start, default=None)
    share = None
    improvement = best - sign * average
    if warm_start is not None and improvement > 0:
        share = min(max((warm_start - sign * average) / improvement, 0.0), 1.0)
    return Progress(
        average=average,
        warm_start=None if warm_start is None else sign * warm_start,
        best=sign * best,
        n_warm_start=len(of_warm_start),
        share=share,
    )


def _average(snapshot: Snapshot, objective: int) -> float | None:
    """Value of an average configuration under the model, in the objective's units."""
    if not snapshot.has_unit(objective):
        return None
    with isolated(), torch.no_grad():
        generator = torch.Generator(device="cpu").manual_seed(0)
        x = quasi_random(snapshot.space, _N_POINTS, generator)
        expected = snapshot.predictors[objective](x).mean.median()
        (value,) = snapshot.values(expected[None], objective)
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class PriorGain:
    """How much the prior studies improve the model of the running study.

    Attributes:
        n_trials: Number of trials compared.
        nats: Mean difference of the log density of an outcome given all others, with the prior
            studies and without; below 0 the target-only model is better.
        error: Standard error of that mean; NaN with a single trial.
        p_transfer: Transfer weight of the model.
        sign_flipped: Whether the model uses the prior studies with their sign flipped.
    """

    n_trials: int
    nats: float
    error: float
    p_transfer: float
    sign_flipped: bool


def prior_gain(snapshot: Snapshot, objective: int = 0) -> PriorGain | None:
    """How much the prior studies improve the model, by leaving out one trial at a time.

    Rasmussen & Williams 2006, section 5.4.2.

    Returns:
        ``None`` without prior studies, or before the first outcome.
    """
    predictor = snapshot.transfer_of(objective)
    if predictor is None or not len(predictor.posterior.x):
        return None
    with torch.no_grad():
        transfer, target_only = predictor.posterior.leave_one_out()
    each = (transfer - target_only).tolist()
    n = len(each)
    mean = sum(each) / n
    variance = sum((v - mean) ** 2 for v in each) / (n - 1) if n > 1 else math.nan
    return PriorGain(
        n, mean, math.sqrt(variance / n), predictor.p_transfer, predictor.sign_flipped
    )

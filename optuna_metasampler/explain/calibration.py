"""How good the forecasts were, and what came of the opening.

Axis letters: ``n`` trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from statistics import NormalDist, median
from typing import TYPE_CHECKING

from optuna_metasampler._optuna import constraints_of
from optuna_metasampler.explain.trial_record import TrialRecord


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from optuna_metasampler.explain.snapshot import Snapshot

_CONFIDENCE = 0.95
_OPENING = ("opening", "contrast")
_N_POINTS = 1024


@dataclass(frozen=True)
class Expectation:
    """What was expected of one trial, and what came, in the units of the objective.

    Attributes:
        number: Number of the trial.
        phase: Why it was chosen, see
            :class:`~optuna_metasampler.explain.trial_record.TrialRecord`.
        predicted: The median of what was expected.
        low: Below it one outcome in ten was expected.
        high: Above it one outcome in ten was expected.
        observed: What came.
    """

    number: int
    phase: str
    predicted: float
    low: float
    high: float
    observed: float

    @property
    def covered(self) -> bool:
        """Whether the outcome lay inside of the interval."""
        return self.low <= self.observed <= self.high

    @property
    def surprise(self) -> float:
        """How far the outcome lay from the median, in half widths of the interval; 1 is its end.

        Infinite where the interval has no width and the outcome is another.
        """
        error = abs(self.observed - self.predicted)
        half = self.high / 2 - self.low / 2
        return error / half if half > 0 else (0.0 if error == 0 else math.inf)


@dataclass(frozen=True)
class Accuracy:
    """How good some forecasts were.

    Attributes:
        n_trials: How many there are.
        coverage: Share of the outcomes inside of their 80 % interval; NaN where there is none.
        coverage_low: Lower end of its 95 % interval (Wilson 1927, "Probable inference", JASA 22).
        coverage_high: Upper end of it.
        rank_correlation: Spearman correlation of what was predicted with what came; NaN with fewer
            than two different values.
        median_error: Median absolute difference of the two, in the units of the objective; NaN
            where there is none.
    """

    n_trials: int
    coverage: float
    coverage_low: float
    coverage_high: float
    rank_correlation: float
    median_error: float

    @classmethod
    def of(cls, trials: Sequence[Expectation]) -> Accuracy:
        """How good the forecasts of some trials were."""
        import torch

        from optuna_metasampler.outcomes import spearman

        n = len(trials)
        inside = sum(trial.covered for trial in trials)
        low, high = wilson_interval(inside, n)
        predicted, observed = (
            torch.tensor([getattr(t, name) for t in trials], dtype=torch.float64, device="cpu")
            for name in ("predicted", "observed")
        )
        errors = [abs(t.observed - t.predicted) for t in trials]
        return cls(
            n_trials=n,
            coverage=inside / n if n else math.nan,
            coverage_low=low,
            coverage_high=high,
            rank_correlation=spearman(predicted, observed),
            median_error=median(errors) if errors else math.nan,
        )


@dataclass(frozen=True)
class Retrospect:
    """How good the forecasts of a study were.

    Attributes:
        trials: The trials that had a forecast and came to a finite value, in their order.
        accuracy: How good all of these forecasts were.
        by_phase: The like by the trials' phases, in the order in which they came up.
        worst: The trial that was the greatest surprise; ``None`` without trials.
    """

    trials: tuple[Expectation, ...]
    accuracy: Accuracy
    by_phase: dict[str, Accuracy]
    worst: Expectation | None

    @property
    def coverage(self) -> float:
        """Share of the outcomes inside of their 80 % interval."""
        return self.accuracy.coverage

    @property
    def rank_correlation(self) -> float:
        """Spearman correlation of what was predicted with what came."""
        return self.accuracy.rank_correlation


def retrospect(trials: Sequence[FrozenTrial], objective: int = 0) -> Retrospect:
    """How good the forecasts were that are kept with trials.

    Trials without a forecast, and those that failed, were pruned or came to an infinite value, are
    left out: of these there is nothing to compare a forecast with.

    Args:
        trials: Of one study.
        objective: Number of the objective.
    """
    kept = []
    for trial in trials:
        suggestion = TrialRecord.read(trial)
        value = _value(trial, objective)
        if suggestion is None or value is None or objective >= len(suggestion.forecasts):
            continue
        forecast = suggestion.forecasts[objective]
        if all(map(math.isfinite, (forecast.predicted, forecast.low, forecast.high))):
            kept.append(
                Expectation(
                    trial.number,
                    suggestion.phase,
                    forecast.predicted,
                    forecast.low,
                    forecast.high,
                    value,
                )
            )
    phases = dict.fromkeys(trial.phase for trial in kept)
    return Retrospect(
        trials=tuple(kept),
        accuracy=Accuracy.of(kept),
        by_phase={p: Accuracy.of([t for t in kept if t.phase == p]) for p in phases},
        worst=max(kept, key=lambda trial: trial.surprise, default=None),
    )


def wilson_interval(n_hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a probability of which ``n_hits`` of ``n`` draws are known.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
    share = n_hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


@dataclass(frozen=True)
class Progress:
    """How far a study has come, and how much of that came with its opening.

    Attributes:
        average: Value of an average configuration: the median over the space of what the model
            expects, in the units of the objective.
        opening: Best value of the trials of the opening, the contrast included; ``None`` where
            there was no opening.
        best: Best value of all.
        n_opening: Number of trials of the opening that came to a value.
        share: The part of the way from the average configuration to the best that the opening
            came, in ``[0, 1]``; ``None`` where there was no opening, or nothing is better than
            average.
    """

    average: float
    opening: float | None
    best: float
    n_opening: int
    share: float | None


def progress(
    snapshot: Snapshot, trials: Sequence[FrozenTrial], objective: int = 0
) -> Progress | None:
    """How far a study has come, and how much of that came with its opening.

    Args:
        snapshot: What is known of the study.
        trials: The trials of the study; those that are infeasible do not count.
        objective: Number of the objective.

    Returns:
        ``None`` where fewer than two different outcomes are known, which is no scale, or no trial
        is feasible.
    """
    average = _average(snapshot, objective)
    if average is None:
        return None
    sign = snapshot.signs[objective]
    all_values, of_opening = [], []
    for trial in trials:
        value = _value(trial, objective)
        if value is None or any(c > 0 for c in constraints_of(trial).values()):
            continue
        all_values.append(sign * value)
        suggestion = TrialRecord.read(trial)
        if suggestion is not None and suggestion.phase in _OPENING:
            of_opening.append(sign * value)
    if not all_values:
        return None
    best, opening = max(all_values), max(of_opening, default=None)
    share = None
    way = best - sign * average
    if opening is not None and way > 0:
        share = min(max((opening - sign * average) / way, 0.0), 1.0)
    return Progress(
        average=average,
        opening=None if opening is None else sign * opening,
        best=sign * best,
        n_opening=len(of_opening),
        share=share,
    )


def _average(snapshot: Snapshot, objective: int) -> float | None:
    """The value of an average configuration under the model, in the objective's units."""
    import torch

    from optuna_metasampler._runtime import isolated
    from optuna_metasampler.maximize import quasi_random
    from optuna_metasampler.outcomes import half_rank_unwarp

    if not snapshot.has_unit(objective):
        return None
    y = snapshot.outcomes(objective)
    with isolated(), torch.no_grad():
        generator = torch.Generator(device="cpu").manual_seed(0)
        x = quasi_random(snapshot.space, _N_POINTS, generator)
        expected = snapshot.predictors[objective](x).mean.median()
        value = snapshot.signs[objective] * float(half_rank_unwarp(expected[None], y)[0])
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class PriorGain:
    """How much better the prior studies make the model of the running study.

    Attributes:
        n_trials: Number of trials that are compared.
        nats: What they add to the log density of an outcome given all the others, the mean over
            the trials; below 0 the model without them is better.
        error: Standard error of that mean; NaN with a single trial.
        evidence: Probability that the prior studies are of use, in ``[0, 1]``.
        reading: The same in words.
    """

    n_trials: int
    nats: float
    error: float
    evidence: float
    reading: str


def prior_gain(snapshot: Snapshot, objective: int = 0) -> PriorGain | None:
    """How much better the prior studies make the model, by leaving out each trial in turn.

    Rasmussen & Williams 2006, section 5.4.2.

    Returns:
        ``None`` without prior studies, or before the first outcome.
    """
    import torch

    from optuna_metasampler.surrogates.transfer import TransferPredictor

    predictor = snapshot.predictors[objective]
    if not isinstance(predictor, TransferPredictor) or not len(predictor.posterior.x):
        return None
    with torch.no_grad():
        transfer, target_only = predictor.posterior.leave_one_out()
    each = (transfer - target_only).tolist()
    n = len(each)
    mean = sum(each) / n
    variance = sum((v - mean) ** 2 for v in each) / (n - 1) if n > 1 else math.nan
    error = math.sqrt(variance / n)
    return PriorGain(
        n,
        mean,
        error,
        predictor.evidence,
        _reading(n, mean, error, predictor.sign_flipped),
    )


def _reading(n: int, nats: float, error: float, sign_flipped: bool) -> str:
    factor = math.exp(min(abs(nats), 700.0))
    if n < 3:
        return "Too few trials to tell whether the prior studies help."
    if abs(nats) < 2 * error or factor < 1.02:
        return "The trials do not tell whether the prior studies help."
    if nats > 0 and sign_flipped:
        return (
            "The prior studies rank the trials the other way round. Read that way, with them the "
            f"model finds what came of a trial {factor:.3g} times as likely as without them."
        )
    if nats > 0:
        return (
            "With the prior studies the model finds what came of a trial "
            f"{factor:.3g} times as likely as without them."
        )
    return (
        "Without the prior studies the model finds what came of a trial "
        f"{factor:.3g} times as likely as with them."
    )


def _value(trial: FrozenTrial, objective: int) -> float | None:
    """The finite value of a completed trial; ``None`` if there is none."""
    if trial.state.name != "COMPLETE" or not trial.values or objective >= len(trial.values):
        return None
    value = float(trial.values[objective])
    return value if math.isfinite(value) else None

"""What was known of a trial when it was suggested, and how that is kept with the trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from optuna_metasampler._optuna import enqueued_params


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from torch import Tensor

    from optuna_metasampler.policies.base import Proposal
    from optuna_metasampler.surrogates.base import Predictor
    from optuna_metasampler.surrogates.gaussian_process import GaussianProcessPredictor
    from optuna_metasampler.task import Task


PREFIX = "meta:"
"""With it begin the user attributes of a trial that say how it was chosen."""

WEIGHTS = "metasampler:weights"
"""The system attribute of a trial with the weight of each prior study."""

INTERVAL = 0.8
"""What share of outcomes the interval of a forecast should hold."""

ENQUEUED, INDEPENDENT, POLICY = "enqueued", "independent", "policy"
"""Phases beside those of :class:`~optuna_metasampler.policies.base.Phase`: the user's own values;
values that nothing was known about; those of a policy that has no model of the outcome."""


@dataclass(frozen=True)
class Forecast:
    """What one objective was expected to come to, in its own units.

    Attributes:
        predicted: The median.
        low: Below it one outcome in ten was expected.
        high: Above it one outcome in ten was expected.
    """

    predicted: float
    low: float
    high: float


@dataclass(frozen=True)
class TrialRecord:
    """What was known of a trial when it was suggested.

    Attributes:
        phase: Why it was chosen: a value of :class:`~optuna_metasampler.policies.base.Phase`, or
            :data:`ENQUEUED`, :data:`INDEPENDENT` or :data:`POLICY`.
        forecasts: What each objective was expected to come to; none where there was no model, or
            fewer than two different outcomes to tell the unit by.
        acquisition: Its score: log expected improvement in nats, if nothing else is said of the
            method; ``None`` where points were not scored.
        evidence: Probability that the prior studies are of use, the mean over the objectives;
            ``None`` without prior studies.
        weights: Names of the prior studies and the share of each in the say, the highest first,
            see :class:`~optuna_metasampler.explain.prior_weights.PriorWeight`.
        sign_flipped: Whether the prior studies were read the other way round, for any objective.
    """

    phase: str
    forecasts: tuple[Forecast, ...] = ()
    acquisition: float | None = None
    evidence: float | None = None
    weights: tuple[tuple[str, float], ...] = ()
    sign_flipped: bool = False

    @classmethod
    def of(cls, proposal: Proposal, task: Task, signs: Sequence[float]) -> TrialRecord:
        """The record of a proposal.

        Args:
            proposal: What the policy proposed, and how it came to it.
            task: The history that it was asked with.
            signs: One an objective, -1 where smaller is better.
        """
        from optuna_metasampler.explain.prior_weights import relevance
        from optuna_metasampler.surrogates.transfer import TransferPredictor

        transfer = [p for p in proposal.predictors if isinstance(p, TransferPredictor)]
        return cls(
            phase=proposal.phase.value,
            forecasts=_forecasts(proposal.predictors, proposal.x, task, signs),
            acquisition=proposal.acquisition,
            evidence=sum(p.evidence for p in transfer) / len(transfer) if transfer else None,
            weights=tuple((row.name, row.weight) for row in relevance(transfer)),
            sign_flipped=any(p.sign_flipped for p in transfer),
        )

    @classmethod
    def read(cls, trial: FrozenTrial) -> TrialRecord | None:
        """What is kept with a trial; ``None`` if nothing is, or nothing that can be read."""
        told: dict[str, Any] = {
            key.removeprefix(PREFIX): value
            for key, value in trial.user_attrs.items()
            if key.startswith(PREFIX)
        }
        try:
            if "phase" not in told:
                # Where all was enqueued, Optuna asks no sampler.
                return cls(ENQUEUED) if enqueued_params(trial) else None
            return cls(
                phase=str(told["phase"]),
                forecasts=_read_forecasts(told),
                acquisition=_number(told.get("acquisition")),
                evidence=_number(told.get("prior_say")),
                weights=tuple(
                    (str(name), float(w)) for name, w in trial.system_attrs.get(WEIGHTS, ())
                ),
                sign_flipped=told.get("priors_mirrored") is True,
            )
        except (TypeError, ValueError, KeyError):
            # Anybody may set attributes of these names.
            return None

    def user_attributes(self) -> dict[str, Any]:
        """What people should see: short numbers and words."""
        attributes: dict[str, Any] = {"phase": self.phase}
        for i, forecast in enumerate(self.forecasts):
            suffix = "" if len(self.forecasts) == 1 else f":{i}"
            for name, value in _rounded(forecast).items():
                attributes[name + suffix] = value
        if self.acquisition is not None and math.isfinite(self.acquisition):
            attributes["acquisition"] = round(self.acquisition, 3)
        if self.evidence is not None:
            attributes["prior_say"] = round(self.evidence, 3)
        if self.weights and self.weights[0][1] > 0.0:
            attributes["strongest_prior"] = self.weights[0][0]
        if self.sign_flipped:
            attributes["priors_mirrored"] = True
        return {PREFIX + name: value for name, value in attributes.items()}

    def system_attributes(self) -> dict[str, Any]:
        """What reports need beside."""
        return {WEIGHTS: [[n, round(w, 4)] for n, w in self.weights]} if self.weights else {}


def _forecasts(
    predictors: Sequence[Predictor], x: Tensor, task: Task, signs: Sequence[float]
) -> tuple[Forecast, ...]:
    from optuna_metasampler.outcomes import finite_outcomes, unwarped
    from optuna_metasampler.surrogates.gaussian_process import (
        MAX_TRIALS,
        GaussianProcessPredictor,
        representative_rows,
    )

    if len(predictors) != len(signs):
        # One compromise of several objectives: in no unit.
        return ()
    columns = [task.y] if len(signs) == 1 or task.outcomes is None else list(task.outcomes.T)
    found = []
    for predictor, outcomes, sign in zip(predictors, columns, signs, strict=True):
        y = finite_outcomes(outcomes)
        if not isinstance(predictor, GaussianProcessPredictor) or not bool((y != y[:1]).any()):
            return ()
        z = outcome_quantiles(predictor, x[None], ((1 - INTERVAL) / 2, 0.5, (1 + INTERVAL) / 2))
        # The predictor knows what these were warped to.
        known = y[representative_rows(outcomes, MAX_TRIALS)]
        low, median, high = (
            sign * float(v) for v in unwarped(z[:, 0], predictor.posterior.outcomes, known)
        )
        if not all(map(math.isfinite, (low, median, high))):
            return ()
        found.append(Forecast(median, min(low, high), max(low, high)))
    return tuple(found)


def outcome_quantiles(
    predictor: GaussianProcessPredictor, x: Tensor, levels: Sequence[float]
) -> Tensor:
    """Quantiles of the warped outcome, noise included, at points ``(q, d)``: ``(levels, q)``.

    Args:
        predictor: Of a Gaussian process; that of the transfer process is a mixture of two.
        x: The points.
        levels: Probabilities in ``(0, 1)``.
    """
    import torch

    with torch.no_grad():
        each = predictor.each(x)
        # Outcomes are noisy, and predictions are of what is behind the noise.
        spread = (each.variance + predictor.posterior.noise[:, None]).sqrt()
    weights = predictor.weights
    points = list(zip(each.mean.T.tolist(), spread.T.tolist(), strict=True))
    return torch.tensor(
        [[_quantile(mean, sd, weights, level) for mean, sd in points] for level in levels],
        dtype=torch.float64,
    )


def _quantile(
    means: Sequence[float], spreads: Sequence[float], weights: Sequence[float], level: float
) -> float:
    """A quantile of a mixture of normal distributions; plain numbers are fastest for one point."""
    parts = [NormalDist(m, s) for m, s in zip(means, spreads, strict=True)]
    # It lies between those of the parts.
    each = [part.inv_cdf(level) for part in parts]
    low, high = min(each), max(each)
    for _ in range(30):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        below = sum(w * part.cdf(middle) for w, part in zip(weights, parts, strict=True))
        low, high = (middle, high) if below < level else (low, middle)
    return (low + high) / 2


def _rounded(forecast: Forecast) -> dict[str, float]:
    """The forecast by name, to a hundredth or less of the interval."""
    width = forecast.high - forecast.low
    values = {
        "predicted": forecast.predicted,
        "low": forecast.low,
        "high": forecast.high,
    }
    if not width > 0.0 or not math.isfinite(width):
        return values
    digits = 2 - math.floor(math.log10(width))
    return {name: round(value, digits) for name, value in values.items()}


def _read_forecasts(told: Mapping[str, Any]) -> tuple[Forecast, ...]:
    parts = ("predicted", "low", "high")
    if "predicted" in told:
        return (Forecast(*(float(told[part]) for part in parts)),)
    found: list[Forecast] = []
    while f"predicted:{len(found)}" in told:
        found.append(Forecast(*(float(told[f"{part}:{len(found)}"]) for part in parts)))
    return tuple(found)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)

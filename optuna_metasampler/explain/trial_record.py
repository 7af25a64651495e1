"""What was known of a trial when it was suggested, and how it is stored with the trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import math
from typing import TYPE_CHECKING, Any

from optuna_metasampler._optuna import enqueued_params


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


PREFIX = "meta:"
"""Prefix of the user attributes of a trial that hold its record."""

STOPPED = PREFIX + "pruned"
"""User attribute of a trial that `MetaPruner` stopped: why, as :meth:`Stop.to_dict` says it."""

WEIGHTS = "metasampler:weights"
"""System attribute of a trial with the weight of each prior study."""

INTERVAL = 0.8
"""Probability that the interval of a forecast should cover the outcome."""

ENQUEUED, INDEPENDENT = "enqueued", "independent"
"""Phases in addition to those of :class:`~optuna_metasampler.policies.base.Phase`: the user's own
values, and values drawn by the independent sampler."""

# Names in trials stored by earlier versions.
_OLD_NAMES = {"transfer_weight": "prior_say", "priors_sign_flipped": "priors_mirrored"}
_OLD_PHASES = {"start-up": "initial-design", "opening": "warm-start", "contrast": "probe"}


@dataclass(frozen=True)
class Stop:
    """Why a trial was stopped early.

    Attributes:
        step: The last step that it reported.
        probability: Of ending among the best; 0 if its last value was no number, and then nothing
            else is known.
        needed: The value that it needed to.
        low: Lower end of the 80% interval of where it would have ended.
        high: Its upper end.
    """

    step: int
    probability: float = 0.0
    needed: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def read(cls, trial: FrozenTrial) -> Stop | None:
        """Why a trial was stopped; ``None`` if nothing is stored of it."""
        try:
            stored = dict(trial.user_attrs[STOPPED])
            return cls(
                int(stored["step"]),
                float(stored["probability"]),
                *(_number(stored.get(name)) for name in ("needed", "low", "high")),
            )
        except (TypeError, ValueError, KeyError):
            # Users can set an attribute of this name to anything.
            return None

    def to_dict(self) -> dict[str, float]:
        """What is known, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Forecast:
    """Prediction of one objective of a trial, in the objective's units.

    Attributes:
        predicted: The median.
        low: The 10% quantile.
        high: The 90% quantile.
    """

    predicted: float
    low: float
    high: float


@dataclass(frozen=True)
class TrialRecord:
    """What was known of a trial when it was suggested.

    Attributes:
        phase: Why it was chosen: a value of :class:`~optuna_metasampler.policies.base.Phase`,
            :data:`ENQUEUED` or :data:`INDEPENDENT`.
        forecasts: One an objective; empty without a model, or with fewer than two different
            outcomes, from which the objective's unit cannot be inferred.
        acquisition: Score of the point: log expected improvement in nats, unless the method
            documents another; ``None`` where points were not scored.
        p_transfer: Transfer weight, the probability of the model with prior studies, in ``[0,
            1]``: the mean over the objectives; ``None`` without prior studies.
        weights: Names and weights of prior studies, the highest first, at most 30; see
            :class:`~optuna_metasampler.explain.prior_studies.PriorWeight`.
        sign_flipped: Whether the prior studies entered the model of any objective with their
            sign flipped.
    """

    phase: str
    forecasts: tuple[Forecast, ...] = ()
    acquisition: float | None = None
    p_transfer: float | None = None
    weights: tuple[tuple[str, float], ...] = ()
    sign_flipped: bool = False

    @classmethod
    def read(cls, trial: FrozenTrial) -> TrialRecord | None:
        """The record stored with a trial; ``None`` if there is none, or none that is valid."""
        stored: dict[str, Any] = {
            key.removeprefix(PREFIX): value
            for key, value in trial.user_attrs.items()
            if key.startswith(PREFIX)
        }
        for name, old_name in _OLD_NAMES.items():
            if old_name in stored:
                stored.setdefault(name, stored[old_name])
        try:
            if "phase" not in stored:
                # Optuna does not call the sampler if every parameter was enqueued.
                return cls(ENQUEUED) if enqueued_params(trial) else None
            phase = str(stored["phase"])
            return cls(
                phase=_OLD_PHASES.get(phase, phase),
                forecasts=_read_forecasts(stored),
                acquisition=_number(stored.get("acquisition")),
                p_transfer=_number(stored.get("transfer_weight")),
                weights=tuple(
                    (str(name), float(w)) for name, w in trial.system_attrs.get(WEIGHTS, ())
                ),
                sign_flipped=stored.get("priors_sign_flipped") is True,
            )
        except (TypeError, ValueError, KeyError):
            # Users can set attributes of these names to anything.
            return None

    def user_attributes(self) -> dict[str, Any]:
        """The part of the record that users see, with short numbers."""
        attributes: dict[str, Any] = {"phase": self.phase}
        for i, forecast in enumerate(self.forecasts):
            suffix = "" if len(self.forecasts) == 1 else f":{i}"
            for name, value in _rounded(forecast).items():
                attributes[name + suffix] = value
        if self.acquisition is not None and math.isfinite(self.acquisition):
            attributes["acquisition"] = round(self.acquisition, 3)
        if self.p_transfer is not None:
            attributes["transfer_weight"] = round(self.p_transfer, 3)
        if self.weights and self.weights[0][1] > 0.0:
            attributes["strongest_prior"] = self.weights[0][0]
        if self.sign_flipped:
            attributes["priors_sign_flipped"] = True
        return {PREFIX + name: value for name, value in attributes.items()}

    def system_attributes(self) -> dict[str, Any]:
        """The rest of the record, for reports and plots."""
        return {WEIGHTS: [[n, round(w, 4)] for n, w in self.weights]} if self.weights else {}


def _rounded(forecast: Forecast) -> dict[str, float]:
    """The forecast by name, rounded to a hundredth of the interval or less."""
    values = {"predicted": forecast.predicted, "low": forecast.low, "high": forecast.high}
    width = forecast.high - forecast.low
    if not width > 0.0 or not math.isfinite(width):
        return values
    digits = 2 - math.floor(math.log10(width))
    return {name: round(value, digits) for name, value in values.items()}


def _read_forecasts(stored: Mapping[str, Any]) -> tuple[Forecast, ...]:
    parts = ("predicted", "low", "high")
    if "predicted" in stored:
        return (Forecast(*(float(stored[part]) for part in parts)),)
    forecasts: list[Forecast] = []
    while f"predicted:{len(forecasts)}" in stored:
        i = len(forecasts)
        forecasts.append(Forecast(*(float(stored[f"{part}:{i}"]) for part in parts)))
    return tuple(forecasts)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)

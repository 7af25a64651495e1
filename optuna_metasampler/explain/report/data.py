"""The contents of a report: numbers, names and short texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
import math
from numbers import Integral, Real
from typing import Any

from optuna_metasampler.explain.calibration import Calibration, PriorGain, Progress
from optuna_metasampler.explain.forecasts import ImprovementForecast


@dataclass(frozen=True)
class BestTrial:
    """One of the best trials.

    Attributes:
        number: Its number.
        values: Its value of each objective.
        params: Its parameters.
    """

    number: int
    values: tuple[float, ...]
    params: dict[str, Any]


@dataclass(frozen=True)
class PriorPart:
    """One prior study and its contribution.

    Attributes:
        name: Its name.
        used: Whether the model uses it.
        reason: Why not; ``None`` if it does.
        n_trials: Its number of trials with an outcome; ``None`` where only its name is known.
        shared: Names of the parameters that it shares with this study.
        rank_correlation: Spearman correlation of its predictions for this study's trials with
            their outcomes, in ``[-1, 1]``; ``None`` if not known.
        weight: Its weight in the next suggestion, in ``[0, 1]``; ``None`` if not known.
        weights: Its weights in the suggestions at :attr:`ReportData.weights_at`.
        n_strongest: Number of suggestions in which it had the largest weight.
        fixed: Values of shared parameters that it is said to have held constant.
        fixed_here: Values of the parameters that it tuned, and that this study is said to hold
            constant.
    """

    name: str
    used: bool
    reason: str | None = None
    n_trials: int | None = None
    shared: tuple[str, ...] = ()
    rank_correlation: float | None = None
    weight: float | None = None
    weights: tuple[float, ...] = ()
    n_strongest: int = 0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    fixed_here: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ParameterPart:
    """Effect of one parameter.

    Attributes:
        name: Its name.
        categorical: Whether its values are choices.
        log: Whether its range is on the log scale.
        importance: Share of the model's variance over the space that varies with it, alone or
            together with others. The shares of all parameters can add up to more than 1.
        prior_importance: Importance under the prior studies together; ``None`` without.
        prior_importance_low: The least in any one prior study; ``None`` without.
        prior_importance_high: The most in any one prior study; ``None`` without.
        values: Values along it.
        posterior: Mean over the other parameters at each value, in the units of the objective;
            empty without a unit, see :attr:`ObjectivePart.unit`.
        low: 10% quantile of that mean under the model.
        high: 90% quantile.
        prior: The mean under the prior studies together; ``None`` without.
        clear: Whether its best value is better than its worst with a probability of 80% or more.
        best: Adjacent values around the best one that lack at most a quarter of its advantage over
            the worst; a single choice. Empty if not known.
        prior_best: The best values under the prior studies together; empty if the parameter is
            unimportant there.
        finding: Where it is best, in a few words.
        summary: The finding, the values there, and a comparison with the prior studies.
    """

    name: str
    categorical: bool
    log: bool
    importance: float
    prior_importance: float | None
    prior_importance_low: float | None
    prior_importance_high: float | None
    values: tuple[Any, ...]
    posterior: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    prior: tuple[float, ...] | None
    clear: bool
    best: tuple[Any, ...]
    prior_best: tuple[Any, ...]
    finding: str
    summary: str


@dataclass(frozen=True)
class ObjectivePart:
    """One objective.

    Attributes:
        number: Its place among the objectives, from 0.
        direction: ``"minimize"`` or ``"maximize"``.
        best: Its best value of a feasible trial; ``None`` without.
        unit: Whether there are two different values, from which the unit can be inferred.
        p_transfer: Transfer weight of its model; ``None`` without prior studies.
        gain: How much the prior studies improve its model; ``None`` without.
        progress: How much the study improved; ``None`` if not known.
        calibration: How good the forecasts stored with the trials were.
        parameters: Effects of the parameters, the most important first; empty without a model.
        improvement_forecast: Forecast of the improvement by more trials; ``None`` with several
            objectives, or if not known.
        statements: All of this in sentences.
    """

    number: int
    direction: str
    best: float | None
    unit: bool
    p_transfer: float | None
    gain: PriorGain | None
    progress: Progress | None
    calibration: Calibration
    parameters: tuple[ParameterPart, ...]
    improvement_forecast: ImprovementForecast | None
    statements: tuple[str, ...]


@dataclass(frozen=True)
class ReportData:
    """The contents of a report.

    Attributes:
        study: Name of the study.
        method: Name of the sampler's method.
        own_model: Whether parameters and improvement forecast come from the method's own model;
            ``None`` without a model.
        directions: ``"minimize"`` or ``"maximize"``, one an objective.
        states: Numbers of trials by state, such as ``{"complete": 20, "fail": 1}``.
        phases: Numbers of trials by phase, see
            :class:`~optuna_metasampler.explain.trial_record.TrialRecord`.
        until: When the last trial ended, in ISO format; ``None`` if none has.
        best: The best trial; with several objectives, the trials on the Pareto front.
        priors: The prior studies, the one with the largest weight first.
        weights_at: Numbers of the trials for which :attr:`PriorPart.weights` are given: those with
            stored weights, thinned evenly if there are many.
        objectives: One part an objective.
        statements: A summary in sentences.
        warnings: Problems of the study, and possible remedies.
    """

    study: str
    method: str
    own_model: bool | None
    directions: tuple[str, ...]
    states: dict[str, int]
    phases: dict[str, int]
    until: str | None
    best: tuple[BestTrial, ...]
    priors: tuple[PriorPart, ...]
    weights_at: tuple[int, ...]
    objectives: tuple[ObjectivePart, ...]
    statements: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def n_trials(self) -> int:
        """Number of trials, in any state."""
        return sum(self.states.values())

    @property
    def used(self) -> list[PriorPart]:
        """The prior studies that the model uses."""
        return [p for p in self.priors if p.used]

    @property
    def unused(self) -> list[PriorPart]:
        """The other prior studies."""
        return [p for p in self.priors if not p.used]


def plain(value: Any) -> Any:
    """A value as JSON can represent it, which knows no NaN and no infinity."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return repr(value)

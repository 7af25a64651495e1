"""Sentences and short texts for the numbers of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from numbers import Integral, Real
from typing import Any

from optuna_metasampler._text import counted, listed, number, percent, shortened
from optuna_metasampler.explain.calibration import Accuracy, PriorGain, Progress
from optuna_metasampler.explain.forecasts import ImprovementForecast
from optuna_metasampler.explain.plots.chart import PHASES, phase_style
from optuna_metasampler.explain.report.data import BestTrial, ParameterPart, PriorPart
from optuna_metasampler.explain.trial_record import ENQUEUED, INDEPENDENT, INTERVAL
from optuna_metasampler.policies.base import Phase


# Transfer weights that are high, that favour the target-only model, and that are negligible.
_HIGH, LOW, _NEGLIGIBLE = 0.9, 0.5, 0.1
# Probability of an improvement below which stopping is advised.
_UNLIKELY = 0.1
_FEW_TRIALS = 3
_INTERVAL = percent(INTERVAL)


def value_of(value: Any, digits: int = 4) -> str:
    """A parameter's value: a number, or the ``repr`` of a choice."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return shortened(repr(value))
    if isinstance(value, Integral):
        return str(int(value))
    return number(float(value), digits)


def span(values: Sequence[Any]) -> str:
    """The first and the last of some values."""
    first, last = value_of(values[0], 3), value_of(values[-1], 3)
    return first if first == last else f"{first} to {last}"


def describe_states(states: dict[str, int]) -> str:
    """Numbers of trials by state."""
    parts = [f"{n:,} {'failed' if s == 'fail' else s}" for s, n in states.items() if n]
    return ", ".join(parts) or "none"


def describe_phase(phase: str) -> str:
    """Name of a phase."""
    return phase_style(phase)[0]


def describe_phases(phases: dict[str, int]) -> str:
    """Numbers of trials by phase."""
    known = {p: n for p, n in phases.items() if p in PHASES}
    parts = [f"{n:,} {describe_phase(p)}" for p, n in known.items()]
    rest = sum(phases.values()) - sum(known.values())
    return ", ".join([*parts, *([f"{rest:,} other"] if rest else [])])


_REASONS = {
    Phase.INITIAL_DESIGN.value: "Initial design: it fills the space before there is a model.",
    Phase.WARM_START.value: "Warm start: one of the best configurations of the prior studies.",
    Phase.PROBE.value: (
        "Probe: away from the best prior configurations on purpose, to test whether the prior "
        "studies apply here. A bad value is nothing to worry about."
    ),
    Phase.SPACE_FILLING.value: (
        "Space-filling: away from all trials, because their outcomes say too little for a model."
    ),
    Phase.MODEL.value: "Model: the most promising configuration under the model.",
    Phase.POLICY.value: "Policy: chosen by the method, which has no model of the outcome.",
    ENQUEUED: "Enqueued: its values were given.",
    INDEPENDENT: "Independent: drawn by the independent sampler, as no prior study could help.",
}


def describe_reason(phase: str) -> str:
    """Why a trial was chosen."""
    return _REASONS.get(phase, f"Phase: {shortened(phase)}.")


def describe_params(params: Mapping[str, Any], most: int = 12) -> str:
    """The parameters of a trial."""
    pairs = [f"{shortened(k, 30)}={value_of(v)}" for k, v in params.items()]
    return listed(pairs, most) or "no parameter"


def describe_fixed(prior: PriorPart, most: int = 12) -> str:
    """The values of parameters that a prior study, or this one, is said to hold constant."""
    pairs = [
        f"{shortened(name, 30)}={value_of(value)} {where}"
        for values, where in ((prior.fixed, "there"), (prior.fixed_here, "here"))
        for name, value in values.items()
    ]
    return listed(pairs, most)


def describe_best(best: Sequence[BestTrial], directions: Sequence[str]) -> str:
    """The best trial, or the size of the Pareto front."""
    if not best:
        return "No trial has a value and satisfies the constraints yet."
    if len(directions) == 1:
        return f"Best value: {number(best[0].values[0])} (trial {best[0].number})."
    return f"The Pareto front has {counted(len(best), 'trial')}."


def describe_weight(
    p_transfer: float, priors: Sequence[PriorPart], gains: Sequence[PriorGain | None]
) -> str:
    """How much the model relies on the prior studies, and whether they help.

    Args:
        p_transfer: The transfer weight.
        priors: The prior studies, the one with the largest weight first.
        gains: How much they improve the model of each objective.
    """
    used = [p for p in priors if p.weight is not None]
    one = len(used) == 1
    who, them = ("the prior study is", "it") if one else ("the prior studies are", "them")
    if p_transfer >= _HIGH:
        verdict = f"the model relies on {'the prior study' if one else 'the prior studies'}"
    elif p_transfer >= LOW:
        verdict = f"{who} partly trusted"
    elif p_transfer >= _NEGLIGIBLE:
        verdict = f"{who} down-weighted"
    else:
        verdict = f"{who} practically ignored"
    text = f"Transfer weight {p_transfer:.2f}: {verdict}"
    if len(gains) == 1 and gains[0] is not None:
        text += describe_gain(gains[0], them)
    text += "."
    if p_transfer < _NEGLIGIBLE or not used:
        return text
    if not any(p.weight for p in used):
        which = "It does not rank" if one else "None of them ranks"
        return f"{text} {which} this study's trials in their order."
    return text if one else text + _largest(used)


def describe_last_weight(p_transfer: float, priors: Sequence[PriorPart]) -> str:
    """How much the last suggestion relied on prior studies that the model does not have now."""
    used = [p for p in priors if p.weight is not None]
    text = f"The last suggestion was made with a transfer weight of {p_transfer:.2f}."
    return text if len(used) < 2 or p_transfer < _NEGLIGIBLE else text + _largest(used)


def _largest(used: Sequence[PriorPart]) -> str:
    if not used[0].weight:
        return ""
    return f" Largest prior weight: {shortened(used[0].name)} ({percent(used[0].weight)})."


def describe_progress(progress: Progress) -> str:
    """How much the study improved, and how much of that came from its warm start."""
    average, best = number(progress.average), number(progress.best)
    if progress.warm_start is None or not progress.n_warm_start:
        return f"An average configuration has a value of {average}, the best trial {best}."
    trials = f"The warm start ({counted(progress.n_warm_start, 'trial')}, probes included)"
    if progress.share is None:
        return (
            f"{trials} did no better than an average configuration ({average}), and neither has "
            "any trial since."
        )
    return (
        f"{trials} reached {percent(progress.share)} of the improvement from an average "
        f"configuration ({average}) to the best value so far ({best})."
    )


def describe_gain(gain: PriorGain, them: str) -> str:
    """How much the prior studies improve the model, as the rest of a sentence about them.

    It does not contradict the beginning: a model may rely on what few trials can confirm.

    Args:
        gain: The improvement.
        them: ``"them"``, or ``"it"`` for a single prior study.
    """
    trials = counted(gain.n_trials, "trial")
    helps = "it helps" if them == "it" else "they help"
    doubt = ", but" if gain.p_transfer >= LOW else ";"
    factor = math.exp(min(abs(gain.nats), 700.0))
    if gain.n_trials < _FEW_TRIALS:
        return f"{doubt} {trials} cannot show whether {helps}"
    if abs(gain.nats) < 2 * gain.error or factor < 1.02:
        return f"{doubt} {trials} do not show yet whether {helps}"
    if gain.nats < 0:
        return f"{doubt} left-out outcomes are {factor:.3g} times as likely without {them}"
    how = ", with flipped sign," if gain.sign_flipped else ""
    return f"; left-out outcomes are {factor:.3g} times as likely with {them}{how} as without"


def describe_calibration(accuracy: Accuracy) -> str:
    """How good the forecasts were."""
    n = accuracy.n_trials
    if n == 0:
        return "No trial with a value has a stored forecast."
    text = f"{accuracy.n_covered:,} of {counted(n, 'outcome')} inside the {_INTERVAL} interval"
    if accuracy.coverage_high < INTERVAL:
        text += ": the forecasts are overconfident"
    elif accuracy.coverage_low > INTERVAL:
        text += ": the forecasts are underconfident"
    rho = accuracy.rank_correlation
    if n < _FEW_TRIALS or math.isnan(rho):
        return f"Forecasts: {text}."
    return f"Forecasts: {text}; rank correlation with the outcomes {number(rho, 2)}."


def describe_importance(parameters: Sequence[ParameterPart]) -> str | None:
    """The most important parameters; ``None`` if none is."""
    important = [p for p in parameters if p.importance >= 0.01]
    if not important:
        return None
    first, *others = important[:3]
    text = f"Most important: {shortened(first.name)} ({percent(first.importance)} of the variance"
    text += f"; {first.finding})" if first.clear else ")"
    return (
        ", ".join([text, *(f"{shortened(p.name)} ({percent(p.importance)})" for p in others)])
        + "."
    )


def describe_forecast(forecast: ImprovementForecast) -> str:
    """The improvement that more trials would bring."""
    n, best = forecast.n_trials, number(forecast.best)
    if forecast.gain <= 0:
        trials = counted(n, "more trial is", "more trials are")
        return f"{trials} not expected to improve the best value, {best}."
    gain, low, high = (number(v, 2) for v in (forecast.gain, forecast.low, forecast.high))
    text = (
        f"Expected improvement by {counted(n, 'more trial')}: {gain} ({_INTERVAL} interval {low} "
        f"to {high}); probability of any improvement {percent(forecast.probability)}."
    )
    if forecast.probability < _UNLIKELY:
        text += " Consider stopping."
    return text


def describe_effect(finding: str, detail: str, prior_finding: str, agree: bool) -> str:
    """Summary of a parameter's effect.

    Args:
        finding: Where it is best, in this study.
        detail: The values there; may be empty.
        prior_finding: Where it is best in the prior studies; empty if unknown or unimportant.
        agree: Whether both findings are compatible.
    """
    text = f"{finding} ({detail})" if detail else finding
    if not prior_finding:
        return text
    return f"{text}; " + (
        "the prior studies agree" if agree else f"in prior studies {prior_finding}"
    )

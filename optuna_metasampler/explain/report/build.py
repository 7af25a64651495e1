"""Making the contents of a report.

Axis letters: ``g`` values of a parameter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
import math
from statistics import NormalDist

from optuna import Study
from optuna.trial import FrozenTrial, TrialState
import torch
from torch import Tensor

from optuna_metasampler._optuna import is_feasible, signs_of, trials_of_all_brackets
from optuna_metasampler._text import counted, listed, number, shortened, thinned
from optuna_metasampler.explain.calibration import calibration, prior_gain, progress
from optuna_metasampler.explain.effects import Curves, Effect, curves_of
from optuna_metasampler.explain.forecasts import improvement_forecast
from optuna_metasampler.explain.prior_studies import PriorWeight, prior_weights
from optuna_metasampler.explain.report import phrases
from optuna_metasampler.explain.report.data import (
    BestTrial,
    ObjectivePart,
    ParameterPart,
    PriorPart,
    ReportData,
)
from optuna_metasampler.explain.snapshot import ENOUGH_TRIALS, Snapshot
from optuna_metasampler.explain.trial_record import ENQUEUED, INTERVAL, TrialRecord
from optuna_metasampler.priors.overlap import Overlaps, StudyOverlap


_MAX_POINTS = 60
_MANY_FAILED = 0.2
_MAX_NAMES_SHOWN = 4
# Part of the best value's advantage over the worst that a value called best may lack.
_BEST_QUARTER = 0.25
# Smaller differences, in units of the warped outcome, are rounding errors.
_FLAT = 1e-6
_MOST_CHOICES = 4
# Importances below which a parameter has a negligible effect here, or in the prior studies.
_NEGLIGIBLE, _PRIOR_NEGLIGIBLE = 0.02, 0.05
# Standard deviations of the difference of two values, in half widths of their intervals, above
# which the better one is better with the interval's probability.
_CLEAR = NormalDist().inv_cdf(INTERVAL) / NormalDist().inv_cdf((1 + INTERVAL) / 2)


def report_data(
    study: Study,
    snapshot: Snapshot | None,
    found: Sequence[Sequence[Effect]],
    method: str,
    overlaps: Overlaps | None,
    problem: str | None,
) -> ReportData:
    """The contents of a report, see :meth:`~optuna_metasampler.explain.report.Report.of`.

    Besides its arguments, ``found`` are the effects under the model of each objective.
    """
    trials = trials_of_all_brackets(study)
    records = [(t.number, r) for t in trials if (r := TrialRecord.read(t)) is not None]
    directions = tuple(d.name.lower() for d in study.directions)
    overlaps = snapshot.overlaps if snapshot is not None else overlaps
    weighted = [(n, r) for n, r in records if r.weights]
    priors = _priors(snapshot, overlaps, [r for _, r in weighted])
    best = _best(study, trials)
    objectives = tuple(
        _objective(trials, snapshot, found[j] if found else (), j, direction, sign)
        for j, (direction, sign) in enumerate(zip(directions, signs_of(study), strict=True))
    )
    ended = [t.datetime_complete for t in trials if t.datetime_complete is not None]
    return ReportData(
        study=study.study_name,
        method=method if snapshot is None else snapshot.method,
        own_model=None if snapshot is None else snapshot.own_model,
        directions=directions,
        states=_states(trials),
        phases=dict(Counter(r.phase for _, r in records)),
        until=max(ended).isoformat(timespec="seconds") if ended else None,
        best=best,
        priors=priors,
        weights_at=thinned([n for n, _ in weighted], _MAX_POINTS),
        objectives=objectives,
        statements=_statements(best, directions, priors, objectives, records),
        warnings=tuple(_warnings(trials, records, snapshot, overlaps, priors, problem)),
    )


def _states(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    counts = Counter(t.state for t in trials)
    finished_first = sorted(TrialState, key=lambda state: not state.is_finished())
    return {state.name.lower(): counts[state] for state in finished_first if counts[state]}


def _best(study: Study, trials: Sequence[FrozenTrial]) -> tuple[BestTrial, ...]:
    """The best feasible trial, or those on the Pareto front."""
    chosen: Sequence[FrozenTrial]
    if len(study.directions) > 1:
        chosen = study.best_trials
    else:
        (sign,) = signs_of(study)
        eligible = [t for t in trials if t.values and _is_eligible(t)]
        chosen = [max(eligible, key=lambda t: sign * t.values[0])] if eligible else []
    return tuple(BestTrial(t.number, tuple(t.values), dict(t.params)) for t in chosen)


def _is_eligible(trial: FrozenTrial) -> bool:
    """Whether a trial is complete and satisfies the constraints."""
    return trial.state == TrialState.COMPLETE and is_feasible(trial)


# --------------------------------------------------------------------------------------------
# Prior studies


def _priors(
    snapshot: Snapshot | None, overlaps: Overlaps | None, records: Sequence[TrialRecord]
) -> tuple[PriorPart, ...]:
    """The prior studies that are available, and those that only the records name."""
    stored = [{n: w if math.isfinite(w) else 0.0 for n, w in r.weights} for r in records]
    names = {name for weights in stored for name in weights}
    over_time = thinned(stored, _MAX_POINTS)
    n_strongest = Counter(r.weights[0][0] for r in records if r.weights[0][1] > 0.0)

    def part(
        name: str, now: PriorWeight | None, row: StudyOverlap | None, reason: str | None
    ) -> PriorPart:
        known = now if row is None else row
        last = stored[-1].get(name, 0.0) if known is None else None
        rho = None if now is None or math.isnan(now.rank_correlation) else now.rank_correlation
        return PriorPart(
            name=name,
            used=reason is None,
            reason=reason,
            n_trials=None if known is None else known.n_trials,
            shared=() if row is None else row.shared,
            rank_correlation=rho,
            weight=last if now is None else now.weight,
            weights=tuple(w.get(name, 0.0) for w in over_time) if name in names else (),
            n_strongest=n_strongest[name],
            fixed={} if row is None else row.fixed,
            fixed_here={} if row is None else row.fixed_here,
        )

    # A list, because two storages may have studies of one name.
    weights = [] if snapshot is None else prior_weights(snapshot.transfer)
    parts = []
    for row in overlaps or ():
        same_name = [w for w in weights if w.name == row.name]
        now = min(same_name, key=lambda w: abs(w.n_trials - row.n_trials), default=None)
        if now is not None:
            weights.remove(now)
        reason = row.reason
        if reason is None and now is None and snapshot is not None and snapshot.own_model:
            reason = "the model does not use it"
        parts.append(part(row.name, now, row, reason))
    parts += [part(now.name, now, None, None) for now in weights]
    parts += [part(name, None, None, None) for name in sorted(names - {p.name for p in parts})]
    return tuple(sorted(parts, key=lambda p: (not p.used, -(p.weight or 0.0), p.name)))


# --------------------------------------------------------------------------------------------
# Objectives and parameters


def _objective(
    trials: Sequence[FrozenTrial],
    snapshot: Snapshot | None,
    found: Sequence[Effect],
    j: int,
    direction: str,
    sign: float,
) -> ObjectivePart:
    values = [sign * t.values[j] for t in trials if t.values and _is_eligible(t)]
    known = calibration(trials, j)
    unit, p_transfer, gain, improved, forecast = False, None, None, None, None
    parameters: tuple[ParameterPart, ...] = ()
    if snapshot is not None:
        unit = snapshot.has_unit(j)
        predictor = snapshot.transfer_of(j)
        p_transfer = None if predictor is None else predictor.p_transfer
        gain = prior_gain(snapshot, j)
        improved = progress(snapshot, trials, j)
        forecast = improvement_forecast(snapshot) if snapshot.is_telling(j) else None
        parameters = tuple(_parameter(effect, snapshot, j) for effect in found)
    statements = [
        None if improved is None else phrases.describe_progress(improved),
        phrases.describe_calibration(known.accuracy) if known.trials else None,
        phrases.describe_importance(parameters) if unit else None,
        None if forecast is None else phrases.describe_forecast(forecast),
    ]
    return ObjectivePart(
        number=j,
        direction=direction,
        best=sign * max(values) if values else None,
        unit=unit,
        p_transfer=p_transfer,
        gain=gain,
        progress=improved,
        calibration=known,
        parameters=parameters,
        improvement_forecast=forecast,
        statements=tuple(s for s in statements if s is not None),
    )


def _parameter(effect: Effect, snapshot: Snapshot, objective: int) -> ParameterPart:
    """The effect of one parameter on an objective."""
    here, prior = None, None
    curves: Curves = ((), (), (), None)
    if snapshot.has_unit(objective):
        here = _best_region(effect.posterior, effect.categorical)
        curves = curves_of(effect, snapshot, objective)
    if effect.prior is not None and (effect.prior_importance or 0.0) >= _PRIOR_NEGLIGIBLE:
        prior = _best_region(effect.prior, effect.categorical)
    posterior, low, high, prior_mean = curves
    clear = here is not None and _is_clear(effect)
    finding, detail = _finding(effect, posterior, here, clear)
    return ParameterPart(
        name=effect.name,
        categorical=effect.categorical,
        log=effect.log,
        importance=effect.importance,
        prior_importance=effect.prior_importance,
        prior_importance_low=min(effect.importance_per_study, default=None),
        prior_importance_high=max(effect.importance_per_study, default=None),
        values=effect.values,
        posterior=posterior,
        low=low,
        high=high,
        prior=prior_mean,
        clear=clear,
        best=() if here is None else effect.values[here.start : here.stop],
        prior_best=() if prior is None else effect.values[prior.start : prior.stop],
        finding=finding,
        summary=phrases.describe_effect(
            finding,
            detail,
            "" if prior is None else _where(effect, prior),
            agree=bool(here and prior and set(here) & set(prior)),
        ),
    )


def _best_region(curve: Tensor, categorical: bool) -> range | None:
    """Positions of the best values of a curve ``(g,)``, larger is better; ``None`` if it is flat.

    They are adjacent, and lack at most a quarter of the best one's advantage over the worst; of
    choices only the best one.
    """
    heights = curve.tolist()
    best, top, bottom = int(curve.argmax()), max(heights), min(heights)
    if not all(map(math.isfinite, heights)) or top - bottom <= _FLAT:
        return None
    first = last = best
    if not categorical:
        enough = top - _BEST_QUARTER * (top - bottom)
        while first > 0 and heights[first - 1] >= enough:
            first -= 1
        while last < len(heights) - 1 and heights[last + 1] >= enough:
            last += 1
    return range(first, last + 1)


def _is_clear(effect: Effect) -> bool:
    """Whether the best value is better than the worst with a probability of 80% or more.

    Under the assumption that the two means are independent. They are mostly correlated, which
    makes their difference more certain.
    """
    half = (effect.high - effect.low) / 2
    best, worst = effect.posterior.argmax(), effect.posterior.argmin()
    apart = (half[best].square() + half[worst].square()).sqrt()
    return bool(effect.posterior[best] - effect.posterior[worst] > _CLEAR * apart)


def _finding(
    effect: Effect, posterior: Sequence[float], here: range | None, clear: bool
) -> tuple[str, str]:
    """Where a parameter is best, and the values there."""
    if here is None:
        return "unknown", ""
    if effect.importance < _NEGLIGIBLE:
        return "negligible effect", ""
    if not clear:
        return "no clear effect", f"possibly {_where(effect, here)}"
    order = torch.argsort(effect.posterior, descending=True, stable=True).tolist()
    if not effect.categorical:
        best, worst = (number(posterior[i]) for i in (order[0], order[-1]))
        return _where(effect, here), f"mean {best}, worst {worst}"
    means = [f"{phrases.value_of(effect.values[i])} {number(posterior[i])}" for i in order]
    return _where(effect, here), f"means: {listed(means, _MOST_CHOICES)}"


def _where(effect: Effect, region: range) -> str:
    """The best values of a parameter."""
    values, n = effect.values[region.start : region.stop], len(effect.values)
    if effect.categorical:
        return f"best with {phrases.value_of(values[0])}"
    if len(region) == 1:
        return f"best at {phrases.value_of(values[0], 3)}"
    if region.start == 0 and region.stop < n:
        return f"best up to {phrases.value_of(values[-1], 3)}"
    if region.stop == n and region.start > 0:
        return f"best from {phrases.value_of(values[0], 3)} up"
    return f"best from {phrases.span(values)}"


# --------------------------------------------------------------------------------------------
# Summary and warnings


def _statements(
    best: Sequence[BestTrial],
    directions: Sequence[str],
    priors: Sequence[PriorPart],
    objectives: Sequence[ObjectivePart],
    records: Sequence[tuple[int, TrialRecord]],
) -> tuple[str, ...]:
    statements = [phrases.describe_best(best, directions)]
    now = [o.p_transfer for o in objectives if o.p_transfer is not None]
    stored = [r.p_transfer for _, r in records if r.p_transfer is not None]
    if now:
        gains = [o.gain for o in objectives]
        statements.append(phrases.describe_weight(sum(now) / len(now), priors, gains))
    elif stored and math.isfinite(stored[-1]):
        statements.append(phrases.describe_last_weight(stored[-1], priors))
    elif not priors:
        statements.append("No prior studies.")
    for objective in objectives:
        about = "" if len(objectives) == 1 else f"Objective {objective.number}: "
        statements += [about + statement for statement in objective.statements]
    return tuple(statements)


def _warnings(
    trials: Sequence[FrozenTrial],
    records: Sequence[tuple[int, TrialRecord]],
    snapshot: Snapshot | None,
    overlaps: Overlaps | None,
    priors: Sequence[PriorPart],
    problem: str | None,
) -> Iterator[str]:
    if problem is not None:
        yield problem
    rows = tuple(overlaps or ())
    if overlaps and not any(row.usable for row in rows):
        yield _none_usable(overlaps, any(r.weights for _, r in records))
    missing = [p.name for p in priors if p.used and p.weights and p.n_trials is None]
    if missing:
        yield (
            "The trials were chosen with prior studies that the sampler does not have now "
            f"({listed(map(shortened, missing), _MAX_NAMES_SHOWN)}). Their weights are those "
            "stored with the trials, and the model does not use them. Give the sampler the same "
            "`prior` for a complete report."
        )
    if _is_sign_flipped(snapshot, records):
        yield (
            "The prior studies rank this study's trials in reverse order, so the model uses them "
            "with their sign flipped. Check the directions of the prior studies and of this one."
        )
    if snapshot is not None:
        method = shortened(snapshot.method)
        if not snapshot.own_model:
            yield (
                f"The method {method} has no Gaussian process: parameters and improvement "
                "forecast come from a target-only one."
            )
        elif any(row.usable for row in rows) and not snapshot.transfer:
            yield (
                f"The method {method} does not use prior studies. The default, "
                'method="auto", does.'
            )
    yield from _trial_warnings(trials, records)
    if snapshot is not None and len(snapshot.signs) > 1:
        yield (
            "The study has several objectives: calibration and parameters are reported for each, "
            "and there is no improvement forecast."
        )


def _is_sign_flipped(
    snapshot: Snapshot | None, records: Sequence[tuple[int, TrialRecord]]
) -> bool:
    """Whether the model relies on prior studies whose sign is flipped."""
    if snapshot is not None and snapshot.transfer:
        return any(p.sign_flipped and p.p_transfer > phrases.LOW for p in snapshot.transfer)
    last = records[-1][1] if records else None
    return last is not None and last.sign_flipped and (last.p_transfer or 0.0) > phrases.LOW


def _trial_warnings(
    trials: Sequence[FrozenTrial], records: Sequence[tuple[int, TrialRecord]]
) -> Iterator[str]:
    finished = [t for t in trials if t.state.is_finished()]
    complete = [t for t in finished if t.state == TrialState.COMPLETE]
    n_failed = sum(t.state == TrialState.FAIL for t in finished)
    if 0 < len(complete) < ENOUGH_TRIALS:
        yield (
            f"Only {counted(len(complete), 'trial is', 'trials are')} complete: importances of "
            f"parameters and an improvement forecast need {ENOUGH_TRIALS}."
        )
    if n_failed > _MANY_FAILED * max(len(finished), 1):
        yield (
            f"{n_failed:,} of {counted(len(finished), 'trial')} failed. Look for what they have "
            "in common, and express infeasible configurations as a constraint."
        )
    if complete and not any(map(_is_eligible, complete)):
        yield "No trial satisfies all constraints yet."
    recorded = {number for number, _ in records}
    n_silent = sum(t.number not in recorded for t in finished)
    if finished and n_silent == len(finished):
        yield (
            "No trial has a stored record: the trials come from another sampler or from "
            "MetaSampler(explain=False). There are no forecasts and no weights over time."
        )
    elif finished and all(r.phase == ENQUEUED for _, r in records):
        yield "All trials with a stored record were enqueued: there are no forecasts."
    elif n_silent:
        yield (
            f"{counted(n_silent, 'finished trial has', 'finished trials have')} no stored record "
            f"and {'is' if n_silent == 1 else 'are'} left out of calibration and weights over "
            "time."
        )


def _none_usable(overlaps: Overlaps, earlier: bool) -> str:
    """A warning that no prior study can be used, and a possible remedy.

    Args:
        overlaps: The prior studies.
        earlier: Whether trials were chosen with prior studies.
    """
    first, n = overlaps.studies[0], len(overlaps)
    now = " by this report, unlike by the trials" if earlier else ""
    if n == 1:
        text = f"The prior study {shortened(first.name)} is not used{now}: {first.reason}."
    else:
        text = (
            f"None of the {n:,} prior studies is used{now}. The first is "
            f"{shortened(first.name)}: {first.reason}."
        )
    renames = _renames(overlaps)
    if renames:
        pairs = ", ".join(f"{old!r}: {new!r}" for old, new in renames.items())
        return f"{text} If the parameters only differ in name, set rename={{{pairs}}}."
    if "none of its parameters" in (first.reason or ""):
        return (
            f"{text} If the parameters only differ in name, set "
            'rename={"name there": "name here"}.'
        )
    return text


def _renames(overlaps: Overlaps) -> dict[str, str]:
    """Parameters of the first prior study with names that resemble those of this study."""
    here = dict.fromkeys(overlaps.names or ())
    renames = {}
    for parameter in overlaps.studies[0].parameters:
        if parameter.name not in here:
            near = get_close_matches(parameter.name, list(here), n=1)
            if near:
                renames[parameter.name] = near[0]
                del here[near[0]]
    return renames

"""How a report is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
import math
from typing import TYPE_CHECKING

from optuna_metasampler._optuna import constraints_of, signs_of, trials_of_all_brackets
from optuna_metasampler._text import listed
from optuna_metasampler.explain.report.data import (
    BestTrial,
    ObjectivePart,
    ParameterPart,
    PriorPart,
    Report,
)
from optuna_metasampler.explain.report.phrases import (
    DOUBTFUL,
    best_told,
    counted,
    forecasts_told,
    importance_told,
    outlook_told,
    progress_told,
    say_told,
    shortened,
    thinned,
    upper_first,
)
from optuna_metasampler.explain.report.plots import plots_of
from optuna_metasampler.explain.trial_record import ENQUEUED, TrialRecord


if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from optuna_metasampler.explain.prior_weights import PriorWeight
    from optuna_metasampler.explain.snapshot import Snapshot
    from optuna_metasampler.priors.overlap import Overlaps, StudyOverlap

_MAX_POINTS = 60
_FEW_TRIALS = 5
_MANY_FAILED = 0.2
_MAX_NAMES_SHOWN = 4
_TOGETHER = 1.15


def report_of(
    study: Study,
    snapshot: Snapshot | None,
    *,
    method: str = "",
    overlaps: Overlaps | None = None,
    problem: str | None = None,
) -> Report:
    """What a sampler did in a study, and why.

    Args:
        study: The study; it is only read.
        snapshot: What the sampler knows of it; ``None`` where it cannot say.
        method: Name of the sampler's method; that of the snapshot by default.
        overlaps: The prior studies beside this one; those of the snapshot by default.
        problem: Why there is no snapshot.
    """
    trials = trials_of_all_brackets(study)
    suggestions = [(t.number, s) for t in trials if (s := TrialRecord.read(t)) is not None]
    directions = tuple(d.name.lower() for d in study.directions)
    overlaps = snapshot.overlaps if snapshot is not None else overlaps
    told = [(n, s) for n, s in suggestions if s.weights]
    priors = _priors(snapshot, overlaps, told)
    best = _best(study, trials)
    objectives = tuple(
        _objective(trials, snapshot, j, direction, signs_of(study)[j], len(directions))
        for j, direction in enumerate(directions)
    )
    ended = [t.datetime_complete for t in trials if t.datetime_complete is not None]
    return Report(
        study=study.study_name,
        method=method if snapshot is None else snapshot.method,
        own_model=None if snapshot is None else snapshot.own_model,
        directions=directions,
        states=_states(trials),
        phases=dict(Counter(s.phase for _, s in suggestions)),
        until=max(ended).isoformat(timespec="seconds") if ended else None,
        best=best,
        priors=priors,
        weights_at=thinned([n for n, _ in told], _MAX_POINTS),
        objectives=objectives,
        statements=_statements(best, directions, priors, objectives, suggestions),
        warnings=tuple(_warnings(trials, suggestions, snapshot, overlaps, priors, problem)),
        figures=partial(plots_of, trials, snapshot, len(directions)),
    )


def _states(trials: Sequence[FrozenTrial]) -> dict[str, int]:
    counts = Counter(t.state.name.lower() for t in trials)
    order = ("complete", "pruned", "fail", "running", "waiting")
    return {state: counts[state] for state in order if counts[state]}


def _best(study: Study, trials: Sequence[FrozenTrial]) -> tuple[BestTrial, ...]:
    """The best feasible trial, or those on the Pareto front."""
    chosen: Sequence[FrozenTrial]
    if len(study.directions) > 1:
        chosen = study.best_trials
    else:
        (sign,) = signs_of(study)
        known = [t for t in trials if t.values and _counts(t)]
        chosen = [max(known, key=lambda t: sign * t.values[0])] if known else []
    return tuple(BestTrial(t.number, tuple(t.values), dict(t.params)) for t in chosen)


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial came to an end and keeps the constraints."""
    feasible = not any(v > 0 for v in constraints_of(trial).values())
    return trial.state.name == "COMPLETE" and feasible


def _priors(
    snapshot: Snapshot | None,
    overlaps: Overlaps | None,
    told: Sequence[tuple[int, TrialRecord]],
) -> tuple[PriorPart, ...]:
    """The prior studies that are at hand, and those that only the trials know of."""
    from optuna_metasampler.explain.prior_weights import relevance

    shares = [_shares(suggestion) for _, suggestion in told]
    kept = _Kept(
        over_time=thinned(shares, _MAX_POINTS),
        last=shares[-1] if shares else {},
        names=frozenset(name for share in shares for name in share),
        strongest=Counter(s.weights[0][0] for _, s in told if s.weights[0][1] > 0.0),
    )
    # Two storages may have studies of one name.
    known = [] if snapshot is None else relevance(snapshot.transfer)
    parts = []
    for row in overlaps or ():
        same = [now for now in known if now.name == row.name]
        now = min(same, key=lambda r: abs(r.n_trials - row.n_trials), default=None)
        if now is not None:
            known.remove(now)
        reason = row.reason
        if reason is None and now is None and snapshot is not None and snapshot.own_model:
            reason = "the model does not build on it"
        parts.append(kept.part(row.name, now, row, reason))
    parts += [kept.part(now.name, now, None, None) for now in known]
    at_hand = {part.name for part in parts}
    parts += [kept.part(name, None, None, None) for name in sorted(kept.names - at_hand)]
    return tuple(sorted(parts, key=lambda p: (not p.used, -(p.weight or 0.0), p.name)))


@dataclass(frozen=True)
class _Kept:
    """What the trials keep of the prior studies.

    Attributes:
        over_time: The share of each by name, of trials that are evenly spread.
        last: The like of the last trial.
        names: All of their names.
        strongest: For how many trials each was the strongest.
    """

    over_time: tuple[dict[str, float], ...]
    last: dict[str, float]
    names: frozenset[str]
    strongest: Counter[str]

    def part(
        self,
        name: str,
        now: PriorWeight | None,
        row: StudyOverlap | None,
        reason: str | None,
    ) -> PriorPart:
        """What is known of one prior study: by the model, by its trials, and by those here."""
        weight = None if now is None else now.weight
        n_trials = None if now is None else now.n_trials
        if now is None and row is None:
            weight = self.last.get(name, 0.0)
        rho = math.nan if now is None else now.rank_correlation
        return PriorPart(
            name=name,
            used=reason is None,
            reason=reason,
            n_trials=n_trials if row is None else row.n_trials,
            shared=() if row is None else row.shared,
            rank_correlation=None if math.isnan(rho) else rho,
            weight=weight,
            weights=tuple(share.get(name, 0.0) for share in self.over_time)
            if name in self.names
            else (),
            n_strongest=self.strongest[name],
        )


def _shares(suggestion: TrialRecord) -> dict[str, float]:
    return {name: w if math.isfinite(w) else 0.0 for name, w in suggestion.weights}


def _objective(
    trials: Sequence[FrozenTrial],
    snapshot: Snapshot | None,
    j: int,
    direction: str,
    sign: float,
    m: int,
) -> ObjectivePart:
    from optuna_metasampler.explain.calibration import prior_gain, progress, retrospect
    from optuna_metasampler.explain.effects import effects
    from optuna_metasampler.explain.improvement_forecast import improvement_forecast
    from optuna_metasampler.explain.report.parameters import parameter_of
    from optuna_metasampler.surrogates.transfer import TransferPredictor

    values = [sign * t.values[j] for t in trials if t.values and _counts(t)]
    forecasts = retrospect(trials, j)
    unit, probability, gain, way, ahead = False, None, None, None, None
    parameters: tuple[ParameterPart, ...] = ()
    if snapshot is not None:
        unit = snapshot.has_unit(j)
        predictor = snapshot.predictors[j]
        if isinstance(predictor, TransferPredictor):
            probability = predictor.evidence
        gain = prior_gain(snapshot, j)
        way = progress(snapshot, trials, j)
        ahead = improvement_forecast(snapshot) if m == 1 else None
        parameters = tuple(
            parameter_of(effect, snapshot, j, unit) for effect in effects(snapshot, j)
        )
    statements = []
    if way is not None:
        statements.append(progress_told(way))
    if gain is not None:
        statements.append(gain.reading)
    if forecasts.trials:
        statements.append(forecasts_told(forecasts.accuracy))
    if unit and (told := importance_told(parameters)):
        statements.append(told)
    if ahead is not None:
        statements.append(outlook_told(ahead))
    return ObjectivePart(
        number=j,
        direction=direction,
        best=sign * max(values) if values else None,
        unit=unit,
        probability=probability,
        gain=gain,
        progress=way,
        forecasts=forecasts,
        parameters=parameters,
        improvement_forecast=ahead,
        statements=tuple(statements),
    )


def _statements(
    best: Sequence[BestTrial],
    directions: Sequence[str],
    priors: Sequence[PriorPart],
    objectives: Sequence[ObjectivePart],
    suggestions: Sequence[tuple[int, TrialRecord]],
) -> tuple[str, ...]:
    """All of it in short."""
    told = [best_told(best, directions)]
    known = [o.probability for o in objectives if o.probability is not None]
    kept = [s.evidence for _, s in suggestions if s.evidence is not None]
    if known:
        told.append(say_told(sum(known) / len(known), priors, True))
    elif kept and math.isfinite(kept[-1]):
        told.append(say_told(kept[-1], priors, False))
    elif not priors:
        told.append("There are no prior studies: all that is known is of this one.")
    for objective in objectives:
        about = "" if len(objectives) == 1 else f"Objective {objective.number}: "
        told += [about + statement for statement in objective.statements]
    return tuple(told)


def _warnings(
    trials: Sequence[FrozenTrial],
    suggestions: Sequence[tuple[int, TrialRecord]],
    snapshot: Snapshot | None,
    overlaps: Overlaps | None,
    priors: Sequence[PriorPart],
    problem: str | None,
) -> Iterator[str]:
    """What there may be to do."""
    if problem is not None:
        yield problem
    rows = tuple(overlaps or ())
    if overlaps and not any(row.usable for row in rows):
        yield _none_usable(overlaps)
    gone = [p.name for p in priors if p.used and p.weights and p.n_trials is None]
    if gone:
        yield (
            f"The trials were chosen with prior studies that are not at hand now "
            f"({listed(map(shortened, gone), _MAX_NAMES_SHOWN)}): their weights are as the trials "
            "keep them, and the model is one without them. Give the same priors to have it whole."
        )
    if _mirrored(snapshot, suggestions):
        yield (
            "The prior studies rank the trials of this study in the reverse order, and are read "
            "the other way round. Look whether their direction is right, and that of this study."
        )
    if snapshot is not None:
        usable = sum(row.usable for row in rows)
        if not snapshot.own_model:
            yield (
                f"The method {shortened(snapshot.method)} has no Gaussian process of its own: "
                "parameters and outlook are by one without prior studies."
            )
        elif usable and not snapshot.transfer:
            yield (
                f"The method {shortened(snapshot.method)} makes no use of "
                f"{'the prior study' if usable == 1 else 'the prior studies'}. The default, "
                'method="auto", does.'
            )
    yield from _of_trials(trials, suggestions, len(snapshot.signs) if snapshot else 1)


def _mirrored(snapshot: Snapshot | None, suggestions: Sequence[tuple[int, TrialRecord]]) -> bool:
    """Whether prior studies that are read the other way round have a say."""
    if snapshot is not None and snapshot.transfer:
        return any(p.sign_flipped and p.evidence > DOUBTFUL for p in snapshot.transfer)
    last = suggestions[-1][1] if suggestions else None
    return last is not None and last.sign_flipped and (last.evidence or 0.0) > DOUBTFUL


def _of_trials(
    trials: Sequence[FrozenTrial], suggestions: Sequence[tuple[int, TrialRecord]], m: int
) -> Iterator[str]:
    """What there may be to do about the trials."""
    finished = [t for t in trials if t.state.is_finished()]
    complete = [t for t in finished if t.state.name == "COMPLETE"]
    failed = sum(t.state.name == "FAIL" for t in finished)
    if 0 < len(complete) < _FEW_TRIALS:
        yield (
            f"Only {counted(len(complete), 'trial has', 'trials have')} come to a value: what is "
            "said of parameters and of the outlook is little more than a guess."
        )
    if failed > _MANY_FAILED * max(len(finished), 1):
        yield (
            f"{upper_first(counted(failed, 'trial'))} of {len(finished):,} failed. Look for what "
            "they have in common; a value that cannot be is better told by a constraint."
        )
    if complete and not any(map(_counts, complete)):
        yield "No trial keeps all constraints yet."
    kept = {number for number, _ in suggestions}
    silent = [t for t in finished if t.number not in kept]
    if finished and len(silent) == len(finished):
        yield (
            "No trial keeps how it was chosen: they came from another sampler, or from "
            "MetaSampler(explain=False). Forecasts and weights over time are not known."
        )
    elif finished and all(s.phase == ENQUEUED for _, s in suggestions):
        yield "All trials that keep how they were chosen were enqueued: nothing was forecast."
    elif silent:
        yield (
            f"{upper_first(counted(len(silent), 'finished trial keeps', 'finished trials keep'))} "
            f"nothing of how {'it was' if len(silent) == 1 else 'they were'} chosen, and "
            f"{'is' if len(silent) == 1 else 'are'} left out of forecasts and weights over time."
        )
    if m > 1:
        yield (
            "The study has several objectives: forecasts and parameters are told of each, and "
            "there is no outlook."
        )


def _none_usable(overlaps: Overlaps) -> str:
    """That no prior study can be used, and a way out."""
    first, n = overlaps.studies[0], len(overlaps)
    if n == 1:
        told = f"The prior study {shortened(first.name)} is not used: {first.reason}."
    else:
        told = (
            f"None of the {n:,} prior studies is used. The first, {shortened(first.name)}, is "
            f"not: {first.reason}."
        )
    renames = _renames(overlaps)
    if renames:
        pairs = ", ".join(f"{old!r}: {new!r}" for old, new in renames.items())
        return f"{told} If these are the same parameters, say so: rename={{{pairs}}}."
    if "none of its parameters" in (first.reason or ""):
        return (
            f'{told} If they only have other names, say so: rename={{"name there": "name here"}}.'
        )
    return told


def _renames(overlaps: Overlaps) -> dict[str, str]:
    """Parameters of the first prior study whose names resemble those of parameters here."""
    here = dict.fromkeys(overlaps.names or ())
    found = {}
    for parameter in overlaps.studies[0].parameters:
        if parameter.name not in here:
            near = get_close_matches(parameter.name, list(here), n=1)
            if near:
                found[parameter.name] = near[0]
                del here[near[0]]
    return found

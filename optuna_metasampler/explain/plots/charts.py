"""The chart of each plot, from the records of trials or from a snapshot of the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
import math
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from optuna_metasampler._optuna import finite_value
from optuna_metasampler._text import number, thinned
from optuna_metasampler.explain.calibration import ForecastedTrial, calibration
from optuna_metasampler.explain.effects import Effect, curves_of
from optuna_metasampler.explain.plots.chart import (
    GREY,
    LIGHT,
    MAX_NAMED,
    OF_STUDIES,
    PRIORS,
    THIS_STUDY,
    Axis,
    Band,
    Chart,
    Layer,
    Line,
    Numbers,
    Panel,
    Points,
    phase_style,
    short_name,
    short_names,
    spans,
)
from optuna_metasampler.explain.prior_studies import (
    OWN_NAME,
    BestSoFar,
    Convergence,
    convergence,
    similarity,
)
from optuna_metasampler.explain.prior_studies import (
    prior_weights as weights_of,
)
from optuna_metasampler.explain.snapshot import ENOUGH_TRIALS, Snapshot
from optuna_metasampler.explain.trial_record import TrialRecord
from optuna_metasampler.space import equal_key


PRIOR_WEIGHTS = "Weights of the prior studies"
PREDICTED_VS_OBSERVED = "Predicted and observed values"
PRIOR_VS_POSTERIOR = "Effect of each parameter: prior and posterior"
PARAMETER_IMPORTANCES = "Parameter importances"
SIMILARITY_MAP = "Similarity of the studies"
REGRET_AGAINST_PRIORS = "How soon each study found its best value"
"""Titles."""

# Trials shown at most: more would not be distinguishable.
_MAX_TRIALS = 150
_MAX_PARAMETERS = 15
_LEAST_ON_MAP = 5
# Lines of prior studies without a name: a thousand would be a grey area.
_MAX_OTHERS = 60
# Share of the trials, the best ones, that a panel has to show: far worse ones would leave no room
# for its subject.
_SHOWN_SHARE = 0.85
# What lies farther from the middle 80% of some numbers than this many widths of it is far outside.
_REACH = 1.0
# Ratio of the largest to the smallest value, all positive, from which on an axis is logarithmic.
_LOG_RATIO = 10.0


def objective_name(objective: int, n_objectives: int) -> str:
    """Title of an axis with the values of one objective."""
    return "objective value" if n_objectives == 1 else f"value of objective {objective}"


def no_trials(title: str) -> Chart:
    """The chart of a study without a trial that could be modelled."""
    return Chart(title, missing="no trial has a parameter that varies")


def of_model(
    snapshot: Snapshot,
    trials: Sequence[FrozenTrial],
    found: Sequence[Effect],
    objective: int,
    n_panels: int = 6,
    columns: int = 3,
) -> dict[str, Chart]:
    """All charts of one objective that need the model, by name.

    At most ``n_panels`` of the effects that were found have a panel of their own.
    """
    shown = found[:n_panels]
    return {
        "parameters": prior_vs_posterior(shown, snapshot, trials, objective, columns),
        "importances": parameter_importances(found, snapshot, objective),
        "regret": regret_against_priors(snapshot, trials, objective),
        # Of fewer studies a map says less than their rank correlations do.
        **(
            {"similarity": similarity_map(snapshot, objective)}
            if len(snapshot.prior_names(objective)) >= _LEAST_ON_MAP
            else {}
        ),
    }


def _single(
    title: str, subtitle: str, x: Axis, y: Axis, *layers: Layer, square: bool = False
) -> Chart:
    """A chart of one panel."""
    return Chart(title, subtitle, (Panel(x, y, layers, square),))


def _titled(title: str, objective: int, n_objectives: int) -> str:
    return title if n_objectives == 1 else f"{title}: objective {objective}"


# --------------------------------------------------------------------------------------------
# From the records of trials


def prior_weights(trials: Sequence[FrozenTrial]) -> Chart:
    """The weight of each prior study by trial, see ``plot_prior_weights``."""
    title = PRIOR_WEIGHTS
    records = [(t.number, TrialRecord.read(t)) for t in trials]
    rows = [(n, r) for n, r in records if r is not None and r.p_transfer is not None and r.weights]
    if not rows:
        return Chart(title, missing="no trial has stored weights of prior studies")
    named, others = _split(_by_weight(r for _, r in rows))
    rows = list(thinned(rows, _MAX_TRIALS))
    x = tuple(float(n) for n, _ in rows)
    weights = [dict(r.weights) for _, r in rows]
    short = short_names(named)
    shares = [
        (short[name], [w.get(name, 0.0) for w in weights], color)
        for name, color in zip(named, (*OF_STUDIES, LIGHT), strict=False)
    ]
    if others:
        rest = [sum(w.get(name, 0.0) for name in others) for w in weights]
        shares.append((f"others ({len(others)})", rest, LIGHT))
    target_only = [max(1.0 - sum(w.values()), 0.0) for w in weights]
    shares.append(("target only", target_only, GREY))
    # An area of a single trial would have no width.
    n, ends = (2, (x[0] - 0.5, x[0] + 0.5)) if len(x) == 1 else (1, x)
    layers: list[Layer] = [
        Line(name, ends, tuple(y) * n, color, style="area") for name, y, color in shares
    ]
    for phase in dict.fromkeys(r.phase for _, r in rows):
        numbers = tuple(float(n) for n, r in rows if r.phase == phase)
        label, color, symbol = phase_style(phase)
        heights = (1.04,) * len(numbers)
        layers.append(Points(f"phase: {label}", numbers, heights, color, symbol, size=6.0))
    return _single(
        title,
        "The transfer weight, divided among the prior studies by their rank correlations",
        Axis("trial", whole=True, limits=(x[0] - 0.5, x[-1] + 0.5)),
        Axis("weight", percent=True, limits=(0.0, 1.08)),
        *layers,
    )


def _by_weight(records: Iterable[TrialRecord]) -> list[str]:
    """Names of the prior studies by their weights in all trials together, the highest first."""
    totals: dict[str, float] = {}
    for record in records:
        for name, weight in record.weights:
            totals[name] = totals.get(name, 0.0) + weight
    return sorted(totals, key=lambda name: (-totals[name], name))


def _split(ranked: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Names with an entry of their own in the legend, and the others."""
    # A single other name takes as much room as "others".
    n = MAX_NAMED if len(ranked) > MAX_NAMED + 1 else len(ranked)
    return ranked[:n], ranked[n:]


def predicted_vs_observed(
    trials: Sequence[FrozenTrial], objective: int = 0, n_objectives: int = 1
) -> Chart:
    """Forecasts and outcomes, see ``plot_predicted_vs_observed``."""
    title = _titled(PREDICTED_VS_OBSERVED, objective, n_objectives)
    known = calibration(trials, objective)
    if not known.trials:
        return Chart(title, missing="no finished trial has a stored forecast")
    shown = thinned(known.trials, _MAX_TRIALS)
    log = spans([v for t in shown for v in (t.predicted, t.observed)], _LOG_RATIO)
    limits = _common_limits(shown, log)
    low, high = limits
    n_beyond = sum(not low <= v <= high for t in shown for v in {t.observed, t.predicted})

    def inside(values: Iterable[float]) -> Numbers:
        return tuple(min(max(v, low), high) for v in values)

    layers: list[Layer] = [Line("as predicted", limits, limits, GREY, 1.5, "dash")]
    for phase in dict.fromkeys(t.phase for t in shown):
        of_phase = [t for t in shown if t.phase == phase]
        label, color, symbol = phase_style(phase)
        layers.append(
            Points(
                name=f"phase: {label}",
                x=inside(t.observed for t in of_phase),
                y=inside(t.predicted for t in of_phase),
                color=color,
                symbol=symbol,
                low=inside(t.low for t in of_phase),
                high=inside(t.high for t in of_phase),
                notes=tuple(
                    f"trial {t.number}: observed {number(t.observed)}, predicted "
                    f"{number(t.predicted)}"
                    for t in of_phase
                ),
            )
        )
    name, accuracy = objective_name(objective, n_objectives), known.accuracy
    return _single(
        title,
        f"{accuracy.n_covered} of {accuracy.n_trials} outcomes ({accuracy.coverage:.0%}) are "
        "inside their 80% interval"
        + (f"; {n_beyond} beyond the frame shown at its edge" if n_beyond else ""),
        Axis(f"observed {name}", log=log, limits=limits),
        Axis(f"predicted {name}, 80% interval", log=log, limits=limits),
        *layers,
    )


def _common_limits(shown: Sequence[ForecastedTrial], log: bool) -> tuple[float, float]:
    """Ends of both axes, fitted to the bulk of the points: one bad trial is no scale."""
    scale, back = (math.log10, lambda v: 10.0**v) if log else (float, float)
    low, high = bulk([scale(v) for t in shown for v in (t.predicted, t.observed)])
    gap = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return back(low - gap), back(high + gap)


def bulk(values: Sequence[float]) -> tuple[float, float]:
    """The ends of some numbers, without those that lie far outside of their middle 80%."""
    bottom, top = np.quantile(values, (0.1, 0.9)).tolist()
    reach = _REACH * (top - bottom)
    near = [v for v in values if bottom - reach <= v <= top + reach]
    return min(near), max(near)


# --------------------------------------------------------------------------------------------
# From the model


def prior_vs_posterior(
    shown: Sequence[Effect],
    snapshot: Snapshot,
    trials: Sequence[FrozenTrial],
    objective: int = 0,
    columns: int = 3,
) -> Chart:
    """Effects of parameters before and after this study, see ``plot_prior_vs_posterior``.

    There is one panel an effect, with the trials that have a value as points.
    """
    title = _titled(PRIOR_VS_POSTERIOR, objective, len(snapshot.signs))
    if not shown:
        return Chart(title, missing="no parameter varies")
    panels = tuple(_panel(effect, snapshot, trials, objective) for effect in shown)
    # One scale for all, so that an important parameter looks important.
    ends = [end for p in panels for end in p.y.limits or ()]
    limits = (min(ends), max(ends)) if ends else None
    # Bad values would leave no room for the good ones.
    log = limits is not None and spans(limits, _LOG_RATIO)
    panels = tuple(replace(p, y=replace(p.y, limits=limits, log=log)) for p in panels)
    better = "smaller" if snapshot.signs[objective] < 0 else "larger"
    return Chart(
        title,
        f"Mean over all values of the other parameters; {better} is better"
        if snapshot.has_unit(objective)
        else "Mean over the other parameters, in units of the model; larger is better",
        panels,
        min(columns, len(panels)),
    )


def _panel(
    effect: Effect, snapshot: Snapshot, trials: Sequence[FrozenTrial], objective: int
) -> Panel:
    has_unit, sign = snapshot.has_unit(objective), snapshot.signs[objective]
    posterior, low, high, prior = curves_of(effect, snapshot, objective)
    x, categories, positions = _positions(effect)
    points = _points_of(effect, positions, trials, objective if has_unit else None)
    if spans(points.y, _LOG_RATIO):
        # The model knows no bounds, but such values are hardly ever negative.
        least = min(points.y) / 2
        low, high, posterior = (
            tuple(max(v, least) for v in row) for row in (low, high, posterior)
        )
        prior = None if prior is None else tuple(max(v, least) for v in prior)
    layers: list[Layer] = []
    if effect.categorical:
        layers.append(points)
        if prior is not None:
            left = tuple(v - 0.12 for v in x)
            layers.append(Points("prior", left, prior, PRIORS, "diamond", 9.0))
        right = tuple(v + 0.12 for v in x)
        layers.append(
            Points(
                "posterior, 80% interval",
                right,
                posterior,
                THIS_STUDY,
                size=9.0,
                low=low,
                high=high,
            )
        )
    else:
        layers += [Band("posterior, 80% interval", x, low, high, THIS_STUDY), points]
        if prior is not None:
            layers.append(Line("prior", x, prior, PRIORS, style="dash"))
        layers.append(Line("posterior", x, posterior, THIS_STUDY))
    curves = [*low, *high, *(prior or () if has_unit else ())]
    ends = None
    if effect.log and x[0] < x[-1]:
        # Room for the points at the ends of the range.
        gap = (x[-1] / x[0]) ** 0.04
        ends = (x[0] / gap, x[-1] * gap)
    whole = not effect.categorical and all(isinstance(v, int) for v in effect.values)
    name = objective_name(objective, len(snapshot.signs)) if has_unit else "model"
    return Panel(
        Axis(short_name(effect.name), effect.log, ends, categories, whole=whole),
        Axis(name, limits=_limits(curves, points.y, sign)),
        tuple(layers),
    )


def _positions(effect: Effect) -> tuple[tuple[float, ...], tuple[str, ...], dict[Any, float]]:
    """Positions of a parameter's values on its axis, their labels, and positions by choice."""
    if not effect.categorical:
        return tuple(float(v) for v in effect.values), (), {}
    # Choices of different types may have the same text.
    texts = [v if isinstance(v, str) else repr(v) for v in effect.values]
    labels = short_names(texts)
    positions = {equal_key(v): float(i) for i, v in enumerate(effect.values)}
    return tuple(positions.values()), tuple(labels[text] for text in texts), positions


def _points_of(
    effect: Effect,
    positions: dict[Any, float],
    trials: Sequence[FrozenTrial],
    objective: int | None,
) -> Points:
    """The trials along a parameter; none if ``objective`` is ``None``."""
    found = []
    for trial in trials if objective is not None else ():
        y = finite_value(trial, objective or 0)
        if y is None or effect.name not in trial.params:
            continue
        raw = trial.params[effect.name]
        x = positions.get(equal_key(raw)) if effect.categorical else float(raw)
        if x is not None:
            found.append((x, y, f"trial {trial.number}"))
    xs, ys, notes = zip(*thinned(found, _MAX_TRIALS), strict=True) if found else ((), (), ())
    return Points("trials", xs, ys, GREY, size=4.0, notes=notes)


def _limits(
    curves: Sequence[float], values: Sequence[float], sign: float
) -> tuple[float, float] | None:
    """Ends of an axis that shows the curves and the better trials."""
    best_first = sorted(values, key=lambda v: -sign * v)
    shown = best_first[: max(math.ceil(_SHOWN_SHARE * len(values)), 1)]
    finite = [v for v in (*curves, *shown) if math.isfinite(v)]
    low, high = min(finite), max(finite)
    if spans(values, _LOG_RATIO):
        return low / 1.2, high * 1.2
    gap = 0.05 * (high - low)
    return (low - gap, high + gap) if gap > 0 and math.isfinite(gap) else None


def parameter_importances(
    found: Sequence[Effect], snapshot: Snapshot, objective: int = 0
) -> Chart:
    """Importances of parameters here and in prior studies, see ``plot_parameter_importances``."""
    title = _titled(PARAMETER_IMPORTANCES, objective, len(snapshot.signs))
    if not snapshot.is_telling(objective):
        return Chart(title, missing=f"fewer than {ENOUGH_TRIALS} trials have a value")
    if not found:
        return Chart(title, missing="no parameter varies")
    shown = list(reversed(found[:_MAX_PARAMETERS]))
    prior_names = snapshot.prior_names(objective)
    rows = tuple(float(i) for i in range(len(shown)))
    layers: list[Layer] = []
    short = short_names(prior_names)
    dots = [
        (share, row, short[name])
        for row, effect in zip(rows, shown, strict=True)
        for name, share in zip(prior_names, effect.importance_per_study, strict=True)
    ]
    if dots:
        x, y, notes = zip(*dots, strict=True)
        n = len(prior_names)
        name = f"each of {n} prior studies" if n > 1 else "the prior study"
        layers.append(Points(name, x, y, GREY, "ring", 6.0, notes=notes))
    before = tuple(math.nan if e.prior_importance is None else e.prior_importance for e in shown)
    if not all(map(math.isnan, before)):
        layers.append(Points("prior studies together", before, rows, PRIORS, "diamond", 10.0))
    now = tuple(e.importance for e in shown)
    layers.append(Points("this study", now, rows, THIS_STUDY, "circle", 10.0))
    n_hidden = len(found) - len(shown)
    return _single(
        title,
        "Share of the variance with interactions; the sum may exceed 100%"
        + (f"; {n_hidden} more parameters" if n_hidden else ""),
        Axis("share of the variance", percent=True, limits=(-0.03, 1.03)),
        Axis(categories=tuple(short_names(e.name for e in shown).values())),
        *layers,
    )


def similarity_map(snapshot: Snapshot, objective: int = 0) -> Chart:
    """Rank correlations of the studies as a map, see ``plot_similarity_map``."""
    title = _titled(SIMILARITY_MAP, objective, len(snapshot.signs))
    known = similarity(snapshot, objective)
    if known is None:
        return Chart(title, missing="there is no prior study to compare with")
    *priors, own = known.positions.tolist()
    k, rho = len(priors), known.correlation[-1].tolist()[:-1]
    reach = max(0.1, *(abs(v) for p in (*priors, own) for v in p)) * 1.25
    short = short_names(known.names[:k])
    names = [short[name] for name in known.names[:k]]
    labelled = sorted(range(k), key=lambda i: -rho[i])[:MAX_NAMED]
    intervals = zip(names, rho, known.low.tolist(), known.high.tolist(), strict=True)
    x, y = zip(*priors, strict=True)
    return _single(
        title,
        "Distances approximate 1 - rank correlation: near studies rank configurations alike",
        Axis(bare=True, limits=(-reach, reach)),
        Axis(bare=True, limits=(-reach, reach)),
        Points(
            name="prior study",
            x=x,
            y=y,
            color=PRIORS,
            size=11.0,
            labels=tuple(names[i] if i in labelled else "" for i in range(k)),
            notes=tuple(
                f"{name}: rank correlation with this study {r:.2f} ({low:.2f} to {high:.2f})"
                for name, r, low, high in intervals
            ),
            shades=tuple(rho),
            shade_title="rank correlation\nwith this study",
        ),
        Points(
            f"{OWN_NAME}, {known.n_trials} trials", (own[0],), (own[1],), THIS_STUDY, "star", 16.0
        ),
        square=True,
    )


def regret_against_priors(
    snapshot: Snapshot, trials: Sequence[FrozenTrial], objective: int = 0
) -> Chart:
    """Convergence of this study and its prior studies, see ``plot_regret_against_priors``."""
    # In the order, and with the colours, of the plot of the weights.
    ranking = _by_weight(r for t in trials if (r := TrialRecord.read(t)) is not None)
    ranking = ranking or [row.name for row in weights_of(snapshot.transfer)]
    known = convergence(snapshot, trials, objective)
    return regret_chart(known, ranking, objective, len(snapshot.signs))


def regret_chart(
    known: Convergence, ranking: Sequence[str] = (), objective: int = 0, n_objectives: int = 1
) -> Chart:
    """The best values so far of this study and its prior studies.

    The prior studies that are named first in ``ranking`` have a colour of their own.
    """
    title = _titled(REGRET_AGAINST_PRIORS, objective, n_objectives)
    if known.own is None and not known.priors:
        return Chart(title, missing="no trial has a value")
    # Values of other data sets would say nothing: each study is ranked among its own trials.
    in_unit = not known.priors

    def heights(study: BestSoFar) -> tuple[float, ...]:
        return study.best if in_unit else study.share

    def line(name: str, study: BestSoFar, color: str, width: float) -> Line:
        counts = tuple(map(float, study.trials))
        return Line(name, counts, heights(study), color, width, steps=True)

    place = {name: i for i, name in enumerate(ranking)}
    by_name = sorted(known.priors, key=lambda s: place.get(s.name, len(place)))
    n_named = len(_split([s.name for s in by_name])[0])
    named, others = by_name[:n_named], by_name[n_named:]
    layers: list[Layer] = []
    if others:
        x: list[float] = []
        y: list[float] = []
        for study in thinned(others, _MAX_OTHERS):
            # With a gap between studies.
            x += [*map(float, study.trials), math.nan]
            y += [*heights(study), math.nan]
        name = f"others ({len(others)})"
        layers.append(Line(name, tuple(x), tuple(y), LIGHT, 1.0, steps=True))
    short = short_names(study.name for study in named)
    layers += [
        line(short[study.name], study, color, 1.5)
        for study, color in zip(named, (*OF_STUDIES, LIGHT), strict=False)
    ]
    if known.own is not None:
        own = line(OWN_NAME, known.own, THIS_STUDY, 3.5)
        layers.append(own)
        if len(own.x) == 1:
            layers.append(Points("", own.x, own.y, THIS_STUDY, "circle", 9.0))
    if known.own is not None and in_unit:
        best = known.own.best
        log = spans(best, 100.0)
        ends = (min(best) / 1.2, max(best) * 1.2) if log else None
        name = objective_name(objective, n_objectives)
        axis = Axis(f"best {name} so far", log=log, limits=ends)
        subtitle = "No prior study is in use"
    else:
        axis = Axis("own trials that are better", percent=True)
        subtitle = "Each study is ranked among its own trials: at 0% it has found its best value"
    return _single(title, subtitle, Axis("trials with a value", whole=True), axis, *layers)

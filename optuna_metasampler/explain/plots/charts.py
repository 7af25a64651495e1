"""What each plot shows: from trials and a model's snapshot to a chart, whatever draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from typing import TYPE_CHECKING, Any

from optuna_metasampler.explain.plots.chart import (
    BLUE,
    GREY,
    LIGHT,
    MAX_NAMED,
    OF_STUDIES,
    ORANGE,
    PHASES,
    SKY,
    VERMILION,
    Area,
    Axis,
    Band,
    Chart,
    Layer,
    Line,
    Names,
    Panel,
    Points,
    shortened,
    spans,
    thinned,
)
from optuna_metasampler.explain.trial_record import TrialRecord


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from torch import Tensor

    from optuna_metasampler.explain.best_so_far import Histories, History
    from optuna_metasampler.explain.effects import Effect
    from optuna_metasampler.explain.similarity import SimilarityMap
    from optuna_metasampler.explain.snapshot import Snapshot


PRIOR_WEIGHTS = "Which prior studies have a say"
PREDICTED_VS_OBSERVED = "What was predicted, and what came"
PRIOR_VS_POSTERIOR = "What the prior studies say, and what is believed now"
PARAMETER_IMPORTANCES = "How much hangs on each parameter"
SIMILARITY_MAP = "Which studies are alike"
REGRET_AGAINST_PRIORS = "Best value so far, beside the prior studies"
"""Titles."""

_HERE = "this study"
_OTHERS = "others"
_NO_PRIOR = "no prior study"
# Trials that a plot of all of them shows: more could not be told apart.
_MAX_TRIALS = 150
# Parameters that have a row.
_MAX_ROWS = 15
# Lines of prior studies without a name: as many as a thousand would be a grey area.
_MAX_OTHERS = 60
# Trials with a value far worse than what a panel is about would leave no room for that.
_SHOWN_SHARE = 0.85


@dataclass(frozen=True)
class Unit:
    """How the numbers of one objective are called and converted.

    Attributes:
        name: Of an axis with its values.
        y: Outcomes that the model's warp was made from, larger is better, shape ``(n,)``.
        sign: -1 where the study minimises.
        known: Whether there are two different outcomes to tell the unit by.
    """

    name: str
    y: Tensor
    sign: float
    known: bool

    def values(self, z: Tensor) -> tuple[float, ...]:
        """Warped outcomes ``(q,)`` as values that the user knows; as they are if none is known."""
        if not self.known:
            return _floats(z)
        from optuna_metasampler.outcomes import half_rank_unwarp

        return _floats(self.sign * half_rank_unwarp(z, self.y))


def unit_of(snapshot: Snapshot, objective: int) -> Unit:
    """The unit of one objective of a study."""
    return Unit(
        objective_name(objective, len(snapshot.signs)),
        snapshot.outcomes(objective),
        snapshot.signs[objective],
        snapshot.has_unit(objective),
    )


def objective_name(objective: int, n: int) -> str:
    """What an axis with the values of one objective is called."""
    return "objective value" if n == 1 else f"value of objective {objective}"


def nothing_yet(title: str) -> Chart:
    """What is drawn of a study without a trial."""
    return Chart(title, missing="no trial has a parameter that varies")


def prior_names(snapshot: Snapshot, objective: int = 0) -> tuple[str, ...]:
    """Names of the prior studies that the model of one objective builds on."""
    from optuna_metasampler.surrogates.transfer import TransferPredictor

    predictor = snapshot.predictors[objective]
    return predictor.surrogate.model.names if isinstance(predictor, TransferPredictor) else ()


def _titled(title: str, objective: int, n: int) -> str:
    return title if n == 1 else f"{title}: objective {objective}"


# --------------------------------------------------------------------------------------------
# From what trials keep


def prior_weights(trials: Sequence[FrozenTrial]) -> Chart:
    """The share of each prior study in the say, along the trials, see ``plot_prior_weights``."""
    title = PRIOR_WEIGHTS
    told = [(t.number, TrialRecord.read(t)) for t in trials]
    rows = [(n, s) for n, s in told if s is not None and s.evidence is not None and s.weights]
    if not rows:
        return Chart(title, missing="no trial keeps the weights of prior studies")
    rows = [rows[i] for i in thinned(len(rows), _MAX_TRIALS)]
    x = tuple(float(n) for n, _ in rows)
    shares = [dict(s.weights) for _, s in rows]
    totals: dict[str, float] = {}
    for share in shares:
        for name, weight in share.items():
            totals[name] = totals.get(name, 0.0) + weight
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    # A name for a single study takes as much room as "others".
    n_named = MAX_NAMED if len(ranked) > MAX_NAMED + 1 else len(ranked)
    named, others = ranked[:n_named], ranked[n_named:]
    short = Names()
    colors = (*OF_STUDIES, LIGHT)
    layers: list[Layer] = [
        Area(short(name), x, tuple(share.get(name, 0.0) for share in shares), colors[i])
        for i, name in enumerate(named)
    ]
    if others:
        rest = tuple(sum(share.get(name, 0.0) for name in others) for share in shares)
        layers.append(Area(f"{_OTHERS} ({len(others)})", x, rest, LIGHT))
    nothing = tuple(max(1.0 - sum(share.values()), 0.0) for share in shares)
    layers.append(Area(_NO_PRIOR, x, nothing, GREY))
    for phase, numbers in _by_phase([(n, s.phase) for n, s in rows]).items():
        color, symbol = PHASES.get(phase, (GREY, "circle"))
        high = (1.04,) * len(numbers)
        layers.append(Points(f"phase: {phase}", numbers, high, color, symbol, size=6.0))
    # A single trial has an area without a width.
    limits = (x[0] - 0.5, x[-1] + 0.5)
    if len(x) == 1:
        layers = [_widened(layer) for layer in layers]
    return Chart(
        title,
        "Share of each in the next suggestion, by how well it predicts this study's trials",
        (
            Panel(
                Axis("trial", whole=True, limits=limits),
                Axis("share of the say", percent=True, limits=(0.0, 1.08)),
                tuple(layers),
            ),
        ),
    )


def _widened(layer: Layer) -> Layer:
    if not isinstance(layer, Area):
        return layer
    x = (layer.x[0] - 0.5, layer.x[0] + 0.5)
    return Area(layer.name, x, layer.y * 2, layer.color)


def _by_phase(rows: Sequence[tuple[int, str]]) -> dict[str, tuple[float, ...]]:
    """Numbers of trials by phase, in the order in which phases came up."""
    return {
        phase: tuple(float(n) for n, p in rows if p == phase)
        for phase in dict.fromkeys(p for _, p in rows)
    }


def predicted_vs_observed(
    trials: Sequence[FrozenTrial], objective: int = 0, n_objectives: int = 1
) -> Chart:
    """What was expected and what came, see ``plot_predicted_vs_observed``."""
    from optuna_metasampler.explain.calibration import retrospect

    title = _titled(PREDICTED_VS_OBSERVED, objective, n_objectives)
    seen = retrospect(trials, objective)
    if not seen.trials:
        return Chart(title, missing="no finished trial keeps what was expected of it")
    inside = sum(t.covered for t in seen.trials)
    shown = [seen.trials[i] for i in thinned(len(seen.trials), _MAX_TRIALS)]
    every = [v for t in shown for v in (t.predicted, t.low, t.high, t.observed)]
    log = spans(every, 1000.0)
    ends = [v for t in shown for v in (t.predicted, t.observed)]
    low, high = min(ends), max(ends)
    # Intervals may be wide beyond all bounds at first; the points are what has to be seen.
    bottom, top = min(t.low for t in shown), max(t.high for t in shown)
    limits = None
    if not log and math.isfinite(high - low) and high > low:
        reach = high - low
        limits = (max(low - reach, bottom - reach / 20), min(high + reach, top + reach / 20))
    layers: list[Layer] = [Line("as predicted", (low, high), (low, high), GREY, 1.5, "dash")]
    for phase in dict.fromkeys(t.phase for t in shown):
        of_phase = [t for t in shown if t.phase == phase]
        color, symbol = PHASES.get(phase, (GREY, "circle"))
        layers.append(
            Points(
                name=f"phase: {phase}",
                x=tuple(t.observed for t in of_phase),
                y=tuple(t.predicted for t in of_phase),
                color=color,
                symbol=symbol,
                low=tuple(t.low for t in of_phase),
                high=tuple(t.high for t in of_phase),
                notes=tuple(f"trial {t.number}" for t in of_phase),
            )
        )
    name = objective_name(objective, n_objectives)
    return Chart(
        title,
        f"{inside} of {len(seen.trials)} outcomes ({seen.coverage:.0%}) lie inside of their "
        "80% interval",
        (
            Panel(
                Axis(f"observed {name}", log=log),
                Axis(f"predicted {name}, 80% interval", log=log, limits=limits),
                tuple(layers),
            ),
        ),
    )


# --------------------------------------------------------------------------------------------
# From the model


def prior_vs_posterior(
    effects: Sequence[Effect],
    snapshot: Snapshot,
    trials: Sequence[FrozenTrial],
    objective: int = 0,
    columns: int = 3,
) -> Chart:
    """What prior studies say of each parameter and what is believed now.

    See ``plot_prior_vs_posterior``.

    Args:
        effects: One panel each.
        snapshot: What the model knows.
        trials: The trials of the study; those with a value are the points.
        objective: Number of the objective.
        columns: Panels in a row.
    """
    title = _titled(PRIOR_VS_POSTERIOR, objective, len(snapshot.signs))
    if not effects:
        return Chart(title, missing="no parameter varies")
    unit = unit_of(snapshot, objective)
    panels = tuple(_panel(effect, unit, trials, objective) for effect in effects)
    # One scale for all, so that what matters more looks as if it did.
    ends = [p.y.limits for p in panels if p.y.limits is not None]
    limits = (min(a for a, _ in ends), max(b for _, b in ends)) if ends else None
    panels = tuple(replace(p, y=replace(p.y, limits=limits)) for p in panels)
    better = "smaller" if unit.sign < 0 else "larger"
    return Chart(
        title,
        f"Mean over all values of the other parameters; {better} is better"
        if unit.known
        else "Mean over the other parameters, in units of the model; larger is better",
        panels,
        min(columns, len(panels)),
    )


def _panel(effect: Effect, unit: Unit, trials: Sequence[FrozenTrial], objective: int) -> Panel:
    from optuna_metasampler.space import choice_key

    here, low, high = unit.values(effect.here), unit.values(effect.low), unit.values(effect.high)
    low, high = (tuple(map(pick, low, high)) for pick in (min, max))
    categories: tuple[str, ...] = ()
    positions: dict[Any, float] = {}
    if effect.categorical:
        short = Names()
        # Choices may look alike and be of other types.
        categories = tuple(
            short(f"{v}" if not isinstance(v, str) else v) for v in map(_choice, effect.values)
        )
        positions = {choice_key(v): float(i) for i, v in enumerate(effect.values)}
        x = tuple(positions.values())
    else:
        x = tuple(float(v) for v in effect.values)
    at, value, notes = [], [], []
    if unit.known:
        for trial in trials:
            if trial.state.name != "COMPLETE" or effect.name not in trial.params:
                continue
            raw = trial.params[effect.name]
            where = positions.get(choice_key(raw)) if effect.categorical else float(raw)
            y = float((trial.values or (math.nan,) * (objective + 1))[objective])
            if where is not None and math.isfinite(y):
                at.append(where)
                value.append(y)
                notes.append(f"trial {trial.number}")
    keep = thinned(len(at), _MAX_TRIALS)
    points = Points(
        name="trials",
        x=tuple(at[i] for i in keep),
        y=tuple(value[i] for i in keep),
        color=GREY,
        size=4.0,
        notes=tuple(notes[i] for i in keep),
    )
    layers: list[Layer] = []
    if effect.categorical:
        layers.append(points)
        if effect.before is not None:
            before = unit.values(effect.before)
            left = tuple(v - 0.12 for v in x)
            layers.append(Points("prior studies", left, before, ORANGE, "diamond", 9.0))
        right = tuple(v + 0.12 for v in x)
        layers.append(
            Points("believed now, 80%", right, here, BLUE, "circle", 9.0, low=low, high=high)
        )
    else:
        layers += [Band("believed now, 80%", x, low, high, BLUE), points]
        if effect.before is not None:
            before = unit.values(effect.before)
            layers.append(Line("prior studies", x, before, ORANGE, style="dash"))
        layers.append(Line("believed now", x, here, BLUE))
    limits = _limits((*low, *high), (), unit.sign)
    if unit.known:
        curves = [*low, *high, *(unit.values(effect.before) if effect.before is not None else ())]
        limits = _limits(curves, value, unit.sign)
    whole = all(isinstance(v, int) for v in effect.values) and not effect.categorical
    ends = None
    if effect.log and x[0] < x[-1]:
        # Points at the ends of the range are seen whole.
        gap = (x[-1] / x[0]) ** 0.04
        ends = (x[0] / gap, x[-1] * gap)
    return Panel(
        Axis(shortened(effect.name), effect.log, ends, categories, whole=whole),
        Axis(unit.name if unit.known else "model", limits=limits),
        tuple(layers),
    )


def _choice(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _limits(
    curves: Sequence[float], values: Sequence[float], sign: float
) -> tuple[float, float] | None:
    """Ends of an axis that shows the curves, and the better trials."""
    loss = sorted(-sign * v for v in values)
    shown = [-sign * v for v in loss[: max(math.ceil(_SHOWN_SHARE * len(loss)), 1)]]
    every = [v for v in (*curves, *shown) if math.isfinite(v)]
    low, high = min(every), max(every)
    gap = 0.05 * (high - low)
    return (low - gap, high + gap) if gap > 0 and math.isfinite(gap) else None


def parameter_importances(
    effects: Sequence[Effect], prior_names: Sequence[str], objective: int = 0, n: int = 1
) -> Chart:
    """How much hangs on each parameter, here and in prior studies.

    See ``plot_parameter_importances``.

    Args:
        effects: The most important first.
        prior_names: Names of the prior studies, in the order of the effects' shares.
        objective: Number of the objective.
        n: How many objectives there are.
    """
    title = _titled(PARAMETER_IMPORTANCES, objective, n)
    if not effects:
        return Chart(title, missing="no parameter varies")
    shown = list(reversed(effects[:_MAX_ROWS]))
    short = Names()
    rows = tuple(float(i) for i in range(len(shown)))
    layers: list[Layer] = []
    dots = [
        (share, rows[i], name)
        for i, effect in enumerate(shown)
        for name, share in zip(prior_names, effect.importance_of_studies, strict=True)
    ]
    if dots:
        names = Names()
        layers.append(
            Points(
                f"each of {len(prior_names)} prior studies"
                if len(prior_names) > 1
                else "the prior study",
                tuple(share for share, _, _ in dots),
                tuple(row for _, row, _ in dots),
                GREY,
                "ring",
                6.0,
                notes=tuple(names(name) for _, _, name in dots),
            )
        )
    before = [e.importance_before for e in shown]
    if any(v is not None for v in before):
        layers.append(
            Points(
                "prior studies together",
                tuple(math.nan if v is None else v for v in before),
                rows,
                ORANGE,
                "diamond",
                10.0,
            )
        )
    layers.append(
        Points("this study, now", tuple(e.importance for e in shown), rows, BLUE, "circle", 10.0)
    )
    left_out = len(effects) - len(shown)
    return Chart(
        title,
        "Share of what varies with it, alone or with others: may add up to more than 100%"
        + (f"; {left_out} more parameters" if left_out else ""),
        (
            Panel(
                Axis("share of the variance", percent=True, limits=(-0.03, 1.03)),
                Axis(categories=tuple(short(e.name) for e in shown)),
                tuple(layers),
            ),
        ),
    )


def similarity_map(seen: SimilarityMap | None, objective: int = 0, n: int = 1) -> Chart:
    """Which studies are alike, see ``plot_similarity_map``."""
    title = _titled(SIMILARITY_MAP, objective, n)
    if seen is None:
        return Chart(title, missing="there is no prior study to compare with")
    k = len(seen.names) - 1
    position, here = seen.positions.tolist(), seen.correlation[k, :k].tolist()
    low, high = seen.low.tolist(), seen.high.tolist()
    short = Names()
    names = [short(name) for name in seen.names[:k]]
    labelled = sorted(range(k), key=lambda i: -here[i])[:MAX_NAMED]
    reach = max(0.1, *(max(abs(v) for v in p) for p in position)) * 1.25
    return Chart(
        title,
        "The nearer, the more alike; distance is 1 - rank correlation, as near as a map can be",
        (
            Panel(
                Axis("distance", limits=(-reach, reach)),
                Axis("distance", limits=(-reach, reach)),
                (
                    Points(
                        name="prior study",
                        x=tuple(p[0] for p in position[:k]),
                        y=tuple(p[1] for p in position[:k]),
                        color=SKY,
                        size=11.0,
                        labels=tuple(names[i] if i in labelled else "" for i in range(k)),
                        notes=tuple(
                            f"{name}: rank correlation with this study {r:.2f} "
                            f"({a:.2f} to {b:.2f})"
                            for name, r, a, b in zip(names, here, low, high, strict=True)
                        ),
                        shades=tuple(here),
                        shade_title="rank correlation\nwith this study",
                        shade_limits=(-1.0, 1.0),
                    ),
                    Points(
                        name=f"{_HERE}, {seen.n_trials} trials",
                        x=(position[k][0],),
                        y=(position[k][1],),
                        color=VERMILION,
                        symbol="star",
                        size=16.0,
                    ),
                ),
                square=True,
            ),
        ),
    )


def regret_against_priors(
    seen: Histories, ranking: Sequence[str] = (), objective: int = 0, n: int = 1
) -> Chart:
    """How fast this study came to good values, beside its prior studies.

    See ``plot_regret_against_priors``.

    Args:
        seen: The best values so far.
        ranking: Names of prior studies, those first that are to have a colour of their own.
        objective: Number of the objective.
        n: How many objectives there are.
    """
    title = _titled(REGRET_AGAINST_PRIORS, objective, n)
    if seen.here is None and not seen.priors:
        return Chart(title, missing="no trial has come to a value")
    own = (seen.here,) if seen.here is not None else ()
    raw = seen.comparable or not seen.priors
    place = {name: i for i, name in enumerate(ranking)}
    ordered = sorted(seen.priors, key=lambda h: place.get(h.name, len(place)))
    n_named = MAX_NAMED if len(ordered) > MAX_NAMED + 1 else len(ordered)
    named, others = ordered[:n_named], ordered[n_named:]
    short = Names()
    colors = (*OF_STUDIES, LIGHT)
    layers: list[Layer] = []
    if others:
        x: list[float] = []
        y: list[float] = []
        for i in thinned(len(others), _MAX_OTHERS):
            history = others[i]
            # A gap between one study and the next.
            x += [*map(float, history.trials), math.nan]
            y += [*_heights(history, raw), math.nan]
        layers.append(
            Line(f"{_OTHERS} ({len(others)})", tuple(x), tuple(y), LIGHT, 1.0, steps=True)
        )
    for i, history in enumerate(named):
        at = tuple(map(float, history.trials))
        layers.append(
            Line(short(history.name), at, _heights(history, raw), colors[i], 1.5, steps=True)
        )
    for history in own:
        at, height = tuple(map(float, history.trials)), _heights(history, raw)
        layers.append(Line(_HERE, at, height, VERMILION, 3.5, steps=True))
        if len(at) == 1:
            layers.append(Points("", at, height, VERMILION, "circle", 9.0))
    heights = [v for history in (*own, *ordered) for v in _heights(history, raw)]
    if raw:
        axis = Axis(f"best {objective_name(objective, n)} so far", log=spans(heights, 100.0))
        subtitle = "In the objective's own unit, which the prior studies seem to share"
        if not seen.priors:
            subtitle = "No prior study is in use"
    else:
        axis = Axis("trials of the same study that are better", percent=True)
        subtitle = "Units differ: each study against its own trials; 0% is the best it ever found"
    return Chart(
        title, subtitle, (Panel(Axis("trials with a value", whole=True), axis, tuple(layers)),)
    )


def _heights(history: History, raw: bool) -> tuple[float, ...]:
    return history.best if raw else history.share


def _floats(values: Tensor) -> tuple[float, ...]:
    return tuple(float(v) for v in values.tolist())

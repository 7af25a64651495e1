"""Descriptions of plots, independent of the library that draws them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import math
from typing import TypeAlias

from optuna_metasampler._text import number, shortened
from optuna_metasampler.explain.trial_record import ENQUEUED, INDEPENDENT
from optuna_metasampler.policies.base import Phase


Numbers: TypeAlias = tuple[float, ...]
"""NaN is a gap."""

# Distinguishable with any colour vision, on white and on black (Okabe & Ito 2008, "Color universal
# design"), without the black and the yellow of that palette.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
SKY, ORANGE, PURPLE, GREY = "#56B4E9", "#E69F00", "#CC79A7", "#8A8A8A"
BROWN, TEAL, LIGHT = "#8C6D31", "#3B8686", "#B8B8B8"
THIS_STUDY, PRIORS = VERMILION, BLUE
"""Colours of the running study, and of the prior studies together, in every plot."""

OF_STUDIES = (BLUE, SKY, GREEN, PURPLE, BROWN, TEAL)
"""Colours of the prior studies that are named."""

PHASES = {
    Phase.WARM_START.value: ("warm start", PRIORS, "diamond"),
    Phase.PROBE.value: ("probe", PURPLE, "triangle"),
    Phase.INITIAL_DESIGN.value: ("initial design", GREY, "square"),
    Phase.SPACE_FILLING.value: ("space-filling", LIGHT, "square"),
    Phase.MODEL.value: ("model", THIS_STUDY, "circle"),
    ENQUEUED: ("enqueued", GREEN, "star"),
    INDEPENDENT: ("independent", BROWN, "cross"),
    Phase.POLICY.value: ("policy", ORANGE, "circle"),
}
"""Label, colour and symbol of every phase, see
:class:`~optuna_metasampler.explain.trial_record.TrialRecord`."""

MAX_NAMED = len(OF_STUDIES)
"""Number of prior studies with a name and a colour of their own; the others are grouped."""

_MAX_NAME = 24
_LEAST_TICKS, _MOST_TICKS = 3, 4


def phase_style(phase: str) -> tuple[str, str, str]:
    """Label, colour and symbol of a phase, which may have been set by the user to anything."""
    return PHASES.get(phase, (shortened(phase, 20), GREY, "circle"))


@dataclass(frozen=True)
class Axis:
    """One axis of a panel.

    Attributes:
        title: Title with unit; empty for none.
        log: Whether the scale is logarithmic.
        limits: Its ends; ``None`` to fit them to the data.
        categories: Labels at the positions 0, 1, ...; empty for a numeric axis.
        bare: Whether it has neither ticks nor a title, because only distances count.
        percent: Whether shares are shown as percentages.
        whole: Whether only whole numbers have ticks.
    """

    title: str = ""
    log: bool = False
    limits: tuple[float, float] | None = None
    categories: tuple[str, ...] = ()
    bare: bool = False
    percent: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Line:
    """A line through points, or an area stacked on those before it.

    Attributes:
        name: Entry in the legend; empty for none.
        x: Positions.
        y: Heights; of an area its own share of 1.
        color: As ``#RRGGBB``.
        width: In points; unused for an area.
        style: ``"solid"``, ``"dash"`` or ``"area"``.
        steps: Whether a value holds until the next point.
    """

    name: str
    x: Numbers
    y: Numbers
    color: str
    width: float = 2.0
    style: str = "solid"
    steps: bool = False


@dataclass(frozen=True)
class Band:
    """Area between two lines.

    Attributes:
        name: Entry in the legend; empty for none.
        x: Positions.
        low: Its lower edge.
        high: Its upper edge.
        color: As ``#RRGGBB``; drawn translucent.
    """

    name: str
    x: Numbers
    low: Numbers
    high: Numbers
    color: str


@dataclass(frozen=True)
class Points:
    """Single points.

    Attributes:
        name: Entry in the legend; empty for none.
        x: Positions.
        y: Heights.
        color: As ``#RRGGBB``; unused with ``shades``.
        symbol: ``"circle"``, ``"ring"``, ``"diamond"``, ``"square"``, ``"triangle"``, ``"star"``
            or ``"cross"``.
        size: In points.
        low: Lower ends of error bars; empty for none.
        high: Upper ends of them.
        labels: Text next to each point.
        notes: Text shown while the pointer is on each point.
        shades: Numbers in ``[-1, 1]`` that are shown as the colours of the points.
        shade_title: Title of their scale.
    """

    name: str
    x: Numbers
    y: Numbers
    color: str
    symbol: str = "circle"
    size: float = 7.0
    low: Numbers = ()
    high: Numbers = ()
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    shades: Numbers = ()
    shade_title: str = ""


Layer: TypeAlias = Line | Band | Points


@dataclass(frozen=True)
class Panel:
    """One pair of axes and its contents.

    Attributes:
        x: The horizontal axis.
        y: The vertical axis.
        layers: From the back to the front.
        square: Whether both axes have the same scale.
    """

    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    square: bool = False


@dataclass(frozen=True)
class Chart:
    """One plot.

    Attributes:
        title: Title.
        subtitle: How to read it; empty for none.
        panels: In rows of ``columns``; empty if there is nothing to show.
        columns: Number of panels in a row.
        missing: Why there is nothing to show, if so.
    """

    title: str
    subtitle: str = ""
    panels: tuple[Panel, ...] = ()
    columns: int = 1
    missing: str = ""


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Names of at most 24 characters, or a few more where two would be equal, by full name."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        base = short_name(name)
        short, n = base, 1
        while short in found.values():
            n += 1
            short = f"{base} ({n})"
        found[name] = short
    return found


def short_name(name: str) -> str:
    """A name of at most 24 characters, its middle cut out if it is longer."""
    return shortened(name.strip() or "(no name)", _MAX_NAME, keep_end=True)


def spans(values: Sequence[float], ratio: float) -> bool:
    """Whether a log axis suits: all above 0, and the largest ``ratio`` times the smallest."""
    finite = [v for v in values if math.isfinite(v)]
    return bool(finite) and min(finite) > 0 and max(finite) > ratio * min(finite)


def log_ticks(limits: tuple[float, float]) -> dict[float, str]:
    """Few values with their labels on a log axis: powers of ten if there are enough."""
    low, high = limits
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1,), (1, 3), (1, 2, 5)):
        ticks = [s * 10.0**e for e in range(first, last + 1) for s in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= _LEAST_TICKS:
            break
    every = math.ceil(len(inside) / _MOST_TICKS)
    return {tick: number(tick) for tick in inside[::every]}


def label_sides(points: Points, width: float) -> tuple[str, ...]:
    """The side of each point on which its label overlaps least with others.

    Args:
        points: With labels; empty ones take no space.
        width: Width of the panel in the unit of the points, of which a label of 24 characters
            takes about a third.

    Returns:
        ``"right"``, ``"left"``, ``"above"`` or ``"below"`` for each point.
    """
    letter, line = width / 72, width / 22
    taken: list[tuple[float, float, float, float]] = [
        (x - line / 2, y - line / 2, x + line / 2, y + line / 2)
        for x, y in zip(points.x, points.y, strict=True)
    ]
    sides = []
    for x, y, label in zip(points.x, points.y, points.labels, strict=True):
        long, half = letter * len(label), letter * len(label) / 2
        boxes = {
            "above": (x - half, y + line / 2, x + half, y + 3 * line / 2),
            "below": (x - half, y - 3 * line / 2, x + half, y - line / 2),
            "right": (x + line / 2, y - line / 2, x + line / 2 + long, y + line / 2),
            "left": (x - line / 2 - long, y - line / 2, x - line / 2, y + line / 2),
        }
        side = min(boxes, key=lambda s: _covered(boxes[s], taken) + _outside(boxes[s], width))
        if label:
            taken.append(boxes[side])
        sides.append(side)
    return tuple(sides)


def _covered(
    box: tuple[float, float, float, float], others: Sequence[tuple[float, float, float, float]]
) -> float:
    return sum(
        max(min(box[2], b[2]) - max(box[0], b[0]), 0.0)
        * max(min(box[3], b[3]) - max(box[1], b[1]), 0.0)
        for b in others
    )


def _outside(box: tuple[float, float, float, float], width: float) -> float:
    """Area of a box beyond the sides of a panel whose middle is 0."""
    beyond = max(-width / 2 - box[0], 0.0) + max(box[2] - width / 2, 0.0)
    return beyond * (box[3] - box[1])

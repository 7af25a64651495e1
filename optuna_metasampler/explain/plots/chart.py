"""What a plot shows, before anything draws it: numbers, names and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import math
from typing import TypeAlias

from optuna_metasampler._text import printable


Numbers: TypeAlias = tuple[float, ...]
"""NaN is a gap."""

# Colours that people with any colour vision tell apart, and that stand out on white and on black
# (Okabe & Ito 2008, "Color universal design"), without its black and its yellow.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
SKY, ORANGE, PURPLE, GREY = "#56B4E9", "#E69F00", "#CC79A7", "#8A8A8A"
BROWN, TEAL, LIGHT = "#8C6D31", "#3B8686", "#B8B8B8"
OF_STUDIES = (SKY, ORANGE, GREEN, PURPLE, BLUE, VERMILION, BROWN, TEAL)
"""One a prior study that is named."""

PHASES = {
    "opening": (ORANGE, "diamond"),
    "contrast": (PURPLE, "triangle"),
    "start-up": (GREY, "square"),
    "model": (BLUE, "circle"),
    "enqueued": (GREEN, "star"),
    "independent": (BROWN, "cross"),
    "policy": (SKY, "circle"),
}
"""Colour and symbol of each phase."""

MAX_NAMED = 8
"""How many prior studies have a name and a colour of their own; the others are taken together."""

_MAX_NAME = 24


@dataclass(frozen=True)
class Axis:
    """One axis of a panel.

    Attributes:
        title: What it is, with its unit; empty for none.
        log: Whether the scale is logarithmic.
        limits: Its ends; ``None`` to fit them to what is shown.
        categories: What stands at the positions 0, 1, ...; none on an axis of numbers.
        percent: Whether shares are shown as percentages.
        whole: Whether there is nothing between whole numbers.
    """

    title: str = ""
    log: bool = False
    limits: tuple[float, float] | None = None
    categories: tuple[str, ...] = ()
    percent: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Line:
    """A line through points.

    Attributes:
        name: What the legend says; empty to stay out of it.
        x: Where.
        y: How high.
        color: As ``#RRGGBB``.
        width: In points.
        style: ``"solid"``, ``"dash"`` or ``"dot"``.
        steps: Whether a value holds until the next.
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
    """What lies between two lines.

    Attributes:
        name: What the legend says; empty to stay out of it.
        x: Where.
        low: Its lower edge.
        high: Its upper edge.
        color: As ``#RRGGBB``; drawn thin.
    """

    name: str
    x: Numbers
    low: Numbers
    high: Numbers
    color: str


@dataclass(frozen=True)
class Area:
    """A share, on top of the areas before it.

    Attributes:
        name: What the legend says.
        x: Where.
        y: How much of the whole.
        color: As ``#RRGGBB``.
    """

    name: str
    x: Numbers
    y: Numbers
    color: str


@dataclass(frozen=True)
class Points:
    """Single points.

    Attributes:
        name: What the legend says; empty to stay out of it.
        x: Where.
        y: How high.
        color: As ``#RRGGBB``; not used where there are ``shades``.
        symbol: ``"circle"``, ``"ring"``, ``"diamond"``, ``"square"``, ``"triangle"``, ``"star"``
            or ``"cross"``.
        size: In points.
        low: Lower ends of vertical bars; none for no bars.
        high: Upper ends of them.
        labels: What stands beside each.
        notes: What is shown while the pointer is on each.
        shades: A number a point that its colour tells.
        shade_title: What these numbers are.
        shade_limits: The smallest and the largest of them.
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
    shade_limits: tuple[float, float] = (0.0, 1.0)


Layer: TypeAlias = Line | Band | Area | Points


@dataclass(frozen=True)
class Panel:
    """One pair of axes and what is in it.

    Attributes:
        x: The horizontal axis.
        y: The vertical axis.
        layers: From the back to the front.
        square: Whether both axes have the same unit.
    """

    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    square: bool = False


@dataclass(frozen=True)
class Chart:
    """One plot.

    Attributes:
        title: What it shows.
        subtitle: How to read it; empty for nothing.
        panels: Side by side, in rows of ``columns``; none if there is nothing to show.
        columns: How many stand in a row.
        missing: Why there is nothing to show; empty if there is something.
    """

    title: str
    subtitle: str = ""
    panels: tuple[Panel, ...] = ()
    columns: int = 1
    missing: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What the legend says, each once."""
        layers = [layer for panel in self.panels for layer in panel.layers]
        return tuple(dict.fromkeys(layer.name for layer in layers if layer.name))


@dataclass
class Names:
    """Short names that stay different.

    Attributes:
        short: What was given out, by the whole name.
    """

    short: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str) -> str:
        """A name of at most 24 characters, or a few more where two would be the same."""
        if name not in self.short:
            base = shortened(name)
            found, n = base, 1
            while found in self.short.values():
                n += 1
                found = f"{base} ({n})"
            self.short[name] = found
        return self.short[name]


def shortened(text: str, most: int = _MAX_NAME) -> str:
    """A stranger's text in one line, without its middle where it is long."""
    clean = printable(text).strip() or "(no name)"
    if len(clean) <= most:
        return clean
    head = (most - 1) // 2
    return f"{clean[:head]}…{clean[len(clean) - (most - 1 - head) :]}"


def thinned(n: int, most: int) -> list[int]:
    """Positions of at most ``most`` of ``n``, evenly spaced, the first and the last among them."""
    if n <= most:
        return list(range(n))
    return [round(i * (n - 1) / (most - 1)) for i in range(most)]


def spans(values: Sequence[float], ratio: float) -> bool:
    """Whether all are above 0 and the largest is ``ratio`` times the smallest: for a log axis."""
    finite = [v for v in values if math.isfinite(v)]
    return bool(finite) and min(finite) > 0 and max(finite) > ratio * min(finite)


def label_sides(points: Points, width: float) -> tuple[str, ...]:
    """On which side of each point its label stands in the way of the least.

    Args:
        points: With labels; those that are empty need no place.
        width: Of the panel, in the unit of the points; a label of 24 characters takes about a
            third of it.

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
    """What of a box lies beyond the sides of a panel whose middle is 0."""
    beyond = max(-width / 2 - box[0], 0.0) + max(box[2] - width / 2, 0.0)
    return beyond * (box[3] - box[1])

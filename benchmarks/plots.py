"""What all figures share."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image


# Colour-blind safe (Okabe & Ito 2008).
ORANGE, GREEN, BLUE, GREY = "#D55E00", "#009E73", "#0072B2", "#999999"

_DPI = 110
_N_COLOURS = 128


def save(figure: Figure, path: Path) -> None:
    """As PNG with few colours: a third of the size, and nothing that is seen is lost."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=_DPI)
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(_N_COLOURS).save(path, optimize=True)


def tidy(axes: Axes, grid: bool = True) -> None:
    """No frame above and on the right; faint horizontal lines behind."""
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
        axes.set_axisbelow(True)

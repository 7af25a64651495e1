"""Text for messages, terminals and reports."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
import html
import math
from typing import TypeVar


T = TypeVar("T")

WIDTH = 80
"""Columns of a terminal."""


def listed(names: Iterable[str], most: int) -> str:
    """Names separated by commas, and the number of those left out.

    Args:
        names: In the order in which they are shown.
        most: How many are shown.
    """
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def printable(text: str, lines: bool = False) -> str:
    """A text whose control characters are escaped, so that it cannot steer a terminal.

    Args:
        text: Any text.
        lines: Whether it may have several lines.
    """
    return "".join(
        c if c.isprintable() or (lines and c == "\n") else c.encode("unicode_escape").decode()
        for c in text
    )


def shortened(text: str, width: int = 60, keep_end: bool = False) -> str:
    """A text as one printable line of at most ``width`` characters.

    Args:
        text: Any text.
        width: At least 4.
        keep_end: Whether to cut out the middle rather than the end.
    """
    if keep_end:
        text = printable(text)
        head = (width - 1) // 2
        tail = len(text) - (width - 1 - head)
        return text if len(text) <= width else f"{text[:head]}…{text[tail:]}"
    # Escaping only lengthens a text: no more than this much of it can be shown.
    text = printable(text[: width + 1])
    return text if len(text) <= width else text[: width - 3] + "..."


def preformatted(text: str) -> str:
    """A text as HTML that shows it as it is, for notebooks."""
    return f"<pre>{html.escape(text)}</pre>"


def described_error(error: BaseException, width: int = 120) -> str:
    """Type and message of an error, as one line."""
    cause = error
    while cause.__cause__ is not None:  # the driver's own error
        cause = cause.__cause__
    return shortened(f"{type(cause).__name__} {' '.join(str(cause).split())}".rstrip(), width)


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number and its noun.

    Args:
        n: The number.
        one: The noun, or noun and verb, in the singular.
        many: In the plural; ``one`` and an "s" by default.
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def thinned(values: Sequence[T], most: int) -> tuple[T, ...]:
    """At most ``most`` of the values, evenly spread, the first and the last among them."""
    n = len(values)
    if n <= most:
        return tuple(values)
    if most == 1:
        return (values[-1],)
    return tuple(values[round(i * (n - 1) / (most - 1))] for i in range(most))


def number(value: float, digits: int = 4) -> str:
    """A number of ``digits`` significant digits, without an exponent unless it is needed."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 7:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    text = f"{value:.{max(digits - 1 - size, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a percentage; "0%" and "100%" are exact."""
    if math.isnan(share):
        return "unknown"
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 < share < 1:
        return ">99%"
    return f"{100 * share:.0f}%"


def table(
    rows: Sequence[Sequence[str]],
    left: Collection[int],
    elastic: int | None = None,
    indent: str = "",
) -> list[str]:
    """The lines of a table.

    Args:
        rows: The headings, and the rows below them.
        left: Numbers of the columns that are aligned to the left; the others hold numbers.
        elastic: Number of the column that is shortened where the table is wider than
            :data:`WIDTH`; ``None`` to shorten nothing.
        indent: What every line begins with.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if elastic is not None:
        rest = sum(widths) - widths[elastic] + 2 * (len(widths) - 1) + len(indent)
        least = len(cells[0][elastic])
        widths[elastic] = max(least, min(widths[elastic], WIDTH - rest))
    return [
        (
            indent
            + "  ".join(
                f"{shortened(cell, w):{'<' if i in left else '>'}{w}}"
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in cells
    ]

"""Markdown, and numbers as its tables show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import textwrap
from typing import Any


Row = Mapping[str, Any]
Column = tuple[str, Callable[[Any], str]]
"""A header, and from a row to the text of its cell."""

NONE = "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell does not end it."""
    rows = list(rows)
    if not rows:
        return "None."
    head, *body = (
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in (header, *rows)
    )
    return "\n".join([head, "|---" * len(header) + "|", *body])


def table_of(rows: Iterable[Any], columns: Sequence[Column]) -> str:
    """A Markdown table of rows by its columns."""
    return table(
        [name for name, _ in columns], [[cell(row) for _, cell in columns] for row in rows]
    )


def paragraph(text: str) -> str:
    """Text broken at 100 characters, its white space folded."""
    folded = " ".join(text.split())
    return textwrap.fill(folded, 100, break_long_words=False, break_on_hyphens=False)


def number(value: float | None, digits: int = 2) -> str:
    """A number; a zero has no sign."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text


def share(value: float | None) -> str:
    """A share in percent."""
    return NONE if value is None else f"{value:.0%}"


def interval(
    values: Sequence[float | None] | None, show: Callable[[float | None], str] = number
) -> str:
    """A mean and the ends of its interval: ``-0.30 (-0.50 to -0.10)``."""
    if values is None:
        return NONE
    mean, low, high = map(show, values)
    return f"{mean} ({low} to {high})"


def difference(values: Sequence[float] | None, digits: int = 2) -> str:
    """The like with all signs shown: ``+0.30 (-0.10 to +0.70)``."""
    if values is None:
        return NONE
    mean, low, high = (f"{value:+.{digits}f}" for value in values)
    return f"{mean} ({low} to {high})"


def p_value(value: float | None) -> str:
    """A p-value to three digits."""
    if value is None:
        return NONE
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def text(name: str) -> Callable[[Row], str]:
    """A cell with a column as it is; empty columns have a dash."""
    return lambda row: NONE if row.get(name) is None else str(row[name])


def digits(name: str, n: int) -> Callable[[Row], str]:
    """A cell with a column to ``n`` digits."""
    return lambda row: number(row.get(name), n)


def spread(name: str) -> Callable[[Row], str]:
    """A cell with a column that is a mean and its interval."""
    return lambda row: interval(row.get(name))

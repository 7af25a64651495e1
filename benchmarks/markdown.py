"""Markdown, and numbers as its tables show them.

A table's columns are headers with format strings, such as ``("mean", "{endpoint:ci}")``, which are
filled from each row. Besides Python's own, there are these formats; what is missing is a dash.

=========  ==========================================  ==========================
``2``      a number to two digits; a zero has no sign  ``0.00``
``ci``     a mean and the ends of its interval         ``-0.30 (-0.50 to -0.10)``
``ci3``    the same to three digits                    ``0.100 (0.050 to 0.150)``
``ci%``    the same of shares                          ``20% (10% to 30%)``
``diff``   the same with all signs, also ``diff3``     ``+0.30 (-0.10 to +0.70)``
``p``      a p-value                                   ``<0.001``
``span``   two ends                                    ``1 to 3``
=========  ==========================================  ==========================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import re
import string
import textwrap
from typing import Any


Row = Mapping[str, Any]
Column = tuple[str, str]
"""A header, and the format string of its cells."""

NONE = "–"


class _Cells(string.Formatter):
    def get_field(
        self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Any, str]:
        first, *rest = re.split(r"\]?\[", field_name.removesuffix("]"))
        value = kwargs.get(first)
        for part in rest:
            if isinstance(value, Mapping):
                value = value.get(part)
            elif value is not None:
                value = value[int(part)]
        return value, first

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None:
            return NONE
        if format_spec.isdecimal():
            return number(value, int(format_spec))
        if found := re.fullmatch(r"(ci|diff)(\d?)", format_spec):
            digits = int(found[2] or 2)
            return interval(value, digits) if found[1] == "ci" else difference(value, digits)
        if format_spec == "ci%":
            mean, low, high = (f"{end:.0%}" for end in value)
            return f"{mean} ({low} to {high})"
        if format_spec == "p":
            return "<0.001" if value < 0.001 else f"{value:.3f}"
        if format_spec == "span":
            return " to ".join(map(str, dict.fromkeys(value)))
        return str(super().format_field(value, format_spec))


def number(value: float | None, digits: int = 2) -> str:
    """A number; a zero has no sign."""
    if value is None:
        return NONE
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text


def interval(values: Sequence[float | None], digits: int = 2) -> str:
    """A mean and the ends of its interval: ``-0.30 (-0.50 to -0.10)``."""
    mean, low, high = (number(value, digits) for value in values)
    return f"{mean} ({low} to {high})"


def difference(values: Sequence[float] | None, digits: int = 2) -> str:
    """The same with all signs shown: ``+0.30 (-0.10 to +0.70)``."""
    if values is None:
        return NONE
    mean, low, high = (f"{value:+.{digits}f}" for value in values)
    return f"{mean} ({low} to {high})"


def cell(template: str, row: Row) -> str:
    """A format string filled from a row."""
    return _Cells().vformat(template, (), row)


def table(rows: Iterable[Row], columns: Iterable[Column]) -> str:
    """A Markdown table; a bar inside a cell does not end it."""
    columns = list(columns)
    lines = [[cell(template, row) for _, template in columns] for row in rows]
    if not lines:
        return "None."
    head, *body = (
        "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in line) + " |"
        for line in ([header for header, _ in columns], *lines)
    )
    return "\n".join([head, "|---" * len(columns) + "|", *body])


def paragraph(template: str, row: Row | None = None) -> str:
    """A text, filled from a row, broken at 100 characters."""
    text = " ".join((template if row is None else cell(template, row)).split())
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def blocks(*parts: str) -> str:
    """Parts with an empty line between them."""
    return "\n\n".join(part for part in parts if part)

"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


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


def difference(mean: float, low: float, high: float, digits: int = 2) -> str:
    """A difference with its interval, signs shown: ``-0.30 (-0.50 to -0.10)``."""
    return f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"

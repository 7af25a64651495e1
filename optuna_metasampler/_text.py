"""Names and other people's texts in messages."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[str], most: int) -> str:
    """Names with commas between them, and how many more there are.

    Args:
        names: In the order in which they are shown.
        most: How many are shown.
    """
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def printable(text: str, lines: bool = False) -> str:
    """A stranger's text without what would steer the terminal.

    Args:
        text: Any text.
        lines: Whether it may have several lines.
    """
    return "".join(
        c if c.isprintable() or (lines and c == "\n") else c.encode("unicode_escape").decode()
        for c in text
    )


def counted(n: int, one: str, many: str) -> str:
    """A number and what there is of it."""
    return f"{n:,} {one if n == 1 else many}"

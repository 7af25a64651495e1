"""Progress of what may take a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import sys
from typing import TypeVar


T = TypeVar("T")

_DELAY = 2.0
"""Seconds after which it is worth saying that something goes on."""


def tracked(items: Sequence[T], description: str, unit: str) -> Iterator[T]:
    """The items one by one, with a progress bar where somebody looks and tqdm is installed.

    Args:
        items: What is gone through.
        description: What is done with them.
        unit: What one of them is.
    """
    if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        yield from items
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield from items
        return
    yield from tqdm(items, desc=description, unit=unit, delay=_DELAY, leave=False)

"""Progress of what may take a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    if not _somebody_looks():
        yield from items
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield from items
        return
    yield from tqdm(items, desc=description, unit=unit, delay=_DELAY, leave=False)


@contextmanager
def counted(description: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar whose length is not known beforehand, where somebody looks.

    Args:
        description: What is done.
        unit: What one step of it is.

    Yields:
        What to call with the steps made, the steps to be made, and a remark.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield lambda done, total, remark: None
        return
    with tqdm(
        desc=description, unit=unit, delay=_DELAY, leave=False, disable=not _somebody_looks()
    ) as bar:

        def show(done: int, total: int, remark: str) -> None:
            bar.total = total
            bar.set_postfix_str(remark, refresh=False)
            bar.update(done - bar.n)

        yield show


def _somebody_looks() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules

"""Progress of what may take a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
import logging
import sys
from typing import Any, TypeVar

from optuna_metasampler.logging import get_verbosity


T = TypeVar("T")

_DELAY = 2.0
"""Seconds after which it is worth saying that something goes on."""


def tracked(items: Sequence[T], description: str, unit: str) -> Iterator[T]:
    """The items one by one, with a progress bar where somebody looks.

    Args:
        items: What is gone through.
        description: What is done with them.
        unit: What one of them is.
    """
    with _bar(description, unit, len(items)) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def counted(description: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar whose length is not known beforehand, where somebody looks.

    Args:
        description: What is done.
        unit: What one step of it is.

    Yields:
        What to call with the steps made, the steps to be made, and a remark.
    """
    with _bar(description, unit, None) as bar:

        def show(done: int, total: int, remark: str) -> None:
            bar.total = total
            bar.set_postfix_str(remark, refresh=False)
            bar.update(done - bar.n)

        yield show


def _bar(description: str, unit: str, total: int | None) -> Any:
    """A bar with the time left, which goes when it is done."""
    if _in_notebook() and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    return tqdm(
        desc=description,
        unit=unit,
        total=total,
        delay=_DELAY,
        leave=False,
        disable=not _somebody_looks(),
    )


def _somebody_looks() -> bool:
    if get_verbosity() > logging.INFO:
        return False
    return sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")

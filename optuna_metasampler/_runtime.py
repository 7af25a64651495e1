"""Process-wide services: isolation of heavy work, progress bars, logging and atomic files.

The logger is called ``optuna_metasampler``. Its level and handlers are Optuna's until the
application sets its own: ``optuna.logging.set_verbosity(optuna.logging.WARNING)`` quietens both,
``logging.getLogger("optuna_metasampler").setLevel(logging.WARNING)`` this package only. Progress
bars are drawn while the logger lets ``INFO`` through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
import gc
import logging
import os
from pathlib import Path
import secrets
import sys
import threading
import time
from typing import Any, TypeVar

import optuna
from tqdm.auto import tqdm


T = TypeVar("T")

PACKAGE = "optuna_metasampler"
_PROGRESS_DELAY = 2.0
"""Seconds before a progress bar is drawn."""


# --------------------------------------------------------------------------------------------
# Logging


_package = logging.getLogger(PACKAGE)
# A child of Optuna's logger in all but name: level, handlers and propagation are inherited.
_package.parent = optuna.logging.get_logger("optuna")
# Without a handler of any kind, Python's last resort would print warnings.
_package.addHandler(logging.NullHandler())


def get_logger(name: str) -> logging.Logger:
    """Logger of a module of this package."""
    return logging.getLogger(name)


_said: set[str] = set()
_seconds: dict[str, float] = {}
# Whoever waits longer wants to know what for, each time.
_SLOW = 2.0


def news(message: str) -> int:
    """The level of a message: ``INFO`` the first time in a process, ``DEBUG`` afterwards."""
    level = logging.DEBUG if message in _said else logging.INFO
    _said.add(message)
    return level


@contextmanager
def announced(logger: logging.Logger, before: str, after: str) -> Iterator[None]:
    """Log what begins, and in how many seconds it was done.

    At the level of `news`, but at ``INFO`` whenever it takes long, or took long the last time.

    Args:
        logger: Of the calling module.
        before: What begins, such as ``"Learning from 2 prior studies"``.
        after: What is done, such as ``"Learned from 2 prior studies"``.
    """
    level = news(before)
    expected = _seconds.get(before, 0.0)
    logger.log(logging.INFO if expected > _SLOW else level, "%s.", before)
    start = time.monotonic()
    yield
    _seconds[before] = took = time.monotonic() - start
    logger.log(logging.INFO if took > _SLOW else level, "%s in %.1f s.", after, took)


# --------------------------------------------------------------------------------------------
# Progress


def tracked(
    items: Sequence[T], description: str, unit: str, delay: float = _PROGRESS_DELAY
) -> Iterator[T]:
    """The items one by one, with a progress bar in an interactive session.

    Args:
        items: The items to iterate over.
        description: Label of the bar, such as ``"Reading old.db"``.
        unit: Name of one item.
        delay: Seconds before the bar is drawn.
    """
    with _bar(description, unit, len(items), delay) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def progress(
    description: str, unit: str, delay: float = _PROGRESS_DELAY
) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar whose total is not known beforehand, in an interactive session.

    Args:
        description: Label of the bar.
        unit: Name of one step.
        delay: Seconds before the bar is drawn.

    Yields:
        A function of the number of steps done, the total, and a short text shown after the bar.
    """
    with _bar(description, unit, None, delay) as bar:

        def show(done: int, total: int, postfix: str) -> None:
            bar.total = total
            bar.set_postfix_str(postfix, refresh=False)
            bar.update(done - bar.n)

        yield show


def _bar(description: str, unit: str, total: int | None, delay: float) -> Any:
    """A bar with the time left, cleared when it is done."""
    interactive = sys.stderr.isatty() or _in_notebook()
    return tqdm(
        desc=description,
        unit=unit,
        total=total,
        delay=delay,
        leave=False,
        disable=not (interactive and _package.isEnabledFor(logging.INFO)),
    )


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


# --------------------------------------------------------------------------------------------
# Files


def replace_file(path: Path, content: bytes) -> None:
    """Write a file atomically, in place of an existing one, and flush it to the disk.

    Raises:
        OSError: If the file cannot be written; an existing file is left as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # The new name belongs to the folder, which must be flushed too. Windows cannot open a folder.
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


# --------------------------------------------------------------------------------------------
# Isolation


_lock = threading.Lock()
_n_inside = 0
_threads_outside = 1
_blas_limit: Any = None


@contextmanager
def isolated() -> Iterator[None]:
    """Compute on the CPU, with gradients enabled, on one thread; restore all settings afterwards.

    The user's training code may have set torch's default device, be inside ``no_grad`` or
    ``inference_mode``, or rely on its number of threads. The matrices here are small: a second
    thread does not make them faster, and where another process occupies the core that it waits
    for, a suggestion takes five times as long.
    """
    import torch

    with ExitStack() as stack:
        stack.enter_context(_single_threaded())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.empty(0).device.type != "cpu":
            # Only where needed: this context adds a Python call to every operation of torch.
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def gc_paused() -> Iterator[None]:
    """Disable garbage collection during bulk allocation.

    The collector would visit all new objects again and again, and take three times as long as
    making them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Torch and the BLAS of NumPy and SciPy on one thread.

    Torch's number of threads belongs to the calling thread, but a new thread inherits the number
    that was set last: a thread that starts while another is inside inherits 1, and must get back
    the number from before the first one entered. BLAS's number belongs to the process: the first
    thread to enter lowers it, and the last to leave restores it.
    """
    import torch

    global _n_inside, _threads_outside, _blas_limit
    with _lock:
        own = torch.get_num_threads()
        if _n_inside == 0:
            _threads_outside = own
            _blas_limit = _blas().limit(limits=1)
        _n_inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            torch.set_num_threads(own if own != 1 else _threads_outside)
            _n_inside -= 1
            if _n_inside == 0:
                _blas_limit.restore_original_limits()


@cache
def _blas() -> Any:
    """Controller of the process's BLAS libraries; the search takes milliseconds, hence cached."""
    import scipy.optimize  # noqa: F401  # loads the BLAS library to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")

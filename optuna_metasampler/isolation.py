"""Heavy work inside somebody else's process, without a trace left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
import gc
import threading
from typing import Any


_lock = threading.Lock()
_n_inside = 0
_threads_outside = 1
_blas_limit: Any = None


@contextmanager
def isolated() -> Iterator[None]:
    """Compute on the CPU, with gradients at hand, on one thread; then put everything back.

    The user's training code may have set torch's default device, be inside ``no_grad`` or
    ``inference_mode``, or count on its number of threads. The matrices here are small: a second
    thread does not make them faster, and where another process has the core that it waits for, a
    suggestion takes five times as long.
    """
    import torch

    with ExitStack() as stack:
        stack.enter_context(_single_threaded())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.empty(0).device.type != "cpu":
            # Only where it is needed: this context costs a detour at every torch call.
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off Python's search for garbage while many objects are made that are none.

    It visits all of them again and again, and takes three times as long as to make them.
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
    """Torch and the linear algebra of NumPy and SciPy on one thread.

    Torch's number of threads belongs to the calling thread, but a new thread takes over the one
    that was set last: one that starts while another is in here finds 1, and has to be given what
    was there before anybody came. That of the linear algebra belongs to the process: the first to
    come in lowers it and the last to leave restores it.
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
    """The linear algebra libraries of the process; the search takes milliseconds, so once."""
    import scipy.optimize  # noqa: F401  # loads the library that is looked for
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")

"""Numeric work inside somebody else's process, without a trace left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
import threading
from typing import Any


_lock = threading.Lock()
_n_inside = 0
_restore_threads: Callable[[], None]


@contextmanager
def isolated() -> Iterator[None]:
    """Compute on the CPU, with gradients at hand, on one thread; then put everything back.

    The user's training code may have set torch's default device, be inside ``no_grad`` or
    ``inference_mode``, or count on its number of threads. The matrices here are small: a second
    thread does not make them faster, and where another process has the core that it waits for, a
    suggestion takes five times as long. The numbers of threads are settings of the whole process,
    so the first of several concurrent users saves them and the last one restores them.
    """
    import torch

    global _n_inside, _restore_threads
    with _lock:
        if _n_inside == 0:
            _restore_threads = _limit_threads()
        _n_inside += 1
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            if torch.empty(0).device.type != "cpu":
                # Only where it is needed: this context costs a detour at every torch call.
                stack.enter_context(torch.device("cpu"))
            yield
    finally:
        with _lock:
            _n_inside -= 1
            if _n_inside == 0:
                _restore_threads()


def _limit_threads() -> Callable[[], None]:
    """Set torch and the linear algebra of NumPy and SciPy to one thread; returns the way back."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    blas = _thread_pools().limit(limits=1, user_api="blas")

    def restore() -> None:
        torch.set_num_threads(n_threads)
        blas.restore_original_limits()

    return restore


@cache
def _thread_pools() -> Any:
    """The process's libraries with thread pools; looking for them takes milliseconds, so once."""
    import scipy.optimize  # noqa: F401  # loads the library that is looked for
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

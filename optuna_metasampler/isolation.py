"""Numeric work inside somebody else's process, without a trace left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import threading


_lock = threading.Lock()
_n_inside = 0
_threads_outside = 1


@contextmanager
def isolated() -> Iterator[None]:
    """Compute on the CPU, with gradients at hand, on one thread; then put everything back.

    The user's training code may have set torch's default device, be inside ``no_grad`` or
    ``inference_mode``, or count on its number of threads. The matrices here are small: more than one
    thread makes them slower. The number of threads is one setting for the whole process, so the first
    of several concurrent users saves it and the last one restores it.
    """
    import torch

    global _n_inside, _threads_outside
    with _lock:
        if _n_inside == 0:
            _threads_outside = torch.get_num_threads()
            torch.set_num_threads(1)
        _n_inside += 1
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"):
            yield
    finally:
        with _lock:
            _n_inside -= 1
            if _n_inside == 0:
                torch.set_num_threads(_threads_outside)

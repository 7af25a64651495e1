"""Functions in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
from typing import TypeVar


T = TypeVar("T")


def apart(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a process of its own, which has just begun."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()

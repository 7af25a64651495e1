"""Records paired by everything but who tuned."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from benchmarks.experiment import Key, Record


V = TypeVar("V")

Values = Mapping[str, Mapping[Key, V]]
"""A number or a curve by peer, and by what pairs it with those of other peers."""


def by_peer(
    records: Iterable[Record], value: Callable[[Record], V], columns: Iterable[str]
) -> dict[str, dict[Key, V]]:
    """A value of each record, by peer and by the columns that pair it."""
    found: dict[str, dict[Key, V]] = {}
    columns = list(columns)
    for record in records:
        key = tuple(record[name] for name in columns)
        found.setdefault(record["peer"], {})[key] = value(record)
    return found


def common(values: Values[Any], peer: str, other: str) -> list[Key]:
    """What both peers have, in the order of the first."""
    theirs: Container[Key] = values.get(other, {})
    return [key for key in values.get(peer, {}) if key in theirs]


def gaps(values: Values[Any], peer: str, other: str, keys: Iterable[Key]) -> np.ndarray:
    """First minus second, a pair a row."""
    return np.array([values[peer][key] - values[other][key] for key in keys])

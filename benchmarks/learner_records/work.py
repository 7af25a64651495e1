"""All units in their order, and running those that have no record yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
import functools
import hashlib
import multiprocessing
from pathlib import Path
from typing import NamedTuple

from benchmarks.learner_records import unit
from benchmarks.learner_records.catalogue import SOURCES, Kind, Source
from benchmarks.learner_records.data import DataSet, load
from benchmarks.learner_records.learners import LEARNERS
from benchmarks.learner_records.store import Store


_BLOCK = 24
"""Data sets of which all is done before the next are begun."""


class Unit(NamedTuple):
    """A part of the configurations of a learner on a data set."""

    learner: str
    data_set: str
    part: unit.Part


def plan(
    learners: Sequence[str] = tuple(LEARNERS), data_sets: int | None = None
) -> tuple[Unit, ...]:
    """All units, or those of the first data sets.

    Their order leaves every learner with much the same wherever it stops: the two kinds of data
    take turns, and in a block of data sets, tuned logs come first, as they teach the most.
    """
    kinds: tuple[Kind, ...] = ("classification", "regression")
    columns = [sorted((s for s in SOURCES if s.kind == kind), key=_place) for kind in kinds]
    names = [
        column[i].name
        for i in range(max(map(len, columns)))
        for column in columns
        if i < len(column)
    ][:data_sets]
    return tuple(
        Unit(learner, name, part)
        for start in range(0, len(names), _BLOCK)
        for part in unit.PARTS
        for name in names[start : start + _BLOCK]
        for learner in learners
    )


def _place(source: Source) -> str:
    """A mixed order, the same on every machine."""
    return hashlib.sha256(source.name.encode()).hexdigest()


def run(
    units: Sequence[Unit], archives: Path, store: Store, processes: int
) -> Iterator[tuple[Unit, str]]:
    """Do units; each is stored when it is done, and yielded with an error or ``""``."""
    if processes == 1:
        for each in units:
            yield each, _run(each, archives, store)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        jobs = {pool.submit(_run, each, archives, store): each for each in units}
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def _run(each: Unit, archives: Path, store: Store) -> str:
    try:
        store.add(unit.run(LEARNERS[each.learner], _data(each.data_set, archives), each.part))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@functools.lru_cache(maxsize=8)
def _data(name: str, archives: Path) -> DataSet:
    return load(next(source for source in SOURCES if source.name == name), archives)

"""What an experiment is: its jobs, how one job is done, and the tables that come of the records.

Every study of this benchmark is an `Experiment` in ``benchmarks/experiments``; `benchmarks.runner`
carries all of them out, and `benchmarks.report` writes all of their tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
import functools
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from benchmarks.problems import find
from benchmarks.problems.base import Suite


if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
"""A finished job: its columns, what was measured and ``versions``; of a failed one ``error``."""

Summary = dict[str, Any]
"""The numbers of an experiment's tables, as JSON has them."""

Key = tuple[Any, ...]
J = TypeVar("J", bound="DataclassInstance")


@dataclass(frozen=True)
class Options:
    """What a command selects and changes of an experiment.

    Attributes:
        data: Folder of tables; see `benchmarks.problems.find`.
        hpo_b: File of HPO-B.
        only: The values that are wanted, by column of the job.
        settings: Values of `Experiment.settings`.
    """

    data: Path | None = None
    hpo_b: Path | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, int] = field(default_factory=dict)

    def suites(self) -> Mapping[str, Suite]:
        """The suites at hand, by name; made once a process."""
        return _suites(self.data, self.hpo_b)

    def suite(self, name: str) -> Suite:
        """A suite by its name.

        Raises:
            ValueError: If it is not at hand.
        """
        suites = self.suites()
        if name not in suites:
            raise ValueError(
                f"Not at hand: {name}. Give the folder of tables with --data, or install the "
                "extra 'bench'."
            )
        return suites[name]


@functools.lru_cache(maxsize=4)
def _suites(data: Path | None, hpo_b: Path | None) -> Mapping[str, Suite]:
    return find(data, hpo_b)


def no_figures(summary: Summary) -> dict[str, Figure]:
    """None at all."""
    del summary
    return {}


@dataclass(frozen=True)
class Experiment(Generic[J]):
    """One study. All functions are pure, and importable, so that they reach other processes.

    Attributes:
        name: As in commands, and of the file of records.
        title: What it measures, in a line.
        job: A frozen dataclass of texts and whole numbers. Its fields are columns of the record,
            and tell jobs apart; a field with ``compare=False`` is a budget: a record with a larger
            one will do.
        jobs: All jobs, in the order in which they are done.
        run: Does one job and returns what was measured; what it raises is kept as a failure.
        summarize: From records, failed ones included, to the numbers of the tables.
        tables: From these numbers to Markdown, by name of the block in the documentation.
        figures: From these numbers to figures, by name of the file.
        shared: Columns; consecutive jobs that agree in them share prior studies, and a process.
        settings: Numbers that a command may change, with their defaults.
        records: Name of the file of records, where it is that of another experiment.
        split: The column whose values have a file each.
        needs_data: Whether it needs the folder of tables.
        timed: Whether it measures seconds, and so runs one job at a time.
        verdicts: Whether the records are checks: never resumed, and a failure fails the command.
        kept: Whether its records are part of the repository.
    """

    name: str
    title: str
    job: type[J]
    jobs: Callable[[Options], Sequence[J]]
    run: Callable[[J, Options], Mapping[str, Any]]
    summarize: Callable[[Sequence[Record]], Summary]
    tables: Callable[[Summary], Mapping[str, str]]
    figures: Callable[[Summary], Mapping[str, Figure]] = no_figures
    shared: tuple[str, ...] = ()
    settings: Mapping[str, int] = field(default_factory=dict)
    records: str = ""
    split: str | None = None
    needs_data: bool = False
    timed: bool = False
    verdicts: bool = False
    kept: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that tell records apart."""
        return tuple(f.name for f in fields(self.job) if f.compare)

    def planned(self, options: Options) -> list[J]:
        """The jobs that a command asks for.

        Raises:
            ValueError: If it names a column, a setting or a value that the experiment lacks.
        """
        for given, known in ((options.only, self.columns), (options.settings, self.settings)):
            if unknown := sorted(given.keys() - set(known)):
                raise ValueError(
                    f"`{self.name}` has no {unknown[0]!r}; there are: {', '.join(known) or '-'}."
                )
        if self.needs_data and options.data is None:
            raise ValueError(f"`{self.name}` needs the folder of tables: --data FOLDER.")
        jobs = [
            job
            for job in self.jobs(self.completed(options))
            if all(str(getattr(job, name)) in values for name, values in options.only.items())
        ]
        if not jobs:
            raise ValueError(f"Nothing of `{self.name}` is left by these options.")
        return jobs

    def completed(self, options: Options) -> Options:
        """Options with the settings that they do not name."""
        return replace(options, settings={**self.settings, **options.settings})

    def key(self, record: Record) -> Key:
        """What makes a record this one and no other."""
        return tuple(record[name] for name in self.columns)

    def key_of(self, job: J) -> Key:
        """The key of the record that a job becomes."""
        return tuple(getattr(job, name) for name in self.columns)

    def groups(self, jobs: Iterable[J]) -> list[list[J]]:
        """Jobs that belong into one process."""
        names = self.shared or self.columns
        found = itertools.groupby(jobs, lambda job: [getattr(job, name) for name in names])
        return [list(group) for _, group in found]

    def is_done(self, job: J, record: Record | None, retry_failed: bool = False) -> bool:
        """Whether a record will do for a job."""
        if record is None or record.get("error") == NOT_RUN:
            return False
        if retry_failed and failed(record):
            return False
        budgets = (f.name for f in fields(self.job) if not f.compare)
        return all(record[name] >= getattr(job, name) for name in budgets)


NOT_RUN = "planned, but not run"
"""The error of a job that a command has asked for and that has no record yet."""


def row_of(job: DataclassInstance) -> dict[str, Any]:
    """A job as the first columns of its record."""
    return asdict(job)


def failed(record: Record) -> bool:
    """Whether something went wrong."""
    return record.get("error") is not None


def finished(records: Iterable[Record]) -> list[Record]:
    """The records of jobs that came to their end."""
    return [record for record in records if not failed(record)]


def shortfall(records: Iterable[Record]) -> str:
    """How many jobs failed or are missing, as a paragraph; empty where all are there."""
    errors = [str(record["error"]) for record in records if failed(record)]
    if not errors:
        return ""
    return f"\n\n{len(errors)} jobs failed or are missing, the first with: {errors[0]}"

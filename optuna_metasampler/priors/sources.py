"""Where prior studies are kept: storages, files, tables, studies and trials in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
import difflib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_metasampler._text import listed
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.priors.archive import SUFFIX, Archive, starts_as_archive
from optuna_metasampler.priors.cache import read_studies, study_names
from optuna_metasampler.priors.columns import is_frame
from optuna_metasampler.priors.storages import shown
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.priors.table import Table


if TYPE_CHECKING:
    from pandas import DataFrame


PriorLike: TypeAlias = (
    "str | Path | Study | Sequence[FrozenTrial] | Table | DataFrame | Mapping[str, Any] | "
    "Archive | PriorStudy"
)
"""One source of prior studies: a storage URL, a file, a study, the trials of one study, a table (a
mapping of its arguments, or a DataFrame of ``trials_dataframe``'s form), an archive, or a study as
read."""

_ACCEPTED = (
    "a storage URL such as 'sqlite:///old.db', the path of an SQLite file, of a journal log, of a "
    "CSV file or of an archive, a Study, a list of FrozenTrial, a DataFrame, a Table, an Archive, "
    "or a list of these"
)
_TABLE_SUFFIXES = (".csv", ".tsv")
_MAX_NAMES_SHOWN = 10


@dataclass(frozen=True)
class StorageSource:
    """Some of the studies of a storage.

    Attributes:
        location: URL or path, as the user gave it.
        names: The studies to read.
    """

    location: str
    names: tuple[str, ...]

    def read(self) -> list[PriorStudy]:
        """Read the studies, as far as possible from the cache.

        Raises:
            PriorNotFoundError: If a study has been deleted in the meantime.
            PriorError: If the storage cannot be read any more.
        """
        try:
            return read_studies(self.location, self.names)
        except KeyError as error:
            raise PriorNotFoundError(
                f"`prior` names {shown(self.location)!r}, from which a study has been deleted "
                f"since the sampler was made: {error.args[0]}"
            ) from error


@dataclass(frozen=True)
class StudySource:
    """A study that is at hand."""

    study: Study

    def read(self) -> list[PriorStudy]:
        """Read the study."""
        return [PriorStudy.of(self.study)]


@dataclass(frozen=True)
class TableSource:
    """Some of the studies of a table.

    Attributes:
        table: The table.
        names: The studies to read.
    """

    table: Table
    names: tuple[str, ...]

    def read(self) -> list[PriorStudy]:
        """Read the table."""
        return [study for study in self.table.studies() if study.name in self.names]


@dataclass(frozen=True)
class ArchiveSource:
    """Some of the studies of an archive.

    Attributes:
        archive: The archive.
        names: The studies to read.
    """

    archive: Archive
    names: tuple[str, ...]

    def read(self) -> list[PriorStudy]:
        """Read the studies."""
        return self.archive.read(self.names)


@dataclass(frozen=True)
class GivenSource:
    """A study that has been read already, or bare trials."""

    study: PriorStudy

    def read(self) -> list[PriorStudy]:
        """Hand out the study."""
        return [self.study]


Source: TypeAlias = "StorageSource | StudySource | TableSource | ArchiveSource | GivenSource"


def resolve(
    prior: PriorLike | Sequence[PriorLike] | None, prior_studies: str | Sequence[str] | None
) -> tuple[Source, ...]:
    """Check what the user gave as ``prior``, and find the studies; their trials are read later.

    Args:
        prior: One source or a sequence of sources.
        prior_studies: Names or globs of studies inside the storages and tables among them;
            ``None`` means all.

    Returns:
        The sources, in the order given.

    Raises:
        TypeError: If a source is of a kind that cannot be read.
        PriorNotFoundError: If a file, or a study of a given name, does not exist.
        PriorError: If a file or a storage cannot be read as Optuna's, or a table not as trials.
        ValueError: If ``prior_studies`` is given without a storage to look in.
    """
    patterns = _patterns(prior_studies)
    sources: list[Source] = []
    places: list[tuple[str, list[str]]] = []
    for one in _as_sequence(prior):
        table = _as_table(one, f"table[{len(sources)}]")
        if isinstance(one, Study):
            sources.append(StudySource(one))
        elif isinstance(one, PriorStudy):
            sources.append(GivenSource(one))
        elif _is_trials(one):
            sources.append(GivenSource(PriorStudy(f"trials[{len(sources)}]", None, tuple(one))))
        elif table is not None:
            names = table.study_names()
            places.append((table.label, names))
            if chosen := _chosen(names, patterns):
                sources.append(TableSource(table, chosen))
        elif (archive := _as_archive(one)) is not None:
            names = [entry.name for entry in archive.entries()]
            places.append((str(archive.path), names))
            if chosen := _chosen(names, patterns):
                sources.append(ArchiveSource(archive, chosen))
        elif isinstance(one, (str, Path)):
            location = str(one)
            names = study_names(location)
            places.append((shown(location), names))
            if chosen := _chosen(names, patterns):
                sources.append(StorageSource(location, chosen))
        else:
            raise TypeError(f"`prior` must be {_ACCEPTED}, but got {_shown(one)}.")
    if patterns is not None:
        _check_found(patterns, places)
    for place, names in places:
        if not names:
            raise PriorError(
                f"`prior` names {place}, which holds no study. Give one with finished studies."
            )
    return tuple(sources)


def _as_table(one: object, name: str) -> Table | None:
    """The table that a source is, or the arguments of which it lists; else ``None``."""
    if isinstance(one, Table):
        return one
    if isinstance(one, (str, Path)) and str(one).lower().endswith(_TABLE_SUFFIXES):
        return None if "://" in str(one) else Table(one)
    if is_frame(one):
        return Table(one, name=name)
    if isinstance(one, Mapping) and "data" in one:
        known = {field.name for field in fields(Table)}
        unknown = [key for key in one if key not in known]
        if unknown:
            raise ValueError(
                f"`prior` has a table with the unknown entry {unknown[0]!r}. Known are "
                f"{', '.join(sorted(known))}."
            )
        return Table(**one)
    return None


def _as_archive(one: object) -> Archive | None:
    """The archive that a source is, or the path of which it is; else ``None``."""
    if isinstance(one, Archive):
        return one
    if not isinstance(one, (str, Path)) or "://" in str(one):
        return None
    path = Path(one)
    # By its name too: one that is cut off at the beginning is to be called damaged, not unknown.
    if path.suffix == SUFFIX or starts_as_archive(path):
        return Archive(path)
    return None


def _chosen(names: list[str], patterns: list[str] | None) -> tuple[str, ...]:
    return tuple(n for n in names if patterns is None or _matches(n, patterns))


def _as_sequence(prior: object) -> list[Any]:
    if prior is None:
        return []
    one = isinstance(prior, (str, Path, Study, Table, Archive, PriorStudy, Mapping))
    if one or is_frame(prior) or _is_trials(prior):
        return [prior]
    if isinstance(prior, Sequence):
        return list(prior)
    raise TypeError(f"`prior` must be {_ACCEPTED}, but got {_shown(prior)}.")


def _is_trials(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, (str, bytes))
        and len(value) > 0
        and all(isinstance(t, FrozenTrial) for t in value)
    )


def _shown(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _patterns(prior_studies: str | Sequence[str] | None) -> list[str] | None:
    if prior_studies is None:
        return None
    patterns = [prior_studies] if isinstance(prior_studies, str) else list(prior_studies)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(
                "`prior_studies` must be a study name, a glob or a list of these, but got "
                f"{_shown(pattern)}."
            )
    if not patterns:
        raise ValueError("`prior_studies` must not be empty. Leave it out to read every study.")
    return patterns


def _matches(name: str, patterns: list[str]) -> bool:
    # The name itself first: a study may well be called "lr[0]".
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _check_found(patterns: list[str], places: list[tuple[str, list[str]]]) -> None:
    if not places:
        raise ValueError(
            f"`prior_studies` selects studies of storages and tables, but got {patterns!r} and no "
            "storage in `prior`. Give a URL or a path, or leave `prior_studies` out."
        )
    known = sorted({name for _, names in places for name in names})
    for pattern in patterns:
        if not any(_matches(name, [pattern]) for name in known):
            near = difflib.get_close_matches(pattern, known, n=_MAX_NAMES_SHOWN) or known
            shown = listed(map(repr, near), _MAX_NAMES_SHOWN) or "none at all"
            searched = ", ".join(place for place, _ in places)
            raise PriorNotFoundError(
                f"`prior_studies` asks for {pattern!r}, but {searched} has no such study. "
                f"There is {shown}."
            )

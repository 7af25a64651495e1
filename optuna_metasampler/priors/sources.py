"""Sources of prior studies: storages, files, tables, archives, studies and trials in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
import difflib
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_metasampler._text import listed
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.priors.archive import SUFFIX, Archive, starts_as_archive
from optuna_metasampler.priors.cache import read_studies, study_names
from optuna_metasampler.priors.storages import redacted
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.priors.table import Table, TableOptions, is_frame


if TYPE_CHECKING:
    from pandas import DataFrame


PriorLike: TypeAlias = (
    "str | Path | Study | Sequence[FrozenTrial] | Table | TableOptions | DataFrame | Archive | "
    "PriorStudy"
)
"""One source of prior studies:

* ``str``, ``Path``: a storage URL such as ``"sqlite:///old.db"``, or the path of an SQLite file,
  of a journal log, of a CSV file (``.csv``, ``.tsv``) or of an archive
* ``Study``: a study of Optuna, with the trials that it has when it is first needed
* ``Sequence[FrozenTrial]``: the trials of one study, in the directions of the running study
* :class:`~optuna_metasampler.Table`, or its arguments as a mapping with the key ``"data"``
* ``DataFrame``: a table in the format of ``study.trials_dataframe()``
* :class:`~optuna_metasampler.Archive`
* ``PriorStudy``: a study that has already been read
"""

Source: TypeAlias = "Callable[[], list[PriorStudy]]"
"""Reads the chosen studies of one source; can be pickled if the source can.

Raises :class:`~optuna_metasampler.exceptions.PriorError` if the source can no longer be read.
"""

_ACCEPTED = (
    "a storage URL such as 'sqlite:///old.db', the path of an SQLite file, of a journal log, of a "
    "CSV file or of an archive, a Study, a list of FrozenTrial, a DataFrame, a Table, an Archive, "
    "or a list of these"
)
_TABLE_SUFFIXES = (".csv", ".tsv")
_MAX_NAMES_SHOWN = 10


def read_priors(
    prior: PriorLike | Sequence[PriorLike] | None,
    prior_studies: str | Sequence[str] | None = None,
) -> list[PriorStudy]:
    """All studies of ``prior`` at once; arguments and errors as in :func:`resolve`."""
    return [study for source in resolve(prior, prior_studies) for study in source()]


def resolve(
    prior: PriorLike | Sequence[PriorLike] | None, prior_studies: str | Sequence[str] | None
) -> tuple[Source, ...]:
    """Check ``prior`` and list the studies in it; their trials are read later.

    Args:
        prior: One source or a sequence of sources.
        prior_studies: Names or globs of studies in the storages, tables and archives; ``None``
            means all.

    Returns:
        The sources, in the order given.

    Raises:
        TypeError: If a source is of an unsupported type.
        PriorNotFoundError: If a file, or a study of a given name, does not exist.
        PriorError: If a file or a storage cannot be read as Optuna's, or a table not as trials.
        ValueError: If ``prior_studies`` is given without a storage to look in.
    """
    patterns = _patterns(prior_studies)
    sources: list[Source] = []
    places: list[tuple[str, list[str]]] = []

    def add(place: str, names: list[str], read: Callable[[tuple[str, ...]], Any]) -> None:
        """Add a source of several studies, if any of them is chosen."""
        places.append((place, names))
        chosen = tuple(n for n in names if patterns is None or _matches(n, patterns))
        if chosen:
            sources.append(partial(read, chosen))

    for one in _as_sequence(prior):
        if (source := _as_study(one, f"trials[{len(sources)}]")) is not None:
            sources.append(source)
        elif (table := _as_table(one, f"table[{len(sources)}]")) is not None:
            add(table.label, table.study_names(), partial(_from_table, table))
        elif (archive := _as_archive(one)) is not None:
            names = [entry.name for entry in archive.entries()]
            add(str(archive.path), names, archive.read)
        elif isinstance(one, (str, Path)):
            location = str(one)
            add(redacted(location), study_names(location), partial(_from_storage, location))
        else:
            raise TypeError(f"`prior` must be {_ACCEPTED}, but got {_described(one)}.")
    if patterns is not None:
        _check_found(patterns, places)
    for place, names in places:
        if not names:
            raise PriorError(
                f"`prior` names {place}, which contains no study. Give one with finished studies."
            )
    return tuple(sources)


def _from_storage(location: str, names: tuple[str, ...]) -> list[PriorStudy]:
    try:
        return read_studies(location, names)
    except KeyError as error:
        raise PriorNotFoundError(
            f"`prior` names {redacted(location)!r}, from which a study was deleted after the "
            f"sampler was made: {error.args[0]}"
        ) from error


def _from_table(table: Table, names: tuple[str, ...]) -> list[PriorStudy]:
    return [study for study in table.studies() if study.name in names]


def _study(study: Study) -> list[PriorStudy]:
    return [PriorStudy.of(study)]


def _given(study: PriorStudy) -> list[PriorStudy]:
    return [study]


def _as_study(one: object, name: str) -> Source | None:
    """The source of a single study, or of the trials of one; ``None`` for other sources."""
    if isinstance(one, Study):
        return partial(_study, one)
    if isinstance(one, PriorStudy):
        return partial(_given, one)
    if _is_trials(one):
        return partial(_given, PriorStudy(name, None, tuple(one)))  # type: ignore[arg-type]
    return None


def _as_table(one: object, name: str) -> Table | None:
    """The table that a source is, or whose arguments it lists; ``None`` for other sources."""
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
                f"`prior` has a table with the unknown key {unknown[0]!r}. Valid keys are "
                f"{', '.join(sorted(known))}."
            )
        return Table(**one)
    return None


def _as_archive(one: object) -> Archive | None:
    """The archive that a source is, or whose path it is; ``None`` for other sources."""
    if isinstance(one, Archive):
        return one
    if not isinstance(one, (str, Path)) or "://" in str(one):
        return None
    path = Path(one)
    # By its name too: a file without the right first bytes is then called damaged, not unknown.
    if path.suffix == SUFFIX or starts_as_archive(path):
        return Archive(path)
    return None


def _as_sequence(prior: object) -> list[Any]:
    if prior is None:
        return []
    one = isinstance(prior, (str, Path, Study, Table, Archive, PriorStudy, Mapping))
    if one or is_frame(prior) or _is_trials(prior):
        return [prior]
    if isinstance(prior, Sequence):
        return list(prior)
    raise TypeError(f"`prior` must be {_ACCEPTED}, but got {_described(prior)}.")


def _is_trials(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, (str, bytes))
        and len(value) > 0
        and all(isinstance(t, FrozenTrial) for t in value)
    )


def _described(value: object) -> str:
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
                f"{_described(pattern)}."
            )
    if not patterns:
        raise ValueError("`prior_studies` must not be empty. Omit it to read every study.")
    return patterns


def _matches(name: str, patterns: list[str]) -> bool:
    # The name itself first: a study may be called "lr[0]".
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _check_found(patterns: list[str], places: list[tuple[str, list[str]]]) -> None:
    if not places:
        raise ValueError(
            f"`prior_studies` selects studies of storages and tables, but got {patterns!r} and no "
            "storage in `prior`. Give a URL or a path, or omit `prior_studies`."
        )
    known = sorted({name for _, names in places for name in names})
    for pattern in patterns:
        if not any(_matches(name, [pattern]) for name in known):
            near = difflib.get_close_matches(pattern, known, n=_MAX_NAMES_SHOWN) or known
            names = listed(map(repr, near), _MAX_NAMES_SHOWN) or "none"
            searched = ", ".join(place for place, _ in places)
            raise PriorNotFoundError(
                f"`prior_studies` asks for {pattern!r}, but {searched} has no such study. "
                f"Studies: {names}."
            )

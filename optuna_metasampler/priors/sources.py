"""Sources of prior studies: storages, files, tables, archives, studies and trials in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
import difflib
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
import pickle
from typing import TYPE_CHECKING, Any, TypeAlias

from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial

from optuna_metasampler._arguments import check_kind
from optuna_metasampler._optuna import database_of, storage_of
from optuna_metasampler._runtime import get_logger
from optuna_metasampler._text import described_error, listed
from optuna_metasampler._warnings import warn
from optuna_metasampler.exceptions import MetaSamplerError, PriorError, PriorNotFoundError
from optuna_metasampler.priors.archive import SUFFIX, Archive, starts_as_archive
from optuna_metasampler.priors.cache import read_from, read_studies
from optuna_metasampler.priors.cache import study_names as names_at
from optuna_metasampler.priors.reading import Damage, sound, study_names
from optuna_metasampler.priors.storages import redacted, sqlite_path
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.priors.table import Table, TableOptions, is_frame


if TYPE_CHECKING:
    from pandas import DataFrame


PriorLike: TypeAlias = (
    "str | Path | BaseStorage | Study | Sequence[FrozenTrial] | Table | TableOptions | DataFrame "
    "| Archive | PriorStudy"
)
"""One source of prior studies:

* ``str``, ``Path``: a storage URL such as ``"sqlite:///old.db"``, or the path of an SQLite file,
  of a journal log, of a CSV file (``.csv``, ``.tsv``) or of an archive
* ``BaseStorage``: a storage of Optuna or with its interface, open in this process; its studies are
  those that it has when the sampler is made
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
    "CSV file or of an archive, a storage object, a Study, a list of FrozenTrial, a DataFrame, a "
    "Table, an Archive, or a list of these"
)
_logger = get_logger(__name__)
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
        ValueError: If ``prior_studies`` is given without a storage to look in, or ``prior`` is an
            empty string.
    """
    patterns = _patterns(prior_studies)
    sources: list[Source] = []
    places: list[tuple[str, list[str]]] = []

    def add(place: str, names: list[str], source: Callable[[tuple[str, ...]], Source]) -> None:
        """Add a source of several studies, if any of them is chosen."""
        places.append((place, names))
        chosen = tuple(n for n in names if patterns is None or _matches(n, patterns))
        if chosen:
            sources.append(source(chosen))

    for one in _as_sequence(prior):
        if (source := _as_study(one, f"trials[{len(sources)}]")) is not None:
            sources.append(source)
        elif (table := _as_table(one, f"table[{len(sources)}]")) is not None:
            add(table.label, table.study_names(), partial(partial, _from_table, table))
        elif (archive := _as_archive(one)) is not None:
            names = [entry.name for entry in archive.entries()]
            add(str(archive.path), names, partial(partial, archive.read))
        elif isinstance(one, BaseStorage):
            add(_label(one), _names_in(one), partial(_OpenStorage, one))
        elif isinstance(one, (str, Path)):
            location = _location(one)
            add(redacted(location), names_at(location), partial(partial, _from_storage, location))
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


def read(sources: Iterable[Source]) -> list[PriorStudy]:
    """The studies of all sources, read now; unavailable ones are left out with a warning."""
    studies: list[PriorStudy] = []
    for source in sources:
        try:
            studies += source()
        except PriorError as error:
            warn(f"A source of prior studies is left out: {error}")
    return studies


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
    place = f"study {study.study_name!r}"
    with _translated(place):
        try:
            prior = PriorStudy.of(study)
        except Exception:
            # Its storage is damaged; what can be read of it is read in parts.
            return _read_open(storage_of(study), place, [study.study_name])
        return _given(prior)


def _given(study: PriorStudy) -> list[PriorStudy]:
    damage = Damage()
    checked = sound(study, damage)
    damage.warn(f"study {study.name!r}")
    return [] if checked is None else [checked]


def _read_open(storage: BaseStorage, place: str, names: Sequence[str]) -> list[PriorStudy]:
    damage = Damage()
    studies = read_from(storage, place, names, damage)
    damage.warn(place)
    return studies


@contextmanager
def _translated(place: str) -> Iterator[None]:
    """Raise errors of a storage, of whatever kind, as those of this package."""
    try:
        yield
    except MetaSamplerError:
        raise
    except KeyError as error:
        raise PriorNotFoundError(
            f"`prior` has the {place}, from which a study was deleted after the sampler was made: "
            f"{error}"
        ) from error
    except Exception as error:
        raise PriorError(
            f"`prior` has the {place}, which cannot be read: {described_error(error, 400)}"
        ) from error


def _label(storage: BaseStorage) -> str:
    """What an open storage is called in messages."""
    database = database_of(storage)
    if database is None:
        return f"storage {type(storage).__name__}"
    return f"storage {redacted(database.engine.url.render_as_string())!r}"


def _names_in(storage: BaseStorage) -> list[str]:
    with _translated(_label(storage)):
        return study_names(storage)


@dataclass(frozen=True)
class _OpenStorage:
    """Studies of a storage that is open in this process; only methods that read are called.

    Attributes:
        storage: The storage.
        names: Names of the studies.
    """

    storage: BaseStorage
    names: tuple[str, ...]

    def __call__(self) -> list[PriorStudy]:
        with _translated(_label(self.storage)):
            return _read_open(self.storage, _label(self.storage), self.names)

    def __reduce__(self) -> tuple[Callable[..., Source], tuple[Any, ...]]:
        """The storage itself where a copy of it leads to the same studies, else the studies.

        A database in memory would be empty in another process, and a client of a server, or a
        storage of another library, may not be made to be copied.
        """
        database = database_of(self.storage)
        if database is None or sqlite_path(database.engine.url) is not None:
            try:
                pickle.dumps(self.storage)
            except Exception as error:
                _logger.debug("The %s is copied by its studies: %r", _label(self.storage), error)
            else:
                return _OpenStorage, (self.storage, self.names)
        return partial, (_copied, tuple(self()))


def _copied(studies: tuple[PriorStudy, ...]) -> list[PriorStudy]:
    return list(studies)


def _location(one: str | Path) -> str:
    """A path or a URL.

    Raises:
        ValueError: If it is empty, as from a variable that is not set.
    """
    if not str(one).strip():
        raise ValueError(
            f"`prior` must be {_ACCEPTED}, but got {str(one)!r}. Omit it, or pass None, to begin "
            "without prior studies."
        )
    return str(one)


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
    kinds = (str, Path, BaseStorage, Study, Table, Archive, PriorStudy, Mapping)
    if isinstance(prior, kinds) or is_frame(prior) or _is_trials(prior):
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
    names: Any = [prior_studies] if isinstance(prior_studies, str) else prior_studies
    check_kind("prior_studies", names, Iterable, "a study name, a glob or a list of these")
    patterns = list(names)
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

"""The cache: studies of large storages, stored as archives in a folder of the user.

Reading 100,000 trials takes most of a minute from a storage, and a second from an archive. Each
storage has one archive. A cached study of a database is valid as long as its id, its number of
finished trials, the last of them and its completion time are unchanged, which one query checks
for all studies; those of a journal log, as long as the log is unchanged byte for byte. Manual
changes of trials in a database are not detected: disable the cache, or delete it.

The environment variable ``METASAMPLER_CACHE`` sets another folder, or ``off``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
import hashlib
import os
from pathlib import Path
import sys
import time
from typing import Any

from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection

from optuna_metasampler._optuna import finished_trials
from optuna_metasampler._runtime import get_logger, news, tracked
from optuna_metasampler._text import counted
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.priors import reading
from optuna_metasampler.priors.archive import SUFFIX, Archive, Contents
from optuna_metasampler.priors.journal import SalvagedJournal, is_journal
from optuna_metasampler.priors.reading import Damage
from optuna_metasampler.priors.storages import opened, read_file, redacted, sqlite_path
from optuna_metasampler.priors.study import PriorStudy


VARIABLE = "METASAMPLER_CACHE"

_logger = get_logger(__name__)
_MIN_TRIALS = 2_000
"""Reading fewer takes less than a second, too little to cache."""

_MIN_LOG_BYTES = 2_000_000
"""Reading a shorter log takes less than a second."""


def cache_folder() -> Path | None:
    """Folder of the cache, which may not exist yet; ``None`` if the cache is disabled."""
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() == "off":
        return None
    if chosen:
        return Path(chosen).expanduser()
    # The cache folder of each operating system; XDG requires relative paths to be ignored.
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
        usual = "~/AppData/Local"
    elif sys.platform == "darwin":
        base, usual = "", "~/Library/Caches"
    else:
        base, usual = os.environ.get("XDG_CACHE_HOME", ""), "~/.cache"
    try:
        parent = Path(base) if Path(base).is_absolute() else Path(usual).expanduser()
    except RuntimeError:
        # The user has no home directory.
        return None
    return parent / "optuna-metasampler"


def study_names(location: str) -> list[str]:
    """Names of the studies of a storage.

    Args:
        location: Its URL or path.

    Raises:
        PriorNotFoundError: If there is no such file.
        PriorError: If it cannot be read as a storage of Optuna.
    """
    log = _Log.of(location)
    contents = None if log is None else log.cached()
    if contents is not None:
        return [entry.name for entry in contents.entries]
    with opened(location) as storage:
        return reading.study_names(storage)


def read_studies(location: str, names: Sequence[str]) -> list[PriorStudy]:
    """Read studies from a storage, or from the cache where it is valid.

    Args:
        location: Its URL or path.
        names: The studies.

    Returns:
        The studies in the order of ``names``. Studies from the cache have only their finished
        trials. What is damaged is left out, with a warning; it is not cached.

    Raises:
        KeyError: If there is no such study.
        PriorNotFoundError: If there is no such file.
        PriorError: If it cannot be read as a storage of Optuna.
    """
    log = _Log.of(location)
    contents = None if log is None else log.cached()
    if log is not None and contents is not None:
        places = {entry.name: i for i, entry in enumerate(contents.entries)}
        studies = _taken(contents, [places[name] for name in names])
        if len(studies) == len(names):
            return studies
    damage = Damage()
    with opened(location) as storage:
        folder = cache_folder()
        if log is not None:
            studies = _from_log(storage, log, location, names, damage)
        elif folder is None or not isinstance(storage, RDBStorage):
            studies = read_from(storage, redacted(location), names, damage)
        else:
            studies = _from_database(storage, folder, location, names, damage)
    damage.warn(repr(redacted(location)))
    return studies


@dataclass(frozen=True)
class _Log:
    """A large journal log, of which Optuna has to read all to know any of its studies.

    Attributes:
        archive: Archive of its studies.
        key: Identifies its content.
    """

    archive: Archive
    key: str

    @classmethod
    def of(cls, location: str) -> _Log | None:
        """The journal log at a location; ``None`` if it is small or something else."""
        folder, path = cache_folder(), Path(location)
        if folder is None or "://" in location:
            return None
        try:
            if not path.is_file() or path.stat().st_size < _MIN_LOG_BYTES:
                return None
            if not is_journal(read_file(path, 4096)):
                return None
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
        except OSError:
            # Reported where the log is opened.
            return None
        return cls(_archive(folder, _place(location)), digest.hexdigest())

    def cached(self) -> Contents | None:
        """Its studies in the cache, if they are valid."""
        contents = _cached(self.archive)
        if contents is None or any(entry.key != self.key for entry in contents.entries):
            return None
        return contents


def _from_log(
    storage: BaseStorage, log: _Log, location: str, names: Sequence[str], damage: Damage
) -> list[PriorStudy]:
    """Read a log, and cache all of its studies, for the key covers the whole log."""
    every = reading.study_names(storage)
    studies = {s.name: s for s in read_from(storage, redacted(location), every, damage)}
    if log == _Log.of(location) and not damage:
        _write(log.archive, list(studies.values()), [log.key] * len(studies), _place(location))
    if gone := set(names).difference(every):
        raise KeyError(gone.pop())
    return [studies[name] for name in names if name in studies]


def _from_database(
    storage: RDBStorage, folder: Path, location: str, names: Sequence[str], damage: Damage
) -> list[PriorStudy]:
    """Read the studies that have changed since they were cached, and cache them."""
    finished = finished_trials(storage)
    if sum(finished[name].count for name in names if name in finished) < _MIN_TRIALS:
        return read_from(storage, redacted(location), names, damage)
    archive = _archive(folder, _place(location))
    contents = _cached(archive)
    keys = {name: each.key for name, each in finished.items()}
    places = {
        entry.name: i
        for i, entry in enumerate(contents.entries if contents else ())
        if entry.key == keys.get(entry.name)
    }
    valid = [name for name in names if name in places]
    studies: dict[str, PriorStudy] = {}
    if contents is not None and valid:
        cached = _taken(contents, [places[name] for name in valid])
        studies = _with_attributes(storage, cached)
    changed = [name for name in names if name not in studies]
    studies |= {s.name: s for s in read_from(storage, redacted(location), changed, damage)}
    if sum(finished[name].count for name in changed if name in finished) >= _MIN_TRIALS:
        # Other studies that are still valid may be requested the next time.
        others = [i for name, i in places.items() if name not in studies]
        current = [*studies.values(), *(_taken(contents, others) if contents else ())]
        current = [study for study in current if not damage.touches(study.name)]
        _write(archive, current, [keys.get(study.name) for study in current], _place(location))
    return [studies[name] for name in names if name in studies]


def _archive(folder: Path, place: str) -> Archive:
    digest = hashlib.sha256(place.encode("utf-8")).hexdigest()
    return Archive(folder / f"{digest[:32]}{SUFFIX}")


def _place(location: str) -> str:
    """Location of a storage, independent of the working directory and without a password."""
    from sqlalchemy.engine import make_url

    if "://" not in location:
        return str(Path(location).resolve())
    url = make_url(location)
    if url.get_backend_name() == "sqlite":
        return str((sqlite_path(url) or Path()).resolve())
    return url.set(password=None).render_as_string()


def read_from(
    storage: BaseStorage, place: str, names: Sequence[str], damage: Damage
) -> list[PriorStudy]:
    """Read studies from an open storage; the cache is not used.

    Args:
        storage: The storage.
        place: What it is called in messages.
        names: The studies.
        damage: What is left out is added to it.

    Raises:
        KeyError: If there is no such study.
        Exception: Any error, if the storage can no longer be read at all.
    """
    start = time.monotonic()
    if isinstance(storage, SalvagedJournal):
        damage.notes += storage.notes
    read = [
        reading.read_study(storage, name, damage)
        for name in tracked(names, f"Reading {place}", "study")
    ]
    reading.note_nameless(storage, damage)
    studies = [study for study in read if study is not None]
    if studies:
        n_trials = sum(len(study.trials) for study in studies)
        n_studies = counted(len(studies), "prior study", "prior studies")
        said = f"Read {n_studies} with {counted(n_trials, 'trial', 'trials')} from {place}"
        _logger.log(news(said), "%s in %.1f s.", said, time.monotonic() - start)
    return studies


def _cached(archive: Archive) -> Contents | None:
    try:
        return archive.load()
    except PriorNotFoundError:
        return None
    except PriorError as error:
        _logger.warning("Rebuilding the cache of prior studies: %s", error)
        return None


def _taken(contents: Contents, places: Sequence[int]) -> list[PriorStudy]:
    """Studies of the cache; none if any of them cannot be read."""
    try:
        studies = contents.studies(places)
    except PriorError as error:
        _logger.warning("Rebuilding the cache of prior studies: %s", error)
        return []
    _logger.debug("Took %d prior studies from the cache %s.", len(studies), contents.path)
    return studies


def _with_attributes(storage: BaseStorage, studies: Sequence[PriorStudy]) -> dict[str, PriorStudy]:
    """Studies by name, with their current user attributes, which are not part of the key."""
    now: dict[str, tuple[tuple[StudyDirection, ...], Mapping[str, Any]]]
    try:
        now = {
            study.study_name: (tuple(study.directions), study.user_attrs)
            for study in storage.get_all_studies()
        }
    except Exception:
        # One study of the storage is damaged; the others are asked for one by one.
        now = {}
        for study in studies:
            with suppress(Exception):
                header = reading.read_header(storage, study.name)
                now[study.name] = header.directions or (), header.user_attrs
    return {
        study.name: replace(study, directions=now[study.name][0], user_attrs=now[study.name][1])
        for study in studies
        if study.name in now and now[study.name][0]
    }


def _write(
    archive: Archive, studies: Sequence[PriorStudy], keys: Sequence[str | None], location: str
) -> None:
    """Write the cache; errors are logged, for a suggestion must not fail because of them."""
    folder = archive.path.parent
    try:
        # Results may be confidential.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_leftovers(folder)
        Archive.write(archive.path, studies, keys, origin=location)
    except (OSError, PriorError) as error:
        _logger.warning(
            "The prior studies of %s could not be cached, and will be read again the next time: "
            "%s. Set %s to a writable folder, or to 'off'.",
            location,
            error,
            VARIABLE,
        )
    else:
        n_studies = counted(len(studies), "prior study", "prior studies")
        _logger.info("Wrote %s to the cache %s.", n_studies, archive.path)


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files of writers that were killed at least a day ago."""
    for path in folder.glob(f".*{SUFFIX}.*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > 24 * 60 * 60:
                path.unlink()

"""Storages of Optuna, opened read-only: nothing is created, migrated or locked.

A query takes SQLite's shared lock, or the server's counterpart, while it runs; writers are not
blocked for longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
import os
from pathlib import Path
import sqlite3
import tempfile
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage

from optuna_metasampler._text import described_error
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.priors.journal import SalvagedJournal, is_journal


if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_SQLITE_MAGIC = b"SQLite format 3\x00"
_COPY_ATTEMPTS = 5
_OPTIONS = ("immutable", "nolock", "vfs")
_TRUE = ("1", "true", "t", "yes", "y", "on")  # as SQLAlchemy reads them

# SQLite files that have been read, by device and inode. They stay open: on POSIX systems, closing
# one releases all locks of this process on it, including those of the user's own storage
# (https://www.sqlite.org/howtocorrupt.html, 2.2).
_descriptors: dict[tuple[int, int], int] = {}
_lock = threading.Lock()


@contextmanager
def opened(location: str) -> Iterator[BaseStorage]:
    """Open a storage read-only, and close it at the end.

    Args:
        location: A storage URL, or the path of an SQLite file or of a journal log.

    Raises:
        PriorNotFoundError: If there is no such file.
        PriorError: If it cannot be read as a storage of Optuna.
    """
    from sqlalchemy.exc import SQLAlchemyError

    with ExitStack() as stack:
        storage = _open(location, stack)
        if isinstance(storage, RDBStorage):
            stack.callback(storage.engine.dispose)
            stack.callback(storage.remove_session)
        try:
            yield storage
        except (SQLAlchemyError, StorageInternalError) as error:
            raise _unreadable(location, error) from error


def redacted(location: str) -> str:
    """A location for messages, without the password."""
    if "://" not in location:
        return location
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(location).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return location


def _open(location: str, stack: ExitStack) -> BaseStorage:
    if "://" not in location:
        return _open_file(Path(location), location, stack)
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(location)
    except (ArgumentError, ValueError) as error:
        raise PriorError(
            f"`prior` must be a storage URL, but got {redacted(location)!r}: {error}"
        ) from error
    if url.get_backend_name() != "sqlite":
        return _open_rdb(location, location, _server_settings(url.get_backend_name()))
    path, options = _sqlite_file(url)
    if path is None:
        raise PriorError(
            f"`prior` names {location!r}, a database in memory, which only its creator can read. "
            "Pass the Study object or the storage object instead."
        )
    return _open_file(path, location, stack, options)


def sqlite_path(url: URL) -> Path | None:
    """The file of an SQLite URL, also of one with a URI; ``None`` for a database in memory.

    Args:
        url: Such as ``sqlite:///old.db`` or ``sqlite:///file:old.db?mode=ro&uri=true``.
    """
    return _sqlite_file(url)[0]


def _sqlite_file(url: URL) -> tuple[Path | None, dict[str, str]]:
    """The file of an SQLite URL, and the options of SQLite's URI that say how it can be read.

    The others, such as ``mode=rwc``, have no meaning here: every prior is opened read-only.
    """
    name = url.database or ""
    options = {key: value for key, value in url.query.items() if isinstance(value, str)}
    if not name.startswith("file:") or options.get("uri", "").lower() not in _TRUE:
        return (Path(name) if name and name != ":memory:" else None), {}
    # https://www.sqlite.org/uri.html; an authority is empty or "localhost".
    parts = urlsplit(name)
    options |= dict(parse_qsl(parts.query))
    path = unquote(parts.path)
    if not path or path == ":memory:" or options.get("mode") == "memory":
        return None, {}
    return Path(path), {key: options[key] for key in _OPTIONS if key in options}


def _server_settings(backend: str) -> dict[str, Any]:
    """Settings of SQLAlchemy's engine with which the server refuses writes."""
    from sqlalchemy.pool import NullPool

    settings: dict[str, Any] = {"poolclass": NullPool}
    if backend == "postgresql":
        settings["execution_options"] = {"postgresql_readonly": True}
    elif backend in ("mysql", "mariadb"):
        settings["connect_args"] = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
    return settings


def _open_file(
    path: Path, location: str, stack: ExitStack, options: Mapping[str, str] | None = None
) -> BaseStorage:
    if not path.exists():
        raise PriorNotFoundError(
            f"`prior` names {location!r}, but there is no file {str(path.absolute())!r}. "
            "Check the path; a relative one starts at the current directory."
        )
    if not path.is_file():
        raise PriorError(
            f"`prior` must name a file or a storage URL, but {location!r} is a directory."
        )
    try:
        head = read_file(path, 4096)
    except OSError as error:
        raise PriorError(f"`prior` names {location!r}, which cannot be opened: {error}") from error
    if head.startswith(_SQLITE_MAGIC):
        return _open_sqlite(path, head, location, stack, options or {})
    if is_journal(head):
        return _open_journal(path, location)
    text = (
        f"`prior` names {location!r}, which is not an SQLite database, a journal log of Optuna or "
        "a CSV file (.csv)."
    )
    if path.suffix == ".safetensors":
        text += " A checkpoint is given as MetaSampler(checkpoint=...)."
    raise PriorError(text)


def read_file(path: Path, size: int | None = None) -> bytes:
    """Content of a file; the only safe way to read a file that may be an SQLite database.

    Args:
        path: The file.
        size: Number of bytes from the beginning; all by default.

    Raises:
        OSError: If it cannot be read.
    """
    status = path.stat()
    key = (status.st_dev, status.st_ino)
    with _lock:
        descriptor = _descriptors.pop(key, None)
        if descriptor is None:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        stays_open = False
        try:
            with open(descriptor, "rb", closefd=False) as file:
                file.seek(0)
                content = file.read() if size is None else file.read(max(size, len(_SQLITE_MAGIC)))
            stays_open = content.startswith(_SQLITE_MAGIC) and os.name == "posix"
        finally:
            if stays_open:
                _descriptors[key] = descriptor
            else:
                os.close(descriptor)
    return content[:size]


def _open_sqlite(
    path: Path, head: bytes, location: str, stack: ExitStack, given: Mapping[str, str]
) -> RDBStorage:
    from sqlalchemy.pool import NullPool

    options = urlencode({**given, "mode": "ro"})
    if _must_be_copied(path, head):
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="optuna-metasampler-", ignore_cleanup_errors=True)
        )
        path, options = _copied(path, Path(folder), location), "mode=rw"
    elif _has_write_ahead_log(head):
        # SQLite would create files next to it. No process has it open, for it has no log.
        options = urlencode({**given, "mode": "ro", "immutable": "1"})
    uri = f"file:{quote(str(path.absolute()))}?{options}"
    # An own connection: SQLAlchemy's URLs have no reliable way to quote a file name.
    engine = {"creator": partial(_connected, uri), "poolclass": NullPool}
    return _open_rdb("sqlite://", location, engine)


def _connected(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True)
    # One cell that is not UTF-8 would fail the query for all rows; so it fails its trial alone.
    connection.text_factory = partial(str, encoding="utf-8", errors="backslashreplace")
    return connection


def _has_write_ahead_log(head: bytes) -> bool:
    # https://www.sqlite.org/fileformat2.html, "File format version numbers"
    return head[18:19] == b"\x02"


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _must_be_copied(path: Path, head: bytes) -> bool:
    """Whether SQLite cannot read a database without writing to it or to files next to it.

    This is so if there is a write-ahead log, or if a crash has left a journal to roll back.
    """
    if _has_write_ahead_log(head):
        return _beside(path, "-wal").exists()
    if not _beside(path, "-journal").exists():
        return False
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()
    return False


def _copied(path: Path, folder: Path, location: str) -> Path:
    """A consistent copy of a database and of its log and journal."""
    parts = [path, _beside(path, "-wal"), _beside(path, "-journal")]

    def state() -> list[tuple[int, int] | None]:
        return [(p.stat().st_size, p.stat().st_mtime_ns) if p.exists() else None for p in parts]

    for _ in range(_COPY_ATTEMPTS):
        before = state()
        try:
            for part in parts:
                copy = folder / part.name
                copy.unlink(missing_ok=True)
                if part.exists():
                    copy.write_bytes(read_file(part))
        except FileNotFoundError:  # a writer has just removed its journal
            continue
        if state() == before:
            return folder / path.name
    raise PriorError(
        f"`prior` names {location!r}, which is written to continuously, so that no consistent "
        "copy could be made. Try again when the writers are done."
    )


def _open_journal(path: Path, location: str) -> JournalStorage:
    from optuna.storages.journal import JournalFileBackend

    try:
        # The backend creates its lock file only when it writes.
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception:
        # Replaying a damaged log can raise any exception in Optuna.
        try:
            return SalvagedJournal(read_file(path))
        except Exception as error:
            raise _unreadable(location, error) from error


def _open_rdb(url: str, location: str, settings: dict[str, Any]) -> RDBStorage:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return RDBStorage(url, engine_kwargs=settings, skip_table_creation=True)
    except RuntimeError as error:
        # Optuna's error for a schema of another version; the upgrade is the user's decision.
        raise PriorError(
            f"`prior` names {redacted(location)!r}, which this version of Optuna cannot read. "
            f"Upgrade a copy of it. Error of Optuna: {error}"
        ) from error
    except ImportError as error:
        raise PriorError(
            f"`prior` names {redacted(location)!r}, whose driver is missing: "
            f"{error.__cause__ or error}. Install one and name it in the URL: PyMySQL for "
            "mysql+pymysql://, psycopg for postgresql+psycopg://."
        ) from error
    except (SQLAlchemyError, StorageInternalError, AssertionError) as error:
        raise _unreadable(location, error) from error


def _unreadable(location: str, error: Exception) -> PriorError:
    return PriorError(
        f"`prior` names {redacted(location)!r}, which cannot be opened as a storage of Optuna: "
        f"{described_error(error, 400)}"
    )

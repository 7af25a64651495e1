"""Storages of Optuna, opened read-only: nothing is created, migrated or locked.

A query takes SQLite's shared lock, or the server's counterpart, while it runs; writers are not
blocked for longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
import json
import os
from pathlib import Path
import sqlite3
import tempfile
import threading
from typing import Any
from urllib.parse import quote

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage

from optuna_metasampler.exceptions import PriorError, PriorNotFoundError


_SQLITE_MAGIC = b"SQLite format 3\x00"
_COPY_ATTEMPTS = 5

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
    if not url.database or url.database == ":memory:":
        raise PriorError(
            f"`prior` names {location!r}, a database in memory, which only its creator can read. "
            "Pass the Study object instead."
        )
    return _open_file(Path(url.database), location, stack)


def _server_settings(backend: str) -> dict[str, Any]:
    """Settings of SQLAlchemy's engine with which the server refuses writes."""
    from sqlalchemy.pool import NullPool

    settings: dict[str, Any] = {"poolclass": NullPool}
    if backend == "postgresql":
        settings["execution_options"] = {"postgresql_readonly": True}
    elif backend in ("mysql", "mariadb"):
        settings["connect_args"] = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
    return settings


def _open_file(path: Path, location: str, stack: ExitStack) -> BaseStorage:
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
        return _open_sqlite(path, head, location, stack)
    if is_journal(head):
        return _open_journal(path, location)
    raise PriorError(
        f"`prior` names {location!r}, which is not an SQLite database, a journal log of Optuna or "
        "a CSV file (.csv)."
    )


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


def _open_sqlite(path: Path, head: bytes, location: str, stack: ExitStack) -> RDBStorage:
    from sqlalchemy.pool import NullPool

    options = "mode=ro"
    if _must_be_copied(path, head):
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="optuna-metasampler-", ignore_cleanup_errors=True)
        )
        path, options = _copied(path, Path(folder), location), "mode=rw"
    elif _has_write_ahead_log(head):
        # SQLite would create files next to it. No process has it open, for it has no log.
        options = "mode=ro&immutable=1"
    uri = f"file:{quote(str(path.absolute()))}?{options}"
    # An own connection: SQLAlchemy's URLs have no reliable way to quote a file name.
    engine = {"creator": partial(sqlite3.connect, uri, uri=True), "poolclass": NullPool}
    return _open_rdb("sqlite://", location, engine)


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


def is_journal(head: bytes) -> bool:
    """Whether a file that begins like this is a journal log of Optuna."""
    first = head.split(b"\n", 1)[0]
    try:
        return "op_code" in json.loads(first)
    except (ValueError, TypeError):
        return False


def _open_journal(path: Path, location: str) -> JournalStorage:
    from optuna.storages.journal import JournalFileBackend

    try:
        # The backend creates its lock file only when it writes.
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:
        # Replaying a damaged log can raise any exception in Optuna.
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
            f"{error.__cause__ or error}. Install it, such as psycopg for postgresql+psycopg://."
        ) from error
    except (SQLAlchemyError, StorageInternalError, AssertionError) as error:
        raise _unreadable(location, error) from error


def _unreadable(location: str, error: Exception) -> PriorError:
    cause: BaseException = error
    while cause.__cause__ is not None:  # the driver's own error
        cause = cause.__cause__
    return PriorError(
        f"`prior` names {redacted(location)!r}, which cannot be opened as a storage of Optuna: "
        f"{type(cause).__name__} {cause}".rstrip()
    )

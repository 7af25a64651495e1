"""A PostgreSQL server of the test's own: made in a temporary folder, thrown away afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Any
from urllib.parse import quote


OWNER = "owner"
_START_SECONDS = 60


class Unavailable(Exception):
    """No server can be started here; the message says why."""


def _binaries() -> Path:
    """The folder with `initdb` and `postgres`; Debian keeps it out of `PATH`."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not folders:
        raise Unavailable("PostgreSQL is not installed (Debian's package `postgresql`)")
    return folders[-1].parent


def _as_other_user(folder: Path) -> dict[str, Any]:
    """Arguments of `subprocess` for another user than root, as whom no server starts."""
    if os.geteuid() != 0:
        return {}
    import pwd

    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, user.pw_uid, user.pw_gid)
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Unavailable("PostgreSQL does not start as root, and no other user is there")


@contextmanager
def server() -> Iterator[str]:
    """A running server; gives the folder of its socket.

    Raises:
        Unavailable: If none can be started.
    """
    binaries = _binaries()
    # Not pytest's folder: a socket's path must be short, and other users may enter.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        user = _as_other_user(folder)
        made = subprocess.run(
            [
                str(binaries / "initdb"),
                *("-D", str(folder / "data"), "-U", OWNER, "-A", "trust"),
                *("-E", "UTF8", "--locale", "C", "--no-sync"),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            **user,
        )
        if made.returncode != 0:
            raise Unavailable(f"initdb fails: {made.stderr.strip()}")
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [
                    str(binaries / "postgres"),
                    *("-D", str(folder / "data"), "-k", str(folder), "-h", ""),
                    *("-c", "fsync=off"),
                ],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                **user,
            )
            try:
                _wait(process, folder)
                yield str(folder)
            finally:
                process.send_signal(signal.SIGINT)  # a fast shutdown: it ends open sessions
                try:
                    process.wait(timeout=_START_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    import psycopg

    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(folder), user=OWNER, dbname="postgres").close()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(
                    f"postgres does not start: {(folder / 'log').read_text()}"
                ) from error
            time.sleep(0.05)
        else:
            return


def url(socket: str, database: str, user: str = OWNER) -> str:
    """The storage URL of a database."""
    return f"postgresql+psycopg://{user}@/{database}?host={quote(socket, safe='')}"

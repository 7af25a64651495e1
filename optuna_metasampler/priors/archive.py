"""The archive: a file of prior studies that is small, quick to read, and safe to read.

A head of fixed length (magic, version, length and SHA-256 of what follows), then NumPy's ``.npz``:
one array for each thing that trials have, all studies one after the other, and a JSON document
with what is no number. Nothing in it is ever executed: there is no pickle, and a file whose
checksum, sizes or indexes are not as they should be is refused before a study is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import hashlib
import io
from pathlib import Path
import struct
from typing import Any
import zipfile
import zlib

import numpy as np
from numpy.typing import NDArray

from optuna_metasampler._runtime import replace_file
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.priors.contents import (
    DTYPES,
    NONSENSE,
    Arrays,
    Contents,
    Entry,
    columns_of,
    max_bytes,
    require,
    said,
)
from optuna_metasampler.priors.storages import read_file
from optuna_metasampler.priors.study import PriorStudy


SUFFIX = ".metaprior"
"""The usual ending of an archive's name; any other will do."""

MAGIC = b"\x93PRIOR\r\n"
"""The first bytes of every archive; a transfer that takes it for text changes the last two."""

_VERSION = 1
_HEAD = struct.Struct("<8sIQ32s")
_MAX_FILE_BYTES = 2**28
_MAX_NPY_HEADER_BYTES = 2**16


@dataclass(frozen=True)
class Archive:
    """A file of prior studies, to be given to ``MetaSampler(prior=...)``.

    It holds the finished trials of each study: number, state, parameters with their distributions,
    values, start and end, intermediate values (32 at most, the first and the last among them), and
    constraints; and the name, directions and user attributes of the study. It does **not** hold
    trials that are waiting or running, or any other attribute of a trial.

    Attributes:
        path: Where it is.
    """

    path: Path

    def __init__(self, path: str | Path) -> None:
        object.__setattr__(self, "path", Path(path))

    @classmethod
    def write(
        cls,
        path: str | Path,
        studies: Sequence[PriorStudy],
        keys: Sequence[str | None] | None = None,
        origin: str = "",
    ) -> Archive:
        """Write studies into a file, in place of what is there.

        The file appears under its name when all of it is on the disk, so that a reader finds the
        old or the new one and never half of it, whoever else writes at the same time.

        Args:
            path: The file.
            studies: What to write. Trials that are not finished are left out.
            keys: A key for each study, see :class:`Entry`.
            origin: Where the studies come from, for people who list it.

        Raises:
            PriorError: If a study cannot be expressed, or is beyond the limits of the format.
            OSError: If the file cannot be written.
        """
        archive = cls(path)
        arrays = columns_of(studies, keys or [None] * len(studies), origin)
        replace_file(archive.path, _packed(arrays))
        return archive

    def entries(self) -> tuple[Entry, ...]:
        """What is in it.

        Raises:
            PriorNotFoundError: If there is no such file.
            PriorError: If the file is damaged or not an archive.
        """
        return self.load().entries

    def read(self, names: Sequence[str] | None = None) -> list[PriorStudy]:
        """Read studies.

        Args:
            names: Which; all by default.

        Returns:
            The studies in the order of the file.

        Raises:
            PriorNotFoundError: If there is no such file.
            PriorError: If the file is damaged or not an archive.
        """
        contents = self.load()
        wanted = None if names is None else set(names)
        return contents.studies(
            [i for i, e in enumerate(contents.entries) if wanted is None or e.name in wanted]
        )

    def load(self) -> Contents:
        """Read and check the file, and make studies of it later.

        Raises:
            PriorNotFoundError: If there is no such file.
            PriorError: If the file is damaged or not an archive.
        """
        with _refusing(self.path):
            return Contents.of(_arrays(_content(self.path)))


def starts_as_archive(path: Path) -> bool:
    """Whether a file exists and begins as an archive does."""
    try:
        return path.is_file() and read_file(path, len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        # To be said where it is opened as what it is.
        return False


# --------------------------------------------------------------------------------------------
# Writing


def _packed(arrays: Arrays) -> bytes:
    """The whole file.

    Raises:
        PriorError: If it is too large.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            # Without the time of day, the same studies make the same file.
            info = zipfile.ZipInfo(f"{name}.npy")
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    content = stream.getvalue()
    if len(content) > _MAX_FILE_BYTES:
        raise PriorError(
            f"The prior studies make {len(content):,} B, more than an archive may have "
            f"({_MAX_FILE_BYTES:,} B). Write fewer into one file."
        )
    return _HEAD.pack(MAGIC, _VERSION, len(content), hashlib.sha256(content).digest()) + content


# --------------------------------------------------------------------------------------------
# Reading


def _content(path: Path) -> bytes:
    """What follows the head, its checksum checked."""
    if not path.is_file():
        raise PriorNotFoundError(
            f"There is no file {str(path.absolute())!r}. Check the path; a relative one starts at "
            "the current directory."
        )
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        require(head.startswith(MAGIC), "it does not begin as an archive does")
        require(len(head) == _HEAD.size, "it is cut off")
        _, version, length, checksum = _HEAD.unpack(head)
        if version != _VERSION:
            raise PriorError(
                f"{path} is an archive of version {version}; this version of the package reads "
                f"{_VERSION}. Build it again from the studies."
            )
        require(length <= _MAX_FILE_BYTES, f"it is larger than {_MAX_FILE_BYTES:,} B")
        content = file.read(length + 1)
    require(len(content) == length, f"it is {'cut off' if len(content) < length else 'too long'}")
    require(hashlib.sha256(content).digest() == checksum, "its checksum is wrong")
    return content


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays, of the expected types; nothing is inflated before its size is known."""
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        expected = {f"{name}.npy" for name in DTYPES}
        require(members.keys() == expected, "it has other arrays than it should")
        require(len(archive.infolist()) == len(expected), "an array occurs twice")
        for name, dtype in DTYPES.items():
            info = members[f"{name}.npy"]
            # The others need as much memory as the file says.
            require(info.compress_type == zipfile.ZIP_DEFLATED, "it is packed in another way")
            too_large = f"{name!r} is larger than {max_bytes(name):,} B"
            require(info.file_size <= max_bytes(name) + _MAX_NPY_HEADER_BYTES, too_large)
            with archive.open(info) as file:
                require(np.lib.format.read_magic(file) == (1, 0), "it is of another NumPy")
                shape, fortran, found = np.lib.format.read_array_header_1_0(file)
                require(not fortran and found.str == dtype, f"{name!r} is of type {found.str}")
                require(len(shape) == 1, f"{name!r} has {len(shape)} axes")
                size = shape[0] * found.itemsize
                require(0 <= size <= max_bytes(name), too_large)
                # One byte more, to come to the end, where the member's own checksum is checked.
                raw = file.read(size + 1)
            require(len(raw) == size, f"{name!r} is of another length than it says")
            arrays[name] = np.frombuffer(raw, dtype=dtype)
    return arrays


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what a bad file brings about into one error that says what to do."""
    try:
        yield
    except PriorError:
        raise
    except OSError as error:
        raise PriorError(f"{path} cannot be read: {error}") from error
    except (*NONSENSE, zipfile.BadZipFile, zlib.error) as error:
        raise PriorError(
            f"{path} is damaged or is no archive of prior studies: {said(error)}. Copy it again "
            "from where it was made, or build it again from the studies."
        ) from error

"""The file format of archives and checkpoints: named arrays and a JSON document in safetensors.

The document stands in the metadata of the header, so that other tools can read both. Nothing in a
file is executed; types, sizes and a checksum over everything are verified before use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import hashlib
import json
import os
from pathlib import Path
import struct
from typing import Any, TypeVar
import zlib

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from optuna_metasampler.exceptions import MetaSamplerError


T = TypeVar("T")

VERSION = 3
"""Version of new files; checkpoints are read from version 1 on, archives from version 3 on."""

MAX_FILE_BYTES = 2**29

BAD_DATA = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""Errors that Python, NumPy, safetensors and Optuna raise on data of the wrong form."""


# --------------------------------------------------------------------------------------------
# Files


def packed(
    key: str,
    document: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    max_bytes: int = MAX_FILE_BYTES,
) -> bytes:
    """Content of a file; the same for the same input.

    Args:
        key: Entry of the metadata that holds the document; tells kinds of files apart.
        document: Everything that is not an array; JSON, without the keys ``version`` and
            ``sha256``.
        arrays: Named arrays.
        max_bytes: Limit on the size of the file.

    Raises:
        ValueError: If the file would be larger.
    """
    document = {**document, "version": VERSION}
    text = json.dumps({**document, "sha256": _digest(arrays, document)}, sort_keys=True)
    # A single entry: the order of several would be random.
    content: bytes = save(dict(arrays), metadata={key: text})
    _check_size(len(content), max_bytes)
    return content


def unpacked(
    path: Path, key: str, max_bytes: int = MAX_FILE_BYTES
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Document and arrays of a file, see :func:`packed`.

    Raises:
        FileNotFoundError: If there is no such file.
        Exception: One of ``BAD_DATA``, if the file is damaged, of another kind or version.
        OSError: If the file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        _check_size(size, max_bytes)
        content = file.read(size)
    database = content.startswith(b"SQLite format 3\0")
    require(not database, "it is an SQLite database, which is used as it is")
    arrays = load(content)
    (length,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    require(key in metadata, "it does not contain the metadata of this package")
    document = instance(json.loads(metadata[key]), dict)
    version = document.get("version")
    require(
        type(version) is int and 1 <= version <= VERSION,
        f"it is of version {version!r}, and this version of the package reads up to {VERSION}",
    )
    if version == 1:  # of checkpoints: without a checksum of the document
        intact = document.pop("tensors") == _digest(arrays)
    else:
        intact = document.pop("sha256") == _digest(arrays, document)
    require(intact, "its checksum is wrong")
    return document, arrays


def first_bytes(key: str) -> bytes:
    """What follows the length of the header, at byte 8, in every file with this key."""
    return f'{{"__metadata__":{{"{key}":'.encode()


@contextmanager
def refusing(path: Path, kind: type[MetaSamplerError], what: str, remedy: str) -> Iterator[None]:
    """Raise ``kind`` in place of any error that a bad file causes.

    Args:
        path: The file.
        kind: The class of the error raised.
        what: What the file should be, such as ``"a checkpoint"``.
        remedy: What the user can do, as a sentence.
    """
    try:
        yield
    except MetaSamplerError:
        raise
    except (*BAD_DATA, OSError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else described(error)
        raise kind(f"{path} cannot be read as {what}: {reason}. {remedy}") from error


def _digest(arrays: Mapping[str, NDArray[Any]], document: object = None) -> str:
    """SHA-256 of names, types, shapes and values, and of the document."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    if document is not None:
        digest.update(json.dumps(document, sort_keys=True).encode())
    return digest.hexdigest()


def _check_size(size: int, limit: int) -> None:
    require(size <= limit, f"it has {size:,} bytes, more than the limit of {limit:,}")


# --------------------------------------------------------------------------------------------
# Checks


def require(condition: bool, otherwise: str) -> None:
    """Raise a ``ValueError`` with this message unless the condition holds."""
    if not condition:
        raise ValueError(otherwise)


def instance(value: Any, kind: type[T]) -> T:
    """The value, if it is of a type.

    Raises:
        ValueError: If it is not.
    """
    require(isinstance(value, kind), f"it has {type(value).__name__} in place of {kind.__name__}")
    checked: T = value
    return checked


def described(error: BaseException) -> str:
    """Message of an error, or its type if it has none."""
    return str(error) or type(error).__name__

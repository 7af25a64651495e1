"""Reads archives of format version 1, which early versions of this package wrote.

A head of fixed length (magic bytes, version, length and SHA-256 of the rest), then an ``.npz``. To
be removed after one release.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
import struct
from typing import Any
import zipfile
import zlib

import numpy as np
from numpy.typing import NDArray

from optuna_metasampler.packing import MAX_FILE_BYTES, require


MAGIC = b"\x93PRIOR\r\n"

_HEAD = struct.Struct("<8sIQ32s")
_MAX_ARRAY_BYTES = 2**28
_ARRAYS = (
    *("layout", "number", "state", "start", "complete", "n_values"),
    *("values", "params", "reported", "step", "intermediate", "document"),
)


def read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Document and arrays of a file, in the form of the current version.

    Raises:
        Exception: One of ``BAD_DATA``.
        OSError: If the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        require(len(head) == _HEAD.size, "it is truncated")
        _, version, length, checksum = _HEAD.unpack(head)
        require(version == 1, f"it is of version {version}")
        require(length <= MAX_FILE_BYTES, f"it has {length:,} bytes")
        content = file.read(length + 1)
    require(len(content) == length, "it is truncated or has trailing bytes")
    require(hashlib.sha256(content).digest() == checksum, "its checksum is wrong")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = {name: _array(archive, name) for name in _ARRAYS}
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from error
    document = json.loads(arrays.pop("document").tobytes().decode("utf-8"))
    # Version 2 counts the intermediate values of each trial, in place of naming the trial of each.
    reported, n_trials = arrays.pop("reported"), len(arrays["layout"])
    ordered = not len(reported) or bool((np.diff(reported.astype(np.int64)) >= 0).all())
    require(ordered, "its intermediate values are not in the order of the trials")
    require(not len(reported) or reported[-1] < n_trials, "an intermediate value has no trial")
    counts = np.bincount(reported, minlength=n_trials)
    require(not n_trials or int(counts.max()) < 256, "a trial has too many intermediate values")
    return document, {**arrays, "n_reports": counts.astype(np.uint8)}


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """One array; never inflated beyond the limit, whatever size the file declares."""
    info = archive.getinfo(f"{name}.npy")
    # Other methods need as much memory as the file asks for.
    require(info.compress_type == zipfile.ZIP_DEFLATED, "it is compressed in an unknown way")
    require(info.file_size <= _MAX_ARRAY_BYTES, f"{name!r} is too large")
    with archive.open(info) as file:
        require(np.lib.format.read_magic(file) == (1, 0), f"{name!r} is of an unknown version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        require(len(shape) == 1 and not fortran and not dtype.hasobject, f"{name!r} is no column")
        raw = file.read(info.file_size + 1)
    require(len(raw) == shape[0] * dtype.itemsize, f"the length of {name!r} is wrong")
    return np.frombuffer(raw, dtype=dtype)

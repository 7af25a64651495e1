"""Files of arrays and a JSON document: exact, deterministic, and refused if damaged."""

from __future__ import annotations

import json
from pathlib import Path
import struct
from typing import Any

import numpy as np
import pytest

from optuna_metasampler._file_format import BAD_DATA, packed, refusing, unpacked
from optuna_metasampler.exceptions import CheckpointError


KEY = "kind-of-file"
DOCUMENT: dict[str, Any] = {"name": "ä\x00\ud800", "numbers": [1, 2.5, None, 1e300]}
ARRAYS = {"b": np.arange(6, dtype="<i8").reshape(2, 3), "a": np.array(0.5), "empty": np.zeros(0)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(packed(KEY, DOCUMENT, ARRAYS))
    return path


def raw(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def test_a_file_is_read_as_it_was_written(path: Path) -> None:
    document, arrays = unpacked(path, KEY)
    assert document == {**DOCUMENT, "version": 3}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_the_same_input_makes_the_same_file(path: Path) -> None:
    turned = dict(reversed(DOCUMENT.items())), dict(reversed(ARRAYS.items()))
    assert packed(KEY, *turned) == path.read_bytes()


def test_other_tools_can_read_it(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        assert json.loads(file.metadata()[KEY])["numbers"] == DOCUMENT["numbers"]
        np.testing.assert_array_equal(file.get_tensor("b"), ARRAYS["b"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "header"),
        (b"\x00" * 7, "header"),
        (struct.pack("<Q", 2**63), "header"),
        (struct.pack("<Q", 10**9) + b"{}", "header"),
        (raw(b"\xff\xfe{}"), "header"),
        (raw(b"[" * 1000), "header"),
        (raw(b"{}"), "metadata"),
        (raw(b'{"__metadata__": {"other": "{}"}}'), "metadata"),
        (raw(b'{"a":{"dtype":"F64","shape":[1152921504606846976],"data_offsets":[0,8]}}'), ""),
        (raw(b'{"a":{"dtype":"F64","shape":[-1],"data_offsets":[0,8]}}', bytes(8)), "header"),
        (raw(b'{"a":{"dtype":"O8","shape":[1],"data_offsets":[0,8]}}', bytes(8)), "header"),
        (raw(b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}', bytes(16)), ""),
        (raw(b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', bytes(16)), ""),
        (raw(b'{"__metadata__": {"kind-of-file": "[]"}}'), "list"),
        (raw(b'{"__metadata__": {"kind-of-file": "{}"}}'), "version None"),
        (raw(b'{"__metadata__": {"kind-of-file": "{\\"version\\": 4}"}}'), "version 4.*up to 3"),
        (raw(b'{"__metadata__": {"kind-of-file": "{\\"version\\": true}"}}'), "version True"),
        (raw(b'{"__metadata__": {"kind-of-file": "{\\"version\\": 2}"}}'), "sha256"),
        (raw(b'{"__metadata__": {"kind-of-file": "' + b"[" * 100_000 + b'"}}'), ""),
    ],
)
def test_a_file_of_another_form_is_refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with (
        pytest.raises(CheckpointError, match=rf"cannot be read as a file: (?s:.*){message}"),
        refusing(path, CheckpointError, "a file", "Copy it again."),
    ):
        unpacked(path, KEY)


def test_a_file_with_a_bit_flipped_in_any_byte_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for place, byte in enumerate(content):
        path.write_bytes(content[:place] + bytes([byte ^ 1 << place % 8]) + content[place + 1 :])
        with pytest.raises(BAD_DATA):
            unpacked(path, KEY)


def test_a_file_that_is_too_large_is_neither_written_nor_read(path: Path) -> None:
    size = path.stat().st_size
    assert len(packed(KEY, DOCUMENT, ARRAYS, max_bytes=size)) == size
    with pytest.raises(ValueError, match=f"{size} bytes.*limit of {size - 1}"):
        packed(KEY, DOCUMENT, ARRAYS, max_bytes=size - 1)
    with pytest.raises(ValueError, match=f"{size} bytes.*limit of {size - 1}"):
        unpacked(path, KEY, max_bytes=size - 1)

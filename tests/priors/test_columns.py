"""Cells of CSV files and DataFrames; a bad file is refused with a message."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pandas as pd
import pytest

from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.priors.table import EMPTY, is_frame, read_csv, read_frame


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_are_separated_by_what_the_first_line_has(path: Path, delimiter: str) -> None:
    path.write_text(f"a{delimiter}b\n1{delimiter}x y\n\n2{delimiter}\n")
    assert read_csv(path) == {"a": ["1", "2"], "b": ["x y", EMPTY]}


def test_a_file_as_spreadsheets_write_it_is_read(path: Path) -> None:
    path.write_bytes('\ufeffname,"two\nlines"\r\n"a, ""b""",1\r\n'.encode())
    assert read_csv(path) == {"name": ['a, "b"'], "two\nlines": ["1"]}


@pytest.mark.parametrize("text", ["", "nan", "NaN", "NA", "null", "  "])
def test_what_programs_write_for_nothing_is_an_empty_cell(path: Path, text: str) -> None:
    path.write_text(f"a,b\n{text},1\n")
    assert read_csv(path)["a"] == [EMPTY]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no row of column names"),
        (b"a,b\n1\n", "line 2 has 1 cells, but the first line names 2 columns"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells"),
        (b"a,b\n1,\x002\n", "line 2 holds a NUL byte"),
        ("a,b\n1,ä\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "NUL byte"),
        (b'a,b\n1,"2\n', "is not CSV"),
        (b"a,b,a\n1,2,3\n", "2 of its columns are called 'a'"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n", "is not CSV .*field larger than"),
        (b",".join(b"%d" % i for i in range(3000)), "3,000 columns"),
    ],
)
def test_what_is_no_table_is_refused_with_the_place(
    path: Path, content: bytes, reason: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(PriorError, match=f"(?s){reason}"):
        read_csv(path)


def test_sizes_are_bounded(path: Path) -> None:
    path.write_text("a\n" + "1\n" * 20)
    with pytest.raises(PriorError, match="more than 19 rows"):
        read_csv(path, max_rows=19)
    with pytest.raises(PriorError, match="more than 19 rows"):
        read_frame(pd.DataFrame({"a": range(20)}), max_rows=19)
    with pytest.raises(PriorError, match="42 bytes.*10"):
        read_csv(path, max_bytes=10)


def test_a_path_that_is_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PriorNotFoundError, match="there is no file"):
        read_csv(tmp_path / "nowhere.csv")
    with pytest.raises(PriorError, match="not a file"):
        read_csv(tmp_path)
    # A device has no end, and a pipe no writer.
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(PriorError, match="not a file"):
        read_csv(tmp_path / "pipe.csv")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        got = read_csv(path)
    except PriorError:
        return
    assert len({len(cells) for cells in got.values()}) == 1


def test_cells_of_a_frame_become_plain_values() -> None:
    frame = pd.DataFrame(
        {
            "int": np.array([1, 2]),
            "float": [0.5, np.nan],
            "nullable": pd.array([1, None], dtype="Int64"),
            "bool": [True, False],
            "word": ["a", None],
            "mixed": pd.Series([np.float32(0.5), "x"], dtype=object),
            "time": pd.to_datetime(["2026-01-31", None]),
            "category": pd.Categorical(["a", "b"]),
        }
    )
    got = read_frame(frame)
    expected: dict[str, list[Any]] = {
        "int": [1, 2],
        "float": [0.5, EMPTY],
        "nullable": [1, EMPTY],
        "bool": [True, False],
        "word": ["a", EMPTY],
        "mixed": [0.5, "x"],
        "category": ["a", "b"],
    }
    for name, cells in expected.items():
        assert got[name] == cells
        plain = {int, float, bool, str, type(EMPTY)}
        assert {type(cell) for cell in got[name]} <= plain, name
    assert got["time"][0].year == 2026
    assert got["time"][1] is EMPTY


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(PriorError, match="2 of its columns are called 'a'"):
        read_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize("value", [{"a": [1]}, [1], "a.csv", 3, None, pd.Series([1])])
def test_other_things_are_no_frames(value: object) -> None:
    assert not is_frame(value)

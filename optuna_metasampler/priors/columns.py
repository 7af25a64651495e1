"""Columns of cells, read from CSV files and DataFrames.

A CSV file from a stranger can at worst be refused: it is read as text, sizes are bounded, and
nothing in it is evaluated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import csv
import io
from pathlib import Path
from typing import Any, TypeAlias

from optuna_metasampler.exceptions import PriorError, PriorNotFoundError


# Far above what 1,000 studies of 100 trials need, and low enough to be read into memory.
MAX_BYTES = 256 * 1024 * 1024
MAX_ROWS = 1_000_000
MAX_COLUMNS = 2_000

# What pandas, R and spreadsheets write where there is nothing.
_EMPTY = frozenset({"", "nan", "na", "n/a", "null"})


class Text(str):
    """A cell of a text file: it may mean a number, a truth value or a word."""

    __slots__ = ()


class _Empty:
    """An empty cell; ``None`` may be a choice."""


EMPTY = _Empty()

Columns: TypeAlias = "dict[str, list[Any]]"
"""Name to cells, all of one length: ``EMPTY``, :class:`Text`, or plain Python values."""


def is_frame(value: object) -> bool:
    """Whether ``value`` is a DataFrame, of pandas or of a library that resembles it."""
    return all(hasattr(type(value), name) for name in ("columns", "__getitem__", "to_dict"))


def read_csv(path: Path) -> Columns:
    """Read a CSV file: a row of names, then the cells; separated by comma, semicolon or tab.

    Raises:
        PriorNotFoundError: If there is no such file.
        PriorError: If it is not CSV, not UTF-8, or too large.
    """
    if not path.exists():
        raise PriorNotFoundError(
            f"`prior` names {str(path)!r}, but there is no file {str(path.absolute())!r}. Check "
            "the path; a relative one starts at the current directory."
        )
    if not path.is_file():
        raise _refused(path, "it is not a file")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _refused(
                path, f"it has {path.stat().st_size:,} bytes, and {MAX_BYTES:,} are read at most"
            )
        content = path.read_bytes()
    except OSError as error:
        raise _refused(path, f"it cannot be opened ({error})") from error
    if b"\x00" in content:
        line = content[: content.index(b"\x00")].count(b"\n") + 1
        raise _refused(path, f"line {line} holds a NUL byte; save it as CSV in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refused(path, f"line {line} is not UTF-8; save it as CSV in UTF-8") from error
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = next(rows, [])
        _check_names(path, names)
        cells: list[list[Any]] = [[] for _ in names]
        for row in rows:
            if not row:
                continue
            if len(row) != len(names):
                raise _refused(
                    path,
                    f"line {rows.line_num} has {len(row)} cells, and the first line names "
                    f"{len(names)} columns",
                )
            for column, cell in zip(cells, row, strict=True):
                column.append(EMPTY if cell.strip().lower() in _EMPTY else Text(cell.strip()))
            _check_rows(path, len(cells[0]))
    except csv.Error as error:
        raise _refused(path, f"line {rows.line_num} is not CSV ({error})") from error
    return dict(zip(names, cells, strict=True))


def read_frame(frame: Any) -> Columns:
    """Read a DataFrame.

    Raises:
        PriorError: If it is too large, or two columns have one name.
    """
    labels = list(frame.columns)
    # Two levels are joined as `trials_dataframe()` joins them.
    names = [
        "_".join(filter(None, map(str, lb))) if isinstance(lb, tuple) else str(lb) for lb in labels
    ]
    _check_names("the DataFrame", names)
    _check_rows("the DataFrame", len(frame))
    return {
        name: [_plain(cell) for cell in frame[label].to_list()]
        for name, label in zip(names, labels, strict=True)
    }


def _plain(cell: Any) -> Any:
    """A cell of a DataFrame as a plain Python value."""
    if cell is None:
        return EMPTY
    if hasattr(cell, "to_pydatetime"):
        return cell.to_pydatetime() if cell == cell else EMPTY  # noqa: PLR0124
    if hasattr(cell, "item"):
        cell = cell.item()
    try:
        return cell if bool(cell == cell) else EMPTY  # noqa: PLR0124  # NaN
    except (TypeError, ValueError):  # pandas' NA has no truth value, nor has an array
        return EMPTY if type(cell).__name__ == "NAType" else cell


def _check_names(source: object, names: Sequence[str]) -> None:
    if not names:
        raise _refused(source, "it has no row of column names")
    if len(names) > MAX_COLUMNS:
        raise _refused(
            source, f"it has {len(names):,} columns, and {MAX_COLUMNS:,} are read at most"
        )
    name, n = Counter(names).most_common(1)[0]
    if n > 1:
        raise _refused(source, f"{n} of its columns are called {name!r}")


def _check_rows(source: object, n: int) -> None:
    if n > MAX_ROWS:
        raise _refused(source, f"it has more than {MAX_ROWS:,} rows, the most that are read")


def _refused(source: object, reason: str) -> PriorError:
    shown = repr(str(source)) if isinstance(source, Path) else str(source)
    return PriorError(f"`prior` names {shown}, which cannot be read as a table: {reason}.")

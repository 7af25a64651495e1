"""Tables of trials, one trial per row, as Optuna and other tools write them.

CSV files are read as text: sizes are bounded, and nothing in them is evaluated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
import csv
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from fnmatch import fnmatchcase
import io
import json
import math
from pathlib import Path
import re
from typing import Any, Literal, TypeAlias, TypedDict

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._text import counted, listed, shortened
from optuna_metasampler._warnings import warn
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import choice_key


# Far above what 1,000 studies of 100 trials need, and low enough to be read into memory.
_MAX_BYTES = 256 * 1024 * 1024
_MAX_ROWS = 1_000_000
_MAX_COLUMNS = 2_000

# Missing values as pandas, R and spreadsheets write them.
_NULLS = frozenset({"", "nan", "na", "n/a", "null"})
# What else stands for no value among numbers; among words it may be a choice.
_NO_NUMBERS = _NULLS | {"none", "nil", "#n/a", "-", "--", "?"}


class Text(str):
    """A cell of a text file, still to be parsed as a number, a Boolean or a word."""

    __slots__ = ()


class _Empty:
    """Type of :data:`EMPTY`, an empty cell; ``None`` is not used, for it may be a choice."""


EMPTY = _Empty()

Columns: TypeAlias = "dict[str, list[Any]]"
"""Column name to cells, all of one length: ``EMPTY``, :class:`Text`, or plain Python values."""

Scale: TypeAlias = (
    "Literal['log', 'linear', 'categorical'] | BaseDistribution | Mapping[str, Any] | None"
)
"""How a parameter was sampled, see :class:`Table`."""

Direction: TypeAlias = "Literal['minimize', 'maximize']"

SCALES = ("log", "linear", "categorical")
# Of uniform numbers from zero up, a tenth lie below a tenth of the largest. Of logarithmic ones
# over two decades, a tenth lie below a sixtieth.
_LOG_RATIO = 30.0
_MAX_EXACT_INT = 2**53
_WORDS = {
    **dict.fromkeys(("True", "true", "TRUE"), True),
    **dict.fromkeys(("False", "false", "FALSE"), False),
    "None": None,
}
_MAX_CHOICES = 1_000
# Above, a column of numbers and a few words is one of numbers: words are rare, or numbers many.
_MAX_SHARE_OF_WORDS, _MAX_WORDS_AMONG_FEW = 0.1, 0.2
_MANY_NUMBERS = 10
_MAX_SHARE_OF_FAILED = 0.9
# 1,000 and 1,234,567.8, and the decimal comma of other languages.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
_MAX_NAMES_SHOWN = 12

# How the columns of parameters begin in the tables of MLflow, Weights & Biases and Ray Tune.
_PARAMETER_PREFIXES = ("params.", "config.", "config/")
# What tools call the columns of a run's state and times, in lower case and with underscores, and
# the states in which a run has no result.
_STATE_COLUMNS = ("state", "status", "run_status")
_START_COLUMNS = ("datetime_start", "start_time", "started_at", "created", "created_at")
_END_COLUMNS = ("datetime_complete", "end_time", "ended_at", "finished_at", "timestamp")
_WITHOUT_RESULT = frozenset(
    {
        "aborted",
        "canceled",
        "cancelled",
        "crash",
        "crashed",
        "error",
        "errored",
        "fail",
        "failed",
        "invalid",
        "killed",
        "paused",
        "pending",
        "preempted",
        "preempting",
        "queued",
        "running",
        "scheduled",
        "stopping",
        "timeout",
    }
)
# Times as numbers are seconds, or from here on milliseconds, since 1970.
_MILLISECONDS = 1e11


@dataclass(frozen=True, eq=False)
class Table:
    """A table of trials: one row per trial, with its parameters and its objective values.

    A table in the format of :meth:`~optuna.study.Study.trials_dataframe` (``value`` or
    ``values_*``, ``params_*``, ``state``, ...) needs no other argument. For any other table, name
    the columns of the objective and of the parameters. All arguments can be strings, lists and
    dictionaries, so that they can stand in a configuration file.

    The distribution of a parameter is inferred from its whole column, over all studies, unless it
    is given: integers, floats or choices (words, ``True``, ``False``, ``None``), in the range of
    the values; on a log scale if all numbers are positive and the largest is more than 30 times
    their first decile. An empty cell, or "none" among numbers, means that the trial did not have
    the parameter. "12.5%" is the number 12.5, or 0.125 beside fractions; "1,000" is a number too.

    A row is a failed trial without an objective or with an infinite one, and where a column called
    "state" or "status" says that the run failed, crashed or still runs. Times are read from a
    column such as "created" or "start_time".

    An odd cell costs its row, not the table: where nearly all cells of a parameter are numbers,
    rows with a word are left out; a word in place of an objective ("diverged") is a failed trial.
    A row of a file with too many or too few cells is left out. One warning counts them.

    Args:
        data: A DataFrame (of pandas, or of a library with its interface), or the path of a CSV
            file: UTF-8; comma, semicolon or tab; column names in the first row.
        objective: Column of the objective, or a list of several; ``None`` in Optuna's format.
        direction: ``"minimize"`` or ``"maximize"``, one per objective. In Optuna's format ``None``
            means the direction of the running study.
        parameters: Columns of the parameters, or globs such as ``"config.*"``, or a mapping from
            these to how each was sampled:
            ``"log"``, ``"linear"``, ``"categorical"``, a distribution of Optuna, its short form
            ``{"type": "int", "low": 1, "high": 8, "log": False}`` or ``{"type": "categorical",
            "choices": ["a", "b"]}``, or ``None`` to infer it. In Optuna's format, names are given
            without ``params_``, and ``None`` means all. In other tables, ``None`` means all
            columns that begin with ``params.`` (MLflow), ``config.`` (Weights & Biases) or
            ``config/`` (Ray Tune), without this prefix.
        study: Column of the study's name; ``None`` if all rows belong to one study.
        name: Name of the study, or prefix of the studies' names; by default the name of the file.
        strip_prefix: Beginning of the columns of parameters, such as ``"config."``, that does not
            belong to the parameters' names.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a direction or a scale is unknown, or ``objective`` comes without
            ``direction``.

    Example:
        >>> table = Table(
        ...     "runs.csv",
        ...     objective="val_loss",
        ...     direction="minimize",
        ...     parameters={"lr": "log", "layers": None, "optimizer": None},
        ...     study="data_set",
        ... )
        >>> sampler = MetaSampler(table)  # doctest: +SKIP
    """

    data: Any
    _: KW_ONLY
    objective: str | Sequence[str] | None = None
    direction: Direction | Sequence[Direction] | None = None
    parameters: Sequence[str] | Mapping[str, Scale] | None = None
    study: str | None = None
    name: str | None = None
    strip_prefix: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.data, (str, Path)) and not is_frame(self.data):
            raise TypeError(
                "`data` must be a DataFrame or the path of a CSV file, but got "
                f"{type(self.data).__name__}."
            )
        if isinstance(self.parameters, str) or not isinstance(
            self.parameters, (Sequence, Mapping, type(None))
        ):
            raise TypeError(
                "`parameters` must be a list of columns, or a mapping from columns to how each "
                f"was sampled, but got {self.parameters!r}."
            )
        for argument in ("study", "name", "strip_prefix"):
            value = getattr(self, argument)
            if not isinstance(value, (str, type(None))):
                raise TypeError(f"`{argument}` must be a name, but got {value!r}.")
        for direction in _as_list(self.direction):
            if direction not in ("minimize", "maximize"):
                raise ValueError(
                    f"`direction` must be 'minimize' or 'maximize', but got {direction!r}."
                )
        n_objectives = len(_as_list(self.objective))
        if self.objective is not None and len(_as_list(self.direction)) != n_objectives:
            raise ValueError(
                "`direction` must be 'minimize' or 'maximize', one per objective, but got "
                f"{self.direction!r} for the objective {self.objective!r}."
            )
        for name, scale in self._scales.items():
            _given_distribution(name, scale)

    @property
    def label(self) -> str:
        """Name of the study, or prefix of the studies' names."""
        if self.name is not None:
            return self.name
        return Path(self.data).stem if isinstance(self.data, (str, Path)) else "table"

    def study_names(self) -> list[str]:
        """Names of the studies; reads the table.

        Raises:
            PriorNotFoundError: If there is no such file.
            PriorError: If the table cannot be read, or lacks a column.
        """
        odd = _OddCells(self.label)
        columns = self._read(odd)
        _Form.of(self, columns)
        return list(self._rows(columns, odd))

    def n_rows(self) -> int:
        """Number of rows of data, also of those that are left out; reads the table.

        Raises:
            PriorNotFoundError: If there is no such file.
            PriorError: If the table cannot be read.
        """
        odd = _OddCells(self.label)
        return len(next(iter(self._read(odd).values()))) + odd.n_ragged

    def studies(self) -> list[PriorStudy]:
        """The studies; reads the table.

        Trials have dates where a table in Optuna's format gives them, and none otherwise.

        Returns:
            The studies, in the order of their first rows.

        Raises:
            PriorNotFoundError: If there is no such file.
            PriorError: If the table cannot be read, lacks a column, or has a cell of the wrong
                kind.
        """
        odd = _OddCells(self.label)
        columns = self._read(odd)
        form = _Form.of(self, columns)
        params = {}
        for name, column in form.parameters.items():
            cells = columns[column]
            if self.objective is not None:
                # Not Optuna's strings, which are meant as such, but those of tools that keep
                # every parameter as a string, or of pandas beside a word.
                cells = [Text(c.strip()) if isinstance(c, str) else c for c in cells]
            given = _given_distribution(name, form.scales.get(name))
            params[name] = _parameter(column, cells, given, odd)
        outcomes = form.outcomes(columns, odd)
        directions = (
            tuple(StudyDirection[d.upper()] for d in _as_list(self.direction))
            if self.direction is not None
            else None
        )
        studies = [
            PriorStudy(
                name,
                directions,
                tuple(
                    form.trial(columns, params, outcomes, i, n)
                    for n, i in enumerate(rows)
                    if i not in odd.rows
                ),
            )
            for name, rows in self._rows(columns, odd).items()
        ]
        odd.warn()
        return studies

    @property
    def _scales(self) -> dict[str, Scale]:
        if isinstance(self.parameters, Mapping):
            return dict(self.parameters)
        return dict.fromkeys(self.parameters or ())

    def _read(self, odd: _OddCells) -> Columns:
        if not isinstance(self.data, (str, Path)):
            return read_frame(self.data)
        columns, ragged = read_csv(Path(self.data))
        odd.note_ragged(ragged)
        return columns

    def _rows(self, columns: Columns, odd: _OddCells) -> dict[str, list[int]]:
        """Row numbers of each study."""
        if self.study is None:
            return {self.label: list(range(len(next(iter(columns.values())))))}
        rows: dict[str, list[int]] = {}
        cells = columns[self.study]
        odd.leave_out(
            self.study,
            {i: cell for i, cell in enumerate(cells) if cell is EMPTY},
            len(cells),
            "the name of a study",
        )
        for i, cell in enumerate(cells):
            if cell is not EMPTY:
                name = str(cell) if self.name is None else f"{self.name}/{cell}"
                rows.setdefault(name, []).append(i)
        return rows


class _TableData(TypedDict):
    data: Any


class TableOptions(_TableData, total=False):
    """Arguments of :class:`Table` as a mapping, as a configuration file gives them."""

    objective: str | Sequence[str] | None
    direction: Direction | Sequence[Direction] | None
    parameters: Sequence[str] | Mapping[str, Scale] | None
    study: str | None
    name: str | None
    strip_prefix: str | None


class _OddCells:
    """Cells of the wrong kind, which cost their rows.

    Args:
        table: What the table is called.

    Attributes:
        rows: Rows that are left out.
        n_ragged: Number of further rows, which have another number of cells than the others.
    """

    def __init__(self, table: str) -> None:
        self.rows: set[int] = set()
        self.n_ragged = 0
        self._table = table
        self._notes: list[str] = []

    def leave_out(
        self, column: str, cells: Mapping[int, Any], n: int, wanted: str, fail: bool = False
    ) -> None:
        """Leave rows out.

        Args:
            column: The column that the cells are in.
            cells: The cells by row.
            n: Number of all cells of the column that are not empty.
            wanted: What the column must hold.
            fail: Whether the rows are failed trials instead.

        Raises:
            PriorError: If these are no exceptions, but at least half of the cells, or nearly all
                that could be failed trials: the column is the wrong one.
        """
        if not cells:
            return
        row = min(cells)
        got = "an empty cell" if cells[row] is EMPTY else shortened(repr(cells[row]))
        if len(cells) >= n * (_MAX_SHARE_OF_FAILED if fail else 0.5):
            raise _refused(column, row, got, wanted)
        if not fail:
            self.rows |= cells.keys()
        many = counted(len(cells), "cell does not", "cells do not")
        effect = "count as failed trials" if fail else "are left out"
        self._notes.append(
            f"the column {column!r} must hold {wanted}, but {many}, the first of them in data row "
            f"{row + 1} with {got}; such rows {effect}"
        )

    def note_ragged(self, lines: Sequence[int]) -> None:
        """Note the lines of rows that have another number of cells than the others."""
        self.n_ragged = len(lines)
        if lines:
            many = counted(len(lines), "row has", "rows have")
            self._notes.append(
                f"{many} too many or too few cells, the first of them in line {lines[0]}; such "
                "rows are left out"
            )

    def warn(self) -> None:
        """Warn of all of them at once, if there are any."""
        if self._notes:
            warn(
                f"The table {self._table!r} has odd cells: {'. Also, '.join(self._notes)}. "
                "Correct or empty these cells to silence this warning."
            )


@dataclass(frozen=True)
class _Outcomes:
    """What each row says about its trial's end.

    Attributes:
        values: One list an objective; ``None`` where there is no number.
        states: The states.
        starts: Start times.
        ends: Completion times.
    """

    values: list[list[float | None]]
    states: list[TrialState]
    starts: list[datetime | None]
    ends: list[datetime | None]


@dataclass(frozen=True)
class _Form:
    """The role of each column.

    Attributes:
        objectives: Columns of the objectives.
        parameters: Name of the parameter to its column.
        user_attrs: Name of the attribute to its column.
        scales: How each parameter was sampled, by its name.
        foreign: Whether another tool than Optuna wrote the table.
        state: Column of the trial's state.
        start: Column of the start time.
        end: Column of the completion time.
    """

    objectives: tuple[str, ...]
    parameters: dict[str, str]
    user_attrs: dict[str, str]
    scales: dict[str, Scale]
    foreign: bool
    state: str | None = None
    start: str | None = None
    end: str | None = None

    @classmethod
    def of(cls, table: Table, columns: Columns) -> _Form:
        """The columns that a table names, or those of Optuna's format.

        Raises:
            PriorError: If a column is missing.
        """
        if table.objective is not None:
            form = cls._of_another_tool(table, columns)
        else:
            form = cls._of_optuna(table, columns)
        needed = [*form.objectives, *form.parameters.values()]
        for column in needed if table.study is None else [*needed, table.study]:
            if column not in columns:
                raise PriorError(
                    f"The table {table.label!r} has no column {column!r}. It has "
                    f"{_shown(columns)}."
                )
        return form

    @classmethod
    def _of_another_tool(cls, table: Table, columns: Columns) -> _Form:
        objectives = tuple(_as_list(table.objective))
        other = {*objectives, table.study}
        patterns, prefix = table._scales, table.strip_prefix or ""
        if table.parameters is None:
            known_prefix = _known_prefix(table, columns)
            patterns, prefix = {f"{known_prefix}*": None}, table.strip_prefix or known_prefix
        own = {*other, *patterns}

        def called(names: Sequence[str]) -> str | None:
            """The column of one of these names that has no other role."""
            known = {c.lower().replace(" ", "_"): c for c in columns if c not in own}
            return next((known[name] for name in names if name in known), None)

        roles = [called(n) for n in (_STATE_COLUMNS, _START_COLUMNS, _END_COLUMNS)]
        scales: dict[str, Scale] = {}
        for name, scale in patterns.items():
            if name in columns or not _is_glob(name):
                scales[name] = scale
                continue
            found = [
                c for c in columns if fnmatchcase(c, name) and c not in other and c not in roles
            ]
            if not found:
                raise PriorError(
                    f"The table {table.label!r} has no column for a parameter like {name!r}. It "
                    f"has {_shown(columns)}."
                )
            for column in found:
                # A column that is named by itself has its own scale.
                if column not in patterns:
                    scales[column] = scale
        parameters = {column.removeprefix(prefix): column for column in scales}
        if len(parameters) < len(scales):
            raise PriorError(
                f"Without the prefix {prefix!r}, two parameters of the table {table.label!r} have "
                f"one name. Its columns are {_shown(columns)}."
            )
        by_name = {column.removeprefix(prefix): scale for column, scale in scales.items()}
        return cls(objectives, parameters, {}, by_name, True, *roles)

    @classmethod
    def _of_optuna(cls, table: Table, columns: Columns) -> _Form:
        objectives = [c for c in columns if c == "value" or c.startswith(("value_", "values_"))]
        params = {c[7:]: c for c in columns if c.startswith("params_")}
        if not objectives or not params:
            raise PriorError(
                f"The table {table.label!r} is not in the format of `study.trials_dataframe()`: "
                f"it has the columns {_shown(columns)}. Name the columns: Table(data, "
                "objective='loss', direction='minimize', parameters=['lr', 'depth'])."
            )
        if table.parameters is not None:
            params = {name: f"params_{name}" for name in table._scales}
        if table.direction is not None and len(_as_list(table.direction)) != len(objectives):
            raise PriorError(
                f"`direction` must have one entry for each of the columns {_shown(objectives)}, "
                f"but got {table.direction!r}."
            )
        state, start, end = (
            column if column in columns else None
            for column in ("state", "datetime_start", "datetime_complete")
        )
        attrs = {c[11:]: c for c in columns if c.startswith("user_attrs_")}
        return cls(tuple(objectives), params, attrs, table._scales, False, state, start, end)

    def outcomes(self, columns: Columns, odd: _OddCells) -> _Outcomes:
        """What the columns of objectives, state and times say."""
        n = len(next(iter(columns.values())))
        states = ", ".join(s.name for s in TrialState)
        time = "a time such as 2026-01-31 12:00:00"

        def converted(column: str | None, convert: Callable[[Any], Any], wanted: str) -> list[Any]:
            if column is None:
                return [None] * n
            return _converted(column, columns[column], convert, wanted, odd, empty=None)

        values = [_objective(c, columns[c], odd) for c in self.objectives]
        if self.foreign:
            empty: list[Any] = [EMPTY] * n
            starts, ends = (
                [_known_moment(cell) for cell in columns.get(column or "", empty)]
                for column in (self.start, self.end)
            )
            ran = [_has_result(cell) for cell in columns.get(self.state or "", empty)]
            return _Outcomes(
                [[v if v is not None and math.isfinite(v) else None for v in c] for c in values],
                [TrialState.COMPLETE if done else TrialState.FAIL for done in ran],
                starts,
                ends,
            )
        found = converted(self.state, _state, f"one of {states}")
        return _Outcomes(
            values,
            [TrialState.COMPLETE if self.state is None else s or TrialState.FAIL for s in found],
            converted(self.start, _moment, time),
            converted(self.end, _moment, time),
        )

    def trial(
        self,
        columns: Columns,
        params: Mapping[str, tuple[BaseDistribution | None, list[Any]]],
        outcomes: _Outcomes,
        row: int,
        number: int,
    ) -> FrozenTrial:
        """The trial of one row."""
        values = [of_objective[row] for of_objective in outcomes.values]
        state = outcomes.states[row]
        known = [v for v in values if v is not None]
        if len(known) < len(values) and state == TrialState.COMPLETE:
            state = TrialState.FAIL
        pruned = state == TrialState.PRUNED and len(known) == 1
        values_of: dict[str, Any] = {}
        distributions: dict[str, BaseDistribution] = {}
        for name, (distribution, cells) in params.items():
            if distribution is not None and cells[row] is not EMPTY:
                values_of[name], distributions[name] = cells[row], distribution
        attrs = {name: columns[c][row] for name, c in self.user_attrs.items()}
        return FrozenTrial(
            number=number,
            trial_id=number,
            state=state,
            value=None,
            values=known if state == TrialState.COMPLETE or pruned else None,
            # The table has a pruned trial's last value, but not its step.
            intermediate_values={0: known[0]} if pruned else {},
            datetime_start=outcomes.starts[row],
            datetime_complete=outcomes.ends[row],
            params=values_of,
            distributions=distributions,
            user_attrs={k: _parsed(v) for k, v in attrs.items() if v is not EMPTY},
            system_attrs={},
        )


def _given_distribution(name: str, scale: Scale) -> BaseDistribution | str | None:
    """A given distribution, one of ``SCALES``, or ``None`` to infer it.

    Raises:
        ValueError: If ``scale`` is anything else.
    """
    if scale is None or isinstance(scale, BaseDistribution) or scale in SCALES:
        return scale
    if isinstance(scale, Mapping):
        try:
            return json_to_distribution(json.dumps(dict(scale)))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"`parameters` must give {name!r} as a distribution such as {{'type': 'float', "
                f"'low': 0, 'high': 1}}, but got {scale!r}: {error!r}"
            ) from error
    raise ValueError(
        f"`parameters` must give {name!r} as one of {', '.join(map(repr, SCALES))}, a "
        f"distribution or None, but got {scale!r}."
    )


def _parameter(
    column: str, cells: list[Any], given: BaseDistribution | str | None, odd: _OddCells
) -> tuple[BaseDistribution | None, list[Any]]:
    """Distribution and values of a column; no distribution if all cells are empty."""
    if isinstance(given, CategoricalDistribution):
        return given, _choices(column, cells, given, odd)
    if isinstance(given, (FloatDistribution, IntDistribution)):
        return given, _numbers_within(column, cells, given, odd)
    if given != "categorical":
        numbers = _as_numbers(cells)
        if given is not None or _are_numbers(cells, numbers):
            return _numeric(column, _without_words(column, numbers, odd, given), given, odd)
    values: list[Any] = [cell if cell is EMPTY else _parsed(cell) for cell in cells]
    choices = {choice_key(v): v for v in values if v is not EMPTY}
    if not choices:
        return None, values
    if len(choices) > _MAX_CHOICES:
        raise PriorError(
            f"The column {column!r} has {len(choices):,} different values, more than "
            f"the limit of {_MAX_CHOICES:,} choices. Check that it is a parameter."
        )
    return CategoricalDistribution([*choices.values()]), values


def _are_numbers(cells: Sequence[Any], numbers: Sequence[Any]) -> bool:
    """Whether a column is one of numbers, with odd cells at most.

    Args:
        cells: Its cells.
        numbers: The cells as :func:`_as_numbers` reads them.
    """
    known = [v for v in numbers if _is_number(v)]
    n = sum(v is not EMPTY for v in numbers)
    if len(known) == n:
        # Without a number, "none" is a choice.
        return n > 0 and not all(map(_is_string_of_number, cells))
    n_words = n - len(known)
    if len(set(known)) > _MANY_NUMBERS:
        return 2 * n_words < n
    return n_words <= max(1, _MAX_SHARE_OF_WORDS * n) and n_words <= _MAX_WORDS_AMONG_FEW * n


def _is_string_of_number(cell: Any) -> bool:
    """Whether a cell is empty, or a string that is meant as such and is that of a number."""
    string = isinstance(cell, str) and not isinstance(cell, Text)
    return cell is EMPTY or (string and _is_number(_parsed(Text(cell.strip()))))


def _without_words(
    column: str, numbers: Sequence[Any], odd: _OddCells, given: object
) -> list[Any]:
    """Numbers and empty cells of a column; rows with anything else are left out."""
    words = {i: v for i, v in enumerate(numbers) if v is not EMPTY and not _is_number(v)}
    n = sum(v is not EMPTY for v in numbers)
    odd.leave_out(column, words, n, "a number" if given is None else f"a number ({given})")
    return [EMPTY if i in words else v for i, v in enumerate(numbers)]


def _numeric(
    column: str, values: list[Any], given: object, odd: _OddCells
) -> tuple[BaseDistribution | None, list[Any]]:
    values = [v if v is EMPTY or math.isfinite(v) else EMPTY for v in values]
    if given == "log":
        low = {i: v for i, v in enumerate(values) if v is not EMPTY and v <= 0}
        n = sum(v is not EMPTY for v in values)
        odd.leave_out(column, low, n, "a positive number (log)")
        values = [EMPTY if i in low else v for i, v in enumerate(values)]
    present = sorted(v for v in values if v is not EMPTY)
    if not present:
        return None, values
    low, high = present[0], present[-1]
    log = given == "log" or (
        given is None
        and low > 0
        and high > _LOG_RATIO * present[min(len(present) // 10 + 1, len(present) - 1)]
    )
    if all(float(v).is_integer() and abs(v) <= _MAX_EXACT_INT for v in present):
        whole = [v if v is EMPTY else int(v) for v in values]
        return IntDistribution(int(low), int(high), log=log), whole
    numbers = [v if v is EMPTY else float(v) for v in values]
    return FloatDistribution(float(low), float(high), log=log), numbers


def _choices(
    column: str, cells: list[Any], given: CategoricalDistribution, odd: _OddCells
) -> list[Any]:
    """Choices of the cells; an empty cell is ``None`` if that is a choice."""
    by_text = {str(choice): choice for choice in reversed(given.choices)}
    known = {choice_key(choice): choice for choice in given.choices}

    def choice(cell: Any) -> Any:
        if isinstance(cell, Text) and str(cell) in by_text:
            return by_text[str(cell)]
        if choice_key(_parsed(cell)) not in known:
            raise ValueError
        return known[choice_key(_parsed(cell))]

    empty = None if None in given.choices else EMPTY
    return _converted(column, cells, choice, f"one of {_shown(given.choices)}", odd, empty)


def _numbers_within(
    column: str, cells: list[Any], given: FloatDistribution | IntDistribution, odd: _OddCells
) -> list[Any]:
    kind = int if isinstance(given, IntDistribution) else float

    def within(value: Any) -> Any:
        if not _is_number(value) or not given.low <= value <= given.high:
            raise ValueError
        return kind(value)

    numbers = _as_numbers(cells, (given.low, given.high))
    wanted = f"a number from {given.low!r} to {given.high!r}"
    return _converted(column, numbers, within, wanted, odd, EMPTY, cells)


def _objective(column: str, cells: list[Any], odd: _OddCells) -> list[float | None]:
    """Values of an objective; ``None`` where a trial has none."""
    numbers = _as_numbers(cells)
    words = {i: cells[i] for i, v in enumerate(numbers) if v is not EMPTY and not _is_number(v)}
    n = sum(v is not EMPTY for v in numbers)
    odd.leave_out(column, words, n, "a number", fail=True)
    return [None if v is EMPTY or i in words else float(v) for i, v in enumerate(numbers)]


def _converted(
    column: str,
    cells: Sequence[Any],
    convert: Callable[[Any], Any],
    wanted: str,
    odd: _OddCells,
    empty: Any,
    shown: Sequence[Any] | None = None,
) -> list[Any]:
    """The cells of a column, converted; rows that cannot be are left out.

    Args:
        column: The column.
        cells: Its cells.
        convert: Converts a cell that is not empty, or raises a ``ValueError``.
        wanted: What the column must hold.
        odd: Gets the others.
        empty: What stands for an empty cell.
        shown: The cells as messages show them, if not ``cells``.
    """
    values, others = [], {}
    for row, cell in enumerate(cells):
        value = empty
        if cell is not EMPTY:
            try:
                value = convert(cell)
            except (ValueError, OverflowError):
                others[row] = (shown or cells)[row]
        values.append(value)
    odd.leave_out(column, others, sum(cell is not EMPTY for cell in cells), wanted)
    return values


def _as_numbers(cells: Sequence[Any], within: tuple[float, float] | None = None) -> list[Any]:
    """The cells of a column of numbers: numbers, ``EMPTY``, and the other cells unchanged.

    Percentages stay as they are written, for the ranks of an objective, and a parameter called
    "dropout in %", are those of the numbers that a person sees. They become fractions where the
    other numbers of the column are, or where only then they are in the range that is given.

    Args:
        cells: The cells.
        within: Range of the numbers, if it is known.
    """
    texts = [str(cell) for cell in cells if isinstance(cell, str)]
    comma = _comma_means(texts)
    numbers: list[Any] = []
    percentages: dict[int, float] = {}
    for row, cell in enumerate(cells):
        value = cell
        if isinstance(cell, str):
            text = cell.strip().replace("\N{MINUS SIGN}", "-")
            number = _parsed(Text(text.removesuffix("%").rstrip().replace(",", comma)))
            if text.lower() in _NO_NUMBERS:
                value = EMPTY
            elif _is_number(number):
                value = number
                if text.endswith("%"):
                    percentages[row] = number
        elif cell is not EMPTY:
            value = _parsed(cell)
        numbers.append(value)
    if percentages:
        bare = [abs(v) for i, v in enumerate(numbers) if i not in percentages and _is_number(v)]
        beside_fractions = bool(bare) and max(bare) <= 1 < max(map(abs, percentages.values()))
        if beside_fractions or (within is not None and _only_as_fractions(percentages, within)):
            for row, value in percentages.items():
                numbers[row] = value / 100
    return numbers


def _only_as_fractions(percentages: Mapping[int, float], within: tuple[float, float]) -> bool:
    low, high = within
    values = percentages.values()
    return all(low <= v / 100 <= high for v in values) and not all(
        low <= v <= high for v in values
    )


def _comma_means(texts: Iterable[str]) -> str:
    """What replaces the commas within the numbers of a column: nothing, a point or themselves."""
    # Of a column with odd cells, what most of its commas are decides.
    with_comma = [t.strip().removesuffix("%").rstrip() for t in texts if "," in t]
    numbers = [t for t in with_comma if _THOUSANDS.fullmatch(t) or _DECIMAL_COMMA.fullmatch(t)]
    if not numbers:
        return ","
    return "" if all(_THOUSANDS.fullmatch(t) for t in numbers) else "."


def _known_prefix(table: Table, columns: Columns) -> str:
    """How a known tool begins the columns of parameters, in a table that does not name them.

    Raises:
        PriorError: If no column begins like this.
    """
    for prefix in _PARAMETER_PREFIXES:
        if any(column.startswith(prefix) for column in columns):
            return prefix
    raise PriorError(
        f"`parameters` must name the columns of the parameters: no column of the table "
        f"{table.label!r} begins with {', '.join(_PARAMETER_PREFIXES)}. It has {_shown(columns)}."
    )


def _is_glob(name: str) -> bool:
    return any(c in name for c in "*?[")


def _has_result(cell: Any) -> bool:
    """Whether a run came to its end, by what a tool says of its state."""
    return str(cell).strip().lower() not in _WITHOUT_RESULT


def _known_moment(cell: Any) -> datetime | None:
    """A time as any tool writes it; ``None`` if it cannot be read, which costs no row."""
    try:
        number = None if isinstance(cell, datetime) else float(str(cell))
    except ValueError:
        number = None
    try:
        if number is not None:
            return datetime.fromtimestamp(number / 1e3 if number >= _MILLISECONDS else number)
        # Python 3.10 does not know the Z of UTC.
        return _moment(cell if isinstance(cell, datetime) else str(cell).replace("Z", "+00:00"))
    except (ValueError, OverflowError, OSError):
        return None


def _state(cell: Any) -> TrialState:
    try:
        return TrialState[str(cell).removeprefix("TrialState.").upper()]
    except KeyError:
        raise ValueError from None


def _moment(cell: Any) -> datetime:
    """Local time without a zone, as Optuna stores it."""
    moment = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell))
    return moment.astimezone().replace(tzinfo=None) if moment.tzinfo else moment


def _parsed(cell: Any) -> Any:
    """Parsed value of a cell that is not empty: a number, a Boolean, ``None`` or a word."""
    if not isinstance(cell, Text):
        plain = isinstance(cell, (bool, float)) or (isinstance(cell, int) and abs(cell) < 2**63)
        return cell if plain else str(cell)
    text = str(cell)
    if text in _WORDS:
        return _WORDS[text]
    # Python would accept underscores between digits.
    if "_" in text:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    whole = text.lstrip("+-").isdecimal() and abs(number) <= _MAX_EXACT_INT
    return int(text) if whole else number


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _as_list(value: str | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _refused(column: str, row: int, got: str, wanted: str) -> PriorError:
    return PriorError(
        f"The column {column!r} of a table must hold {wanted}, but data row {row + 1} "
        f"has {got if len(got) <= 60 else got[:57] + '...'}."
    )


def _shown(names: Iterable[object]) -> str:
    return listed(map(repr, names), _MAX_NAMES_SHOWN)


# --------------------------------------------------------------------------------------------
# Reading columns


def is_frame(value: object) -> bool:
    """Whether ``value`` is a DataFrame, of pandas or of a library that resembles it."""
    return all(hasattr(type(value), name) for name in ("columns", "__getitem__", "to_dict"))


def read_csv(
    path: Path, max_bytes: int = _MAX_BYTES, max_rows: int = _MAX_ROWS
) -> tuple[Columns, list[int]]:
    """Columns of a CSV file: a row of names, then the cells; comma, semicolon or tab.

    Returns:
        The columns, and the lines of the rows that have another number of cells, which are not
        among them.

    Raises:
        PriorNotFoundError: If there is no such file.
        PriorError: If it is not CSV, not UTF-8, or too large, or most rows have another number of
            cells than the first line.
    """
    text = _text_of(path, max_bytes)
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = next(rows, [])
        _check_names(path, names)
        cells: list[list[Any]] = [[] for _ in names]
        ragged: dict[int, int] = {}
        for row in rows:
            if not row:
                continue
            if len(row) != len(names):
                ragged[rows.line_num] = len(row)
                continue
            for column, cell in zip(cells, row, strict=True):
                column.append(EMPTY if cell.strip().lower() in _NULLS else Text(cell.strip()))
            _check_rows(path, len(cells[0]), max_rows)
    except csv.Error as error:
        raise _unreadable(path, f"line {rows.line_num} is not CSV ({error})") from error
    if ragged and len(ragged) >= len(cells[0]):
        line, n = next(iter(ragged.items()))
        raise _unreadable(
            path, f"line {line} has {n} cells, but the first line names {len(names)} columns"
        )
    return dict(zip(names, cells, strict=True)), list(ragged)


def _text_of(path: Path, max_bytes: int) -> str:
    """The text of a file; errors as in :func:`read_csv`."""
    if not path.exists():
        raise PriorNotFoundError(
            f"`prior` names {str(path)!r}, but there is no file {str(path.absolute())!r}. Check "
            "the path; a relative one starts at the current directory."
        )
    if not path.is_file():
        raise _unreadable(path, "it is not a file")
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise _unreadable(path, f"it has {size:,} bytes, more than the limit of {max_bytes:,}")
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, f"it cannot be opened ({error})") from error
    if b"\x00" in content:
        line = content[: content.index(b"\x00")].count(b"\n") + 1
        raise _unreadable(path, f"line {line} holds a NUL byte; save it as CSV in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _unreadable(path, f"line {line} is not UTF-8; save it as CSV in UTF-8") from error


def read_frame(frame: Any, max_rows: int = _MAX_ROWS) -> Columns:
    """Columns of a DataFrame.

    Raises:
        PriorError: If it is too large, or two columns have one name.
    """
    labels = list(frame.columns)
    # Two levels are joined as `trials_dataframe()` joins them.
    names = [
        "_".join(filter(None, map(str, lb))) if isinstance(lb, tuple) else str(lb) for lb in labels
    ]
    _check_names("the DataFrame", names)
    _check_rows("the DataFrame", len(frame), max_rows)
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
        raise _unreadable(source, "it has no row of column names")
    if len(names) > _MAX_COLUMNS:
        raise _unreadable(
            source, f"it has {len(names):,} columns, more than the limit of {_MAX_COLUMNS:,}"
        )
    name, n = Counter(names).most_common(1)[0]
    if n > 1:
        raise _unreadable(source, f"{n} of its columns are called {name!r}")


def _check_rows(source: object, n: int, limit: int) -> None:
    if n > limit:
        raise _unreadable(source, f"it has more than {limit:,} rows, the limit")


def _unreadable(source: object, reason: str) -> PriorError:
    shown = repr(str(source)) if isinstance(source, Path) else str(source)
    return PriorError(f"`prior` names {shown}, which cannot be read as a table: {reason}.")

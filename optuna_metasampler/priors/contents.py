"""Prior studies as columns: one array for each thing that trials have, and one JSON document.

The arrays hold all studies, one after the other; the document holds what is no number: names,
distributions, and the sequences of parameters (layouts) of which every trial has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
import json
import math
import struct
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._optuna import constraint_attributes
from optuna_metasampler._runtime import gc_paused
from optuna_metasampler.exceptions import PriorError
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import choice_key


_T = TypeVar("_T")
Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"

DOCUMENT = "document"
# Every array has one axis. Those of one value a trial come first.
_PER_TRIAL = {
    "layout": "<u4",
    "number": "<i8",
    "state": "|u1",
    "start": "<i8",
    "complete": "<i8",
    "n_values": "<u4",
}
DTYPES = {
    **_PER_TRIAL,
    "values": "<f8",
    # The bits of a float, an integer, or the index of a choice, as the distribution says.
    "params": "<u8",
    # Intermediate values: which trial, which step, which value.
    "reported": "<u4",
    "step": "<i8",
    "intermediate": "<f8",
    DOCUMENT: "|u1",
}

_REPORTS = ("reported", "step", "intermediate")

# What a stranger's file may ask of this machine: far above what is of use to the sampler.
_MAX_DOCUMENT_BYTES = 2**25
_MAX_STUDIES = 100_000
_MAX_TRIALS = 2_000_000
_MAX_VALUES = 20_000_000

_MAX_REPORTS_PER_TRIAL = 32
"""Of longer learning curves this many points are kept, closest together at the start."""

_STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)
_NO_DATE = int(np.iinfo(np.int64).min)
_FIRST_DATE, _LAST_DATE = ((d - _EPOCH) // _MICROSECOND for d in (datetime.min, datetime.max))

NONSENSE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What Python, NumPy and Optuna raise when they are handed nonsense."""


@dataclass(frozen=True)
class Entry:
    """One study of an archive, as it is listed.

    Attributes:
        name: Name of the study.
        directions: Its directions; ``None`` for bare trials.
        n_trials: Its number of finished trials.
        user_attrs: What its owner has noted about it.
        key: Identifies the state of the study that was read; ``None`` where nobody has to know.
    """

    name: str
    directions: tuple[StudyDirection, ...] | None
    n_trials: int
    user_attrs: Mapping[str, Any]
    key: str | None


@dataclass(frozen=True)
class Contents:
    """Checked columns; trials are made only of the studies that are asked for.

    Attributes:
        entries: The studies.
        origin: Where they come from.
        arrays: The columns.
        layouts: Sequences of parameters; each trial has one of them.
        constraints: Constraint attributes by index of the trial, for those that have any.
    """

    entries: tuple[Entry, ...]
    origin: str
    arrays: Arrays
    layouts: tuple[dict[str, BaseDistribution], ...]
    constraints: Mapping[int, dict[str, Any]]

    @classmethod
    def of(cls, arrays: Arrays) -> Contents:
        """Check that the columns fit together, so that nothing is wrong later.

        Args:
            arrays: One for each name in ``DTYPES``, of one axis and of that type.

        Raises:
            Exception: One of ``NONSENSE``.
        """
        document = json.loads(arrays[DOCUMENT].tobytes().decode("utf-8"))
        entries = tuple(_entry(each) for each in document["studies"])
        n_trials = sum(entry.n_trials for entry in entries)
        require(len(entries) <= _MAX_STUDIES, f"it has more than {_MAX_STUDIES:,} studies")
        require(n_trials <= _MAX_TRIALS, f"it has more than {_MAX_TRIALS:,} trials")

        names = [_instance(name, str) for name in document["names"]]
        distributions = [_distribution(each) for each in document["distributions"]]
        layouts = []
        for pairs in document["layouts"]:
            layout = {names[_index(n)]: distributions[_index(d)] for n, d in pairs}
            require(len(layout) == len(pairs), "a parameter is listed twice")
            layouts.append(layout)
        constraints = {_index(i): _constraint(c) for i, c in document["constraints"]}
        origin = _instance(document["origin"], str)

        for name in _PER_TRIAL:
            require(len(arrays[name]) == n_trials, f"{name!r} is not of {n_trials} trials")
        require(_below(arrays["layout"], len(layouts)), "a trial has an unknown layout")
        require(_below(arrays["state"], len(_STATES)), "a trial has an unknown state")
        for name in ("start", "complete"):
            moments = arrays[name][arrays[name] != _NO_DATE]
            inside = (moments >= _FIRST_DATE) & (moments <= _LAST_DATE)
            require(bool(inside.all()), f"{name!r} holds no date")
        n_values = int(arrays["n_values"].sum(dtype=np.int64))
        require(n_values == len(arrays["values"]), "the number of values is wrong")
        for name in ("step", "intermediate"):
            require(len(arrays[name]) == len(arrays["reported"]), f"{name!r} is of another length")
        require(_below(arrays["reported"], n_trials), "an intermediate value has no trial")

        contents = cls(entries, origin, arrays, tuple(layouts), constraints)
        n_params = int(contents._n_params.sum())
        require(n_params == len(arrays["params"]), "the number of parameters is wrong")
        for layout, _, bits in contents._by_layout(np.arange(n_trials)):
            for j, distribution in enumerate(layout.values()):
                if isinstance(distribution, CategoricalDistribution):
                    known = _below(bits[:, j], len(distribution.choices))
                    require(known, "a trial has an unknown choice")
        return contents

    def studies(self, chosen: Sequence[int]) -> list[PriorStudy]:
        """Make studies of some of the entries, given by their indexes."""
        sizes = [entry.n_trials for entry in self.entries]
        ends = np.cumsum(sizes, dtype=np.int64)
        parts = [np.arange(ends[i] - sizes[i], ends[i]) for i in chosen]
        with gc_paused():
            trials = iter(self._trials(np.concatenate([np.arange(0), *parts])))
            return [
                PriorStudy(
                    name=entry.name,
                    directions=entry.directions,
                    trials=tuple(next(trials) for _ in range(entry.n_trials)),
                    user_attrs=entry.user_attrs,
                )
                for entry in (self.entries[i] for i in chosen)
            ]

    def _trials(self, rows: NDArray[np.int64]) -> list[FrozenTrial]:
        layouts = [self.layouts[code] for code in self.arrays["layout"][rows].tolist()]
        states = [_STATES[code] for code in self.arrays["state"][rows].tolist()]
        intermediate = self._intermediate()
        columns = zip(
            rows.tolist(),
            self.arrays["number"][rows].tolist(),
            states,
            self._values(rows),
            self.arrays["start"][rows].astype("datetime64[us]").tolist(),
            self.arrays["complete"][rows].astype("datetime64[us]").tolist(),
            self._params(rows),
            layouts,
            strict=True,
        )
        return [
            FrozenTrial(
                number=number,
                state=state,
                value=None,
                values=values,
                datetime_start=start,
                datetime_complete=complete,
                params=params,
                # Shared by the trials of a layout: nobody changes the trials of a prior study.
                distributions=layout,
                user_attrs={},
                system_attrs=self.constraints.get(row, {}),
                intermediate_values=intermediate.get(row, {}),
                trial_id=number,
            )
            for row, number, state, values, start, complete, params, layout in columns
        ]

    @property
    def _n_params(self) -> NDArray[np.int64]:
        """Number of parameters of each trial."""
        sizes = np.array([len(layout) for layout in self.layouts], dtype=np.int64)
        return sizes[self.arrays["layout"]]

    def _by_layout(
        self, rows: NDArray[np.int64]
    ) -> Iterator[tuple[dict[str, BaseDistribution], NDArray[np.int64], NDArray[np.uint64]]]:
        """Layouts, the places in ``rows`` of the trials that have each, and their parameters.

        The parameters are ``(n, p)`` for ``n`` trials and ``p`` parameters of the layout.
        """
        first = np.cumsum(self._n_params) - self._n_params
        code = self.arrays["layout"][rows]
        order = np.argsort(code, kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
            if len(places):
                layout = self.layouts[code[places[0]]]
                bits = first[rows[places]][:, None] + np.arange(len(layout))
                yield layout, places, self.arrays["params"][bits]

    def _params(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        params: list[dict[str, Any]] = [{} for _ in range(len(rows))]
        for layout, places, bits in self._by_layout(rows):
            columns = [_unpacked(bits[:, j], d) for j, d in enumerate(layout.values())]
            for place, values in zip(places.tolist(), zip(*columns, strict=True), strict=False):
                params[place] = dict(zip(layout, values, strict=True))
        return params

    def _values(self, rows: NDArray[np.int64]) -> list[list[float] | None]:
        counts = self.arrays["n_values"].astype(np.int64)
        ends = np.cumsum(counts)
        values = self.arrays["values"].tolist()
        spans = zip((ends - counts)[rows].tolist(), ends[rows].tolist(), strict=True)
        return [values[a:b] or None for a, b in spans]

    def _intermediate(self) -> dict[int, dict[int, float]]:
        columns = [self.arrays[name].tolist() for name in _REPORTS]
        curves: dict[int, dict[int, float]] = {}
        for row, step, value in zip(*columns, strict=True):
            curves.setdefault(row, {})[step] = value
        return curves


def max_bytes(name: str) -> int:
    """The most bytes that a column may have."""
    if name == DOCUMENT:
        return _MAX_DOCUMENT_BYTES
    n = _MAX_VALUES if name in ("values", "params", *_REPORTS) else _MAX_TRIALS
    return n * np.dtype(DTYPES[name]).itemsize


def require(condition: bool, otherwise: str) -> None:
    """Raise a ``ValueError`` that says what is wrong."""
    if not condition:
        raise ValueError(otherwise)


def said(error: BaseException) -> str:
    """What an error says; some say nothing."""
    return str(error) or type(error).__name__


# --------------------------------------------------------------------------------------------
# From studies


def columns_of(
    studies: Sequence[PriorStudy], keys: Sequence[str | None], origin: str
) -> dict[str, NDArray[Any]]:
    """The columns of studies.

    Args:
        studies: Prior studies. Trials that are not finished are left out.
        keys: A key for each, see :class:`Entry`.
        origin: Where they come from.

    Raises:
        PriorError: If a study cannot be expressed, or they are beyond the limits.
    """
    columns: dict[str, list[Any]] = {name: [] for name in DTYPES if name != DOCUMENT}
    names: dict[str, int] = {}
    kinds: dict[object, tuple[int, dict[object, int]]] = {}
    distributions: list[str] = []
    layouts: dict[tuple[tuple[int, int], ...], int] = {}
    constraints: list[tuple[int, dict[str, Any]]] = []
    entries: list[dict[str, Any]] = []

    def add(t: FrozenTrial) -> None:
        pairs = []
        for name, distribution in t.distributions.items():
            kind = _kind(distribution)
            if kind not in kinds:
                kinds[kind] = (len(kinds), _index_of_choice(distribution))
                distributions.append(distribution_to_json(_plain(distribution)))
                _distribution(distributions[-1])
            code, index = kinds[kind]
            pairs.append((names.setdefault(name, len(names)), code))
            columns["params"].append(_bits(t.params[name], distribution, index))
        row = len(columns["layout"])
        columns["layout"].append(layouts.setdefault(tuple(pairs), len(layouts)))
        columns["number"].append(t.number)
        columns["state"].append(_STATES.index(t.state))
        columns["start"].append(_moment(t.datetime_start))
        columns["complete"].append(_moment(t.datetime_complete))
        columns["n_values"].append(len(t.values or ()))
        columns["values"] += t.values or ()
        for step in _thinned(t.intermediate_values):
            columns["reported"].append(row)
            columns["step"].append(step)
            columns["intermediate"].append(t.intermediate_values[step])
        attributes = constraint_attributes(t)
        if attributes:
            constraints.append((row, attributes))

    for study, key in zip(studies, keys, strict=True):
        finished = [t for t in study.trials if t.state.is_finished()]
        try:
            for t in finished:
                add(t)
            directions = None if study.directions is None else [d.name for d in study.directions]
            # What JSON cannot say is to be found out here, where the study's name is known.
            user_attrs = json.loads(json.dumps(dict(study.user_attrs)))
        except NONSENSE as error:
            raise PriorError(
                f"The prior study {study.name!r} cannot be archived: {said(error)}. Leave it out."
            ) from error
        entries.append(
            {
                "name": study.name,
                "directions": directions,
                "n_trials": len(finished),
                "user_attrs": user_attrs,
                "key": key,
            }
        )
    document = {
        "studies": entries,
        "names": list(names),
        "distributions": distributions,
        "layouts": list(layouts),
        "constraints": constraints,
        "origin": origin,
    }
    try:
        require(len(entries) <= _MAX_STUDIES, f"there are more than {_MAX_STUDIES:,} studies")
        require(
            len(columns["layout"]) <= _MAX_TRIALS, f"there are more than {_MAX_TRIALS:,} trials"
        )
        text = json.dumps(document, separators=(",", ":")).encode("utf-8")
        arrays = {name: np.array(column, dtype=DTYPES[name]) for name, column in columns.items()}
        arrays[DOCUMENT] = np.frombuffer(text, dtype=DTYPES[DOCUMENT])
        for name, array in arrays.items():
            require(
                array.nbytes <= max_bytes(name), f"{name!r} is larger than {max_bytes(name)} B"
            )
    except NONSENSE as error:
        raise PriorError(
            f"The prior studies cannot be archived: {said(error)}. Write fewer into one file."
        ) from error
    return arrays


def _thinned(steps: Iterable[int]) -> list[int]:
    """At most 32 of the steps, in order, the first and the last among them.

    Their places are spread evenly on a logarithmic scale: curves turn at their start.
    """
    ordered = sorted(steps)
    if len(ordered) <= _MAX_REPORTS_PER_TRIAL:
        return ordered
    places = np.geomspace(1, len(ordered), _MAX_REPORTS_PER_TRIAL).round().astype(int) - 1
    return [ordered[place] for place in np.unique(places).tolist()]


def _kind(distribution: BaseDistribution) -> object:
    """Equal for equal distributions only; ``True`` and ``1`` are two choices."""
    if isinstance(distribution, CategoricalDistribution):
        return tuple(choice_key(choice) for choice in distribution.choices)
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        integer = isinstance(distribution, IntDistribution)
        return integer, distribution.low, distribution.high, distribution.log, distribution.step
    raise TypeError(f"{type(distribution).__name__} is no distribution of Optuna")


def _plain(distribution: BaseDistribution) -> BaseDistribution:
    """The same distribution by its present name: Optuna warns of those that it had before."""
    d = distribution
    if isinstance(d, FloatDistribution):
        return FloatDistribution(d.low, d.high, log=d.log, step=d.step)
    if isinstance(d, IntDistribution):
        return IntDistribution(d.low, d.high, log=d.log, step=d.step)
    return d


def _index_of_choice(distribution: BaseDistribution) -> dict[object, int]:
    """Choices by :func:`~optuna_metasampler.space.choice_key`; empty for numbers."""
    if not isinstance(distribution, CategoricalDistribution):
        return {}
    for choice in distribution.choices:
        if not isinstance(choice, (type(None), bool, int, float, str)):
            raise TypeError(f"the choice {choice!r} is neither a number nor a text")
    return {choice_key(choice): i for i, choice in enumerate(distribution.choices)}


def _bits(value: Any, distribution: BaseDistribution, index: Mapping[object, int]) -> int:
    """A parameter's value as 64 bits."""
    if isinstance(distribution, FloatDistribution):
        bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
        return bits
    if isinstance(distribution, IntDistribution):
        if not -(2**63) <= value < 2**63:
            raise OverflowError(f"the integer {value} does not fit in 64 bits")
        return int(value) % 2**64
    if choice_key(value) not in index:
        raise LookupError(f"{value!r} is none of its choices")
    return index[choice_key(value)]


def _moment(date: datetime | None) -> int:
    """Microseconds since 1970, local time as Optuna has it."""
    if date is None:
        return _NO_DATE
    if date.tzinfo is not None:
        raise ValueError(f"the date {date} has a time zone, which Optuna's own have not")
    return (date - _EPOCH) // _MICROSECOND


# --------------------------------------------------------------------------------------------
# To studies


def _entry(each: Mapping[str, Any]) -> Entry:
    directions, key = each["directions"], each["key"]
    return Entry(
        name=_instance(each["name"], str),
        directions=None if directions is None else tuple(StudyDirection[d] for d in directions),
        n_trials=_index(each["n_trials"]),
        user_attrs=_instance(each["user_attrs"], dict),
        key=None if key is None else _instance(key, str),
    )


def _distribution(text: str) -> BaseDistribution:
    distribution = json_to_distribution(text)
    # Optuna takes anything for a choice, and warns, and integers of any length.
    _index_of_choice(distribution)
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        ends = (float(distribution.low), float(distribution.high))
        require(all(map(math.isfinite, ends)), f"{text} has no finite range")
    return distribution


def _unpacked(bits: NDArray[np.uint64], distribution: BaseDistribution) -> list[Any]:
    """The values of one parameter."""
    if isinstance(distribution, CategoricalDistribution):
        return [distribution.choices[i] for i in bits.tolist()]
    integer = isinstance(distribution, IntDistribution)
    values = np.ascontiguousarray(bits).view(np.int64 if integer else np.float64)
    return list(values.tolist())


def _constraint(attributes: object) -> dict[str, Any]:
    for key, value in _instance(attributes, dict).items():
        numbers = value if isinstance(value, list) else [value]
        require(key.startswith("constraints"), f"a trial has the attribute {key!r}")
        require(all(isinstance(v, (int, float)) for v in numbers), f"{key!r} is no number")
    return _instance(attributes, dict)


def _below(indexes: NDArray[Any], n: int) -> bool:
    return not len(indexes) or int(indexes.max()) < n


def _instance(value: Any, kind: type[_T]) -> _T:
    require(isinstance(value, kind), f"it has {type(value).__name__} in place of {kind.__name__}")
    checked: _T = value
    return checked


def _index(value: Any) -> int:
    """A non-negative integer: Python would take a negative one for a place from the end."""
    require(type(value) is int and value >= 0, f"it has {value!r} in place of an index")
    index: int = value
    return index

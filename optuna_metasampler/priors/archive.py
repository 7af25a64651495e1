"""Archives: files of prior studies that are small, quick and safe to read.

A file in the format of :mod:`optuna_metasampler.packing`. Its arrays are columns over the trials
of all studies, one study after the other; its document holds names, distributions, and the layouts
(sequences of parameters), of which every trial has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import json
import math
from pathlib import Path
import struct
from typing import Any, TypeAlias

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
from optuna_metasampler._runtime import gc_paused, replace_file
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.packing import (
    BAD_DATA,
    described,
    first_bytes,
    instance,
    packed,
    refusing,
    require,
    unpacked,
)
from optuna_metasampler.priors import archive_v1
from optuna_metasampler.priors.storages import read_file
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import choice_key


Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"

SUFFIX = ".metaprior"
"""The usual suffix of an archive's name; any other is accepted."""

COLUMNS = {
    # One value per trial.
    "layout": "<u4",
    "number": "<i8",
    "state": "|u1",
    "start": "<i8",
    "complete": "<i8",
    "n_values": "<u4",
    "n_reports": "|u1",
    # ``n_values`` per trial.
    "values": "<f8",
    # One per parameter of the trial: the bits of a float, an integer, or the index of a choice.
    "params": "<u8",
    # ``n_reports`` per trial.
    "step": "<i8",
    "intermediate": "<f8",
}
_PER_TRIAL = tuple(COLUMNS)[:7]

KEY = "optuna-metasampler-archive"
_STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)
_NO_DATE = int(np.iinfo(np.int64).min)
_FIRST_DATE, _LAST_DATE = ((d - _EPOCH) // _MICROSECOND for d in (datetime.min, datetime.max))

_MAX_REPORTS_PER_TRIAL = 32
"""Longer learning curves are thinned to this many points, closest together at the start."""


MAX_TRIALS = 2_000_000
"""Far above what helps the sampler; bounds the memory that a file can take."""


@dataclass(frozen=True)
class Entry:
    """One study of an archive, as it is listed.

    Attributes:
        name: Name of the study.
        directions: Its directions; ``None`` for bare trials.
        n_trials: Number of finished trials.
        user_attrs: User attributes of the study.
        key: Identifies the state of the study that was read; ``None`` outside the cache.
    """

    name: str
    directions: tuple[StudyDirection, ...] | None
    n_trials: int
    user_attrs: Mapping[str, Any]
    key: str | None


@dataclass(frozen=True)
class Archive:
    """A file of prior studies, for ``MetaSampler(prior=...)``.

    It holds the finished trials of each study: number, state, parameters with their distributions,
    values, start and completion times, intermediate values (32 at most, including the first and
    the last), and constraints; and the name, directions and user attributes of the study. It does
    **not** hold waiting or running trials, nor any other attribute of a trial.

    Attributes:
        path: Path of the file.
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
        max_trials: int = MAX_TRIALS,
    ) -> Archive:
        """Write studies into a file, in place of an existing one.

        The file is replaced atomically: a concurrent reader finds the old or the new one, whole.

        Args:
            path: The file.
            studies: Studies to write. Unfinished trials are left out.
            keys: A key for each study, see :class:`Entry`.
            origin: Where the studies come from, shown when the archive is listed.
            max_trials: Limit on the number of trials.

        Raises:
            PriorError: If a study cannot be stored, or a limit of the format is exceeded.
            OSError: If the file cannot be written.
        """
        archive = cls(path)
        columns = _Columns()
        entries = [
            columns.add_study(study, key)
            for study, key in zip(studies, keys or [None] * len(studies), strict=True)
        ]
        try:
            _check_size(columns.n_trials, max_trials)
            content = packed(KEY, columns.document(entries, origin), columns.arrays())
        except BAD_DATA as error:
            raise PriorError(
                f"The prior studies cannot be archived: {described(error)}. Write fewer into one "
                "file."
            ) from error
        replace_file(archive.path, content)
        return archive

    def entries(self) -> tuple[Entry, ...]:
        """The studies of the archive; errors as in :meth:`load`."""
        return self.load().entries

    def read(self, names: Sequence[str] | None = None) -> list[PriorStudy]:
        """Read studies.

        Args:
            names: Names of the studies; all by default.

        Returns:
            The studies in the order of the file; errors as in :meth:`load`.
        """
        contents = self.load()
        wanted = None if names is None else set(names)
        return contents.studies(
            [i for i, e in enumerate(contents.entries) if wanted is None or e.name in wanted]
        )

    def load(self, max_trials: int = MAX_TRIALS) -> Contents:
        """Read and verify the file; its studies are made later.

        Args:
            max_trials: Limit on the number of trials.

        Raises:
            PriorNotFoundError: If there is no such file.
            PriorError: If the file is damaged or not an archive.
        """
        if not self.path.is_file():
            raise PriorNotFoundError(
                f"There is no file {str(self.path.absolute())!r}. Check the path; a relative one "
                "starts at the current directory."
            )
        remedy = "Copy it again, or build it again with `optuna-metasampler archive build`."
        with refusing(self.path, PriorError, "an archive of prior studies", remedy):
            if _head(self.path).startswith(archive_v1.MAGIC):
                return Contents.of(*archive_v1.read(self.path), max_trials)
            return Contents.of(*unpacked(self.path, KEY), max_trials)


def starts_as_archive(path: Path) -> bool:
    """Whether a file exists and begins as an archive does."""
    try:
        head = _head(path) if path.is_file() else b""
    except (OSError, ValueError):
        # Reported where the file is opened as what it is.
        return False
    return head.startswith(archive_v1.MAGIC) or head[8:].startswith(first_bytes(KEY))


def _head(path: Path) -> bytes:
    return read_file(path, 8 + len(first_bytes(KEY)))


# --------------------------------------------------------------------------------------------
# Reading


@dataclass(frozen=True)
class Contents:
    """Verified columns of an archive; trials are made only of the studies asked for.

    Attributes:
        entries: The studies.
        origin: Where they come from.
        arrays: The columns, see ``COLUMNS``.
        layouts: Sequences of parameters; each trial has one of them.
        constraints: Constraint attributes by index of the trial, for those that have any.
        n_params: Number of parameters of each trial.
    """

    entries: tuple[Entry, ...]
    origin: str
    arrays: Arrays
    layouts: tuple[dict[str, BaseDistribution], ...]
    constraints: Mapping[int, dict[str, Any]]
    n_params: NDArray[np.int64]

    @classmethod
    def of(cls, document: Mapping[str, Any], arrays: Arrays, max_trials: int) -> Contents:
        """Verify that document and arrays are consistent, so that later steps cannot fail.

        Raises:
            Exception: One of ``BAD_DATA``.
        """
        entries = tuple(_entry(each) for each in document["studies"])
        n_trials = sum(entry.n_trials for entry in entries)
        _check_size(n_trials, max_trials)

        names = [instance(name, str) for name in document["names"]]
        distributions = [_distribution(each) for each in document["distributions"]]
        layouts = []
        for pairs in document["layouts"]:
            layout = {names[_index(n)]: distributions[_index(d)] for n, d in pairs}
            require(len(layout) == len(pairs), "a parameter is listed twice")
            layouts.append(layout)
        constraints = {_index(i): _constraint(c) for i, c in document["constraints"]}
        origin = instance(document["origin"], str)

        require(arrays.keys() == COLUMNS.keys(), "it has other arrays than it should")
        for name, dtype in COLUMNS.items():
            array = arrays[name]
            fits = array.dtype.str == dtype and array.ndim == 1
            require(fits, f"{name!r} is of type {array.dtype.str} and shape {array.shape}")
        for name in _PER_TRIAL:
            require(len(arrays[name]) == n_trials, f"{name!r} is not of {n_trials} trials")
        require(_below(arrays["layout"], len(layouts)), "a trial has an unknown layout")
        require(_below(arrays["state"], len(_STATES)), "a trial has an unknown state")
        for name in ("start", "complete"):
            moments = arrays[name][arrays[name] != _NO_DATE]
            inside = (moments >= _FIRST_DATE) & (moments <= _LAST_DATE)
            require(bool(inside.all()), f"{name!r} contains an invalid date")

        sizes = np.array([len(layout) for layout in layouts], dtype=np.int64)
        n_params = sizes[arrays["layout"]]
        for name, counts in (
            ("values", arrays["n_values"]),
            ("params", n_params),
            ("step", arrays["n_reports"]),
            ("intermediate", arrays["n_reports"]),
        ):
            n = int(counts.sum(dtype=np.int64))
            require(len(arrays[name]) == n, f"{name!r} has {len(arrays[name])} entries, not {n}")
        # Limit of every parameter of every layout, and then of every trial.
        max_bits = [_max_bits(d) for layout in layouts for d in layout.values()]
        shift = (np.cumsum(sizes) - sizes)[arrays["layout"]] - (np.cumsum(n_params) - n_params)
        of_params = np.arange(len(arrays["params"])) + np.repeat(shift, n_params)
        allowed = np.array(max_bits, dtype=np.uint64)[of_params]
        require(bool((arrays["params"] <= allowed).all()), "a trial has an unknown choice")
        return cls(entries, origin, arrays, tuple(layouts), constraints, n_params)

    def studies(self, chosen: Sequence[int]) -> list[PriorStudy]:
        """The studies of some entries, given by their indices."""
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
        of_rows = {name: self.arrays[name][rows] for name in _PER_TRIAL}
        values, steps, reports = (
            self.arrays[name].tolist() for name in ("values", "step", "intermediate")
        )
        # The same bits as a float, an integer or an index.
        bits = self.arrays["params"]
        read = {kind: bits.view(kind).tolist() for kind in ("<f8", "<i8", "<u8")}
        layouts = [
            [(name, read[_type_of(d)], getattr(d, "choices", None)) for name, d in layout.items()]
            for layout in self.layouts
        ]
        params = [
            {
                name: column[i] if choices is None else choices[column[i]]
                for i, (name, column, choices) in enumerate(layouts[layout], span.start)
            }
            for layout, span in zip(
                of_rows["layout"].tolist(), _spans(self.n_params, rows), strict=True
            )
        ]
        start, complete = (
            of_rows[name].astype("datetime64[us]").tolist() for name in ("start", "complete")
        )
        value_spans = list(_spans(self.arrays["n_values"], rows))
        report_spans = list(_spans(self.arrays["n_reports"], rows))
        return [
            FrozenTrial(
                number=number,
                state=_STATES[of_rows["state"][i]],
                value=None,
                values=values[value_spans[i]] or None,
                datetime_start=start[i],
                datetime_complete=complete[i],
                params=params[i],
                # Shared by the trials of a layout: trials of prior studies are never modified.
                distributions=self.layouts[of_rows["layout"][i]],
                user_attrs={},
                system_attrs=self.constraints.get(int(rows[i]), {}),
                intermediate_values=dict(
                    zip(steps[report_spans[i]], reports[report_spans[i]], strict=True)
                ),
                trial_id=number,
            )
            for i, number in enumerate(of_rows["number"].tolist())
        ]


def _spans(counts: NDArray[Any], rows: NDArray[np.int64]) -> Iterator[slice]:
    """Each row's part of a column with ``counts`` entries per trial."""
    ends = np.cumsum(counts, dtype=np.int64)
    return map(slice, (ends - counts)[rows].tolist(), ends[rows].tolist())


def _type_of(distribution: BaseDistribution) -> str:
    """NumPy's type of the parameter's bits, see :func:`_bits`."""
    if isinstance(distribution, CategoricalDistribution):
        return "<u8"
    return "<i8" if isinstance(distribution, IntDistribution) else "<f8"


def _max_bits(distribution: BaseDistribution) -> int:
    """The largest bits that a parameter can have: the index of the last choice."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices) - 1
    return 2**64 - 1


def _check_size(n_trials: int, limit: int) -> None:
    require(n_trials <= limit, f"it has {n_trials:,} trials, more than the limit of {limit:,}")


def _entry(each: Mapping[str, Any]) -> Entry:
    directions, key = each["directions"], each["key"]
    return Entry(
        name=instance(each["name"], str),
        directions=None if directions is None else tuple(StudyDirection[d] for d in directions),
        n_trials=_index(each["n_trials"]),
        user_attrs=instance(each["user_attrs"], dict),
        key=None if key is None else instance(key, str),
    )


def _distribution(text: str) -> BaseDistribution:
    distribution = json_to_distribution(text)
    # Optuna accepts anything as a choice, with a warning, and integers of any length.
    _index_of_choice(distribution)
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        ends = (float(distribution.low), float(distribution.high))
        require(all(map(math.isfinite, ends)), f"{text} has no finite range")
    return distribution


def _constraint(attributes: object) -> dict[str, Any]:
    for key, value in instance(attributes, dict).items():
        numbers = value if isinstance(value, list) else [value]
        require(key.startswith("constraints"), f"a trial has the attribute {key!r}")
        require(all(isinstance(v, (int, float)) for v in numbers), f"{key!r} is not a number")
    return instance(attributes, dict)


def _below(indices: NDArray[Any], n: int) -> bool:
    return not len(indices) or int(indices.max()) < n


def _index(value: Any) -> int:
    """A non-negative integer; Python would count a negative one from the end."""
    require(type(value) is int and value >= 0, f"it has {value!r} in place of an index")
    index: int = value
    return index


# --------------------------------------------------------------------------------------------
# Writing


@dataclass
class _Columns:
    """Columns of the studies added so far, and the indices that their trials refer to."""

    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    names: dict[str, int] = field(default_factory=dict)
    kinds: dict[object, tuple[int, dict[object, int]]] = field(default_factory=dict)
    distributions: list[str] = field(default_factory=list)
    layouts: dict[tuple[tuple[int, int], ...], int] = field(default_factory=dict)
    constraints: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    @property
    def n_trials(self) -> int:
        return len(self.columns["layout"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: np.array(c, dtype=COLUMNS[name]) for name, c in self.columns.items()}

    def document(self, entries: Sequence[Mapping[str, Any]], origin: str) -> dict[str, Any]:
        return {
            "studies": entries,
            "names": list(self.names),
            "distributions": self.distributions,
            "layouts": list(self.layouts),
            "constraints": self.constraints,
            "origin": origin,
        }

    def add_study(self, study: PriorStudy, key: str | None) -> dict[str, Any]:
        """Add the finished trials of a study, and return its entry for the document.

        Raises:
            PriorError: If something in it cannot be stored.
        """
        finished = [t for t in study.trials if t.state.is_finished()]
        try:
            for trial in finished:
                self._add_trial(trial)
            # Attributes that are not JSON are reported here, where the study's name is known.
            user_attrs = json.loads(json.dumps(dict(study.user_attrs)))
        except BAD_DATA as error:
            raise PriorError(
                f"The prior study {study.name!r} cannot be archived: {described(error)}. Leave it "
                "out."
            ) from error
        directions = study.directions
        return {
            "name": study.name,
            "directions": None if directions is None else [d.name for d in directions],
            "n_trials": len(finished),
            "user_attrs": user_attrs,
            "key": key,
        }

    def _add_trial(self, t: FrozenTrial) -> None:
        pairs = []
        for name, distribution in t.distributions.items():
            code, index = self._code(distribution)
            pairs.append((self.names.setdefault(name, len(self.names)), code))
            self.columns["params"].append(_bits(t.params[name], distribution, index))
        attributes = constraint_attributes(t)
        if attributes:
            self.constraints.append((self.n_trials, attributes))
        steps = _thinned(t.intermediate_values)
        self.columns["values"] += t.values or ()
        self.columns["step"] += steps
        self.columns["intermediate"] += [t.intermediate_values[step] for step in steps]
        for column, value in (
            ("layout", self.layouts.setdefault(tuple(pairs), len(self.layouts))),
            ("number", t.number),
            ("state", _STATES.index(t.state)),
            ("start", _moment(t.datetime_start)),
            ("complete", _moment(t.datetime_complete)),
            ("n_values", len(t.values or ())),
            ("n_reports", len(steps)),
        ):
            self.columns[column].append(value)

    def _code(self, distribution: BaseDistribution) -> tuple[int, dict[object, int]]:
        """Index of a distribution, and the indices of its choices."""
        kind = _kind(distribution)
        if kind not in self.kinds:
            text = distribution_to_json(_plain(distribution))
            _distribution(text)
            self.kinds[kind] = (len(self.kinds), _index_of_choice(distribution))
            self.distributions.append(text)
        return self.kinds[kind]


def _thinned(steps: Iterable[int]) -> list[int]:
    """At most 32 of the steps, in order, including the first and the last.

    Their positions are spaced evenly on a logarithmic scale: curves bend at their start.
    """
    ordered = sorted(steps)
    if len(ordered) <= _MAX_REPORTS_PER_TRIAL:
        return ordered
    places = np.geomspace(1, len(ordered), _MAX_REPORTS_PER_TRIAL).round().astype(int) - 1
    return [ordered[place] for place in np.unique(places).tolist()]


def _kind(distribution: BaseDistribution) -> object:
    """A key equal for equal distributions only; ``True`` and ``1`` are different choices."""
    if isinstance(distribution, CategoricalDistribution):
        return tuple(choice_key(choice) for choice in distribution.choices)
    if isinstance(distribution, (FloatDistribution, IntDistribution)):
        integer = isinstance(distribution, IntDistribution)
        return integer, distribution.low, distribution.high, distribution.log, distribution.step
    raise TypeError(f"{type(distribution).__name__} is not a distribution of Optuna")


def _plain(distribution: BaseDistribution) -> BaseDistribution:
    """The same distribution as its current class: Optuna warns of the deprecated ones."""
    d = distribution
    if isinstance(d, FloatDistribution):
        return FloatDistribution(d.low, d.high, log=d.log, step=d.step)
    if isinstance(d, IntDistribution):
        return IntDistribution(d.low, d.high, log=d.log, step=d.step)
    return d


def _index_of_choice(distribution: BaseDistribution) -> dict[object, int]:
    """Index by :func:`~optuna_metasampler.space.choice_key`; empty for numeric parameters."""
    if not isinstance(distribution, CategoricalDistribution):
        return {}
    for choice in distribution.choices:
        if not isinstance(choice, (type(None), bool, int, float, str)):
            raise TypeError(f"the choice {choice!r} is neither a number nor a string")
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
        raise LookupError(f"{value!r} is not one of the choices")
    return index[choice_key(value)]


def _moment(date: datetime | None) -> int:
    """Microseconds since 1970, in local time as Optuna stores it."""
    if date is None:
        return _NO_DATE
    if date.tzinfo is not None:
        raise ValueError(f"the date {date} has a time zone, unlike those of Optuna")
    return (date - _EPOCH) // _MICROSECOND

"""Archives: files of prior studies that are small, quick and safe to read.

A file in the format of :mod:`optuna_metasampler._file_format`. Its document lists the studies. Its
arrays, one per study, hold the finished trials as lines of JSON compressed by zlib: a line with
distributions and search spaces, and then one per trial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
import json
import math
from pathlib import Path
from typing import Any, TypeAlias
import zlib

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

from optuna_metasampler._file_format import (
    BAD_DATA,
    MAX_FILE_BYTES,
    VERSION,
    described,
    first_bytes,
    instance,
    packed,
    refusing,
    require,
    unpacked,
)
from optuna_metasampler._optuna import constraint_attributes, constraints_of
from optuna_metasampler._runtime import gc_paused, replace_file
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.priors.storages import read_file
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import choice_key


Space: TypeAlias = "tuple[dict[str, BaseDistribution], list[tuple[str, Callable[[Any], Any]]]]"

SUFFIX = ".metaprior"
"""The usual suffix of an archive's name; any other is accepted."""

KEY = "optuna-metasampler-archive"
MAX_TRIALS = 2_000_000
"""Far above what helps the sampler; bounds the memory that a file can take."""

_FIRST_BYTES_OF_VERSION_1 = b"\x93PRIOR\r\n"
_REMEDY = "Copy it again, or build it again with `optuna-metasampler archive build`."

_MAX_STUDY_BYTES, _MAX_LINE_BYTES = MAX_FILE_BYTES, 2**26
"""Limits on the trials of a study, and on each line of them, before compression."""

_MAX_REPORTS_PER_TRIAL = 32
"""Longer learning curves are thinned to this many points, closest together at the start."""

_STATES = {s.name: s for s in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)}
_from_json = json.JSONDecoder().decode


@dataclass(frozen=True)
class Entry:
    """One study of an archive, as it is listed.

    Attributes:
        name: Name of the study.
        directions: Its directions; ``None`` for bare trials.
        n_trials: Number of finished trials.
        user_attrs: User attributes of the study.
        key: Identifies the state of the study that was read; ``None`` outside the cache.
        compressed: Its trials.
    """

    name: str
    directions: tuple[StudyDirection, ...] | None
    n_trials: int
    user_attrs: Mapping[str, Any]
    key: str | None
    compressed: bytes = field(repr=False)


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
        keys = keys or [None] * len(studies)
        entries, arrays = [], {}
        for i, (study, key) in enumerate(zip(studies, keys, strict=True)):
            entry, arrays[str(i)] = _packed_study(study, key)
            entries.append(entry)
        document = {"studies": entries, "origin": origin}
        try:
            _entries(document, arrays, max_trials)
            content = packed(KEY, document, arrays)
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
        """Read the file and verify its checksum and its list of studies, not yet their trials.

        Args:
            max_trials: Limit on the number of trials.

        Raises:
            PriorNotFoundError: If there is no such file.
            PriorError: If the file is damaged, not an archive, or of an earlier version.
        """
        if not self.path.is_file():
            raise PriorNotFoundError(
                f"There is no file {str(self.path.absolute())!r}. Check the path; a relative one "
                "starts at the current directory."
            )
        with refusing(self.path, PriorError, "an archive of prior studies", _REMEDY):
            document: dict[str, Any] = {"version": 1}
            if not read_file(self.path, 64).startswith(_FIRST_BYTES_OF_VERSION_1):
                document, arrays = unpacked(self.path, KEY)
            if document["version"] < VERSION:
                raise PriorError(
                    f"{self.path} was written by an earlier version of this package (version "
                    f"{document['version']} of the format). Write it again from the original "
                    f"studies: `optuna-metasampler archive build SOURCE -o {self.path} --force`."
                )
            entries = _entries(document, arrays, max_trials)
            return Contents(self.path, entries, instance(document["origin"], str))


@dataclass(frozen=True)
class Contents:
    """Content of an archive, of which only the trials asked for are decompressed.

    Attributes:
        path: Path of the file.
        entries: The studies.
        origin: Where they come from.
    """

    path: Path
    entries: tuple[Entry, ...]
    origin: str

    def studies(self, chosen: Sequence[int]) -> list[PriorStudy]:
        """The studies of some entries, given by their positions.

        Raises:
            PriorError: If their trials are invalid.
        """
        with gc_paused(), refusing(self.path, PriorError, "an archive of prior studies", _REMEDY):
            return [
                PriorStudy(e.name, e.directions, _trials(e.compressed, e.n_trials), e.user_attrs)
                for e in (self.entries[i] for i in chosen)
            ]


def starts_as_archive(path: Path) -> bool:
    """Whether a file exists and begins as an archive of any version does."""
    try:
        head = read_file(path, 64) if path.is_file() else b""
    except (OSError, ValueError):
        # Reported where the file is opened as what it is.
        return False
    return head.startswith(_FIRST_BYTES_OF_VERSION_1) or head[8:].startswith(first_bytes(KEY))


# --------------------------------------------------------------------------------------------
# Reading


def _entries(
    document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], max_trials: int
) -> tuple[Entry, ...]:
    require(len(arrays) == len(document["studies"]), "it has other arrays than studies")
    entries = []
    for i, each in enumerate(document["studies"]):
        array, n_trials = arrays[str(i)], each["n_trials"]
        ways, key = each["directions"], each["key"]
        fits = array.dtype == np.uint8 and array.ndim == 1
        require(fits, f"array '{i}' is of type {array.dtype.str} and shape {array.shape}")
        require(type(n_trials) is int and n_trials >= 0, f"a study has {n_trials!r} trials")
        entry = Entry(
            name=instance(each["name"], str),
            directions=None if ways is None else tuple(StudyDirection[way] for way in ways),
            n_trials=n_trials,
            user_attrs=instance(each["user_attrs"], dict),
            key=None if key is None else instance(key, str),
            compressed=array.tobytes(),
        )
        entries.append(entry)
    n = sum(entry.n_trials for entry in entries)
    require(n <= max_trials, f"it has {n:,} trials, more than the limit of {max_trials:,}")
    return tuple(entries)


def _trials(compressed: bytes, n_trials: int) -> tuple[FrozenTrial, ...]:
    """The trials of a study; nothing is decompressed or decoded beyond the limits."""
    stream = zlib.decompressobj()
    text = stream.decompress(compressed, _MAX_STUDY_BYTES)
    whole = stream.eof and not stream.unused_data
    require(whole, f"a study is cut off, or has more than {_MAX_STUDY_BYTES:,} bytes")
    n = text.count(b"\n")
    require(n == n_trials, f"a study has {n:,} trials, not {n_trials:,}")
    lines = text.decode("ascii").split("\n")
    longest = max(map(len, lines))
    limit = _MAX_LINE_BYTES
    require(longest <= limit, f"a line has {longest:,} bytes, more than the limit of {limit:,}")

    document = _from_json(lines[0])
    # By position in dictionaries, for a negative one would be found in a list.
    distributions = dict(enumerate(map(_distribution, document["distributions"])))
    spaces = {}
    for i, positions in enumerate(document["spaces"]):
        space = {name: distributions[position] for name, position in positions.items()}
        spaces[i] = space, [(name, _checked(d)) for name, d in space.items()]
    return tuple(_trial(_from_json(line), spaces) for line in lines[1:])


def _trial(row: Sequence[Any], spaces: Mapping[int, Space]) -> FrozenTrial:
    """The trial of one line, see :func:`_lines`; its types are right, or an error is raised."""
    space, params, number, state, values, start, complete, steps, reports, constraints = row
    distributions, checks = spaces[space]
    trial = FrozenTrial(
        number=_integer(number),
        state=_STATES[state],
        value=None,
        values=list(map(float, values)) or None,
        datetime_start=_date(start),
        datetime_complete=_date(complete),
        params={name: check(v) for (name, check), v in zip(checks, params, strict=True)},
        # Shared by the trials of a space: trials of prior studies are never modified.
        distributions=distributions,
        user_attrs={},
        system_attrs=instance(constraints, dict),
        intermediate_values=dict(zip(map(_integer, steps), map(float, reports), strict=True)),
        trial_id=_integer(number),
    )
    if constraints:
        require(constraint_attributes(trial) == constraints, "a trial has other attributes")
        constraints_of(trial)  # raises what would be raised later
    return trial


def _distribution(text: str) -> BaseDistribution:
    """A distribution; Optuna accepts any choices, with a warning, and integers of any length."""
    distribution = json_to_distribution(text)
    scalars = (type(None), bool, int, float, str)
    for choice in getattr(distribution, "choices", ()):
        require(isinstance(choice, scalars), f"{choice!r} is neither a number nor a string")
    for name in ("low", "high"):
        finite = math.isfinite(getattr(distribution, name, 0))
        require(finite, f"{text} has no finite range")
    return distribution


def _checked(distribution: BaseDistribution) -> Callable[[Any], Any]:
    """A function that returns values of a parameter, and raises an error for others."""
    if not isinstance(distribution, CategoricalDistribution):
        return _integer if isinstance(distribution, IntDistribution) else float
    keys = {choice_key(choice) for choice in distribution.choices}

    def choice(value: Any) -> Any:
        if choice_key(value) not in keys:
            raise LookupError(f"{value!r} is not one of the choices")
        return value

    return choice


def _integer(value: Any) -> int:
    integer = int(value)
    if not -(2**63) <= integer < 2**63:
        raise OverflowError(f"the integer {integer} does not fit in 64 bits")
    return integer


def _date(text: str | None) -> datetime | None:
    date = None if text is None else datetime.fromisoformat(text)
    if date is not None and date.tzinfo is not None:
        raise ValueError(f"the date {date} has a time zone, unlike those of Optuna")
    return date


# --------------------------------------------------------------------------------------------
# Writing


def _packed_study(study: PriorStudy, key: str | None) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """The entry of a study for the document, and its compressed trials.

    Raises:
        PriorError: If something in it cannot be stored.
    """
    finished = [trial for trial in study.trials if trial.state.is_finished()]
    try:
        compressed = zlib.compress("\n".join(_lines(finished)).encode("ascii"))
        with gc_paused():
            # What cannot be read is reported here, where the study's name is known.
            _trials(compressed, len(finished))
        user_attrs = json.loads(json.dumps(dict(study.user_attrs)))
    except BAD_DATA as error:
        raise PriorError(
            f"The prior study {study.name!r} cannot be archived: {described(error)}. Leave it out."
        ) from error
    entry = {
        "name": study.name,
        "directions": study.directions and [d.name for d in study.directions],
        "n_trials": len(finished),
        "user_attrs": user_attrs,
        "key": key,
    }
    return entry, np.frombuffer(compressed, dtype=np.uint8)


def _lines(trials: Sequence[FrozenTrial]) -> list[str]:
    """Lines of JSON: distributions and search spaces, and then one line per trial.

    A space maps names of parameters to positions of their distributions. A trial is a list with
    the position of its space, the parameters' values in the order of the space, and the rest in
    the order in which :func:`_trial` takes it.
    """
    positions: dict[object, tuple[int, BaseDistribution]] = {}
    spaces: dict[tuple[tuple[str, int], ...], int] = {}
    rows = []
    for t in trials:
        space = []
        for name, d in t.distributions.items():
            # Not equal for the choices ``True`` and ``1``, unlike the distributions.
            kind = type(d), repr(vars(d))
            space.append((name, positions.setdefault(kind, (len(positions), d))[0]))
        steps = _thinned(t.intermediate_values)
        row = (
            spaces.setdefault(tuple(space), len(spaces)),
            [t.params[name] for name in t.distributions],
            t.number,
            t.state.name,
            t.values or [],
            t.datetime_start and t.datetime_start.isoformat(),
            t.datetime_complete and t.datetime_complete.isoformat(),
            steps,
            [t.intermediate_values[step] for step in steps],
            constraint_attributes(t),
        )
        rows.append(_to_json(row))
    texts = [distribution_to_json(_current(d)) for _, d in positions.values()]
    return [_to_json({"distributions": texts, "spaces": list(map(dict, spaces))}), *rows]


def _scalar(value: object) -> Any:
    """A scalar of NumPy, which users may return as a value, as one of Python."""
    if not isinstance(value, np.generic):
        raise TypeError(f"{value!r} is neither a number nor a string")
    return value.item()


_to_json = json.JSONEncoder(separators=(",", ":"), default=_scalar).encode


def _current(distribution: BaseDistribution) -> BaseDistribution:
    """The same distribution as its current class: Optuna warns of the deprecated ones."""
    for kind in (FloatDistribution, IntDistribution):
        if isinstance(distribution, kind):
            return kind(**vars(distribution))
    return distribution


def _thinned(steps: Iterable[int]) -> list[int]:
    """At most 32 of the steps, in order, including the first and the last.

    Their positions are spaced evenly on a logarithmic scale: curves bend at their start.
    """
    ordered = sorted(map(int, steps))
    if len(ordered) <= _MAX_REPORTS_PER_TRIAL:
        return ordered
    places = np.geomspace(1, len(ordered), _MAX_REPORTS_PER_TRIAL).round().astype(int) - 1
    return [ordered[place] for place in np.unique(places).tolist()]

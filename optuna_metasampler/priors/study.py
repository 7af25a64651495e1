"""Prior studies: their trials as stored, conditions on them, and which of them are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta
import math
import re
from typing import Any, TypedDict

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._arguments import check_integer
from optuna_metasampler._runtime import get_logger, news


_logger = get_logger(__name__)

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(hour|day|week)s?")
_MAX_META_FEATURE = 1e300
"""Larger integers may not fit in a float."""


@dataclass(frozen=True)
class PriorStudy:
    """The trials of one prior study, as they are stored.

    Attributes:
        name: Name of the study.
        directions: Its directions; ``None`` for bare trials, which have none.
        trials: Its trials.
        user_attrs: User attributes of the study.
        fixed: Values of parameters that its objective held constant, by name in the study. A trial
            that has a value of its own keeps it.
    """

    name: str
    directions: tuple[StudyDirection, ...] | None
    trials: tuple[FrozenTrial, ...]
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study) -> PriorStudy:
        """Snapshot of a study of Optuna."""
        return cls(
            name=study.study_name,
            directions=tuple(study.directions),
            trials=tuple(study.get_trials(deepcopy=False)),
            user_attrs=study.user_attrs,
        )


def meta_features(user_attrs: Mapping[str, Any]) -> dict[str, float]:
    """User attributes that are finite numbers, such as the number of rows of the data."""
    return {
        name: float(value)
        for name, value in user_attrs.items()
        if isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and abs(value) < _MAX_META_FEATURE
    }


class PriorFilterOptions(TypedDict, total=False):
    """Arguments of :class:`PriorFilter` as a mapping, as a configuration file gives them."""

    user_attrs: Mapping[str, Any]
    min_trials: int
    newer_than: date | timedelta | str | None


@dataclass(frozen=True)
class PriorFilter:
    """Conditions on prior studies, all of which a study must meet to be used.

    Args:
        user_attrs: User attributes that a study must have, with their values; a list means any of
            these values.
        min_trials: Minimum number of completed trials.
        newer_than: Time after which the study's last trial must have ended: a date, a datetime, or
            an age such as ``timedelta(days=90)``; as a string ``"2026-01-31"``,
            ``"2026-01-31 12:00"`` or ``"90 days"`` (hours, days or weeks). A study without dates
            does not meet it.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If ``newer_than`` is a string of another form, or ``min_trials`` is negative.

    Example:
        >>> recent = PriorFilter(user_attrs={"model": "resnet"}, newer_than="12 weeks")
    """

    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    min_trials: int = 0
    newer_than: date | timedelta | str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.user_attrs, Mapping):
            raise TypeError(
                "`user_attrs` must map names of attributes to values, such as {'model': "
                f"'resnet'}}, but got {self.user_attrs!r}."
            )
        check_integer("min_trials", self.min_trials, 0)
        self._since(datetime.now())

    @classmethod
    def of(cls, value: PriorFilter | PriorFilterOptions | Mapping[str, Any] | None) -> PriorFilter:
        """A filter from a filter, a mapping of its arguments, or ``None`` for no condition.

        Raises:
            TypeError: If ``value`` is of another type.
            ValueError: If the mapping has an unknown entry.
        """
        if isinstance(value, PriorFilter):
            return value
        if not isinstance(value, (Mapping, type(None))):
            raise TypeError(
                "`prior_filter` must be a PriorFilter or a mapping of its arguments, such as "
                f"{{'min_trials': 20}}, but got {value!r}."
            )
        known = [f.name for f in fields(cls)]
        for key in value or ():
            if key not in known:
                raise ValueError(
                    f"`prior_filter` must have no entry but {', '.join(known)}, but got {key!r}."
                )
        return cls(**(value or {}))

    def reason_against(self, study: PriorStudy) -> str | None:
        """The first condition that a study does not meet; ``None`` if it meets all."""
        for name, wanted in self.user_attrs.items():
            if name not in study.user_attrs:
                return f"it has no user attribute {name!r}"
            value = study.user_attrs[name]
            is_list = isinstance(wanted, Sequence) and not isinstance(wanted, str)
            if value != wanted and not (is_list and value in wanted):
                return f"its user attribute {name!r} is {value!r}, not {wanted!r}"
        n = sum(t.state == TrialState.COMPLETE for t in study.trials)
        if n < self.min_trials:
            return f"it has {n} completed trials, fewer than {self.min_trials}"
        since = self._since(datetime.now())
        if since is None:
            return None
        ends = [t.datetime_complete for t in study.trials if t.datetime_complete is not None]
        if not ends:
            return "no trial has a completion date"
        if max(ends) < since:
            return f"its last trial ended on {max(ends):%Y-%m-%d}, before {since:%Y-%m-%d}"
        return None

    def _since(self, now: datetime) -> datetime | None:
        """``newer_than`` as local time without a zone; ``None`` for no limit."""
        limit = self.newer_than
        if isinstance(limit, str):
            age = _AGE.fullmatch(limit.strip())
            try:
                limit = (
                    timedelta(**{f"{age[2]}s": float(age[1])})
                    if age
                    else datetime.fromisoformat(limit.strip())
                )
            except (ValueError, OverflowError):
                raise ValueError(
                    "`newer_than` must be a date such as '2026-01-31' or an age such as '90 "
                    f"days', but got {self.newer_than!r}."
                ) from None
        if limit is None:
            return None
        if isinstance(limit, timedelta):
            return now - min(limit, now - datetime.min)
        if isinstance(limit, datetime):
            return limit.astimezone().replace(tzinfo=None) if limit.tzinfo else limit
        if isinstance(limit, date):
            return datetime(limit.year, limit.month, limit.day)
        raise TypeError(
            f"`newer_than` must be a date, a timedelta or a string, but got {self.newer_than!r}."
        )


@dataclass(frozen=True)
class Selected:
    """A prior study, and whether it is used.

    Attributes:
        study: The study, without the trials that also belong to the running study.
        reason: Why it is left out; ``None`` if it is used.
        n_own: Number of trials removed because they also belong to the running study.
    """

    study: PriorStudy
    reason: str | None
    n_own: int = 0


def select(
    priors: Sequence[PriorStudy],
    running: PriorStudy | None = None,
    prior_filter: PriorFilter = PriorFilter(),  # frozen
    rename: Mapping[str, str] | None = None,
) -> list[Selected]:
    """Apply a filter to prior studies, and remove duplicates of trials and of studies.

    A trial of the running study must not count twice, once as its own and once as a prior trial:
    trials that the running study also has are removed, and so is that study itself. A copy of it
    under another name has none left; a study from which some trials were copied
    (``study.add_trials``) keeps the others. Of equal prior studies, such as those of a storage and
    of its archive, only the first is used.

    Args:
        priors: Prior studies.
        running: The running study as it is now, if there is one.
        prior_filter: Conditions that prior studies must meet.
        rename: Parameter names, from prior studies to the running study.

    Returns:
        One entry per prior study but the running one, in the order given.
    """
    own = _OwnTrials(running) if running is not None else None
    used: dict[object, list[PriorStudy]] = {}
    selected = []
    for study in priors if running is None else without(priors, running):
        one = _select(study, own, prior_filter, rename or {})
        if one.reason is None:
            equal_values = used.setdefault(_values(study), [])
            first = next((other for other in equal_values if _same_trials(study, other)), None)
            if first is None:
                equal_values.append(study)
            else:
                one = replace(one, reason=f"it has the same trials as {first.name!r}")
        selected.append(one)
    return selected


def without(priors: Sequence[PriorStudy], running: PriorStudy) -> list[PriorStudy]:
    """The prior studies but the running one, and earlier states of it, in any storage."""
    starts = {t.datetime_start for t in running.trials if t.datetime_start}
    return [
        study
        for study in priors
        if study.name != running.name
        or (study.trials and all(t.datetime_start not in starts for t in study.trials))
    ]


def _select(
    study: PriorStudy,
    own: _OwnTrials | None,
    prior_filter: PriorFilter,
    rename: Mapping[str, str],
) -> Selected:
    reason = prior_filter.reason_against(study)
    if reason is not None or own is None:
        return Selected(study, reason)
    others = tuple(t for t in study.trials if not own.has(t, rename))
    n_own = len(study.trials) - len(others)
    if n_own and not any(t.values for t in others):
        reason = f"all of its {n_own} trials with a value are trials of the running study"
    return Selected(replace(study, trials=others) if n_own else study, reason, n_own)


def used_studies(selected: Sequence[Selected]) -> list[PriorStudy]:
    """The studies that are used; the others are logged with the reason."""
    used = [one.study for one in selected if one.reason is None]
    for one in selected:
        if one.reason is not None:
            _logger.debug("Prior study %r is left out: %s.", one.study.name, one.reason)
    if len(used) < len(selected):
        said = (
            f"{len(selected) - len(used)} of {len(selected)} prior studies are left out; "
            "MetaSampler.inspect_priors shows why."
        )
        _logger.log(news(said), said)
    return used


class _OwnTrials:
    """Trials of the running study, indexed to find copies of them in prior studies.

    Two trials are the same if they have equal values and, in addition, equal parameters or equal
    times: a copy through a file may have lost the types of the former or all of the latter. A
    trial with equal parameters that ended before the running study's started is no copy, but the
    prior trial that the running study repeated.
    """

    def __init__(self, running: PriorStudy) -> None:
        self._known: dict[tuple[float, ...], list[FrozenTrial]] = {}
        for trial in running.trials:
            if trial.values:
                self._known.setdefault(tuple(trial.values), []).append(trial)

    def has(self, trial: FrozenTrial, rename: Mapping[str, str]) -> bool:
        """Whether a trial is one of the running study."""
        if not trial.values:
            return False
        return any(
            _same_times(trial, own)
            or (_renamed_params(trial, rename) == own.params and not _ended_before(trial, own))
            for own in self._known.get(tuple(trial.values), ())
        )


def _values(study: PriorStudy) -> tuple[object, ...]:
    """A key that equal studies share, and different studies rarely do."""
    return study.directions, tuple(tuple(t.values) for t in study.trials if t.values)


def _same_trials(a: PriorStudy, b: PriorStudy) -> bool:
    """Whether two studies with equal values also have equal parameters, and at least one trial."""
    params = [[t.params for t in study.trials if t.values] for study in (a, b)]
    return bool(params[0]) and params[0] == params[1]


def _renamed_params(trial: FrozenTrial, rename: Mapping[str, str]) -> dict[str, Any]:
    return {rename.get(name, name): value for name, value in trial.params.items()}


def _ended_before(trial: FrozenTrial, own: FrozenTrial) -> bool:
    if trial.datetime_complete is None or own.datetime_start is None:
        return False
    return trial.datetime_complete <= own.datetime_start


def _same_times(a: FrozenTrial, b: FrozenTrial) -> bool:
    return (
        None not in (a.datetime_start, a.datetime_complete)
        and a.datetime_start == b.datetime_start
        and a.datetime_complete == b.datetime_complete
    )

"""Which prior studies to use, by what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
import re
from typing import Any

from optuna.trial import TrialState

from optuna_metasampler.priors.study import PriorStudy


_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(hour|day|week)s?")


@dataclass(frozen=True)
class PriorFilter:
    """Conditions that a prior study must meet, all of them.

    Args:
        user_attrs: User attributes that a study must have, with their values; a list means any of
            these values.
        min_trials: Least number of completed trials.
        newer_than: The study's last trial must have ended after this: a date, a time, or an age
            such as ``timedelta(days=90)``; as a string ``"2026-01-31"``, ``"2026-01-31 12:00"`` or
            ``"90 days"`` (hours, days or weeks). A study without dates does not meet it.

    Raises:
        TypeError: If an argument is of a kind that cannot be used.
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
        if isinstance(self.min_trials, bool) or not isinstance(self.min_trials, int):
            raise TypeError(f"`min_trials` must be a whole number, but got {self.min_trials!r}.")
        if self.min_trials < 0:
            raise ValueError(f"`min_trials` must be at least 0, but got {self.min_trials}.")
        self._since(datetime.now())

    @classmethod
    def of(cls, value: PriorFilter | Mapping[str, Any] | None) -> PriorFilter:
        """A filter from itself, from the mapping that a configuration file gives, or from nothing.

        Raises:
            TypeError: If it is anything else.
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
        """Which condition a study does not meet; ``None`` where it meets all."""
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
            return "no trial says when it ended"
        if max(ends) < since:
            return f"its last trial ended on {max(ends):%Y-%m-%d}, before {since:%Y-%m-%d}"
        return None

    def _since(self, now: datetime) -> datetime | None:
        """The moment after which the last trial must have ended, in local time without a zone."""
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

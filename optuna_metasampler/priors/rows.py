"""Studies of a database, row by row: for those that Optuna refuses as a whole.

Optuna builds all trials of a study or none: one cell that it cannot decode costs the others too.
Here every trial is built by itself, from the cells that prior studies use; nothing else is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
import json
import math
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._optuna import is_constraint
from optuna_metasampler._text import described_error, listed


Rows = Sequence[Any]

_OF_STUDY = "JOIN trials t ON r.trial_id = t.trial_id WHERE t.study_id = :study"
_NAMES = "SELECT study_name FROM studies ORDER BY study_id"
_ATTRIBUTES = "SELECT r.key, r.value_json FROM study_user_attributes r WHERE r.study_id = :study"
_TRIALS = (
    "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials "
    "WHERE study_id = :study ORDER BY trial_id"
)
_PARAMS = (
    "SELECT r.trial_id, r.param_name, r.param_value, r.distribution_json FROM trial_params r "
    f"{_OF_STUDY} ORDER BY r.param_id"
)
_VALUES = f"SELECT r.trial_id, r.objective, r.value, r.value_type FROM trial_values r {_OF_STUDY}"
_REPORTS = (
    "SELECT r.trial_id, r.step, r.intermediate_value, r.intermediate_value_type "
    f"FROM trial_intermediate_values r {_OF_STUDY}"
)
_CONSTRAINTS = (
    "SELECT r.trial_id, r.key, r.value_json FROM trial_system_attributes r "
    f"{_OF_STUDY} AND r.key LIKE 'constraints%'"
)
_NUMBERS = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


def names(storage: RDBStorage) -> list[object]:
    """Names of the studies, whatever state their attributes are in."""
    return [name for (name,) in _query(storage, _NAMES)]


def user_attributes(storage: RDBStorage, study: int) -> tuple[dict[str, Any], list[str]]:
    """The user attributes of a study that can be read, and the names of the others."""
    good: dict[str, Any] = {}
    bad: list[str] = []
    for key, text in _query(storage, _ATTRIBUTES, study):
        try:
            good[key] = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            bad.append(str(key))
    return good, bad


def trials(
    storage: RDBStorage,
    study: int,
    leave_out: Callable[[object, str], None],
    note: Callable[[str], None],
) -> list[FrozenTrial]:
    """The trials of a study that can be read.

    Args:
        storage: The database.
        study: Id of the study in it.
        leave_out: Called with the number of every other trial and the reason.
        note: Called with the reason if something is missing of all trials.
    """

    def optional(query: str) -> Mapping[int, Rows]:
        # Without this table, or with a damaged page in it, the others still say what they say.
        try:
            return _by_trial(_query(storage, query, study))
        except Exception as error:
            note(described_error(error))
            return {}

    params, values = (_by_trial(_query(storage, q, study)) for q in (_PARAMS, _VALUES))
    reports, constraints = optional(_REPORTS), optional(_CONSTRAINTS)
    distribution = cache(json_to_distribution)
    found = []
    for row in _query(storage, _TRIALS, study):
        own = [each.get(row[0], ()) for each in (params, values, reports, constraints)]
        try:
            found.append(_trial(row, own, distribution))
        except Exception as error:
            # Whatever is wrong with it, and whoever notices, it costs this trial only.
            leave_out(row[1], described_error(error))
    return found


def _query(storage: RDBStorage, query: str, study: int | None = None) -> Rows:
    from sqlalchemy import text

    with storage.engine.connect() as connection:
        return connection.execute(text(query), {} if study is None else {"study": study}).all()


def _by_trial(rows: Rows) -> dict[int, list[Any]]:
    of_trial: dict[int, list[Any]] = {}
    for trial, *rest in rows:
        of_trial.setdefault(trial, []).append(rest)
    return of_trial


def _trial(
    row: Sequence[Any], own: Sequence[Rows], distribution: Callable[[str], BaseDistribution]
) -> FrozenTrial:
    params, values, reports, constraints = own
    trial_id, number, state, start, complete = row
    if state not in TrialState.__members__:
        raise ValueError(f"the state {state!r}")
    distributions = {name: distribution(text) for name, _, text in params}
    outcomes = {place: _number(value, kind) for place, value, kind in values}
    if outcomes.keys() != set(range(len(values))):
        raise ValueError(f"values of the objectives {listed(map(repr, outcomes), 5)}")
    return FrozenTrial(
        number=number,
        trial_id=trial_id,
        state=TrialState[state],
        value=None,
        values=[outcomes[i] for i in range(len(outcomes))] or None,
        datetime_start=_date(start),
        datetime_complete=_date(complete),
        params={name: _external(distributions[name], value) for name, value, _ in params},
        distributions=distributions,
        user_attrs={},
        system_attrs={key: json.loads(text) for key, text in constraints if is_constraint(key)},
        intermediate_values={step: _number(value, kind) for step, value, kind in reports},
    )


def _number(value: Any, kind: Any) -> float:
    if kind in _NUMBERS:
        return _NUMBERS[kind]
    if kind != "FINITE" or isinstance(value, (str, bytes)):
        raise ValueError(f"the value {value!r} of the kind {kind!r} is not a number")
    if value is None:
        raise ValueError("a value is missing")
    return float(value)


def _external(distribution: BaseDistribution, value: Any) -> Any:
    if isinstance(value, (str, bytes)) or value is None:
        raise ValueError(f"the parameter's value {value!r} is not a number")
    choices = getattr(distribution, "choices", None)
    # Python would count a negative one from the end.
    if choices is not None and not 0 <= value < len(choices):
        raise ValueError(f"choice {value!r} of {len(choices)}")
    return distribution.to_external_repr(value)


def _date(value: Any) -> datetime | None:
    """A time: of SQLite as text, of servers as such."""
    return value if value is None or isinstance(value, datetime) else datetime.fromisoformat(value)

"""Private names of Optuna, all in one place.

The rest of the package uses Optuna's documented interface. If a new release of Optuna moves a
private name, only this module changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
import json
import math
import sys
from typing import TYPE_CHECKING, Any

from optuna.samplers._base import _process_constraints_after_trial
from optuna.samplers._lazy_random_state import LazyRandomState as LazyRandomState
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState


if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


def storage_of(study: Study) -> BaseStorage:
    """The storage behind ``study``; bracket studies of Hyperband have one as well."""
    return study._storage


def database_of(storage: BaseStorage) -> RDBStorage | None:
    """The database behind ``storage``, or behind its cache; ``None`` for other storages."""
    backend = getattr(storage, "_backend", storage)
    return backend if isinstance(backend, RDBStorage) else None


def study_id(study: Study) -> int:
    """The id of ``study``, unique inside its storage only."""
    return study._study_id


def trial_id(trial: FrozenTrial) -> int:
    """The id of ``trial``, unique inside its storage."""
    return trial._trial_id


def trials_of_all_brackets(study: Study) -> list[FrozenTrial]:
    """The trials of ``study``; of all brackets, where it is one of Hyperband's bracket studies."""
    return storage_of(study).get_all_trials(study_id(study), deepcopy=False)


def draw_seed(rng: LazyRandomState) -> int:
    """A seed in ``[0, 2^31 - 1)``."""
    return int(rng.rng.randint(2**31 - 1))


def signs_of(study: Study) -> tuple[float, ...]:
    """Sign of each objective of ``study``: -1 where smaller is better, else 1."""
    return tuple(map(sign_of, study.directions))


def sign_of(direction: StudyDirection) -> float:
    """-1 where smaller is better, else 1."""
    return -1.0 if direction == StudyDirection.MINIMIZE else 1.0


def signed_curve(trial: FrozenTrial, sign: float) -> dict[int, float]:
    """The values that a trial has reported, by step, without NaN, times a sign."""
    reported = trial.intermediate_values.items()
    return {step: sign * value for step, value in reported if not math.isnan(value)}


def is_watchable(study: Study) -> bool:
    """Whether optuna-dashboard could show ``study``.

    It has to be installed. A study in memory can only be shown by a dashboard that runs in this
    process.
    """
    if isinstance(storage_of(study), InMemoryStorage):
        return "optuna_dashboard" in sys.modules
    return _has_dashboard()


@cache
def _has_dashboard() -> bool:
    return find_spec("optuna_dashboard") is not None


def set_trial_attributes(
    study: Study, number: int, user: Mapping[str, Any], system: Mapping[str, Any]
) -> None:
    """Set attributes of a running trial, in one transaction where the storage has transactions.

    A commit a trial instead of one an attribute, because commits dominate the cost.

    Args:
        study: Any study of the trial's storage.
        number: The trial's id.
        user: User attributes.
        system: System attributes.
    """
    storage = storage_of(study)
    database = database_of(storage)
    if database is None or not _insert_together(database, number, user, system):
        for key, value in user.items():
            storage.set_trial_user_attr(number, key, value)
        for key, value in system.items():
            storage.set_trial_system_attr(number, key, value)


def _insert_together(
    storage: RDBStorage, number: int, user: Mapping[str, Any], system: Mapping[str, Any]
) -> bool:
    """Insert new attributes of a trial, all or none; whether that was possible."""
    from sqlalchemy import column, table
    from sqlalchemy.exc import DBAPIError

    try:
        with storage.engine.begin() as connection:
            for kind, attributes in (("user", user), ("system", system)):
                rows = [
                    {"trial_id": number, "key": key, "value_json": json.dumps(value)}
                    for key, value in attributes.items()
                ]
                if rows:
                    into = table(f"trial_{kind}_attributes", *map(column, rows[0]))
                    connection.execute(into.insert(), rows)
    except DBAPIError:
        # An attribute exists already, or the tables are those of another release.
        return False
    return True


EXACT = "metasampler:exact"
"""System attribute of a trial with its integers that the storage rounds."""


def exact_params(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters of ``trial``; integers that the storage has rounded as they were suggested.

    Storages keep parameters as floating-point numbers, to which integers beyond 2^53 are rounded.
    """
    params = dict(trial.params)
    for name, value in trial.system_attrs.get(EXACT, {}).items():
        # Another value may have been taken than the one that was suggested.
        if name in params and params[name] == int(float(value)):
            params[name] = value
    return params


def rounded_by_storages(params: Mapping[str, Any]) -> dict[str, int]:
    """The integers among ``params`` that storages round."""
    return {n: v for n, v in params.items() if isinstance(v, int) and int(float(v)) != v}


def enqueued_params(trial: FrozenTrial) -> dict[str, Any]:
    """Enqueued values of ``trial`` by name; empty if it was not enqueued.

    Optuna uses these values whatever a sampler proposes.
    """
    params: dict[str, Any] = trial.system_attrs.get("fixed_params", {})
    return params


def constraint_attributes(trial: FrozenTrial) -> dict[str, Any]:
    """The system attributes of ``trial`` that hold its constraints, in the old or new form."""
    return {key: value for key, value in trial.system_attrs.items() if is_constraint(key)}


def is_constraint(key: str) -> bool:
    """Whether a system attribute of this name holds constraints, in the old or new form."""
    return key == "constraints" or key.startswith("constraints:")


def constraints_of(trial: FrozenTrial) -> dict[str, float]:
    """The constraint values of ``trial`` by name; by position in the form of Optuna 4.

    The same as ``FrozenTrial.constraints`` of Optuna 5.
    """
    constraints: dict[str, float] = {}
    for key, value in constraint_attributes(trial).items():
        if key == "constraints":
            constraints.update({str(i): float(v) for i, v in enumerate(value or ())})
        else:
            constraints[key.removeprefix("constraints:")] = float(value)
    return constraints


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether no known constraint of ``trial`` is violated."""
    return not any(value > 0 for value in constraints_of(trial).values())


def finite_value(trial: FrozenTrial, objective: int = 0) -> float | None:
    """The value of one objective of ``trial``; ``None`` if it is not complete or not finite."""
    if trial.state != TrialState.COMPLETE or not trial.values or objective >= len(trial.values):
        return None
    value = float(trial.values[objective])
    return value if math.isfinite(value) else None


def store_constraints(
    constraints_func: Callable[[FrozenTrial], Sequence[float]],
    study: Study,
    trial: FrozenTrial,
    state: TrialState,
) -> None:
    """Evaluate and store the constraints of an ended trial, as Optuna's samplers do.

    Raises:
        ValueError: If one is NaN.
    """
    _process_constraints_after_trial(constraints_func, study, trial, state)


@dataclass(frozen=True)
class Finished:
    """Count and key of the finished trials of a study, without reading them.

    Attributes:
        count: Number of finished trials.
        key: Changes whenever a trial ends, and if the study is replaced under the same name.
    """

    count: int
    key: str


def finished_trials(storage: RDBStorage) -> dict[str, Finished]:
    """Count and key of the finished trials of each study that has any, by name, in one query.

    Optuna's own count would read all trials.
    """
    from sqlalchemy import text

    query = text(
        "SELECT s.study_name, s.study_id, COUNT(*), MAX(t.trial_id), MAX(t.datetime_complete) "
        "FROM studies s JOIN trials t ON t.study_id = s.study_id "
        "WHERE t.state IN ('COMPLETE', 'PRUNED', 'FAIL') GROUP BY s.study_name, s.study_id"
    )
    with storage.engine.connect() as connection:
        rows = connection.execute(query).all()
    return {
        name: Finished(count, f"{i}:{count}:{last}:{end}") for name, i, count, last, end in rows
    }

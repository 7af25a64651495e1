"""The few names of Optuna that have no public way to them, in one place.

Everything else in the package uses Optuna's documented interface, so a new Optuna release that
moves something private is mended here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna.samplers._lazy_random_state import LazyRandomState as LazyRandomState


if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


def storage_of(study: Study) -> BaseStorage:
    """The storage behind ``study``; bracket studies of Hyperband have one as well."""
    return study._storage


def study_id(study: Study) -> int:
    """The id of ``study``, unique inside its storage only."""
    return study._study_id


def trial_id(trial: FrozenTrial) -> int:
    """The id of ``trial``, unique inside its storage."""
    return trial._trial_id


def constraint_attributes(trial: FrozenTrial) -> dict[str, Any]:
    """The system attributes of ``trial`` that hold its constraints, in the old or new form."""
    return {
        key: value
        for key, value in trial.system_attrs.items()
        if key == "constraints" or key.startswith("constraints:")
    }

"""A prior study: what is read from every kind of source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class PriorStudy:
    """The trials of one prior study, as they are stored.

    Attributes:
        name: Name of the study.
        directions: Its directions; ``None`` for bare trials, which have none.
        trials: Its trials.
        user_attrs: What its owner has noted about it.
    """

    name: str
    directions: tuple[StudyDirection, ...] | None
    trials: tuple[FrozenTrial, ...]
    user_attrs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study) -> PriorStudy:
        """A study of Optuna as it is now."""
        return cls(
            name=study.study_name,
            directions=tuple(study.directions),
            trials=tuple(study.get_trials(deepcopy=False)),
            user_attrs=study.user_attrs,
        )


def meta_features(user_attrs: Mapping[str, Any]) -> dict[str, float]:
    """The user attributes of a study that are finite numbers, such as its number of rows."""
    return {
        name: float(value)
        for name, value in user_attrs.items()
        if isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and abs(value) < _LARGEST
    }


# A larger whole number is none that a float can be.
_LARGEST = 1e300

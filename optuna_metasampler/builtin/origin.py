"""Where what is shipped about learners comes from: data sets, their packages and licences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
import json
from typing import Any

from optuna_metasampler.builtin.catalogue import LEARNERS, LearnerName


@dataclass(frozen=True)
class DataSet:
    """A public table that learners were evaluated on; it is not part of this package.

    Attributes:
        name: In the package that ships it.
        kind: ``"classification"`` or ``"regression"``.
        package: Name of that package.
        version: Its version.
        licence: Its licence.
        rows: Number of rows that were used.
        features: Number of features, after encoding.
        classes: Number of classes; 0 for a regression.
    """

    name: str
    kind: str
    package: str
    version: str
    licence: str
    rows: int
    features: int
    classes: int


@dataclass(frozen=True)
class Origin:
    """What the knowledge of a learner was learned from.

    Attributes:
        data_sets: Each is one prior study.
        n_trials: Number of trials on all of them.
    """

    data_sets: tuple[DataSet, ...]
    n_trials: int


@cache
def origins() -> Mapping[LearnerName, Origin]:
    """Origin of what is shipped, by learner; other learners are missing."""
    text = files("optuna_metasampler.builtin").joinpath("origins.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    data_sets = {row["name"]: DataSet(**row) for row in document["data_sets"]}
    return {
        name: Origin(
            tuple(data_sets[each] for each in document["learners"][name]["data_sets"]),
            int(document["learners"][name]["trials"]),
        )
        for name in LEARNERS
        if name in document["learners"]
    }

"""The learners that something is known of, and their parameters.

Everything is data, in ``learners.json`` beside this file. Ranges are those over which the learners
were evaluated; names and defaults are those of each library's documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.resources import files
import json
import re
from typing import Any, Literal, TypeAlias, get_args

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


LearnerName: TypeAlias = Literal[
    "lightgbm",
    "xgboost",
    "catboost",
    "hist_gradient_boosting",
    "random_forest",
    "extra_trees",
    "svm",
    "linear",
    "nearest_neighbors",
    "neural_network",
]

LEARNERS: tuple[LearnerName, ...] = get_args(LearnerName)
"""Names of the learners."""

# Words of a name: `minChildWeight`, `XGBClassifier` and `l2_leaf_reg` all fall apart.
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W_]")


@dataclass(frozen=True)
class LearnerParameter:
    """One parameter of a learner.

    Attributes:
        name: The canonical one: that of the library's scikit-learn interface.
        low: Lower end of the range; NaN for a choice.
        high: Upper end, included; NaN for a choice.
        log: Whether the range is on the log scale.
        whole: Whether values are whole numbers.
        choices: Values of a choice, in the order of their encoded columns; empty for a number.
        spellings: Other spellings of each choice, folded (:func:`folded`).
        default: The library's, or a stand-in: the upper end where it is "unlimited". ``None``
            where it depends on the data.
        aliases: Other names, folded.
        per_layer: Whether networks may have one for each layer, such as ``n_units_l0``.
    """

    name: str
    low: float
    high: float
    log: bool
    whole: bool
    choices: tuple[str | bool, ...]
    spellings: tuple[frozenset[str], ...]
    default: float | str | bool | None
    aliases: frozenset[str]
    per_layer: bool

    @property
    def fraction(self) -> bool:
        """Whether values are shares of a whole, from 0 to 1."""
        return not self.choices and not (self.log or self.whole) and 0 <= self.low < self.high <= 1

    @property
    def distribution(self) -> BaseDistribution:
        """Optuna's distribution of the canonical values."""
        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Learner:
    """A learner and what it is recognised by.

    Attributes:
        name: One of :data:`LEARNERS`.
        names: What it is called elsewhere, such as the names of its classes, folded.
        prefixes: Short forms that name it only in front of a parameter, folded.
        size: The parameter that grows during a fit, such as the number of trees; empty for a
            learner without.
        parameters: What is known.
        others: Further names of its library's parameters, of which nothing is known, folded.
        telling: Names that are enough to tell the learner. Each entry is a conjunction of
            alternatives: one name of every set has to be there.
    """

    name: LearnerName
    names: frozenset[str]
    prefixes: frozenset[str]
    size: str
    parameters: tuple[LearnerParameter, ...]
    others: frozenset[str]
    telling: tuple[tuple[frozenset[str], ...], ...]

    @cached_property
    def vocabulary(self) -> Mapping[str, LearnerParameter | None]:
        """Folded names of its parameters, also of those of which nothing is known."""
        known: dict[str, LearnerParameter | None] = dict.fromkeys(self.others)
        for parameter in self.parameters:
            known |= dict.fromkeys((*parameter.aliases, folded(parameter.name)), parameter)
        return known


def learner_of(name: str) -> Learner:
    """The learner of a name.

    Args:
        name: One of :data:`LEARNERS`.

    Raises:
        TypeError: If the name is no string.
        ValueError: If there is no such learner; the message says which one was probably meant.
    """
    if not isinstance(name, str):
        raise TypeError(f"`learner` must be a name, such as 'lightgbm', but got {name!r}.")
    if name in LEARNERS:
        return learners()[name]
    raise ValueError(
        f"`learner` must be one of {', '.join(map(repr, LEARNERS))}, but got {name!r}."
        f"{_suggestion(name)}"
    )


@cache
def learners() -> Mapping[LearnerName, Learner]:
    """All learners by name, in the order of :data:`LEARNERS`."""
    rows = _document()["learners"]
    return {name: _learner(name, rows[name]) for name in LEARNERS}


@cache
def prefixes() -> Mapping[str, LearnerName | Literal["any", "none"]]:
    """What words in front of a parameter's name say, by folded words.

    A learner's name where they name it; ``"any"`` where they say nothing, such as ``model``;
    ``"none"`` where the parameter is of something else, such as ``pca``.
    """
    document = _document()
    said: dict[str, LearnerName | Literal["any", "none"]] = {}
    said |= dict.fromkeys(_folded(document["generic_prefixes"]), "any")
    said |= dict.fromkeys(_folded(document["foreign_prefixes"]), "none")
    for name, learner in learners().items():
        said |= dict.fromkeys(learner.names | learner.prefixes, name)
    return said


def words(text: str) -> list[re.Match[str]]:
    """The words of a name, at capitals, digits and signs: ``maxDepth`` has two."""
    return list(_WORD.finditer(text))


def folded(text: str) -> str:
    """A name as it is compared: its words in lower case, without what separates them."""
    return "".join(word.group().lower() for word in words(text))


@cache
def _document() -> dict[str, Any]:
    text = files("optuna_metasampler.builtin").joinpath("learners.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(map(folded, names))


def _learner(name: LearnerName, row: dict[str, Any]) -> Learner:
    return Learner(
        name=name,
        names=_folded([name, *row["names"]]),
        prefixes=_folded(row["prefixes"]),
        size=row.get("size", ""),
        parameters=tuple(map(_parameter, row["parameters"])),
        others=_folded(row["others"]),
        telling=tuple(
            tuple(_folded(names.split("/")) for names in entry.split("+"))
            for entry in row["telling"]
        ),
    )


def _parameter(row: dict[str, Any]) -> LearnerParameter:
    return LearnerParameter(
        name=row["name"],
        low=float(row.get("low", "nan")),
        high=float(row.get("high", "nan")),
        log=row.get("log", False),
        whole=row.get("whole", False),
        choices=tuple(row.get("choices", ())),
        spellings=tuple(
            _folded([str(choice), *more])
            for choice, more in zip(row.get("choices", ()), row.get("spellings", ()), strict=True)
        ),
        default=row["default"],
        aliases=_folded(row["aliases"]),
        per_layer=row.get("per_layer", False),
    )


def _suggestion(name: str) -> str:
    meant = {each: learner.name for learner in learners().values() for each in learner.prefixes}
    meant |= {each: learner.name for learner in learners().values() for each in learner.names}
    near = get_close_matches(folded(name), meant, n=1)
    return f" Did you mean {meant[near[0]]!r}?" if near else ""

"""What objectives hold constant: parameters that have a value although they are not tuned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_metasampler._arguments import checked_values
from optuna_metasampler._text import listed
from optuna_metasampler._warnings import warn
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import choice_key


ATTRIBUTE = "fixed_params"
"""User attribute of a study: the values of the parameters that its objective held constant."""

_MAX_SHOWN = 6


@dataclass(frozen=True)
class Constants:
    """What the objectives of the running study and of prior studies hold constant.

    Attributes:
        here: Of the running study, by its name for the parameter.
        in_all: Of every prior study, by its name for the parameter.
        in_studies: Of the prior studies of a name, or whose name matches a glob.
    """

    here: Mapping[str, Any] = field(default_factory=dict)
    in_all: Mapping[str, Any] = field(default_factory=dict)
    in_studies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, fixed: Any, prior_fixed: Any) -> Constants:
        """The arguments ``fixed`` and ``prior_fixed`` of ``MetaSampler``.

        Raises:
            TypeError: If one is no mapping, or a name or a value is of the wrong type.
            ValueError: If ``prior_fixed`` mixes values with mappings of values.
        """
        here = checked_values("fixed", fixed)
        if not isinstance(prior_fixed, Mapping):
            return cls(here, checked_values("prior_fixed", prior_fixed))
        nested = [isinstance(value, Mapping) for value in prior_fixed.values()]
        if not any(nested):
            return cls(here, checked_values("prior_fixed", prior_fixed))
        if not all(nested):
            raise ValueError(
                "`prior_fixed` must map names of parameters to values, such as {'dropout': 0.0}, "
                "or names of prior studies to such mappings, but not both, but got "
                f"{dict(prior_fixed)!r}. Values for all prior studies go below '*'."
            )
        in_studies = {}
        for name, values in prior_fixed.items():
            if not isinstance(name, str) or not name:
                raise TypeError(
                    f"`prior_fixed` must have names or globs of prior studies, but got {name!r}."
                )
            in_studies[name] = checked_values("prior_fixed", values, f" of {name!r}")
        return cls(here, {}, in_studies)

    @property
    def of_priors(self) -> bool:
        """Whether ``prior_fixed`` says anything."""
        return bool(self.in_all or self.in_studies)

    def completed(self, studies: Sequence[PriorStudy]) -> list[PriorStudy]:
        """Prior studies with what they held constant, see :attr:`PriorStudy.fixed`.

        What is said of a study by its name comes first, then its user attribute ``fixed_params``,
        then what is said of studies by a glob (a later one before an earlier one), then what is
        said of all. Warns of names that no study has, and of attributes that are no mapping.
        """
        found = []
        for study in studies:
            values = dict(self.in_all)
            for name, of_study in self.in_studies.items():
                if name != study.name and fnmatchcase(study.name, name):
                    values |= of_study
            values |= _attribute(study)
            values |= self.in_studies.get(study.name, {})
            found.append(replace(study, fixed=values) if values else study)
        names = [study.name for study in studies]
        for pattern in self.in_studies:
            if names and not any(n == pattern or fnmatchcase(n, pattern) for n in names):
                warn(
                    f"`prior_fixed` names the prior study {pattern!r}, but there is none. "
                    f"{meant(pattern, names, 'Prior studies')}"
                )
        return found

    def said_of_priors(self, rename: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
        """Names here and values of all that ``prior_fixed`` says."""
        for values in (self.in_all, *self.in_studies.values()):
            for name, value in values.items():
                yield rename.get(name, name), value

    def check(
        self, tuned: Mapping[str, BaseDistribution], rename: Mapping[str, str] | None = None
    ) -> None:
        """Check that values are of the kinds of the parameters.

        Args:
            tuned: The distributions of the parameters that prior studies tuned.
            rename: Parameter names, from prior studies to the running study.

        Raises:
            ValueError: If a number is tuned and the value is none.
        """
        said = [("fixed", n, v) for n, v in self.here.items()]
        said += [("prior_fixed", n, v) for n, v in self.said_of_priors(rename or {})]
        for argument, name, value in said:
            if isinstance(tuned.get(name), (FloatDistribution, IntDistribution)) and not (
                is_number(value)
            ):
                d: Any = tuned[name]
                raise ValueError(
                    f"`{argument}` must give {name!r} a finite number, because prior studies tune "
                    f"it from {d.low:g} to {d.high:g}, but got {value!r}."
                )


def single(value: Any) -> BaseDistribution:
    """A distribution of one value."""
    if not is_number(value):
        return CategoricalDistribution((value,))
    if isinstance(value, int):
        return IntDistribution(value, value)
    return FloatDistribution(value, value)


def is_number(value: object) -> bool:
    """Whether a value is a finite number; Booleans are not numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def with_choices(distribution: BaseDistribution, values: Sequence[Any]) -> BaseDistribution:
    """A distribution; one of choices also has the values that are none of them yet."""
    if not isinstance(distribution, CategoricalDistribution):
        return distribution
    choices = {choice_key(c): c for c in distribution.choices}
    more = {k: v for v in values if (k := choice_key(v)) not in choices}
    return CategoricalDistribution((*choices.values(), *more.values())) if more else distribution


def meant(name: str, known: Sequence[str], what: str) -> str:
    """What was probably meant by a name that is not among those known, as a sentence."""
    near = get_close_matches(name, known, n=_MAX_SHOWN)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return f"{what}: {listed(map(repr, known), _MAX_SHOWN) or 'none'}."


def _attribute(study: PriorStudy) -> dict[str, Any]:
    try:
        return checked_values(ATTRIBUTE, study.user_attrs.get(ATTRIBUTE))
    except TypeError as error:
        warn(f"The user attribute of the prior study {study.name!r} is ignored: {error}")
        return {}

"""What is shipped about common learners, in the names and units of one running study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import as_file, files
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from optuna_metasampler.builtin.catalogue import Learner, LearnerName, learners
from optuna_metasampler.builtin.names import translate, translate_constant
from optuna_metasampler.checkpoint import Checkpoint
from optuna_metasampler.priors.constants import is_number


@dataclass(frozen=True)
class Shipped:
    """What is known of a learner, for a study that tunes some of its parameters.

    Attributes:
        learner: Name of the learner.
        checkpoint: The prior model. Parameters that the study tunes or holds constant have its
            names and units; the others have names that no study has.
        fixed: Values that the study is said to hold constant, by its names.
        defaults: Values of the other parameters that the study does not tune: the library's.
    """

    learner: LearnerName
    checkpoint: Checkpoint
    fixed: Mapping[str, Any]
    defaults: Mapping[str, Any]

    @property
    def tuned(self) -> dict[str, BaseDistribution]:
        """What is known of the parameters that the study tunes or is said to hold constant."""
        known = self.checkpoint.space.distributions
        return {name: d for name, d in known.items() if not is_hidden(self.learner, name)}

    @property
    def size(self) -> dict[str, Any]:
        """The default of the learner's size, such as its number of trees, by its name here.

        Empty if the learner has none, or the study is known to tune it or to hold it constant.
        """
        name = hidden(self.learner, learners()[self.learner].size)
        return {name: self.defaults[name]} if name in self.defaults else {}

    @classmethod
    def of(
        cls,
        name: LearnerName,
        distributions: Mapping[str, BaseDistribution],
        fixed: Mapping[str, Any],
    ) -> Shipped:
        """Translate what is known of a learner.

        Args:
            name: Name of the learner.
            distributions: The parameters that the study is known to tune.
            fixed: What its objective holds constant.
        """
        learner, known = learners()[name], knowledge_of(name)
        names: dict[str, tuple[str, BaseDistribution]] = {}
        held: dict[str, Any] = {}
        found = [(own, translate(learner, own, d)) for own, d in distributions.items()]
        found += [
            (own, translate_constant(learner, own, value))
            for own, value in fixed.items()
            if own not in distributions
        ]
        for own, there in found:
            if (
                there is None
                or there.parameter in names
                or there.parameter not in known.space.distributions
            ):
                continue
            names[there.parameter] = own, there.distribution
            if own not in distributions:
                held[own] = within(there.distribution, fixed[own])
        defaults = {}
        for parameter, distribution in known.space.distributions.items():
            if parameter in names:
                continue
            names[parameter] = hidden(name, parameter), distribution
            value = _default(learner, parameter)
            if value is not None:
                defaults[names[parameter][0]] = within(distribution, value)
        space = known.space.renamed(names)
        checkpoint = replace(known, space=space, learned=replace(known.learned, space=space))
        return cls(name, checkpoint, held, defaults)


@cache
def knowledge_of(name: LearnerName) -> Checkpoint:
    """The checkpoint that is shipped for a learner, in its own names."""
    file = files("optuna_metasampler.builtin").joinpath(f"{name}.safetensors")
    with as_file(file) as path:
        found = Checkpoint.read(path)
    return replace(found, learned=replace(found.learned, collection=title(name)))


def title(name: LearnerName) -> str:
    """What the shipped knowledge of a learner is listed as."""
    return f"what is shipped about {name}"


def hidden(name: LearnerName, parameter: str) -> str:
    """The name of a learner's parameter that the running study does not tune."""
    return f"{name}:{parameter}"


def is_hidden(name: LearnerName, parameter: str) -> bool:
    """Whether a name is a :func:`hidden` one."""
    return parameter.startswith(hidden(name, ""))


def within(distribution: BaseDistribution, value: Any) -> Any:
    """A number moved into a range; other values as they are."""
    if isinstance(distribution, (FloatDistribution, IntDistribution)) and is_number(value):
        return min(max(value, distribution.low), distribution.high)
    return value


def _default(learner: Learner, parameter: str) -> Any:
    return next((p.default for p in learner.parameters if p.name == parameter), None)

"""The base class of methods, their options, and the prior knowledge that they work with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
import math
import operator
from typing import Any, ClassVar, TypeAlias, TypeVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.constraints import Feasibility
from optuna_metasampler.task import Task


@dataclass(frozen=True)
class AlignedPrior:
    """Knowledge from prior studies, aligned with the space of the running study.

    Attributes:
        space: The common space of the prior studies, with ``e`` columns.
        learned: The result of :meth:`Method.learn`.
        to_prior: Maps points ``(q, d)`` of the running study to the common space: ``(q, e)``.
            Differentiable in numeric columns.
        from_prior: Maps points ``(q, e)`` of the common space to feasible points ``(q, d)`` of the
            running study; parameters that no prior study had get neutral values.
        prior_incumbents: The prior studies' best configurations in the running study's space,
            ``(k, d)``.
        unknown: Names of the running study's parameters that no prior study had.
        feasibility: Learns where trials of the running study are feasible, from the prior studies
            as well.
        ranked: Whether any prior study tells better trials from worse ones. If not, only
            ``feasibility`` is known; methods never get such a prior.
        shipped: Whether the package ships it. Then no trial tests it: the learner was named, or
            recognised without doubt, and later trials reveal it soon enough if it misleads.
    """

    space: SearchSpace
    learned: Any
    to_prior: Callable[[Tensor], Tensor]
    from_prior: Callable[[Tensor], Tensor]
    prior_incumbents: Tensor
    unknown: tuple[str, ...] = ()
    feasibility: Feasibility = field(default_factory=Feasibility)
    ranked: bool = True
    shipped: bool = False


Priors: TypeAlias = Sequence[AlignedPrior | None]
"""Knowledge from prior studies, one entry an objective; ``None`` without prior studies."""


@dataclass(frozen=True)
class Method(ABC):
    """A way to choose hyperparameters, with its options as fields.

    One method is one subclass, in one module or package of :mod:`optuna_metasampler.methods`; an
    instance may be given to ``MetaSampler(method=...)`` directly. Fields that are declared with
    :func:`option` are checked when an instance is made.

    Class attributes:
        name: As in ``MetaSampler(method=name)``.
        min_studies: The fewest prior studies that it can learn from; 0 if it works without.
        same_parameters: Whether the running study has to have exactly the parameters of the
            prior studies.
        learns_from_curves: Whether its tasks need :attr:`Task.curves`, every intermediate value.
        learns_from_features: Whether its tasks need :attr:`Task.features`, the numbers among the
            running study's user attributes.
        models_constraints: Whether it models feasibility. For the others, a trial that violates a
            constraint has a worse outcome than all that violate none.
        models_objectives: Whether it models several objectives side by side. The others optimise
            one scalarisation at a time.
    """

    name: ClassVar[str]
    min_studies: ClassVar[int] = 1
    same_parameters: ClassVar[bool] = False
    learns_from_curves: ClassVar[bool] = False
    learns_from_features: ClassVar[bool] = False
    models_constraints: ClassVar[bool] = False
    models_objectives: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: If one is out of its range.
        """
        for f in fields(self):
            if isinstance(check := f.metadata.get("check"), Check):
                check(f.name, getattr(self, f.name))

    @abstractmethod
    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> Any:
        """Learn from prior studies, once.

        Args:
            tasks: Prior studies in one common space, at least ``min_studies`` and at least one,
                each with two different outcomes.
            generator: Source of all randomness, on the CPU.
            trainer: Runs the meta-training loop and knows the device; for methods without such a
                loop it counts progress.

        Returns:
            What :attr:`AlignedPrior.learned` holds from then on.
        """

    @abstractmethod
    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """The policy for a running study.

        Args:
            space: Its space.
            priors: Knowledge from prior studies, one entry an objective, and a single one unless
                :attr:`models_objectives`. With several, the incumbents are the prior studies'
                Pareto sets. All are ``None`` without prior studies, which only methods of
                ``min_studies == 0`` have to handle.
            n_startup_trials: Space-filling trials to begin with; ``None`` for the method's own
                choice.
        """

    @abstractmethod
    def pack(self, learned: Any) -> dict[str, Tensor]:
        """The result of :meth:`learn` as named tensors, for a checkpoint."""

    @abstractmethod
    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> Any:
        """The inverse of :meth:`pack`.

        Args:
            space: The common space of the prior studies.
            tensors: As :meth:`pack` returned them, or of an unknown file.

        Raises:
            KeyError: If a tensor is missing.
            ValueError: If a tensor has an unexpected shape or value.
        """


T = TypeVar("T", bool, int, float, str)


def option(
    default: T,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Sequence[str] = (),
    hint: str = "",
) -> T:
    """A field of a method, with the range of its values.

    Args:
        default: The default value. Its type is that of the option; integers are floats too.
        ge: The smallest value.
        gt: An exclusive lower bound.
        le: The largest value.
        lt: An exclusive upper bound.
        choices: All values of a string.
        hint: What to do instead; the last sentence of the error message.
    """
    bounds = {"at least": ge, "above": gt, "at most": le, "below": lt}
    given = {words: bound for words, bound in bounds.items() if bound is not None}
    check = Check(type(default), given, tuple(choices), hint)
    value: T = field(default=default, metadata={"check": check})
    return value


_COMPARISONS = {
    "at least": operator.ge,
    "above": operator.gt,
    "at most": operator.le,
    "below": operator.lt,
}


@dataclass(frozen=True)
class Check:
    """The check of an option; see :func:`option`."""

    kind: type
    bounds: Mapping[str, float]
    choices: tuple[str, ...]
    hint: str

    def __call__(self, name: str, value: object) -> None:
        """Check a value.

        Raises:
            ValueError: If it is out of range; the message shows the value and the range.
        """
        if not self.accepts(value):
            hint = f" {self.hint}" if self.hint else ""
            raise ValueError(f"`{name}` must be {self.range}, but got {value!r}.{hint}")

    def accepts(self, value: object) -> bool:
        """Whether a value has the right type and is in the range."""
        if self.kind is str:
            return value in self.choices
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        if not isinstance(value, int if self.kind is int else (int, float)):
            return False
        return math.isfinite(value) and all(
            _COMPARISONS[words](value, bound) for words, bound in self.bounds.items()
        )

    @property
    def range(self) -> str:
        """The range in words."""
        if self.kind is bool:
            return "True or False"
        if self.kind is str:
            return f"one of {', '.join(map(repr, self.choices))}"
        kind = "an integer" if self.kind is int else "a finite number"
        bounds = " and ".join(f"{words} {bound}" for words, bound in self.bounds.items())
        return f"{kind}, {bounds}" if bounds else kind

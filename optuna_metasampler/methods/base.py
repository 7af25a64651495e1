"""What a method is: how it learns from prior studies, and the policy that it makes of that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.constraints import Feasibility
from optuna_metasampler.task import Task


L = TypeVar("L")
"""What a method keeps of the prior studies."""


@dataclass(frozen=True)
class Prior(Generic[L]):
    """What is known from prior studies, seen from the space of the running study.

    Attributes:
        space: The common space of the prior studies, with ``e`` columns.
        learned: What the method learned from them.
        to_prior: Maps points ``(q, d)`` of the running study to the common space: ``(q, e)``.
            Differentiable in numeric columns.
        from_prior: Maps points ``(q, e)`` of the common space to feasible points ``(q, d)`` of the
            running study's; what it does not know is neutral.
        prior_incumbents: The prior studies' best configurations in the running study's space,
            ``(k, d)``.
        unknown: Names of the running study's parameters that no prior study had.
        feasibility: Learns where trials of the running study are feasible, with what the prior
            studies say of it.
    """

    space: SearchSpace
    learned: L
    to_prior: Callable[[Tensor], Tensor]
    from_prior: Callable[[Tensor], Tensor]
    prior_incumbents: Tensor
    unknown: tuple[str, ...] = ()
    feasibility: Feasibility = field(default_factory=Feasibility)


@dataclass(frozen=True)
class Method(ABC, Generic[L]):
    """A way to choose hyperparameters, with its options as fields.

    One method is one subclass in one file of :mod:`optuna_metasampler.methods`; an instance may be
    given to ``MetaSampler(method=...)`` directly.

    Class attributes:
        name: As in ``MetaSampler(method=name)``.
        min_studies: The fewest prior studies that it can learn from; 0 if it works without.
        same_parameters: Whether the running study has to have exactly the parameters of the
            prior studies.
        learns_from_curves: Whether it looks at every intermediate value: its tasks have
            :attr:`Task.curves`.
        learns_from_features: Whether it looks at :attr:`Task.features` of the running study, the
            numbers among its user attributes.
        models_constraints: Whether it models what is feasible. To one that does not, a trial that
            violates a constraint is one with a worse outcome than all that do not.
        models_objectives: Whether it models several objectives side by side, see
            :meth:`policy_of_objectives`. The others optimise one weighting after the other.
    """

    name: ClassVar[str]
    min_studies: ClassVar[int] = 1
    same_parameters: ClassVar[bool] = False
    learns_from_curves: ClassVar[bool] = False
    learns_from_features: ClassVar[bool] = False
    models_constraints: ClassVar[bool] = False
    models_objectives: ClassVar[bool] = False

    @abstractmethod
    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> L:
        """Learn from prior studies, once.

        Args:
            tasks: Prior studies in one common space, at least ``min_studies`` and at least one,
                each with two different outcomes.
            generator: Source of all randomness, on the CPU.
            trainer: Runs the meta-training loop, where the method has one, and says where.
        """

    @abstractmethod
    def policy(
        self, space: SearchSpace, prior: Prior[L] | None, n_startup_trials: int | None
    ) -> Policy:
        """The policy for a running study.

        Args:
            space: Its space.
            prior: What is known from prior studies; ``None`` without, which happens to methods of
                ``min_studies == 0`` only.
            n_startup_trials: Space-filling trials to begin with; ``None`` for the method's own
                choice.
        """

    def policy_of_objectives(
        self, space: SearchSpace, priors: Sequence[Prior[L] | None], n_startup_trials: int | None
    ) -> Policy:
        """The policy for a running study with several objectives.

        Args:
            space: Its space.
            priors: What is known from prior studies of each objective; their favourites are the
                prior studies' Pareto sets.
            n_startup_trials: As in :meth:`policy`.

        Raises:
            NotImplementedError: If not :attr:`models_objectives`.
        """
        raise NotImplementedError(f"The method {self.name!r} works on one objective at a time.")

    @abstractmethod
    def pack(self, learned: L) -> dict[str, Tensor]:
        """What was learned as named tensors, for a checkpoint."""

    @abstractmethod
    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> L:
        """The inverse of :meth:`pack`.

        Args:
            space: The common space of the prior studies.
            tensors: As :meth:`pack` gave them; where they come from a file, they may be anything.

        Raises:
            KeyError: If a tensor is missing.
            ValueError: If a tensor has another shape than it should.
        """

"""Interfaces of surrogates and predictors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar, runtime_checkable

from torch import Tensor
from torch.distributions import Distribution

from optuna_metasampler.task import Task


class Predictor(Protocol):
    """A distribution-valued function: a surrogate conditioned on a task."""

    def __call__(self, x: Tensor) -> Distribution:
        """Distribution of the warped outcome at points ``(q, d)``; batch shape ``(q,)``."""
        ...

    @property
    def incumbent(self) -> float | None:
        """The warped outcome to improve on; ``None`` before the first outcome."""
        ...


@runtime_checkable
class ScaledPredictor(Predictor, Protocol):
    """A predictor with a lengthscale for every encoded column."""

    @property
    def column_scale(self) -> Tensor:
        """Inverse lengthscales: the importance of each encoded column, shape ``(d,)``."""
        ...


P = TypeVar("P", bound=Predictor)
"""The predictor that a surrogate returns."""


class Surrogate(ABC, Generic[P]):
    """Learns from earlier studies once, then is conditioned on a task at every suggestion."""

    @abstractmethod
    def condition(self, task: Task, previous: Predictor | None = None) -> P:
        """Condition on a task. Pure: the surrogate is not changed.

        Args:
            task: The trials so far; there may be none.
            previous: A predictor that this surrogate returned for an earlier state of the same
                task. It only saves time: hyperparameters start from its own, and new trials are
                appended to its factorisation.

        Returns:
            A function from points to distributions.
        """

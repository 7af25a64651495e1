"""What every surrogate offers, whatever is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar, runtime_checkable

from torch import Tensor
from torch.distributions import Distribution

from optuna_metasampler.task import Task


class Predictor(Protocol):
    """A distribution-valued function: what a surrogate knows after it has seen a task."""

    def __call__(self, x: Tensor) -> Distribution:
        """The warped outcome at points ``(q, d)``: a distribution of batch shape ``(q,)``."""
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
        """Inverse lengthscales: how much each encoded column matters, shape ``(d,)``."""
        ...


P = TypeVar("P", bound=Predictor)
"""The predictor that a surrogate returns."""


class Surrogate(ABC, Generic[P]):
    """Learns from earlier studies once, then is conditioned on a task at every suggestion."""

    @abstractmethod
    def condition(self, task: Task, previous: Predictor | None = None) -> P:
        """Condition on a task. Pure: the surrogate itself stays as it was.

        Args:
            task: The trials so far; there may be none.
            previous: A predictor that this surrogate returned for an earlier state of the same
                task. It only saves work: hyperparameters start from its own, and new trials are
                appended to its factorisation.

        Returns:
            A function from points to distributions.
        """

"""What every policy offers, whether it has a surrogate or not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from optuna_metasampler.surrogates.base import Predictor
from optuna_metasampler.task import Task


class Phase(str, Enum):
    """Why a point was chosen.

    Attributes:
        INITIAL_DESIGN: It fills the space, while nothing is known.
        WARM_START: It is a configuration that was best in a prior study.
        PROBE: It is apart from those, to see early whether the prior studies are right.
        MODEL: It has the highest score under the model.
    """

    INITIAL_DESIGN = "start-up"
    WARM_START = "opening"
    PROBE = "contrast"
    MODEL = "model"


@dataclass(frozen=True)
class Choice:
    """How a policy came to its last point.

    Attributes:
        phase: Why the point was chosen.
        predictors: What was known then, one an objective; none where no model was asked.
        acquisition: The score of the point, in nats where it is a log expected improvement;
            ``None`` where points were not scored.
    """

    phase: Phase
    predictors: tuple[Predictor, ...] = ()
    acquisition: float | None = None


class Policy(Protocol):
    """Chooses the next point of one study."""

    def propose(self, history: Task, generator: torch.Generator) -> Tensor:
        """The next point to evaluate.

        Args:
            history: The study so far, its pending points included; there may be no trial at all.
            generator: Source of all randomness.

        Returns:
            A feasible point of ``history.space``, shape ``(d,)``.
        """
        ...


@runtime_checkable
class ModelPolicy(Policy, Protocol):
    """A policy that has a model of every objective and can say how it chose."""

    @property
    def choice(self) -> Choice | None:
        """How the last proposal came about; ``None`` before the first."""
        ...

    def believe(self, history: Task) -> tuple[Predictor, ...]:
        """What the model makes of a history, one predictor an objective; nothing is kept."""
        ...

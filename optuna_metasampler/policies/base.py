"""Interface of policies, with or without a surrogate.

Axis letters: ``n`` trials, ``d`` encoded columns.
"""

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
        INITIAL_DESIGN: Space-filling, before the model.
        WARM_START: A prior incumbent, or another good configuration of a prior study.
        PROBE: An exploration probe away from those, to test the priors early.
        SPACE_FILLING: Away from all trials, because most of them have the same outcome.
        MODEL: The point with the highest score under the model.
        POLICY: Drawn by a policy without a model of the outcome.
    """

    INITIAL_DESIGN = "initial-design"
    WARM_START = "warm-start"
    PROBE = "probe"
    SPACE_FILLING = "space-filling"
    MODEL = "model"
    POLICY = "policy"


@dataclass(frozen=True)
class Proposal:
    """The next point, and why it was chosen.

    Attributes:
        x: A feasible point, shape ``(d,)``.
        phase: Why it was chosen.
        predictors: The conditioned models, one an objective; empty if none was used.
        acquisition: The score of the point, in nats if it is a log expected improvement; ``None``
            if points were not scored.
    """

    x: Tensor
    phase: Phase
    predictors: tuple[Predictor, ...] = ()
    acquisition: float | None = None


class Policy(Protocol):
    """Chooses the next point of one study."""

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        """The next point to evaluate.

        Args:
            history: The study so far, with its pending points; may be empty.
            generator: Source of all randomness.

        Returns:
            A feasible point of ``history.space``.
        """
        ...


@runtime_checkable
class ModelPolicy(Policy, Protocol):
    """A policy that models every objective."""

    def condition(self, history: Task) -> tuple[Predictor, ...]:
        """The models conditioned on a history, one an objective. Pure."""
        ...

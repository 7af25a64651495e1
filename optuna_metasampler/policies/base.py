"""What every policy offers, whether it has a surrogate or not."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from optuna_metasampler.task import Task


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

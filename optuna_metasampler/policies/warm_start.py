"""The policy that begins with given configurations, and leaves the rest to another policy."""

from __future__ import annotations

import torch
from torch import Tensor

from optuna_metasampler.maximize import best_unseen
from optuna_metasampler.policies.acquisition import AcquisitionPolicy, n_asked, seen
from optuna_metasampler.policies.base import Choice, Phase
from optuna_metasampler.surrogates.base import P, Predictor
from optuna_metasampler.task import Task


class WarmStartPolicy:
    """Asks for given points in their order, then maximises an acquisition function.

    Args:
        points: Points to begin with, shape ``(k, d)``.
        then: The policy afterwards; its space-filling trials come first of all.
    """

    def __init__(self, points: Tensor, then: AcquisitionPolicy[P]) -> None:
        self.points = points
        self.then = then
        self._choice: Choice | None = None

    @property
    def choice(self) -> Choice | None:
        """See :meth:`ModelPolicy.choice`."""
        return self._choice

    def believe(self, history: Task) -> tuple[Predictor, ...]:
        """See :meth:`ModelPolicy.believe`."""
        return self.then.believe(history)

    def propose(self, history: Task, generator: torch.Generator) -> Tensor:
        """The next point; see :meth:`Policy.propose`."""
        n_before = n_asked(history) - self.then.n_startup_trials
        if 0 <= n_before < len(self.points):
            order = -torch.arange(len(self.points), dtype=torch.float64)
            point = best_unseen(self.points, order, seen(history))
            if point is not None:
                self._choice = Choice(Phase.WARM_START)
                return point
        x = self.then.propose(history, generator)
        self._choice = self.then.choice
        return x

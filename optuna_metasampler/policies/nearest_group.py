"""The policy of clustered prior studies: the group that is nearest to the running study leads.

Axis letters: ``g`` groups of prior studies, ``n`` trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import math

import torch
from torch import Tensor

from optuna_metasampler.outcomes import spearman
from optuna_metasampler.policies.base import Policy, Proposal
from optuna_metasampler.task import Task


# What is believed before the first trial counts as much as so many of them.
_IMAGINED_TRIALS = 3


class NearestGroupPolicy:
    """Asks the policy of the group whose predictions agree best with the study's own trials.

    Before there are trials the meta-features decide, and without these the larger group.

    Args:
        policies: One a group.
        predictions: From points ``(n, d)`` to each group's mean prediction ``(n, g)``.
        belief: From the running study's meta-features to how near each group is thought to be,
            shape ``(g,)``, in ``[-1, 1]``.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        predictions: Callable[[Tensor], Tensor],
        belief: Callable[[Mapping[str, float]], Tensor],
    ) -> None:
        self.policies = tuple(policies)
        self._predictions = predictions
        self._belief = belief

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        """The next point; see :meth:`Policy.propose`."""
        return self.policies[self.nearest(history)].propose(history, generator)

    def nearest(self, history: Task) -> int:
        """The number of the group that leads."""
        return int(self.affinity(history).argmax())

    def affinity(self, history: Task) -> Tensor:
        """Rank correlation of each group with the trials, shrunk towards the belief, ``(g,)``."""
        believed = self._belief(history.features)
        n = len(history)
        if n < 2:
            return believed
        with torch.no_grad():
            predicted = self._predictions(history.x)
        rho = torch.tensor(
            [0.0 if math.isnan(r := spearman(p, history.y)) else r for p in predicted.T],
            dtype=torch.float64,
        )
        return (n * rho + _IMAGINED_TRIALS * believed) / (n + _IMAGINED_TRIALS)

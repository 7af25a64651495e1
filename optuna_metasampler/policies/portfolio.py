"""The policy of a zero-shot portfolio: configurations that complement each other, one by one.

Wistuba, Schilling & Schmidt-Thieme 2015, "Sequential model-free hyperparameter tuning", ICDM;
Winkelmolen et al. 2020, "Practical and sample efficient zero-shot HPO", arXiv:2007.13382.

Axis letters: ``k`` prior studies, ``c`` configurations, ``l`` entries of the list, ``d`` encoded
columns of the running study's space.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optuna_metasampler.maximize import quasi_random, space_filling
from optuna_metasampler.policies.base import ModelPolicy, Phase, Proposal, n_asked, seen
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.base import Predictor
from optuna_metasampler.task import Task, to_tensor


def greedy(losses: Tensor, size: int) -> list[int]:
    """The configurations that lower the mean over studies of the least loss so far the most.

    The mean is monotone and submodular in the set of configurations, so that this set is at most a
    factor of ``1 - 1/e`` worse than the best of its size (Nemhauser, Wolsey & Fisher 1978).

    Args:
        losses: Loss of each configuration on each study, shape ``(k, c)``.
        size: How many to choose, at most; fewer once no other lowers the mean.

    Returns:
        Numbers of configurations in the order of the choice; of equals, the first.
    """
    order: list[int] = []
    least = losses.new_full((len(losses), 1), torch.inf)
    while len(order) < min(size, losses.shape[1]):
        reached = torch.minimum(least, losses)
        best = int(reached.sum(dim=0).argmin())
        if not bool((reached[:, best] < least[:, 0]).any()):
            break
        order.append(best)
        least = reached[:, best, None]
    return order


class PortfolioPolicy:
    """Hands out a list, each entry once, and leaves the rest to another policy.

    Which entries are gone is read from the study itself: any trial, finished, running or failed,
    with an entry's values takes it off the list. So workers that ask at once, or after a restart,
    get different entries.

    Args:
        entries: The list, points of the running study's space, shape ``(l, d)``.
        after: Goes on once the list is at its end, with all trials in view.
        unknown: Names of the parameters that no prior study had; entries have quasi-random values
            there.
        n_startup_trials: Space-filling points before everything else.
    """

    def __init__(
        self,
        entries: Tensor,
        after: ModelPolicy,
        unknown: Sequence[str] = (),
        n_startup_trials: int = 0,
    ) -> None:
        self._entries = entries
        self._after = after
        self._unknown = frozenset(unknown)
        self._n_startup_trials = n_startup_trials

    def condition(self, history: Task) -> tuple[Predictor, ...]:
        """The models of the policy after the list; see :meth:`ModelPolicy.condition`."""
        return self._after.condition(history)

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        """The next point; see :meth:`Policy.propose`."""
        space = history.space
        if n_asked(history) < self._n_startup_trials:
            x = space_filling(space, seen(history), generator)
            return Proposal(x, Phase.INITIAL_DESIGN)
        entries = to_tensor(space.project(self._entries.numpy()))
        told = self._told(space)
        # Compared in what an entry tells alone: its other values are new each time. An entry whose
        # place is pinned entirely tells nothing.
        gone = (_cells(entries[:, told])[:, None] == _cells(seen(history)[:, told])).all(2).any(1)
        left = torch.nonzero(~gone)
        if not len(left) or not len(told):
            return self._after.propose(history, generator)
        x = entries[int(left[0])]
        if len(told) < space.n_columns:
            untold = torch.ones(space.n_columns, dtype=torch.bool)
            untold[told] = False
            x = torch.where(untold, quasi_random(space, 1, generator)[0], x)
        return Proposal(to_tensor(space.project(x.numpy()[None]))[0], Phase.WARM_START)

    def _told(self, space: SearchSpace) -> Tensor:
        """The columns in which entries differ: of parameters known and free, shape ``(c,)``."""
        columns: list[int] = []
        for p in space.free:
            if p.name not in self._unknown:
                columns += range(p.start, p.start + p.width)
        return torch.tensor(columns, dtype=torch.int64)


def _cells(x: Tensor) -> Tensor:
    """Points without the last digits, which are lost between a value and its encoding."""
    return torch.round(x * 1e6)

"""``portfolio``: a zero-shot list of configurations that complement one another.

Wistuba, Schilling & Schmidt-Thieme 2015, "Sequential model-free hyperparameter tuning", ICDM;
Winkelmolen et al. 2020, "Practical and sample efficient zero-shot HPO", arXiv:2007.13382.

Axis letters: ``k`` prior studies, ``c`` configurations, ``l`` entries of the list, ``d`` encoded
columns of the running study's space, ``e`` of the prior studies' common space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.maximize import quasi_random, space_filling
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import Method, Priors, option
from optuna_metasampler.methods.default import cold_policy
from optuna_metasampler.packing import checked, pack
from optuna_metasampler.policies.base import ModelPolicy, Phase, Policy, Proposal
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.base import Predictor
from optuna_metasampler.surrogates.prior_model import greedy
from optuna_metasampler.surrogates.source_processes import SourceProcesses, most_informative
from optuna_metasampler.task import Task, to_tensor


@dataclass(frozen=True)
class Portfolio(Method):
    """A list of configurations, tried in order, then the target-only Gaussian process.

    Every configuration that a prior study tried is a candidate. A Gaussian process of each study
    predicts how good each candidate is there, and the list greedily takes the candidates that
    lower the mean rank of the best so far the most.

    Attributes:
        size: Entries of the list, at most. It ends early once it holds a best candidate for every
            study.
    """

    name: ClassVar[str] = "portfolio"

    size: int = option(10, ge=1, hint="Without a portfolio, use the method 'gp'.")

    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> Tensor:
        """See :meth:`Method.learn`; the list, shape ``(l, e)``."""
        studies = most_informative(tasks)
        candidates = torch.unique(torch.cat([task.x for task in studies]), dim=0)
        with torch.no_grad():
            predicted = SourceProcesses.fit(studies, watch=trainer.count)(candidates).T
        # Ranks, so that no study outweighs the others because its outcomes differ more.
        losses = predicted.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        entries: Tensor = candidates[greedy(losses.double() / len(candidates), self.size)]
        return entries

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`."""
        (prior,) = priors
        assert prior is not None
        # The list replaces the space-filling trials of the target-only process.
        return PortfolioPolicy(
            prior.from_prior(prior.learned),
            cold_policy(space, 0),
            prior.unknown,
            n_startup_trials or 0,
        )

    def pack(self, learned: Tensor) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return pack({"entries": learned})

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> Tensor:
        """See :meth:`Method.unpack`."""
        return checked(tensors, "entries", None, space.n_columns)


class PortfolioPolicy:
    """Proposes each entry of a list once, then delegates to another policy.

    Which entries are used is read from the study itself: any finished, running or failed trial
    with an entry's values uses it. Concurrent and restarted workers hence get different entries.

    Args:
        entries: The list, points of the running study's space, shape ``(l, d)``.
        after: The policy after the list; it sees all trials.
        unknown: Names of the parameters that no prior study had; entries get quasi-random
            values there.
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
        if history.n_asked < self._n_startup_trials:
            x = space_filling(space, history.asked, generator)
            return Proposal(x, Phase.INITIAL_DESIGN)
        entries = to_tensor(space.project(self._entries.numpy()))
        known = self._known_columns(space)
        # Entries are compared in these columns alone, because the other values are drawn anew. An
        # entry of which all parameters are pinned has none of these columns.
        same = _cells(entries[:, known])[:, None] == _cells(history.asked[:, known])
        left = torch.nonzero(~same.all(2).any(1))
        if not len(left) or not len(known):
            return self._after.propose(history, generator)
        x = entries[int(left[0])]
        if len(known) < space.n_columns:
            drawn = torch.ones(space.n_columns, dtype=torch.bool)
            drawn[known] = False
            x = torch.where(drawn, quasi_random(space, 1, generator)[0], x)
        return Proposal(to_tensor(space.project(x.numpy()[None]))[0], Phase.WARM_START)

    def _known_columns(self, space: SearchSpace) -> Tensor:
        """The columns of free parameters that prior studies had, shape ``(c,)``."""
        columns: list[int] = []
        for p in space.free:
            if p.name not in self._unknown:
                columns += range(p.start, p.start + p.width)
        return torch.tensor(columns, dtype=torch.int64)


def _cells(x: Tensor) -> Tensor:
    """Points without their last digits, which do not survive decoding and encoding."""
    return torch.round(x * 1e6)

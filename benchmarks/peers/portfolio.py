"""A zero-shot portfolio: configurations that were good on the prior tasks, one after the other.

Every configuration of the prior studies is a candidate. A surrogate of each study says how well
each candidate does there; then candidates are added greedily so that, for every study, a good one
comes early. Wistuba, Schilling & Schmidt-Thieme 2015, "Sequential model-free hyperparameter
tuning", ICDM; Winkelmolen et al. 2020, "Practical and sample efficient zero-shot HPO",
arXiv:2007.13382. Losses are ranks, as in the `ZeroShotTransfer` of Syne Tune.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from scipy.stats import rankdata
from sklearn.ensemble import ExtraTreesRegressor

from benchmarks.peers.base import Setting
from benchmarks.peers.known_space import KnownSpaceSampler
from benchmarks.peers.sources import Source, fit, space_of, usable_sources
from benchmarks.problems.base import Params
from optuna_metasampler._runtime import isolated
from optuna_metasampler.space import SearchSpace


_N_TREES = 100


def greedy_order(losses: np.ndarray) -> list[int]:
    """Candidates in the order in which they lower the mean over tasks of the least loss so far.

    Args:
        losses: Shape ``(k, m)``: ``k`` tasks, ``m`` candidates.

    Returns:
        Columns, as long as each one lowers the mean; of equals, the one that comes first.
    """
    order: list[int] = []
    least = np.full((len(losses), 1), np.inf)
    while True:
        reached = np.minimum(least, losses)
        best = int(np.argmin(reached.sum(axis=0)))
        if not (reached[:, best] < least[:, 0]).any():
            return order
        order.append(best)
        least = reached[:, [best]]


def portfolio(space: SearchSpace, sources: Sequence[Source], seed: int) -> list[Params]:
    """The sequence of configurations; what a prior study did not have is missing in its own."""
    configurations = [fit(space, c) for s in sources for c in s.configurations]
    encoded, first = np.unique(space.encode(configurations), axis=0, return_index=True)
    losses = []
    for source in sources:
        # Without the bootstrap, trees reproduce what a study has seen and fill in what it has not.
        trees = ExtraTreesRegressor(_N_TREES, random_state=seed, n_jobs=1)
        trees.fit(space.encode(source.configurations), rankdata(-source.outcomes))
        # Rounded, so that sums in another order do not tell equals apart.
        losses.append(rankdata(np.round(trees.predict(encoded), 6)))
    return [configurations[first[i]] for i in greedy_order(np.array(losses))]


class PortfolioSampler(KnownSpaceSampler):
    """Plays a portfolio, then searches at random."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._remaining: list[Params] | None = None

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        if self._remaining is None:
            space = space_of(self._setting)
            sources = usable_sources(self._setting, space)
            with isolated():
                self._remaining = portfolio(space, sources, self._setting.seed) if sources else []
        return self._remaining.pop(0) if self._remaining else {}


def build(setting: Setting) -> optuna.Study:
    """The portfolio of the setting's priors; random search without any."""
    return optuna.create_study(direction=setting.direction, sampler=PortfolioSampler(setting))

"""A Q function of history and candidate, and the policy that maximises it.

The study is a Markov decision process (Jomaa, Grabocka & Schmidt-Thieme 2019, "Hyp-RL",
arXiv:1906.11527): its state is the history, an action is a configuration, the reward is the
improvement of the best outcome.

Axis letters: ``b`` studies side by side, ``n`` trials of each, ``c`` candidates, ``d`` encoded
columns, ``w`` units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import torch
from torch import Tensor

from optuna_metasampler.maximize import MaximizeConfig, maximize, space_filling
from optuna_metasampler.methods import networks
from optuna_metasampler.policies.base import Phase, Proposal
from optuna_metasampler.policies.rank_features import N_RANK_FEATURES, constant_liar, rank_features
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import squared_distance
from optuna_metasampler.task import Task


# Initial lengthscale of the kernel around a candidate, in units of a range.
_FIRST_LENGTHSCALE = 0.3
# Inputs from around a candidate: the rank features there, and the number of trials.
_N_LOCAL = N_RANK_FEATURES + 1
_N_GOOD = 5
# Candidates without a local search: the maximum is over a finite set, as in training.
_CANDIDATES = MaximizeConfig(n_candidates=320, n_perturbed=160, n_starts=1, n_rounds=0)


@dataclass(frozen=True)
class QNetwork:
    """The Q function of a history, a candidate and the time that is left.

    The history is a set, so the function is invariant to the order of the trials. It has the mean
    of a first network's outputs over the trials (Zaheer et al. 2017, "Deep sets",
    arXiv:1703.06114), and a kernel average of the trials' rank features around the candidate, with
    learned lengthscales. A second network maps both, the candidate and the time to the value.

    Attributes:
        space: The space of the configurations.
        trial: The network of a trial, two layers, ``d + 2`` to ``w`` to ``w``.
        value: The network of the value, three layers, ``d + w + 4`` to ``w`` to ``w`` to 1.
        log_scale: Logarithm of the kernel's inverse lengthscales, shape ``(d,)``.
        horizon: Trials of a training episode.
    """

    space: SearchSpace
    trial: tuple[Tensor, ...]
    value: tuple[Tensor, ...]
    log_scale: Tensor
    horizon: int

    @staticmethod
    def sizes(space: SearchSpace, width: int) -> tuple[list[int], list[int]]:
        """Inputs, units and outputs of the layers of the two networks."""
        d, w = space.n_columns, width
        return [d + N_RANK_FEATURES, w, w], [d + w + _N_LOCAL + 1, w, w, 1]

    @classmethod
    def initial(
        cls,
        space: SearchSpace,
        width: int,
        horizon: int,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> QNetwork:
        """Random weights."""
        trial, value = cls.sizes(space, width)
        return cls(
            space,
            tuple(networks.initial(trial, (), generator, dtype)),
            tuple(networks.initial(value, (), generator, dtype)),
            torch.full((space.n_columns,), -math.log(_FIRST_LENGTHSCALE), dtype=dtype),
            horizon,
        )

    @property
    def weights(self) -> list[Tensor]:
        """All weights, always in the same order."""
        return [*self.trial, *self.value, self.log_scale]

    def with_weights(self, weights: list[Tensor]) -> QNetwork:
        """The same network with other weights, in the order of :attr:`weights`."""
        n = len(self.trial)
        return QNetwork(
            self.space, tuple(weights[:n]), tuple(weights[n:-1]), weights[-1], self.horizon
        )

    def __call__(self, x: Tensor, y: Tensor, known: Tensor, candidates: Tensor) -> Tensor:
        """Values of candidates.

        Args:
            x: Trials' configurations, shape ``(b, n, d)``.
            y: Their outcomes in any unit, larger is better, shape ``(b, n)``.
            known: Which rows are trials and not padding, shape ``(b, n)``, bool.
            candidates: Configurations, shape ``(b, c, d)``.

        Returns:
            Shape ``(b, c)``.
        """
        count = known.to(candidates).unsqueeze(-1)
        ranks = torch.where(known.unsqueeze(-1), rank_features(y, y, known), 0.0).to(candidates)
        x = torch.where(known.unsqueeze(-1), x, 0.0)
        each = networks.forward(self.trial, torch.cat([x, ranks], dim=-1)) * count
        history = each.sum(-2) / count.sum(-2).clamp_min(1.0)
        scale = self.log_scale.exp()
        near = torch.exp(-0.5 * squared_distance(candidates * scale, x * scale))
        near = near * count.transpose(-1, -2)
        mass = near.sum(-1, keepdim=True)
        local = torch.cat([near @ ranks, mass], dim=-1) / (1.0 + mass)
        # Beyond the horizon, one trial is left at any time.
        left = (1.0 - count.sum((-2, -1)) / self.horizon).clamp_min(1.0 / self.horizon)
        shared = torch.cat([history, left.unsqueeze(-1)], dim=-1).unsqueeze(-2)
        inputs = [candidates, local, shared.expand(*candidates.shape[:-1], -1)]
        return networks.forward(self.value, torch.cat(inputs, dim=-1)).squeeze(-1)


class QPolicy:
    """Proposes the candidate of the highest value, or with a small probability a random one.

    Args:
        network: The trained Q function, in the common space of the prior studies.
        to_prior: Maps points ``(q, d)`` of the running study to that space.
        prior_incumbents: The prior studies' best configurations, shape ``(k, d)``; they and points
            near them are among the candidates.
        n_startup_trials: Space-filling points before the network is used.
        epsilon: Probability of a random candidate.
    """

    def __init__(
        self,
        network: QNetwork,
        to_prior: Callable[[Tensor], Tensor],
        prior_incumbents: Tensor,
        n_startup_trials: int = 0,
        epsilon: float = 0.0,
    ) -> None:
        self._network = network
        self._to_prior = to_prior
        self._prior_incumbents = prior_incumbents
        self._n_startup_trials = n_startup_trials
        self._epsilon = epsilon

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        """The next point; see :meth:`Policy.propose`."""
        space, known = history.space, history.asked
        if history.n_asked < self._n_startup_trials:
            return Proposal(space_filling(space, known, generator), Phase.POLICY)
        best = torch.topk(history.y, min(_N_GOOD, len(history))).indices
        good = torch.cat([history.x[best], self._prior_incumbents])
        score = self.value(history)
        if float(torch.rand((), generator=generator)) < self._epsilon:
            score = _at_random(generator)
        x = maximize(score, space, generator, good, known, _CANDIDATES)
        return Proposal(x, Phase.POLICY)

    def value(self, history: Task) -> Callable[[Tensor], Tensor]:
        """The Q function after a history: points ``(q, d)`` to values ``(q,)``."""
        x, y = constant_liar(history)
        weight = self._network.log_scale
        x, y = self._to_prior(x).to(weight)[None], y[None]
        known = torch.ones(y.shape, dtype=torch.bool)

        def score(candidates: Tensor) -> Tensor:
            mapped = self._to_prior(candidates).to(weight)[None]
            return self._network(x, y, known, mapped)[0].double()

        return score


def _at_random(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.rand(len(x), generator=generator, dtype=torch.float64)

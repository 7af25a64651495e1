"""The policy of a meta-learned surrogate: a few of the priors' best, then its own choice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optuna_metasampler.maximize import best_unseen
from optuna_metasampler.policies.acquisition import (
    AcquisitionConfig,
    AcquisitionPolicy,
    n_asked,
    seen,
)
from optuna_metasampler.policies.base import Choice, Phase
from optuna_metasampler.policies.completion import completed
from optuna_metasampler.surrogates.base import P, Surrogate
from optuna_metasampler.surrogates.feasibility import Feasibility
from optuna_metasampler.task import Task, to_tensor


class FavouritesPolicy(AcquisitionPolicy[P]):
    """Maximises the acquisition function, at first over the priors' best configurations alone.

    The maximum of a network over a whole space lies where few or no trials are, and the network
    knows least; what was best in an earlier study is a safer first guess (Feurer, Springenberg &
    Hutter 2015, "Initializing Bayesian hyperparameter optimization via meta-learning", AAAI).
    Which of them comes next is the surrogate's choice.

    Args:
        surrogate: What to condition on the history.
        prior_incumbents: The best configuration of every prior study, shape ``(k, d)``.
        unknown: Names of the parameters that no prior study had; favourites get quasi-random
            values of these.
        n_startup_trials: Space-filling points before everything else.
        n_warm_start_trials: Trials among the favourites after that.
        config: How points are scored and searched for.
        feasibility: Learns where trials are feasible; from the running study alone by default.
    """

    def __init__(
        self,
        surrogate: Surrogate[P],
        prior_incumbents: Tensor,
        unknown: Sequence[str] = (),
        n_startup_trials: int = 0,
        n_warm_start_trials: int = 3,
        config: AcquisitionConfig | None = None,
        feasibility: Feasibility | None = None,
    ) -> None:
        super().__init__(surrogate, n_startup_trials, prior_incumbents, config, feasibility)
        self._openers = prior_incumbents
        self._unknown = frozenset(unknown)
        self._n_opening_trials = n_warm_start_trials

    def propose(self, history: Task, generator: torch.Generator) -> Tensor:
        """The next point; see :meth:`Policy.propose`."""
        n_before = n_asked(history) - self.n_startup_trials
        if not 0 <= n_before < self._n_opening_trials:
            return super().propose(history, generator)
        predictor = self.condition(history)
        space = history.space
        points = completed(self._openers, self._unknown, space, generator)
        points = to_tensor(space.project(points.numpy()))
        with torch.no_grad():
            values = self.score(history, predictor)(points)
        candidate = best_unseen(points, values, seen(history))
        if candidate is None:
            return self.exploit(history, predictor, generator)
        self._choice = Choice(Phase.WARM_START, (predictor,))
        return candidate

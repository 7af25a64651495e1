"""The policy of Bayesian optimisation: condition a surrogate, score, maximise."""

from __future__ import annotations

import torch
from torch import Tensor

from optuna_metasampler.acquisition import log_expected_improvement
from optuna_metasampler.maximize import maximize, space_filling
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.task import Task


_N_GOOD = 5


class AcquisitionPolicy:
    """Maximises the log expected improvement under a surrogate.

    Args:
        surrogate: What to condition on the history.
        n_startup_trials: Space-filling points before the surrogate is asked.
        favourites: Points that are worth a look in any case, such as the best of prior studies,
            shape ``(m, d)``.
    """

    def __init__(
        self, surrogate: Surrogate, n_startup_trials: int = 0, favourites: Tensor | None = None
    ) -> None:
        self.surrogate = surrogate
        self.n_startup_trials = n_startup_trials
        self.favourites = favourites
        self._last: Predictor | None = None

    @property
    def predictor(self) -> Predictor | None:
        """What the surrogate knew at the last proposal; ``None`` before it was first asked.

        Kept to start the next fit where the last one ended, and for reports.
        """
        return self._last

    def propose(self, history: Task, generator: torch.Generator) -> Tensor:
        """The next point; see :meth:`Policy.propose`."""
        seen = torch.cat([history.x, history.pending, history.tried])
        if len(history) + len(history.pending) < self.n_startup_trials:
            return space_filling(history.space, seen, generator)
        predictor = self.surrogate.condition(history, self._last)
        self._last = predictor
        incumbent = predictor.incumbent

        def score(x: Tensor) -> Tensor:
            distribution = predictor(x)
            if incumbent is None:
                # Nothing to improve on yet: the best guess is the highest expectation.
                return distribution.mean
            return log_expected_improvement(distribution, incumbent)

        best = torch.topk(history.y, min(_N_GOOD, len(history))).indices
        good = history.x[best]
        if self.favourites is not None:
            good = torch.cat([good, self.favourites])
        return maximize(score, history.space, generator, good, seen)

"""The policy that maximises an upper confidence bound, or the bare prediction."""

from __future__ import annotations

from torch import Tensor

from optuna_metasampler.maximize import Score
from optuna_metasampler.policies.acquisition import AcquisitionConfig, AcquisitionPolicy
from optuna_metasampler.surrogates.base import P, Predictor, Surrogate
from optuna_metasampler.task import Task


class ConfidenceBoundPolicy(AcquisitionPolicy[P]):
    """Maximises ``mean + exploration * standard deviation``.

    Unlike the expected improvement, the bound has a use for a surrogate whose uncertainty is only
    the disagreement of an ensemble, which may be none at all: it is the plain prediction there
    (Cox & John 1997, "SDO: a statistical method for global optimization"; Srinivas et al. 2010,
    arXiv:0912.3995).

    Args:
        surrogate: What to condition on the history.
        exploration: The factor; 0 goes to where the prediction is highest.
        n_startup_trials: Space-filling points before the surrogate is asked.
        prior_incumbents: Points that are worth a look in any case, shape ``(m, d)``.
        config: How points are searched for.
    """

    def __init__(
        self,
        surrogate: Surrogate[P],
        exploration: float,
        n_startup_trials: int = 0,
        prior_incumbents: Tensor | None = None,
        config: AcquisitionConfig | None = None,
    ) -> None:
        super().__init__(surrogate, n_startup_trials, prior_incumbents, config)
        self.exploration = exploration

    def score(self, history: Task, predictor: Predictor) -> Score:
        """See :meth:`AcquisitionPolicy.score`."""

        def bound(x: Tensor) -> Tensor:
            outcome = predictor(x)
            value: Tensor = outcome.mean + self.exploration * outcome.stddev
            return value

        return bound

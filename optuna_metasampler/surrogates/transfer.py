"""The transfer Gaussian process: a model with prior studies, and a target-only model.

There are two hypotheses about the running study. The *transfer* hypothesis::

    z(x) = c + a m(x) + sum_r w_r g_r(x) + f(x) + e,      a ~ N(1, 1),  w_r ~ N(0, b^2)

has the prior mean ``m`` and the components ``g_r`` as basis functions: ``b`` is the scale of the
empirical covariance of studies, and all weights are integrated out (as in the additive models of
Tighineanu et al. 2022, arXiv:2111.11223, where they are estimated). The *target-only* hypothesis
has no such terms. Their leave-one-out predictions of the running study's own trials determine the
transfer weight.

Prior studies that rank the running study's trials in the reverse order are informative too: their
direction is probably wrong. The transfer hypothesis then uses them sign-flipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from optuna_metasampler.outcomes import spearman
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import (
    BasisPrior,
    GaussianProcessConfig,
    GaussianProcessPredictor,
    Posterior,
    condition_hypotheses,
    constant_feature,
    modelled_rows,
)
from optuna_metasampler.surrogates.prior_model import PriorModel
from optuna_metasampler.task import Task


_MIN_TRIALS_TO_FLIP = 3
_FLIPPED_BELOW = -0.05
# Handicap in nats: few trials may correlate by chance, and wrong directions are rare.
_DOUBT_OF_FLIP = 1.0
# Pseudo-trials whose correlation with the priors is the cross-study rank correlation.
_PSEUDO_TRIALS = 3


@dataclass(frozen=True)
class TransferPredictor(GaussianProcessPredictor):
    """The transfer Gaussian process, conditioned on a task; hypotheses: transfer, target-only.

    Attributes:
        surrogate: The surrogate, with the basis functions.
        log_odds: Log odds of the transfer hypothesis against the target-only one, in nats.
        rank_correlation: Rank correlation of the prior mean with the running study's outcomes, in
            ``[-1, 1]``, shrunk towards the cross-study rank correlation by a few pseudo-trials.
        sign_flipped: Whether the prior studies are used sign-flipped.
    """

    surrogate: TransferGaussianProcess
    log_odds: float
    rank_correlation: float
    sign_flipped: bool

    def features(self, x: Tensor) -> Tensor:
        """A constant, the prior mean and the components at points ``(q, d)``: ``(q, 2 + r)``.

        Sign-flipped where the prior studies are.
        """
        return self.surrogate.features(x, self.sign_flipped)

    def of_priors(self, x: Tensor) -> Tensor:
        """See :meth:`GaussianProcessPredictor.of_priors`."""
        model = self.surrogate.model
        each = model.each(self.surrogate.to_prior(x))
        each = -each if self.sign_flipped else each
        return torch.cat([(each @ model.share)[:, None], each], dim=1)

    @property
    def predictions(self) -> Tensor:
        """Predictions of the modelled trials by each prior study, not sign-flipped: ``(n, k)``."""
        surrogate = self.surrogate
        return surrogate.model.each(surrogate.to_prior(self.posterior.x))

    @property
    def trusts_priors(self) -> bool:
        """Whether the trials so far support the prior studies."""
        return self.log_odds > 0.0 and self.rank_correlation > 0.0

    @property
    def p_transfer(self) -> float:
        """Transfer weight: the probability of the transfer hypothesis."""
        return float(torch.sigmoid(torch.tensor(self.log_odds, dtype=torch.float64)))

    @property
    def weights(self) -> tuple[float, ...]:
        """The probability of each hypothesis: transfer, target-only."""
        return self.p_transfer, 1.0 - self.p_transfer

    def __call__(self, x: Tensor) -> MixtureSameFamily:
        """Distribution of the warped outcome at ``x`` of shape ``(q, d)``."""
        each = self.each(x)
        odds = torch.tensor([self.log_odds, 0.0], dtype=torch.float64).clamp(min=-700.0, max=700.0)
        return MixtureSameFamily(
            Categorical(logits=odds.expand(len(x), 2), validate_args=False),
            Normal(each.mean.T, each.stddev.T, validate_args=False),
            validate_args=False,
        )


@dataclass(frozen=True)
class TransferConfig:
    """Parts of the model, varied in ablations.

    Attributes:
        components: Whether the prior studies' components are basis functions.
        target_only: Whether there is a target-only hypothesis.
        process: Options of both hypotheses' Gaussian processes.
    """

    components: bool = True
    target_only: bool = True
    process: GaussianProcessConfig = GaussianProcessConfig()


class TransferGaussianProcess(Surrogate[TransferPredictor]):
    """The default surrogate with prior studies.

    Args:
        model: The prior model.
        to_prior: Maps points ``(q, d)`` of the running study's space to the common space of the
            prior studies, differentiably.
        config: Parts of the model.
    """

    def __init__(
        self,
        model: PriorModel,
        to_prior: Callable[[Tensor], Tensor],
        config: TransferConfig | None = None,
    ) -> None:
        self.model = model
        self.to_prior = to_prior
        self.config = config or TransferConfig()

    def features(self, x: Tensor, sign_flipped: bool = False) -> Tensor:
        """A constant, the prior mean and the components at points ``(q, d)``: ``(q, 2 + r)``.

        Args:
            x: Points.
            sign_flipped: Whether to negate the outcomes of the prior studies.
        """
        return torch.cat([constant_feature(x), self.model(self.to_prior(x), sign_flipped)], dim=1)

    def condition(self, task: Task, previous: Predictor | None = None) -> TransferPredictor:
        """Condition on a task; see :meth:`Surrogate.condition`."""
        earlier = previous if isinstance(previous, TransferPredictor) else None
        if earlier is not None and earlier.surrogate is not self:
            earlier = None
        with torch.no_grad():
            rows = modelled_rows(task)
            phi = self.features(task.x[rows])
            rho = self._rank_correlation(phi[:, 1], task.y[rows])
            sign_flipped = len(task) >= _MIN_TRIALS_TO_FLIP and rho < _FLIPPED_BELOW
            if sign_flipped:
                phi = self.features(task.x[rows], sign_flipped)
            posterior, thetas, n_at_fit = condition_hypotheses(
                task, phi, self._basis_priors(), earlier, self.config.process
            )
            log_odds = self._log_odds(len(task), sign_flipped, posterior)
            pending = self.features(task.pending, sign_flipped)
            with_pending = posterior.extend(task.pending, pending)
            best: float | None = None
            if len(task):
                best = float(posterior.outcomes.max())
            elif len(pending):
                # No outcome yet: improve on the predictions of the pending points.
                best = float(pending[:, 1].max())
            predictor = TransferPredictor(
                task.space,
                posterior,
                with_pending,
                thetas,
                n_at_fit,
                best,
                self,
                log_odds,
                rho,
                sign_flipped,
            )
            return predictor.improving_on(task.pending)

    def _basis_priors(self) -> list[BasisPrior]:
        n = 2 + self.model.n_components
        mean = torch.zeros(n, dtype=torch.float64)
        mean[1] = 1.0
        variances = torch.full((n,), float(self.config.components), dtype=torch.float64)
        variances[0], variances[1] = 1.0, 1.0
        scaled = torch.ones(n, dtype=torch.bool)
        scaled[:2] = False
        return [BasisPrior(mean, variances, scaled), BasisPrior.constant(n)]

    def _rank_correlation(self, prior_mean: Tensor, y: Tensor) -> float:
        """Rank correlation of the prior mean with the outcomes, shrunk, in ``[-1, 1]``."""
        n = len(y)
        rho = spearman(prior_mean, y)
        known = 0.0 if math.isnan(rho) else rho * n
        return (known + _PSEUDO_TRIALS * self.model.cross_study_correlation) / (n + _PSEUDO_TRIALS)

    def _log_odds(self, n: int, sign_flipped: bool, posterior: Posterior) -> float:
        """Log odds of the transfer hypothesis, from evidence and cross-study rank correlation."""
        if not self.config.target_only:
            return math.inf
        if sign_flipped:
            bonus = -_DOUBT_OF_FLIP
        else:
            bonus = 2.0 * self.model.cross_study_correlation * max(1.0 - n / 40, 0.0)
        if n < 2:
            return bonus
        evidence = posterior.leave_one_out().sum(dim=1)
        return bonus + float(evidence[0] - evidence[1])

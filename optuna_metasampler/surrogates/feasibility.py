"""Where the trials of a running study violate no constraint and do not fail.

Every constraint that has been violated has a Gaussian process on its values, which gives the
probability that it is not (Schonlau, Welch & Jones 1998, "Global versus local search in
constrained optimization of computer models"; Gardner et al. 2014, "Bayesian optimization with
inequality constraints", ICML). Trials that fail tell of a constraint that nobody can see: a
Gaussian process on labels, 1 and -1, squashed by a normal distribution function (least-squares
classification, Rasmussen & Williams 2006, section 6.5). How steep the function is, and whether
failures have a place at all or are mere chance, is averaged over by how well each predicts the
trials that it has not seen.

What prior studies say is the mean of a hypothesis that stands beside one without them, as with
outcomes (:mod:`optuna_metasampler.surrogates.transfer`).

Axis letters: ``n`` trials, ``q`` query points, ``d`` encoded columns, ``g`` Gaussian processes of
one limit, ``h`` hypotheses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
import math

import torch
from torch import Tensor

from optuna_metasampler.surrogates.gaussian_process import (
    BasisPrior,
    GaussianProcessConfig,
    GaussianProcessPredictor,
    condition_hypotheses,
    constant_feature,
    modelled_rows,
)
from optuna_metasampler.surrogates.prior_feasibility import (
    PriorFeasibility,
    crash_task,
    label_warp,
    slack_task,
    slack_warp,
    violation_task,
)
from optuna_metasampler.surrogates.prior_model import SourceProcesses
from optuna_metasampler.task import Task


# Standard deviations that turn a label's process into a probability: a gentle and a steep slope.
_SLOPES = (1.0, 0.3)
# Nats in favour of the prior studies before the first trial, and trials after which it is none.
_BONUS, _FADES_AFTER = 1.0, 40

Features = Callable[[Tensor], Tensor]
"""From points ``(q, d)`` of the running study to features ``(q, j)``, differentiable."""


@dataclass(frozen=True)
class ConstraintModel:
    """What is known of one constraint, or of failures.

    The probability at a point is a weighted mean over ``h`` hypotheses: normal distribution
    functions of the processes' means in units of their uncertainty, and a constant.

    Attributes:
        process: Conditioned on the slacks or labels.
        features: Of the process.
        row: The process of each hypothesis, shape ``(h,)``, int64.
        variance: What is added to the variance of each, shape ``(h,)``.
        log_weights: Of the hypotheses and, last, of the constant: shape ``(h + 1,)``; they sum to
            1.
        log_rate: Logarithm of the constant.
    """

    process: GaussianProcessPredictor
    features: Features
    row: Tensor
    variance: Tensor
    log_weights: Tensor
    log_rate: float

    def __call__(self, x: Tensor) -> Tensor:
        """Log probability that the limit is kept at points ``(q, d)``: shape ``(q,)``."""
        latent = self.process.posterior.predict(x, self.features(x))
        deviation = (latent.variance[self.row] + self.variance[:, None]).sqrt()
        each = torch.special.log_ndtr(latent.mean[self.row] / deviation)
        constant = torch.full((1, len(x)), self.log_rate, dtype=torch.float64)
        total = torch.logsumexp(torch.cat([each, constant]) + self.log_weights[:, None], dim=0)
        # Rounding must not make a probability of more than one.
        return total.clamp(max=0.0)


@dataclass(frozen=True)
class FeasibilityPredictor:
    """The probability that a point is feasible: that of keeping every limit.

    Attributes:
        limits: By what they are about.
    """

    limits: Mapping[str, ConstraintModel]

    def __call__(self, x: Tensor) -> Tensor:
        """Log probability at points ``(q, d)``: shape ``(q,)``, at most 0, differentiable.

        The limits count as independent.
        """
        return torch.stack([limit(x) for limit in self.limits.values()]).sum(0)


def _no_map(x: Tensor) -> Tensor:
    return x


@dataclass(frozen=True)
class Feasibility:
    """Learns where trials are feasible; the counterpart of a surrogate.

    Attributes:
        prior: What prior studies say of it; ``None`` if nothing.
        to_prior: Maps points ``(q, d)`` of the running study's space to the common space of the
            prior studies, differentiably.
    """

    prior: PriorFeasibility | None = None
    to_prior: Callable[[Tensor], Tensor] = _no_map

    def condition(
        self, history: Task, previous: FeasibilityPredictor | None = None
    ) -> FeasibilityPredictor | None:
        """Condition on a running study. Pure.

        A constraint that no trial has violated, here or in a prior study, is no limit.

        Args:
            history: The trials so far; there may be none.
            previous: What was returned for an earlier state of the same study. It only saves work.

        Returns:
            ``None`` where nothing has ever been infeasible.
        """
        before = {} if previous is None else previous.limits
        limits = {}
        with torch.no_grad():
            for key, sources, task, warp in self._views(history):
                limits[key] = self._limit(task, sources, warp, before.get(key))
        return FeasibilityPredictor(limits) if limits else None

    def _views(
        self, history: Task
    ) -> list[tuple[str, SourceProcesses | None, Task, Callable[[Tensor], Tensor]]]:
        """Each limit: its name, what prior studies say of it, its own trials, and their scale."""
        views: list[tuple[str, SourceProcesses | None, Task, Callable[[Tensor], Tensor]]] = []
        slacks = {} if self.prior is None else self.prior.slacks
        for i, name in enumerate(history.constraint_names):
            assert history.constraints is not None
            if name in slacks or bool((history.constraints[:, i] > 0).any()):
                task = slack_task(history, name)
                views.append((f"constraint {name}", slacks.get(name), task, slack_warp))
        violations = None if self.prior is None else self.prior.violations
        # With constraints of the same names their values say more.
        if violations is not None and slacks.keys().isdisjoint(history.constraint_names):
            views.append(("violations", violations, violation_task(history), label_warp))
        crashes = None if self.prior is None else self.prior.crashes
        if crashes is not None or history.n_crashed:
            views.append(("crashes", crashes, crash_task(history), label_warp))
        return views

    def _limit(
        self,
        task: Task,
        sources: SourceProcesses | None,
        warp: Callable[[Tensor], Tensor],
        previous: ConstraintModel | None,
    ) -> ConstraintModel:
        features: Features = (
            constant_feature if sources is None else _SourceFeatures(sources, self.to_prior)
        )
        linear_parts = _linear_parts(sources is not None, warp(task.y))
        posterior, thetas, n_at_fit = condition_hypotheses(
            task,
            features(task.x[modelled_rows(task)]),
            linear_parts,
            None if previous is None else previous.process,
            # Few failures make a trend too easily.
            GaussianProcessConfig(trend=False, warp=warp),
        )
        process = GaussianProcessPredictor(
            task.space, posterior, posterior, thetas, n_at_fit, None
        )
        g, n = len(linear_parts), len(task)
        bonus = torch.zeros(g, dtype=torch.float64)
        if sources is not None:
            bonus[0] = _BONUS * max(1.0 - n / _FADES_AFTER, 0.0)
        if warp is slack_warp:
            # Values: the evidence is their density, and the step at zero is sharp.
            weights = posterior.leave_one_out().sum(1) + bonus
            log_weights = torch.cat([weights, torch.tensor([-math.inf], dtype=torch.float64)])
            return ConstraintModel(
                process,
                features,
                torch.arange(g),
                torch.zeros(g, dtype=torch.float64),
                torch.log_softmax(log_weights, 0),
                0.0,
            )
        row = torch.arange(g).repeat_interleave(len(_SLOPES))
        slope = torch.tensor(_SLOPES, dtype=torch.float64).repeat(g) ** 2
        label = posterior.outcomes
        others = posterior.left_out()
        deviation = (others.variance[row] + slope[:, None]).sqrt()
        fit = torch.special.log_ndtr(label * others.mean[row] / deviation).sum(1)
        n_good = float((label > 0).sum())
        m = len(label)
        # The rule of succession, with each label left out in turn.
        alike = torch.where(label > 0, n_good, m - n_good)
        chance = (alike / (m + 1)).log().sum()
        log_weights = torch.cat([fit + bonus[row] - math.log(len(_SLOPES)), chance[None]])
        return ConstraintModel(
            process,
            features,
            row,
            slope + posterior.noise[row],
            torch.log_softmax(log_weights, 0),
            math.log((n_good + 1) / (m + 2)),
        )


@dataclass(frozen=True)
class _SourceFeatures:
    """A constant, and what the prior studies expect on average: ``(q, 2)``."""

    sources: SourceProcesses
    to_prior: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        mean = self.sources(self.to_prior(x)).mean(1, keepdim=True)
        return torch.cat([constant_feature(x), mean], dim=1)


def _linear_parts(with_prior: bool, z: Tensor) -> list[BasisPrior]:
    """The hypothesis with prior studies, if there are any, and the one without.

    Args:
        with_prior: Whether there are any.
        z: Warped slacks or labels, shape ``(n,)``. Zero is where the limit is, not where they are:
            the constant of the hypothesis without priors has to get to their mean.
    """
    alone = BasisPrior.constant(1 + with_prior)
    if len(z):
        alone = replace(alone, variances=alone.variances * (1.0 + z.mean() ** 2))
    if not with_prior:
        return [alone]
    mean = torch.tensor([0.0, 1.0], dtype=torch.float64)
    variances = torch.tensor([0.25, 0.25], dtype=torch.float64)
    return [BasisPrior(mean, variances, torch.zeros(2, dtype=torch.bool)), alone]

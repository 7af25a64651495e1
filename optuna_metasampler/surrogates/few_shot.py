"""Networks whose weights are learned so that a few steps of gradient descent fit them to a study.

The inner loop of meta-learning by gradients, as a pure function: :func:`adapt` serves the running
study, and meta-training, which differentiates through it.

Axis letters: ``m`` members of the ensemble, ``g`` episodes (studies), ``c`` context trials (those
that are adapted to), ``t`` target trials, ``q`` query points, ``d`` encoded columns of the running
study, ``e`` of the prior studies' common space, ``i`` inputs and ``o`` outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import math

import torch
from torch import Tensor
from torch.distributions import Normal

from optuna_metasampler.networks import forward
from optuna_metasampler.outcomes import half_rank_warp, mean_and_spread
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import representative_rows
from optuna_metasampler.task import Task


# The standard deviation of what no member can tell, in units of the outcomes' spread.
_MIN_RESIDUAL = 0.1
# How far a trial tells of the outcomes around it, in units of a parameter's range.
_REACH = 0.3
# Up to this many trials a study gets the inner steps that meta-training made. A longer one gets
# more, with the square of its trials, for what is left to be found out becomes finer: with steps
# in proportion to the trials the search came to a halt.
_N_TRIALS_OF_INNER_STEPS = 3
_MAX_INNER_STEPS = 300
# The newest, the best and a spread of the others stand for all beyond this.
_MAX_TRIALS = 200


def outputs(weights: Sequence[Tensor], x: Tensor, context_x: Tensor) -> Tensor:
    """What networks say of outcomes whose mean over the context is zero.

    The level of a study is a matter of its own. Every network's output bias is hence fitted to
    the context in closed form: what it says of the context has mean zero as well.

    Args:
        weights: ``[w (*batch, i, o), b (*batch, 1, o), ...]`` with one output.
        x: Points, shape ``(*batch, q, e)``.
        context_x: Context trials, shape ``(*batch, c, e)``; where ``c == 0``, outputs stay as they
            are.

    Returns:
        Shape ``(*batch, q)``.
    """
    f = forward(weights, x).squeeze(-1)
    if not context_x.shape[-2]:
        return f
    return f - forward(weights, context_x).squeeze(-1).mean(-1, keepdim=True)


def context_loss(weights: Sequence[Tensor], x: Tensor, z: Tensor) -> Tensor:
    """Mean squared error on the context that is adapted to, shape ``(*batch,)``.

    Args:
        weights: As in :func:`outputs`.
        x: Context trials, shape ``(*batch, c, e)``, at least one.
        z: Their outcomes, shape ``(*batch, c)``, mean 0.
    """
    f = forward(weights, x).squeeze(-1)
    return (f - f.mean(-1, keepdim=True) - z).square().mean(-1)


def adapt(
    weights: Sequence[Tensor],
    rates: Sequence[Tensor],
    x: Tensor,
    z: Tensor,
    n_steps: int,
    pull: float = 0.0,
    second_order: bool = False,
) -> list[Tensor]:
    """Fit networks to contexts by gradient descent, each to its own. Pure.

    With a pull the proximal objective ``L(w) + pull / 2 |w - w_0|^2`` is descended, where ``w_0``
    are the weights at the start (Rajeswaran et al. 2019, arXiv:1909.04630, Eq. 3). The loss takes
    an explicit step and the pull an implicit one, which is in closed form and stable for any
    pull: ``w <- (w - rate dL/dw + rate pull w_0) / (1 + rate pull)``.

    Args:
        weights: ``[w (*batch, i, o), b (*batch, 1, o), ...]``.
        rates: Step sizes of each tensor of weights, of a shape that broadcasts to it. Zero holds
            a layer.
        x: Context trials, shape ``(*batch, c, e)``, at least one.
        z: Their outcomes, shape ``(*batch, c)``, mean 0.
        n_steps: Number of steps.
        pull: Strength of the pull towards the weights at the start; may be infinite.
        second_order: Whether the steps' gradients depend on weights and rates in the result's
            graph. Otherwise they are constants there, which is the first-order approximation.

    Returns:
        The weights after the steps, of the shapes of the given ones. Gradients flow through them
        to the given weights and rates.
    """
    start = [w if w.requires_grad else w.detach().requires_grad_() for w in weights]
    # What stays of a step, and what is pulled back to the start.
    keep = [1.0 / (1.0 + rate * pull) for rate in rates]
    current = start
    with torch.enable_grad():
        for _ in range(n_steps):
            loss = context_loss(current, x, z).sum()
            gradients = torch.autograd.grad(loss, current, create_graph=second_order)
            current = [
                k * (w - rate * gradient) + (1.0 - k) * w_0
                for w, gradient, rate, k, w_0 in zip(
                    current, gradients, rates, keep, start, strict=True
                )
            ]
    return list(current)


@dataclass(frozen=True)
class FewShotNetworks:
    """An ensemble of networks, and how each is adapted to a study.

    Attributes:
        weights: ``(w (m, i, o), b (m, 1, o), ...)``, one pair a layer, float32.
        rates: Inner step size of each of them, of a shape that broadcasts to it.
        n_steps: Inner steps for a short study.
        pull: Of the inner steps towards the weights, for a short study; see :func:`adapt`.
    """

    weights: tuple[Tensor, ...]
    rates: tuple[Tensor, ...]
    n_steps: int
    pull: float = 0.0

    def cpu(self) -> FewShotNetworks:
        """The same on the CPU."""
        weights, rates = (tuple(t.cpu() for t in s) for s in (self.weights, self.rates))
        return replace(self, weights=weights, rates=rates)

    def adapt(self, x: Tensor, z: Tensor) -> list[Tensor]:
        """Weights for trials ``(c, e)`` and ``(c,)``, with more steps for more trials.

        The loss is a mean over trials, so a pull that stayed as it is would be worth more trials
        the more there are; it is worth as many as ever if it falls with their number.
        """
        pull = self.pull * min(1.0, _N_TRIALS_OF_INNER_STEPS / max(len(x), 1))
        growth = max(1.0, (len(x) / _N_TRIALS_OF_INNER_STEPS) ** 2)
        n_steps = min(math.ceil(self.n_steps * growth), max(self.n_steps, _MAX_INNER_STEPS))
        weights = adapt(self.weights, self.rates, x, z, n_steps, pull)
        return [w.detach() for w in weights]


@dataclass(frozen=True)
class FewShotPredictor:
    """The ensemble after it was adapted to a study: a normal distribution at every point.

    Attributes:
        weights: Adapted weights, of the shapes of :attr:`FewShotNetworks.weights`.
        context_x: The trials in the common space, shape ``(c, e)``, float32.
        to_prior: Maps points ``(q, d)`` to the common space.
        incumbent: The best outcome; ``None`` before the first.
        residual: Variance of what no member can tell, far away from all trials.
    """

    weights: list[Tensor]
    context_x: Tensor
    to_prior: Callable[[Tensor], Tensor]
    incumbent: float | None
    residual: float

    @property
    def column_scale(self) -> Tensor:
        """Ones of shape ``(e,)``: networks have no lengthscales."""
        return torch.ones(self.context_x.shape[1], dtype=torch.float64)

    def members(self, x: Tensor) -> Tensor:
        """Members' outputs at points ``(q, e)`` of the common space, shape ``(m, q)``, float64."""
        return outputs(self.weights, x.float(), self.context_x).double()

    def __call__(self, x: Tensor) -> Normal:
        """The outcome at points ``(q, d)``: the members' mean, and how far they are apart."""
        points = self.to_prior(x)
        members = self.members(points)
        # Members that agree on a place say nothing of how well it is known. What they leave
        # unexplained is found out by trying, so it is as large as the nearest trial is far (after
        # the distance-aware uncertainty of Liu et al. 2020, arXiv:2006.10108); else the same
        # best place would be tried over and over.
        unknown = self.residual * _novelty(points, self.context_x)
        variance = members.var(dim=0, correction=0) + unknown
        return Normal(members.mean(dim=0), variance.sqrt(), validate_args=False)


class FewShotSurrogate(Surrogate[FewShotPredictor]):
    """Adapts an ensemble to the running study.

    Args:
        networks: What was meta-learned.
        to_prior: Maps points ``(q, d)`` of the running study to the networks' space, ``(q, e)``.
    """

    def __init__(self, networks: FewShotNetworks, to_prior: Callable[[Tensor], Tensor]) -> None:
        self.networks = networks
        self._to_prior = to_prior

    def condition(self, task: Task, previous: Predictor | None = None) -> FewShotPredictor:
        """See :meth:`Surrogate.condition`; every time from the meta-learned weights.

        Pending trials are believed to turn out as predicted (Ginsbourger, Le Riche & Carraro
        2010, "Kriging is well-suited to parallelize optimization"), so that the members agree
        there.
        """
        rows = representative_rows(task.y, _MAX_TRIALS)
        x = self._to_prior(task.x[rows]).float()
        z = standardized(half_rank_warp(task.y[rows]))
        if not len(x):
            return FewShotPredictor(
                list(self.networks.weights), x, self._to_prior, None, _MIN_RESIDUAL**2
            )
        predictor = self._fitted(x, z)
        if len(task.pending):
            pending = self._to_prior(task.pending)
            believed = predictor.members(pending).mean(dim=0)
            predictor = self._fitted(torch.cat([x, pending.float()]), torch.cat([z, believed]))
        return predictor

    def _fitted(self, x: Tensor, z: Tensor) -> FewShotPredictor:
        z = z - z.mean()
        fitted = FewShotPredictor(
            self.networks.adapt(x, z.float()), x, self._to_prior, None, _MIN_RESIDUAL**2
        )
        explained = fitted.members(x).mean(dim=0)
        residual = max(float((z - explained).square().mean()), _MIN_RESIDUAL**2)
        fitted = replace(fitted, residual=residual)
        # A few steps do not reach every outcome: what is to be improved on is what the networks
        # say of the best trial, not its outcome, which may be out of reach of all predictions.
        return replace(fitted, incumbent=float(explained.max()))


def _novelty(x: Tensor, trials: Tensor) -> Tensor:
    """From 0 at a trial to 1 far from all of them, shape ``(q,)``, for points ``(q, e)``."""
    if not len(trials):
        return torch.ones(len(x), dtype=x.dtype)
    squared = (x[:, None] - trials.to(x.dtype)).square().sum(-1).min(dim=1).values
    return 1.0 - torch.exp(-squared / (2.0 * _REACH**2)) + 1e-6


def standardized(z: Tensor) -> Tensor:
    """Outcomes ``(c,)`` in units of their own mean and spread, as in meta-training's episodes."""
    if not len(z):
        return z
    mean, spread = mean_and_spread(z)
    return (z - mean) / spread

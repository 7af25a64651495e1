"""The few-shot surrogate: networks that a few steps of gradient descent fit to a study.

The inner loop of gradient-based meta-learning is a pure function, :func:`adapt`. It serves the
running study and meta-training, which differentiates through it.

Axis letters: ``m`` members of the ensemble, ``g`` episodes (studies), ``c`` context trials (which
are adapted to), ``t`` target trials, ``q`` query points, ``d`` encoded columns of the running
study, ``e`` of the prior studies' common space, ``i`` inputs and ``o`` outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import math

import torch
from torch import Tensor
from torch.distributions import Normal

from optuna_metasampler.methods.networks import forward
from optuna_metasampler.outcomes import half_rank_warp, mean_and_spread
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import representative_rows
from optuna_metasampler.task import Task


# Least standard deviation of the residuals, in units of the outcomes' spread.
_MIN_RESIDUAL = 0.1
# Distance up to which a trial informs about other points, in units of a parameter's range.
_REACH = 0.3
# A study of up to this many trials gets the inner steps of meta-training. A longer one gets more,
# in proportion to the square of its trials, because the remaining differences become finer: with
# steps in proportion to the trials the search came to a halt.
_N_TRIALS_OF_INNER_STEPS = 3
_MAX_INNER_STEPS = 300
# Of longer studies the newest trials, the best and a spread of the others are used.
_MAX_TRIALS = 200


def outputs(weights: Sequence[Tensor], x: Tensor, context_x: Tensor) -> Tensor:
    """Outputs of networks, centred so that their mean over the context is zero.

    Every study has a level of its own, so the output bias of every network is fitted to the
    context in closed form.

    Args:
        weights: ``[w (*batch, i, o), b (*batch, 1, o), ...]`` with one output.
        x: Points, shape ``(*batch, q, e)``.
        context_x: Context trials, shape ``(*batch, c, e)``; if ``c == 0``, outputs are not
            centred.

    Returns:
        Shape ``(*batch, q)``.
    """
    f = forward(weights, x).squeeze(-1)
    if not context_x.shape[-2]:
        return f
    return f - forward(weights, context_x).squeeze(-1).mean(-1, keepdim=True)


def context_loss(weights: Sequence[Tensor], x: Tensor, z: Tensor) -> Tensor:
    """Mean squared error on the context, shape ``(*batch,)``.

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
        rates: Step sizes of each tensor of weights, of a shape that broadcasts to it. Zero
            freezes a layer.
        x: Context trials, shape ``(*batch, c, e)``, at least one.
        z: Their outcomes, shape ``(*batch, c)``, mean 0.
        n_steps: Number of steps.
        pull: Strength of the pull towards the weights at the start; may be infinite.
        second_order: Whether the result's graph contains the steps' gradients as functions of
            weights and rates. Otherwise they are constants: the first-order approximation.

    Returns:
        The weights after the steps, of the same shapes. Gradients flow through them to the given
        weights and rates.
    """
    start = [w if w.requires_grad else w.detach().requires_grad_() for w in weights]
    # The share of a step that the pull leaves.
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
    """An ensemble of networks, and how its members are adapted to a study.

    Attributes:
        weights: ``(w (m, i, o), b (m, 1, o), ...)``, one pair a layer, float32.
        rates: Inner step size of each tensor of weights, of a shape that broadcasts to it.
        n_steps: Inner steps for a short study.
        pull: Strength of the pull towards the weights, for a short study; see :func:`adapt`.
    """

    weights: tuple[Tensor, ...]
    rates: tuple[Tensor, ...]
    n_steps: int
    pull: float = 0.0

    def cpu(self) -> FewShotNetworks:
        """A copy on the CPU."""
        weights, rates = (tuple(t.cpu() for t in s) for s in (self.weights, self.rates))
        return replace(self, weights=weights, rates=rates)

    def adapt(self, x: Tensor, z: Tensor) -> list[Tensor]:
        """Weights adapted to trials ``(c, e)`` and ``(c,)``, with more steps for more trials.

        The loss is a mean over trials, so a constant pull would outweigh more trials the more
        there are. It falls with their number, and so always outweighs the same number of trials.
        """
        pull = self.pull * min(1.0, _N_TRIALS_OF_INNER_STEPS / max(len(x), 1))
        growth = max(1.0, (len(x) / _N_TRIALS_OF_INNER_STEPS) ** 2)
        n_steps = min(math.ceil(self.n_steps * growth), max(self.n_steps, _MAX_INNER_STEPS))
        weights = adapt(self.weights, self.rates, x, z, n_steps, pull)
        return [w.detach() for w in weights]


@dataclass(frozen=True)
class FewShotPredictor:
    """The ensemble, adapted to a study.

    Attributes:
        weights: Adapted weights, of the shapes of ``FewShotNetworks.weights``.
        context_x: The trials in the common space, shape ``(c, e)``, float32.
        to_prior: Maps points ``(q, d)`` to the common space.
        incumbent: The best outcome; ``None`` before the first.
        residual: Variance of the residuals, which counts far away from all trials.
    """

    weights: list[Tensor]
    context_x: Tensor
    to_prior: Callable[[Tensor], Tensor]
    incumbent: float | None
    residual: float

    def members(self, x: Tensor) -> Tensor:
        """Members' outputs at points ``(q, e)`` of the common space, shape ``(m, q)``, float64."""
        return outputs(self.weights, x.float(), self.context_x).double()

    def __call__(self, x: Tensor) -> Normal:
        """Distribution of the outcome at points ``(q, d)``, by the members' mean and spread."""
        points = self.to_prior(x)
        members = self.members(points)
        # Members may agree at points that are not well known, and without more variance the same
        # best point would be tried again and again. The residual variance therefore counts the
        # more, the farther away the nearest trial is (after the distance-aware uncertainty of Liu
        # et al. 2020, arXiv:2006.10108).
        unknown = self.residual * _novelty(points, self.context_x)
        variance = members.var(dim=0, correction=0) + unknown
        return Normal(members.mean(dim=0), variance.sqrt(), validate_args=False)


class FewShotSurrogate(Surrogate[FewShotPredictor]):
    """Adapts an ensemble to the running study.

    Args:
        networks: The meta-learned ensemble.
        to_prior: Maps points ``(q, d)`` of the running study to the networks' space, ``(q, e)``.
    """

    def __init__(self, networks: FewShotNetworks, to_prior: Callable[[Tensor], Tensor]) -> None:
        self.networks = networks
        self._to_prior = to_prior

    def condition(self, task: Task, previous: Predictor | None = None) -> FewShotPredictor:
        """See :meth:`Surrogate.condition`; always from the meta-learned weights.

        Pending trials get their predictions as outcomes (Ginsbourger, Le Riche & Carraro 2010,
        "Kriging is well-suited to parallelize optimization"), so that the members agree there.
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
            expected = predictor.members(pending).mean(dim=0)
            predictor = self._fitted(torch.cat([x, pending.float()]), torch.cat([z, expected]))
        return predictor

    def _fitted(self, x: Tensor, z: Tensor) -> FewShotPredictor:
        z = z - z.mean()
        fitted = FewShotPredictor(
            self.networks.adapt(x, z.float()), x, self._to_prior, None, _MIN_RESIDUAL**2
        )
        explained = fitted.members(x).mean(dim=0)
        residual = max(float((z - explained).square().mean()), _MIN_RESIDUAL**2)
        fitted = replace(fitted, residual=residual)
        # A few steps do not fit every outcome. The incumbent is the prediction at the best trial,
        # because the outcome itself may be above all predictions.
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

"""The plain surrogate: an ensemble of multi-layer perceptrons ``f(h) -> performance``.

Trained on the mean squared error over the records of prior studies, and at every trial trained on
over these and the running study's own records together.

Axis letters: ``m`` members, ``n`` prior records, ``t`` trials, ``q`` points, ``i`` inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import pad

from optuna_metasampler.networks import forward, initial
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.pooled import (
    Inputs,
    PriorRecords,
    pooled_outcomes,
    pooled_weights,
)
from optuna_metasampler.task import Task


_BATCH = 96
# Share of the prior studies that a member learns from.
_SHARE = 0.25
_MIN_VARIANCE = 1e-12


@dataclass(frozen=True)
class MlpConfig:
    """How the ensemble is built and trained on.

    Attributes:
        n_members: Networks in the ensemble.
        width: Units in each of the two hidden layers.
        n_steps: Steps of Adam at every suggestion.
        learning_rate: First step size of Adam; it falls to zero along a cosine.
        prior_weight: As many trials of the running study as all prior records together weigh.
    """

    n_members: int = 8
    width: int = 64
    n_steps: int = 80
    learning_rate: float = 1e-2
    prior_weight: float = 10.0


def new_ensemble(n_inputs: int, config: MlpConfig, generator: torch.Generator) -> list[Tensor]:
    """Random weights of an ensemble, see :mod:`optuna_metasampler.networks`; one output."""
    sizes = (n_inputs, config.width, config.width, 1)
    return initial(sizes, (config.n_members,), generator)


def study_shares(n_studies: int, n_members: int, generator: torch.Generator) -> Tensor:
    """Which prior studies each member learns from: a few each, all dealt out evenly.

    A member that learned from all of them would know what they have in common, and so would every
    other. The running study will differ from that as they differ from each other; this is what the
    ensemble has to be unsure of, so its members have to differ as much.

    Returns:
        The weight of each study's records, shape ``(m, k)``, of mean 1 over the studies.
    """
    n = max(1, round(_SHARE * n_studies))
    order = torch.randperm(n_studies, generator=generator)
    member = torch.arange(n_members)[:, None]
    dealt = order[(member * n + torch.arange(n)) % n_studies]
    return torch.zeros((n_members, n_studies)).scatter(1, dealt, n_studies / n)


@dataclass(frozen=True)
class EnsemblePredictor(Predictor):
    """The ensemble after it has been trained on.

    Attributes:
        inputs: What the networks see of a point.
        weights: Their weights, float32.
        best: The best outcome of the running study on the scale of the prediction; ``None``
            without any.
    """

    inputs: Inputs
    weights: list[Tensor]
    best: float | None

    @property
    def incumbent(self) -> float | None:
        """See :class:`Predictor`."""
        return self.best

    @property
    def column_scale(self) -> Tensor:
        """Ones over the inputs: a network has no lengthscales."""
        return torch.ones(self.weights[0].shape[1], dtype=torch.float64)

    def each(self, x: Tensor) -> Tensor:
        """What each member says at points ``(q, d)``: shape ``(m, q)``, float64."""
        return forward(self.weights, self.inputs(x).float()).squeeze(2).double()

    def __call__(self, x: Tensor) -> Normal:
        """Mean and standard deviation over the members, at points ``(q, d)``."""
        each = self.each(x)
        if not len(x):
            return Normal(each.sum(dim=0), each.sum(dim=0) + 1.0, validate_args=False)
        # Not zero, where its square root has no slope.
        deviation = (each.var(dim=0, unbiased=False) + _MIN_VARIANCE).sqrt()
        return Normal(each.mean(dim=0), deviation, validate_args=False)


class Ensemble(Surrogate[EnsemblePredictor]):
    """The surrogate.

    Args:
        records: Of the prior studies; there may be none.
        weights: What was learned from them, for ``e`` inputs.
        shares: How much each study weighs with each member, shape ``(m, k)``.
        inputs: What the networks see of a point of the running study.
        config: How to train on.
    """

    def __init__(
        self,
        records: PriorRecords,
        weights: Sequence[Tensor],
        shares: Tensor,
        inputs: Inputs,
        config: MlpConfig,
    ) -> None:
        # Inputs that were not there when it was trained have no effect to begin with.
        first = pad(weights[0], (0, 0, 0, len(inputs.columns)))
        self.inputs = inputs
        self.weights = [first, *weights[1:]]
        self.config = config
        self._prior_x = inputs.of_prior(records.x).float()
        self._prior_z = records.z.float()
        self._prior_share = shares[:, records.study]

    def condition(self, task: Task, previous: Predictor | None = None) -> EnsemblePredictor:
        """Train on; see :meth:`Surrogate.condition`.

        Always from the weights that the prior studies gave, never from those of the last trial, so
        that what is suggested depends on the trials and not on the way to them.
        """
        x = torch.cat([task.x, task.pending])
        expected = None
        if len(self._prior_x):
            before = EnsemblePredictor(self.inputs, self.weights, None)
            with torch.no_grad():
                expected = before(task.x).mean
        z = pooled_outcomes(task, expected)
        weights = self._trained(self.inputs(x).float(), z.float()) if len(x) else self.weights
        best = float(z[: len(task)].max()) if len(task) else None
        return EnsemblePredictor(self.inputs, weights, best)

    def _trained(self, x: Tensor, z: Tensor) -> list[Tensor]:
        """The weights after some steps over the prior records and inputs ``(t, i)``."""
        config, n_prior = self.config, len(self._prior_x)
        # Prior records come a batch a step, in the random order in which they are kept.
        batch = min(_BATCH, n_prior)
        share, own = pooled_weights(n_prior, len(x), config.prior_weight)
        prior_share = self._prior_share * (share * n_prior / max(batch, 1))
        own_share = z.new_full((len(self.weights[0]), len(x)), own)
        weights = [w.clone().requires_grad_() for w in self.weights]
        optimizer = torch.optim.Adam(weights, lr=config.learning_rate)
        for step in range(config.n_steps):
            for group in optimizer.param_groups:
                decay = 0.5 * (1.0 + math.cos(math.pi * step / config.n_steps))
                group["lr"] = config.learning_rate * decay
            rows = (torch.arange(batch) + step * batch) % max(n_prior, 1)
            with torch.enable_grad():
                output = forward(weights, torch.cat([self._prior_x[rows], x])).squeeze(2)
                error = (output - torch.cat([self._prior_z[rows], z])).square()
                loss = (error * torch.cat([prior_share[:, rows], own_share], dim=1)).sum()
                gradients = torch.autograd.grad(loss, weights)
            for w, gradient in zip(weights, gradients, strict=True):
                w.grad = gradient
            optimizer.step()
        return [w.detach() for w in weights]

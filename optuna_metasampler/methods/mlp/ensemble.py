"""The plain surrogate: an ensemble of multi-layer perceptrons ``f(h) -> performance``.

The ensemble is trained on the mean squared error over the records of prior studies, and at every
suggestion trained further on these and the running study's own trials together.

Axis letters: ``m`` members, ``n`` prior records, ``t`` trials of the running study, ``q`` points,
``d`` encoded columns of the running study's space, ``e`` of the prior studies' common space, ``u``
columns that the prior studies lack, ``i`` inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import pad

from optuna_metasampler.meta_train.adam import Adam
from optuna_metasampler.methods.networks import forward, initial
from optuna_metasampler.outcomes import half_rank_warp, rank_gaussianize
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import representative_rows
from optuna_metasampler.task import Task, to_tensor


# Every suggestion fits all records; an even share of each study is more informative than all
# records of one.
MAX_RECORDS = 512
# Share of the variance of a study's outcomes that other studies do not explain. A guess of little
# effect, because the trials soon correct outcomes that differ by less.
_UNEXPLAINED = 0.5
_BATCH = 96
# Share of the prior studies that a member learns from.
_SHARE = 0.25
_MIN_VARIANCE = 1e-12


@dataclass(frozen=True)
class PriorRecords:
    """Trials of all prior studies in one table.

    Attributes:
        x: Points of the common space, shape ``(n, e)``, float64.
        z: Normal quantiles of their outcomes' ranks within their study, shape ``(n,)``, float64.
        study: The number of the study of each, shape ``(n,)``, int64.
    """

    x: Tensor
    z: Tensor
    study: Tensor

    @classmethod
    def of(cls, tasks: Sequence[Task], generator: torch.Generator) -> PriorRecords:
        """At most :data:`MAX_RECORDS` trials in random order, the same number of each study.

        Args:
            tasks: Prior studies in one space, at least one.
            generator: Source of all randomness.
        """
        # At least one of each study, so there are more records with very many studies.
        share = max(1, MAX_RECORDS // len(tasks))
        rows = [representative_rows(task.y, share) for task in tasks]
        x = torch.cat([task.x[r] for task, r in zip(tasks, rows, strict=True)])
        z = torch.cat([rank_gaussianize(task.y)[r] for task, r in zip(tasks, rows, strict=True)])
        study = torch.cat([torch.full((len(r),), i) for i, r in enumerate(rows)])
        order = torch.randperm(len(x), generator=generator)
        return cls(x[order], z[order], study[order])

    @classmethod
    def none(cls, n_columns: int) -> PriorRecords:
        """An empty table."""
        nothing = torch.zeros((0, n_columns), dtype=torch.float64)
        return cls(nothing, nothing.sum(dim=1), torch.zeros(0, dtype=torch.int64))


@dataclass(frozen=True)
class Inputs:
    """Inputs of a regression on prior records and trials of the running study.

    The columns of the common space come first, so that a model trained there stays valid. After
    them come those of the parameters that no prior study had, minus their neutral values; prior
    records have zeros there. No information is lost, unlike with a map of prior configurations to
    the running study's ranges and choices.

    Attributes:
        to_prior: Maps points ``(q, d)`` to the common space ``(q, e)``, differentiably.
        columns: The columns that the prior studies lack, shape ``(u,)``, int64.
        neutral: Their neutral values, shape ``(u,)``.
    """

    to_prior: Callable[[Tensor], Tensor]
    columns: Tensor
    neutral: Tensor

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        to_prior: Callable[[Tensor], Tensor] | None = None,
        unknown: Sequence[str] = (),
    ) -> Inputs:
        """The inputs of a running study.

        Args:
            space: Its space.
            to_prior: Maps its points to the common space; ``None`` without prior studies.
            unknown: Names of the parameters that no prior study had.
        """
        columns: list[int] = []
        for p in space.parameters:
            if p.name in unknown:
                columns += range(p.start, p.start + p.width)
                columns += [] if p.activity is None else [p.activity]
        return cls(
            to_prior or (lambda x: x),
            torch.tensor(columns, dtype=torch.int64),
            to_tensor(space.neutral)[columns],
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs at points ``(q, d)``: shape ``(q, i)`` with ``i = e + u``."""
        return torch.cat([self.to_prior(x), x[:, self.columns] - self.neutral], dim=1)

    def of_prior(self, x: Tensor) -> Tensor:
        """Inputs at points ``(n, e)`` of the common space: shape ``(n, i)``."""
        return torch.cat([x, x.new_zeros((len(x), len(self.columns)))], dim=1)


def pooled_outcomes(task: Task, expected: Tensor | None) -> Tensor:
    """Outcomes of the running study's trials, then of its pending ones, on the priors' scale.

    Quantiles within the running study and within a prior one are not comparable: after a warm
    start all of ten trials are good, and the worst of them is not in the lowest tenth. The
    outcomes are therefore warped to unit scale, then shifted and stretched to the mean and the
    spread that the prior studies predict at the same points: the mean of their predictions, and
    the variance of their predictions plus the unexplained variance. The ranking of the trials
    comes from the running study, their overall level from the prior studies. A single trial gets
    its predicted outcome.

    Pending trials get the mean outcome, so that concurrent trials avoid them ("constant liar",
    Ginsbourger, Le Riche & Carraro 2010, "Kriging is well-suited to parallelize optimization").

    Args:
        task: The running study.
        expected: Predictions of the prior studies at its trials, shape ``(t,)``; ``None`` without
            prior studies.

    Returns:
        Shape ``(t + q,)`` with ``q`` pending trials, float64.
    """
    z = half_rank_warp(task.y)
    if expected is not None and len(z):
        spread = (expected.var(unbiased=False) + _UNEXPLAINED).sqrt()
        scale = z.std(unbiased=False)
        gap = z - z.mean()
        # Equal outcomes cannot be stretched.
        z = expected.mean() + (gap / scale * spread if float(scale) > 0.0 else gap)
    # Without trials the mean outcome of the prior studies, which is zero on their scale.
    liar = float(z.mean()) if len(z) else 0.0
    return torch.cat([z, torch.full((len(task.pending),), liar, dtype=torch.float64)])


def pooled_weights(n_prior: int, n_own: int, prior_weight: float) -> tuple[float, float]:
    """Weights of a prior record and of a trial of the running study; they sum to 1 over all.

    Args:
        n_prior: Number of prior records.
        n_own: Number of the running study's trials, pending ones included.
        prior_weight: Weight of all prior records together, in trials of the running study. With
            equal weights, the many records of other studies would dominate.
    """
    if not n_prior:
        return 0.0, 1.0 / max(n_own, 1)
    total = prior_weight + n_own
    return prior_weight / total / n_prior, 1.0 / total


@dataclass(frozen=True)
class MlpConfig:
    """Sizes and rates of the ensemble.

    Attributes:
        n_members: Networks in the ensemble.
        width: Units in each of the two hidden layers.
        n_steps: Steps of Adam at every suggestion.
        learning_rate: First step size of Adam; it falls to zero along a cosine.
        prior_weight: Weight of all prior records together, in trials of the running study.
    """

    n_members: int = 8
    width: int = 64
    n_steps: int = 80
    learning_rate: float = 1e-2
    prior_weight: float = 10.0


def layer_sizes(n_inputs: int, width: int) -> tuple[int, ...]:
    """Inputs, units of the two hidden layers, and outputs of a network."""
    return n_inputs, width, width, 1


def new_ensemble(n_inputs: int, config: MlpConfig, generator: torch.Generator) -> list[Tensor]:
    """Random weights of an ensemble with one output; see :func:`.networks.initial`."""
    return initial(layer_sizes(n_inputs, config.width), (config.n_members,), generator)


def study_shares(n_studies: int, n_members: int, generator: torch.Generator) -> Tensor:
    """Weights of the prior studies for each member: each learns from a few, dealt out evenly.

    Members that learned from all studies would agree on what the studies have in common. The
    running study will differ from that as the prior studies differ from one another, and the
    ensemble has to be as uncertain as that, so its members have to differ as much.

    Returns:
        The weight of each study's records, shape ``(m, k)``, of mean 1 over the studies.
    """
    n = max(1, round(_SHARE * n_studies))
    order = torch.randperm(n_studies, generator=generator)
    member = torch.arange(n_members)[:, None]
    dealt = order[(member * n + torch.arange(n)) % n_studies]
    return torch.zeros((n_members, n_studies)).scatter(1, dealt, n_studies / n)


@dataclass(frozen=True)
class EnsemblePredictor:
    """The ensemble, trained on a task.

    Attributes:
        inputs: Inputs of the networks.
        weights: Weights of the networks, float32.
        incumbent: The best outcome of the running study on the scale of the prediction; ``None``
            without any.
    """

    inputs: Inputs
    weights: list[Tensor]
    incumbent: float | None

    def each(self, x: Tensor) -> Tensor:
        """Each member's prediction at points ``(q, d)``: shape ``(m, q)``, float64."""
        return forward(self.weights, self.inputs(x).float()).squeeze(2).double()

    def __call__(self, x: Tensor) -> Normal:
        """Mean and standard deviation over the members, at points ``(q, d)``."""
        each = self.each(x)
        if not len(x):
            return Normal(each.sum(dim=0), each.sum(dim=0) + 1.0, validate_args=False)
        # The square root has no slope at zero.
        deviation = (each.var(dim=0, unbiased=False) + _MIN_VARIANCE).sqrt()
        return Normal(each.mean(dim=0), deviation, validate_args=False)


class Ensemble(Surrogate[EnsemblePredictor]):
    """An ensemble of networks, trained on the prior records and the running study's trials.

    Args:
        records: Records of the prior studies; there may be none.
        weights: Meta-learned weights, for ``e`` inputs.
        shares: Weight of each study for each member, shape ``(m, k)``.
        inputs: Inputs of the networks at a point of the running study.
        config: Sizes and rates.
    """

    def __init__(
        self,
        records: PriorRecords,
        weights: Sequence[Tensor],
        shares: Tensor,
        inputs: Inputs,
        config: MlpConfig,
    ) -> None:
        # Inputs of parameters that no prior study had have no effect at first.
        first = pad(weights[0], (0, 0, 0, len(inputs.columns)))
        self.inputs = inputs
        self.weights = [first, *weights[1:]]
        self.config = config
        self._prior_x = inputs.of_prior(records.x).float()
        self._prior_z = records.z.float()
        self._prior_share = shares[:, records.study]

    def condition(self, task: Task, previous: Predictor | None = None) -> EnsemblePredictor:
        """See :meth:`Surrogate.condition`.

        Training always starts from the meta-learned weights, never from those of the last trial,
        so that suggestions depend on the trials alone.
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
        """The weights after training on the prior records and inputs ``(t, i)``."""
        config, n_prior = self.config, len(self._prior_x)
        # One batch of prior records a step, in the random order of the table.
        batch = min(_BATCH, n_prior)
        share, own = pooled_weights(n_prior, len(x), config.prior_weight)
        prior_share = self._prior_share * (share * n_prior / max(batch, 1))
        own_share = z.new_full((len(self.weights[0]), len(x)), own)
        weights = [w.clone().requires_grad_() for w in self.weights]
        optimizer = Adam(weights)
        for step in range(config.n_steps):
            rows = (torch.arange(batch) + step * batch) % max(n_prior, 1)
            with torch.enable_grad():
                output = forward(weights, torch.cat([self._prior_x[rows], x])).squeeze(2)
                error = (output - torch.cat([self._prior_z[rows], z])).square()
                loss = (error * torch.cat([prior_share[:, rows], own_share], dim=1)).sum()
                gradients = torch.autograd.grad(loss, weights)
            decay = 0.5 * (1.0 + math.cos(math.pi * step / config.n_steps))
            optimizer.step(gradients, config.learning_rate * decay)
        return [w.detach() for w in weights]

"""A Gaussian process for each of a few prior studies, side by side.

They are fitted once, in the common space of the prior studies, on normal quantiles of ranks, so
that metrics with different units and scales are comparable. The prior model summarises any number
of studies instead; see :mod:`~optuna_metasampler.surrogates.prior_model`.

Axis letters: ``k`` prior studies, ``n`` trials of a study, ``q`` query points, ``d`` encoded
columns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from optuna_metasampler.outcomes import rank_gaussianize
from optuna_metasampler.packing import checked
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import (
    BasisPrior,
    HyperPrior,
    Metric,
    Posterior,
    constant_feature,
    fit_hyperparameters,
    matern52,
    representative_rows,
)
from optuna_metasampler.task import Task


_MAX_SOURCES = 30
_MAX_SOURCE_TRIALS = 120


@dataclass(frozen=True)
class SourceProcesses:
    """The posterior means of ``k`` Gaussian processes, one a prior study, as one batch.

    Attributes:
        x: Scaled points, zero-padded to the longest study, shape ``(k, n, d)``.
        scale: Factors of the columns, shape ``(k, 1, d)``; zero where a study lacks the parameter.
        alpha: Kernel weights of the points, zero at the padding, shape ``(k, n, 1)``.
        offset: Constant part of each mean, shape ``(k,)``.
    """

    x: Tensor
    scale: Tensor
    alpha: Tensor
    offset: Tensor

    @classmethod
    def fit(
        cls,
        tasks: list[Task],
        warp: Callable[[Tensor], Tensor] = rank_gaussianize,
        watch: Callable[[int, int], None] | None = None,
        local: Collection[int] = (),
    ) -> SourceProcesses:
        """Fit one Gaussian process to each task.

        Args:
            tasks: Studies that share a space.
            warp: From raw outcomes ``(n,)`` to the modelled outcomes.
            watch: Called after each task with the number of tasks done and in total.
            local: Positions of tasks whose outcomes are all equal, so that nothing says how far
                they reach: their processes are zero but near the trials.
        """
        metric = Metric.of(tasks[0].space, trend=False)
        parts = []
        for i, task in enumerate(tasks):
            parts.append(_fit_source(task, metric, warp, i in local))
            if watch is not None:
                watch(len(parts), len(tasks))
        longest = max(len(x) for x, _, _, _ in parts)
        return cls(
            x=torch.stack([pad(x, (0, 0, 0, longest - len(x))) for x, _, _, _ in parts]),
            scale=torch.stack([scale[None] for _, scale, _, _ in parts]),
            alpha=torch.stack([pad(a, (0, longest - len(a)))[:, None] for _, _, a, _ in parts]),
            offset=torch.stack([offset for _, _, _, offset in parts]),
        )

    @classmethod
    def unpack(cls, space: SearchSpace, tensors: Mapping[str, Tensor]) -> SourceProcesses:
        """The inverse of :func:`pack` below ``sources``.

        Raises:
            KeyError: If a tensor is missing.
            ValueError: If a tensor has a wrong shape.
        """
        offset = checked(tensors, "sources.offset", None)
        k, d = len(offset), space.n_columns
        x = checked(tensors, "sources.x", k, None, d)
        return cls(
            x=x,
            scale=checked(tensors, "sources.scale", k, 1, d),
            alpha=checked(tensors, "sources.alpha", k, x.shape[1], 1),
            offset=offset,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Predicted quantiles at points ``(q, d)`` of the common space: shape ``(q, k)``."""
        k = matern52(x * self.scale, self.x)
        return (k @ self.alpha).squeeze(2).T + self.offset


def _fit_source(
    task: Task, metric: Metric, warp: Callable[[Tensor], Tensor], local: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scaled points ``(n, d)``, column factors ``(d,)``, kernel weights ``(n,)``, offset."""
    rows = representative_rows(task.y, _MAX_SOURCE_TRIALS)
    z = warp(task.y)[rows]
    # Columns of parameters that this study lacks have no effect.
    has = columns_of(task.space, task.mask.any(dim=0))
    x = task.x[rows] * has
    prior, linear, phi = (
        HyperPrior.default(metric.n_blocks),
        BasisPrior.constant(),
        constant_feature(x),
    )
    if local:
        linear = replace(linear, variances=torch.zeros_like(linear.variances))
    with torch.no_grad():
        theta = (
            _short(prior, metric.n_blocks)
            if local
            else fit_hyperparameters(x, z, phi, metric, linear, prior)
        )
        posterior = Posterior.of(x, z, phi, metric, [(theta, linear)])
    scale = posterior.scale[0, 0] * has
    alpha = posterior.alpha[0, :, 0] * posterior.outputscale[0, 0, 0]
    offset = torch.zeros((), dtype=torch.float64) if local else posterior.alpha.sum()
    return x * scale, scale, alpha, offset


def _short(prior: HyperPrior, n_lengthscales: int) -> Tensor:
    """Hyperparameters with lengthscales one standard deviation below their mean."""
    theta = prior.mean.clone()
    theta[:n_lengthscales] -= prior.std[:n_lengthscales]
    return theta


def columns_of(space: SearchSpace, parameters: Tensor) -> Tensor:
    """Flags of parameters, shape ``(p,)``, repeated for their encoded columns: shape ``(d,)``."""
    flags = torch.zeros(space.n_columns, dtype=torch.float64)
    for flag, p in zip(parameters.tolist(), space.parameters, strict=True):
        flags[p.columns] = float(flag)
        if p.activity is not None:
            flags[p.activity] = float(flag)
    return flags


def most_informative(tasks: Sequence[Task]) -> list[Task]:
    """The studies that get a process of their own, in the order given.

    Those with the most shared parameters, then those with the most trials: a storage may also hold
    unrelated studies that share a few names by chance.
    """
    n_shared = [int(task.mask.any(dim=0).sum()) for task in tasks]
    order = sorted(range(len(tasks)), key=lambda i: (-n_shared[i], -len(tasks[i]), i))
    return [tasks[i] for i in sorted(order[:_MAX_SOURCES])]

"""The prior model: the mean of many studies and how they differ, on points common to all.

Every prior study is a function of the configuration: the posterior mean of a Gaussian process. Its
outcomes are normal quantiles of ranks, so that metrics with different units and scales are
comparable, and all processes have the kernel that fits them best together, so that all functions
are determined by their values at common points: trials that are good in some study, and trials
that spread. The *prior mean* is the functions' average, the *components* are the principal
components of their deviations from it: an empirical covariance of studies, of which a running
study is one more draw (Lin et al. 2026, arXiv:2602.12082). Its size does not depend on the number
of studies.

Axis letters: ``k`` prior studies, ``n`` trials of a study, ``m`` common points, ``r`` components,
``q`` query points, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import math

import torch
from torch import Tensor

from optuna_metasampler.outcomes import half_rank_warp, penalized, rank_gaussianize, spearman
from optuna_metasampler.packing import checked, pack
from optuna_metasampler.pareto import non_dominated, spread_out
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import (
    BasisPrior,
    HyperPrior,
    Metric,
    Posterior,
    constant_feature,
    fit_common_hyperparameters,
    matern52,
)
from optuna_metasampler.surrogates.source_processes import columns_of, most_informative
from optuna_metasampler.task import Task


# Trials of a study that are common points before any other, if there is room.
_N_BEST = 5
_MAX_COMPONENTS = 24
# Studies and trials that the kernel is fitted to. More of them change it little.
_MAX_STUDIES_TO_FIT = 16
_MAX_TRIALS_TO_FIT = 100
# A point is new if this much of its prior variance is left once all others are known.
_NEW = 1e-4
_JITTER = 1e-6
# Of more trials, some are left out of the choice of common points.
_MAX_CANDIDATES = 4000
_MAX_COMPLEMENTARY = 30
# Regrets below this share of the distance from a study's median to its best count as equal.
_LEAST_REGRET = 0.01
# Number of prior incumbents from the Pareto sets of all prior studies together.
_MAX_INCUMBENTS = 60


@dataclass(frozen=True)
class Resolution:
    """How finely studies are modelled.

    Attributes:
        n_points: Number of common points, at most.
        n_trials: Trials of a study that its function is fitted to, at most: a quarter the best,
            the others spread in time.
    """

    n_points: int = 400
    n_trials: int = 200


@dataclass(frozen=True)
class PriorModel:
    """The prior model, in the common space of the prior studies.

    Attributes:
        space: The common space.
        names: Names of the studies.
        n_trials: Their numbers of trials.
        scale: Factors of the columns, shape ``(1, d)``.
        points: Common points, shape ``(m, d)``.
        weights: Kernel weights of the prior mean, the components and the studies' functions at the
            scaled points, shape ``(m, 1 + r + k)``.
        offsets: Constant parts of these, shape ``(1 + r + k,)``.
        share: Weight of each study in the prior mean, shape ``(k,)``, sum 1.
        cross_study_correlation: The mean rank correlation of the other studies' average with each
            study, in ``[0, 1]``; 0.5 for a single study, where it is unknown.
        collection: What all studies belong to, and are listed as; empty if each is listed.
        otherwise: Maps points ``(q, d)`` to where they may be instead, with even chances: what is
            predicted is the mean of both. ``None`` if they are where they are said to be.
    """

    space: SearchSpace
    names: tuple[str, ...]
    n_trials: tuple[int, ...]
    scale: Tensor
    points: Tensor
    weights: Tensor
    offsets: Tensor
    share: Tensor
    cross_study_correlation: float
    collection: str = ""
    otherwise: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def fit(
        cls,
        tasks: Sequence[Task],
        watch: Callable[[int, int], None] | None = None,
        resolution: Resolution | None = None,
    ) -> PriorModel:
        """Learn from prior studies.

        Args:
            tasks: Prior studies in one common space.
            watch: Called after each study with the number of studies done and in total.
            resolution: How finely they are modelled.

        Raises:
            ValueError: If there is no task.
        """
        if not tasks:
            raise ValueError("`tasks` must contain at least one prior study, but it is empty.")
        with torch.no_grad():
            return cls._fit(tasks, watch, resolution or Resolution())

    @classmethod
    def _fit(
        cls,
        tasks: Sequence[Task],
        watch: Callable[[int, int], None] | None,
        resolution: Resolution,
    ) -> PriorModel:
        space, k = tasks[0].space, len(tasks)
        metric = Metric.of(space, trend=False)
        data = [_Modelled.of(task, resolution.n_trials) for task in tasks]
        theta = _common_kernel(data, metric)
        scale = metric.scale(theta[: metric.n_blocks])[None]
        points = _common_points(data, scale, resolution.n_points)
        functions, offsets = [], []
        for i, own in enumerate(data):
            phi = constant_feature(own.x)
            # Columns of parameters that this study lacks have no effect.
            posterior = Posterior.of(
                own.x * own.has,
                own.z,
                phi,
                metric,
                [(theta, BasisPrior.constant())],
                own.extrapolated,
            )
            covariance = posterior.covariance(points * own.has, constant_feature(points))
            functions.append((covariance @ posterior.alpha)[0, :, 0])
            offsets.append(posterior.alpha.sum())
            if watch is not None:
                watch(i + 1, k)
        values, constants = torch.stack(functions), torch.stack(offsets)
        kernel = matern52(points * scale, points * scale)
        kernel.diagonal().add_(_JITTER)
        root = torch.linalg.cholesky(kernel)
        each = torch.cholesky_solve((values - constants[:, None]).T, root)
        correlation = _correlations(data, points * scale, scale, each, constants)
        share = _shares(correlation)
        mixing = torch.cat([share[:, None], _components(values, share)], dim=1)
        return cls(
            space=space,
            names=tuple(task.name for task in tasks),
            n_trials=tuple(map(len, tasks)),
            scale=scale,
            points=points,
            weights=torch.cat([each @ mixing, each], dim=1),
            offsets=torch.cat([constants @ mixing, constants]),
            share=share,
            cross_study_correlation=float(correlation.clamp_min(0.0).mean()) if k > 1 else 0.5,
        )

    @classmethod
    def unpack(cls, space: SearchSpace, tensors: Mapping[str, Tensor]) -> PriorModel:
        """The inverse of :meth:`pack`; names are replaced by numbers.

        Raises:
            KeyError: If a tensor is missing.
            ValueError: If a tensor has a wrong shape.
        """
        share = checked(tensors, "share", None)
        k, d = len(share), space.n_columns
        points = checked(tensors, "points", None, d)
        # Files may have fewer digits of them.
        weights = checked(tensors, "weights", len(points), None).double()
        if weights.shape[1] < 1 + k:
            raise ValueError(f"'weights' has {weights.shape[1]} columns, not at least {1 + k}")
        return cls(
            space=space,
            names=tuple(f"prior study {i}" for i in range(1, k + 1)),
            n_trials=tuple(checked(tensors, "n_trials", k).long().tolist()),
            scale=checked(tensors, "scale", 1, d),
            points=points,
            weights=weights,
            offsets=checked(tensors, "offsets", weights.shape[1]),
            share=share,
            cross_study_correlation=float(checked(tensors, "agreement")),
        )

    def pack(self) -> dict[str, Tensor]:
        """The attributes, without names of studies, as named tensors."""
        return pack(
            {
                "scale": self.scale,
                "points": self.points,
                "weights": self.weights,
                "offsets": self.offsets,
                "n_trials": torch.tensor(self.n_trials),
                "share": self.share,
                "agreement": self.cross_study_correlation,
            }
        )

    @property
    def n_components(self) -> int:
        """Number of components, ``r``."""
        return self.weights.shape[1] - 1 - len(self.names)

    def __call__(self, x: Tensor, sign_flipped: bool = False) -> Tensor:
        """The prior mean and the components at points ``(q, d)`` of the common space.

        Args:
            x: Points.
            sign_flipped: Whether to negate the outcomes of the prior studies.

        Returns:
            Shape ``(q, 1 + r)``; differentiable.
        """
        features = self._at(x, slice(0, 1 + self.n_components))
        return -features if sign_flipped else features

    def each(self, x: Tensor) -> Tensor:
        """Predicted quantiles of each study at points ``(q, d)``: shape ``(q, k)``."""
        return self._at(x, slice(1 + self.n_components, None))

    def complementary(self, x: Tensor) -> list[int]:
        """Rows of configurations that together leave little to gain in any study.

        Args:
            x: Configurations to choose from, shape ``(c, d)``.

        Returns:
            At most 30 rows, the best on average first.
        """
        return greedy(_log_regret(self.each(x).T), _MAX_COMPLEMENTARY)

    def _at(self, x: Tensor, columns: slice) -> Tensor:
        found = self._exactly_at(x, columns)
        if self.otherwise is None:
            return found
        return (found + self._exactly_at(self.otherwise(x), columns)) / 2

    def _exactly_at(self, x: Tensor, columns: slice) -> Tensor:
        kernel = matern52(x * self.scale, self.points * self.scale)
        return kernel @ self.weights[:, columns] + self.offsets[columns]


@dataclass(frozen=True)
class _Modelled:
    """The trials of a study that its function is fitted to.

    Attributes:
        x: Points, shape ``(n, d)``.
        z: Normal quantiles of their ranks among all trials, shape ``(n,)``.
        has: 1 in the columns of the study's parameters, 0 in the others, shape ``(d,)``.
        extrapolated: Which outcomes are extrapolated, shape ``(n,)``, bool.
    """

    x: Tensor
    z: Tensor
    has: Tensor
    extrapolated: Tensor

    @classmethod
    def of(cls, task: Task, n_most: int) -> _Modelled:
        has = columns_of(task.space, task.mask.any(dim=0))
        rows = torch.arange(len(task))
        if len(task) > n_most:
            order = torch.argsort(task.y, descending=True, stable=True)
            best, others = order[: n_most // 4], order[n_most // 4 :].sort().values
            even = torch.linspace(0, len(others) - 1, n_most - len(best)).round().long()
            rows = torch.cat([best, others[even]]).sort().values
        z = rank_gaussianize(task.y)[rows]
        return cls(task.x[rows], z, has, task.is_extrapolated[rows])


def _common_kernel(data: Sequence[_Modelled], metric: Metric) -> Tensor:
    """Hyperparameters ``theta`` that fit the studies best together, shape ``(b + 5,)``.

    Of many studies, those with the most parameters and trials count.
    """
    order = sorted(range(len(data)), key=lambda i: (-float(data[i].has.sum()), -len(data[i].x), i))
    parts = []
    for i in order[:_MAX_STUDIES_TO_FIT]:
        rows = torch.linspace(0, len(data[i].x) - 1, min(len(data[i].x), _MAX_TRIALS_TO_FIT))
        rows = rows.round().long()
        x, z = data[i].x[rows] * data[i].has, data[i].z[rows]
        parts.append((x, z, constant_feature(x), data[i].extrapolated[rows]))
    return fit_common_hyperparameters(
        parts, metric, BasisPrior.constant(), HyperPrior.default(metric.n_blocks)
    )


def _common_points(data: Sequence[_Modelled], scale: Tensor, n_most: int) -> Tensor:
    """Points that determine the functions of all studies, shape ``(m, d)``.

    First the best few of each study, in turns, then those whose outcome is the least known given
    all points so far: the pivots of a Cholesky factorisation.
    """
    tops = [torch.topk(own.z, min(_N_BEST, len(own.z))).indices for own in data]
    best = [
        own.x[top[rank]]
        for rank in range(_N_BEST)
        for own, top in zip(data, tops, strict=True)
        if rank < len(top)
    ][: n_most // 2]
    everything = torch.cat([own.x for own in data])
    stride = math.ceil(len(everything) / _MAX_CANDIDATES)
    candidates = torch.cat([torch.stack(best), everything[::stride]])
    chosen = pivots(candidates * scale, len(best), n_most)
    points: Tensor = candidates[chosen]
    return points


def pivots(x: Tensor, n_first: int, n_most: int) -> Tensor:
    """Rows of points that determine a function at all of them: a pivoted Cholesky factorisation.

    Harbrecht, Peters & Schneider 2012, "On the low-rank approximation by the pivoted Cholesky
    decomposition", Appl. Numer. Math. 62.

    Args:
        x: Points, divided by the lengthscales, shape ``(c, d)``.
        n_first: How many rows come first whatever they add, but for duplicates.
        n_most: How many rows to choose, at most.

    Returns:
        Row numbers in the order of the choice, shape ``(m,)`` with ``m <= n_most``.
    """
    left = torch.ones(len(x), dtype=torch.float64)
    factor = torch.zeros((min(n_most, len(x)), len(x)), dtype=torch.float64)
    chosen: list[int] = []
    queue = list(range(min(n_first, len(x))))
    while len(chosen) < len(factor):
        from_queue = bool(queue)
        row = queue.pop(0) if from_queue else int(left.argmax())
        if float(left[row]) < _NEW:
            if from_queue:
                continue
            break
        known = factor[: len(chosen)]
        column = matern52(x[row : row + 1], x)[0] - known[:, row] @ known
        factor[len(chosen)] = column / left[row].sqrt()
        left = (left - factor[len(chosen)].square()).clamp_min(0.0)
        left[row] = 0.0
        chosen.append(row)
    return torch.tensor(chosen, dtype=torch.int64)


def _correlations(
    data: Sequence[_Modelled], points: Tensor, scale: Tensor, each: Tensor, constants: Tensor
) -> Tensor:
    """Spearman correlation of the mean of the *other* functions with each study: ``(k,)``."""
    if len(data) == 1:
        return torch.zeros(1, dtype=torch.float64)
    total, offset = each.sum(dim=1), constants.sum()
    correlations = []
    for i, own in enumerate(data):
        kernel = matern52(own.x * scale, points)
        others = kernel @ (total - each[:, i]) + (offset - constants[i])
        rho = spearman(others, own.z)
        correlations.append(0.0 if math.isnan(rho) else rho)
    return torch.tensor(correlations, dtype=torch.float64)


def _shares(correlation: Tensor) -> Tensor:
    """Weight of each study in the prior mean, shape ``(k,)``, sum 1."""
    share = torch.ones_like(correlation)
    if len(correlation) > 2:
        # With two studies, their correlation does not show which of them is right.
        share = correlation.clamp_min(0.0) + 0.01
    return share / share.sum()


def _components(values: Tensor, share: Tensor) -> Tensor:
    """Components as sums of the studies' functions: coefficients, shape ``(k, r)``.

    The squares of the components at the common points sum to the variances there of the functions
    about the prior mean.

    Args:
        values: Functions at the common points, shape ``(k, m)``.
        share: Weights of the prior mean, shape ``(k,)``.
    """
    k = len(values)
    deviation = (values - share @ values) / math.sqrt(k)
    left = torch.linalg.svd(deviation, full_matrices=False)[0][:, : min(k - 1, _MAX_COMPONENTS)]
    mixing: Tensor = (left - share[:, None] * left.sum(dim=0)) / math.sqrt(k)
    return mixing


def greedy(losses: Tensor, size: int) -> list[int]:
    """The configurations that, one by one, lower the mean over studies of the least loss the most.

    The mean is monotone and submodular in the set of configurations, so this set is at most a
    factor of ``1 - 1/e`` worse than the best of its size (Nemhauser, Wolsey & Fisher 1978).

    Args:
        losses: Loss of each configuration on each study, shape ``(k, c)``.
        size: How many to choose, at most; fewer once no other configuration lowers the mean.

    Returns:
        Indices of configurations in the order of the choice; the first of equals.
    """
    order: list[int] = []
    least = losses.new_full((len(losses), 1), torch.inf)
    while len(order) < min(size, losses.shape[1]):
        reached = torch.minimum(least, losses)
        best = int(reached.sum(dim=0).argmin())
        if not bool((reached[:, best] < least[:, 0]).any()):
            break
        order.append(best)
        least = reached[:, best, None]
    return order


def _log_regret(values: Tensor) -> Tensor:
    """Logarithm of the regret of each configuration in each study, shape ``(k, c)``.

    In units of the distance from the study's median to its best configuration.

    Args:
        values: Outcomes, larger is better, shape ``(k, c)``.
    """
    top = values.max(dim=1, keepdim=True).values
    middle = values.median(dim=1, keepdim=True).values
    spread = torch.where(top > middle, top - middle, 1.0)
    return ((top - values) / spread).clamp_min(_LEAST_REGRET).log()


def best_configurations(tasks: Sequence[Task]) -> Tensor:
    """The best configuration of each of the most informative studies, shape ``(k, d)``.

    The best feasible one, or the one with the smallest violation if none is feasible.
    """
    chosen = map(penalized, most_informative(tasks))
    return torch.stack([task.x[int(task.y.argmax())] for task in chosen])


def pareto_sets(tasks: Sequence[Task]) -> Tensor:
    """Configurations on the Pareto fronts of the most informative studies, shape ``(k, d)``.

    Large fronts are thinned evenly; fewer studies contribute more points each. Only feasible
    trials count if a study has any.
    """
    studies = most_informative(tasks)
    points = []
    for task in studies:
        assert task.outcomes is not None
        feasible = task.feasible
        rows = torch.nonzero(feasible if bool(feasible.any()) else ~feasible).squeeze(1)
        front = rows[non_dominated(task.outcomes[rows])]
        scale = torch.stack([half_rank_warp(y) for y in task.outcomes.T], dim=1)
        limit = max(_MAX_INCUMBENTS // len(studies), task.outcomes.shape[1] + 1)
        points.append(task.x[front[spread_out(scale[front], limit)]])
    return torch.cat(points)

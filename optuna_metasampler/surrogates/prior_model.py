"""The prior model: a Gaussian process for each prior study, and a network across them.

Both are fitted once, in the common space of the prior studies, on normal quantiles of ranks, so
that metrics with different units and scales are comparable.

Axis letters: ``k`` prior studies, ``n`` trials of a study, ``q`` query points, ``d`` encoded
columns, ``m`` members of the ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
import math

import torch
from torch import Tensor
from torch.nn.functional import pad, silu, softplus

from optuna_metasampler.outcomes import half_rank_warp, penalized, rank_gaussianize, spearman
from optuna_metasampler.packing import checked, checked_sequence, pack
from optuna_metasampler.pareto import non_dominated, spread_out
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
from optuna_metasampler.task import Task, to_tensor


_MAX_SOURCES = 30
_MAX_SOURCE_TRIALS = 120
# Number of prior incumbents from the Pareto sets of all prior studies together.
_MAX_INCUMBENTS = 60


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
    has = _columns(task.space, task.mask.any(dim=0))
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


def _columns(space: SearchSpace, parameters: Tensor) -> Tensor:
    """Flags of parameters, shape ``(p,)``, repeated for their encoded columns: shape ``(d,)``."""
    flags = torch.zeros(space.n_columns, dtype=torch.float64)
    for flag, p in zip(parameters.tolist(), space.parameters, strict=True):
        flags[p.columns] = float(flag)
        if p.activity is not None:
            flags[p.activity] = float(flag)
    return flags


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture and training of the ensemble.

    Attributes:
        n_members: Networks in the ensemble.
        width: Units in each of the two hidden layers.
        n_steps: Maximum number of steps of AdamW; fewer with few trials.
        learning_rate: Initial step size; cosine decay to 0.
        weight_decay: Weight decay of AdamW.
        n_studies: Studies per step and member.
        n_records: Trials per study, step and member.
        dropout: Share of the parameters that are hidden at a step, so that the network works
            without any of them.
        rank_weight: Weight of the pairwise rank loss; the rest is the likelihood.
    """

    n_members: int = 5
    width: int = 64
    n_steps: int = 300
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    n_studies: int = 4
    n_records: int = 16
    dropout: float = 0.1
    rank_weight: float = 0.5


@dataclass(frozen=True)
class PriorNetwork:
    """An ensemble of small networks from configurations to outcomes, trained across studies.

    Attributes:
        weights: ``(m, d, w)``, ``(m, w, w)`` and ``(m, w, 2)``.
        biases: ``(m, 1, w)``, ``(m, 1, w)`` and ``(m, 1, 2)``.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    @classmethod
    def fit(
        cls,
        tasks: list[Task],
        generator: torch.Generator,
        config: NetworkConfig | None = None,
        watch: Callable[[int, int], None] | None = None,
    ) -> PriorNetwork:
        """Train on tasks of one space.

        Every member has its own bootstrap sample of the *studies*, not of the trials: the spread
        of the ensemble should reflect differences between studies. The loss is half Gaussian
        likelihood, half a logistic loss on pairs of trials of one study, with larger weights for
        pairs with a good trial (after DRE, Khazi et al. 2023, arXiv:2303.15212).

        Args:
            tasks: Prior studies.
            generator: Source of all randomness.
            config: Sizes and rates.
            watch: Called after each step with the number of steps done and in total.
        """
        config = config or NetworkConfig()
        space = tasks[0].space
        m, g, s = config.n_members, min(config.n_studies, len(tasks)), config.n_records
        x = torch.cat([task.x for task in tasks]).float()
        z = torch.cat([rank_gaussianize(task.y) for task in tasks]).float()
        sizes = torch.tensor([len(task) for task in tasks])
        first = torch.cumsum(sizes, 0) - sizes
        bootstrap = torch.randint(len(tasks), (m, len(tasks)), generator=generator)
        n_steps = min(config.n_steps, max(50, 2 * len(z)))
        neutral = to_tensor(space.neutral).float()
        spread = torch.stack([_columns(space, row) for row in torch.eye(len(space.names))]).float()

        shapes = [(space.n_columns, config.width), (config.width, config.width), (config.width, 2)]
        weights = [_initial(m, i, o, generator) for i, o in shapes]
        biases = [torch.zeros((m, 1, o), dtype=torch.float32).requires_grad_() for _, o in shapes]
        optimizer = torch.optim.AdamW(
            [*weights, *biases], lr=config.learning_rate, weight_decay=config.weight_decay
        )
        with torch.enable_grad():
            for step in range(n_steps):
                for group in optimizer.param_groups:
                    fraction = step / n_steps
                    group["lr"] = config.learning_rate * 0.5 * (1 + math.cos(math.pi * fraction))
                slot = torch.randint(len(tasks), (m, g, 1), generator=generator)
                study = torch.gather(bootstrap, 1, slot.reshape(m, g)).reshape(m, g, 1)
                draw = torch.rand((m, g, s), generator=generator, dtype=torch.float32)
                row = first[study] + (draw * sizes[study]).long()
                inputs = x[row.reshape(m, g * s)]
                coin = torch.rand(
                    (m, g * s, len(space.names)), generator=generator, dtype=torch.float32
                )
                hide = (coin < config.dropout).float() @ spread
                output = _forward(inputs + hide * (neutral - inputs), weights, biases)
                loss = _loss(output, z[row], config.rank_weight)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                if watch is not None:
                    watch(step + 1, n_steps)
        return cls(
            tuple(w.detach().double() for w in weights), tuple(b.detach().double() for b in biases)
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Mean predicted quantiles at points ``(q, d)`` of the common space: shape ``(q,)``."""
        output = _forward(x.expand(len(self.weights[0]), *x.shape), self.weights, self.biases)
        return output[..., 0].mean(0)


def _initial(m: int, fan_in: int, fan_out: int, generator: torch.Generator) -> Tensor:
    weights = torch.randn((m, fan_in, fan_out), generator=generator, dtype=torch.float32)
    return (weights / math.sqrt(max(fan_in, 1))).requires_grad_()


def _forward(
    x: Tensor,
    weights: tuple[Tensor, ...] | list[Tensor],
    biases: tuple[Tensor, ...] | list[Tensor],
) -> Tensor:
    """Outputs of the members (mean, raw scale) at ``(m, q, d)``: shape ``(m, q, 2)``."""
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = silu(torch.baddbmm(b, x, w))
    return torch.baddbmm(biases[-1], x, weights[-1])


def _loss(output: Tensor, z: Tensor, rank_weight: float) -> Tensor:
    """Loss of outputs ``(m, g * s, 2)`` against quantiles ``(m, g, s)``, summed over members."""
    mean = output[..., 0].reshape(z.shape)
    scale = softplus(output[..., 1].reshape(z.shape)) + 0.05
    likelihood = (0.5 * ((z - mean) / scale) ** 2 + scale.log()).mean(dim=(1, 2))
    gap = mean.unsqueeze(3) - mean.unsqueeze(2)
    better = (z.unsqueeze(3) > z.unsqueeze(2)).float()
    weight = better * torch.special.ndtr(z).square().unsqueeze(3)
    total = weight.sum(dim=(1, 2, 3)).clamp_min(1e-6)
    rank = (weight * softplus(-gap)).sum(dim=(1, 2, 3)) / total
    loss: Tensor = ((1 - rank_weight) * likelihood + rank_weight * rank).sum()
    return loss


@dataclass(frozen=True)
class PriorModel:
    """The prior model, in the common space of the prior studies.

    Attributes:
        space: The common space.
        names: Names of the ``k`` studies with a process of their own.
        n_trials: Their numbers of trials.
        sources: Their processes.
        network: The network across all studies; ``None`` with a single study.
        share: Weight of each process in the prior mean, shape ``(k,)``, sum 1.
        cross_study_correlation: Cross-study rank correlation: the mean rank correlation of the
            other studies' average with each study, in ``[0, 1]``; 0.5 for a single study, where it
            is unknown.
    """

    space: SearchSpace
    names: tuple[str, ...]
    n_trials: tuple[int, ...]
    sources: SourceProcesses
    network: PriorNetwork | None
    share: Tensor
    cross_study_correlation: float

    @classmethod
    def fit(
        cls,
        tasks: list[Task],
        generator: torch.Generator,
        watch: Callable[[int, int], None] | None = None,
    ) -> PriorModel:
        """Learn from prior studies.

        Args:
            tasks: Prior studies in one common space, each with at least two different outcomes.
            generator: Source of all randomness.
            watch: Called repeatedly with the progress in per cent, and 100.

        Raises:
            ValueError: If there is no task.
        """
        if not tasks:
            raise ValueError("`tasks` must contain at least one prior study, but it is empty.")
        chosen = most_informative(tasks)
        sources = SourceProcesses.fit(chosen, watch=_share(watch, 0, 50))
        correlation = _cross_study_correlations(sources, chosen)
        if len(chosen) < 3:
            # With two studies, their correlation does not show which of them is right.
            share = torch.ones(len(chosen), dtype=torch.float64)
        else:
            share = correlation.clamp_min(0.0) + 0.01
        mean = float(correlation.clamp_min(0.0).mean()) if len(chosen) > 1 else 0.5
        network = None
        if len(tasks) > 1:
            network = PriorNetwork.fit(tasks, generator, watch=_share(watch, 50, 100))
        return cls(
            space=tasks[0].space,
            names=tuple(task.name for task in chosen),
            n_trials=tuple(len(task) for task in chosen),
            sources=sources,
            network=network,
            share=share / share.sum(),
            cross_study_correlation=mean,
        )

    @classmethod
    def unpack(cls, space: SearchSpace, tensors: Mapping[str, Tensor]) -> PriorModel:
        """The inverse of :meth:`pack`; names are replaced by numbers.

        Raises:
            KeyError: If a tensor is missing.
            ValueError: If a tensor has a wrong shape.
        """
        d = space.n_columns
        sources = SourceProcesses.unpack(space, tensors)
        k = len(sources.offset)
        network = None
        if "network.weight.0" in tensors:
            m, _, w = checked(tensors, "network.weight.0", None, d, None).shape
            network = PriorNetwork(
                checked_sequence(tensors, "network.weight", [(m, d, w), (m, w, w), (m, w, 2)]),
                checked_sequence(tensors, "network.bias", [(m, 1, w), (m, 1, w), (m, 1, 2)]),
            )
        return cls(
            space=space,
            names=tuple(f"prior study {i}" for i in range(1, k + 1)),
            n_trials=tuple(checked(tensors, "n_trials", k).long().tolist()),
            sources=sources,
            network=network,
            share=checked(tensors, "share", k),
            cross_study_correlation=float(checked(tensors, "agreement")),
        )

    def pack(self) -> dict[str, Tensor]:
        """The attributes, without names of studies, as named tensors."""
        network = self.network and {"weight": self.network.weights, "bias": self.network.biases}
        return pack(
            {
                "sources": self.sources,
                "network": network or {},
                "n_trials": torch.tensor(self.n_trials),
                "share": self.share,
                "agreement": self.cross_study_correlation,
            }
        )

    def __call__(self, x: Tensor, sign_flipped: bool = False) -> Tensor:
        """Basis functions at points ``(q, d)`` of the common space, shape ``(q, 1 + k)``.

        The first is the prior mean: the minimum of the processes' average and the network's
        prediction. A network may predict anything where no study has trials, and a maximiser finds
        such places at once; a process returns to its average there. The others are the
        predictions of the processes.

        Args:
            x: Points.
            sign_flipped: Whether to negate the outcomes of the prior studies.
        """
        sign = -1.0 if sign_flipped else 1.0
        each = sign * self.sources(x)
        mean = each @ self.share
        if self.network is not None:
            mean = torch.minimum(mean, sign * self.network(x))
        return torch.cat([mean[:, None], each], dim=1)


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


def most_informative(tasks: Sequence[Task]) -> list[Task]:
    """The studies that get a process of their own, in the order given.

    Those with the most shared parameters, then those with the most trials: a storage may also hold
    unrelated studies that share a few names by chance.
    """
    n_shared = [int(task.mask.any(dim=0).sum()) for task in tasks]
    order = sorted(range(len(tasks)), key=lambda i: (-n_shared[i], -len(tasks[i]), i))
    return [tasks[i] for i in sorted(order[:_MAX_SOURCES])]


def _cross_study_correlations(sources: SourceProcesses, tasks: list[Task]) -> Tensor:
    """Spearman correlation of the mean of the *other* processes with each study: ``(k,)``."""
    correlations = []
    for i, task in enumerate(tasks):
        others = [j for j in range(len(tasks)) if j != i]
        rho = spearman(sources(task.x)[:, others].mean(1), task.y) if others else 0.0
        correlations.append(0.0 if math.isnan(rho) else rho)
    return torch.tensor(correlations, dtype=torch.float64)


def _share(
    watch: Callable[[int, int], None] | None, first: int, last: int
) -> Callable[[int, int], None] | None:
    """Progress callback for one part of the work, from ``first`` to ``last`` per cent."""
    if watch is None:
        return None
    return lambda done, total: watch(first + (last - first) * done // total, 100)

"""Meta-learned TPE: one pair of densities a task, mixed by how far the good regions overlap.

Watanabe, Awad, Onishi & Hutter 2023, "Speeding up multi-objective hyperparameter optimization by
task similarity-based meta-learning for the tree-structured Parzen estimator", IJCAI,
arXiv:2212.06751, for one objective. Written from the paper, because OptunaHub's `meta_learn_tpe`
does not run on Optuna 5. The settings are that package's: 10 random trials, 24 candidates a task,
1,000 draws for a similarity, all dimensions, and no random trial later on. The densities are
Optuna's own. Parameters of one condition are modelled together, as TPE does with `group=True`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_gamma, default_weights
from optuna.trial import FrozenTrial
from scipy.special import logsumexp

from benchmarks.peers.base import Setting
from benchmarks.peers.known_space import KnownSpaceSampler
from benchmarks.peers.sources import Source, fit, space_of, usable_sources
from benchmarks.problems.base import Parameter, Params
from optuna_metasampler.history import finished_trials


N_STARTUP_TRIALS = 10
N_CANDIDATES = 24
N_DRAWS = 1000

_PARZEN = _ParzenEstimatorParameters(
    prior_weight=1.0,
    consider_magic_clip=True,
    consider_endpoints=False,
    weights=default_weights,
    multivariate=True,
)

Group = dict[str, BaseDistribution]
Points = dict[str, np.ndarray]


class Density:
    """Parzen estimator of configurations; parameters that none of them has are independent."""

    def __init__(self, group: Group, configurations: Sequence[Params]) -> None:
        had = {name for c in configurations for name in c}
        self._parts = []
        for part in (
            {n: d for n, d in group.items() if (n in had) == yes} for yes in (True, False)
        ):
            if part:
                rows = configurations if part.keys() <= had else []
                seen = {
                    n: np.array([d.to_internal_repr(c[n]) for c in rows]) for n, d in part.items()
                }
                self._parts.append(_ParzenEstimator(seen, part, _PARZEN))

    def sample(self, rng: np.random.RandomState, size: int) -> Points:
        points: Points = {}
        for part in self._parts:
            points |= part.sample(rng, size)
        return points

    def log_pdf(self, points: Points) -> np.ndarray:
        logs: np.ndarray = np.sum([part.log_pdf(points) for part in self._parts], axis=0)
        return logs


@dataclass(frozen=True)
class TaskDensities:
    """Densities of the good and of the other trials of a task.

    Attributes:
        good: Of the best tenth.
        other: Of the rest.
        n_good: Number of good trials, at least 1.
        n_other: Number of the others.
    """

    good: Density
    other: Density
    n_good: int
    n_other: int

    @classmethod
    def of(cls, group: Group, source: Source) -> TaskDensities:
        """The densities of those trials that have all parameters of the group.

        Where a whole study lacks some, of those that have all the others.
        """
        inside = [{n: v for n, v in c.items() if n in group} for c in source.configurations]
        had = {name for c in inside for name in c}
        kept = [i for i, c in enumerate(inside) if c.keys() == had and had]
        n_good = default_gamma(len(kept))
        ranked = np.argsort(-source.outcomes[kept], kind="stable")
        # In the order in which they came in: the weights of old trials fade.
        good = [inside[kept[i]] for i in sorted(ranked[:n_good])]
        other = [inside[kept[i]] for i in sorted(ranked[n_good:])]
        return cls(Density(group, good), Density(group, other), max(n_good, 1), len(other))


def similarities(
    target: Density, sources: Sequence[Density], rng: np.random.RandomState
) -> np.ndarray:
    """Overlap of each source with the target, (1 - t) / (1 + t), with total variation t: ``(k,)``.

    The distance is the mean of ``max(0, 1 - source / target)`` over draws of the target.
    """
    if not sources:
        return np.zeros(0)
    points = target.sample(rng, N_DRAWS)
    log_target = target.log_pdf(points)
    log_ratios = np.array([source.log_pdf(points) - log_target for source in sources])
    distances = -np.expm1(np.minimum(log_ratios, 0.0)).mean(axis=1)
    overlaps: np.ndarray = (1.0 - distances) / (1.0 + distances)
    return overlaps


def task_weights(overlaps: np.ndarray) -> np.ndarray:
    """Weights of the target and of each source, of sum 1, shape ``(1 + k,)``."""
    shares = overlaps / (len(overlaps) + 1)
    return np.append(1.0 - shares.sum(), shares)


class MetaTpeSampler(KnownSpaceSampler):
    """Samples the good densities of all tasks, and takes the best by the mixed ratio."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._groups: list[list[Parameter]] = []
        varying = [p for p in setting.parameters if not p.distribution.single()]
        for condition in dict.fromkeys(p.condition for p in varying):
            self._groups.append([p for p in varying if p.condition == condition])
        self._rng = np.random.RandomState(setting.seed)
        space = space_of(setting)
        sources = [
            Source([fit(space, c) for c in s.configurations], s.outcomes)
            for s in usable_sources(setting, space)
        ]
        self._sources = [self._of_sources(group, sources) for group in self._groups]

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        records = finished_trials(study.get_trials(deepcopy=False), study.directions)
        if len(records.configurations) < N_STARTUP_TRIALS:
            return {}
        own = Source(records.configurations, records.outcomes[:, 0])
        params: Params = {}
        for group, sources in zip(self._groups, self._sources, strict=True):
            if group[0].is_active(params):
                params |= self._propose(_distributions(group), own, sources)
        return params

    def _of_sources(
        self, parameters: Sequence[Parameter], sources: Sequence[Source]
    ) -> list[TaskDensities]:
        group = _distributions(parameters)
        known = [s for s in sources if any(group.keys() & c.keys() for c in s.configurations)]
        return [TaskDensities.of(group, s) for s in known]

    def _propose(self, group: Group, own: Source, sources: Sequence[TaskDensities]) -> Params:
        target = TaskDensities.of(group, own)
        tasks = [target, *sources]
        overlaps = similarities(target.good, [s.good for s in sources], self._rng)
        weights = task_weights(overlaps)
        drawn = [task.good.sample(self._rng, N_CANDIDATES) for task in tasks]
        points = {name: np.concatenate([d[name] for d in drawn]) for name in group}
        good = _mixture(points, [t.good for t in tasks], weights * [t.n_good for t in tasks])
        other = _mixture(points, [t.other for t in tasks], weights * [t.n_other for t in tasks])
        best = int(np.argmax(good - other))
        return {n: d.to_external_repr(points[n][best].item()) for n, d in group.items()}


def _mixture(points: Points, densities: Sequence[Density], weights: np.ndarray) -> np.ndarray:
    """Log of the mixed densities, up to a constant, at each point."""
    if not weights.any():
        # No trial has this group's parameters yet: every density is Optuna's prior.
        weights = np.ones(len(densities))
    logs = np.stack([density.log_pdf(points) for density in densities])
    mixed: np.ndarray = logsumexp(logs, axis=0, b=weights[:, None])
    return mixed


def _distributions(parameters: Sequence[Parameter]) -> Group:
    return {p.name: p.distribution for p in parameters}


def build(setting: Setting) -> optuna.Study:
    """Meta-learned TPE with one task a prior study; TPE over the known space without any."""
    return optuna.create_study(direction=setting.direction, sampler=MetaTpeSampler(setting))

"""``cluster``: prior studies in groups, and another method on the nearest group.

Task clustering in the sense of Thrun & O'Sullivan 1996, "Discovering structure in multiple
learning tasks: the TC algorithm", ICML: tasks are grouped by how much they help one another, and a
new task learns from the group that it resembles most.

Two studies are similar if they rank the same configurations similarly. A Gaussian process of each
study predicts the outcomes of configurations that it did not try, so studies with different trials
can be compared on shared points. If all studies have meta-features, these count for one half.

Axis letters: ``k`` studies, ``q`` shared points, ``f`` meta-features, ``g`` groups, ``n`` trials,
``d`` encoded columns of the running study's space, ``e`` of the prior studies' common space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
import json
import math
from typing import Any, ClassVar

import numpy as np
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import silhouette_score
import torch
from torch import Tensor

from optuna_metasampler.maximize import quasi_random
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods import method_of
from optuna_metasampler.methods.base import Method, Priors, option
from optuna_metasampler.outcomes import spearman
from optuna_metasampler.packing import below, checked, pack
from optuna_metasampler.policies.base import Policy, Proposal
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.prior_model import best_configurations
from optuna_metasampler.surrogates.source_processes import SourceProcesses, most_informative
from optuna_metasampler.task import Task


# Methods that learn a model from which the running study starts.
_BASES = ("fine-tune", "maml", "reptile", "meta-sgd", "imaml", "deep-kernel", "auto")
_N_SHARED_POINTS = 256
# A division with a lower silhouette is ignored: its groups are better learned from together.
_MIN_SILHOUETTE = 0.25
# The affinity before the first trial counts as much as this many trials.
_IMAGINED_TRIALS = 3


@dataclass(frozen=True)
class Groups:
    """Groups of studies, and a model of each.

    Attributes:
        members: Indices of the studies of each group.
        learned: The base method's result of learning from each group.
        best: Best configurations of each group's studies, shapes ``(k_g, e)``.
        sources: Gaussian processes of all studies.
        names: Names of the meta-features that all studies have.
        features: Their values, shape ``(k, f)``.
    """

    members: tuple[tuple[int, ...], ...]
    learned: tuple[Any, ...]
    best: tuple[Tensor, ...]
    sources: SourceProcesses
    names: tuple[str, ...]
    features: Tensor

    def predictions(self, x: Tensor) -> Tensor:
        """Each group's mean prediction at points ``(n, e)``, shape ``(n, g)``."""
        return group_means(self.sources(x), self.members)

    def prior_affinity(self, features: Mapping[str, float]) -> Tensor:
        """Affinity to each group before any trial, shape ``(g,)``, in ``[-1, 1]``.

        By the distance of the meta-features to the group's mean if the running study has all of
        them, and by the group's share of the studies otherwise.
        """
        sizes = torch.tensor([len(m) for m in self.members], dtype=torch.float64)
        if not self.names or not all(name in features for name in self.names):
            return sizes / sizes.sum()
        own = torch.tensor([features[name] for name in self.names], dtype=torch.float64)
        z = standardized(self.features, self.features)
        centres = torch.stack([z[list(m)].mean(0) for m in self.members])
        squared = (standardized(own, self.features) - centres).square().mean(1)
        return 2.0 * torch.exp(-squared) - 1.0


@dataclass(frozen=True)
class Cluster(Method):
    """Groups the prior studies and learns one model a group by another method.

    Attributes:
        base: The method that learns from each group: ``"fine-tune"``, ``"maml"``, ``"reptile"``,
            ``"meta-sgd"``, ``"imaml"``, ``"deep-kernel"`` or ``"auto"``.
        base_options: Options of that method.
        max_groups: Groups, at most.
    """

    name: ClassVar[str] = "cluster"
    min_studies: ClassVar[int] = 2
    learns_from_features: ClassVar[bool] = True
    models_constraints: ClassVar[bool] = True

    base: str = option("fine-tune", choices=_BASES)
    base_options: Mapping[str, Any] = field(default_factory=dict)
    max_groups: int = option(4, ge=1)

    def __post_init__(self) -> None:
        """Check the options, and those of the base method.

        Raises:
            ValueError: If one is out of its range.
        """
        super().__post_init__()
        if not isinstance(self.base_options, Mapping):
            raise ValueError(
                "`base_options` must be a mapping of options of the base method, but got "
                f"{self.base_options!r}."
            )
        method_of(self.base, self.base_options)

    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> Groups:
        """See :meth:`Method.learn`."""
        base = method_of(self.base, self.base_options)
        chosen = most_informative(tasks)
        sources = SourceProcesses.fit(chosen, watch=trainer.count)
        names, features = shared_features(chosen)
        apart = distances(behaviour(sources, chosen, generator), features)
        members = group(apart, self.max_groups, max(2, base.min_studies))
        of_group = [[chosen[i] for i in m] for m in members]
        return Groups(
            members=tuple(map(tuple, members)),
            learned=tuple(base.learn(studies, generator, trainer) for studies in of_group),
            best=tuple(best_configurations(studies) for studies in of_group),
            sources=sources,
            names=names,
            features=features,
        )

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`."""
        (prior,) = priors
        assert prior is not None
        base, to_prior = method_of(self.base, self.base_options), prior.to_prior
        groups: Groups = prior.learned
        policies = []
        for learned, best in zip(groups.learned, groups.best, strict=True):
            of_group = replace(prior, learned=learned, prior_incumbents=prior.from_prior(best))
            policies.append(base.policy(space, [of_group], n_startup_trials))
        return NearestGroupPolicy(
            policies, lambda x: groups.predictions(to_prior(x)), groups.prior_affinity
        )

    def pack(self, learned: Groups) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        base = method_of(self.base, self.base_options)
        groups = [
            {"members": torch.tensor(members), "best": best, "learned": base.pack(one)}
            for members, one, best in zip(
                learned.members, learned.learned, learned.best, strict=True
            )
        ]
        names = torch.tensor(list(json.dumps(learned.names).encode()))
        return pack(
            {
                "sources": learned.sources,
                "group": groups,
                "features": learned.features,
                "names": names,
            }
        )

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> Groups:
        """See :meth:`Method.unpack`."""
        base, e = method_of(self.base, self.base_options), space.n_columns
        sources = SourceProcesses.unpack(space, tensors)
        k = len(sources.offset)
        names = json.loads(bytes(checked(tensors, "names", None).tolist()))
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("'names' is not a list of strings")
        members: list[tuple[int, ...]] = []
        learned: list[Any] = []
        best: list[Tensor] = []
        while (prefix := f"group.{len(members)}.") + "members" in tensors:
            of_group = checked(tensors, f"{prefix}members", None).long().tolist()
            if not of_group or not all(0 <= i < k for i in of_group):
                raise ValueError(f"'{prefix}members' must be indices of {k} studies")
            members.append(tuple(of_group))
            best.append(checked(tensors, f"{prefix}best", None, e))
            learned.append(base.unpack(space, below(f"{prefix}learned.", tensors)))
        if not members:
            raise KeyError("group.0.members")
        return Groups(
            members=tuple(members),
            learned=tuple(learned),
            best=tuple(best),
            sources=sources,
            names=tuple(names),
            features=checked(tensors, "features", k, len(names)),
        )


class NearestGroupPolicy:
    """Delegates to the policy of the group whose predictions agree best with the study's trials.

    Before the first trials the meta-features decide, and without these the larger group.

    Args:
        policies: One a group.
        predictions: From points ``(n, d)`` to each group's mean prediction ``(n, g)``.
        prior_affinity: From the running study's meta-features to its affinity to each group before
            any trial, shape ``(g,)``, in ``[-1, 1]``.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        predictions: Callable[[Tensor], Tensor],
        prior_affinity: Callable[[Mapping[str, float]], Tensor],
    ) -> None:
        self.policies = tuple(policies)
        self._predictions = predictions
        self._prior_affinity = prior_affinity

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        """The next point; see :meth:`Policy.propose`."""
        return self.policies[self.nearest(history)].propose(history, generator)

    def nearest(self, history: Task) -> int:
        """The index of the nearest group."""
        return int(self.affinity(history).argmax())

    def affinity(self, history: Task) -> Tensor:
        """Rank correlation of each group with the trials, shrunk to the prior one: ``(g,)``."""
        before = self._prior_affinity(history.features)
        n = len(history)
        if n < 2:
            return before
        with torch.no_grad():
            predicted = self._predictions(history.x)
        rho = torch.tensor(
            [0.0 if math.isnan(r := spearman(p, history.y)) else r for p in predicted.T],
            dtype=torch.float64,
        )
        return (n * rho + _IMAGINED_TRIALS * before) / (n + _IMAGINED_TRIALS)


def behaviour(
    sources: SourceProcesses, tasks: Sequence[Task], generator: torch.Generator
) -> Tensor:
    """Ranks by each study's predictions of shared points: quasi-random, and every study's best.

    Args:
        sources: Gaussian processes of the studies.
        tasks: The studies, in one common space.
        generator: Source of all randomness.

    Returns:
        Ranks scaled to ``[0, 1]``, shape ``(k, q)``.
    """
    best = torch.stack([task.x[int(task.y.argmax())] for task in tasks])
    points = torch.cat([quasi_random(tasks[0].space, _N_SHARED_POINTS, generator), best])
    predicted = sources(points).T
    ranks = predicted.argsort(dim=1).argsort(dim=1)
    return ranks.double() / (ranks.shape[1] - 1)


def shared_features(tasks: Sequence[Task]) -> tuple[tuple[str, ...], Tensor]:
    """The meta-features that all studies have.

    Returns:
        Their names, sorted, and their values, shape ``(k, f)``.
    """
    names = sorted(set.intersection(*(set(task.features) for task in tasks)))
    values = [[task.features[name] for name in names] for task in tasks]
    return tuple(names), torch.tensor(values, dtype=torch.float64).reshape(len(tasks), len(names))


def standardized(features: Tensor, reference: Tensor) -> Tensor:
    """Meta-features in units of their spread over the prior studies.

    On a signed logarithmic scale, because numbers of rows or of classes differ by factors.

    Args:
        features: Shape ``(..., f)``.
        reference: Those of the prior studies, shape ``(k, f)``.

    Returns:
        Shape ``(..., f)``; zero for a feature that is equal in all prior studies.
    """
    a, b = (t.sign() * t.abs().log1p() for t in (features, reference))
    spread = (b - b.mean(0)).square().mean(0).sqrt()
    return torch.where(spread > 1e-9, (a - b.mean(0)) / spread.clamp_min(1e-9), 0.0)


def distances(behaviours: Tensor, features: Tensor) -> Tensor:
    """Pairwise distances of studies, ``(k, k)``, in ``[0, 1]``.

    ``(1 - rho) / 2`` with Spearman's ``rho`` of the behaviours; with meta-features, the mean of
    that and of their squared distance in units of the largest.
    """
    centred = behaviours - behaviours.mean(dim=1, keepdim=True)
    unit = centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-12)
    apart: Tensor = (0.5 * (1.0 - unit @ unit.T)).clamp(0.0, 1.0)
    if features.shape[1]:
        z = standardized(features, features)
        squared = torch.cdist(z, z).square()
        apart = 0.5 * (apart + squared / squared.max().clamp_min(1e-12))
    apart.fill_diagonal_(0.0)
    return apart


def group(apart: Tensor, max_groups: int, min_size: int) -> list[list[int]]:
    """Agglomerative clustering with average linkage; the silhouette chooses the number of groups.

    Rousseeuw 1987, "Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis", J. Comput. Appl. Math. 20.

    Args:
        apart: Distances, shape ``(k, k)``.
        max_groups: Groups, at most.
        min_size: Studies of a group, at least.

    Returns:
        Indices of the studies of each group, largest group first; a single group unless a division
        is clear.
    """
    k = len(apart)
    matrix = apart.numpy()
    best, labels = _MIN_SILHOUETTE, np.zeros(k, dtype=np.int64)
    for n in range(2, min(max_groups, k - 1) + 1):
        found = AgglomerativeClustering(n, metric="precomputed", linkage="average").fit_predict(
            matrix
        )
        if np.bincount(found).min() < min_size:
            continue
        score = float(silhouette_score(matrix, found, metric="precomputed"))
        if score > best:
            best, labels = score, found
    groups = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    return sorted(groups, key=lambda members: (-len(members), members))


def group_means(predicted: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Mean prediction of each group, shape ``(q, g)``, from those of studies, ``(q, k)``."""
    return torch.stack([predicted[:, list(g)].mean(1) for g in groups], dim=1)

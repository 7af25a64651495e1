"""Task clustering: prior studies grouped by how they behave, and by what is noted about them.

Two studies are alike if they rank the same configurations alike. What a study did not try itself
is predicted by its Gaussian process, so studies with different trials can be compared on shared
points. Meta-features, where all studies have some, count as much as one half.

Axis letters: ``k`` studies, ``q`` shared points, ``f`` meta-features, ``g`` groups.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from optuna_metasampler.maximize import quasi_random
from optuna_metasampler.surrogates.prior_model import SourceProcesses
from optuna_metasampler.task import Task


_N_SHARED_POINTS = 256
# Groups that are told apart less clearly than this are better learned from together.
_MIN_SILHOUETTE = 0.25


def behaviour(
    sources: SourceProcesses, tasks: Sequence[Task], generator: torch.Generator
) -> Tensor:
    """What each study predicts on shared points: quasi-random ones and every study's best.

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

    On the scale of a signed logarithm: numbers of rows or of classes differ by factors.

    Args:
        features: Shape ``(..., f)``.
        reference: Those of the prior studies, shape ``(k, f)``.

    Returns:
        Shape ``(..., f)``; zeros where all prior studies have the same.
    """
    a, b = (t.sign() * t.abs().log1p() for t in (features, reference))
    spread = (b - b.mean(0)).square().mean(0).sqrt()
    return torch.where(spread > 1e-9, (a - b.mean(0)) / spread.clamp_min(1e-9), 0.0)


def distances(behaviours: Tensor, features: Tensor) -> Tensor:
    """How different studies are, ``(k, k)``, in ``[0, 1]``.

    ``(1 - rho) / 2`` with Spearman's ``rho`` of the behaviours; with meta-features, the mean of it
    and of the squared distance of these, in units of the largest.
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
        max_groups: The most groups there may be.
        min_size: The fewest studies of a group.

    Returns:
        Numbers of the studies of each group, largest group first; a single group where no division
        is clear.
    """
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import silhouette_score

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

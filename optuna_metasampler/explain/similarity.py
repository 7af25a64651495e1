"""Similarity of the prior studies and the running one.

Axis letters: ``q`` points, ``d`` encoded columns, ``k`` prior studies, ``n`` trials.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from statistics import NormalDist

import torch
from torch import Tensor

from optuna_metasampler._runtime import isolated
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import INTERVAL
from optuna_metasampler.maximize import quasi_random
from optuna_metasampler.outcomes import spearman, spearman_of_columns
from optuna_metasampler.surrogates.gaussian_process import matern52
from optuna_metasampler.surrogates.prior_model import SourceProcesses
from optuna_metasampler.surrogates.transfer import TransferPredictor


OWN_NAME = "this study"

_SEED = 0
_N_POINTS = 256
# Two studies are compared at the points whose outcome is correlated this much with that of some
# trial of each study; at the best known points if these are too few.
_KNOWN = 0.3
_LEAST_POINTS = 64
# Pseudo-observations, whose rank correlation with each prior study is that among the prior
# studies.
_N_PSEUDO = 3


@dataclass(frozen=True)
class SimilarityMap:
    """Rank correlations of studies, and a map of them.

    Attributes:
        names: Names of the prior studies, and last the running one.
        positions: Positions on the map, shape ``(k + 1, 2)``. Distances are as close as two
            dimensions allow to 1 minus the correlation: 0 is identical order, 1 unrelated, 2
            opposite. The running study is the origin, and the first prior study lies to the right
            of it.
        correlation: Rank correlations, shape ``(k + 1, k + 1)``, ones on the diagonal.
        low: Lower ends of the 80% intervals of the correlations with the running study, shape
            ``(k,)``.
        high: Upper ends of them.
        n_trials: Number of trials of the running study with an outcome.
    """

    names: tuple[str, ...]
    positions: Tensor
    correlation: Tensor
    low: Tensor
    high: Tensor
    n_trials: int


def similarity(snapshot: Snapshot, objective: int = 0) -> SimilarityMap | None:
    """Rank correlations of the prior studies and the running one.

    Two prior studies are compared by their predictions over the space of the running one, at
    points near trials of both. The running study is compared with a prior one by the outcomes of
    its trials and the prior study's predictions for them. These are few at first, so the
    correlation is shrunk towards the mean one among the prior studies, by three
    pseudo-observations.

    Args:
        snapshot: The model of a study.
        objective: Number of the objective.

    Returns:
        ``None`` without prior studies.
    """
    predictor = snapshot.transfer_of(objective)
    if predictor is None or not predictor.surrogate.model.names:
        return None
    model = predictor.surrogate.model
    k = len(model.names)
    with isolated(), torch.no_grad():
        generator = torch.Generator(device="cpu").manual_seed(_SEED)
        x = predictor.surrogate.to_prior(quasi_random(snapshot.space, _N_POINTS, generator))
        correlation = torch.eye(k + 1, dtype=torch.float64)
        correlation[:k, :k] = _among_priors(model.sources, x)
        n = len(predictor.posterior.x)
        own = _with_running(predictor, model.cross_study_correlation)
        correlation[:k, k] = correlation[k, :k] = own
        # Bonett & Wright 2000, "Sample size requirements for estimating Pearson, Kendall and
        # Spearman correlations", Psychometrika 65: the standard error after Fisher's transform.
        error = ((1 + own**2 / 2) / max(n + _N_PSEUDO - 3, 1)).sqrt()
        reach = NormalDist().inv_cdf((1 + INTERVAL) / 2) * error
        middle = torch.atanh(own.clamp(-0.9999, 0.9999))
        return SimilarityMap(
            names=(*model.names, OWN_NAME),
            positions=_oriented(classical_scaling(1.0 - correlation)),
            correlation=correlation,
            low=torch.tanh(middle - reach),
            high=torch.tanh(middle + reach),
            n_trials=n,
        )


def _among_priors(sources: SourceProcesses, x: Tensor) -> Tensor:
    """Rank correlations of the prior studies' predictions at points ``(q, d)``: ``(k, k)``."""
    predicted, known = sources(x), _known(sources, x)
    k = predicted.shape[1]
    found = torch.eye(k, dtype=torch.float64)
    for i in range(k):
        for j in range(i):
            both = torch.minimum(known[:, i], known[:, j])
            rows = both >= min(_KNOWN, float(torch.topk(both, _LEAST_POINTS).values[-1]))
            rho = spearman(predicted[rows, i], predicted[rows, j])
            found[i, j] = found[j, i] = 0.0 if math.isnan(rho) else rho
    return found


def _known(sources: SourceProcesses, x: Tensor) -> Tensor:
    """Prior correlation of points ``(q, d)`` with a study's nearest trial: ``(q, k)``."""
    kernel = matern52(x * sources.scale, sources.x)
    # Studies are padded to the longest with points of zero weight.
    return kernel.masked_fill(sources.alpha.transpose(1, 2) == 0.0, 0.0).amax(2).T


def _with_running(predictor: TransferPredictor, agreement: float) -> Tensor:
    """Rank correlations of the running study with prior ones, shrunk: ``(k,)``."""
    predicted, outcomes = predictor.predictions, predictor.posterior.outcomes
    n = len(outcomes)
    shrunk = [
        agreement if math.isnan(rho) else (n * rho + _N_PSEUDO * agreement) / (n + _N_PSEUDO)
        for rho in spearman_of_columns(predicted, outcomes)
    ]
    return torch.tensor(shrunk, dtype=torch.float64)


def classical_scaling(distance: Tensor) -> Tensor:
    """Positions in the plane whose distances approximate those given.

    Classical multidimensional scaling (Torgerson 1952, "Multidimensional scaling: I. Theory and
    method", Psychometrika 17).

    Args:
        distance: Symmetric, zeros on the diagonal, shape ``(m, m)``.

    Returns:
        Shape ``(m, 2)``, unique up to rotation and reflection.
    """
    m = len(distance)
    centring = torch.eye(m, dtype=torch.float64) - 1.0 / m
    products = -0.5 * centring @ distance.square() @ centring
    values, vectors = torch.linalg.eigh(products)
    positions = torch.zeros((m, 2), dtype=torch.float64)
    n = min(m, 2)
    positions[:, :n] = (vectors * values.clamp_min(0.0).sqrt())[:, -n:].flip(1)
    return positions


def _oriented(positions: Tensor) -> Tensor:
    """The last point at the origin, the first to the right of it, the next one above that line."""
    moved = positions - positions[-1]
    length = moved.norm(dim=1)
    tiny = 1e-9 * float(length.max().clamp_min(1e-300))
    away = torch.nonzero(length > tiny).flatten().tolist()
    if not away:
        return moved
    cos, sin = moved[away[0]] / length[away[0]]
    turned = moved @ torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])])
    off = torch.nonzero(turned[:, 1].abs() > 1e-6 * length.max()).flatten().tolist()
    if off and float(turned[off[0], 1]) < 0:
        turned = turned * torch.tensor([1.0, -1.0], dtype=torch.float64)
    # Adding zero turns -0.0 into 0.0.
    return turned + 0.0

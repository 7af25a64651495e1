"""How alike the prior studies and the running one are.

Axis letters: ``q`` points, ``d`` encoded columns, ``k`` prior studies, ``n`` trials.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from optuna_metasampler._runtime import isolated
from optuna_metasampler.explain.trial_record import INTERVAL
from optuna_metasampler.maximize import quasi_random
from optuna_metasampler.outcomes import spearman, spearman_of_columns
from optuna_metasampler.surrogates.gaussian_process import matern52
from optuna_metasampler.surrogates.transfer import TransferPredictor


if TYPE_CHECKING:
    from optuna_metasampler.explain.snapshot import Snapshot
    from optuna_metasampler.surrogates.prior_model import SourceProcesses

_SEED = 0
_N_POINTS = 256
# Two studies are compared where each has a trial whose outcome is correlated this much with that
# at the point, and at the points that are nearest to it if these are too few.
_KNOWN = 0.3
_LEAST_POINTS = 64
# The running study's trials count beside as many imagined ones that agree with the prior studies
# as far as these agree among themselves.
_IMAGINED_TRIALS = 3
_HERE = "this study"


@dataclass(frozen=True)
class SimilarityMap:
    """How alike studies are, and a map of it.

    Attributes:
        names: Names of the prior studies, and last the running one.
        positions: Where each is on the map, shape ``(k + 1, 2)``. Distances on it are as close as
            two dimensions allow to 1 minus the correlation: 0 is alike, 1 unrelated, 2 opposite.
            The running study is the origin and the first prior study lies to the right of it.
        correlation: Rank correlations, shape ``(k + 1, k + 1)``, ones on the diagonal.
        low: Lower ends of the 80 % intervals of the correlations with the running study, shape
            ``(k,)``.
        high: Upper ends of them.
        n_trials: Number of trials of the running study that are known.
    """

    names: tuple[str, ...]
    positions: Tensor
    correlation: Tensor
    low: Tensor
    high: Tensor
    n_trials: int


def similarity(snapshot: Snapshot, objective: int = 0) -> SimilarityMap | None:
    """How alike the prior studies and the running one are.

    Two prior studies are compared by what they predict over the space of the running one, at
    points of which both know something. The running study is compared with a prior one by the
    outcomes of its trials and what is predicted for these. That is little to go by at first, so
    three more trials are imagined that agree with every prior study as far as the prior studies
    agree among themselves.

    Args:
        snapshot: What is known of a study.
        objective: Number of the objective.

    Returns:
        ``None`` without prior studies.
    """
    predictor = snapshot.predictors[objective]
    if not isinstance(predictor, TransferPredictor) or not predictor.surrogate.model.names:
        return None
    model = predictor.surrogate.model
    k = len(model.names)
    with isolated(), torch.no_grad():
        generator = torch.Generator(device="cpu").manual_seed(_SEED)
        x = predictor.surrogate.to_prior(quasi_random(snapshot.space, _N_POINTS, generator))
        correlation = torch.eye(k + 1, dtype=torch.float64)
        correlation[:k, :k] = _among_priors(model.sources, x)
        n = len(predictor.posterior.x)
        here = _with_running(predictor, model.cross_study_correlation)
        correlation[:k, k] = correlation[k, :k] = here
        # Bonett & Wright 2000, "Sample size requirements for estimating Pearson, Kendall and
        # Spearman correlations", Psychometrika 65: the standard error after Fisher's transform.
        # It is that of the trials without the imagined ones.
        error = ((1 + here**2 / 2) / max(n + _IMAGINED_TRIALS - 3, 1)).sqrt()
        reach = NormalDist().inv_cdf((1 + INTERVAL) / 2) * error
        middle = torch.atanh(here.clamp(-0.9999, 0.9999))
        return SimilarityMap(
            names=(*model.names, _HERE),
            positions=_oriented(classical_scaling(1.0 - correlation)),
            correlation=correlation,
            low=torch.tanh(middle - reach),
            high=torch.tanh(middle + reach),
            n_trials=n,
        )


def _among_priors(sources: SourceProcesses, x: Tensor) -> Tensor:
    """Rank correlations of what prior studies predict at points ``(q, d)``: ``(k, k)``."""
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
    """Correlation of what is at points ``(q, d)`` with a study's nearest trial: ``(q, k)``."""
    kernel = matern52(x * sources.scale, sources.x)
    # Studies are padded to the longest with points of no weight.
    return kernel.masked_fill(sources.alpha.transpose(1, 2) == 0.0, 0.0).amax(2).T


def _with_running(predictor: TransferPredictor, agreement: float) -> Tensor:
    """Rank correlations of the running study with prior ones, shrunk: ``(k,)``."""
    predicted, outcomes = predictor.predictions, predictor.posterior.outcomes
    n = len(outcomes)
    shrunk = [
        agreement
        if math.isnan(rho)
        else (n * rho + _IMAGINED_TRIALS * agreement) / (n + _IMAGINED_TRIALS)
        for rho in spearman_of_columns(predicted, outcomes)
    ]
    return torch.tensor(shrunk, dtype=torch.float64)


def classical_scaling(distance: Tensor) -> Tensor:
    """Positions in the plane whose distances are close to those given.

    Classical multidimensional scaling (Torgerson 1952, "Multidimensional scaling: I. Theory and
    method", Psychometrika 17).

    Args:
        distance: Symmetric, zeros on the diagonal, shape ``(m, m)``.

    Returns:
        Shape ``(m, 2)``; any rotation and reflection of it is as good.
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

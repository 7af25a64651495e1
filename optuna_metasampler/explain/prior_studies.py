"""The prior studies beside the running one: weights, similarity, and convergence.

Axis letters: ``q`` points, ``d`` encoded columns, ``k`` prior studies, ``n`` trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from statistics import NormalDist

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
import torch
from torch import Tensor

from optuna_metasampler._optuna import finite_value, is_feasible
from optuna_metasampler._runtime import isolated
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import INTERVAL
from optuna_metasampler.outcomes import spearman_of_columns
from optuna_metasampler.surrogates.prior_model import PriorModel
from optuna_metasampler.surrogates.transfer import TransferPredictor


OWN_NAME = "this study"

# Pseudo-observations, whose rank correlation with each prior study is that among the prior
# studies.
_N_PSEUDO = 3

# --------------------------------------------------------------------------------------------
# Weights


@dataclass(frozen=True)
class PriorWeight:
    """Weight of one prior study; the mean over several objectives.

    Attributes:
        name: Name of the prior study.
        n_trials: Its number of trials with an outcome.
        rank_correlation: Spearman correlation of its predictions for this study's trials with
            their outcomes, in ``[-1, 1]``; NaN with fewer than two trials or equal outcomes.
        weight: Its weight in the next suggestion, in ``[0, 1]``: its share of the transfer weight,
            which is divided in proportion to the positive rank correlations (before the second
            trial, to how well the prior studies agree with one another). With flipped signs, to
            the negative ones.
    """

    name: str
    n_trials: int
    rank_correlation: float
    weight: float


def prior_weights(predictors: Sequence[TransferPredictor]) -> list[PriorWeight]:
    """The weight of each prior study, the highest first, from one predictor an objective."""
    by_objective = [_prior_weights(predictor) for predictor in predictors]
    rows = [_mean(of_study) for of_study in zip(*by_objective, strict=True)]
    return sorted(rows, key=lambda row: (-row.weight, row.name))


def _prior_weights(predictor: TransferPredictor) -> list[PriorWeight]:
    """One row a prior study, for one objective."""
    model, correlations = predictor.surrogate.model, _rank_correlations(predictor)
    if all(math.isnan(rho) for rho in correlations):
        merits = model.share.tolist()
    else:
        sign = -1.0 if predictor.sign_flipped else 1.0
        merits = [max(sign * rho, 0.0) if not math.isnan(rho) else 0.0 for rho in correlations]
    if model.collection:
        average = predictor.predictions @ model.share
        (rho,) = spearman_of_columns(average[:, None], predictor.posterior.outcomes)
        return [PriorWeight(model.collection, sum(model.n_trials), rho, predictor.p_transfer)]
    unit = predictor.p_transfer / max(sum(merits), 1e-12)
    return [
        PriorWeight(name=name, n_trials=n, rank_correlation=rho, weight=unit * merit)
        for name, n, rho, merit in zip(
            model.names, model.n_trials, correlations, merits, strict=True
        )
    ]


def _rank_correlations(predictor: TransferPredictor) -> list[float]:
    """Spearman correlations of each prior study's predictions with the outcomes; may be NaN."""
    return spearman_of_columns(predictor.predictions, predictor.posterior.outcomes)


def _mean(rows: Sequence[PriorWeight]) -> PriorWeight:
    """Mean over the objectives; of the correlations, over those that are known."""
    known = [row.rank_correlation for row in rows if not math.isnan(row.rank_correlation)]
    return replace(
        rows[0],
        rank_correlation=sum(known) / len(known) if known else math.nan,
        weight=sum(row.weight for row in rows) / len(rows),
    )


# --------------------------------------------------------------------------------------------
# Similarity


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

    Two prior studies are compared by their predictions at the points that the prior model has of
    all prior studies. The running study is compared with a prior one by the outcomes of
    its trials and the prior study's predictions for them. These are few at first, so the
    correlation is shrunk towards the mean one among the prior studies, by three
    pseudo-observations.

    Returns:
        ``None`` without prior studies.
    """
    predictor = snapshot.transfer_of(objective)
    if predictor is None or not predictor.surrogate.model.names:
        return None
    model = predictor.surrogate.model
    k = len(model.names)
    with isolated(), torch.no_grad():
        correlation = torch.eye(k + 1, dtype=torch.float64)
        correlation[:k, :k] = _among_priors(model)
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


def _among_priors(model: PriorModel) -> Tensor:
    """Rank correlations of the prior studies' predictions at the common points: ``(k, k)``."""
    predicted = model.each(model.points)
    columns = [spearman_of_columns(predicted, y) for y in predicted.T]
    found = torch.tensor(columns, dtype=torch.float64).nan_to_num(nan=0.0)
    found.fill_diagonal_(1.0)
    return found


def _with_running(predictor: TransferPredictor, agreement: float) -> Tensor:
    """Rank correlations of the running study with prior ones, shrunk: ``(k,)``."""
    n = len(predictor.posterior.outcomes)
    shrunk = [
        agreement if math.isnan(rho) else (n * rho + _N_PSEUDO * agreement) / (n + _N_PSEUDO)
        for rho in _rank_correlations(predictor)
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


# --------------------------------------------------------------------------------------------
# Convergence


@dataclass(frozen=True)
class BestSoFar:
    """The best value so far, along the trials of one study.

    Attributes:
        name: Name of the study.
        trials: Counts of trials with a value, from 1: those at which the best value changed, and
            the last.
        best: The best value up to there, in the study's own unit.
        share: Share of all of the study's trials with a better value, in ``[0, 1)``: 0 is the best
            value of the study.
    """

    name: str
    trials: tuple[int, ...]
    best: tuple[float, ...]
    share: tuple[float, ...]


@dataclass(frozen=True)
class Convergence:
    """The best values so far of the running study and of its prior studies.

    Attributes:
        own: That of the running study; ``None`` before its first value.
        priors: Those of the prior studies that are used and have a value.
    """

    own: BestSoFar | None
    priors: tuple[BestSoFar, ...]


def convergence(
    snapshot: Snapshot, trials: Sequence[FrozenTrial], objective: int = 0
) -> Convergence:
    """The best values so far of the running study and of its prior studies.

    Trials that failed, were pruned, violate a constraint or have an infinite value are ignored.
    """
    minimize = snapshot.signs[objective] < 0
    own = _values(trials, objective)
    priors = []
    # A checkpoint has the names of studies, but not their trials.
    for prior, overlap in zip(snapshot.priors, snapshot.overlaps, strict=bool(snapshot.priors)):
        values = _values(prior.trials, objective)
        if not overlap.usable or not values:
            continue
        prior_minimizes = minimize
        if prior.directions is not None and objective < len(prior.directions):
            prior_minimizes = prior.directions[objective] == StudyDirection.MINIMIZE
        priors.append(_best_so_far(prior.name, values, prior_minimizes))
    return Convergence(
        own=_best_so_far("", own, minimize) if own else None,
        priors=tuple(priors),
    )


def _values(trials: Sequence[FrozenTrial], objective: int) -> list[float]:
    values = ((trial, finite_value(trial, objective)) for trial in trials)
    return [value for trial, value in values if value is not None and is_feasible(trial)]


def _best_so_far(name: str, values: list[float], minimize: bool) -> BestSoFar:
    sign = 1.0 if minimize else -1.0
    loss = sign * np.asarray(values)
    best = np.minimum.accumulate(loss)
    kept = np.flatnonzero(np.append(True, best[1:] < best[:-1])).tolist()
    if kept[-1] != len(values) - 1:
        kept.append(len(values) - 1)
    n_better = np.searchsorted(np.sort(loss), best[kept])
    return BestSoFar(
        name=name,
        trials=tuple(i + 1 for i in kept),
        best=tuple((sign * best[kept]).tolist()),
        share=tuple((n_better / len(values)).tolist()),
    )

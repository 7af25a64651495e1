"""Convergence of a study: its best value so far, next to those of its prior studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from optuna_metasampler._optuna import finite_value, is_feasible
from optuna_metasampler.explain.snapshot import Snapshot


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
        comparable: Whether all values seem to have one unit: the studies have the same direction,
            and the median of the running study lies within the better nine tenths of each prior
            study's values, or within half their width of them. A guess, because Optuna does not
            know what a study measures.
    """

    own: BestSoFar | None
    priors: tuple[BestSoFar, ...]
    comparable: bool


def convergence(
    snapshot: Snapshot, trials: Sequence[FrozenTrial], objective: int = 0
) -> Convergence:
    """The best values so far of the running study and of its prior studies.

    Trials that failed, were pruned, violate a constraint or have an infinite value are ignored.

    Args:
        snapshot: The model of the running study.
        trials: Its trials.
        objective: Number of the objective.
    """
    minimize = snapshot.signs[objective] < 0
    own = _values(trials, objective)
    priors, comparable = [], True
    for prior, overlap in zip(snapshot.priors, snapshot.overlaps, strict=True):
        values = _values(prior.trials, objective)
        if not overlap.usable or not values:
            continue
        prior_minimizes = minimize
        if prior.directions is not None and objective < len(prior.directions):
            prior_minimizes = prior.directions[objective] == StudyDirection.MINIMIZE
        comparable &= prior_minimizes == minimize and _comparable(own, values, minimize)
        priors.append(_best_so_far(prior.name, values, prior_minimizes))
    return Convergence(
        own=_best_so_far("", own, minimize) if own else None,
        priors=tuple(priors),
        comparable=comparable and bool(own),
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


def _comparable(own: list[float], prior: list[float], minimize: bool) -> bool:
    """Whether the values of two studies of one direction seem to have one unit."""
    if not own:
        return False
    sign = 1.0 if minimize else -1.0
    best, bad = np.quantile(sign * np.asarray(prior), (0.0, 0.9))
    slack = (bad - best) / 2
    middle = sign * float(np.median(own))
    return bool(best - slack <= middle <= bad + slack)

"""How fast a study came to good values, beside its prior studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

import numpy as np

from optuna_metasampler._optuna import constraints_of


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from optuna_metasampler.explain.snapshot import Snapshot

_MINIMIZE = "MINIMIZE"


@dataclass(frozen=True)
class History:
    """The best value so far, along the trials of one study.

    Attributes:
        name: Name of the study.
        trials: 1 for its first trial with a value, and so on: where the best changed, and the
            last.
        best: The best value up to there, in the study's own unit.
        share: Share of all of the study's trials that came to a better one, in ``[0, 1)``: 0 is
            as good as the study ever became.
    """

    name: str
    trials: tuple[int, ...]
    best: tuple[float, ...]
    share: tuple[float, ...]


@dataclass(frozen=True)
class Histories:
    """The best values so far of the running study and of its prior studies.

    Attributes:
        here: That of the running study; ``None`` before its first value.
        priors: Those of the prior studies that are used and have a value.
        comparable: Whether the values of all of them may be in one unit: they have the same
            direction, and the median of the running study lies within the better nine tenths of
            each prior study's values, or within half their width of them. It is a guess: what a
            study measures, Optuna does not know.
    """

    here: History | None
    priors: tuple[History, ...]
    comparable: bool


def histories(snapshot: Snapshot, trials: Sequence[FrozenTrial], objective: int = 0) -> Histories:
    """The best values so far of the running study and of its prior studies.

    Trials that failed, were pruned, violate a constraint or came to no finite value count for
    nothing.

    Args:
        snapshot: What is known of the running study.
        trials: Its trials.
        objective: Number of the objective.
    """
    minimize = snapshot.signs[objective] < 0
    own = _values(trials, objective)
    found, comparable = [], True
    for prior, overlap in zip(snapshot.priors, snapshot.overlaps, strict=True):
        if not overlap.usable:
            continue
        there = minimize
        if prior.directions is not None and objective < len(prior.directions):
            there = prior.directions[objective].name == _MINIMIZE
        values = _values(prior.trials, objective)
        if not values:
            continue
        comparable &= there == minimize and _comparable(own, values, minimize)
        found.append(_history(prior.name, values, there))
    return Histories(
        here=_history("", own, minimize) if own else None,
        priors=tuple(found),
        comparable=comparable and bool(own),
    )


def _values(trials: Sequence[FrozenTrial], objective: int) -> list[float]:
    found = []
    for trial in trials:
        if trial.state.name != "COMPLETE" or not trial.values or objective >= len(trial.values):
            continue
        value = float(trial.values[objective])
        if math.isfinite(value) and not any(c > 0 for c in constraints_of(trial).values()):
            found.append(value)
    return found


def _history(name: str, values: list[float], minimize: bool) -> History:
    sign = 1.0 if minimize else -1.0
    loss = sign * np.asarray(values)
    best = np.minimum.accumulate(loss)
    kept = np.flatnonzero(np.append(True, best[1:] < best[:-1])).tolist()
    if kept[-1] != len(values) - 1:
        kept.append(len(values) - 1)
    better = np.searchsorted(np.sort(loss), best[kept])
    return History(
        name=name,
        trials=tuple(i + 1 for i in kept),
        best=tuple((sign * best[kept]).tolist()),
        share=tuple((better / len(values)).tolist()),
    )


def _comparable(own: list[float], there: list[float], minimize: bool) -> bool:
    """Whether the values of two studies of one direction look as if they had one unit."""
    if not own:
        return False
    sign = 1.0 if minimize else -1.0
    best, bad = np.quantile(sign * np.asarray(there), (0.0, 0.9))
    slack = (bad - best) / 2
    middle = sign * float(np.median(own))
    return bool(best - slack <= middle <= bad + slack)

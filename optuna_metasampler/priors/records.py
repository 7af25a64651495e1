"""Optuna's trials as records: a configuration and its outcomes, larger is better."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._optuna import constraints_of
from optuna_metasampler.learning_curves import (
    Curve,
    CurveCorrelation,
    curve_correlation_of,
    final_values,
)


@dataclass(frozen=True)
class Records:
    """What finished trials say.

    Attributes:
        configurations: Parameters of ``n`` trials that have an outcome, in the order in which they
            ended.
        outcomes: Their outcomes, shape ``(n, m)``, one column an objective; **larger is better**;
            may be infinite, never NaN.
        failed: Parameters of the trials that ended without an outcome.
        constraints: Constraint values of the trials that have an outcome, by name; those above 0
            are violated; empty where a trial has none.
        crashed: Parameters of those among ``failed`` that raised, or whose value is no number: the
            others were pruned before there was anything to compare them with.
    """

    configurations: list[dict[str, Any]]
    outcomes: NDArray[np.float64]
    failed: list[dict[str, Any]]
    constraints: list[dict[str, float]]
    crashed: list[dict[str, Any]] = field(default_factory=list)

    def constraint_table(self, rows: Sequence[int]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Constraint values of some trials, one row a trial and one column a name.

        Returns:
            The names, sorted, and the values, shape ``(len(rows), c)``; NaN where unknown.
        """
        of_rows = [self.constraints[i] for i in rows]
        names = tuple(sorted({name for row in of_rows for name in row}))
        table = [[row.get(name, np.nan) for name in names] for row in of_rows]
        return names, np.array(table, dtype=np.float64).reshape(len(of_rows), len(names))


def records_of(
    trials: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
    rename: Mapping[str, str] | None = None,
    curve_correlation: CurveCorrelation | None = None,
) -> Records:
    """Turn trials into records.

    A pruned trial counts as ending where its learning curve would have, see
    :func:`~optuna_metasampler.learning_curves.final_values`; one that reported nothing as the
    median of the completed ones, or as failed if there are none.

    Args:
        trials: Trials of one study, in any state.
        directions: The study's directions, one an objective.
        rename: Parameters' names, old to new.
        curve_correlation: What other studies say of how long early differences last.
    """
    signs = _signs(directions)
    # In the order of their end: a trial that ends appends to what is known and moves nothing else.
    ended = sorted(
        (t for t in trials if t.state.is_finished()),
        key=lambda t: (t.datetime_complete or datetime.min, t.number),
    )
    configurations: list[dict[str, Any]] = []
    outcomes: list[NDArray[np.float64]] = []
    failed: list[dict[str, Any]] = []
    constraints: list[dict[str, float]] = []
    crashed: list[dict[str, Any]] = []
    for t, outcome in zip(ended, _outcomes(ended, signs, curve_correlation), strict=True):
        params = _renamed(t.params, rename)
        if np.isnan(outcome).any():
            failed.append(params)
            if t.state != TrialState.PRUNED:
                crashed.append(params)
            continue
        configurations.append(params)
        outcomes.append(outcome)
        constraints.append(constraints_of(t))
    stacked = np.array(outcomes, dtype=np.float64).reshape(len(outcomes), len(signs))
    return Records(configurations, stacked, failed, constraints, crashed)


@dataclass(frozen=True)
class CurveRecords:
    """What trials showed on their way, one entry an observation.

    Attributes:
        configurations: Parameters of ``o`` observations' trials.
        trials: Their numbers, shape ``(o,)``.
        steps: Shape ``(o,)``; infinite for the final value of a completed trial.
        values: Shape ``(o,)``; **larger is better**; may be infinite, never NaN.
    """

    configurations: list[dict[str, Any]]
    trials: NDArray[np.int64]
    steps: NDArray[np.float64]
    values: NDArray[np.float64]


def curves_of(trials: Sequence[FrozenTrial], direction: StudyDirection) -> CurveRecords:
    """The intermediate values of trials with one objective, and the values they ended with.

    Args:
        trials: Trials of one study; those that failed are left out.
        direction: The study's direction.
    """
    sign = 1.0 if direction == StudyDirection.MAXIMIZE else -1.0
    configurations: list[dict[str, Any]] = []
    rows: list[tuple[int, float, float]] = []
    for t in trials:
        if t.state == TrialState.FAIL:
            continue
        seen = [(float(step), value) for step, value in sorted(t.intermediate_values.items())]
        if t.state == TrialState.COMPLETE and _usable(t, 1):
            seen.append((math.inf, t.values[0]))
        for step, value in seen:
            if not math.isnan(value):
                configurations.append(t.params)
                rows.append((t.number, step, sign * value))
    numbers, steps, values = np.array(rows, dtype=np.float64).reshape(len(rows), 3).T
    return CurveRecords(configurations, numbers.astype(np.int64), steps, values)


def distributions_of(
    trials: Sequence[FrozenTrial], rename: Mapping[str, str] | None = None
) -> dict[str, list[BaseDistribution]]:
    """The distributions under which finished trials drew each parameter, oldest first.

    A distribution is listed once a trial; single-valued ones are left out, for they never vary.
    """
    shown: dict[str, list[BaseDistribution]] = {}
    # What an earlier trial has shown, and where it goes: trials may share their distributions.
    known: dict[int, tuple[object, list[tuple[list[BaseDistribution], BaseDistribution]]]] = {}
    for t in trials:
        if not t.state.is_finished():
            continue
        distributions = t.distributions
        if id(distributions) not in known:
            varying = [
                (shown.setdefault((rename or {}).get(name, name), []), distribution)
                for name, distribution in distributions.items()
                if not distribution.single()
            ]
            known[id(distributions)] = distributions, varying
        for many, distribution in known[id(distributions)][1]:
            many.append(distribution)
    return shown


def curve_correlation_in(
    studies: Iterable[tuple[Sequence[FrozenTrial], StudyDirection]],
) -> CurveCorrelation:
    """What is left of early differences in studies with one objective.

    Args:
        studies: Trials of each study, in any state, and its direction.
    """

    def measured() -> Iterator[tuple[list[Curve], NDArray[np.float64]]]:
        for trials, direction in studies:
            done = [t for t in trials if t.state == TrialState.COMPLETE and t.intermediate_values]
            sign = _signs([direction])
            yield (
                [_signed(t, sign[0]) for t in done],
                _outcomes(done, sign, None)[:, 0],
            )

    return curve_correlation_of(measured())


def _outcomes(
    ended: Sequence[FrozenTrial],
    signs: NDArray[np.float64],
    curve_correlation: CurveCorrelation | None,
) -> NDArray[np.float64]:
    """Outcomes of trials that have ended, shape ``(n, m)``; NaN where there is none."""
    m = len(signs)
    outcomes = np.full((len(ended), m), np.nan)
    for row, t in zip(outcomes, ended, strict=True):
        if t.state == TrialState.COMPLETE and _usable(t, m):
            row[:] = signs * t.values
    pruned = np.array([t.state == TrialState.PRUNED for t in ended], dtype=bool)
    if pruned.any():
        complete = outcomes[~np.isnan(outcomes).any(axis=1)]
        if m == 1:
            # With several objectives nothing can be reported.
            known = pruned | ~np.isnan(outcomes[:, 0])
            curves = [_signed(t, signs[0]) for t, k in zip(ended, known, strict=True) if k]
            outcomes[known, 0] = final_values(curves, outcomes[known, 0], curve_correlation)
        if len(complete):
            silent = pruned & np.isnan(outcomes).any(axis=1)
            outcomes[silent] = np.median(_finite(complete), axis=0)
    return outcomes


def _signs(directions: Sequence[StudyDirection]) -> NDArray[np.float64]:
    """What makes larger better, shape ``(m,)``."""
    return np.array([1.0 if d == StudyDirection.MAXIMIZE else -1.0 for d in directions])


def _signed(trial: FrozenTrial, sign: float) -> Curve:
    """What a trial reported; larger is better."""
    return {step: sign * value for step, value in trial.intermediate_values.items()}


def _usable(trial: FrozenTrial, n_objectives: int) -> bool:
    values = trial.values
    return values is not None and len(values) == n_objectives and not any(map(math.isnan, values))


def _finite(outcomes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clip infinities, whose average with a finite number would be no number of use."""
    largest = np.finfo(np.float64).max / 4
    return np.clip(outcomes, -largest, largest)


def _renamed(params: Mapping[str, Any], rename: Mapping[str, str] | None) -> dict[str, Any]:
    return {rename.get(k, k): v for k, v in params.items()} if rename else dict(params)

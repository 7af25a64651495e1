"""The finished and pending trials of a running study, and the task made of them.

Axis letters: ``n`` trials, ``m`` objectives, ``c`` constraints, ``o`` observations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
import torch

from optuna_metasampler._optuna import (
    constraints_of,
    enqueued_params,
    exact_params,
    sign_of,
    signed_curve,
    trial_id,
)
from optuna_metasampler.learning_curves import (
    Curve,
    CurveCorrelation,
    curve_correlation_of,
    final_values,
)
from optuna_metasampler.outcomes import penalized, scalarize
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Curves, Task, to_tensor


# Each costs about as much as a suggestion.
_MAX_UNDECIDED = 16
# Time within which a trial usually has its parameters, imports and learning included.
_SUGGESTION_TIME = timedelta(minutes=5)


@dataclass(frozen=True)
class PendingTrial:
    """Another running trial, beside the one that is asked for.

    Attributes:
        number: Its number in the study.
        params: Its parameters, as far as they are known.
        elsewhere: Whether another sampler serves it, usually in another process. Trials of several
            samplers are ordered by number, because they may be asked for at the same moment; those
            of one sampler in the order in which it served them.
        undecided: Whether its worker may be choosing its other parameters at this moment.
        taken: Names of the parameters that it has asked for, or will be given when it does. The
            others were proposed for it, and may be inactive.
    """

    number: int
    params: Mapping[str, Any]
    elsewhere: bool = False
    undecided: bool = False
    taken: frozenset[str] = frozenset()

    @classmethod
    def beside(
        cls,
        trial: FrozenTrial,
        trials: Sequence[FrozenTrial],
        handed_out: Mapping[int, Mapping[str, Any]],
        claims: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> list[PendingTrial]:
        """The other running trials, in the order given.

        The parameters of a trial reach the storage one by one. For trials of this sampler the
        values that it handed out are complete, planned ones included.

        Args:
            trial: The one that is asked for.
            trials: All trials of its study, in any state.
            handed_out: Values that this sampler handed out, by trial id.
            claims: Values that trials of other samplers are about to take, likewise.
        """
        found = []
        # A trial that began before one that has ended would have chosen long ago, or its worker is
        # so slow that it will still see how that one ended.
        begun = [t.datetime_start for t in trials if t.state.is_finished() and t.datetime_start]
        latest = max(begun, default=datetime.min)
        for other in trials:
            if other.state != TrialState.RUNNING or trial_id(other) == trial_id(trial):
                continue
            here = trial_id(other) in handed_out
            fixed = fixed_params(other)
            given = handed_out if here else claims or {}
            params = {**given.get(trial_id(other), {}), **fixed}
            undecided = (
                not here
                and other.number < trial.number
                and _together(other, trial)
                and other.datetime_start is not None
                and other.datetime_start > latest
            )
            found.append(cls(other.number, params, not here, undecided, frozenset(fixed)))
        return found


@dataclass(frozen=True)
class History:
    """The trials of a running study, before they are encoded.

    Attributes:
        finished: The trials that have ended.
        number: Of the trial that is asked for.
        running: The other trials that are running, by number.
        curves: All reported values; ``None`` if the method does not use them.
        features: Meta-features of the study, by name.
    """

    finished: FinishedTrials
    number: int
    running: Sequence[PendingTrial] = ()
    curves: Sequence[Observation] | None = None
    features: Mapping[str, float] = field(default_factory=dict)

    def undecided(self, space: SearchSpace) -> list[PendingTrial]:
        """Running trials that lack an unconditional parameter, oldest first, at most 16.

        Missing conditional parameters do not count: whether they will come is unknown.
        """
        always = {p.name for p in space.parameters if p.activity is None}
        lacking = [r for r in self.running if r.undecided and not always <= r.params.keys()]
        return lacking[-_MAX_UNDECIDED:]

    def space(
        self,
        distributions: Mapping[str, BaseDistribution],
        offered: Mapping[str, Sequence[Any]] | None = None,
    ) -> SearchSpace:
        """The space of ``distributions``; activity is learned from the finished trials.

        Of parameters that no finished trial had, it is learned from running ones.

        Args:
            distributions: Name to distribution.
            offered: Shortlists of choices, by name.
        """
        known = [c for c in self.finished.configurations if distributions.keys() & c.keys()]
        new = distributions.keys() - {name for c in known for name in c}
        # A trial that lacks parameters because it is choosing is no evidence.
        known += [
            {name: value for name, value in r.params.items() if name in r.taken}
            for r in self.running
            if new & r.taken and not r.undecided
        ]
        return SearchSpace.of(distributions, known, offered=offered, merges_equal=True)

    def task(self, space: SearchSpace, weights: Sequence[float], constrained: bool = True) -> Task:
        """The history as a task in ``space``.

        Trials that have none of its parameters are left out. So are undecided trials, which the
        caller adds with predicted parameters.

        Args:
            space: The space of the points.
            weights: Scalarisation weights, see :func:`~optuna_metasampler.outcomes.scalarize`.
            constrained: Whether constraints are modelled. If not, infeasible trials rank below all
                others, see :func:`~optuna_metasampler.outcomes.penalized`.
        """
        names = space.distributions.keys()
        always = {p.name for p in space.parameters if p.activity is None}
        known = [i for i, c in enumerate(self.finished.configurations) if names & c.keys()]
        outcomes = to_tensor(self.finished.outcomes[known])
        pending = self._pending(space)
        constraint_names, constraints = self.finished.constraint_table(known)
        task = Task.of(
            space,
            [self.finished.configurations[i] for i in known],
            scalarize(outcomes, torch.tensor(weights, dtype=torch.float64)),
            pending=space.active_part([r.params for r in pending], [r.taken for r in pending]),
            n_later=_n_later(pending, self.number),
            tried=[c for c in self.finished.failed if always <= c.keys()],
            outcomes=outcomes,
            constraints=to_tensor(constraints),
            curves=None if self.curves is None else _encoded(space, self.curves),
            features=self.features,
            constraint_names=constraint_names,
            crashed=[c for c in self.finished.crashed if always <= c.keys()],
            extrapolated=to_tensor(self.finished.extrapolated[known]),
        )
        return task if constrained else penalized(task)

    def completed(self, values: Mapping[str, Any], space: SearchSpace) -> History:
        """The history with values of parameters in the trials that have none.

        Trials that share no parameter with ``space`` stay as they are.
        """
        if not values:
            return self
        names = space.distributions.keys()

        def full(params: Mapping[str, Any]) -> dict[str, Any]:
            return {**values, **params} if names & params.keys() else dict(params)

        ended = self.finished
        return replace(
            self,
            finished=replace(
                ended,
                configurations=[full(c) for c in ended.configurations],
                failed=[full(c) for c in ended.failed],
                crashed=[full(c) for c in ended.crashed],
            ),
            running=[replace(r, params=full(r.params)) for r in self.running],
            curves=self.curves and [replace(o, params=full(o.params)) for o in self.curves],
        )

    def before(self, task: Task, trial: PendingTrial) -> Task:
        """The task from the position of an undecided trial, with its own values pinned."""
        space = task.space.pin(trial.params)
        return replace(task, space=space, n_later=_n_later(self._pending(space), trial.number))

    def _pending(self, space: SearchSpace) -> list[PendingTrial]:
        names, undecided = space.distributions.keys(), self.undecided(space)
        return [r for r in self.running if names & r.params.keys() and r not in undecided]


def fixed_params(trial: FrozenTrial) -> dict[str, Any]:
    """Fixed parameters of a trial: those that it already has, and enqueued ones."""
    return {**enqueued_params(trial), **exact_params(trial)}


def _together(other: FrozenTrial, trial: FrozenTrial) -> bool:
    """Whether ``other`` began so shortly before ``trial`` that its worker may still be choosing.

    A trial that lacks parameters for longer has lost its worker.
    """
    if other.datetime_start is None or trial.datetime_start is None:
        return False
    # Not the clock of this machine: both times may come from another.
    return trial.datetime_start - other.datetime_start < _SUGGESTION_TIME


def _n_later(pending: Sequence[PendingTrial], number: int) -> int:
    return sum(r.elsewhere and r.number > number for r in pending)


@dataclass(frozen=True)
class Observation:
    """An intermediate or final value of a trial.

    Attributes:
        params: The trial's parameters.
        trial: Its number.
        step: 0 or more; infinite for the final value of a completed trial.
        value: **Larger is better**; may be infinite, never NaN.
    """

    params: Mapping[str, Any]
    trial: int
    step: float
    value: float


def observations(trials: Sequence[FrozenTrial], direction: StudyDirection) -> list[Observation]:
    """The intermediate and final values of trials with one objective.

    Args:
        trials: Trials of one study; those that failed are left out.
        direction: The study's direction.
    """
    sign = sign_of(direction)
    found = []
    for t in trials:
        if t.state == TrialState.FAIL:
            continue
        seen = [(float(step), value) for step, value in sorted(signed_curve(t, sign).items())]
        if t.state == TrialState.COMPLETE and _usable(t, 1):
            seen.append((math.inf, sign * t.values[0]))
        params = exact_params(t)
        found += [Observation(params, t.number, step, value) for step, value in seen]
    return found


def _encoded(space: SearchSpace, seen: Sequence[Observation]) -> Curves:
    """Encoded observations of the trials that have parameters of a space."""
    names = space.distributions.keys()
    of_space = [o for o in seen if names & o.params.keys()]
    return Curves(
        x=to_tensor(space.encode([o.params for o in of_space])),
        trial=torch.tensor([o.trial for o in of_space], dtype=torch.int64),
        step=torch.tensor([o.step for o in of_space], dtype=torch.float64),
        y=torch.tensor([o.value for o in of_space], dtype=torch.float64),
    )


@dataclass(frozen=True)
class FinishedTrials:
    """Configurations and outcomes of finished trials.

    Attributes:
        configurations: Parameters of ``n`` trials that have an outcome, in the order in which they
            ended.
        outcomes: Their outcomes, shape ``(n, m)``, one column an objective; **larger is better**;
            may be infinite, never NaN.
        extrapolated: Which outcomes are extrapolated, those of pruned trials, shape ``(n,)``.
        failed: Parameters of the trials that ended without an outcome.
        constraints: Constraint values of the trials that have an outcome, by name; those above 0
            are violated; empty where a trial has none.
        crashed: Parameters of those among ``failed`` that raised or returned NaN; the others were
            pruned before a trial was complete.
        assumed: Values of the parameters that no trial recorded, and that all trials are known to
            have had.
    """

    configurations: list[dict[str, Any]]
    outcomes: NDArray[np.float64]
    extrapolated: NDArray[np.bool_]
    failed: list[dict[str, Any]]
    constraints: list[dict[str, float]]
    crashed: list[dict[str, Any]] = field(default_factory=list)
    assumed: Mapping[str, Any] = field(default_factory=dict)

    def has_any(self, names: Collection[str], configuration: Mapping[str, Any]) -> bool:
        """Whether a trial recorded any of some parameters."""
        return any(n in names and n not in self.assumed for n in configuration)

    def constraint_table(self, rows: Sequence[int]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Constraint values of some trials, one row a trial and one column a name.

        Returns:
            The names, sorted, and the values, shape ``(len(rows), c)``; NaN where unknown.
        """
        of_rows = [self.constraints[i] for i in rows]
        names = tuple(sorted({name for row in of_rows for name in row}))
        table = [[row.get(name, np.nan) for name in names] for row in of_rows]
        return names, np.array(table, dtype=np.float64).reshape(len(of_rows), len(names))


def finished_trials(
    trials: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
    rename: Mapping[str, str] | None = None,
    curve_correlation: CurveCorrelation | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> FinishedTrials:
    """Configurations and outcomes of the trials that have ended.

    A pruned trial gets the value at which its learning curve would have ended, see
    :func:`~optuna_metasampler.learning_curves.final_values`; without reported values, the median
    of the complete trials, or it counts as failed if there are none.

    Args:
        trials: Trials of one study, in any state.
        directions: The study's directions, one an objective.
        rename: Parameters' names, old to new.
        curve_correlation: Curve correlation in other studies.
        fixed: Values of parameters, by old name, in the trials that recorded none.
    """
    signs = np.array(list(map(sign_of, directions)))
    constant = _renamed(fixed or {}, rename)
    recorded: set[str] = set()
    # In order of completion, so that a new trial is appended and the others keep their places.
    ended = sorted(
        (t for t in trials if t.state.is_finished()),
        key=lambda t: (t.datetime_complete or datetime.min, t.number),
    )
    configurations: list[dict[str, Any]] = []
    outcomes: list[NDArray[np.float64]] = []
    extrapolated: list[bool] = []
    failed: list[dict[str, Any]] = []
    constraints: list[dict[str, float]] = []
    crashed: list[dict[str, Any]] = []
    for t, outcome in zip(ended, _outcomes(ended, signs, curve_correlation), strict=True):
        params = _renamed(exact_params(t), rename)
        if constant:
            recorded |= params.keys()
            params = {**constant, **params}
        if np.isnan(outcome).any():
            failed.append(params)
            if t.state != TrialState.PRUNED:
                crashed.append(params)
            continue
        configurations.append(params)
        outcomes.append(outcome)
        extrapolated.append(t.state == TrialState.PRUNED)
        constraints.append(constraints_of(t))
    stacked = np.array(outcomes, dtype=np.float64).reshape(len(outcomes), len(signs))
    assumed = {name: value for name, value in constant.items() if name not in recorded}
    pruned = np.array(extrapolated, dtype=bool)
    return FinishedTrials(configurations, stacked, pruned, failed, constraints, crashed, assumed)


def distributions_of(
    trials: Sequence[FrozenTrial], rename: Mapping[str, str] | None = None
) -> dict[str, list[BaseDistribution]]:
    """The distributions under which finished trials drew each parameter, oldest first.

    A distribution is listed once a trial; single-valued ones are left out.
    """
    by_name: dict[str, list[BaseDistribution]] = {}
    # The varying distributions, and the lists that they go to: trials may share distributions.
    known: dict[int, tuple[object, list[tuple[list[BaseDistribution], BaseDistribution]]]] = {}
    for t in trials:
        if not t.state.is_finished():
            continue
        distributions = t.distributions
        if id(distributions) not in known:
            varying = [
                (by_name.setdefault((rename or {}).get(name, name), []), distribution)
                for name, distribution in distributions.items()
                if not distribution.single()
            ]
            known[id(distributions)] = distributions, varying
        for many, distribution in known[id(distributions)][1]:
            many.append(distribution)
    return by_name


def curve_correlation_in(
    studies: Iterable[tuple[Sequence[FrozenTrial], StudyDirection]],
) -> CurveCorrelation:
    """The curve correlation in studies with one objective.

    Args:
        studies: Trials of each study, in any state, and its direction.
    """

    def measured() -> Iterator[tuple[list[Curve], NDArray[np.float64]]]:
        for trials, direction in studies:
            done = [t for t in trials if t.state == TrialState.COMPLETE and t.intermediate_values]
            sign = sign_of(direction)
            yield (
                [signed_curve(t, sign) for t in done],
                _outcomes(done, np.array([sign]), None)[:, 0],
            )

    return curve_correlation_of(measured())


def _outcomes(
    ended: Sequence[FrozenTrial],
    signs: NDArray[np.float64],
    curve_correlation: CurveCorrelation | None,
) -> NDArray[np.float64]:
    """Outcomes of ended trials, shape ``(n, m)``; NaN where there is none."""
    m = len(signs)
    outcomes = np.full((len(ended), m), np.nan)
    for row, t in zip(outcomes, ended, strict=True):
        if t.state == TrialState.COMPLETE and _usable(t, m):
            row[:] = signs * t.values
    pruned = np.array([t.state == TrialState.PRUNED for t in ended], dtype=bool)
    if pruned.any():
        complete = outcomes[~np.isnan(outcomes).any(axis=1)]
        if m == 1:
            # Optuna allows no intermediate values with several objectives.
            known = pruned | ~np.isnan(outcomes[:, 0])
            curves = [signed_curve(t, signs[0]) for t, k in zip(ended, known, strict=True) if k]
            outcomes[known, 0] = final_values(curves, outcomes[known, 0], curve_correlation)
        if len(complete):
            silent = pruned & np.isnan(outcomes).any(axis=1)
            outcomes[silent] = np.median(_finite(complete), axis=0)
    return outcomes


def _usable(trial: FrozenTrial, n_objectives: int) -> bool:
    values = trial.values
    return values is not None and len(values) == n_objectives and not any(map(math.isnan, values))


def _finite(outcomes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clip infinities, so that means and medians stay finite."""
    largest = np.finfo(np.float64).max / 4
    return np.clip(outcomes, -largest, largest)


def _renamed(params: Mapping[str, Any], rename: Mapping[str, str] | None) -> dict[str, Any]:
    return {rename.get(k, k): v for k, v in params.items()} if rename else dict(params)

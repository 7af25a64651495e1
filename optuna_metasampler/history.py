"""What the trials of a running study say, and the tasks that are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from optuna_metasampler._optuna import enqueued_params, trial_id
from optuna_metasampler.priors.records import CurveRecords, Records


if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from optuna_metasampler.space import SearchSpace
    from optuna_metasampler.task import Curves, Task


# Each costs about as much as a suggestion.
_MAX_UNDECIDED = 16
# Within it a trial is expected to have its parameters, imports and learning included.
_SUGGESTION_TIME = timedelta(minutes=5)


@dataclass(frozen=True)
class PendingTrial:
    """A trial that is running beside the one that is asked for.

    Attributes:
        number: Its number in the study.
        params: Its parameters, as far as they are known.
        elsewhere: Whether another sampler serves it, in another process as a rule. Such trials
            come in the order of their numbers, for they may be asked for at the same moment; those
            of one sampler in the order in which it served them.
        undecided: Whether the rest of its parameters may be being chosen at this moment.
    """

    number: int
    params: Mapping[str, Any]
    elsewhere: bool = False
    undecided: bool = False

    @classmethod
    def beside(
        cls,
        trial: FrozenTrial,
        trials: Sequence[FrozenTrial],
        handed_out: Mapping[int, Mapping[str, Any]],
    ) -> list[PendingTrial]:
        """The trials that run beside one, in the order given.

        A trial's parameters reach the storage one by one; what this sampler handed out is
        complete, and where the space is not known yet, what it means to hand out.

        Args:
            trial: The one that is asked for.
            trials: Those of its study, in any state.
            handed_out: What this sampler handed out, by id of the trials that it serves.
        """
        found = []
        for other in trials:
            if other.state != TrialState.RUNNING or trial_id(other) == trial_id(trial):
                continue
            here = trial_id(other) in handed_out
            params = {**handed_out.get(trial_id(other), {}), **settled(other)}
            undecided = not here and other.number < trial.number and _together(other, trial)
            found.append(cls(other.number, params, not here, undecided))
        return found


@dataclass(frozen=True)
class History:
    """What the trials of a running study say.

    Attributes:
        records: Of the trials that have ended.
        number: Of the trial that is asked for.
        running: The other trials that are running, by number.
        curves: What the trials showed on their way; ``None`` where nobody asked for it.
        features: Meta-features of the study, by name.
    """

    records: Records
    number: int
    running: Sequence[PendingTrial] = ()
    curves: CurveRecords | None = None
    features: Mapping[str, float] = field(default_factory=dict)

    def undecided(self, space: SearchSpace) -> list[PendingTrial]:
        """The trials that lack a parameter of ``space`` which every trial has, oldest first.

        What cannot be told from these is only whether a conditional parameter is still to come.
        """
        always = {p.name for p in space.parameters if p.activity is None}
        lacking = [r for r in self.running if r.undecided and not always <= r.params.keys()]
        return lacking[-_MAX_UNDECIDED:]

    def space(self, distributions: Mapping[str, BaseDistribution]) -> SearchSpace:
        """The space of ``distributions``; which of them are conditional is what the trials say."""
        from optuna_metasampler.space import SearchSpace

        known = [c for c in self.records.configurations if distributions.keys() & c.keys()]
        return SearchSpace.of(distributions, known)

    def task(self, space: SearchSpace, weights: Sequence[float], constrained: bool = True) -> Task:
        """The history as a task of ``space``; trials with none of its parameters are left out.

        So are undecided ones, which the caller adds as it believes them to be.

        Args:
            space: The space of the points.
            weights: Weights of the objectives, see :func:`~optuna_metasampler.task.scalarize`.
            constrained: Whether who asks models constraints; if not, trials that violate one count
                as worse than those that do not, see :func:`~optuna_metasampler.task.penalized`.
        """
        import torch

        from optuna_metasampler.outcomes import penalized, scalarize
        from optuna_metasampler.task import Task, to_tensor

        names = space.distributions.keys()
        always = {p.name for p in space.parameters if p.activity is None}
        known = [i for i, c in enumerate(self.records.configurations) if names & c.keys()]
        outcomes = to_tensor(self.records.outcomes[known])
        pending = self._pending(space)
        constraint_names, constraints = self.records.constraint_table(known)
        task = Task.of(
            space,
            [self.records.configurations[i] for i in known],
            scalarize(outcomes, torch.tensor(weights, dtype=torch.float64)),
            pending=[dict(r.params) for r in pending],
            n_later=_n_later(pending, self.number),
            tried=[c for c in self.records.failed if always <= c.keys()],
            outcomes=outcomes,
            constraints=to_tensor(constraints),
            curves=None if self.curves is None else _curves(space, self.curves),
            features=self.features,
            constraint_names=constraint_names,
            crashed=[c for c in self.records.crashed if always <= c.keys()],
        )
        return task if constrained else penalized(task)

    def before(self, task: Task, trial: PendingTrial) -> Task:
        """The task as an undecided trial finds it: its own values held, others in its place."""
        space = task.space.pin(trial.params)
        return replace(task, space=space, n_later=_n_later(self._pending(space), trial.number))

    def _pending(self, space: SearchSpace) -> list[PendingTrial]:
        names, undecided = space.distributions.keys(), self.undecided(space)
        return [r for r in self.running if names & r.params.keys() and r not in undecided]


def settled(trial: FrozenTrial) -> dict[str, Any]:
    """What is settled about a trial: its parameters so far, and those it was enqueued with."""
    return {**enqueued_params(trial), **trial.params}


def _together(other: FrozenTrial, trial: FrozenTrial) -> bool:
    """Whether ``other`` began so shortly before ``trial`` that it may be in the same phase.

    What has no parameters for longer has lost its worker, and is running for ever.
    """
    if other.datetime_start is None or trial.datetime_start is None:
        return False
    # Not by the clock of this machine: the times of both trials may come from another.
    return trial.datetime_start - other.datetime_start < _SUGGESTION_TIME


def _n_later(pending: Sequence[PendingTrial], number: int) -> int:
    return sum(r.elsewhere and r.number > number for r in pending)


def _curves(space: SearchSpace, records: CurveRecords) -> Curves:
    from optuna_metasampler.task import Curves, to_tensor

    names = space.distributions.keys()
    rows = [i for i, c in enumerate(records.configurations) if names & c.keys()]
    return Curves(
        x=to_tensor(space.encode([records.configurations[i] for i in rows])),
        trial=to_tensor(records.trials[rows]),
        step=to_tensor(records.steps[rows]),
        y=to_tensor(records.values[rows]),
    )

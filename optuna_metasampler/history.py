"""What the trials of a running study say, and the tasks that are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optuna_metasampler.priors.records import CurveRecords, Records


if TYPE_CHECKING:
    from optuna_metasampler.space import SearchSpace
    from optuna_metasampler.task import Curves, Task


@dataclass(frozen=True)
class History:
    """What the trials of a running study say.

    Attributes:
        records: Of the trials that have ended.
        pending: Parameters of the other trials that are running, as far as they are known.
        curves: What the trials showed on their way; ``None`` where nobody asked for it.
        features: Meta-features of the study, by name.
    """

    records: Records
    pending: Sequence[Mapping[str, Any]] = ()
    curves: CurveRecords | None = None
    features: Mapping[str, float] = field(default_factory=dict)

    def task(self, space: SearchSpace, weights: Sequence[float], constrained: bool = True) -> Task:
        """The history as a task of ``space``; trials with none of its parameters are left out.

        Args:
            space: The space of the points.
            weights: Weights of the objectives, see :func:`~optuna_metasampler.task.scalarize`.
            constrained: Whether who asks models constraints; if not, trials that violate one count
                as worse than those that do not, see :func:`~optuna_metasampler.task.penalized`.
        """
        import torch

        from optuna_metasampler.task import Task, penalized, scalarize, to_tensor

        names = space.distributions.keys()
        always = {p.name for p in space.parameters if p.activity is None}
        known = [i for i, c in enumerate(self.records.configurations) if names & c.keys()]
        outcomes = to_tensor(self.records.outcomes[known])
        constraint_names, constraints = self.records.constraint_table(known)
        task = Task.of(
            space,
            [self.records.configurations[i] for i in known],
            scalarize(outcomes, torch.tensor(weights, dtype=torch.float64)),
            pending=[dict(c) for c in self.pending if names & c.keys()],
            tried=[c for c in self.records.failed if always <= c.keys()],
            outcomes=outcomes,
            constraints=to_tensor(constraints),
            curves=None if self.curves is None else _curves(space, self.curves),
            features=self.features,
            constraint_names=constraint_names,
            crashed=[c for c in self.records.crashed if always <= c.keys()],
        )
        return task if constrained else penalized(task)


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

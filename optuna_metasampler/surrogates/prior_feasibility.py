"""What prior studies say of where trials violate constraints, or fail.

As with outcomes, every study has a Gaussian process of its own, fitted once in the common space of
the prior studies. There is one for each constraint that any study violated, so that a running
study with a constraint of the same name knows its values beforehand; one for whether a trial
violates anything, for a running study whose constraints have other names; and one for whether it
fails.

Axis letters: ``k`` prior studies, ``n`` trials, ``q`` query points, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optuna_metasampler.surrogates.prior_model import SourceProcesses, most_informative
from optuna_metasampler.task import Task


# Each takes a moment to fit; the most telling studies of every constraint come first.
_MAX_PROCESSES = 60
# Medians from zero beyond which it does not matter how far.
_FAR = 1e3


def slack_warp(slack: Tensor) -> Tensor:
    """The scale on which slacks are modelled: of about unit spread, with zero kept in place.

    The bilog transform of SCBO (Eriksson & Poloczek 2021, arXiv:2002.08526), which squashes large
    values, in units of the median distance from zero; what comes out is divided by its spread, as
    if one more trial lay at zero. Nothing depends on the constraint's unit.

    Args:
        slack: How far each trial is from violating a constraint, shape ``(n,)``; negative where it
            does; may be infinite.

    Returns:
        Warped slacks, finite, shape ``(n,)``; those of zero are zero.
    """
    size = slack.abs()
    known = size[torch.isfinite(size) & (size > 0)]
    if len(known):
        size = torch.log1p((size / known.median()).clamp(max=_FAR))
    else:
        size = torch.ones_like(size)
    bilog = torch.sign(slack) * size
    spread = torch.cat([bilog, bilog.new_zeros(1)]).std(correction=0)
    return bilog / torch.where(spread > 0, spread, 1.0)


def label_warp(label: Tensor) -> Tensor:
    """The scale on which labels are modelled: as they are, 1 or -1."""
    return label


def slack_task(task: Task, name: str) -> Task:
    """One constraint of a task as its outcome, for the trials where it is known.

    Its outcome is the slack, the constraint's value with the sign turned round: larger is better.
    """
    assert task.constraints is not None
    value = task.constraints[:, task.constraint_names.index(name)]
    rows = torch.nonzero(~torch.isnan(value)).squeeze(1)
    return _view(task, task.x[rows], -value[rows], task.mask[rows])


def violation_task(task: Task) -> Task:
    """Whether each trial is feasible as its outcome: 1 if it is, -1 if it violates anything."""
    label = torch.where(task.feasible, 1.0, -1.0).to(torch.float64)
    return _view(task, task.x, label, task.mask)


def crash_task(task: Task) -> Task:
    """Whether each trial came to an end as its outcome: 1 if it did, -1 if it failed."""
    crashed = task.x[:0] if task.crashed is None else task.crashed
    # A failed trial has the parameters that any trial has; it does not say which.
    mask = task.mask.any(dim=0).expand(len(crashed), -1)
    label = torch.ones(len(task) + len(crashed), dtype=torch.float64)
    label[len(task) :] = -1.0
    return _view(task, torch.cat([task.x, crashed]), label, torch.cat([task.mask, mask]))


def _view(task: Task, x: Tensor, y: Tensor, mask: Tensor) -> Task:
    nothing = x[:0]
    return Task(task.space, x, y, mask, pending=nothing, tried=nothing, name=task.name)


@dataclass(frozen=True)
class PriorFeasibility:
    """Gaussian processes of the prior studies' constraints and failures.

    Attributes:
        slacks: Of each constraint's warped slack, by its name.
        violations: Of whether a trial is feasible; ``None`` if no prior trial violated anything.
        crashes: Of whether a trial comes to an end; ``None`` if no prior trial failed.
    """

    slacks: Mapping[str, SourceProcesses]
    violations: SourceProcesses | None
    crashes: SourceProcesses | None

    @classmethod
    def fit(cls, tasks: Sequence[Task]) -> PriorFeasibility | None:
        """Learn from prior studies in one common space.

        Returns:
            ``None`` where no prior trial violated a constraint or failed.
        """
        crashed = any(task.n_crashed for task in tasks)
        violated: dict[str, None] = {}
        for task in tasks:
            if task.constraints is not None:
                bad = (task.constraints > 0).any(dim=0).tolist()
                violated |= {n: None for n, b in zip(task.constraint_names, bad, strict=True) if b}
        if not crashed and not violated:
            return None
        chosen = most_informative(tasks)
        limit = max(_MAX_PROCESSES // (len(violated) + 2), 1)
        slacks = {}
        for name in violated:
            views = [slack_task(task, name) for task in tasks if name in task.constraint_names]
            slacks[name] = SourceProcesses.fit(most_informative(views)[:limit], slack_warp)
        return cls(
            slacks=slacks,
            violations=_labels([violation_task(task) for task in chosen if task.constraint_names])
            if violated
            else None,
            crashes=_labels([crash_task(task) for task in chosen]) if crashed else None,
        )


def _labels(tasks: list[Task]) -> SourceProcesses:
    return SourceProcesses.fit(tasks[: _MAX_PROCESSES // 2], label_warp)

"""Tasks: the trials of one study as tensors.

A prior study and the study now running are the same thing, a :class:`Task`.

Axis letters: ``n`` trials, ``d`` encoded columns, ``p`` parameters, ``m`` objectives,
``o`` observations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from optuna_metasampler.space import SearchSpace


def to_tensor(array: NDArray[Any]) -> Tensor:
    """Copy an array to a tensor of the same type.

    A copy, because torch's memory is aligned and NumPy's is not: the last digit of a product would
    depend on where the array happens to lie, and a seeded study on luck.
    """
    return torch.tensor(array)


@dataclass(frozen=True)
class Curves:
    """What trials showed on their way, one row an observation.

    The observations of one trial stand together, in the order of their steps.

    Attributes:
        x: Encoded configurations of the observations' trials, shape ``(o, d)``, float64.
        trial: Numbers that tell the trials apart, shape ``(o,)``, int64.
        step: Steps, 0 or more, shape ``(o,)``, float64; infinite for the final value of a trial
            that was completed.
        y: Values, shape ``(o,)``, float64; larger is better, never NaN.
    """

    x: Tensor
    trial: Tensor
    step: Tensor
    y: Tensor


@dataclass(frozen=True)
class Task:
    """The trials of one study.

    Attributes:
        space: The space of the points.
        x: Encoded configurations, shape ``(n, d)``, float64.
        y: Raw outcomes, shape ``(n,)``, float64; **larger is better**; may be infinite, never NaN.
        mask: Which parameters each trial had, shape ``(n, p)``, bool.
        pending: Configurations that are being evaluated now, shape ``(q, d)``.
        n_later: How many of these are to count as asked for after the next one: several workers
            ask at the same moment, and each has its place in the order.
        tried: Configurations without an outcome (failed trials) that are not worth another try,
            shape ``(f, d)``.
        name: Name of the study.
        outcomes: Raw outcomes of every objective, of which ``y`` is one view, shape ``(n, m)``;
            larger is better; ``None`` where nobody asked for them.
        constraints: Constraint values, shape ``(n, c)``; those above 0 are violated, NaN is not
            known; ``None`` where there is no constraint.
        curves: What the trials showed on their way, those still running included; ``None`` where
            nobody asked for it.
        features: Meta-features of what was tuned, by name, such as the number of rows of a data
            set; none where nobody asked for them.
        constraint_names: Names of the constraints, ``c`` of them.
        crashed: Configurations whose evaluation failed, shape ``(k, d)``; ``None`` where none did.
    """

    space: SearchSpace
    x: Tensor
    y: Tensor
    mask: Tensor
    pending: Tensor
    tried: Tensor
    name: str = ""
    outcomes: Tensor | None = None
    constraints: Tensor | None = None
    curves: Curves | None = None
    features: Mapping[str, float] = field(default_factory=dict)
    n_later: int = 0
    constraint_names: tuple[str, ...] = ()
    crashed: Tensor | None = None

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        configurations: list[dict[str, object]],
        y: Tensor,
        pending: list[dict[str, object]] | None = None,
        tried: list[dict[str, object]] | None = None,
        name: str = "",
        outcomes: Tensor | None = None,
        constraints: Tensor | None = None,
        curves: Curves | None = None,
        features: Mapping[str, float] | None = None,
        n_later: int = 0,
        constraint_names: tuple[str, ...] = (),
        crashed: list[dict[str, object]] | None = None,
    ) -> Task:
        """Encode configurations, one a trial, into a task.

        Raises:
            ValueError: If the numbers of configurations and outcomes differ, or an outcome is NaN.
        """
        y = torch.as_tensor(y, dtype=torch.float64, device="cpu")
        if y.shape != (len(configurations),):
            raise ValueError(
                f"`y` must have shape ({len(configurations)},), one outcome a configuration, but "
                f"got {tuple(y.shape)}."
            )
        if bool(torch.isnan(y).any()):
            raise ValueError(
                "`y` must not hold NaN. Leave trials without a value out of the task."
            )
        if constraints is None or not constraints.numel():
            constraints, constraint_names = None, ()
        mask = np.array([[n in c for n in space.names] for c in configurations], dtype=bool)
        return cls(
            space=space,
            x=to_tensor(space.encode(configurations)),
            y=y,
            mask=to_tensor(mask.reshape(len(configurations), len(space.names))),
            pending=to_tensor(space.encode(pending or [])),
            tried=to_tensor(space.encode(tried or [])),
            name=name,
            outcomes=outcomes,
            constraints=constraints,
            curves=curves,
            features=features or {},
            n_later=n_later,
            constraint_names=constraint_names,
            crashed=to_tensor(space.encode(crashed)) if crashed else None,
        )

    @property
    def feasible(self) -> Tensor:
        """Which trials violated no constraint that is known, shape ``(n,)``, bool."""
        if self.constraints is None:
            return torch.ones(len(self), dtype=torch.bool)
        return ~(self.constraints > 0).any(dim=1)

    @property
    def n_asked(self) -> int:
        """Number of trials asked for before this one, those whose evaluation failed included."""
        return len(self) + len(self.pending) + self.n_crashed - self.n_later

    @property
    def asked(self) -> Tensor:
        """All points that have been asked for, shape ``(n + q + f, d)``."""
        return torch.cat([self.x, self.pending, self.tried])

    @property
    def n_crashed(self) -> int:
        """How many evaluations failed."""
        return 0 if self.crashed is None else len(self.crashed)

    def __len__(self) -> int:
        return len(self.x)

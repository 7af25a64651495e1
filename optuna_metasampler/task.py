"""Tasks: the trials of one study as tensors.

Prior studies and the running study are both a :class:`Task`.

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

    A copy, because torch's memory is aligned and NumPy's is not: the last digits of products would
    depend on the array's address, and seeded studies would not be reproducible.
    """
    return torch.tensor(array)


@dataclass(frozen=True)
class Curves:
    """Learning curves, one row an observation.

    The observations of one trial are adjacent, in the order of their steps.

    Attributes:
        x: Encoded configurations of the observations' trials, shape ``(o, d)``, float64.
        trial: Number of each observation's trial, shape ``(o,)``, int64.
        step: Steps, 0 or more, shape ``(o,)``, float64; infinite for the final value of a complete
            trial.
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
        pending: Configurations of pending trials, shape ``(q, d)``.
        n_later: How many of these count as later than the next trial, when several workers ask at
            the same moment.
        tried: Configurations without an outcome (failed trials), not to be tried again, shape
            ``(f, d)``.
        name: Name of the study.
        outcomes: Raw outcomes of every objective, of which ``y`` is one view, shape ``(n, m)``;
            larger is better; ``None`` if not needed.
        constraints: Constraint values, shape ``(n, c)``; those above 0 are violated, NaN is
            unknown; ``None`` without constraints.
        curves: Learning curves, those of running trials included; ``None`` if not needed.
        features: Meta-features of the study, by name, such as the number of rows of a data set;
            empty if not needed.
        constraint_names: Names of the constraints, ``c`` of them.
        crashed: Configurations whose evaluation failed, shape ``(k, d)``; ``None`` if none did.
        extrapolated: Which outcomes are extrapolated, as a pruned trial's is, shape ``(n,)``,
            bool; ``None`` is the same as nowhere.
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
    extrapolated: Tensor | None = None

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
        extrapolated: Tensor | None = None,
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
            raise ValueError("`y` must not contain NaN. Leave out trials without a value.")
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
            extrapolated=extrapolated,
        )

    @property
    def feasible(self) -> Tensor:
        """Which trials violated no known constraint, shape ``(n,)``, bool."""
        if self.constraints is None:
            return torch.ones(len(self), dtype=torch.bool)
        return ~(self.constraints > 0).any(dim=1)

    @property
    def is_extrapolated(self) -> Tensor:
        """Which outcomes are extrapolated, shape ``(n,)``, bool."""
        if self.extrapolated is None:
            return torch.zeros(len(self), dtype=torch.bool)
        return self.extrapolated

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
        """Number of failed evaluations."""
        return 0 if self.crashed is None else len(self.crashed)

    def __len__(self) -> int:
        return len(self.x)

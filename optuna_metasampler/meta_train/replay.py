"""What a learner has lived through, to learn from it again: experience replay.

Mnih et al. 2015, "Human-level control through deep reinforcement learning", Nature 518.

Axis letters: ``m`` episodes kept, ``b`` episodes at a time, ``t`` steps, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Steps:
    """Steps of episodes, each with all that came before it.

    Attributes:
        x: Configurations of the whole episode, shape ``(b, t, d)``.
        y: Outcomes, shape ``(b, t)``.
        step: Which step, from 0, shape ``(b,)``; later ones have not happened yet.
    """

    x: Tensor
    y: Tensor
    step: Tensor


class Replay:
    """The last episodes, in a ring; ``n_parallel`` of them go on at a time, in step.

    Args:
        n_episodes: Episodes kept, a multiple of ``n_parallel``.
        n_parallel: Episodes at a time, ``b``.
        horizon: Steps of an episode, ``t``.
        n_columns: Encoded columns, ``d``.
        device: Where they are kept.
    """

    def __init__(
        self, n_episodes: int, n_parallel: int, horizon: int, n_columns: int, device: str = "cpu"
    ) -> None:
        self._n_parallel = n_parallel
        self._x = torch.zeros((n_episodes, horizon, n_columns), device=device)
        self._y = torch.zeros((n_episodes, horizon), device=device)
        self._n_steps = 0

    @property
    def n_steps(self) -> int:
        """Steps that were added, so far."""
        return self._n_steps

    @property
    def step(self) -> int:
        """The step, from 0, that the running episodes are at."""
        return self._n_steps % self._y.shape[1]

    @property
    def running(self) -> tuple[Tensor, Tensor]:
        """The running episodes so far: ``(b, step, d)`` and ``(b, step)``."""
        rows = self._rows
        return self._x[rows, : self.step], self._y[rows, : self.step]

    def add(self, x: Tensor, y: Tensor) -> None:
        """The next step of each running episode: points ``(b, d)`` and outcomes ``(b,)``."""
        self._x[self._rows, self.step] = x
        self._y[self._rows, self.step] = y
        self._n_steps += 1

    def sample(self, n: int, generator: torch.Generator) -> Steps:
        """Draw steps that have happened, all alike: ``n`` of them."""
        horizon = self._y.shape[1]
        b, m = self._n_parallel, len(self._y)
        # A block is one step of the episodes that ran side by side.
        n_blocks = min(self._n_steps, horizon * (m // b))
        oldest = self._n_steps - n_blocks
        # The running episodes overwrite a whole ring's oldest, of which the rest is gone as well.
        oldest = -(-oldest // horizon) * horizon
        block = oldest + torch.randint(self._n_steps - oldest, (n,), generator=generator)
        row = block // horizon % (m // b) * b + torch.randint(b, (n,), generator=generator)
        row = row.to(self._x.device)
        return Steps(self._x[row], self._y[row], (block % horizon).to(self._x.device))

    def state(self) -> dict[str, Tensor]:
        """Copies of everything."""
        n_steps = torch.tensor(self._n_steps)
        return {"x": self._x.clone(), "y": self._y.clone(), "n_steps": n_steps}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state, in place."""
        self._x.copy_(state["x"])
        self._y.copy_(state["y"])
        self._n_steps = int(state["n_steps"])

    @property
    def _rows(self) -> slice:
        first = self._n_steps // self._y.shape[1] * self._n_parallel % len(self._y)
        return slice(first, first + self._n_parallel)

"""What a peer is, and all that it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import optuna

from benchmarks.problems.base import Direction, Parameter


@dataclass(frozen=True)
class Setting:
    """All that a peer is told about a problem: nothing of its objective, name or optimum.

    Attributes:
        parameters: The search space, parents before children.
        direction: ``"minimize"`` or ``"maximize"``.
        priors: Finished studies on other tasks, oldest first; names are neutral.
        seed: Of everything that the peer draws.
    """

    parameters: tuple[Parameter, ...]
    direction: Direction
    priors: tuple[optuna.Study, ...]
    seed: int


Build = Callable[[Setting], optuna.Study]
"""Makes a study that is ready to be asked; trials that it already has are not counted."""


@dataclass(frozen=True)
class Peer:
    """One row of the comparison.

    Attributes:
        name: As in tables, such as ``"TPE + best priors"``.
        build: Makes the study.
        uses_priors: Whether prior studies change what it does; one that does not is run once a
            task and compared in every scenario.
        packages: Distributions whose versions belong to a result, besides Optuna.
        cold: The same peer without priors, by name, to see what priors did for it.
    """

    name: str
    build: Build
    uses_priors: bool = False
    packages: tuple[str, ...] = ()
    cold: str | None = None

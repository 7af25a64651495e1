"""A method that keeps what it is asked about."""

from __future__ import annotations

from typing import Any

import torch

from optuna_metasampler.methods.base import Method, Priors
from optuna_metasampler.policies.base import Phase, Policy, Proposal
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


class Recorder(Method):
    """Keeps the tasks for which it proposes, at random."""

    name = "recorder"
    min_studies = 0
    tasks: list[Task]

    def __init__(self, learns_from_curves: bool = False) -> None:
        object.__setattr__(self, "tasks", [])
        object.__setattr__(self, "learns_from_curves", learns_from_curves)

    def learn(self, tasks: Any, generator: torch.Generator, trainer: Any) -> None: ...

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        return self

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        self.tasks.append(history)
        x = torch.rand((1, len(history.space.parameters)), generator=generator)
        return Proposal(torch.tensor(history.space.spread(x.double().numpy())[0]), Phase.POLICY)

    def pack(self, learned: None) -> dict[str, torch.Tensor]:
        return {}

    def unpack(self, space: SearchSpace, tensors: Any) -> None: ...

"""A method of your own: one class that learns from prior studies and chooses the next trials.

This one draws points near the prior studies' best configurations, ever closer to them.

Run: ``python examples/07_your_own_method.py``. Takes a few seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import optuna
import torch
from torch import Tensor

from optuna_metasampler import MetaSampler
from optuna_metasampler.extension import (
    Method,
    Phase,
    Policy,
    Priors,
    Proposal,
    SearchSpace,
    Task,
    Trainer,
    checked,
    option,
    pack,
    to_tensor,
)


@dataclass(frozen=True)
class NearTheBestPolicy:
    """A policy: from the history of a study to the next point of the unit cube."""

    best: Tensor
    radius: float

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        """One of the best configurations plus a random step."""
        n = history.n_asked
        x = self.best[n % len(self.best)]
        step = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        moved = (x + self.radius / (1 + n) * step)[None]
        return Proposal(to_tensor(history.space.project(moved.numpy()))[0], Phase.POLICY)


@dataclass(frozen=True)
class NearTheBest(Method):
    """Draws points near the prior studies' best configurations."""

    name: ClassVar[str] = "near-the-best"

    radius: float = option(0.2, gt=0, le=1)

    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> Tensor:
        """The best configuration of each prior study, in their common space."""
        return torch.stack([task.x[int(task.y.argmax())] for task in tasks])

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """The policy for a running study, whose space may differ from the common space."""
        (prior,) = priors  # one, because the method models one objective
        assert prior is not None  # because it needs at least one prior study
        return NearTheBestPolicy(prior.from_prior(prior.learned), self.radius)

    def pack(self, learned: Tensor) -> dict[str, Tensor]:
        """Named tensors, for a checkpoint."""
        return pack({"best": learned})

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> Tensor:
        """The inverse of ``pack``."""
        return checked(tensors, "best", None, space.n_columns)


def objective(trial: optuna.Trial, optimum: float) -> float:
    """Something to tune."""
    return (trial.suggest_float("x", -1, 1) - optimum) ** 2 + 0.1 * trial.suggest_int("n", 0, 3)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    old = optuna.create_study()
    old.optimize(lambda trial: objective(trial, 0.5), n_trials=30)

    study = optuna.create_study(sampler=MetaSampler(old, method=NearTheBest(radius=0.1)))
    study.optimize(lambda trial: objective(trial, 0.6), n_trials=10)
    print(f"best of 10 trials: {study.best_value:.4f}")

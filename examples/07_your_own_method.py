"""A method of your own: one class says how to learn from prior studies and how to choose.

This one draws near the prior studies' best configurations, ever closer to them.

Run: ``python examples/07_your_own_method.py``. Takes a few seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import optuna
import torch
from torch import Tensor

from optuna_metasampler import MetaSampler
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import AlignedPrior, Method
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task, to_tensor


@dataclass(frozen=True)
class Near:
    """A policy: from the history of a study to the next point of the unit cube."""

    best: Tensor
    radius: float

    def propose(self, history: Task, generator: torch.Generator) -> Tensor:
        """One of the best configurations, moved by a random step; shape ``(d,)``."""
        n = len(history) + len(history.pending)
        x = self.best[n % len(self.best)]
        step = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        moved = (x + self.radius / (1 + n) * step)[None]
        return to_tensor(history.space.project(moved.numpy()))[0]


@dataclass(frozen=True)
class NearTheBest(Method[Tensor]):
    """Draws near the prior studies' best configurations."""

    name: ClassVar[str] = "near-the-best"
    radius: float = 0.2

    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> Tensor:
        """The best configuration of each prior study, in their common space."""
        return torch.stack([task.x[int(task.y.argmax())] for task in tasks])

    def policy(
        self, space: SearchSpace, prior: Prior[Tensor] | None, n_startup_trials: int | None
    ) -> Near:
        """The policy for a running study, whose space may be another one."""
        assert prior is not None  # for it needs one prior study at least
        return Near(prior.from_prior(prior.learned), self.radius)

    def pack(self, learned: Tensor) -> dict[str, Tensor]:
        """What was learned, as named tensors."""
        return {"best": learned}

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> Tensor:
        """And back."""
        return tensors["best"]


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

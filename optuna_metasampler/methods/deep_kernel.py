"""``deep-kernel``: few-shot Bayesian optimisation with a meta-trained deep kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.deep_kernel import DeepKernelLearner
from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.options import positive, whole
from optuna_metasampler.outcomes import penalized, rank_gaussianize
from optuna_metasampler.packing import checked
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.deep_kernel import DeepKernel, predict
from optuna_metasampler.surrogates.gaussian_process import representative_rows
from optuna_metasampler.task import Task


# Configurations of each prior study that may become part of the warm start.
_N_CANDIDATES = 5
_MAX_TRIALS = 200


@dataclass(frozen=True)
class FewShot:
    """What is learned.

    Attributes:
        parameters: Of the deep kernel, as in :mod:`optuna_metasampler.surrogates.deep_kernel`.
        warm_start: Configurations to begin with, in the common space, shape ``(k, e)``.
    """

    parameters: tuple[Tensor, ...]
    warm_start: Tensor


@dataclass(frozen=True)
class DeepKernelMethod(Method[FewShot]):
    """Few-shot Bayesian optimisation (FSBO): Wistuba & Grabocka 2021, arXiv:2101.07667.

    A kernel says which configurations behave alike, and nothing of which are good, so the study
    begins with a few configurations that were good in the prior studies together.

    Attributes:
        n_steps: Steps of meta-training, at most.
        learning_rate: Their first size.
        batch_size: Trials of a study that one step sees.
        width: Units in each layer of the network.
        n_adaptation_steps: Steps of fine-tuning to the running study, made anew from the
            meta-learned state at every suggestion; 0 uses that state as it is.
        adaptation_rate: Their size.
        n_warm_start: Configurations to begin with.
    """

    name: ClassVar[str] = "deep-kernel"
    models_constraints: ClassVar[bool] = True

    n_steps: int = 600
    learning_rate: float = 3e-3
    batch_size: int = 64
    width: int = 32
    n_adaptation_steps: int = 40
    adaptation_rate: float = 3e-3
    n_warm_start: int = 5

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: If one is out of range.
        """
        for option, least in (
            ("n_steps", 0),
            ("batch_size", 2),
            ("width", 1),
            ("n_adaptation_steps", 0),
            ("n_warm_start", 1),
        ):
            whole(option, getattr(self, option), least)
        for option in ("learning_rate", "adaptation_rate"):
            value = getattr(self, option)
            positive(option, value)
            if value >= 1:
                raise ValueError(f"`{option}` must be below 1, but got {value!r}.")

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> FewShot:
        """See :meth:`Method.learn`."""
        learner = DeepKernelLearner(tasks, self.width, self.batch_size, generator, trainer.device)
        config = TrainConfig(n_steps=self.n_steps, learning_rate=self.learning_rate)
        trainer.run(learner, config, generator)
        parameters = tuple(p.detach().cpu() for p in learner.parameters())
        feasible = [penalized(task) for task in tasks]
        return FewShot(parameters, warm_start(parameters, feasible, self.n_warm_start))

    def policy(
        self, space: SearchSpace, prior: Prior[FewShot] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
        assert prior is not None
        surrogate = DeepKernel(
            prior.learned.parameters,
            prior.to_prior,
            self.n_adaptation_steps,
            self.adaptation_rate,
        )
        design = InitialDesign(
            n_startup_trials or 0,
            prior.prior_incumbents,
            ordered=prior.from_prior(prior.learned.warm_start),
        )
        return AcquisitionPolicy(surrogate, design, feasibility=prior.feasibility)

    def pack(self, learned: FewShot) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        tensors = {f"parameter.{i}": p for i, p in enumerate(learned.parameters)}
        return tensors | {"warm_start": learned.warm_start}

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> FewShot:
        """See :meth:`Method.unpack`."""
        w = self.width
        shapes: list[tuple[int, ...]] = []
        for i, o in ((space.n_columns, w), (w, w), (w, w), (w, w)):
            shapes += [(i, o), (1, o)]
        shapes.append((4,))
        parameters = tuple(
            checked(tensors, f"parameter.{i}", *shape) for i, shape in enumerate(shapes)
        )
        return FewShot(parameters, checked(tensors, "warm_start", None, space.n_columns))


def warm_start(parameters: Sequence[Tensor], tasks: Sequence[Task], n: int) -> Tensor:
    """Configurations that together leave little to gain in any prior study, greedily.

    What a study did not try itself is predicted by the deep kernel on its trials. After the warm
    start of FSBO, with the best trials of the studies as candidates in place of an
    evolutionary search.

    Args:
        parameters: Of the deep kernel.
        tasks: Prior studies in one space.
        n: How many, at most.

    Returns:
        The one that is best on average first, shape ``(k, e)`` with ``k <= n``.
    """
    best = [t.x[torch.topk(t.y, min(_N_CANDIDATES, len(t))).indices] for t in tasks]
    candidates = torch.unique(torch.cat(best), dim=0)
    with torch.no_grad():
        predicted = []
        for task in tasks:
            rows = representative_rows(task.y, _MAX_TRIALS)
            z = rank_gaussianize(task.y)[rows]
            predicted.append(predict(parameters, task.x[rows], z, candidates).mean)
        gains = torch.stack(predicted)
    chosen: list[int] = []
    reached = torch.full((len(tasks), 1), -torch.inf, dtype=torch.float64)
    for _ in range(min(n, len(candidates))):
        total = torch.maximum(reached, gains).mean(dim=0)
        total[chosen] = -torch.inf
        chosen.append(int(total.argmax()))
        reached = torch.maximum(reached, gains[:, chosen[-1:]])
    points: Tensor = candidates[chosen]
    return points

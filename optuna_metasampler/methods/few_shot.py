"""What the methods with few-shot networks share: their options, their policy, their checkpoint."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.few_shot import FewShotLearner
from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.meta_train.rules import Rule
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.options import positive, whole
from optuna_metasampler.networks import initial
from optuna_metasampler.packing import checked
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.few_shot import FewShotNetworks, FewShotSurrogate
from optuna_metasampler.task import Task


@dataclass(frozen=True)
class FewShot(Method[FewShotNetworks]):
    """Networks from configurations to outcomes that inner steps fit to the running study.

    Attributes:
        n_members: Networks of the ensemble.
    """

    models_constraints: ClassVar[bool] = True

    n_members: int = 5

    def __post_init__(self) -> None:
        """Refuse options out of range.

        Raises:
            ValueError: If one is.
        """
        whole("n_members", self.n_members, 1)

    def policy(
        self,
        space: SearchSpace,
        prior: Prior[FewShotNetworks] | None,
        n_startup_trials: int | None,
    ) -> Policy:
        """See :meth:`Method.policy`."""
        assert prior is not None
        surrogate = FewShotSurrogate(prior.learned, prior.to_prior)
        # The maximum of a network over a whole space lies where few or no trials are, and the
        # network knows least: it first chooses among the prior incumbents.
        design = InitialDesign(
            n_startup_trials or 0,
            prior.prior_incumbents,
            n_warm_start=3,
            unknown=prior.unknown,
            n_completions=1,
        )
        return AcquisitionPolicy(surrogate, design, feasibility=prior.feasibility)

    def pack(self, learned: FewShotNetworks) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        tensors = {f"weight.{i}": w for i, w in enumerate(learned.weights)}
        tensors |= {f"rate.{i}": rate for i, rate in enumerate(learned.rates)}
        tensors["n_steps"] = torch.tensor(learned.n_steps)
        tensors["pull"] = torch.tensor(learned.pull, dtype=torch.float64)
        return tensors

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> FewShotNetworks:
        """See :meth:`Method.unpack`."""
        n_tensors = sum(name.startswith("weight.") for name in tensors)
        weights, i = [], space.n_columns
        m = tensors["weight.0"].shape[0] if tensors["weight.0"].dim() else 0
        for layer in range(0, n_tensors, 2):
            w = checked(tensors, f"weight.{layer}", m, i, None)
            i = w.shape[2]
            weights += [w, checked(tensors, f"weight.{layer + 1}", m, 1, i)]
        if m < 1 or i != 1:
            raise ValueError(f"the networks are {m} in number and have {i} outputs, not 1")
        rates = []
        for j, w in enumerate(weights):
            shape = w.shape if tensors[f"rate.{j}"].dim() else ()
            rates.append(checked(tensors, f"rate.{j}", *shape))
        if any(float(rate.min()) < 0.0 for rate in rates):
            raise ValueError("an inner step size is negative")
        n_steps = int(checked(tensors, "n_steps"))
        pull = float(checked(tensors, "pull"))
        if n_steps < 0 or pull < 0.0:
            raise ValueError(f"'n_steps' is {n_steps} and 'pull' {pull}, one of them negative")
        return FewShotNetworks(tuple(weights), tuple(rates), n_steps, pull)


@dataclass(frozen=True)
class GradientFewShot(FewShot):
    """Few-shot networks whose weights are meta-learned by the one loop, by some update rule.

    Attributes:
        width: Units in each hidden layer.
        n_layers: Hidden layers.
        n_inner_steps: Inner steps of gradient descent, in meta-training and for a study of few
            trials; a longer study gets more in proportion.
        inner_learning_rate: Their step size.
        n_meta_steps: Steps of meta-training, at most.
        meta_learning_rate: Their first step size, of Adam.
    """

    width: int = 64
    n_layers: int = 2
    n_inner_steps: int = 5
    inner_learning_rate: float = 0.05
    n_meta_steps: int = 200
    meta_learning_rate: float = 5e-3

    def __post_init__(self) -> None:
        """See :meth:`FewShot.__post_init__`."""
        super().__post_init__()
        whole("width", self.width, 1)
        whole("n_layers", self.n_layers, 1)
        whole("n_inner_steps", self.n_inner_steps, 1)
        positive("inner_learning_rate", self.inner_learning_rate)
        whole("n_meta_steps", self.n_meta_steps, 1)
        positive("meta_learning_rate", self.meta_learning_rate)

    @abstractmethod
    def rule(self) -> Rule:
        """The update rule."""

    @property
    def learns_rates(self) -> bool:
        """Whether the inner step sizes are meta-learned, one a weight."""
        return False

    def start(self, space: SearchSpace, generator: torch.Generator) -> FewShotNetworks:
        """The networks before meta-training."""
        sizes = [space.n_columns, *[self.width] * self.n_layers, 1]
        weights = initial(sizes, [self.n_members], generator)
        rate = torch.tensor(self.inner_learning_rate, dtype=torch.float32)
        return FewShotNetworks(tuple(weights), (rate,) * len(weights), self.n_inner_steps)

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> FewShotNetworks:
        """See :meth:`Method.learn`."""
        start = self.start(tasks[0].space, generator)
        learner = FewShotLearner(
            tasks, start, self.rule(), self.learns_rates, generator, device=trainer.device
        )
        config = TrainConfig(n_steps=self.n_meta_steps, learning_rate=self.meta_learning_rate)
        trainer.run(learner, config, generator)
        return learner.networks().cpu()

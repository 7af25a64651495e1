"""The methods with few-shot networks: their options, their policy, their checkpoint.

A method with gradients is an update rule and its options; ``meta-random-search`` has none.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
import math
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.methods import networks
from optuna_metasampler.methods.base import Method, Priors, option
from optuna_metasampler.methods.few_shot import rules
from optuna_metasampler.methods.few_shot.learner import (
    EpisodeConfig,
    FewShotLearner,
    few_shot_loss,
)
from optuna_metasampler.methods.few_shot.rules import Rule
from optuna_metasampler.methods.few_shot.surrogate import FewShotNetworks, FewShotSurrogate
from optuna_metasampler.packing import checked, checked_sequence, pack
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


# Of random search over meta-parameters.
_WIDTHS = (16, 32, 64, 128)
_MOST_LAYERS = 3
# Ranges of a gain, a rate and a number of steps, drawn evenly on the log scale.
_GAIN = (0.3, 3.0)
_RATE = (0.003, 0.3)
_N_STEPS = (1, 100)
_EPISODES = EpisodeConfig(n_repeats=2)
# With fewer studies none is held out for the final round.
_MIN_STUDIES_TO_HOLD_OUT = 4


@dataclass(frozen=True)
class FewShotMethod(Method):
    """Networks from configurations to outcomes that inner steps fit to the running study.

    Attributes:
        n_members: Networks of the ensemble.
    """

    models_constraints: ClassVar[bool] = True

    n_members: int = option(5, ge=1)

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`."""
        (prior,) = priors
        assert prior is not None
        surrogate = FewShotSurrogate(prior.learned, prior.to_prior)
        # The maximum of a network over a whole space is often far from all trials, where the
        # network is least reliable, so it first chooses among the prior incumbents.
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
        return pack(
            {
                "weight": learned.weights,
                "rate": learned.rates,
                "n_steps": learned.n_steps,
                "pull": learned.pull,
            }
        )

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> FewShotNetworks:
        """See :meth:`Method.unpack`."""
        n_layers = sum(name.startswith("weight.") for name in tensors) // 2
        m, _, _ = checked(tensors, "weight.0", None, space.n_columns, None).shape
        widths = [
            checked(tensors, f"weight.{2 * layer}", m, None, None).shape[2]
            for layer in range(n_layers - 1)
        ]
        shapes = networks.shapes([space.n_columns, *widths, 1], [m])
        if m < 1:
            raise ValueError("there is no network")
        weights = checked_sequence(tensors, "weight", shapes)
        is_one = [tensors[f"rate.{i}"].dim() == 0 for i in range(len(shapes))]
        rates = checked_sequence(
            tensors, "rate", [() if one else s for one, s in zip(is_one, shapes, strict=True)]
        )
        if any(float(rate.min()) < 0.0 for rate in rates):
            raise ValueError("an inner step size is negative")
        n_steps = int(checked(tensors, "n_steps"))
        pull = float(checked(tensors, "pull"))
        if n_steps < 0 or pull < 0.0:
            raise ValueError(f"'n_steps' ({n_steps}) or 'pull' ({pull}) is negative")
        return FewShotNetworks(weights, rates, n_steps, pull)


@dataclass(frozen=True)
class GradientFewShot(FewShotMethod):
    """Few-shot networks whose weights are meta-learned by the loop with an update rule.

    Attributes:
        width: Units in each hidden layer.
        n_layers: Hidden layers.
        n_inner_steps: Inner steps of gradient descent, in meta-training and for a study of few
            trials; a longer study gets more.
        inner_learning_rate: Step size of the inner steps.
        n_meta_steps: Steps of meta-training, at most.
        meta_learning_rate: First step size of meta-training, by Adam.
    """

    learns_rates: ClassVar[bool] = False

    width: int = option(64, ge=1)
    n_layers: int = option(2, ge=1)
    n_inner_steps: int = option(5, ge=1)
    inner_learning_rate: float = option(0.05, gt=0)
    n_meta_steps: int = option(200, ge=1)
    meta_learning_rate: float = option(5e-3, gt=0)

    @abstractmethod
    def rule(self) -> Rule:
        """The update rule."""

    def start(self, space: SearchSpace, generator: torch.Generator) -> FewShotNetworks:
        """The networks before meta-training."""
        sizes = [space.n_columns, *[self.width] * self.n_layers, 1]
        weights = networks.initial(sizes, [self.n_members], generator)
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


@dataclass(frozen=True)
class FineTune(GradientFewShot):
    """Transfer learning: joint training, then a few steps on the running study.

    Yosinski, Clune, Bengio & Lipson 2014, "How transferable are features in deep neural
    networks?", arXiv:1411.1792, on which layers to freeze and which to tune.

    Attributes:
        frozen_layers: Number of first layers that stay as they are in the running study; at least
            one of the ``n_layers + 1`` layers is tuned.
    """

    name: ClassVar[str] = "fine-tune"

    frozen_layers: int = option(0, ge=0)

    def __post_init__(self) -> None:
        """See :meth:`Method.__post_init__`."""
        super().__post_init__()
        if self.frozen_layers > self.n_layers:
            raise ValueError(
                f"`frozen_layers` must be an integer, at most {self.n_layers}, the number of "
                f"hidden layers, but got {self.frozen_layers!r}."
            )

    def start(self, space: SearchSpace, generator: torch.Generator) -> FewShotNetworks:
        """See :meth:`GradientFewShot.start`; frozen layers have a step size of zero."""
        start = super().start(space, generator)
        n_frozen = 2 * self.frozen_layers
        return replace(start, rates=(*[torch.zeros(())] * n_frozen, *start.rates[n_frozen:]))

    def rule(self) -> Rule:
        """See :meth:`GradientFewShot.rule`."""
        return rules.joint


@dataclass(frozen=True)
class Maml(GradientFewShot):
    """Model-agnostic meta-learning: weights from which a few steps predict a study best.

    Finn, Abbeel & Levine 2017, "Model-agnostic meta-learning for fast adaptation of deep
    networks", arXiv:1703.03400.

    Attributes:
        first_order: Whether the meta-gradient ignores how the inner gradients depend on the
            weights.
    """

    name: ClassVar[str] = "maml"

    first_order: bool = option(False)

    def rule(self) -> Rule:
        """See :meth:`GradientFewShot.rule`."""
        return partial(rules.maml, n_steps=self.n_inner_steps, first_order=self.first_order)


@dataclass(frozen=True)
class MetaSgd(Maml):
    """Meta-SGD: as MAML, with a meta-learned inner step size for every weight.

    Li, Zhou, Chen & Li 2017, "Meta-SGD: Learning to learn quickly for few-shot learning",
    arXiv:1707.09835. There a step size may be negative and there is one inner step; here it is
    positive, because a longer study gets more steps, which have to stay stable.
    """

    name: ClassVar[str] = "meta-sgd"
    learns_rates: ClassVar[bool] = True


@dataclass(frozen=True)
class Reptile(GradientFewShot):
    """Reptile: weights close to all studies' adapted weights; no gradient through inner steps.

    Nichol, Achiam & Schulman 2018, "On first-order meta-learning algorithms", arXiv:1803.02999.
    """

    name: ClassVar[str] = "reptile"

    def rule(self) -> Rule:
        """See :meth:`GradientFewShot.rule`."""
        return partial(rules.reptile, n_steps=self.n_inner_steps)


@dataclass(frozen=True)
class ImplicitMaml(GradientFewShot):
    """Proximal adaptation, with the meta-gradient at its solution instead of through its steps.

    Rajeswaran, Finn, Kakade & Levine 2019, "Meta-learning with implicit gradients",
    arXiv:1909.04630.

    Attributes:
        pull: Strength of the pull towards the meta-learned weights: large values keep them, and
            small ones fit the study's trials alone.
        n_conjugate_steps: Steps of conjugate gradients a meta-gradient.
        first_order: Whether the meta-gradient ignores the curvature of the inner problem.
    """

    name: ClassVar[str] = "imaml"

    n_inner_steps: int = option(10, ge=1)
    pull: float = option(0.5, gt=0)
    n_conjugate_steps: int = option(5, ge=1)
    first_order: bool = option(False)

    def start(self, space: SearchSpace, generator: torch.Generator) -> FewShotNetworks:
        """See :meth:`GradientFewShot.start`."""
        return replace(super().start(space, generator), pull=float(self.pull))

    def rule(self) -> Rule:
        """See :meth:`GradientFewShot.rule`."""
        return partial(
            rules.implicit_maml,
            n_steps=self.n_inner_steps,
            pull=self.pull,
            n_conjugate=self.n_conjugate_steps,
            first_order=self.first_order,
        )


@dataclass(frozen=True)
class MetaRandomSearch(FewShotMethod):
    """The gradient-free counterpart of ``maml``: random search over the meta-parameters.

    Each draw is a width and a number of hidden layers, a scale of the initial weights, these
    weights, and a size and a number of inner steps. The draws that predict prior studies best from
    a few of their trials enter a final round, which held-out studies decide. After Bergstra &
    Bengio 2012, "Random search for hyper-parameter optimization", JMLR 13, on the few-shot loss of
    Finn et al. 2017, arXiv:1703.03400, without its gradient. A random search cannot tune thousands
    of weights, so the method learns how to adapt and nothing about good regions.

    Attributes:
        n_candidates: Draws of the first round.
        n_finalists: Best draws, which enter the final round.
    """

    name: ClassVar[str] = "meta-random-search"

    n_candidates: int = option(24, ge=1)
    n_finalists: int = option(6, ge=1)

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> FewShotNetworks:
        """See :meth:`Method.learn`; without the loop, because there is no gradient."""
        records = StudyRecords.of(tasks)
        order = torch.randperm(len(tasks), generator=generator)
        n_held_out = len(tasks) // 4 if len(tasks) >= _MIN_STUDIES_TO_HOLD_OUT else 0
        held_out, used = order[:n_held_out], order[n_held_out:]
        seed = int(torch.randint(2**31 - 1, (1,), generator=generator))

        def best(drawn: list[FewShotNetworks], studies: Tensor, n: int) -> list[FewShotNetworks]:
            def loss(one: FewShotNetworks) -> float:
                # The same episodes for all.
                same = torch.Generator(device="cpu").manual_seed(seed)
                value = few_shot_loss(one, records, studies, _EPISODES, same)
                return value if math.isfinite(value) else math.inf

            return sorted(drawn, key=loss)[:n]

        space = tasks[0].space
        drawn = [self.draw(space, generator) for _ in range(self.n_candidates)]
        finalists = best(drawn, used, self.n_finalists)
        return best(finalists, held_out, 1)[0] if len(held_out) else finalists[0]

    def draw(self, space: SearchSpace, generator: torch.Generator) -> FewShotNetworks:
        """Random meta-parameters."""
        width = _WIDTHS[int(torch.randint(len(_WIDTHS), (1,), generator=generator))]
        n_layers = 1 + int(torch.randint(_MOST_LAYERS, (1,), generator=generator))
        u = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        gain, rate, n_steps = (
            low * (high / low) ** v
            for v, (low, high) in zip(u, (_GAIN, _RATE, _N_STEPS), strict=True)
        )
        sizes = [space.n_columns, *[width] * n_layers, 1]
        weights = networks.initial(sizes, [self.n_members], generator, gain=gain)
        size = torch.tensor(rate, dtype=torch.float32)
        return FewShotNetworks(tuple(weights), (size,) * len(weights), round(n_steps))

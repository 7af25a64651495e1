"""``imaml``: inner steps that are pulled towards the meta-learned weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from optuna_metasampler.meta_train.rules import ImplicitMaml, Rule
from optuna_metasampler.methods.few_shot import GradientFewShot
from optuna_metasampler.methods.options import flag, positive, whole
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.few_shot import FewShotNetworks


@dataclass(frozen=True)
class ImplicitMamlMethod(GradientFewShot):
    """Proximal adaptation, with the meta-gradient at its solution instead of through its steps.

    Rajeswaran, Finn, Kakade & Levine 2019, "Meta-learning with implicit gradients",
    arXiv:1909.04630.

    Attributes:
        pull: Strength of the pull: the weights stay where they are if it is large, and follow the
            study's trials alone if it is small.
        n_conjugate_steps: Steps of conjugate gradients a meta-gradient.
        first_order: Whether the curvature of the inner problem is left out of the meta-gradient.
    """

    name: ClassVar[str] = "imaml"

    n_inner_steps: int = 10
    pull: float = 0.5
    n_conjugate_steps: int = 5
    first_order: bool = False

    def __post_init__(self) -> None:
        """See :meth:`FewShot.__post_init__`."""
        super().__post_init__()
        positive("pull", self.pull)
        whole("n_conjugate_steps", self.n_conjugate_steps, 1)
        flag("first_order", self.first_order)

    def start(self, space: SearchSpace, generator: torch.Generator) -> FewShotNetworks:
        """See :meth:`GradientFewShot.start`."""
        return replace(super().start(space, generator), pull=float(self.pull))

    def rule(self) -> Rule:
        """See :meth:`GradientFewShot.rule`."""
        return ImplicitMaml(
            self.n_inner_steps, self.pull, self.n_conjugate_steps, self.first_order
        )

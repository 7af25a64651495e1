"""``reptile``: weights near to those that gradient steps on any of the prior studies lead to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna_metasampler.meta_train.rules import Reptile, Rule
from optuna_metasampler.methods.few_shot import GradientFewShot


@dataclass(frozen=True)
class ReptileMethod(GradientFewShot):
    """Reptile: no targets, and no gradient through the inner steps.

    Nichol, Achiam & Schulman 2018, "On first-order meta-learning algorithms", arXiv:1803.02999.
    """

    name: ClassVar[str] = "reptile"

    def rule(self) -> Rule:
        """See :meth:`GradientFewShot.rule`."""
        return Reptile(self.n_inner_steps)

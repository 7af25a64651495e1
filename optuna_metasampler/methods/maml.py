"""``maml``: weights from which a few gradient steps on a study predict the rest of it best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna_metasampler.meta_train.rules import Maml, Rule
from optuna_metasampler.methods.few_shot import GradientFewShot
from optuna_metasampler.methods.options import flag


@dataclass(frozen=True)
class MamlMethod(GradientFewShot):
    """Model-agnostic meta-learning.

    Finn, Abbeel & Levine 2017, "Model-agnostic meta-learning for fast adaptation of deep
    networks", arXiv:1703.03400.

    Attributes:
        first_order: Whether the meta-gradient leaves out how the inner gradients depend on the
            weights.
    """

    name: ClassVar[str] = "maml"

    first_order: bool = False

    def __post_init__(self) -> None:
        """See :meth:`FewShot.__post_init__`."""
        super().__post_init__()
        flag("first_order", self.first_order)

    def rule(self) -> Rule:
        """See :meth:`GradientFewShot.rule`."""
        return Maml(self.n_inner_steps, self.first_order)

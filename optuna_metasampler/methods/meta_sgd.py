"""``meta-sgd``: as ``maml``, with an inner step size of its own for every weight, learned too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna_metasampler.meta_train.rules import Maml, Rule
from optuna_metasampler.methods.few_shot import GradientFewShot, flag


@dataclass(frozen=True)
class MetaSgd(GradientFewShot):
    """Meta-SGD: where to start, in what direction to go and how far.

    Li, Zhou, Chen & Li 2017, "Meta-SGD: Learning to learn quickly for few-shot learning",
    arXiv:1707.09835. There a step size may be negative and there is one inner step; here it is
    positive, for a study gets more steps as it goes on, and they have to stay stable.

    Attributes:
        first_order: Whether the meta-gradient leaves out how the inner gradients depend on the
            weights.
    """

    name: ClassVar[str] = "meta-sgd"

    first_order: bool = False

    def __post_init__(self) -> None:
        """See :meth:`FewShot.__post_init__`."""
        super().__post_init__()
        flag("first_order", self.first_order)

    @property
    def learns_rates(self) -> bool:
        """See :attr:`GradientFewShot.learns_rates`."""
        return True

    def rule(self) -> Rule:
        """See :meth:`GradientFewShot.rule`."""
        return Maml(self.n_inner_steps, self.first_order)

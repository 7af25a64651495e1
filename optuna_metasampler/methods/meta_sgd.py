"""``meta-sgd``: as ``maml``, with an inner step size of its own for every weight, learned too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from optuna_metasampler.methods.maml import MamlMethod


@dataclass(frozen=True)
class MetaSgd(MamlMethod):
    """Meta-SGD: where to start, in what direction to go and how far.

    Li, Zhou, Chen & Li 2017, "Meta-SGD: Learning to learn quickly for few-shot learning",
    arXiv:1707.09835. There a step size may be negative and there is one inner step; here it is
    positive, for a study gets more steps as it goes on, and they have to stay stable.

    """

    name: ClassVar[str] = "meta-sgd"

    @property
    def learns_rates(self) -> bool:
        """See :attr:`GradientFewShot.learns_rates`."""
        return True

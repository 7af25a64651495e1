"""``fine-tune``: networks trained on the records of all prior studies, and fitted to this one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from optuna_metasampler.meta_train.rules import Joint, Rule
from optuna_metasampler.methods.few_shot import GradientFewShot
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.few_shot import FewShotNetworks


@dataclass(frozen=True)
class FineTune(GradientFewShot):
    """Transfer learning: joint training, then a few steps on the running study.

    Yosinski, Clune, Bengio & Lipson 2014, "How transferable are features in deep neural
    networks?", arXiv:1411.1792, for what to hold and what to tune.

    Attributes:
        frozen_layers: How many of the first layers the running study does not change; of the
            ``n_layers + 1`` there are, at least one is tuned.
    """

    name: ClassVar[str] = "fine-tune"

    frozen_layers: int = 0

    def __post_init__(self) -> None:
        """See :meth:`FewShot.__post_init__`."""
        super().__post_init__()
        whole = isinstance(self.frozen_layers, int) and not isinstance(self.frozen_layers, bool)
        if not whole or not 0 <= self.frozen_layers <= self.n_layers:
            raise ValueError(
                f"`frozen_layers` must be a whole number from 0 to {self.n_layers}, the number of "
                f"hidden layers, but got {self.frozen_layers!r}."
            )

    def start(self, space: SearchSpace, generator: torch.Generator) -> FewShotNetworks:
        """See :meth:`GradientFewShot.start`; held layers have a step size of zero."""
        networks = super().start(space, generator)
        held = 2 * self.frozen_layers
        rates = (*[torch.zeros(())] * held, *networks.rates[held:])
        return replace(networks, rates=rates)

    def rule(self) -> Rule:
        """See :meth:`GradientFewShot.rule`."""
        return Joint()

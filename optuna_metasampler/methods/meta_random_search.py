"""``meta-random-search``: few-shot networks that were drawn at random, and were the best drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.meta_train.few_shot import EpisodeConfig, few_shot_loss
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.few_shot import FewShot
from optuna_metasampler.methods.options import whole
from optuna_metasampler.networks import initial
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.few_shot import FewShotNetworks
from optuna_metasampler.task import Task


_WIDTHS = (16, 32, 64, 128)
_MOST_LAYERS = 3
# Ranges of what is drawn evenly on the log scale.
_GAIN = (0.3, 3.0)
_RATE = (0.003, 0.3)
_N_STEPS = (1, 100)
_EPISODES = EpisodeConfig(n_repeats=2)
# With fewer studies none can be spared for the last word.
_MIN_STUDIES_TO_HOLD_OUT = 4


@dataclass(frozen=True)
class MetaRandomSearch(FewShot):
    """The gradient-free twin of ``maml``: random search over the meta-parameters.

    Drawn are the width and the number of hidden layers, the scale of the initial weights, the
    weights themselves, and the inner steps' size and number. What predicts the rest of prior
    studies best from a few of their trials goes to the last round, where the held-out studies
    choose. After Bergstra & Bengio 2012, "Random search for hyper-parameter optimization", JMLR
    13, on the few-shot loss of Finn et al. 2017, arXiv:1703.03400. No gradient of that loss is
    used; thousands of weights are beyond a random search, so what is learned is how to learn
    and nothing of where to look.

    Attributes:
        n_candidates: Draws of the first round.
        n_finalists: Best draws that go to the last round.
    """

    name: ClassVar[str] = "meta-random-search"

    n_candidates: int = 24
    n_finalists: int = 6

    def __post_init__(self) -> None:
        """See :meth:`FewShot.__post_init__`."""
        super().__post_init__()
        whole("n_candidates", self.n_candidates, 1)
        whole("n_finalists", self.n_finalists, 1)

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> FewShotNetworks:
        """See :meth:`Method.learn`; there is no loop, for there is no gradient to follow."""
        records = StudyRecords.of(tasks)
        order = torch.randperm(len(tasks), generator=generator)
        n_held_out = len(tasks) // 4 if len(tasks) >= _MIN_STUDIES_TO_HOLD_OUT else 0
        held_out, used = order[:n_held_out], order[n_held_out:]
        seed = int(torch.randint(2**31 - 1, (1,), generator=generator))

        def best(
            networks: list[FewShotNetworks], studies: Tensor, n: int
        ) -> list[FewShotNetworks]:
            def loss(one: FewShotNetworks) -> float:
                # The same episodes for all.
                same = torch.Generator(device="cpu").manual_seed(seed)
                value = few_shot_loss(one, records, studies, _EPISODES, same)
                return value if math.isfinite(value) else math.inf

            return sorted(networks, key=loss)[:n]

        space = tasks[0].space
        drawn = [self.draw(space, generator) for _ in range(self.n_candidates)]
        finalists = best(drawn, used, self.n_finalists)
        return best(finalists, held_out, 1)[0] if len(held_out) else finalists[0]

    def draw(self, space: SearchSpace, generator: torch.Generator) -> FewShotNetworks:
        """Meta-parameters at random."""
        width = _WIDTHS[int(torch.randint(len(_WIDTHS), (1,), generator=generator))]
        n_layers = 1 + int(torch.randint(_MOST_LAYERS, (1,), generator=generator))
        u = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        gain, rate, n_steps = (
            low * (high / low) ** v
            for v, (low, high) in zip(u, (_GAIN, _RATE, _N_STEPS), strict=True)
        )
        sizes = [space.n_columns, *[width] * n_layers, 1]
        weights = initial(sizes, [self.n_members], generator, gain=gain)
        size = torch.tensor(rate, dtype=torch.float32)
        return FewShotNetworks(tuple(weights), (size,) * len(weights), round(n_steps))

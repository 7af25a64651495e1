"""Learning curves over the synthetic suite's space, with related prior studies and no training.

The loss of a configuration after ``s`` epochs falls from a common start to a level of its own by a
power law (Domhan, Springenberg & Hutter 2015, IJCAI, fit such curves to real networks). What the
start says about the end is as poor as in real training: good levels tend to be learned slowly, so
that curves cross; some configurations stay on a plateau at first, some diverge later, and all are
noisy. Level, pace, plateau and divergence are draws from Gaussian processes of the suite's kind,
each related to that of the prior studies.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any

import numpy as np

from benchmarks.problems.base import seed_of
from benchmarks.problems.synthetic import SyntheticSuite, features


N_EPOCHS = 27

_START = 3.0
_NOISE = 0.05
_EXPONENT = 1.0
_LONGEST_PLATEAU = 12.0
_SLOPE_OF_DIVERGENCE = 0.25


class CurveSuite(SyntheticSuite):
    """The synthetic suite with a learning curve in place of a value.

    Args:
        relatedness: Correlation of every source with its target, in [-1, 1].
    """

    def __init__(self, relatedness: float) -> None:
        super().__init__(relatedness)
        self.name = f"curves_{relatedness}"

    def losses(self, task: str, params: Mapping[str, Any]) -> np.ndarray:
        """Losses after 1, 2, ... epochs, shape ``(N_EPOCHS,)``, noise included."""
        x = features([params])
        level, pace, plateau, divergence = (
            float(self._values(f"{aspect}{task}", x)[0])
            for aspect in ("", "pace ", "plateau ", "divergence ")
        )
        epoch = np.arange(1, N_EPOCHS + 1)
        waits = _LONGEST_PLATEAU * np.clip(plateau - 0.5, 0.0, 1.0)
        trained = np.maximum(epoch - waits, 0.0)
        # Good levels are learned slowly.
        halftime = np.exp(0.7 * pace - 0.5 * level)
        loss = level + (_START - level) * (1.0 + trained / halftime) ** -_EXPONENT
        turn = N_EPOCHS * (1.0 - 0.6 * np.clip(divergence - 0.5, 0.0, 1.0))
        loss = loss + _SLOPE_OF_DIVERGENCE * np.maximum(epoch - turn, 0.0)
        seed = seed_of("noise", task, json.dumps(dict(params), sort_keys=True))
        noise: np.ndarray = np.random.default_rng(seed).normal(0.0, _NOISE, N_EPOCHS)
        losses: np.ndarray = loss + noise
        return losses

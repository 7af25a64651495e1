"""The initial design: the first trials of a study.

Axis letters: ``k`` configurations, ``d`` encoded columns.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from optuna_metasampler.maximize import quasi_random
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import to_tensor


N_WARM_START_TRIALS = 5
N_COMPLETIONS = 8


@dataclass(frozen=True)
class InitialDesign:
    """Space-filling trials, then a warm start by the best configurations of prior studies.

    The best configuration of an earlier study is a safer first guess than the maximum of a model
    of its trials, and the incumbents of several studies cover the promising region (Feurer,
    Springenberg & Hutter 2015, "Initializing Bayesian hyperparameter optimization via
    meta-learning", AAAI; Wistuba, Schilling & Schmidt-Thieme 2015, "Sequential model-free
    hyperparameter tuning", ICDM).

    Attributes:
        n_space_filling: Number of space-filling trials at the beginning. If there are any, they
            continue after the warm start until a first outcome is known.
        prior_incumbents: The best configurations of prior studies, shape ``(k, d)``; ``None``
            without prior studies. The search of the acquisition function starts there too.
        n_warm_start: Maximum number of warm-start trials after that. The acquisition function
            chooses among the prior incumbents, so that each trial informs the next choice.
        ordered: Warm-start points in a fixed order instead, shape ``(k, d)``.
        probes: Whether the second trial is an exploration probe: only a point that the prior
            studies do not recommend can test them.
        unknown: Names of the parameters that no prior study had.
        n_completions: Number of values for the unknown parameters of each incumbent. If several,
            the first is neutral and the others are quasi-random.
    """

    n_space_filling: int = 0
    prior_incumbents: Tensor | None = None
    n_warm_start: int = 0
    ordered: Tensor | None = None
    probes: bool = False
    unknown: Collection[str] = ()
    n_completions: int = N_COMPLETIONS

    @property
    def n_warm_start_trials(self) -> int:
        """Number of trials of the warm start, at most."""
        return self.n_warm_start if self.ordered is None else len(self.ordered)

    def warm_start_candidates(self, space: SearchSpace, generator: torch.Generator) -> Tensor:
        """Prior incumbents as points of a space, shape ``(k, d)``.

        Args:
            space: The space; pinned parameters stay pinned.
            generator: Source of all randomness; not used if no parameter is unknown.
        """
        assert self.prior_incumbents is not None
        points = self.prior_incumbents
        columns = [p.columns for p in space.parameters if p.name in self.unknown]
        if columns:
            n_drawn = max(self.n_completions - 1, 1)
            drawn = points.repeat(n_drawn, 1)
            values = quasi_random(space, len(drawn), generator)
            for of_parameter in columns:
                drawn[:, of_parameter] = values[:, of_parameter]
            points = drawn if self.n_completions == 1 else torch.cat([points, drawn])
        return to_tensor(space.project(points.numpy()))

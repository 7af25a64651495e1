"""The initial design: what is tried before the acquisition function alone decides.

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

    What was best in an earlier study is a safer first guess than the maximum of anything learned
    from its trials, and the incumbents of several studies are spread over what may be good
    (Feurer, Springenberg & Hutter 2015, "Initializing Bayesian hyperparameter optimization via
    meta-learning", AAAI; Wistuba, Schilling & Schmidt-Thieme 2015, "Sequential model-free
    hyperparameter tuning", ICDM).

    Attributes:
        n_space_filling: Space-filling trials before everything else. Where there are any, and the
            warm start is over, they go on until a first outcome is known.
        prior_incumbents: The best configurations of prior studies, shape ``(k, d)``; ``None``
            without prior studies. The search for the best score begins there too.
        n_warm_start: Trials among the prior incumbents after that, at most. The acquisition
            function picks the next one, so that each informs the choice of the others.
        ordered: Points that are tried in this order instead, shape ``(k, d)``.
        probes: Whether the second trial is space-filling: whether prior studies are right shows
            only beside a point that they do not recommend.
        unknown: Names of the parameters that no prior study had.
        n_completions: Values that are tried for unknown parameters, with each incumbent. With
            several the first is neutral; the others are quasi-random.
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
            generator: Source of all randomness. Nothing is drawn where no parameter is unknown.
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

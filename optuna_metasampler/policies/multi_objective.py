"""The policy for several objectives: one surrogate each, expected hypervolume improvement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from optuna_metasampler.acquisition import (
    TieProbability,
    log_expected_hypervolume_improvement,
    pending_penalty,
)
from optuna_metasampler.maximize import MaximizeConfig, Score
from optuna_metasampler.outcomes import half_rank_warp
from optuna_metasampler.pareto import (
    non_dominated,
    non_dominated_boxes,
    reference_point,
    spread_out,
)
from optuna_metasampler.policies.acquisition import (
    MAX_TRIALS_FOR_TIES,
    TIE_BREAK,
    AcquisitionConfig,
    AcquisitionPolicy,
)
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.surrogates.base import P, ScaledPredictor, Surrogate
from optuna_metasampler.surrogates.constraints import Feasibility
from optuna_metasampler.surrogates.gaussian_process import representative_rows
from optuna_metasampler.task import Task


# Representative points of a larger front, by the number of objectives: K points make about K boxes
# for 2 objectives, 5 K for 3, 15 K for 4, and every candidate is evaluated in each box.
_MAX_FRONT = {2: 100, 3: 60}
_MAX_FRONT_OF_MORE = 30
# The score has local maxima between neighbours on the front.
_CONFIG = AcquisitionConfig(search=MaximizeConfig(n_starts=8))
_N_INCUMBENTS = 5


class MultiObjectivePolicy(AcquisitionPolicy[P]):
    """Maximises the log expected hypervolume improvement under one surrogate an objective.

    The initial design is that of one objective, with configurations of the prior studies' Pareto
    sets as incumbents. The warm start continues while the trials support the prior studies in at
    least one objective. Contradictions between prior studies are not measured here.

    Args:
        surrogates: One an objective, each conditioned on that outcome alone.
        design: The initial design, with configurations of the prior studies' Pareto sets.
        config: Scoring and search.
        feasibility: Learns where trials are feasible; by default from the running study alone.
    """

    def __init__(
        self,
        surrogates: Sequence[Surrogate[P]],
        design: InitialDesign | None = None,
        config: AcquisitionConfig = _CONFIG,
        feasibility: Feasibility | None = None,
    ) -> None:
        super().__init__(surrogates[0], design, config, feasibility)
        self.surrogates = tuple(surrogates)

    def condition(self, history: Task) -> tuple[P, ...]:
        """Each surrogate conditioned on its objective; see :meth:`ModelPolicy.condition`."""
        assert history.outcomes is not None
        previous = self._previous or (None,) * len(self.surrogates)
        return tuple(
            surrogate.condition(replace(history, y=y), before)
            for surrogate, y, before in zip(
                self.surrogates, history.outcomes.T, previous, strict=True
            )
        )

    def good_points(self, history: Task, score: Score) -> Tensor:
        """The front, and the most promising incumbents; shape ``(m, d)``."""
        assert history.outcomes is not None
        rows = feasible_rows(history)
        good = history.x[rows[non_dominated(history.outcomes[rows])]]
        incumbents = self.design.prior_incumbents
        if incumbents is None:
            return good
        # There may be far more incumbents than trials.
        with torch.no_grad():
            values = score(incumbents)
        promising = torch.topk(values, min(_N_INCUMBENTS, len(values))).indices
        return torch.cat([good, incumbents[promising]])

    def score(self, history: Task, predictors: tuple[P, ...]) -> Score:
        """The acquisition function, for predictors conditioned on the history.

        As with one objective, the improvement is weighted by the probability of feasibility, and
        before the first feasible trial that probability alone is maximised.
        """
        log_feasible = self.log_feasible(history)

        def mean(x: Tensor) -> Tensor:
            return torch.stack([predictor(x).mean for predictor in predictors]).mean(0)

        if not bool(history.feasible.any()) and log_feasible is not None:
            return lambda x: log_feasible(x) + TIE_BREAK * mean(x)
        if not len(history) and not len(history.pending):
            # No incumbent yet: maximise the mean.
            return mean
        known = front(history, predictors)
        boxes = non_dominated_boxes(known, reference_point(known))
        ties = _ties(history, predictors)

        def score(x: Tensor) -> Tensor:
            value = log_expected_hypervolume_improvement([p(x) for p in predictors], boxes)
            value = value if log_feasible is None else value + log_feasible(x)
            if len(history.pending):
                value = value + pending_penalty(x, history.pending)
            return value if ties is None else value + ties(x)

        return score


def feasible_rows(history: Task) -> Tensor:
    """Rows of the feasible trials, or of all if none is feasible."""
    feasible = history.feasible
    return torch.nonzero(feasible if bool(feasible.any()) else ~feasible).squeeze(1)


def front(history: Task, predictors: Sequence[P]) -> Tensor:
    """The Pareto front in the units of the predictors, shape ``(k, m)``.

    Infeasible trials are excluded. Pending trials count with their predicted outcomes (kriging
    believer: Ginsbourger, Le Riche & Carraro 2010).
    """
    assert history.outcomes is not None
    warped = torch.stack([half_rank_warp(y) for y in history.outcomes.T], dim=1)
    points = warped[history.feasible]
    if len(history.pending):
        with torch.no_grad():
            expected = [predictor(history.pending).mean for predictor in predictors]
        points = torch.cat([points, torch.stack(expected, dim=1)])
    # Without duplicates: the reference point depends on the number of points.
    distinct: Tensor = torch.unique(points[non_dominated(points)], dim=0)
    limit = _MAX_FRONT.get(len(predictors), _MAX_FRONT_OF_MORE)
    return distinct[spread_out(distinct, limit)]


def _ties(history: Task, predictors: Sequence[P]) -> TieProbability | None:
    """Probability of ties in all objectives at once."""
    assert history.outcomes is not None
    scaled = [predictor for predictor in predictors if isinstance(predictor, ScaledPredictor)]
    if len(scaled) < len(predictors):
        return None
    rows = representative_rows(history.y, MAX_TRIALS_FOR_TIES)
    _, number = torch.unique(history.outcomes[rows], dim=0, return_inverse=True)
    scale = torch.stack([predictor.column_scale for predictor in scaled]).mean(dim=0)
    return TieProbability.of(history.x[rows], number, scale)

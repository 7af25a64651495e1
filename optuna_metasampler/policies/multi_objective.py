"""The policy of several objectives: a surrogate of each, and the volume that a point may add."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Generic

import torch
from torch import Tensor

from optuna_metasampler.acquisition import TieProbability, log_expected_hypervolume_improvement
from optuna_metasampler.maximize import MaximizeConfig, Score, best_unseen, maximize, space_filling
from optuna_metasampler.outcomes import half_rank_warp
from optuna_metasampler.pareto import (
    non_dominated,
    non_dominated_boxes,
    reference_point,
    spread_out,
)
from optuna_metasampler.policies.acquisition import TIE_BREAK, crowding, n_asked, seen
from optuna_metasampler.policies.base import Choice, Phase
from optuna_metasampler.policies.transfer import N_WARM_START_TRIALS, PROBE, warm_start_candidates
from optuna_metasampler.surrogates.base import P, Surrogate
from optuna_metasampler.surrogates.feasibility import Feasibility, FeasibilityPredictor
from optuna_metasampler.surrogates.gaussian_process import representative_rows
from optuna_metasampler.surrogates.transfer import TransferPredictor
from optuna_metasampler.task import Task


# Points that stand for a larger front, by the number of objectives: the boxes are some K of them
# with two, 5 K with three, 15 K with four, and each costs a number for every candidate.
_MAX_FRONT = {2: 100, 3: 60}
_MAX_FRONT_OF_MORE = 30
# The pairs of more trials than this say nothing new about plateaus.
_MAX_TRIALS_FOR_PLATEAUS = 100
# The score has a maximum between any two neighbours on the front.
_SEARCH = MaximizeConfig(n_starts=8)
_N_FAVOURITES = 5


class MultiObjectivePolicy(Generic[P]):
    """Maximises the log expected hypervolume improvement under one surrogate an objective.

    With prior studies it opens as :class:`~optuna_metasampler.policies.transfer.TransferPolicy`
    does, with configurations of their Pareto sets; for as long as the trials do not speak against
    what the prior studies say of at least one objective. Whether the prior studies contradict one
    another makes no difference here.

    Args:
        surrogates: One an objective, each conditioned on that outcome alone.
        n_startup_trials: Space-filling points before everything else.
        prior_incumbents: Configurations of the prior studies' Pareto sets, shape ``(k, d)``;
            ``None`` without prior studies.
        unknown: Names of the parameters that no prior study had.
        n_warm_start_trials: How many trials the opening has at most.
        search: Effort of the search for the best score.
        feasibility: Learns where trials are feasible; by default from the running study alone.
    """

    def __init__(
        self,
        surrogates: Sequence[Surrogate[P]],
        n_startup_trials: int = 0,
        prior_incumbents: Tensor | None = None,
        unknown: Sequence[str] = (),
        n_warm_start_trials: int = N_WARM_START_TRIALS,
        search: MaximizeConfig = _SEARCH,
        feasibility: Feasibility | None = None,
    ) -> None:
        self._surrogates = tuple(surrogates)
        self._n_startup_trials = n_startup_trials
        self._favourites = prior_incumbents
        self._unknown = frozenset(unknown)
        self._n_opening_trials = n_warm_start_trials
        self._search = search
        self._feasibility = feasibility or Feasibility()
        self._last: tuple[P, ...] = ()
        self._choice: Choice | None = None
        self._last_feasible: FeasibilityPredictor | None = None

    @property
    def predictors(self) -> tuple[P, ...]:
        """What the surrogates knew at the last proposal; none before they were first asked."""
        return self._last

    @property
    def choice(self) -> Choice | None:
        """See :meth:`ModelPolicy.choice`."""
        return self._choice

    def believe(self, history: Task) -> tuple[P, ...]:
        """See :meth:`ModelPolicy.believe`."""
        assert history.outcomes is not None
        last = self._last or (None,) * len(self._surrogates)
        return tuple(
            surrogate.condition(replace(history, y=y), previous)
            for surrogate, y, previous in zip(
                self._surrogates, history.outcomes.T, last, strict=True
            )
        )

    def propose(self, history: Task, generator: torch.Generator) -> Tensor:
        """The next point; see :meth:`Policy.propose`."""
        n_before = n_asked(history) - self._n_startup_trials
        if n_before < 0:
            return self.explore(history, generator)
        predictors = self.condition(history)
        if self._favourites is not None and n_before < self._n_opening_trials:
            if n_before == PROBE:
                x = self.explore(history, generator)
                self._choice = Choice(Phase.PROBE, predictors)
                return x
            if any(map(_believed, predictors)):
                points = warm_start_candidates(
                    self._favourites, self._unknown, history.space, generator
                )
                with torch.no_grad():
                    values = self.score(history, predictors)(points)
                candidate = best_unseen(points, values, seen(history))
                if candidate is not None:
                    self._choice = Choice(Phase.WARM_START, predictors)
                    return candidate
        return self.exploit(history, predictors, generator)

    def condition(self, history: Task) -> tuple[P, ...]:
        """Condition each surrogate on its objective."""
        self._last = self.believe(history)
        return self._last

    def log_feasible(self, history: Task) -> FeasibilityPredictor | None:
        """Log probability that a point is feasible; ``None`` where nothing ever was infeasible."""
        self._last_feasible = self._feasibility.condition(history, self._last_feasible)
        return self._last_feasible

    def explore(self, history: Task, generator: torch.Generator) -> Tensor:
        """A space-filling point, ``(d,)``, among those that are likely to be feasible."""
        self._choice = Choice(Phase.INITIAL_DESIGN)
        return space_filling(history.space, seen(history), generator, self.log_feasible(history))

    def exploit(
        self, history: Task, predictors: Sequence[P], generator: torch.Generator
    ) -> Tensor:
        """The point of the highest score that is none of those already asked for, ``(d,)``."""
        assert history.outcomes is not None
        score = self.score(history, predictors)
        rows = feasible_rows(history)
        good = history.x[rows[non_dominated(history.outcomes[rows])]]
        if self._favourites is not None:
            # Those that still promise something: there may be far more of them than trials.
            with torch.no_grad():
                values = score(self._favourites)
            promising = torch.topk(values, min(_N_FAVOURITES, len(values))).indices
            good = torch.cat([good, self._favourites[promising]])
        x = maximize(score, history.space, generator, good, seen(history), self._search)
        with torch.no_grad():
            self._choice = Choice(Phase.MODEL, tuple(predictors), float(score(x[None])))
        return x

    def score(self, history: Task, predictors: Sequence[P]) -> Score:
        """What is maximised, for predictors that have been conditioned on the history.

        As with one objective, the improvement counts with the probability of being feasible, and
        before any trial is feasible that probability alone counts.
        """
        log_feasible = self.log_feasible(history)

        def mean(x: Tensor) -> Tensor:
            return torch.stack([predictor(x).mean for predictor in predictors]).mean(0)

        if not bool(history.feasible.any()) and log_feasible is not None:
            return lambda x: log_feasible(x) + TIE_BREAK * mean(x)
        if not len(history) and not len(history.pending):
            # Nothing to improve on yet: the best guess is the highest expectation.
            return mean
        known = front(history, predictors)
        boxes = non_dominated_boxes(known, reference_point(known))
        ties = _plateaus(history, predictors)

        def score(x: Tensor) -> Tensor:
            value = log_expected_hypervolume_improvement([p(x) for p in predictors], boxes)
            value = value if log_feasible is None else value + log_feasible(x)
            if len(history.pending):
                value = value + crowding(x, history.pending)
            return value if ties is None else value + ties(x)

        return score


def feasible_rows(history: Task) -> Tensor:
    """Rows of the feasible trials, or of all where none is feasible."""
    feasible = history.feasible
    return torch.nonzero(feasible if bool(feasible.any()) else ~feasible).squeeze(1)


def front(history: Task, predictors: Sequence[P]) -> Tensor:
    """The Pareto front in the units of the predictors, shape ``(k, m)``.

    Trials that violate a constraint are none of it. Pending trials are believed to turn out as
    predicted (Ginsbourger, Le Riche & Carraro 2010).
    """
    assert history.outcomes is not None
    warped = torch.stack([half_rank_warp(y) for y in history.outcomes.T], dim=1)
    points = warped[history.feasible]
    if len(history.pending):
        with torch.no_grad():
            expected = [predictor(history.pending).mean for predictor in predictors]
        points = torch.cat([points, torch.stack(expected, dim=1)])
    # Each once: the number of points says how far they are apart.
    distinct: Tensor = torch.unique(points[non_dominated(points)], dim=0)
    limit = _MAX_FRONT.get(len(predictors), _MAX_FRONT_OF_MORE)
    return distinct[spread_out(distinct, limit)]


def _plateaus(history: Task, predictors: Sequence[P]) -> TieProbability | None:
    """Where the next outcome is likely to be one that is known already, in all objectives."""
    assert history.outcomes is not None
    rows = representative_rows(history.y, _MAX_TRIALS_FOR_PLATEAUS)
    _, number = torch.unique(history.outcomes[rows], dim=0, return_inverse=True)
    scale = torch.stack([predictor.column_scale for predictor in predictors]).mean(dim=0)
    return TieProbability.of(history.x[rows], number, scale)


def _believed(predictor: object) -> bool:
    """Whether the prior studies have a say in what is known of an objective."""
    return (
        isinstance(predictor, TransferPredictor)
        and predictor.log_odds > 0.0
        and predictor.agreement > 0.0
    )

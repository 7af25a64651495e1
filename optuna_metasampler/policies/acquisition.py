"""The policy of Bayesian optimisation: condition a surrogate, score, maximise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from optuna_metasampler.acquisition import (
    TieProbability,
    log_expected_improvement,
    pending_penalty,
)
from optuna_metasampler.maximize import (
    MaximizeConfig,
    Score,
    best_unseen,
    maximize,
    maximum_projection,
    space_filling,
)
from optuna_metasampler.outcomes import penalized, share_of_ties
from optuna_metasampler.policies.base import Phase, Proposal
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.surrogates.base import P, Predictor, ScaledPredictor, Surrogate
from optuna_metasampler.surrogates.constraints import Feasibility, FeasibilityPredictor
from optuna_metasampler.surrogates.gaussian_process import (
    GaussianProcessPredictor,
    representative_rows,
)
from optuna_metasampler.surrogates.transfer import TransferPredictor
from optuna_metasampler.task import Task, to_tensor


_N_GOOD = 5
# The ties of more trials than this add no information; the best trials are included.
MAX_TRIALS_FOR_TIES = 100
# Before the first feasible trial: nats of feasibility per standard deviation of the outcome.
TIE_BREAK = 0.05
# The trial after the space-filling ones, from 0, that is the exploration probe.
PROBE = 1
# Prior studies with a lower cross-study rank correlation contradict one another.
_CONTRADICTORY = 0.4
# Handicap of the models against a constant, in nats: they fit noise by this much. Chosen so that
# noise keeps most trials from the model, and the runs of experiment `rugged` few.
_FITS_NOISE = 2.5
# Of fewer trials, models tell little that a constant does not.
_MIN_TRIALS_TO_KNOW = 10
# Less is not worth a trial.
_LEAST_SHARE = 0.05


@dataclass(frozen=True)
class AcquisitionConfig:
    """Scoring and search.

    Attributes:
        logarithm: Whether to maximise the logarithm of the expected improvement, whose gradient
            does not vanish.
        ties: Whether points whose outcome is probably known already count for less.
        search: Effort of the search.
    """

    logarithm: bool = True
    ties: bool = True
    search: MaximizeConfig = MaximizeConfig()


class AcquisitionPolicy(Generic[P]):
    """Runs an initial design, then maximises the log expected improvement under a surrogate.

    The warm start ends as soon as the study's own trials contradict the prior studies. If the
    prior studies contradict one another, at least some of them are wrong: the second trial is then
    the middle of the ranges, like the first trial without priors, and the third is the probe.

    Args:
        surrogate: The surrogate to condition on the history.
        design: The initial design, with the prior incumbents.
        config: Scoring and search.
        feasibility: Learns where trials are feasible; from the running study alone by default.
    """

    def __init__(
        self,
        surrogate: Surrogate[P],
        design: InitialDesign | None = None,
        config: AcquisitionConfig | None = None,
        feasibility: Feasibility | None = None,
    ) -> None:
        self.surrogates: tuple[Surrogate[P], ...] = (surrogate,)
        self.design = design or InitialDesign()
        self.config = config or AcquisitionConfig()
        self.feasibility = feasibility or Feasibility()
        # Warm starts of the next fits. They only save time.
        self._previous: tuple[P, ...] = ()
        self._previous_feasible: FeasibilityPredictor | None = None

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        """The next point; see :meth:`Policy.propose`."""
        design = self.design
        n = history.n_asked - design.n_space_filling
        warm_start = 0 <= n < design.n_warm_start_trials
        if n < 0 or (not warm_start and design.n_space_filling and not len(history)):
            return self.explore(history, generator)
        if warm_start and design.ordered is not None:
            order = -torch.arange(len(design.ordered), dtype=torch.float64)
            point = best_unseen(design.ordered, order, history.asked)
            if point is not None:
                return Proposal(point, Phase.WARM_START)
        self._previous = predictors = self.condition(history)
        if warm_start and design.ordered is None:
            proposal = self._warm_start(n, history, predictors, generator)
            if proposal is not None:
                return proposal
        share = self.share_of_filling(history, predictors)
        # Where there is nothing to decide no random number is drawn.
        if share > 0.0 and float(torch.rand((), generator=generator)) < share:
            return self.fill_space(history, predictors, generator)
        return self.exploit(history, predictors, generator)

    def condition(self, history: Task) -> tuple[P, ...]:
        """The surrogate conditioned on a history; see :meth:`ModelPolicy.condition`."""
        (surrogate,) = self.surrogates
        return (surrogate.condition(history, next(iter(self._previous), None)),)

    def log_feasible(self, history: Task) -> FeasibilityPredictor | None:
        """Log probability that a point is feasible; ``None`` if no trial was ever infeasible."""
        self._previous_feasible = self.feasibility.condition(history, self._previous_feasible)
        return self._previous_feasible

    def explore(
        self,
        history: Task,
        generator: torch.Generator,
        phase: Phase = Phase.INITIAL_DESIGN,
        predictors: tuple[Predictor, ...] = (),
    ) -> Proposal:
        """A space-filling point where feasibility is likely."""
        x = space_filling(history.space, history.asked, generator, self.log_feasible(history))
        return Proposal(x, phase, predictors)

    def share_of_filling(self, history: Task, predictors: tuple[P, ...]) -> float:
        """The probability that the next trial fills the space, as outcomes say too little.

        Where all trials tie, a model has nothing to learn from: its acquisition function is
        largest at the corners, again and again. The fewer trials tie for the best outcome, the
        more of them go to the model; all of them if at most half of the trials do. Outcomes may
        also be noise alone: then it is the probability of a constant against the best model.
        Prior studies that the trials support know more than these, unless all tie.
        """
        ties = share_of_ties(history)
        if ties == 1.0:
            return 1.0
        if any(isinstance(p, TransferPredictor) and p.trusts_priors for p in predictors):
            return 0.0
        share = max(2.0 * ties - 1.0, 0.0)
        evidence = [p.evidence for p in predictors if isinstance(p, GaussianProcessPredictor)]
        if evidence and len(history) >= _MIN_TRIALS_TO_KNOW:
            share = max(share, _sigmoid(_FITS_NOISE - max(evidence)))
        return share if share >= _LEAST_SHARE else 0.0

    def fill_space(
        self, history: Task, predictors: tuple[Predictor, ...], generator: torch.Generator
    ) -> Proposal:
        """A point away from all others where feasibility is likely."""
        feasible = self.log_feasible(history) if bool(history.feasible.any()) else None
        x = maximum_projection(history.space, history.asked, generator, feasible)
        return Proposal(x, Phase.SPACE_FILLING, predictors)

    def exploit(
        self, history: Task, predictors: tuple[P, ...], generator: torch.Generator
    ) -> Proposal:
        """The unseen point with the highest score."""
        score = self.score(history, predictors)
        good = self.good_points(history, score)
        x = maximize(score, history.space, generator, good, history.asked, self.config.search)
        with torch.no_grad():
            return Proposal(x, Phase.MODEL, predictors, float(score(x[None])))

    def good_points(self, history: Task, score: Score) -> Tensor:
        """Points to search around, best first, shape ``(m, d)``."""
        # The best feasible trials, or the least infeasible ones.
        best = torch.topk(penalized(history).y, min(_N_GOOD, len(history))).indices
        good = history.x[best]
        incumbents = self.design.prior_incumbents
        return good if incumbents is None else torch.cat([good, incumbents])

    def score(self, history: Task, predictors: tuple[P, ...]) -> Score:
        """The acquisition function, for predictors conditioned on the history.

        If a trial was infeasible, the expected improvement over the best feasible trial is
        weighted by the probability of feasibility; before the first feasible trial, that
        probability alone is maximised (Gardner et al. 2014, "Bayesian optimization with inequality
        constraints", ICML; Gelbart, Snoek & Adams 2014, arXiv:1403.5607).
        """
        (predictor,) = predictors
        log_feasible = self.log_feasible(history)
        incumbent = (
            predictor.incumbent if log_feasible is None else feasible_incumbent(history, predictor)
        )
        if incumbent is None and log_feasible is None:
            # No incumbent yet: maximise the mean.
            return lambda x: predictor(x).mean
        if incumbent is None:
            assert log_feasible is not None
            feasible = log_feasible
            return lambda x: feasible(x) + TIE_BREAK * predictor(x).mean
        ties = None
        if self.config.ties and isinstance(predictor, ScaledPredictor):
            rows = representative_rows(history.y, MAX_TRIALS_FOR_TIES)
            ties = TieProbability.of(history.x[rows], history.y[rows], predictor.column_scale)

        def score(x: Tensor) -> Tensor:
            value = log_expected_improvement(predictor(x), incumbent)
            value = value if ties is None else value + ties(x)
            value = value if log_feasible is None else value + log_feasible(x)
            if len(history.pending):
                value = value + pending_penalty(x, history.pending)
            return value if self.config.logarithm else value.exp()

        return score

    def _warm_start(
        self, n: int, history: Task, predictors: tuple[P, ...], generator: torch.Generator
    ) -> Proposal | None:
        """A probe or a prior incumbent; ``None`` if the warm start is over.

        Args:
            n: Number of trials after the space-filling ones.
            history: The study so far.
            predictors: The models conditioned on it.
            generator: Source of all randomness.
        """
        if self.design.probes:
            contradictory = _contradictory(predictors)
            if contradictory and n == PROBE:
                space = history.space
                middle = to_tensor(space.project(space.neutral[None]))
                new = best_unseen(middle, middle.new_zeros(1), history.asked)
                if new is not None:
                    return Proposal(new, Phase.PROBE, predictors)
            if n == PROBE or (contradictory and n == PROBE + 1):
                return self.explore(history, generator, Phase.PROBE, predictors)
        trusted = [p.trusts_priors for p in predictors if isinstance(p, TransferPredictor)]
        if trusted and not any(trusted):
            return None
        points = self.design.warm_start_candidates(history.space, generator)
        with torch.no_grad():
            values = self.score(history, predictors)(points)
        candidate = best_unseen(points, values, history.asked)
        return None if candidate is None else Proposal(candidate, Phase.WARM_START, predictors)


class ConfidenceBoundPolicy(AcquisitionPolicy[P]):
    """Maximises ``mean + exploration * standard deviation``.

    Unlike the expected improvement, the bound works for a surrogate whose uncertainty is only the
    spread of an ensemble and may be 0: it then is the plain prediction (Cox & John 1997, "SDO: a
    statistical method for global optimization"; Srinivas et al. 2010, arXiv:0912.3995).

    Args:
        surrogate: What to condition on the history.
        exploration: The factor; 0 maximises the prediction.
        design: The initial design, with the prior incumbents.
        config: Effort of the search.
    """

    def __init__(
        self,
        surrogate: Surrogate[P],
        exploration: float,
        design: InitialDesign | None = None,
        config: AcquisitionConfig | None = None,
    ) -> None:
        super().__init__(surrogate, design, config)
        self.exploration = exploration

    def score(self, history: Task, predictors: tuple[P, ...]) -> Score:
        """The bound; see :meth:`AcquisitionPolicy.score`."""
        (predictor,) = predictors

        def bound(x: Tensor) -> Tensor:
            outcome = predictor(x)
            value: Tensor = outcome.mean + self.exploration * outcome.stddev
            return value

        return bound


def _sigmoid(x: float) -> float:
    return float(torch.sigmoid(torch.tensor(x, dtype=torch.float64)))


def feasible_incumbent(history: Task, predictor: Predictor) -> float | None:
    """The highest posterior mean at a feasible trial; ``None`` if no trial is feasible."""
    feasible = history.feasible
    if bool(feasible.all()):
        return predictor.incumbent
    if not bool(feasible.any()):
        return None
    rows = representative_rows(history.y[feasible], MAX_TRIALS_FOR_TIES)
    with torch.no_grad():
        return float(predictor(history.x[feasible][rows]).mean.max())


def _contradictory(predictors: tuple[Predictor, ...]) -> bool:
    """Whether the prior studies contradict one another; ``False`` for several objectives."""
    first = predictors[0]
    return (
        len(predictors) == 1
        and isinstance(first, TransferPredictor)
        and first.surrogate.model.cross_study_correlation < _CONTRADICTORY
    )

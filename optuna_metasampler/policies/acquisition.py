"""The policy of Bayesian optimisation: condition a surrogate, score, maximise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from optuna_metasampler.acquisition import TieProbability, log_expected_improvement
from optuna_metasampler.maximize import MaximizeConfig, Score, maximize, space_filling
from optuna_metasampler.outcomes import penalized
from optuna_metasampler.policies.base import Choice, Phase
from optuna_metasampler.surrogates.base import P, Predictor, Surrogate
from optuna_metasampler.surrogates.feasibility import Feasibility, FeasibilityPredictor
from optuna_metasampler.surrogates.gaussian_process import representative_rows
from optuna_metasampler.task import Task


_N_GOOD = 5
# The pairs of more trials than this say nothing new about plateaus; the best are among them.
_MAX_TRIALS_FOR_PLATEAUS = 100
# Nats of feasibility that a standard deviation of the outcome is worth before the first feasible
# trial.
TIE_BREAK = 0.05
# Beside a trial that is running a point tells next to nothing that this trial will not tell.
_NEAR = 0.01
_CROWDED = 50.0


@dataclass(frozen=True)
class AcquisitionConfig:
    """How points are scored and searched for.

    Attributes:
        logarithm: Whether the logarithm of the expected improvement is climbed, which has a slope
            where the improvement itself is too small for one.
        ties: Whether an outcome that is likely to be known already counts for less.
        search: Effort of the search for the best score.
    """

    logarithm: bool = True
    ties: bool = True
    search: MaximizeConfig = MaximizeConfig()


class AcquisitionPolicy(Generic[P]):
    """Maximises the log expected improvement under a surrogate.

    Args:
        surrogate: What to condition on the history.
        n_startup_trials: Space-filling points before the surrogate is asked; more of them, if
            there are any, while none has come back.
        prior_incumbents: Best configurations of prior studies, shape ``(m, d)``.
        config: How points are scored and searched for.
        feasibility: Learns where trials are feasible; from the running study alone by default.
    """

    def __init__(
        self,
        surrogate: Surrogate[P],
        n_startup_trials: int = 0,
        prior_incumbents: Tensor | None = None,
        config: AcquisitionConfig | None = None,
        feasibility: Feasibility | None = None,
    ) -> None:
        self.surrogate = surrogate
        self.n_startup_trials = n_startup_trials
        self.prior_incumbents = prior_incumbents
        self.config = config or AcquisitionConfig()
        self.feasibility = feasibility or Feasibility()
        self._last: P | None = None
        self._choice: Choice | None = None
        self._last_feasible: FeasibilityPredictor | None = None

    @property
    def predictor(self) -> P | None:
        """What the surrogate knew at the last proposal; ``None`` before it was first asked.

        Kept to start the next fit where the last one ended.
        """
        return self._last

    @property
    def choice(self) -> Choice | None:
        """See :meth:`ModelPolicy.choice`."""
        return self._choice

    def propose(self, history: Task, generator: torch.Generator) -> Tensor:
        """The next point; see :meth:`Policy.propose`."""
        if n_asked(history) < self.n_startup_trials or (
            self.n_startup_trials and not len(history)
        ):
            return self.explore(history, generator)
        return self.exploit(history, self.condition(history), generator)

    def condition(self, history: Task) -> P:
        """Condition the surrogate on a history."""
        self._last = self.surrogate.condition(history, self._last)
        return self._last

    def believe(self, history: Task) -> tuple[P, ...]:
        """See :meth:`ModelPolicy.believe`."""
        return (self.surrogate.condition(history, self._last),)

    def log_feasible(self, history: Task) -> FeasibilityPredictor | None:
        """Log probability that a point is feasible; ``None`` where nothing ever was infeasible."""
        self._last_feasible = self.feasibility.condition(history, self._last_feasible)
        return self._last_feasible

    def explore(self, history: Task, generator: torch.Generator) -> Tensor:
        """A space-filling point, ``(d,)``, among those that are likely to be feasible."""
        self._choice = Choice(Phase.INITIAL_DESIGN)
        return space_filling(history.space, seen(history), generator, self.log_feasible(history))

    def exploit(self, history: Task, predictor: Predictor, generator: torch.Generator) -> Tensor:
        """The point of the highest score that is none of those already asked for, ``(d,)``."""
        # The best feasible trials, or the least infeasible ones.
        best = torch.topk(penalized(history).y, min(_N_GOOD, len(history))).indices
        good = history.x[best]
        if self.prior_incumbents is not None:
            good = torch.cat([good, self.prior_incumbents])
        score = self.score(history, predictor)
        x = maximize(score, history.space, generator, good, seen(history), self.config.search)
        with torch.no_grad():
            self._choice = Choice(Phase.MODEL, (predictor,), float(score(x[None])))
        return x

    def score(self, history: Task, predictor: Predictor) -> Score:
        """What is maximised, for a predictor that has been conditioned on the history.

        Where something has been infeasible, the expected improvement counts with the probability
        of being feasible, and what is to be improved on is the best feasible trial; before there
        is one, that probability alone counts (Gardner et al. 2014, "Bayesian optimization with
        inequality constraints", ICML; Gelbart, Snoek & Adams 2014, arXiv:1403.5607).
        """
        log_feasible = self.log_feasible(history)
        incumbent = (
            predictor.incumbent if log_feasible is None else feasible_incumbent(history, predictor)
        )
        if incumbent is None and log_feasible is None:
            # Nothing to improve on yet: the best guess is the highest expectation.
            return lambda x: predictor(x).mean
        if incumbent is None:
            assert log_feasible is not None
            feasible = log_feasible
            return lambda x: feasible(x) + TIE_BREAK * predictor(x).mean
        ties = None
        if self.config.ties:
            rows = representative_rows(history.y, _MAX_TRIALS_FOR_PLATEAUS)
            ties = TieProbability.of(history.x[rows], history.y[rows], predictor.column_scale)

        def score(x: Tensor) -> Tensor:
            value = log_expected_improvement(predictor(x), incumbent)
            value = value if ties is None else value + ties(x)
            value = value if log_feasible is None else value + log_feasible(x)
            if len(history.pending):
                value = value + crowding(x, history.pending)
            return value if self.config.logarithm else value.exp()

        return score


def crowding(x: Tensor, pending: Tensor) -> Tensor:
    """What points ``(q, d)`` lose if they are next to a pending one: ``(q,)``, in nats.

    That is, if they differ from it by less than 1 % in all columns.
    """
    gap = (x.detach().unsqueeze(1) - pending).abs().amax(dim=2).amin(dim=1)
    return torch.where(gap < _NEAR, -_CROWDED, 0.0).to(x.dtype)


def feasible_incumbent(history: Task, predictor: Predictor) -> float | None:
    """The highest expectation at a feasible trial, ``None`` if no trial is feasible."""
    feasible = history.feasible
    if bool(feasible.all()):
        return predictor.incumbent
    if not bool(feasible.any()):
        return None
    rows = representative_rows(history.y[feasible], _MAX_TRIALS_FOR_PLATEAUS)
    with torch.no_grad():
        return float(predictor(history.x[feasible][rows]).mean.max())


def n_asked(history: Task) -> int:
    """Number of trials that have been asked for before this one and have something to say.

    Those that failed have, if their evaluation did.
    """
    return len(history) + len(history.pending) + history.n_crashed - history.n_later


def seen(history: Task) -> Tensor:
    """All points that have been asked for, shape ``(t, d)``."""
    return torch.cat([history.x, history.pending, history.tried])

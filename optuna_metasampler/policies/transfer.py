"""The policy where prior studies are at hand: open with what was best there, then build on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from optuna_metasampler.maximize import best_unseen
from optuna_metasampler.policies.acquisition import (
    AcquisitionConfig,
    AcquisitionPolicy,
    n_asked,
    seen,
)
from optuna_metasampler.policies.base import Choice, Phase
from optuna_metasampler.policies.completion import completed
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.base import Predictor
from optuna_metasampler.surrogates.feasibility import Feasibility
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess, TransferPredictor
from optuna_metasampler.task import Task, to_tensor


N_WARM_START_TRIALS = 5
# The trial, from 0, that is chosen far away from the one before it.
PROBE = 1
# Prior studies whose mean rank correlation with one another is below this contradict one another.
_CONCORDANT = 0.4
# Ways to fill in what the prior studies did not have.
_N_COMPLETIONS = 8


class TransferPolicy:
    """Opens with the prior studies' best configurations, then maximises the acquisition function.

    What was best in an earlier study is a safer first guess than the maximum of anything learned
    from its trials, and the best of several studies are spread over what may be good (Wistuba,
    Schilling & Schmidt-Thieme 2015, "Sequential model-free hyperparameter tuning", ICDM). Which of
    them comes next is the acquisition function's choice, so each teaches something about the
    others. The second trial is space-filling: whether the prior studies are right shows only
    beside a point that they do not recommend, and a surrogate that has seen good points alone
    knows little of the rest. Where the prior studies contradict one another, some of them at least
    are wrong, and what a study without any begins with comes before that: the middle of the
    ranges. The opening ends as soon as the study's own trials speak against the prior studies.

    Args:
        surrogate: The transfer Gaussian process.
        prior_incumbents: The best configuration of every prior study, shape ``(k, d)``.
        unknown: Names of the parameters that no prior study had; favourites are tried with several
            values of these.
        n_startup_trials: Space-filling points before everything else.
        n_warm_start_trials: How many trials the opening has at most.
        config: How points are scored and searched for.
        feasibility: Learns where trials are feasible; from the running study alone by default.
    """

    def __init__(
        self,
        surrogate: TransferGaussianProcess,
        prior_incumbents: Tensor,
        unknown: Sequence[str] = (),
        n_startup_trials: int = 0,
        n_warm_start_trials: int = N_WARM_START_TRIALS,
        config: AcquisitionConfig | None = None,
        feasibility: Feasibility | None = None,
    ) -> None:
        self._acquisition = AcquisitionPolicy(
            surrogate, n_startup_trials, prior_incumbents, config, feasibility
        )
        self._favourites = prior_incumbents
        self._unknown = frozenset(unknown)
        self._n_opening_trials = n_warm_start_trials
        self._choice: Choice | None = None

    @property
    def predictor(self) -> Predictor | None:
        """What the surrogate knew at the last proposal; ``None`` before it was first asked."""
        return self._acquisition.predictor

    @property
    def choice(self) -> Choice | None:
        """See :meth:`ModelPolicy.choice`."""
        return self._choice

    def believe(self, history: Task) -> tuple[Predictor, ...]:
        """See :meth:`ModelPolicy.believe`."""
        return self._acquisition.believe(history)

    def propose(self, history: Task, generator: torch.Generator) -> Tensor:
        """The next point; see :meth:`Policy.propose`."""
        n_before = n_asked(history) - self._acquisition.n_startup_trials
        if n_before < 0:
            x = self._acquisition.propose(history, generator)
            self._choice = self._acquisition.choice
            return x
        predictor = self._acquisition.condition(history)
        if n_before < self._n_opening_trials:
            contrast = self._contrast(n_before, history, predictor, generator)
            if contrast is not None:
                self._choice = Choice(Phase.PROBE, (predictor,))
                return contrast
            if predictor.log_odds > 0.0 and predictor.agreement > 0.0:
                points = warm_start_candidates(
                    self._favourites, self._unknown, history.space, generator
                )
                with torch.no_grad():
                    values = self._acquisition.score(history, predictor)(points)
                candidate = best_unseen(points, values, seen(history))
                if candidate is not None:
                    self._choice = Choice(Phase.WARM_START, (predictor,))
                    return candidate
        x = self._acquisition.exploit(history, predictor, generator)
        self._choice = self._acquisition.choice
        return x

    def _contrast(
        self,
        n_before: int,
        history: Task,
        predictor: TransferPredictor,
        generator: torch.Generator,
    ) -> Tensor | None:
        """A point that does not come from the prior studies, ``(d,)``, if it is time for one."""
        doubtful = predictor.surrogate.model.agreement < _CONCORDANT
        if doubtful and n_before == PROBE:
            space = history.space
            middle = to_tensor(space.project(space.neutral[None]))
            new = best_unseen(middle, middle.new_zeros(1), seen(history))
            if new is not None:
                return new
        if n_before == PROBE or (doubtful and n_before == PROBE + 1):
            return self._acquisition.explore(history, generator)
        return None


def warm_start_candidates(
    prior_incumbents: Tensor,
    unknown: Collection[str],
    space: SearchSpace,
    generator: torch.Generator,
) -> Tensor:
    """Favourites as points of ``space``, each with several values of what is unknown: ``(k, d)``.

    Args:
        prior_incumbents: The best configurations of prior studies, shape ``(f, d)``.
        unknown: Names of the parameters that no prior study had.
        space: The space; pinned parameters stay pinned.
        generator: Source of all randomness; nothing is drawn where nothing is unknown.
    """
    points = prior_incumbents
    if not set(space.names).isdisjoint(unknown):
        more = points.repeat(_N_COMPLETIONS - 1, 1)
        # The first time as they are, with the middle of the range.
        points = torch.cat([points, completed(more, unknown, space, generator)])
    return to_tensor(space.project(points.numpy()))

"""Prior knowledge: what prior studies, or a checkpoint of them, predict for one running study.

``PriorConfig`` (arguments) -> :class:`PriorKnowledge` (learned, in the common space of the prior
studies) -> ``AlignedPrior`` (seen from the space of the running study).

Axis letters: ``k`` configurations, ``d`` encoded columns of the running study, ``e`` of the common
space of the prior studies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
import warnings

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
import torch
from torch import Tensor

from optuna_metasampler._optuna import trials_of_all_brackets
from optuna_metasampler._runtime import get_logger, progress
from optuna_metasampler._text import counted, listed
from optuna_metasampler.checkpoint import Checkpoint
from optuna_metasampler.exceptions import MethodError, PriorWarning
from optuna_metasampler.learning_curves import CurveCorrelation
from optuna_metasampler.meta_train.loop import Trainer, shown_by
from optuna_metasampler.methods.base import Method
from optuna_metasampler.methods.base import Prior as AlignedPrior
from optuna_metasampler.outcomes import penalized
from optuna_metasampler.priors.align import (
    NO_CHOICE,
    Alignment,
    Pool,
    fitted,
    nearest_choice,
    pool,
    shared_names,
)
from optuna_metasampler.priors.config import PriorConfig
from optuna_metasampler.priors.study import PriorFilter, PriorStudy, select, used_studies
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.constraints import Feasibility, PriorFeasibility
from optuna_metasampler.surrogates.prior_model import best_configurations, pareto_sets
from optuna_metasampler.task import to_tensor


_logger = get_logger(__name__)
_MAX_NAMES_SHOWN = 8

Weights = tuple[float, ...]
"""Weights of the objectives in one outcome."""

Learn = Callable[[Weights, frozenset[str]], AlignedPrior[Any]]
"""From weights of the objectives and names of parameters to leave out to what was learned, in the
common space of the prior studies."""


class PriorKnowledge:
    """What is known before a running study begins.

    Args:
        method: The method that learned.
        space: Common space of the prior studies.
        learn: What was learned, by weights and parameters left out. Called once for each.
        curve_correlation: How much of early differences is left at the end of learning curves.
    """

    def __init__(
        self,
        method: Method[Any],
        space: SearchSpace,
        learn: Learn,
        curve_correlation: CurveCorrelation | None = None,
    ) -> None:
        self.method = method
        self.space = space
        self.curve_correlation = curve_correlation
        self._learn = learn
        self._learned: dict[tuple[Weights, frozenset[str]], AlignedPrior[Any]] = {}
        self._warned = False

    @classmethod
    def of(
        cls, config: PriorConfig, study: Study, draw_seed: Callable[[], int]
    ) -> PriorKnowledge | None:
        """The prior knowledge for a study; ``None`` if there is none.

        Args:
            config: Prior studies or a checkpoint, and the method.
            study: The running study, whose own trials are no prior ones.
            draw_seed: Draws the seed of what is random in learning.
        """
        if not config.informs:
            return None
        method, checkpoint = config.method, config.checkpoint
        if checkpoint is not None:
            return cls(method, checkpoint.space, _LearnedBefore(checkpoint))
        selected = select(config.studies(), as_prior(study), config.filter, config.rename)
        used = used_studies(selected)
        if selected and not used and config.filter != PriorFilter():
            warnings.warn(
                f"`prior_filter` leaves none of {len(selected)} prior studies. The first, "
                f"{selected[0].study.name!r}, is left out: {selected[0].reason}.",
                PriorWarning,
                stacklevel=2,
            )
        pooled = pool(used, study.directions, config.rename)
        pooled.warn_of_skipped(stacklevel=3)
        return cls.from_pool(pooled, method, draw_seed())

    @classmethod
    def from_pool(cls, pooled: Pool, method: Method[Any], seed: int) -> PriorKnowledge:
        """What a method learns from a pool of prior studies; nothing is learned yet."""
        return cls(method, pooled.space, _Learner(pooled, method, seed), pooled.curve_correlation)

    def missing(self, space: SearchSpace, observed: Iterable[str]) -> frozenset[str] | None:
        """Parameters of the prior studies that the running study lacks; ``None`` if it has none.

        What every trial of the priors has and no trial of the running study has is not part of it:
        the model is trained to do without. What only some trials have may be yet to come.

        Args:
            space: The space of the running study.
            observed: Names of the parameters that its trials have had.

        Raises:
            MethodError: If it shares none, and the method needs all.
        """
        own, seen = space.distributions, set(observed)
        theirs = self.space.parameters
        shared = shared_names(space, self.space)
        if shared:
            return frozenset(
                p.name
                for p in theirs
                if p.name not in shared
                and (p.name in own or (p.activity is None and p.name not in seen))
            )
        if theirs and self.method.same_parameters:
            raise self._other_parameters(space)
        if theirs and not self._warned:
            self._warned = True
            here = listed(sorted(own), _MAX_NAMES_SHOWN)
            there = listed(sorted(p.name for p in theirs), _MAX_NAMES_SHOWN)
            warnings.warn(
                f"The prior studies are of no use here: none of their parameters ({there}) is one "
                f"of this study ({here}). Where only the names differ, pass `rename={{'name "
                "there': 'name here'}`.",
                PriorWarning,
                stacklevel=2,
            )
        return None

    def in_common_space(
        self, weights: Weights, without: frozenset[str] = frozenset()
    ) -> AlignedPrior[Any]:
        """What was learned, seen from the common space of the prior studies.

        Args:
            weights: Weights of the objectives.
            without: Parameters of the prior studies to leave out.

        Raises:
            MethodError: If the method needs more prior studies.
        """
        key = (weights, without)
        if key not in self._learned:
            self._learned[key] = self._learn(weights, without)
        return self._learned[key]

    def aligned(
        self, space: SearchSpace, weights: Weights, without: frozenset[str]
    ) -> AlignedPrior[Any]:
        """What was learned, seen from the space of a running study.

        Raises:
            MethodError: If the method cannot work in this space, or needs more prior studies.
        """
        # Checked before anything is learned, which takes its time. What is left out of the common
        # space is none of the running study's parameters, or is of another kind there.
        shared = shared_names(space, self.space) - without
        unknown = tuple(name for name in space.names if name not in shared)
        if self.method.same_parameters and (unknown or without):
            raise self._other_parameters(space)
        common = self.in_common_space(weights, without)
        to_prior = Alignment.of(space, common.space)
        from_prior = _FromPrior(space, common.space)
        return replace(
            common,
            to_prior=to_prior,
            from_prior=from_prior,
            prior_incumbents=from_prior(common.prior_incumbents),
            unknown=unknown,
            feasibility=replace(common.feasibility, to_prior=to_prior),
        )

    def _other_parameters(self, space: SearchSpace) -> MethodError:
        here = listed(space.names, _MAX_NAMES_SHOWN)
        there = listed(self.space.names, _MAX_NAMES_SHOWN)
        return MethodError(
            f"The method {self.method.name!r} works for the parameters that it was trained on and "
            f"no others, which are {there}; this study has {here}. Use another method, such as "
            "'auto', or prior studies with these parameters."
        )


class _Learner:
    """Learns from a pool of prior studies."""

    def __init__(self, pooled: Pool, method: Method[Any], seed: int) -> None:
        self._pool = pooled
        self._method = method
        self._seed = seed
        self._feasibility: dict[frozenset[str], PriorFeasibility | None] = {}

    def __call__(self, weights: Weights, without: frozenset[str]) -> AlignedPrior[Any]:
        method = self._method
        tasks = self._pool.tasks(weights, without)
        if len(tasks) < method.min_studies:
            raise MethodError(
                f"The method {method.name!r} learns from {method.min_studies} or more prior "
                f"studies that can be used here, but there are {len(tasks)}. Give more of them as "
                "`prior`, or use another method, such as 'auto'."
            )
        feasibility = None
        alone = len(weights) > 1 and max(weights) == 1.0
        incumbents = pareto_sets(tasks) if alone else best_configurations(tasks)
        if method.models_constraints:
            # The same whatever the weights are.
            if without not in self._feasibility:
                self._feasibility[without] = PriorFeasibility.fit(tasks)
            feasibility = self._feasibility[without]
        else:
            tasks = [penalized(task) for task in tasks]
        generator = torch.Generator(device="cpu").manual_seed(self._seed)
        n_studies = counted(len(tasks), "prior study", "prior studies")
        with progress(f"Learning from {n_studies}", "step") as show:
            learned = method.learn(tasks, generator, Trainer(watch=shown_by(show)))
        _logger.info("Learned from %s.", n_studies)
        return AlignedPrior(
            tasks[0].space,
            learned,
            _identity,
            _identity,
            incumbents,
            feasibility=Feasibility(feasibility, _identity),
        )


class _LearnedBefore:
    """Reads from a checkpoint, for which it is too late to leave a parameter out.

    A checkpoint does not hold what was infeasible; its best configurations were feasible.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def __call__(self, weights: Weights, without: frozenset[str]) -> AlignedPrior[Any]:
        if len(weights) > 1:
            raise MethodError(
                f"A checkpoint holds one objective, but this study has {len(weights)}. Give the "
                "prior studies themselves as `prior`."
            )
        known = self._checkpoint
        return AlignedPrior(known.space, known.learned, _identity, _identity, known.best)


class _FromPrior:
    """The map of points ``(k, e)`` of the common space to feasible points ``(k, d)``."""

    def __init__(self, space: SearchSpace, common: SearchSpace) -> None:
        self._space, self._common = space, common

    def __call__(self, x: Tensor) -> Tensor:
        space = self._space
        configurations = [fitted(c, space) for c in self._common.decode(x.numpy())]
        return to_tensor(space.project(space.encode(configurations)))


def _identity(x: Tensor) -> Tensor:
    """The map of the common space to itself."""
    return x


def as_prior(study: Study) -> PriorStudy:
    """A running study with its trials; bracket studies of Hyperband have no user attributes."""
    trials = tuple(trials_of_all_brackets(study))
    return PriorStudy(study.study_name, tuple(study.directions), trials)


NO_VALUE = NO_CHOICE
"""Stands for no value; ``None`` may be a choice."""


def fit_value(distribution: BaseDistribution, value: Any) -> Any:
    """The value of ``distribution`` nearest to ``value``; :data:`NO_VALUE` if none compares.

    Numbers are clipped to the range and rounded to the grid; a choice has to be there, type
    included, unless it is one among numbers.
    """
    if isinstance(distribution, CategoricalDistribution):
        return nearest_choice(distribution, value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return NO_VALUE
    space = SearchSpace.of({"value": distribution})
    return space.decode(space.encode([{"value": value}]))[0]["value"]

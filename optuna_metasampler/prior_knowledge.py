"""Prior knowledge: prior studies, or a checkpoint of them, for one running study.

``PriorConfig`` (arguments) -> :class:`PriorKnowledge` (learned, in the common space of the prior
studies) -> ``AlignedPrior`` (aligned with the space of the running study).

Axis letters: ``k`` configurations, ``d`` encoded columns of the running study, ``e`` of the common
space of the prior studies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from optuna_metasampler.meta_train.loop import Trainer, watch_on
from optuna_metasampler.methods.base import AlignedPrior, Method
from optuna_metasampler.outcomes import penalized
from optuna_metasampler.prior_config import PriorConfig
from optuna_metasampler.priors.align import (
    NO_CHOICE,
    Alignment,
    Pool,
    fitted,
    nearest_choice,
    pool,
    shared_names,
)
from optuna_metasampler.priors.study import PriorFilter, PriorStudy, select, used_studies
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.constraints import Feasibility, PriorFeasibility
from optuna_metasampler.surrogates.prior_model import best_configurations, pareto_sets
from optuna_metasampler.task import Task, to_tensor


_logger = get_logger(__name__)
_MAX_NAMES_SHOWN = 8

Weights = tuple[float, ...]
"""Scalarisation weights: the weight of each objective in one outcome."""

Learn = Callable[[Weights, frozenset[str]], AlignedPrior]
"""From scalarisation weights and names of parameters to leave out to the prior, in the common
space of the prior studies."""


class PriorKnowledge:
    """Prior knowledge for one running study.

    Args:
        method: The method that learned.
        space: Common space of the prior studies.
        learn: Learns, given weights and parameters to leave out. Called once for each combination.
        curve_correlation: Correlation of early with final values in learning curves.
    """

    def __init__(
        self,
        method: Method,
        space: SearchSpace,
        learn: Learn,
        curve_correlation: CurveCorrelation | None = None,
    ) -> None:
        self.method = method
        self.space = space
        self.curve_correlation = curve_correlation
        self._learn = learn
        self._learned: dict[tuple[Weights, frozenset[str]], AlignedPrior] = {}
        self._warned = False

    @classmethod
    def of(
        cls, config: PriorConfig, study: Study, draw_seed: Callable[[], int]
    ) -> PriorKnowledge | None:
        """The prior knowledge for a study; ``None`` if there is none.

        Args:
            config: Prior studies or a checkpoint, and the method.
            study: The running study, whose own trials are left out of the prior studies.
            draw_seed: Draws the seed for learning.
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
                f"`prior_filter` excludes all {len(selected)} prior studies. The first, "
                f"{selected[0].study.name!r}, is excluded: {selected[0].reason}.",
                PriorWarning,
                stacklevel=2,
            )
        pooled = pool(used, study.directions, config.rename, method.models_constraints)
        pooled.warn_of_skipped(stacklevel=3)
        return cls.from_pool(pooled, method, draw_seed())

    @classmethod
    def from_pool(cls, pooled: Pool, method: Method, seed: int) -> PriorKnowledge:
        """The prior knowledge of a method from a pool of prior studies; learning is lazy."""
        return cls(method, pooled.space, _Learner(pooled, method, seed), pooled.curve_correlation)

    def missing(self, space: SearchSpace, observed: Iterable[str]) -> frozenset[str] | None:
        """Parameters to leave out of the common space; ``None`` if no parameter is shared.

        These are unconditional parameters of the prior studies that no trial of the running study
        has, and parameters of another kind here. Conditional ones stay: they may still come.

        Args:
            space: The space of the running study.
            observed: Names of the parameters that its trials have had.

        Raises:
            MethodError: If no parameter is shared, and the method needs all.
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
                f"of this study ({here}). If only the names differ, pass `rename={{'name there': "
                "'name here'}`.",
                PriorWarning,
                stacklevel=2,
            )
        return None

    def in_common_space(
        self, weights: Weights, without: frozenset[str] = frozenset()
    ) -> AlignedPrior:
        """The prior in the common space of the prior studies.

        Args:
            weights: Scalarisation weights.
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
    ) -> AlignedPrior:
        """The prior, aligned with the space of a running study.

        Raises:
            MethodError: If the method does not support this space, or needs more prior studies.
        """
        # Checked before learning, which is slow. The parameters in `without` are not in the
        # running study, or are of another kind there.
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
            f"The method {self.method.name!r} needs exactly the parameters that it was trained on "
            f"({there}), but this study has {here}. Use another method, such as 'auto', or prior "
            "studies with these parameters."
        )


class _Learner:
    """Learns from a pool of prior studies."""

    def __init__(self, pooled: Pool, method: Method, seed: int) -> None:
        self._pool = pooled
        self._method = method
        self._seed = seed
        self._feasibility: dict[frozenset[str], PriorFeasibility | None] = {}

    def __call__(self, weights: Weights, without: frozenset[str]) -> AlignedPrior:
        method = self._method
        tasks = self._pool.tasks(weights, without)
        failures = self._pool.failure_tasks(without)
        if not tasks and failures:
            # Nothing to prefer, but places to avoid.
            common = failures[0].space
            return AlignedPrior(
                common,
                None,
                _identity,
                _identity,
                torch.zeros((0, common.n_columns), dtype=torch.float64),
                feasibility=Feasibility(self._where_feasible([], failures, without), _identity),
                ranked=False,
            )
        if len(tasks) < method.min_studies:
            raise MethodError(
                f"The method {method.name!r} needs at least {method.min_studies} usable prior "
                f"studies, but there are {len(tasks)}. Pass more of them as `prior`, or use "
                "another method, such as 'auto'."
            )
        feasibility = None
        alone = len(weights) > 1 and max(weights) == 1.0
        incumbents = pareto_sets(tasks) if alone else best_configurations(tasks)
        if method.models_constraints:
            feasibility = self._where_feasible(tasks, failures, without)
        else:
            tasks = [penalized(task) for task in tasks]
        generator = torch.Generator(device="cpu").manual_seed(self._seed)
        n_studies = counted(len(tasks), "prior study", "prior studies")
        with progress(f"Learning from {n_studies}", "step") as show:
            learned = method.learn(tasks, generator, Trainer(watch=watch_on(show)))
        _logger.info("Learned from %s.", n_studies)
        return AlignedPrior(
            tasks[0].space,
            learned,
            _identity,
            _identity,
            incumbents,
            feasibility=Feasibility(feasibility, _identity),
        )

    def _where_feasible(
        self, tasks: Sequence[Task], failures: Sequence[Task], without: frozenset[str]
    ) -> PriorFeasibility | None:
        # It does not depend on the weights.
        if without not in self._feasibility:
            self._feasibility[without] = PriorFeasibility.fit(tasks, failures)
        return self._feasibility[without]


class _LearnedBefore:
    """Reads a checkpoint, from which no parameter can be left out.

    A checkpoint has no constraint models; its best configurations are feasible.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def __call__(self, weights: Weights, without: frozenset[str]) -> AlignedPrior:
        if len(weights) > 1:
            raise MethodError(
                f"Checkpoints support one objective, but this study has {len(weights)}. Pass the "
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
    """Identity map of the common space."""
    return x


def as_prior(study: Study) -> PriorStudy:
    """A running study with its trials; bracket studies of Hyperband have no user attributes."""
    trials = tuple(trials_of_all_brackets(study))
    return PriorStudy(study.study_name, tuple(study.directions), trials)


NO_VALUE = NO_CHOICE
"""Marker of a missing value, since ``None`` may be a choice."""


def fit_value(distribution: BaseDistribution, value: Any) -> Any:
    """The value of ``distribution`` nearest to ``value``; :data:`NO_VALUE` if there is none.

    Numbers are clipped to the range and rounded to the grid. A choice has to exist with the same
    type, unless all choices are numbers.
    """
    if isinstance(distribution, CategoricalDistribution):
        return nearest_choice(distribution, value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return NO_VALUE
    space = SearchSpace.of({"value": distribution})
    return space.decode(space.encode([{"value": value}]))[0]["value"]

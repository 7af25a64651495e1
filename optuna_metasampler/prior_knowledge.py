"""Prior knowledge: prior studies, or a checkpoint of them, for one running study.

``PriorConfig`` (arguments) -> :class:`PriorKnowledge` (learned, in the common space of the prior
studies) -> ``AlignedPrior`` (aligned with the space of the running study).

Axis letters: ``k`` configurations, ``d`` encoded columns of the running study, ``e`` of the common
space of the prior studies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
import torch
from torch import Tensor

from optuna_metasampler._optuna import trials_of_all_brackets
from optuna_metasampler._runtime import get_logger, progress
from optuna_metasampler._text import counted, listed
from optuna_metasampler._warnings import warn
from optuna_metasampler.checkpoint import Checkpoint
from optuna_metasampler.exceptions import MethodError
from optuna_metasampler.meta_train.loop import Trainer, announced_learning, watch_on
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
    warn_of_renames,
)
from optuna_metasampler.priors.constants import Constants, is_number, meant
from optuna_metasampler.priors.study import PriorFilter, PriorStudy, select, used_studies
from optuna_metasampler.shipped import Shipped
from optuna_metasampler.space import SearchSpace, as_recorded
from optuna_metasampler.surrogates.constraints import Feasibility, PriorFeasibility
from optuna_metasampler.surrogates.prior_model import best_configurations, pareto_sets
from optuna_metasampler.surrogates.source_processes import SourceProcesses, most_informative
from optuna_metasampler.task import Task, to_tensor


_logger = get_logger(__name__)
_MAX_NAMES_SHOWN = 8

Weights = tuple[float, ...]
"""Scalarisation weights: the weight of each objective in one outcome."""


@dataclass(frozen=True)
class View:
    """What a running study makes of the common space of its prior studies.

    Attributes:
        without: Parameters to leave out.
        ranges: Its distributions of parameters that no prior study tuned.
        fixed: Values of parameters that prior studies tuned, and that it holds constant.
    """

    without: frozenset[str] = frozenset()
    ranges: Mapping[str, BaseDistribution] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> object:
        """Equal for views that are learned from alike."""
        values = (tuple(sorted(map(repr, m.items()))) for m in (self.ranges, self.fixed))
        return self.without, *values


Learn = Callable[[Weights, View], AlignedPrior]
"""From scalarisation weights and a view of the common space of the prior studies to the prior, in
that space."""


class PriorKnowledge:
    """Prior knowledge for one running study.

    Args:
        method: The method that learned.
        space: Common space of the prior studies.
        learn: Learns, given weights and a view of the space. Called once for each combination.
        fixed: Values of parameters that the running study holds constant.
        said: Names of the parameters that the user says prior studies held constant.
        pooled: The prior studies, if they are at hand.
        shipped: The shipped knowledge that this is, in place of prior studies.

    Attributes:
        curve_correlation: Correlation of early with final values in their learning curves, if it
            is known.
        held: Values of parameters of the space, where the running study has none of its own.
    """

    def __init__(
        self,
        method: Method,
        space: SearchSpace,
        learn: Learn,
        fixed: Mapping[str, Any] | None = None,
        said: Collection[str] = (),
        pooled: Pool | None = None,
        shipped: Shipped | None = None,
    ) -> None:
        self.method = method
        self.space = space
        self.curve_correlation = None if pooled is None else pooled.curve_correlation
        self._learn = learn
        self._learned: dict[tuple[Weights, object], AlignedPrior] = {}
        self._recorded = {} if pooled is None else pooled.recorded
        self._learner = shipped.learner if shipped is not None else None
        # Values of parameters that the running study holds constant, unless it tunes them.
        self._defaults = shipped.defaults if shipped is not None else {}
        self._size = shipped.size if shipped is not None else {}
        self._warned = False
        self._constants = {} if pooled is None else pooled.constants
        # Names given in vain, unless this study tunes them: warned of once.
        self._doubtful = set(said) - (space.distributions.keys() - self._constants.keys())
        self._fixed = {
            name: value
            for name, value in (fixed or {}).items()
            if name in space.distributions and name not in self._constants
        }
        self._trusted = set(self._fixed)
        self.held = {n: v[0] for n, v in self._constants.items() if len(v) == 1} | self._fixed

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
        constants = config.constants
        if checkpoint is not None:
            constants.check(checkpoint.space.distributions)
            fixed = _known(constants, checkpoint.space, ())
            return cls(method, checkpoint.space, _LearnedBefore(checkpoint), fixed=fixed)
        selected = select(config.studies(), as_prior(study), config.filter, config.rename)
        used = used_studies(selected)
        if selected and not used and config.filter != PriorFilter():
            warn(
                f"`prior_filter` excludes all {len(selected)} prior studies. The first, "
                f"{selected[0].study.name!r}, is excluded: {selected[0].reason}."
            )
        pooled = pool(used, study.directions, config.rename, method.models_constraints)
        pooled.warn_of_skipped()
        warn_of_renames(config.rename, config.studies())
        constants.check(pooled.tuned, config.rename)
        fixed = _known(constants, pooled.space, pooled.constants)
        said = {name for name, _ in constants.said_of_priors(config.rename)}
        return cls.from_pool(pooled, method, draw_seed(), fixed, said)

    @classmethod
    def from_pool(
        cls,
        pooled: Pool,
        method: Method,
        seed: int,
        fixed: Mapping[str, Any] | None = None,
        said: Collection[str] = (),
    ) -> PriorKnowledge:
        """The prior knowledge of a method from a pool of prior studies; learning is lazy.

        Args:
            pooled: The prior studies.
            method: The method.
            seed: Seed of all randomness.
            fixed: Values of parameters that the running study holds constant.
            said: Names of the parameters that the user says prior studies held constant.
        """
        learn = _Learner(pooled, method, seed)
        return cls(method, pooled.space, learn, fixed, said, pooled)

    def as_recorded(self, params: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
        """A decoded configuration of ``space``, with the values of prior trials as they were."""
        return {
            n: as_recorded(space.distributions[n], value, self._recorded.get(n))
            for n, value in params.items()
        }

    @property
    def view(self) -> View:
        """The whole common space, before the running study has parameters of its own."""
        return View(fixed=self._fixed)

    @classmethod
    def of_learner(
        cls,
        config: PriorConfig,
        study_name: str,
        distributions: Mapping[str, BaseDistribution],
        previous: PriorKnowledge | None = None,
    ) -> PriorKnowledge | None:
        """The shipped knowledge for a study; ``None`` if its learner is not known.

        Args:
            config: Says which learner it is, or that it is to be recognised.
            study_name: The study's name, which may say the learner.
            distributions: The parameters that the study is known to tune.
            previous: What an earlier call returned.
        """
        if previous is not None:
            name = previous._learner
        else:
            name = config.learner_of(distributions, study_name)
        if name is None:
            return None
        shipped = Shipped.of(name, distributions, config.constants.here)
        if config.learner == "auto" and previous is None:
            _logger.info(
                "The study seems to tune %s (%s): it starts from what is shipped about that "
                "learner. Pass `learner=None` to do without.",
                name,
                listed(sorted(shipped.tuned), _MAX_NAMES_SHOWN),
            )
        checkpoint = shipped.checkpoint
        if previous is not None and previous.space.layout == checkpoint.space.layout:
            return previous
        return cls(
            config.method,
            checkpoint.space,
            _LearnedBefore(checkpoint),
            fixed=shipped.fixed,
            shipped=shipped,
        )

    def missing(self, space: SearchSpace, observed: Iterable[str]) -> frozenset[str] | None:
        """Parameters to leave out of the common space; ``None`` if no parameter is shared.

        These are unconditional parameters of the prior studies that no trial of the running study
        has, and parameters of another kind here. Conditional ones stay: they may still come. So do
        those that the running study is known to hold constant.

        Args:
            space: The space of the running study.
            observed: Names of the parameters that its trials have had.

        Raises:
            MethodError: If no parameter is shared, and the method needs all.
        """
        own, seen = space.distributions, set(observed)
        theirs = self.space.parameters
        shared = shared_names(space, self.space)
        self._warn_of_names(own.keys(), seen)
        if shared:
            return frozenset(
                p.name
                for p in theirs
                if p.name not in shared
                and (p.name in own or p.name not in self._fixed.keys() | self._defaults.keys())
                and (p.name in own or (p.activity is None and p.name not in seen))
            )
        if theirs and self.method.same_parameters:
            raise self._other_parameters(space)
        if theirs and not self._warned:
            self._warned = True
            if self._learner is not None:
                warn(
                    f"What is shipped about {self._learner!r} is of no use here: none of this "
                    f"study's parameters ({listed(sorted(own), _MAX_NAMES_SHOWN)}) is known to be "
                    "one of that learner's, with a range in which it was tried. "
                    f"`optuna-metasampler builtin show {self._learner}` lists them."
                )
                return None
            here = listed(sorted(own), _MAX_NAMES_SHOWN)
            there = listed(sorted(p.name for p in theirs), _MAX_NAMES_SHOWN)
            warn(
                f"The prior studies are of no use here: none of their parameters ({there}) is one "
                f"of this study ({here}). If only the names differ, pass `rename={{'name there': "
                "'name here'}`."
            )
        return None

    def in_common_space(self, weights: Weights, view: View | None = None) -> AlignedPrior:
        """The prior in the common space of the prior studies.

        Args:
            weights: Scalarisation weights.
            view: What the running study makes of that space; :attr:`view` by default.

        Raises:
            MethodError: If the method needs more prior studies.
        """
        view = view or self.view
        key = (weights, view.key)
        if key not in self._learned:
            self._learned[key] = self._learn(weights, view)
        return self._learned[key]

    def before_first_trial(self, weights: Weights) -> AlignedPrior:
        """The prior in the common space, for a study whose parameters are not known yet.

        Most parameters of a learner go with one another only loosely, but the best learning rate
        depends on the number of trees: a configuration has to be good at the library's default of
        that as well, as long as the study may not tune it.

        Args:
            weights: Scalarisation weights.
        """
        prior = self.in_common_space(weights)
        if not self._size:
            return prior
        otherwise = _Held.at(prior.space, self._size)
        return replace(prior, learned=replace(prior.learned, otherwise=otherwise))

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
        known = {**self._defaults, **self.held}
        held = {n: v for n, v in known.items() if n not in space.distributions}
        said = {**self._defaults, **self._fixed}
        fixed = {n: v for n, v in said.items() if n in held and n not in without}
        lacking = (without - self._constants.keys()) | fixed.keys()
        if self.method.same_parameters and (unknown or lacking):
            raise self._other_parameters(space)
        ranges = {n: space.distributions[n] for n in shared & self._constants.keys()}
        common = self.in_common_space(weights, View(without, ranges, fixed))
        to_prior = Alignment.of(space, common.space, held)
        from_prior = _FromPrior(space, common.space)
        return replace(
            common,
            to_prior=to_prior,
            from_prior=from_prior,
            prior_incumbents=from_prior(common.prior_incumbents),
            unknown=unknown,
            shipped=self._learner is not None,
            feasibility=replace(common.feasibility, to_prior=to_prior),
        )

    def _warn_of_names(self, own: Collection[str], seen: Collection[str]) -> None:
        """Warn, once each, of what ``fixed`` and ``prior_fixed`` say in vain.

        Args:
            own: The parameters that the running study tunes.
            seen: Those that its trials have had.
        """
        for name in sorted(self._trusted.intersection(own)):
            warn(
                f"`fixed` holds {name!r} at {self._fixed[name]!r}, but this study tunes it. The "
                "values of its trials are used. Leave it out of `fixed`."
            )
        self._trusted.difference_update(own)
        known = sorted({*own, *seen, *self.space.names} - self._doubtful)
        for name in sorted(self._doubtful.difference(own, seen)):
            warn(
                f"`prior_fixed` holds {name!r} constant, but neither a prior study nor this one "
                f"has tuned it so far. {meant(name, known, 'Parameters')}"
            )
            self._doubtful.discard(name)

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
        self._feasibility: dict[object, PriorFeasibility | None] = {}

    def __call__(self, weights: Weights, view: View) -> AlignedPrior:
        method = self._method
        tasks = self._pool.tasks(weights, view.without, view.ranges)
        failures = self._pool.failure_tasks(view.without, view.ranges)
        if not tasks and failures:
            # Nothing to prefer, but places to avoid.
            common = failures[0].space
            return AlignedPrior(
                common,
                None,
                _identity,
                _identity,
                torch.zeros((0, common.n_columns), dtype=torch.float64),
                feasibility=Feasibility(self._where_feasible([], failures, view), _identity),
                ranked=False,
            )
        if len(tasks) < method.min_studies:
            raise MethodError(
                f"The method {method.name!r} needs at least {method.min_studies} usable prior "
                f"studies, but there are {len(tasks)}. Pass more of them as `prior`, or use "
                "another method, such as 'auto'."
            )
        with announced_learning(len(tasks), method.name):
            return self._learned(tasks, failures, weights, view)

    def _learned(
        self, tasks: Sequence[Task], failures: Sequence[Task], weights: Weights, view: View
    ) -> AlignedPrior:
        feasibility = None
        alone = len(weights) > 1 and max(weights) == 1.0
        there = _moved(tasks, view.fixed, alone)
        incumbents = pareto_sets(there) if alone else best_configurations(there)
        if self._method.models_constraints:
            feasibility = self._where_feasible(tasks, failures, view)
        else:
            tasks = [penalized(task) for task in tasks]
        generator = torch.Generator(device="cpu").manual_seed(self._seed)
        n_studies = counted(len(tasks), "prior study", "prior studies")
        with progress(f"Learning from {n_studies}", "step") as show:
            learned = self._method.learn(tasks, generator, Trainer(watch=watch_on(show)))
        space = tasks[0].space
        return AlignedPrior(
            space,
            learned,
            _Held.at(space, view.fixed) if view.fixed else _identity,
            _identity,
            incumbents,
            feasibility=Feasibility(feasibility, _identity),
        )

    def _where_feasible(
        self, tasks: Sequence[Task], failures: Sequence[Task], view: View
    ) -> PriorFeasibility | None:
        # It does not depend on the weights.
        if view.key not in self._feasibility:
            self._feasibility[view.key] = PriorFeasibility.fit(tasks, failures)
        return self._feasibility[view.key]


class _LearnedBefore:
    """Reads a checkpoint, from which no parameter can be left out.

    A checkpoint has no constraint models; its best configurations are feasible.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def __call__(self, weights: Weights, view: View) -> AlignedPrior:
        if len(weights) > 1:
            raise MethodError(
                f"Checkpoints support one objective, but this study has {len(weights)}. Pass the "
                "prior studies themselves as `prior`."
            )
        known = self._checkpoint
        best = known.best
        choices = {n: v for n, v in view.fixed.items() if not is_number(v)}
        # The trials that would say what is best elsewhere are not in the file.
        row, columns = _place(known.space, choices)
        alike = (best[:, columns] == row[columns]).all(dim=1)
        best = best[alike] if bool(alike.any()) else best
        to_prior = _Held.at(known.space, view.fixed) if view.fixed else _identity
        return AlignedPrior(known.space, known.learned, to_prior, _identity, best)


def _known(constants: Constants, space: SearchSpace, held: Collection[str]) -> dict[str, Any]:
    """What the running study holds constant, with the names and choices of the prior studies.

    Warns of names and choices that no prior study has.

    Args:
        constants: What objectives hold constant.
        space: Common space of the prior studies.
        held: The parameters of the space that no prior study tuned.
    """
    known = {}
    for name, value in constants.here.items():
        distribution = space.distributions.get(name)
        if distribution is None:
            warn(
                f"`fixed` holds {name!r} at {value!r}, but no prior study has that parameter. "
                f"{meant(name, space.names, 'Parameters')}"
            )
            continue
        known[name] = value
        if not isinstance(distribution, CategoricalDistribution) or name in held:
            continue
        choice = nearest_choice(distribution, value)
        if choice is NO_CHOICE:
            choices = listed(map(repr, distribution.choices), _MAX_NAMES_SHOWN)
            warn(
                f"`fixed` holds {name!r} at {value!r}, which no prior study has tried. "
                f"Choices: {choices}."
            )
        else:
            known[name] = choice
    return known


def _place(space: SearchSpace, values: Mapping[str, Any]) -> tuple[Tensor, list[int]]:
    """The encoding of values, shape ``(e,)``, and the columns of their parameters."""
    columns: list[int] = []
    for p in space.parameters:
        if p.name in values:
            columns += range(p.start, p.start + p.width)
            columns += [] if p.activity is None else [p.activity]
    return to_tensor(space.encode([values])[0]), columns


def _moved(tasks: Sequence[Task], fixed: Mapping[str, Any], objectives: bool) -> Sequence[Task]:
    """The most informative studies as if they had held parameters at fixed values.

    The trials of a study that had other values move there, with the outcomes that a Gaussian
    process on the study's trials predicts: what was best elsewhere need not be best there.

    Args:
        tasks: The studies.
        fixed: The values.
        objectives: Whether the outcome of every objective is needed, and not the one in ``y``.
    """
    if not fixed:
        return tasks
    row, columns = _place(tasks[0].space, fixed)
    moved = []
    for task in most_informative(tasks):
        x = task.x.clone()
        x[:, columns] = row[columns]
        mask = dict(zip(task.space.names, task.mask.any(dim=0).tolist(), strict=True))
        if torch.equal(x, task.x) or not any(mask[name] for name in fixed):
            moved.append(task)
        elif objectives and task.outcomes is not None:
            each = [_predicted(replace(task, y=y), x) for y in task.outcomes.T]
            moved.append(replace(task, x=x, outcomes=torch.stack(each, dim=1)))
        else:
            moved.append(replace(task, x=x, y=_predicted(task, x)))
    return moved


def _predicted(task: Task, x: Tensor) -> Tensor:
    """Outcomes at other points ``(q, e)``, as quantiles of those of the task."""
    return SourceProcesses.fit([task])(x)[:, 0]


class _FromPrior:
    """The map of points ``(k, e)`` of the common space to feasible points ``(k, d)``."""

    def __init__(self, space: SearchSpace, common: SearchSpace) -> None:
        self._space, self._common = space, common

    def __call__(self, x: Tensor) -> Tensor:
        space = self._space
        configurations = [fitted(c, space) for c in self._common.decode(x.numpy())]
        return to_tensor(space.project(space.encode(configurations)))


@dataclass(frozen=True)
class _Held:
    """The map of points ``(q, e)`` of the common space to those with some values held constant.

    Attributes:
        row: Encoding of the constants, shape ``(e,)``.
        held: Which columns are theirs, shape ``(e,)``, bool.
    """

    row: Tensor
    held: Tensor

    @classmethod
    def at(cls, space: SearchSpace, values: Mapping[str, Any]) -> _Held:
        row, columns = _place(space, values)
        held = torch.zeros(len(row), dtype=torch.bool)
        held[columns] = True
        return cls(row, held)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(self.held, self.row, x)


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
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        # The encoding would round it. NaN, which is not equal to itself, is no place in a range.
        inside = min(max(value, distribution.low), distribution.high)
        return float(inside) if value == value else NO_VALUE  # noqa: PLR0124
    space = SearchSpace.of({"value": distribution})
    return space.decode(space.encode([{"value": value}]))[0]["value"]

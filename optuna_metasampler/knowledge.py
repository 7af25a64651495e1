"""What the prior studies say about one running study."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
import warnings

from optuna_metasampler._text import counted, listed
from optuna_metasampler.exceptions import MethodError, PriorWarning
from optuna_metasampler.logging import get_logger


if TYPE_CHECKING:
    from torch import Tensor

    from optuna_metasampler.checkpoint import Checkpoint
    from optuna_metasampler.learning_curves import CurveCorrelation
    from optuna_metasampler.methods.base import Method, Prior
    from optuna_metasampler.priors.align import Pool
    from optuna_metasampler.space import SearchSpace
    from optuna_metasampler.surrogates.constraints import PriorFeasibility

_logger = get_logger(__name__)
_MAX_NAMES_SHOWN = 8


@dataclass(frozen=True)
class Lessons:
    """What a method learned from prior studies.

    Attributes:
        space: Their common space.
        best: Their best configurations, shape ``(k, e)``: that of each study, or its Pareto set
            where one of several objectives is looked at alone.
        learned: What the method keeps of them.
        feasibility: What they say of where trials are feasible; ``None`` if nothing.
    """

    space: SearchSpace
    best: Tensor
    learned: Any
    feasibility: PriorFeasibility | None = None


class Knowledge(ABC):
    """What is known before the running study began, as its policies need it.

    Args:
        method: The method that learns.
        space: Common space of the prior studies.
        curve_correlation: What is left of early differences at the end of their learning curves.
    """

    def __init__(
        self,
        method: Method[Any],
        space: SearchSpace,
        curve_correlation: CurveCorrelation | None = None,
    ) -> None:
        self.method = method
        self.space = space
        self.curve_correlation = curve_correlation
        self._warned = False

    @abstractmethod
    def lessons(self, weights: tuple[float, ...], without: frozenset[str]) -> Lessons:
        """What was learned, with the objectives weighed, without some parameters of the priors."""

    def lacking(self, space: SearchSpace, shown: Iterable[str]) -> frozenset[str] | None:
        """Parameters that the running study lacks; ``None`` if it shares none.

        What every trial of the priors has and no trial of the running study has is not part of it:
        the model is trained to do without. What only some trials have may be yet to come.

        Args:
            space: The space of the running study.
            shown: Names of the parameters that its trials have had.

        Raises:
            MethodError: If it shares none, and the method needs all.
        """
        from optuna_metasampler.priors.align import shared_names

        own, seen = space.distributions, set(shown)
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

    def seen_from(
        self, space: SearchSpace, weights: tuple[float, ...], without: frozenset[str]
    ) -> Prior[Any]:
        """The knowledge as a policy of ``space`` needs it.

        Raises:
            MethodError: If the method cannot work in this space.
        """
        from optuna_metasampler.methods.base import Prior
        from optuna_metasampler.priors.align import Alignment, shared_names
        from optuna_metasampler.surrogates.constraints import Feasibility

        # Before anything is learned, which takes its time. What is left out of the common space
        # is none of the running study's parameters, or is of another kind there.
        shared = shared_names(space, self.space) - without
        unknown = tuple(name for name in space.names if name not in shared)
        if self.method.same_parameters and (unknown or without):
            raise self._other_parameters(space)
        lessons = self.lessons(weights, without)
        back = _back_to(space, lessons.space)
        to_prior = Alignment.of(space, lessons.space)
        return Prior(
            space=lessons.space,
            learned=lessons.learned,
            to_prior=to_prior,
            from_prior=back,
            prior_incumbents=back(lessons.best),
            unknown=unknown,
            feasibility=Feasibility(lessons.feasibility, to_prior),
        )

    def seen_from_itself(self, weights: tuple[float, ...]) -> Prior[Any]:
        """The knowledge as a policy of the common space needs it."""
        from optuna_metasampler.methods.base import Prior
        from optuna_metasampler.surrogates.constraints import Feasibility

        lessons = self.lessons(weights, frozenset())
        return Prior(
            lessons.space,
            lessons.learned,
            _same,
            _same,
            lessons.best,
            feasibility=Feasibility(lessons.feasibility, _same),
        )

    def _other_parameters(self, space: SearchSpace) -> MethodError:
        here = listed(space.names, _MAX_NAMES_SHOWN)
        there = listed(self.space.names, _MAX_NAMES_SHOWN)
        return MethodError(
            f"The method {self.method.name!r} works for the parameters that it was trained on and "
            f"no others, which are {there}; this study has {here}. Use another method, such as "
            "'auto', or prior studies with these parameters."
        )


class PriorKnowledge(Knowledge):
    """Learns from a pool of prior studies when it is first asked, and remembers.

    Args:
        pool: The prior studies in their common space.
        method: How to learn from them.
        seed: Seed of what is random in learning.
    """

    def __init__(self, pool: Pool, method: Method[Any], seed: int) -> None:
        super().__init__(method, pool.space, pool.curve_correlation)
        self.pool = pool
        self._seed = seed
        self._lessons: dict[tuple[tuple[float, ...], frozenset[str]], Lessons] = {}
        self._feasibility: dict[frozenset[str], PriorFeasibility | None] = {}

    def lessons(self, weights: tuple[float, ...], without: frozenset[str]) -> Lessons:
        """See :meth:`Knowledge.lessons`.

        Raises:
            MethodError: If the method needs more prior studies.
        """
        import torch

        from optuna_metasampler import progress
        from optuna_metasampler.meta_train.loop import Trainer, shown_by
        from optuna_metasampler.outcomes import penalized
        from optuna_metasampler.surrogates.constraints import PriorFeasibility
        from optuna_metasampler.surrogates.prior_model import best_configurations, pareto_sets

        key = (weights, without)
        if key not in self._lessons:
            tasks = self.pool.tasks(weights, without)
            if len(tasks) < self.method.min_studies:
                raise MethodError(
                    f"The method {self.method.name!r} learns from {self.method.min_studies} or "
                    f"more prior studies that can be used here, but there are {len(tasks)}. Give "
                    "more of them as `prior`, or use another method, such as 'auto'."
                )
            feasibility = None
            alone = len(weights) > 1 and max(weights) == 1.0
            best = pareto_sets(tasks) if alone else best_configurations(tasks)
            if self.method.models_constraints:
                # The same however the objectives are weighed.
                if without not in self._feasibility:
                    self._feasibility[without] = PriorFeasibility.fit(tasks)
                feasibility = self._feasibility[without]
            else:
                tasks = [penalized(task) for task in tasks]
            generator = torch.Generator(device="cpu").manual_seed(self._seed)
            told = counted(len(tasks), "prior study", "prior studies")
            with progress.counted(f"Learning from {told}", "step") as show:
                learned = self.method.learn(tasks, generator, Trainer(watch=shown_by(show)))
            self._lessons[key] = Lessons(tasks[0].space, best, learned, feasibility)
            _logger.info("Learned from %s.", told)
        return self._lessons[key]


class CheckpointKnowledge(Knowledge):
    """What was learned before and read from a file.

    Args:
        checkpoint: The file's contents.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint.method, checkpoint.space)
        self._checkpoint = checkpoint

    def lessons(self, weights: tuple[float, ...], without: frozenset[str]) -> Lessons:
        """See :meth:`Knowledge.lessons`; it is too late to leave a parameter out.

        A checkpoint does not say what was infeasible; its best configurations were feasible.

        Raises:
            MethodError: If there are several objectives.
        """
        if len(weights) > 1:
            raise MethodError(
                f"A checkpoint knows one objective, but this study has {len(weights)}. Give the "
                "prior studies themselves as `prior`."
            )
        return Lessons(self.space, self._checkpoint.best, self._checkpoint.learned)


def _back_to(space: SearchSpace, common: SearchSpace) -> Callable[[Tensor], Tensor]:
    """The map of points of the common space to feasible points of a study's own."""
    from optuna_metasampler.priors.align import fitted
    from optuna_metasampler.task import to_tensor

    def back(x: Tensor) -> Tensor:
        configurations = [fitted(c, space) for c in common.decode(x.numpy())]
        return to_tensor(space.project(space.encode(configurations)))

    return back


def _same(x: Any) -> Any:
    """The map of the common space to itself."""
    return x

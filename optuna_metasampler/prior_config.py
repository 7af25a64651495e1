"""Prior configuration: prior studies or a checkpoint, and a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from optuna_metasampler._arguments import check_kind, checked_rename
from optuna_metasampler.builtin.catalogue import LearnerName, learner_of
from optuna_metasampler.builtin.names import recognise
from optuna_metasampler.builtin.origin import origins
from optuna_metasampler.exceptions import CheckpointError, MethodError
from optuna_metasampler.methods import method_of
from optuna_metasampler.priors.constants import Constants
from optuna_metasampler.priors.origin import origin_of
from optuna_metasampler.priors.sources import PriorLike, read, resolve
from optuna_metasampler.priors.study import (
    PriorFilter,
    PriorFilterOptions,
    PriorStudy,
)


if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

    from optuna_metasampler.checkpoint import Checkpoint
    from optuna_metasampler.methods.base import Method
    from optuna_metasampler.priors.overlap import Overlaps


# Methods that need no prior study: their class is imported at the first suggestion only.
_WITHOUT_NEEDS = ("auto", "gp")
# Methods that the shipped knowledge is made for.
_WITH_LEARNERS = ("auto", "hyperband")

LearnerLike: TypeAlias = LearnerName | Literal["auto"] | None
"""A learner; ``"auto"`` recognises it, ``None`` does without."""


class PriorConfig:
    """Prior studies or a checkpoint, and the method that learns from them.

    Prior studies are read once, on first use.

    Args:
        prior: As in ``MetaSampler``, like the other arguments.
        prior_studies: Names or globs of studies.
        prior_filter: Further conditions.
        rename: Names of parameters in prior studies to names here.
        method: Name of the method, or the method itself.
        method_options: Its options.
        checkpoint: Path of a checkpoint.
        constants: What the objectives of the running study and of prior studies hold constant.
        learner: The learner that the running study tunes.

    Attributes:
        filter: Conditions that prior studies must meet.
        rename: Names of parameters in prior studies to names here.
        constants: What objectives hold constant.
        checkpoint: The checkpoint, in place of prior studies; ``None`` without.
        learner: The learner whose shipped knowledge is used in place of prior studies; ``"auto"``
            if it is to be recognised, ``None`` if none is used.
        informs: Whether something is known before the first trial, and the method uses it: prior
            studies, a checkpoint, or a learner.

    Raises:
        TypeError: If an argument has an unsupported type.
        ValueError: If an argument is invalid.
        MethodError: If the method needs prior studies and there are none.
        CheckpointError: If the checkpoint cannot be read, or contradicts another argument.
        PriorError: If a source cannot be read.
    """

    def __init__(
        self,
        prior: PriorLike | Sequence[PriorLike] | None,
        prior_studies: str | Sequence[str] | None,
        prior_filter: PriorFilter | PriorFilterOptions | None,
        rename: Mapping[str, str] | None,
        method: str | Method,
        method_options: Mapping[str, Any] | None,
        checkpoint: str | Path | None,
        constants: Constants,
        learner: LearnerLike,
    ) -> None:
        self.rename = checked_rename(rename)
        if method_options is not None:
            check_kind("method_options", method_options, Mapping, "a mapping of options by name")
        self.filter = PriorFilter.of(prior_filter)
        self.constants = constants
        self._sources = resolve(prior, prior_studies)
        self.checkpoint = _checkpoint(checkpoint, method, method_options, bool(self._sources))
        if self.checkpoint is not None:
            for name, value in (
                ("prior_filter", prior_filter),
                ("prior_fixed", constants.of_priors),
                ("rename", self.rename),
            ):
                if value:
                    raise CheckpointError(
                        f"`{name}` is about prior studies, but `checkpoint` has learned from its "
                        f"own already. Pass `{name}` to `fit`."
                    )
        self._chosen: str | Method = "auto"
        if self.checkpoint is not None:
            self._chosen = self.checkpoint.method
        elif method not in _WITHOUT_NEEDS or method_options:
            self._chosen = _method(method, method_options, bool(self._sources))
        else:
            self._chosen = method
        named = None if learner in ("auto", None) else _shipped(learner)
        has_priors = bool(self._sources or self.checkpoint)
        if named is not None and self.checkpoint is not None:
            raise CheckpointError(
                "`checkpoint` replaces all other knowledge. Pass either `checkpoint` or `learner`."
            )
        if named is not None and self.method_name not in _WITH_LEARNERS:
            raise MethodError(
                f"`learner` works with the methods {' and '.join(map(repr, _WITH_LEARNERS))}, but "
                f"`method` is {self.method_name!r}. Leave one of them out."
            )
        usable = not has_priors and self.method_name in _WITH_LEARNERS
        self.learner: LearnerLike = (named or learner) if usable else None
        said = {
            "prior_studies": prior_studies,
            "prior_filter": prior_filter and vars(self.filter),
            "rename": self.rename,
            "fixed": constants.here,
            "prior_fixed": {**constants.in_all, **constants.in_studies},
            "checkpoint": checkpoint,
            "learner": self.learner,
            "method": method if isinstance(method, str) and method != "auto" else None,
            "method_options": method_options and dict(method_options),
        }
        told = {name: value for name, value in said.items() if value}
        self.origin = origin_of(told if prior is None else {"prior": prior, **told})
        self.informs = (has_priors or self.learner not in ("auto", None)) and (
            self.method_name != "gp"
        )
        self._studies: list[PriorStudy] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """The attributes without what can be read and looked up again."""
        state = {**self.__dict__, "_studies": None}
        state.pop("method", None)
        return state

    @cached_property
    def method(self) -> Method:
        """The method; given by name, it is imported on first use, which takes a second."""
        return method_of(self._chosen)

    @property
    def method_name(self) -> str:
        """Name of the method, without importing it."""
        return self._chosen if isinstance(self._chosen, str) else self._chosen.name

    def studies(self) -> list[PriorStudy]:
        """The prior studies, read once."""
        if self._studies is None:
            self._studies = self.read()
        return self._studies

    def read(self) -> list[PriorStudy]:
        """The prior studies of all sources, read now; unavailable sources are left out.

        They come with what is known of the parameters that they held constant.
        """
        return self.constants.completed(read(self._sources))

    def learner_of(
        self, distributions: Mapping[str, BaseDistribution], study_name: str
    ) -> LearnerName | None:
        """The learner whose shipped knowledge is used for a study, if any is.

        Args:
            distributions: Its search space, name to distribution.
            study_name: Its name, which may say the learner; or empty.
        """
        if self.learner != "auto":
            return self.learner
        found = recognise(distributions, [study_name])
        return found.learner if found is not None and found.learner in origins() else None

    def overlaps(
        self,
        target: Mapping[str, BaseDistribution] | Study | PriorStudy,
        studies: Sequence[PriorStudy],
    ) -> Overlaps:
        """Comparison of prior studies with a search space or a study.

        Args:
            target: The search space or the study.
            studies: The prior studies.
        """
        # Heavy, and rarely used.
        from optuna_metasampler.priors.overlap import inspect, of_space, space_of

        if self.checkpoint is not None:
            learned = self.checkpoint.space.distributions
            return of_space(learned, self.checkpoint.header.studies, target)
        own = {} if self.learner is None else space_of(target)
        name = self.learner_of(own, _name_of(target))
        if name is not None:
            from optuna_metasampler.shipped import Shipped, title

            shipped = Shipped.of(name, own, self.constants.here)
            n_trials = shipped.checkpoint.header.n_trials
            return of_space(shipped.tuned, [(title(name), n_trials)], own)
        return inspect(studies, target, self.filter, self.rename, self.constants.here)


def _name_of(target: Mapping[str, BaseDistribution] | Study | PriorStudy) -> str:
    """The name of a study; empty for a search space."""
    if isinstance(target, Mapping):
        return ""
    return target.name if isinstance(target, PriorStudy) else target.study_name


def _shipped(learner: Any) -> LearnerName:
    """The name of a learner that something is shipped about."""
    name = learner_of(learner).name
    if name not in origins():
        raise ValueError(
            f"Nothing is shipped about `learner={name!r}` yet. Learners: "
            f"{', '.join(map(repr, origins()))}. Leave it out, or pass studies as `prior`."
        )
    return name


def _method(method: str | Method, options: Mapping[str, Any] | None, has_sources: bool) -> Method:
    """The method, if its requirements are met."""
    chosen = method_of(method, options)
    if chosen.min_studies and not has_sources:
        raise MethodError(
            f"The method {chosen.name!r} learns from prior studies and needs at least "
            f"{chosen.min_studies}. Pass them as `prior`, or a file written by "
            "`optuna-metasampler fit` as `checkpoint`."
        )
    return chosen


def _checkpoint(
    path: str | Path | None,
    method: str | Method,
    options: Mapping[str, Any] | None,
    has_sources: bool,
) -> Checkpoint | None:
    """The checkpoint, if there is one and no argument contradicts it."""
    if path is None:
        return None
    check_kind("checkpoint", path, (str, Path), "the path of a file")
    if has_sources:
        raise CheckpointError(
            "`checkpoint` replaces prior studies. Pass either `checkpoint` or `prior`, not both."
        )
    if method != "auto" or options:
        raise CheckpointError(
            "`checkpoint` determines the method. Leave out `method` and `method_options`."
        )
    # Heavy, and rarely used.
    from optuna_metasampler.checkpoint import Checkpoint

    return Checkpoint.read(path)

"""What a sampler was given to learn from, and what there is to know of a study by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
import warnings

from optuna_metasampler._optuna import trials_of_all_brackets
from optuna_metasampler.exceptions import (
    CheckpointError,
    MethodError,
    PriorError,
    PriorWarning,
)
from optuna_metasampler.knowledge import CheckpointKnowledge, Knowledge, PriorKnowledge
from optuna_metasampler.methods import method_of
from optuna_metasampler.priors.filter import PriorFilter
from optuna_metasampler.priors.selection import kept, select
from optuna_metasampler.priors.sources import PriorLike, resolve
from optuna_metasampler.priors.study import PriorStudy


if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

    from optuna_metasampler.checkpoint import Checkpoint
    from optuna_metasampler.methods.base import Method
    from optuna_metasampler.priors.overlap import Overlaps


# Methods that need no prior study, and so no look at their class before the first suggestion.
_WITHOUT_NEEDS = ("auto", "gp")


class Background:
    """Prior studies, or a checkpoint of what was learned from them, and the method that learns.

    Prior studies are read when they are first asked for, and once.

    Args:
        prior: As in ``MetaSampler``, and so are the others.
        prior_studies: Names or globs of studies.
        prior_filter: Further conditions.
        rename: Other names of parameters in the prior studies: ``{"name there": "name here"}``.
        method: Name of the method, or the method itself.
        method_options: Its options.
        checkpoint: A file of what was learned.

    Raises:
        TypeError: As in ``MetaSampler``, and so are the others.
        ValueError: If an argument is out of range.
        MethodError: If the method needs prior studies and there are none.
        CheckpointError: If the checkpoint cannot be read, or contradicts another argument.
        PriorError: If a source cannot be read.
    """

    def __init__(
        self,
        prior: PriorLike | Sequence[PriorLike] | None,
        prior_studies: str | Sequence[str] | None,
        prior_filter: PriorFilter | Mapping[str, Any] | None,
        rename: Mapping[str, str] | None,
        method: str | Method[Any],
        method_options: Mapping[str, Any] | None,
        checkpoint: str | Path | None,
    ) -> None:
        if rename is not None and not isinstance(rename, Mapping):
            raise TypeError(
                "`rename` must map names in the prior studies to names here, such as "
                f"{{'eta': 'lr'}}, but got {rename!r}."
            )
        self.rename = dict(rename or {})
        self._filter = PriorFilter.of(prior_filter)
        self._sources = resolve(prior, prior_studies)
        self._checkpoint = _checkpoint(checkpoint, method, method_options, bool(self._sources))
        self._chosen: str | Method[Any] = "auto"
        if self._checkpoint is not None:
            self._chosen = self._checkpoint.method
        elif method not in _WITHOUT_NEEDS or method_options:
            self._chosen = _method(method, method_options, bool(self._sources))
        else:
            self._chosen = method
        # The methods that are still names learn from neither.
        known = None if isinstance(self._chosen, str) else self._chosen
        self.learns_from_curves = known is not None and known.learns_from_curves
        self.learns_from_features = known is not None and known.learns_from_features
        self._studies: list[PriorStudy] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the prior trials, which can be read again."""
        return {**self.__dict__, "_studies": None}

    @property
    def method(self) -> Method[Any]:
        """The method; a name becomes one where it is needed, for the imports take a second."""
        return method_of(self._chosen)

    @property
    def method_name(self) -> str:
        """Its name, which is known without imports."""
        return self._chosen if isinstance(self._chosen, str) else self._chosen.name

    @property
    def is_of_use(self) -> bool:
        """Whether there is anything that the method learns from."""
        return bool(self._sources or self._checkpoint) and self._chosen != "gp"

    def studies(self) -> list[PriorStudy]:
        """The prior studies as they were read first."""
        if self._studies is None:
            self._studies = self.read()
        return self._studies

    def read(self) -> list[PriorStudy]:
        """What all sources hold now; one that has gone since it was given is left out."""
        studies: list[PriorStudy] = []
        for source in self._sources:
            try:
                studies += source.read()
            except PriorError as error:
                warnings.warn(
                    f"A source of prior studies is left out: {error}", PriorWarning, stacklevel=2
                )
        return studies

    def beside(
        self,
        target: Mapping[str, BaseDistribution] | Study | PriorStudy,
        studies: Sequence[PriorStudy],
    ) -> Overlaps:
        """Prior studies beside a search space or a study: which are of use, and why not."""
        from optuna_metasampler.priors.overlap import inspect

        return inspect(studies, target, self._filter, self.rename)

    def beside_running(self, study: Study) -> Overlaps:
        """The prior studies as they were read first, beside a running study."""
        return self.beside(_as_prior(study), self.studies())

    def knowledge_of(self, study: Study, draw_seed: Callable[[], int]) -> Knowledge | None:
        """What is known of a study before it began; ``None`` if there is nothing to know it by.

        Args:
            study: The running study, whose own trials are no prior ones.
            draw_seed: Draws the seed of what is random in learning.
        """
        if not self.is_of_use:
            return None
        if self._checkpoint is not None:
            return CheckpointKnowledge(self._checkpoint)
        from optuna_metasampler.priors.align import pool

        selected = select(self.studies(), _as_prior(study), self._filter, self.rename)
        used = kept(selected)
        if selected and not used and self._filter != PriorFilter():
            warnings.warn(
                f"`prior_filter` leaves none of {len(selected)} prior studies. The first, "
                f"{selected[0].study.name!r}, is left out: {selected[0].reason}.",
                PriorWarning,
                stacklevel=2,
            )
        pooled = pool(used, study.directions, self.rename)
        pooled.warn_of_skipped(stacklevel=3)
        return PriorKnowledge(pooled, self.method, draw_seed())


def _as_prior(study: Study) -> PriorStudy:
    """A study and its trials; bracket studies of Hyperband have no user attributes."""
    trials = tuple(trials_of_all_brackets(study))
    return PriorStudy(study.study_name, tuple(study.directions), trials)


def _method(
    method: str | Method[Any], options: Mapping[str, Any] | None, has_sources: bool
) -> Method[Any]:
    """The method, if it has what it needs."""
    chosen = method_of(method, options)
    if chosen.min_studies and not has_sources:
        raise MethodError(
            f"The method {chosen.name!r} learns from prior studies, {chosen.min_studies} or more. "
            "Give them as `prior`, or a file that `optuna-metasampler fit` wrote as `checkpoint`."
        )
    return chosen


def _checkpoint(
    path: str | Path | None,
    method: str | Method[Any],
    options: Mapping[str, Any] | None,
    has_sources: bool,
) -> Checkpoint | None:
    """The checkpoint, if there is one and nothing that contradicts it."""
    if path is None:
        return None
    if has_sources:
        raise CheckpointError(
            "`checkpoint` stands for prior studies that were learned from before. Give it or "
            "`prior`, not both."
        )
    if method != "auto" or options:
        raise CheckpointError(
            "`checkpoint` says which method it is for. Leave out `method` and `method_options`."
        )
    from optuna_metasampler.checkpoint import Checkpoint

    return Checkpoint.read(path)

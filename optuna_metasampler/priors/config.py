"""What a sampler was given to learn from: prior studies or a checkpoint, and a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
import warnings

from optuna_metasampler.exceptions import CheckpointError, MethodError, PriorError, PriorWarning
from optuna_metasampler.methods import method_of
from optuna_metasampler.priors.sources import PriorLike, resolve
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


# Methods that need no prior study: their class is looked up at the first suggestion only.
_WITHOUT_NEEDS = ("auto", "gp")


class PriorConfig:
    """Prior studies, or a checkpoint of what was learned from them, and the method that learns.

    Prior studies are read at the first use, and once.

    Args:
        prior: As in ``MetaSampler``, and so are the others.
        prior_studies: Names or globs of studies.
        prior_filter: Further conditions.
        rename: Names of parameters in prior studies to names here.
        method: Name of the method, or the method itself.
        method_options: Its options.
        checkpoint: A file of what was learned.

    Attributes:
        filter: Conditions that prior studies must meet.
        rename: Names of parameters in prior studies to names here.
        checkpoint: What was learned before, in place of prior studies.

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
        prior_filter: PriorFilter | PriorFilterOptions | None,
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
        self.filter = PriorFilter.of(prior_filter)
        self._sources = resolve(prior, prior_studies)
        self.checkpoint = _checkpoint(checkpoint, method, method_options, bool(self._sources))
        self._chosen: str | Method[Any] = "auto"
        if self.checkpoint is not None:
            self._chosen = self.checkpoint.method
        elif method not in _WITHOUT_NEEDS or method_options:
            self._chosen = _method(method, method_options, bool(self._sources))
        else:
            self._chosen = method
        self._studies: list[PriorStudy] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the prior trials, which can be read again."""
        return {**self.__dict__, "_studies": None}

    @property
    def method(self) -> Method[Any]:
        """The method; a name becomes one at the first use, for its imports take a second."""
        return method_of(self._chosen)

    @property
    def method_name(self) -> str:
        """Name of the method, known without imports."""
        return self._chosen if isinstance(self._chosen, str) else self._chosen.name

    @property
    def informs(self) -> bool:
        """Whether there is anything that the method learns from."""
        return bool(self._sources or self.checkpoint) and self._chosen != "gp"

    def studies(self) -> list[PriorStudy]:
        """The prior studies as they were read first."""
        if self._studies is None:
            self._studies = self.read()
        return self._studies

    def read(self) -> list[PriorStudy]:
        """The prior studies of all sources now; a source that has gone is left out."""
        studies: list[PriorStudy] = []
        for source in self._sources:
            try:
                studies += source()
            except PriorError as error:
                warnings.warn(
                    f"A source of prior studies is left out: {error}", PriorWarning, stacklevel=2
                )
        return studies

    def overlaps(
        self,
        target: Mapping[str, BaseDistribution] | Study | PriorStudy,
        studies: Sequence[PriorStudy],
    ) -> Overlaps:
        """Prior studies beside a search space or a study: which are used, and why not the others.

        Args:
            target: What they are compared with.
            studies: The prior studies.
        """
        # Heavy, and rarely needed.
        from optuna_metasampler.priors.overlap import inspect

        return inspect(studies, target, self.filter, self.rename)


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
    # Heavy, and rarely needed.
    from optuna_metasampler.checkpoint import Checkpoint

    return Checkpoint.read(path)

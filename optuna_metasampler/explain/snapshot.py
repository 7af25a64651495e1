"""What the sampler knows of a study at one moment, for whoever explains or draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from optuna import Study
    from torch import Tensor

    from optuna_metasampler.priors.overlap import Overlaps
    from optuna_metasampler.priors.study import PriorStudy
    from optuna_metasampler.space import SearchSpace
    from optuna_metasampler.surrogates.gaussian_process import GaussianProcessPredictor
    from optuna_metasampler.surrogates.transfer import TransferPredictor
    from optuna_metasampler.task import Task


@dataclass(frozen=True)
class Snapshot:
    """What the sampler knows of a study at one moment.

    Attributes:
        method: Name of the sampler's method.
        own_model: Whether ``predictors`` are what the method itself goes by. If not, it has no
            Gaussian process of its own, and they are one without prior studies.
        task: The finished trials with an outcome; ``task.outcomes`` is ``(n, m)``, larger is
            better in every column, whatever the study's direction.
        signs: One an objective: -1 where the study minimises, so that ``sign * outcome`` is the
            value that the user knows.
        predictors: The model, conditioned on all of ``task``, one an objective. They predict the
            half-rank-warped outcome, see :func:`~optuna_metasampler.task.half_rank_unwarp`.
        overlaps: Which prior studies are used, and why the others are not.
        priors: The prior studies themselves, those left out included, in the order of
            ``overlaps``.
        rename: Other names of parameters in the prior studies: ``{"name there": "name here"}``.
    """

    method: str
    own_model: bool
    task: Task
    signs: tuple[float, ...]
    predictors: tuple[GaussianProcessPredictor, ...]
    overlaps: Overlaps
    priors: tuple[PriorStudy, ...]
    rename: dict[str, str]

    @property
    def space(self) -> SearchSpace:
        """The space of the running study."""
        return self.task.space

    @property
    def transfer(self) -> tuple[TransferPredictor, ...]:
        """The predictors that build on prior studies, one an objective; none without."""
        from optuna_metasampler.surrogates.transfer import TransferPredictor

        return tuple(p for p in self.predictors if isinstance(p, TransferPredictor))

    def outcomes(self, objective: int) -> Tensor:
        """What the model of an objective was made from, larger is better, shape ``(n,)``."""
        if len(self.signs) == 1 or self.task.outcomes is None:
            return self.task.y
        return self.task.outcomes[:, objective]

    def has_unit(self, objective: int) -> bool:
        """Whether two different outcomes are known, without which there is no scale."""
        y = self.outcomes(objective)
        finite = y[y.isfinite()]
        return bool((finite != finite[:1]).any())

    @classmethod
    def of(cls, study: Study) -> Snapshot:
        """What the sampler of a study knows of it.

        Raises:
            TypeError: If the study's sampler is no ``MetaSampler``.
            ValueError: If no trial of the study has a parameter yet.
        """
        sampler: Any = study.sampler
        if not hasattr(sampler, "snapshot"):
            raise TypeError(
                f"The sampler of the study {study.study_name!r} is a {type(sampler).__name__}, "
                "which has no model to show. Load the study with the sampler that it was run "
                "with: optuna.load_study(..., sampler=MetaSampler(prior))."
            )
        taken: Snapshot = sampler.snapshot(study)
        return taken

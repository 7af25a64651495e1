"""The state of the sampler's model of a study at one moment, for reports and plots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna import Study
from torch import Tensor

from optuna_metasampler.outcomes import half_rank_unwarp
from optuna_metasampler.priors.overlap import Overlaps
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcessPredictor
from optuna_metasampler.surrogates.transfer import TransferPredictor
from optuna_metasampler.task import Task


ENOUGH_TRIALS = 8
"""Trials with a value below which importances and improvement forecasts are guesses."""


@dataclass(frozen=True)
class Snapshot:
    """The sampler's model of a study at one moment.

    Attributes:
        method: Name of the sampler's method.
        own_model: Whether ``predictors`` are the method's own. If not, the method has no Gaussian
            process, and they are target-only processes.
        task: The finished trials with an outcome; ``task.outcomes`` is ``(n, m)``, larger is
            better in every column, whatever the study's direction.
        signs: One an objective, -1 where the study minimises: ``sign * outcome`` is the value in
            the user's terms.
        predictors: The models, one an objective, conditioned on all of ``task``. They predict the
            half-rank-warped outcome, see :func:`~optuna_metasampler.outcomes.half_rank_unwarp`.
        overlaps: Which prior studies are used, and why the others are not.
        priors: The prior studies, including those that are not used, in the order of ``overlaps``;
            empty with a checkpoint, which does not keep them.
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
        """The predictors that use prior studies, one an objective; empty without."""
        return tuple(p for p in self.predictors if isinstance(p, TransferPredictor))

    def transfer_of(self, objective: int) -> TransferPredictor | None:
        """The predictor of an objective if it uses prior studies, else ``None``."""
        predictor = self.predictors[objective]
        return predictor if isinstance(predictor, TransferPredictor) else None

    def prior_names(self, objective: int) -> tuple[str, ...]:
        """Names of the prior studies that the model of an objective uses."""
        predictor = self.transfer_of(objective)
        return () if predictor is None else predictor.surrogate.model.names

    def outcomes(self, objective: int) -> Tensor:
        """Outcomes that the model of an objective has seen, larger is better, shape ``(n,)``."""
        if len(self.signs) == 1 or self.task.outcomes is None:
            return self.task.y
        return self.task.outcomes[:, objective]

    def has_unit(self, objective: int) -> bool:
        """Whether there are two different outcomes, from which the unit can be inferred."""
        y = self.outcomes(objective)
        finite = y[y.isfinite()]
        return bool((finite != finite[:1]).any())

    def is_telling(self, objective: int) -> bool:
        """Whether there are trials enough for importances and an improvement forecast."""
        return int(self.outcomes(objective).isfinite().sum()) >= ENOUGH_TRIALS

    def values(self, z: Tensor, objective: int) -> tuple[float, ...]:
        """Warped outcomes ``(q,)`` as values of the objective, which must have a unit."""
        values = self.signs[objective] * half_rank_unwarp(z, self.outcomes(objective))
        # Adding zero turns -0.0 into 0.0.
        return tuple(float(v) + 0.0 for v in values)

    @classmethod
    def of(cls, study: Study) -> Snapshot:
        """The state of the model of a study's sampler.

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
        snapshot: Snapshot = sampler.snapshot(study)
        return snapshot

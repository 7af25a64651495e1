"""Prior trials and a running study's own, pooled: what regression of one on both needs.

Axis letters: ``n`` prior records, ``t`` trials of the running study, ``q`` points, ``d`` encoded
columns of the running study's space, ``e`` of the prior studies' common space, ``i`` inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optuna_metasampler.outcomes import half_rank_warp, rank_gaussianize
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import representative_rows
from optuna_metasampler.task import Task, to_tensor


# Every suggestion fits to all of them, and an even share of each study says more than all of one.
MAX_RECORDS = 512
# Share of the variance of a study's outcomes that other studies do not explain: a guess, which
# matters little, for outcomes that differ by less are soon refuted by the trials themselves.
_UNEXPLAINED = 0.5


@dataclass(frozen=True)
class PriorRecords:
    """Trials of all prior studies in one table.

    Attributes:
        x: Points of the common space, shape ``(n, e)``, float64.
        z: Normal quantiles of their outcomes' ranks within their study, shape ``(n,)``, float64.
        study: The number of the study of each, shape ``(n,)``, int64.
    """

    x: Tensor
    z: Tensor
    study: Tensor

    @classmethod
    def of(cls, tasks: Sequence[Task], generator: torch.Generator) -> PriorRecords:
        """At most :data:`MAX_RECORDS` of them in random order, as many of each study.

        Args:
            tasks: Prior studies in one space, at least one.
            generator: Source of all randomness.
        """
        # At least one of each: with more studies than that, records are the price of variety.
        share = max(1, MAX_RECORDS // len(tasks))
        rows = [representative_rows(task.y, share) for task in tasks]
        x = torch.cat([task.x[r] for task, r in zip(tasks, rows, strict=True)])
        z = torch.cat([rank_gaussianize(task.y)[r] for task, r in zip(tasks, rows, strict=True)])
        study = torch.cat([torch.full((len(r),), i) for i, r in enumerate(rows)])
        order = torch.randperm(len(x), generator=generator)
        return cls(x[order], z[order], study[order])

    @classmethod
    def none(cls, n_columns: int) -> PriorRecords:
        """No records at all."""
        nothing = torch.zeros((0, n_columns), dtype=torch.float64)
        return cls(nothing, nothing.sum(dim=1), torch.zeros(0, dtype=torch.int64))


@dataclass(frozen=True)
class Inputs:
    """What a regression sees of a point: its place among the prior studies, and what they lack.

    The columns of the common space come first, so that what was learned there goes on to hold;
    after them those of the parameters that no prior study had, less their neutral values: a prior
    record, where they are missing, has zeros there. Nothing is lost on the way, as it would be if
    prior configurations were made to fit the running study's ranges and choices.

    Attributes:
        to_prior: Maps points ``(q, d)`` to the common space ``(q, e)``, differentiably.
        columns: The columns of what the prior studies lack, shape ``(u,)``, int64.
        neutral: Their neutral values, shape ``(u,)``.
    """

    to_prior: Callable[[Tensor], Tensor]
    columns: Tensor
    neutral: Tensor

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        to_prior: Callable[[Tensor], Tensor] | None = None,
        unknown: Sequence[str] = (),
    ) -> Inputs:
        """The inputs of a running study.

        Args:
            space: Its space.
            to_prior: Maps its points to the common space; ``None`` without prior studies.
            unknown: Names of the parameters that no prior study had.
        """
        columns: list[int] = []
        for p in space.parameters:
            if p.name in unknown:
                columns += range(p.start, p.start + p.width)
                columns += [] if p.activity is None else [p.activity]
        return cls(
            to_prior or (lambda x: x),
            torch.tensor(columns, dtype=torch.int64),
            to_tensor(space.neutral)[columns],
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs at points ``(q, d)``: shape ``(q, i)`` with ``i = e + u``."""
        return torch.cat([self.to_prior(x), x[:, self.columns] - self.neutral], dim=1)

    def of_prior(self, x: Tensor) -> Tensor:
        """Inputs at points ``(n, e)`` of the common space: shape ``(n, i)``."""
        return torch.cat([x, x.new_zeros((len(x), len(self.columns)))], dim=1)


def pooled_outcomes(task: Task, expected: Tensor | None) -> Tensor:
    """Outcomes of the running study's trials, then of its pending ones, on the priors' scale.

    Quantiles within the running study mean something else than within a prior one: ten trials of a
    study that opened with what was best before are all good, and the worst of them is no lower
    tenth. So its outcomes, at first of unit scale, are shifted and stretched to the mean and the
    spread that the prior studies expect at these very points: the mean of what they predict, and
    the variance of what they predict plus what they leave unexplained. Which of its trials are
    better than the others is the running study's own matter; how good all of them are together is
    what the prior studies know. A single trial is worth what was expected of it.

    Pending trials are taken to be as good as the average trial, so that nobody else goes there
    ("constant liar", Ginsbourger, Le Riche & Carraro 2010, "Kriging is well-suited to parallelize
    optimization").

    Args:
        task: The running study.
        expected: What the prior studies predict at its trials, shape ``(t,)``; ``None`` without.

    Returns:
        Shape ``(t + q,)`` with ``q`` pending trials, float64.
    """
    z = half_rank_warp(task.y)
    if expected is not None and len(z):
        spread = (expected.var(unbiased=False) + _UNEXPLAINED).sqrt()
        scale = z.std(unbiased=False)
        gap = z - z.mean()
        # Where all outcomes are equal there is nothing to stretch.
        z = expected.mean() + (gap / scale * spread if float(scale) > 0.0 else gap)
    # Without any trial an average one of the prior studies, which is zero on their scale.
    liar = float(z.mean()) if len(z) else 0.0
    return torch.cat([z, torch.full((len(task.pending),), liar, dtype=torch.float64)])


def pooled_weights(n_prior: int, n_own: int, prior_weight: float) -> tuple[float, float]:
    """Weight of each prior record and of each of the running study's, which sum to 1 over all.

    Args:
        n_prior: Number of prior records.
        n_own: Number of the running study's trials, pending ones included.
        prior_weight: As many of the running study's trials as all prior records together weigh.
            They are many, and about other studies; one by one they would drown it.
    """
    if not n_prior:
        return 0.0, 1.0 / max(n_own, 1)
    total = prior_weight + n_own
    return prior_weight / total / n_prior, 1.0 / total

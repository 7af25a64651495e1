"""Episodes: few-shot problems made from the trials of prior studies.

Axis letters: ``k`` studies, ``n`` trials of the longest study, ``d`` encoded columns, ``g``
episodes of a batch, ``c`` context trials, ``t`` target trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from optuna_metasampler.outcomes import mean_and_spread, rank_gaussianize
from optuna_metasampler.task import Task


@dataclass(frozen=True)
class Episodes:
    """Few-shot problems: predict the targets from the context.

    Outcomes are in units of the context's own mean and spread, because a running study knows its
    scale from its own trials alone.

    Attributes:
        context_x: Points of the context, shape ``(g, c, d)``.
        context_z: Their outcomes, shape ``(g, c)``, mean 0.
        target_x: Points of the targets, shape ``(g, t, d)``.
        target_z: Their outcomes in the context's units, shape ``(g, t)``.
    """

    context_x: Tensor
    context_z: Tensor
    target_x: Tensor
    target_z: Tensor


@dataclass(frozen=True)
class StudyRecords:
    """The trials of all prior studies, side by side.

    Attributes:
        x: Encoded configurations, zero-padded, shape ``(k, n, d)``, float32.
        z: Normal quantiles of the outcomes' ranks, shape ``(k, n)``, float32.
        sizes: Number of trials of each study, shape ``(k,)``, int64.
    """

    x: Tensor
    z: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, tasks: Sequence[Task], device: str = "cpu") -> StudyRecords:
        """Stack tasks of one space, each with at least one trial."""
        longest = max(len(task) for task in tasks)
        x = [pad(task.x.float(), (0, 0, 0, longest - len(task))) for task in tasks]
        z = [pad(rank_gaussianize(task.y).float(), (0, longest - len(task))) for task in tasks]
        sizes = torch.tensor([len(task) for task in tasks])
        return cls(torch.stack(x).to(device), torch.stack(z).to(device), sizes)

    def episodes(
        self, studies: Tensor, n_context: int, n_target: int, generator: torch.Generator
    ) -> Episodes:
        """Draw one episode from each study, its trials in random order.

        Args:
            studies: Indices of the studies, shape ``(g,)``; one may occur several times.
            n_context: Context trials, at least 1.
            n_target: Target trials. They are distinct from the context's, unless the study has too
                few trials; then some trials occur again.
            generator: Source of all randomness, on the CPU.
        """
        sizes = self.sizes[studies]
        draw = torch.rand((len(studies), self.x.shape[1]), generator=generator)
        draw[torch.arange(self.x.shape[1]) >= sizes[:, None]] = 2.0  # padding comes last
        order = draw.argsort(dim=1)
        slot = torch.arange(n_context + n_target) % sizes[:, None]
        rows = torch.gather(order, 1, slot).to(self.x.device)
        study = studies[:, None].to(self.x.device)
        x, z = self.x[study, rows], self.z[study, rows]
        mean, spread = mean_and_spread(z[:, :n_context])
        z = (z - mean) / spread
        return Episodes(x[:, :n_context], z[:, :n_context], x[:, n_context:], z[:, n_context:])

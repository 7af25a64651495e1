"""Pre-training: the mean squared error of an ensemble over the records of all prior studies.

Axis letters: ``k`` studies, ``g`` studies of a step, ``s`` records of each, ``m`` members, ``e``
encoded columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.networks import forward


_N_RECORDS = 32
_N_VALIDATION_RECORDS = 256


class RegressionLearner:
    """Learns ``f(h) -> performance`` across studies; see :class:`Learner`.

    Args:
        records: Of the prior studies.
        weights: First weights of the ensemble, one output a member; on the records' device.
        shares: How much each study weighs with each member, shape ``(m, k)``, of mean 1; likewise.
    """

    def __init__(self, records: StudyRecords, weights: Sequence[Tensor], shares: Tensor) -> None:
        self._records = records
        self._weights = [w.clone().requires_grad_() for w in weights]
        self._shares = shares

    @property
    def n_studies(self) -> int:
        """See :class:`Learner`."""
        return len(self._records.sizes)

    def parameters(self) -> list[Tensor]:
        """See :class:`Learner`."""
        return self._weights

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        """Weighted mean squared error of each member, summed; see :class:`Learner`."""
        x, z = self._drawn(studies, _N_RECORDS, generator)
        error = (forward(self._weights, x).reshape(-1, *z.shape) - z).square().mean(dim=2)
        return (self._shares[:, studies.to(z.device)] * error).mean(dim=1).sum()

    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        """Mean squared error of the members' mean; see :class:`Learner`."""
        x, z = self._drawn(studies, _N_VALIDATION_RECORDS, generator)
        with torch.no_grad():
            mean = forward(self._weights, x).reshape(-1, *z.shape).mean(dim=0)
        return float((mean - z).square().mean())

    def state(self) -> dict[str, Tensor]:
        """See :class:`Learner`."""
        return {f"weights.{i}": w.detach().clone() for i, w in enumerate(self._weights)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`Learner`."""
        with torch.no_grad():
            for i, w in enumerate(self._weights):
                w.copy_(state[f"weights.{i}"])

    def _drawn(self, studies: Tensor, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Records with replacement: points ``(g * s, e)`` and outcomes ``(g, s)``."""
        u = torch.rand((len(studies), n), generator=generator)
        rows = (u * self._records.sizes[studies, None]).long().to(self._records.x.device)
        study = studies[:, None].to(self._records.x.device)
        x = self._records.x[study, rows]
        return x.reshape(-1, x.shape[-1]), self._records.z[study, rows]

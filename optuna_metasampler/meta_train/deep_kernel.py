"""Meta-training of a deep kernel: the marginal likelihood of batches of one study each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.surrogates.deep_kernel import (
    initial_parameters,
    negative_log_likelihood,
    predict,
)
from optuna_metasampler.task import Task


_N_CONTEXT = 10
_N_TARGET = 16
# Episodes of each held-out study: one alone would be a matter of luck.
_N_EPISODES = 8


class DeepKernelLearner:
    """The deep kernel's parameters and the prior studies, for :class:`Trainer`.

    The outcomes of a batch are normal quantiles of ranks in units of the batch's own mean and
    spread, so that the kernel meets every study on the scale on which it is used.

    Args:
        tasks: Prior studies in one common space.
        width: Units of each layer of the network.
        batch_size: Trials of a study that a step sees, at most.
        generator: Source of the initial weights.
        device: Where the tensors are kept.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        width: int,
        batch_size: int,
        generator: torch.Generator,
        device: str = "cpu",
    ) -> None:
        self.records = StudyRecords.of(tasks, device)
        self.batch_size = batch_size
        start = initial_parameters(tasks[0].space.n_columns, width, generator)
        self._parameters = [p.to(device).requires_grad_() for p in start]

    @property
    def n_studies(self) -> int:
        """See :class:`Learner`."""
        return len(self.records.sizes)

    def parameters(self) -> list[Tensor]:
        """See :class:`Learner`; as :mod:`optuna_metasampler.surrogates.deep_kernel` has them."""
        return self._parameters

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        """Negative log marginal likelihood a trial, of one batch of each study.

        All batches have the size of the smallest, for a trial that occurs twice would teach that
        there is no noise.
        """
        n = min(self.batch_size, int(self.records.sizes[studies].min()))
        batch = self.records.episodes(studies, n, 0, generator)
        x, z = batch.context_x.double(), batch.context_z.double()
        return negative_log_likelihood(self._parameters, x, z).mean() / n

    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        """Negative log density a target, given a few trials of its study."""
        n = max(1, min(_N_CONTEXT, int(self.records.sizes[studies].min()) - 1))
        many = self.records.episodes(studies.repeat(_N_EPISODES), n, _N_TARGET, generator)
        with torch.no_grad():
            posterior = predict(
                self._parameters,
                many.context_x.double(),
                many.context_z.double(),
                many.target_x.double(),
                noisy=True,
            )
            density: Tensor = posterior.log_prob(  # type: ignore[no-untyped-call]
                many.target_z.double()
            )
            return -float(density.mean())

    def state(self) -> dict[str, Tensor]:
        """See :class:`Learner`."""
        return {str(i): p.detach().clone() for i, p in enumerate(self._parameters)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`Learner`."""
        with torch.no_grad():
            for i, p in enumerate(self._parameters):
                p.copy_(state[str(i)])

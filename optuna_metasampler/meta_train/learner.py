"""What a learnable thing offers to the loop that trains it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor


class Learner(Protocol):
    """Something with meta-parameters and a loss over prior studies.

    It holds the data of its studies itself and is asked about them by their numbers, so that the
    loop can keep some of them aside for validation. All randomness comes from the generator that
    is passed in, which lives on the CPU.
    """

    @property
    def n_studies(self) -> int:
        """Number of prior studies at hand."""
        ...

    def parameters(self) -> list[Tensor]:
        """The meta-parameters: leaf tensors that require a gradient, always the same ones."""
        ...

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        """A scalar whose gradient with respect to the parameters is the meta-gradient.

        Its value need not mean anything: that of Reptile or of a policy gradient does not.

        Args:
            studies: Numbers of the studies to look at, shape ``(g,)``, int64.
            generator: Source of all randomness.
        """
        ...

    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        """How well what was learned does on studies that it was not trained on; less is better.

        Args:
            studies: Numbers of the studies, shape ``(g,)``, int64.
            generator: Source of all randomness.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """Copies of all that training changes: the parameters, and buffers if there are any."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state, in place."""
        ...

"""Adam, without what comes with PyTorch's.

The first optimiser of ``torch.optim`` imports PyTorch's compiler, ``torch._dynamo``, which takes
longer than most of the training here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


_DECAY, _SQUARE_DECAY = 0.9, 0.999
_EPSILON = 1e-8


class Adam:
    """Algorithm 1 of Kingma and Ba, `Adam <https://arxiv.org/abs/1412.6980>`_ (ICLR 2015).

    Its steps are, to the last bit, those of ``torch.optim.Adam`` with default decay rates.

    Attributes:
        parameters: The tensors that are moved, in place.
        state: Of each, ``step``, the number of steps made, and the running means of its gradient,
            ``exp_avg``, and of the square of it, ``exp_avg_sq``; empty before the first step.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.state: list[dict[str, Tensor]] = [{} for _ in self.parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], learning_rate: float) -> None:
        """Move every parameter that has a gradient by about ``learning_rate`` against it."""
        for parameter, gradient, state in zip(self.parameters, gradients, self.state, strict=True):
            if gradient is None:
                continue
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["step"] += 1
            n_steps = state["step"].item()
            mean = state["exp_avg"].lerp_(gradient, 1 - _DECAY)
            square = state["exp_avg_sq"].mul_(_SQUARE_DECAY)
            square.addcmul_(gradient, gradient, value=1 - _SQUARE_DECAY)
            # The running means begin at zero, and are that much too small.
            scale = (square.sqrt() / (1 - _SQUARE_DECAY**n_steps) ** 0.5).add_(_EPSILON)
            parameter.addcdiv_(mean, scale, value=-learning_rate / (1 - _DECAY**n_steps))

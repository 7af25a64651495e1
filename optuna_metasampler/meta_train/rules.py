"""Update rules of meta-learning: losses whose gradient is the meta-gradient.

All rules see the same networks and the same episodes, and leave the step to the one loop. Each
returns one loss an episode, shape ``(*batch,)``; its gradient with respect to the weights is that
rule's meta-gradient, and its value is the loss after the inner steps where there is one.

Axis letters: as in :mod:`optuna_metasampler.surrogates.few_shot`; ``p`` numbers in all tensors of
weights together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from optuna_metasampler.meta_train.episodes import Episodes
from optuna_metasampler.surrogates.few_shot import adapt, context_loss, outputs


class Rule(Protocol):
    """How meta-learned weights follow from episodes."""

    def __call__(
        self, weights: Sequence[Tensor], rates: Sequence[Tensor], episodes: Episodes
    ) -> Tensor:
        """The loss of every episode, shape ``(*batch,)``.

        Args:
            weights: ``[w (*batch, i, o), b (*batch, 1, o), ...]``, one set an episode, which
                require a gradient.
            rates: Inner step sizes, of shapes that broadcast to those of the weights.
            episodes: Few-shot problems with leading axes ``batch``.
        """
        ...


def target_loss(weights: Sequence[Tensor], episodes: Episodes) -> Tensor:
    """Mean squared error on the targets, shape ``(*batch,)``."""
    error = outputs(weights, episodes.target_x, episodes.context_x) - episodes.target_z
    return error.square().mean(-1)


@dataclass(frozen=True)
class Joint:
    """Plain training on the records of all studies, which is the first half of transfer learning.

    Every study has a level of its own, in closed form; no inner step is made.
    """

    def __call__(
        self, weights: Sequence[Tensor], rates: Sequence[Tensor], episodes: Episodes
    ) -> Tensor:
        """See :class:`Rule`."""
        return context_loss(weights, *_records(episodes))


@dataclass(frozen=True)
class Maml:
    """The loss on the targets after the inner steps on the context: Finn et al. 2017, Eq. 1.

    With learned rates it is Meta-SGD (Li et al. 2017, arXiv:1707.09835, Eq. 3).

    Attributes:
        n_steps: Inner steps.
        first_order: Whether inner gradients are taken for constants, so that the meta-gradient
            for the weights is the gradient at the adapted weights (Finn et al. 2017, Section 5.2).
    """

    n_steps: int
    first_order: bool = False

    def __call__(
        self, weights: Sequence[Tensor], rates: Sequence[Tensor], episodes: Episodes
    ) -> Tensor:
        """See :class:`Rule`."""
        context = episodes.context_x, episodes.context_z
        adapted = adapt(weights, rates, *context, self.n_steps, second_order=not self.first_order)
        return target_loss(adapted, episodes)


@dataclass(frozen=True)
class Reptile:
    """From the weights towards where the inner steps lead: Nichol et al. 2018, Algorithm 1.

    The meta-gradient is ``w - w_adapted``, that of half the squared distance to constant adapted
    weights. There are no targets: the steps see all trials of the episode.

    Attributes:
        n_steps: Inner steps; one step alone would be joint training.
    """

    n_steps: int

    def __call__(
        self, weights: Sequence[Tensor], rates: Sequence[Tensor], episodes: Episodes
    ) -> Tensor:
        """See :class:`Rule`."""
        adapted = adapt(weights, rates, *_records(episodes), self.n_steps)
        squares = [
            (w - a.detach()).square().flatten(-2).sum(-1)
            for w, a in zip(weights, adapted, strict=True)
        ]
        return 0.5 * torch.stack(squares).sum(0)


@dataclass(frozen=True)
class ImplicitMaml:
    """MAML whose inner steps solve a proximal problem, differentiated at its solution.

    At the solution ``v`` of ``L_context(v) + pull / 2 |v - w|^2`` the meta-gradient is ``(I + H /
    pull)^-1 dL_target(v)/dv`` with the Hessian ``H`` of the context's loss there, whatever way led
    to it (Rajeswaran et al. 2019, arXiv:1909.04630, Lemma 1). The linear system is solved by
    conjugate gradients.

    Attributes:
        n_steps: Inner steps.
        pull: Strength of the pull towards the weights.
        n_conjugate: Steps of conjugate gradients.
        first_order: Whether ``H`` is taken for zero.
    """

    n_steps: int
    pull: float
    n_conjugate: int = 5
    first_order: bool = False

    def __call__(
        self, weights: Sequence[Tensor], rates: Sequence[Tensor], episodes: Episodes
    ) -> Tensor:
        """See :class:`Rule`."""
        context = episodes.context_x, episodes.context_z
        solution = adapt(weights, rates, *context, self.n_steps, self.pull)
        solution = [v.detach().requires_grad_() for v in solution]
        loss = target_loss(solution, episodes)
        slope = _flat(torch.autograd.grad(loss.sum(), solution))
        if not self.first_order:
            inner = torch.autograd.grad(
                context_loss(solution, *context).sum(), solution, create_graph=True
            )
            inner_flat = _flat(inner)

            def product(vector: Tensor) -> Tensor:
                curved = torch.autograd.grad(
                    inner_flat, solution, grad_outputs=vector, retain_graph=True
                )
                return vector + _flat(curved) / self.pull

            slope = conjugate_gradients(product, slope, self.n_conjugate)
        # The value is the loss, and the gradient the slope.
        linear = (_flat(weights) * slope.detach()).sum(-1)
        return loss.detach() + linear - linear.detach()


def conjugate_gradients(
    product: Callable[[Tensor], Tensor], right: Tensor, n_steps: int
) -> Tensor:
    """Solve symmetric linear systems, many side by side, starting from the right side itself.

    The matrix of a system need not be positive definite: where a direction of no or negative
    curvature turns up, that system is left at its last solution.

    Args:
        product: The matrices' products with vectors ``(*batch, p)``.
        right: Right sides, shape ``(*batch, p)``.
        n_steps: Steps, at most; ``p`` of them solve a system exactly.

    Returns:
        Solutions, shape ``(*batch, p)``.
    """
    solution = right.clone()
    residual = right - product(solution)
    direction = residual
    square = residual.square().sum(-1, keepdim=True)
    smallest = torch.finfo(right.dtype).eps ** 2 * right.square().sum(-1, keepdim=True)
    for _ in range(n_steps):
        curved = product(direction)
        curvature = (direction * curved).sum(-1, keepdim=True)
        going = (curvature > 0.0) & (square > smallest)
        if not bool(going.any()):
            break
        step = torch.where(going, square / torch.where(going, curvature, 1.0), 0.0)
        solution = solution + step * direction
        residual = residual - step * curved
        new_square = torch.where(going, residual.square().sum(-1, keepdim=True), 0.0)
        ratio = torch.where(going, new_square / torch.where(going, square, 1.0), 0.0)
        # A system that is done has no direction any more.
        direction = torch.where(going, residual + ratio * direction, 0.0)
        square = new_square
    return solution


def _records(episodes: Episodes) -> tuple[Tensor, Tensor]:
    """All trials of an episode as one context: points ``(*batch, c + t, e)``, outcomes."""
    x = torch.cat([episodes.context_x, episodes.target_x], dim=-2)
    z = torch.cat([episodes.context_z, episodes.target_z], dim=-1)
    return x, z - z.mean(-1, keepdim=True)


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    """Weights of shapes ``(*batch, i, o)`` as vectors ``(*batch, p)``."""
    return torch.cat([t.flatten(-2) for t in tensors], dim=-1)

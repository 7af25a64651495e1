"""Update rules of meta-learning: losses whose gradient is the meta-gradient.

All rules see the same networks and the same episodes; the steps are those of the one loop. A rule
returns the loss of each episode, shape ``(*batch,)``. Its gradient with respect to the weights is
the rule's meta-gradient, and its value is the loss after the inner steps if there are any.

Axis letters: as in :mod:`.surrogate`; ``p`` entries of all tensors of weights together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from optuna_metasampler.meta_train.episodes import Episodes
from optuna_metasampler.methods.few_shot.surrogate import adapt, context_loss, outputs


Rule: TypeAlias = Callable[[Sequence[Tensor], Sequence[Tensor], Episodes], Tensor]
"""The loss of every episode, shape ``(*batch,)``, of three arguments.

Weights ``[w (*batch, i, o), b (*batch, 1, o), ...]`` that require a gradient, one set an episode;
inner step sizes, of shapes that broadcast to those of the weights; and the few-shot problems, with
leading axes ``batch``.
"""


def target_loss(weights: Sequence[Tensor], episodes: Episodes) -> Tensor:
    """Mean squared error on the targets, shape ``(*batch,)``."""
    error = outputs(weights, episodes.target_x, episodes.context_x) - episodes.target_z
    return error.square().mean(-1)


def joint(weights: Sequence[Tensor], rates: Sequence[Tensor], episodes: Episodes) -> Tensor:
    """Plain training on the records of all studies, without inner steps.

    Every study has a level of its own, in closed form.
    """
    return context_loss(weights, *_records(episodes))


def maml(
    weights: Sequence[Tensor],
    rates: Sequence[Tensor],
    episodes: Episodes,
    *,
    n_steps: int,
    first_order: bool = False,
) -> Tensor:
    """The loss on the targets after the inner steps on the context: Finn et al. 2017, Eq. 1.

    With learned rates this is Meta-SGD (Li et al. 2017, arXiv:1707.09835, Eq. 3).

    Args:
        weights: See :data:`Rule`.
        rates: Likewise.
        episodes: Likewise.
        n_steps: Inner steps.
        first_order: Whether inner gradients count as constants, so that the meta-gradient for the
            weights is the gradient at the adapted weights (Finn et al. 2017, Section 5.2).
    """
    context = episodes.context_x, episodes.context_z
    adapted = adapt(weights, rates, *context, n_steps, second_order=not first_order)
    return target_loss(adapted, episodes)


def reptile(
    weights: Sequence[Tensor], rates: Sequence[Tensor], episodes: Episodes, *, n_steps: int
) -> Tensor:
    """From the weights towards the adapted weights: Nichol et al. 2018, Algorithm 1.

    The meta-gradient is ``w - w_adapted``, that of half the squared distance to constant adapted
    weights. There are no targets: the steps see all trials of the episode.

    Args:
        weights: See :data:`Rule`.
        rates: Likewise.
        episodes: Likewise.
        n_steps: Inner steps; a single one would be joint training.
    """
    adapted = adapt(weights, rates, *_records(episodes), n_steps)
    squares = [
        (w - a.detach()).square().flatten(-2).sum(-1)
        for w, a in zip(weights, adapted, strict=True)
    ]
    return 0.5 * torch.stack(squares).sum(0)


def implicit_maml(
    weights: Sequence[Tensor],
    rates: Sequence[Tensor],
    episodes: Episodes,
    *,
    n_steps: int,
    pull: float,
    n_conjugate: int = 5,
    first_order: bool = False,
) -> Tensor:
    """MAML whose inner steps solve a proximal problem, differentiated at its solution.

    At the solution ``v`` of ``L_context(v) + pull / 2 |v - w|^2`` the meta-gradient is ``(I + H /
    pull)^-1 dL_target(v)/dv`` with the Hessian ``H`` of the context's loss there, independent of
    the path to it (Rajeswaran et al. 2019, arXiv:1909.04630, Lemma 1). The linear system is solved
    by conjugate gradients.

    Args:
        weights: See :data:`Rule`.
        rates: Likewise.
        episodes: Likewise.
        n_steps: Inner steps.
        pull: Strength of the pull towards the weights.
        n_conjugate: Steps of conjugate gradients.
        first_order: Whether ``H`` is taken as zero.
    """
    context = episodes.context_x, episodes.context_z
    solution = adapt(weights, rates, *context, n_steps, pull)
    solution = [v.detach().requires_grad_() for v in solution]
    loss = target_loss(solution, episodes)
    slope = _flat(torch.autograd.grad(loss.sum(), solution))
    if not first_order:
        inner = torch.autograd.grad(
            context_loss(solution, *context).sum(), solution, create_graph=True
        )
        inner_flat = _flat(inner)

        def product(vector: Tensor) -> Tensor:
            curved = torch.autograd.grad(
                inner_flat, solution, grad_outputs=vector, retain_graph=True
            )
            return vector + _flat(curved) / pull

        slope = conjugate_gradients(product, slope, n_conjugate)
    # The value is the loss, and the gradient the slope.
    linear = (_flat(weights) * slope.detach()).sum(-1)
    return loss.detach() + linear - linear.detach()


def conjugate_gradients(
    product: Callable[[Tensor], Tensor], right: Tensor, n_steps: int
) -> Tensor:
    """Solve symmetric linear systems, many side by side, starting from the right side itself.

    The matrices need not be positive definite: a system stays at its last solution when a
    direction of zero or negative curvature occurs.

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
        # A finished system has no direction.
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

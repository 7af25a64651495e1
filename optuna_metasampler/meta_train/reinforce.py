"""The policy gradient: REINFORCE with a baseline.

Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning", Machine Learning 8.

Axis letters: ``g`` objectives, ``r`` rollouts of each, ``t`` steps.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rewards_to_go(rewards: Tensor) -> Tensor:
    """The sum of the rewards from each step on, shape ``(..., t)``."""
    return rewards.flip(-1).cumsum(-1).flip(-1)


def policy_gradient_loss(log_prob: Tensor, rewards: Tensor) -> Tensor:
    """A scalar whose gradient estimates that of the expected return, with its sign turned.

    Each step's log probability is weighed by the rewards that came from it on, less a baseline:
    what the *other* rollouts on the same objective got from that step on. It does not depend on
    the action that it is compared with, so the estimate is unbiased (Kool, van Hoof & Welling
    2019, "Buy 4 REINFORCE samples, get a baseline for free", ICLR workshop).

    Args:
        log_prob: Of the actions taken, shape ``(g, r, t)``.
        rewards: That followed each, shape ``(g, r, t)``, ``r >= 2``.

    Returns:
        A scalar; its value means nothing.

    Raises:
        ValueError: If there is only one rollout to compare.
    """
    r = rewards.shape[1]
    if r < 2:
        raise ValueError(f"The baseline needs two rollouts or more of an objective, but got {r}.")
    returns = rewards_to_go(rewards.detach())
    baseline = (returns.sum(1, keepdim=True) - returns) / (r - 1)
    loss: Tensor = -((returns - baseline) * log_prob).sum(-1).mean()
    return loss


def improvements(outcomes: Tensor) -> Tensor:
    """Rewards whose sum is the best outcome so far, summed over the steps.

    An improvement counts for every step that is still to come. The first outcome counts from 0,
    the average of the objective.

    Args:
        outcomes: Shape ``(..., t)``, larger is better.
    """
    best = outcomes.cummax(dim=-1).values
    gain = torch.diff(best, dim=-1, prepend=torch.zeros_like(best[..., :1]))
    remaining = torch.arange(outcomes.shape[-1], 0, -1, device=outcomes.device)
    return gain * remaining

"""Deep kernel: an exact Gaussian process on what a small network makes of a configuration.

Few-shot Bayesian optimisation (Wistuba & Grabocka 2021, arXiv:2101.07667; deep kernels after
Wilson et al. 2016, arXiv:1511.02222). With ``phi`` a network that all studies share::

    z(x) = mean + f(x) + e      f ~ GP(0, outputscale * matern52(|phi(x) - phi(x')| / lengthscale))
                                e ~ N(0, noise)

The network and the kernel's own parameters are one list of tensors, ``[w_1, b_1, ..., w_l, b_l,
theta]``, and everything here is a pure function of it. ``theta`` holds the mean and the logarithms
of lengthscale, outputscale and noise, shape ``(4,)``.

Axis letters: ``g`` studies side by side, ``n`` trials, ``q`` query points, ``e`` encoded columns
of the prior studies' common space, ``d`` those of the running study's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math

import torch
from torch import Tensor
from torch.distributions import Normal

from optuna_metasampler import networks
from optuna_metasampler.outcomes import half_rank_warp
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import matern52, representative_rows
from optuna_metasampler.task import Task


# Noise never falls below this: it keeps the covariance well-conditioned, duplicates included.
_MIN_NOISE = 1e-4
_LOG_BOUND = 5.0
# Past this many trials the newest, the best and a spread of the others stand for all.
_MAX_TRIALS = 200


def initial_parameters(n_columns: int, width: int, generator: torch.Generator) -> list[Tensor]:
    """Random network of three hidden layers, and a kernel of about unit scale; float64."""
    sizes = (n_columns, width, width, width, width)
    network = networks.initial(sizes, (), generator, torch.float64, gain=math.sqrt(2.0))
    theta = torch.tensor([0.0, 0.0, 0.0, math.log(0.1)], dtype=torch.float64)
    return [*network, theta]


def negative_log_likelihood(parameters: Sequence[Tensor], x: Tensor, z: Tensor) -> Tensor:
    """Negative log marginal likelihood, Rasmussen & Williams 2006, Eq. 2.30.

    Args:
        parameters: Of the deep kernel.
        x: Points, shape ``(*g, n, e)``.
        z: Outcomes, shape ``(*g, n)``.

    Returns:
        In nats, shape ``(*g,)``; differentiable in all.
    """
    root, whitened, _ = _factorised(parameters, x, z)
    log_determinant = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    fit = whitened.square().sum((-2, -1))
    return 0.5 * fit + log_determinant + 0.5 * x.shape[-2] * math.log(2.0 * math.pi)


def predict(
    parameters: Sequence[Tensor], x: Tensor, z: Tensor, query: Tensor, noisy: bool = False
) -> Normal:
    """The exact posterior, Rasmussen & Williams 2006, Eqs. 2.25 and 2.26.

    Args:
        parameters: Of the deep kernel.
        x: Trials' points, shape ``(*g, n, e)``; there may be none.
        z: Their outcomes, shape ``(*g, n)``.
        query: Points, shape ``(*g, q, e)``.
        noisy: Whether the distribution is that of an outcome, rather than of its expectation.

    Returns:
        Normal of batch shape ``(*g, q)``.
    """
    return _predicted(parameters, _factorised(parameters, x, z), query, noisy)


def _factorised(
    parameters: Sequence[Tensor], x: Tensor, z: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Cholesky root ``(*g, n, n)``, whitened residuals ``(*g, n, 1)``, features ``(*g, n, w)``."""
    mean, _, noise = _scales(parameters)
    features = _features(parameters, x)
    covariance = _kernel(parameters, features, features)
    eye = torch.eye(x.shape[-2], dtype=covariance.dtype, device=covariance.device)
    root = torch.linalg.cholesky(covariance + noise * eye)
    residual = (z - mean).unsqueeze(-1)
    return root, torch.linalg.solve_triangular(root, residual, upper=False), features


def _predicted(
    parameters: Sequence[Tensor],
    factors: tuple[Tensor, Tensor, Tensor],
    query: Tensor,
    noisy: bool = False,
) -> Normal:
    root, whitened, features = factors
    mean, outputscale, noise = _scales(parameters)
    cross = _kernel(parameters, features, _features(parameters, query))
    half = torch.linalg.solve_triangular(root, cross, upper=False)
    variance = (outputscale - half.square().sum(-2)).clamp_min(1e-10)
    return Normal(
        mean + (half * whitened).sum(-2),
        (variance + noise if noisy else variance).sqrt(),
        validate_args=False,
    )


def _scales(parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, outputscale and noise, scalars."""
    mean, _, outputscale, noise = parameters[-1].clamp(-2 * _LOG_BOUND, _LOG_BOUND)
    return mean, outputscale.exp(), noise.exp() + _MIN_NOISE


def _features(parameters: Sequence[Tensor], x: Tensor) -> Tensor:
    """The network's outputs in units of the lengthscale, shape ``(*g, q, w)``."""
    return networks.forward(parameters[:-1], x) * torch.exp(-parameters[-1][1])


def _kernel(parameters: Sequence[Tensor], a: Tensor, b: Tensor) -> Tensor:
    """Covariance of two sets of features, shape ``(*g, n, q)``."""
    return _scales(parameters)[1] * matern52(a, b)


def adapt(
    parameters: Sequence[Tensor], x: Tensor, z: Tensor, n_steps: int, learning_rate: float
) -> list[Tensor]:
    """Fine-tune a copy of the parameters to one study by Adam on its marginal likelihood.

    Args:
        parameters: Where to start; they stay as they are.
        x: The study's points, shape ``(n, e)``.
        z: Their outcomes, shape ``(n,)``.
        n_steps: Steps; none are made where all outcomes are equal, which say nothing of a scale.
        learning_rate: Of Adam.

    Returns:
        The parameters of the lowest loss that was seen.
    """
    lowest, best = math.inf, [p.detach().clone() for p in parameters]
    if n_steps == 0 or not bool((z != z[:1]).any()):
        return best
    moving = [p.clone().requires_grad_() for p in best]
    optimizer = torch.optim.Adam(moving, lr=learning_rate)
    for step in range(n_steps + 1):
        with torch.enable_grad():
            loss = negative_log_likelihood(moving, x, z)
        if not math.isfinite(float(loss.detach())):
            break
        if float(loss.detach()) < lowest:
            lowest, best = float(loss.detach()), [p.detach().clone() for p in moving]
        if step < n_steps:
            gradients = torch.autograd.grad(loss, moving)
            for p, gradient in zip(moving, gradients, strict=True):
                p.grad = gradient
            optimizer.step()
    return best


@dataclass(frozen=True)
class DeepKernelPredictor(Predictor):
    """The deep kernel after it has been fine-tuned to a task and conditioned on it.

    Attributes:
        parameters: Fine-tuned.
        factors: Root, whitened residuals and features of the trials and the pending points.
        to_prior: Maps points ``(q, d)`` to the common space.
        n_columns: Encoded columns of the task's space, ``d``.
        best: Best warped outcome; without any, what pending points are believed to reach.
    """

    parameters: list[Tensor]
    factors: tuple[Tensor, Tensor, Tensor]
    to_prior: Callable[[Tensor], Tensor]
    n_columns: int
    best: float | None

    def __call__(self, x: Tensor) -> Normal:
        """Distribution of the warped outcome at points ``(q, d)``, without noise."""
        return _predicted(self.parameters, self.factors, self.to_prior(x))

    @property
    def incumbent(self) -> float | None:
        """The warped outcome to improve on."""
        return self.best

    @property
    def column_scale(self) -> Tensor:
        """Ones: a network has no lengthscale a column. Shape ``(d,)``."""
        return torch.ones(self.n_columns, dtype=torch.float64)


class DeepKernel(Surrogate[DeepKernelPredictor]):
    """A meta-trained deep kernel, fine-tuned anew to the running study at every suggestion.

    Args:
        parameters: As meta-training left them.
        to_prior: Maps points ``(q, d)`` of the running study's space to the common space of the
            prior studies ``(q, e)``, differentiably.
        n_adaptation_steps: Steps of fine-tuning.
        adaptation_rate: Their learning rate.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        to_prior: Callable[[Tensor], Tensor],
        n_adaptation_steps: int,
        adaptation_rate: float,
    ) -> None:
        self.parameters = tuple(parameters)
        self.to_prior = to_prior
        self.n_adaptation_steps = n_adaptation_steps
        self.adaptation_rate = adaptation_rate

    def condition(self, task: Task, previous: Predictor | None = None) -> DeepKernelPredictor:
        """Condition on a task; see :meth:`Surrogate.condition`. Always from the same start."""
        rows = representative_rows(task.y, _MAX_TRIALS)
        z = half_rank_warp(task.y)[rows]
        with torch.no_grad():
            x = self.to_prior(task.x[rows])
            pending = self.to_prior(task.pending)
            adapted = adapt(self.parameters, x, z, self.n_adaptation_steps, self.adaptation_rate)
            # Pending trials are believed to turn out as expected (Ginsbourger, Le Riche & Carraro
            # 2010): the mean stays as it is, and the variance shrinks.
            believed = torch.cat([z, predict(adapted, x, z, pending).mean])
            factors = _factorised(adapted, torch.cat([x, pending]), believed)
        best = z if len(z) else believed
        return DeepKernelPredictor(
            adapted,
            factors,
            self.to_prior,
            task.space.n_columns,
            float(best.max()) if len(best) else None,
        )

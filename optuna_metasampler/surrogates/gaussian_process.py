"""Exact Gaussian process with a Matern-5/2 kernel and basis functions; the target-only surrogate.

The model of the warped outcomes ``z``::

    z(x) = phi(x) w + (x - 1/2) v + f(x) + e      w_j ~ N(mean_weights_j, variances_j)
    v_c ~ N(0, trend * trend_weight_c),  e ~ N(0, noise + extra * extrapolated)
    f ~ GP(0, outputscale * matern52(r)),   r^2 = sum_c weight_c (x_c - x'_c)^2 /
    lengthscale_b(c)^2

The basis functions ``phi`` are a constant and, with prior studies, their predictions. ``v`` is a
linear trend along every number and a main effect of every choice: the effect of a switch tends to
be the same at other configurations, which a product kernel of many parameters captures only where
all other parameters are similar. ``w`` and ``v`` are integrated out: they add
``phi diag(variances) phi^T`` and the corresponding trend term to the covariance. Extrapolated
outcomes, those of pruned trials, have extra noise: good trials differ less than such outcomes are
off. The hyperparameters are maximum a posteriori estimates, by L-BFGS on the closed-form gradient
of the marginal likelihood.

Axis letters: ``n`` trials, ``q`` query points, ``d`` encoded columns, ``b`` blocks of columns that
share a lengthscale, ``j`` basis functions (features), ``g`` hypotheses (models of the same data,
computed as one batch).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from optuna_metasampler.outcomes import half_rank_warp
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.task import Task, to_tensor


if TYPE_CHECKING:
    from typing_extensions import Self

_SQRT5 = math.sqrt(5.0)
_JITTER = 1e-8
_MIN_FOR_EVIDENCE = 3
# Trends are centred on the middle of the encoded columns.
_CENTRE = 0.5
# With more trials the model uses the newest, the best and a spread of the others, because the
# factorisation is cubic. Fewer suffice for the few hyperparameters.
MAX_TRIALS = 500
_MAX_TRIALS_TO_FIT = 200
_LBFGS_ITERATIONS = 30
# Point estimates of the hyperparameters make the process overconfident. With this factor an 80%
# interval covers a little more than 80% of held-out outcomes, without it far fewer (experiment
# `calibration` of the benchmark).
STDDEV_FACTOR = 1.3
"""Factor on the posterior standard deviation of predictions."""


@dataclass(frozen=True)
class Metric:
    """Distance of encoded points, up to the lengthscales.

    Attributes:
        block: The block of each column, shape ``(d,)``, int64.
        weight: Weight of each column in the squared distance, shape ``(d,)``.
        trend_weight: Variance of each column's trend in units of the hyperparameter, shape
            ``(d,)``; zeros for no trend.
    """

    block: Tensor
    weight: Tensor
    trend_weight: Tensor

    @classmethod
    def of(cls, space: SearchSpace, trend: bool = True) -> Metric:
        """The metric of a space: one lengthscale a parameter, and one an activity column.

        Args:
            space: The space.
            trend: Whether outcomes have a trend.
        """
        trends = to_tensor(space.trend_weight)
        return cls(
            to_tensor(space.block_of_column),
            to_tensor(space.column_weight),
            trends if trend else torch.zeros_like(trends),
        )

    @cached_property
    def n_blocks(self) -> int:
        """Number of lengthscales, ``b``."""
        return int(self.block.max()) + 1 if len(self.block) else 0

    def scale(self, log_lengthscales: Tensor) -> Tensor:
        """The factor of each column, shape ``(..., d)``, for log lengthscales ``(..., b)``."""
        return self.weight.sqrt() * torch.exp(-log_lengthscales[..., self.block])

    def root_trend(self, log_trend: Tensor) -> Tensor:
        """Standard deviation of each column's trend, shape ``(..., d)``, for logs ``(...)``."""
        return (self.trend_weight * log_trend.exp().unsqueeze(-1)).sqrt()


@dataclass(frozen=True)
class BasisPrior:
    """Prior of the weights of the basis functions.

    Attributes:
        mean_weights: Means of the weights, shape ``(j,)``.
        variances: Variances of the weights, shape ``(j,)``.
        scaled: Which variances are multiplied by the fitted factor, shape ``(j,)``, bool.
    """

    mean_weights: Tensor
    variances: Tensor
    scaled: Tensor

    @classmethod
    def constant(cls, n_features: int = 1) -> BasisPrior:
        """A constant of unit variance as the first basis function; the others are off."""
        variances = torch.zeros(n_features, dtype=torch.float64)
        variances[0] = 1.0
        return cls(
            torch.zeros_like(variances), variances, torch.zeros(n_features, dtype=torch.bool)
        )

    def total(self, log_factor: Tensor) -> Tensor:
        """The variances with the fitted factor, shape ``(j,)``."""
        return torch.where(self.scaled, self.variances * log_factor.exp(), self.variances)


@dataclass(frozen=True)
class HyperPrior:
    """Normal priors on the logarithms of the hyperparameters, and their bounds.

    In the order of the vector ``theta``: ``b`` lengthscales, outputscale, noise, factor of the
    scaled basis functions, trend, extra noise of extrapolated outcomes.
    """

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def default(cls, n_blocks: int) -> HyperPrior:
        """Weak priors; lengthscales grow with the dimension.

        After Hvarfner, Hellsten & Nardi 2024, arXiv:2402.02229.
        """
        lengthscale = math.log(0.5) + 0.25 * math.log(max(n_blocks, 1))
        rows = [(lengthscale, 0.8, math.log(0.03), math.log(60.0))] * n_blocks
        rows.append((0.0, 1.0, -5.0, 3.0))  # outputscale
        rows.append((-4.0, 1.5, math.log(1e-5), 0.7))  # noise
        rows.append((-1.5, 1.0, -8.0, 3.0))  # factor of the scaled basis functions
        rows.append((-2.0, 1.0, -8.0, 3.0))  # trend
        rows.append((-2.0, 1.0, -8.0, 1.0))  # extra noise
        mean, std, low, high = torch.tensor(rows, dtype=torch.float64, device="cpu").T.contiguous()
        return cls(mean, std, low, high)

    @property
    def without_extra_noise(self) -> HyperPrior:
        """The same without the last hyperparameter."""
        return HyperPrior(self.mean[:-1], self.std[:-1], self.low[:-1], self.high[:-1])


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distances between ``(..., q, d)`` and ``(..., n, d)``: ``(..., q, n)``."""
    product = a @ b.transpose(-1, -2)
    norms = (a * a).sum(-1, keepdim=True) + (b * b).sum(-1).unsqueeze(-2)
    return torch.add(norms, product, alpha=-2.0).clamp_min(0.0)


class _Matern52(torch.autograd.Function):
    """The kernel with its gradient in closed form, which is faster than autograd."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        """Kernel matrix of ``(..., q, d)`` and ``(..., n, d)`` points."""
        r2 = squared_distance(a, b)
        s = (5.0 * r2).sqrt_()
        decay = torch.exp(-s)
        s += 1.0
        ctx.save_for_backward(a, b, s * decay)
        return r2.mul_(5.0 / 3.0).add_(s).mul_(decay)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:
        """Gradients with respect to both points; the second ones usually need none."""
        a, b, slope = ctx.saved_tensors
        # With k' = d k / d r^2 = -5/6 (1 + s) exp(-s): d k / d a = 2 k' (a - b).
        w = gradients[0] * slope * (-5.0 / 3.0)
        of_a = w.sum(-1, keepdim=True) * a - w @ b
        if not ctx.needs_input_grad[1]:
            return of_a, None
        return of_a, w.sum(-2).unsqueeze(-1) * b - w.transpose(-1, -2) @ a


def matern52(a: Tensor, b: Tensor) -> Tensor:
    """Matern kernel of smoothness 5/2, differentiable in both points.

    Args:
        a: Points, divided by the lengthscales, shape ``(..., q, d)``.
        b: Points likewise, shape ``(..., n, d)``; with the leading axes of ``a`` where a gradient
            is needed.

    Returns:
        ``(1 + s + s^2 / 3) exp(-s)`` with ``s = sqrt(5) |a - b|``, shape ``(..., q, n)``.
    """
    kernel: Tensor = _Matern52.apply(a, b)  # type: ignore[no-untyped-call]
    return kernel


def negative_log_posterior(
    theta: Tensor,
    x: Tensor,
    z: Tensor,
    phi: Tensor,
    metric: Metric,
    linear: BasisPrior,
    prior: HyperPrior,
    extrapolated: Tensor | None = None,
) -> tuple[float, Tensor]:
    """Negative log of marginal likelihood times hyper-prior, and its gradient, in closed form.

    Rasmussen & Williams 2006, Eq. 5.9. Closed form, because autograd's overhead exceeds the cost
    of the algebra at the sizes of a study.

    Args:
        theta: Log hyperparameters, shape ``(b + 5,)``, see :class:`HyperPrior`; the last one may
            be missing if no outcome is extrapolated.
        x: Points, shape ``(n, d)``.
        z: Outcomes, shape ``(n,)``.
        phi: Basis functions at ``x``, shape ``(n, j)``.
        metric: The distance.
        linear: Prior of the weights.
        prior: Prior of ``theta``.
        extrapolated: Which outcomes are extrapolated, shape ``(n,)``, bool; ``None`` if none is.

    Returns:
        The value in nats, up to a constant, and the gradient of the shape of ``theta``.
    """
    b = metric.n_blocks
    outputscale, noise, factor = theta[b].exp(), theta[b + 1].exp(), theta[b + 2].exp()
    xs = x * metric.scale(theta[:b])
    s = (5.0 * squared_distance(xs, xs)).sqrt()
    decay = torch.exp(-s)
    smooth = outputscale * (1.0 + s + s * s / 3.0) * decay
    grown = (phi[:, linear.scaled] * linear.variances[linear.scaled].sqrt()) * factor.sqrt()
    steady = phi[:, ~linear.scaled] * linear.variances[~linear.scaled].sqrt()
    linear_grown = grown @ grown.T
    sloped = (x - _CENTRE) * metric.root_trend(theta[b + 3])
    trend = sloped @ sloped.T
    covariance = smooth + linear_grown + trend + steady @ steady.T
    covariance.diagonal().add_(noise + _JITTER)
    if extrapolated is not None:
        extra = theta[b + 4].exp() * extrapolated
        covariance.diagonal().add_(extra)
    residual = z - phi @ linear.mean_weights

    chol = torch.linalg.cholesky(covariance)
    inverse = torch.cholesky_inverse(chol)
    alpha = inverse @ residual
    pull = (theta - prior.mean) / prior.std
    value = 0.5 * residual @ alpha + chol.diagonal().log().sum() + 0.5 * pull @ pull

    a = inverse - torch.outer(alpha, alpha)  # twice the gradient with respect to the covariance
    gradient = pull / prior.std
    w = a * ((5.0 / 3.0) * outputscale * (1.0 + s) * decay)
    # sum_ij w_ij (x_ic - x_jc)^2 = 2 (sum_i w_i. x_ic^2 - x_c^T w x_c), for every column at once.
    per_column = w.sum(1) @ (xs * xs) - (xs * (w @ xs)).sum(0)
    gradient[:b].index_add_(0, metric.block, per_column)
    gradient[b] += 0.5 * (a * smooth).sum()
    gradient[b + 1] += 0.5 * noise * a.diagonal().sum()
    gradient[b + 2] += 0.5 * (a * linear_grown).sum()
    gradient[b + 3] += 0.5 * (a * trend).sum()
    if extrapolated is not None:
        gradient[b + 4] += 0.5 * extra @ a.diagonal()
    return float(value), gradient


def fit_hyperparameters(
    x: Tensor,
    z: Tensor,
    phi: Tensor,
    metric: Metric,
    linear: BasisPrior,
    prior: HyperPrior,
    start: Tensor | None = None,
    extrapolated: Tensor | None = None,
) -> Tensor:
    """Maximum a posteriori hyperparameters ``theta`` of shape ``(b + 5,)``.

    Args:
        x: Points, shape ``(n, d)``.
        z: Outcomes, shape ``(n,)``.
        phi: Basis functions at ``x``, shape ``(n, j)``.
        metric: The distance.
        linear: Prior of the weights.
        prior: Prior of ``theta``.
        start: Initial ``theta``; the prior's mean by default.
        extrapolated: Which outcomes are extrapolated, shape ``(n,)``, bool; ``None`` if none is.

    Returns:
        The best ``theta``; the initial one without data.
    """
    return fit_common_hyperparameters([(x, z, phi, extrapolated)], metric, linear, prior, start)


def fit_common_hyperparameters(
    studies: Sequence[tuple[Tensor, Tensor, Tensor, Tensor | None]],
    metric: Metric,
    linear: BasisPrior,
    prior: HyperPrior,
    start: Tensor | None = None,
) -> Tensor:
    """As :func:`fit_hyperparameters`, for independent functions with the same hyperparameters.

    Args:
        studies: Points, outcomes, basis functions, and which outcomes are extrapolated, of each
            function.
        metric: The distance.
        linear: Prior of the weights.
        prior: Prior of ``theta``.
        start: Initial ``theta``; the prior's mean by default.
    """
    first = prior.mean if start is None else start
    if not any(len(x) for x, _, _, _ in studies):
        return first
    if not any(bool(flags.any()) for *_, flags in studies if flags is not None):
        # Nothing depends on the last hyperparameter.
        studies = [(x, z, phi, None) for x, z, phi, _ in studies]
        known = first[-1:]
        prior, first = prior.without_extra_noise, first[:-1]
    else:
        known = first[:0]

    # Every study's value holds the hyper-prior, which counts once.
    extra = len(studies) - 1

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        at = to_tensor(theta)
        value, gradient = 0.0, torch.zeros_like(at)
        if extra:
            pull = (at - prior.mean) / prior.std
            value, gradient = -0.5 * extra * float(pull @ pull), -extra * pull / prior.std
        try:
            for x, z, phi, extrapolated in studies:
                one, slope = negative_log_posterior(
                    at, x, z, phi, metric, linear, prior, extrapolated
                )
                value, gradient = value + one, gradient + slope
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            # Not positive definite to machine precision: a huge value, from which the line search
            # steps back.
            return 1e25, np.zeros_like(theta)
        return value, gradient.numpy()

    with torch.no_grad():
        result = minimize(
            objective,
            first.numpy(),
            jac=True,
            method="L-BFGS-B",
            bounds=np.stack([prior.low.numpy(), prior.high.numpy()], axis=1),
            options={"maxiter": _LBFGS_ITERATIONS, "ftol": 1e-5},
        )
    best = to_tensor(np.asarray(result.x)) if np.isfinite(result.fun) else first
    return torch.cat([best, known])


@dataclass(frozen=True)
class Posterior:
    """Gaussian processes of ``g`` hypotheses conditioned on the same ``n`` trials.

    Attributes:
        x: Points of the trials, shape ``(n, d)``.
        phi: Basis functions of the trials, shape ``(n, j)``.
        scale: Factors of the columns, shape ``(g, 1, d)``.
        outputscale: Shape ``(g, 1, 1)``.
        noise: Shape ``(g,)``.
        extra_noise: Of extrapolated outcomes, beside the noise, shape ``(g,)``.
        extrapolated: Which outcomes are extrapolated, shape ``(n,)``, bool.
        mean_weights: Shape ``(g, j, 1)``.
        root_variances: Square roots of the weights' variances, shape ``(g, 1, j)``.
        root_trend: Square roots of the trends' variances, shape ``(g, 1, d)``.
        inverse_root: Inverse of the covariance's lower Cholesky factor, shape ``(g, n, n)``.
        alpha: Inverse covariance times residuals, shape ``(g, n, 1)``.
        outcomes: Shape ``(n,)``.
    """

    x: Tensor
    phi: Tensor
    scale: Tensor
    outputscale: Tensor
    noise: Tensor
    extra_noise: Tensor
    extrapolated: Tensor
    mean_weights: Tensor
    root_variances: Tensor
    root_trend: Tensor
    inverse_root: Tensor
    alpha: Tensor
    outcomes: Tensor

    @classmethod
    def of(
        cls,
        x: Tensor,
        z: Tensor,
        phi: Tensor,
        metric: Metric,
        hypotheses: list[tuple[Tensor, BasisPrior]],
        extrapolated: Tensor | None = None,
    ) -> Posterior:
        """Condition each hypothesis ``(theta, prior of the weights)`` on trials, from scratch."""
        b = metric.n_blocks
        thetas = torch.stack([theta for theta, _ in hypotheses])
        variances = torch.stack([linear.total(theta[b + 2]) for theta, linear in hypotheses])
        g = len(hypotheses)
        posterior = cls(
            x=x[:0],
            phi=phi[:0],
            scale=metric.scale(thetas[:, :b]).unsqueeze(1),
            outputscale=thetas[:, b].exp()[:, None, None],
            noise=thetas[:, b + 1].exp() + _JITTER,
            extra_noise=thetas[:, b + 4].exp(),
            extrapolated=torch.zeros(0, dtype=torch.bool),
            mean_weights=torch.stack([linear.mean_weights for _, linear in hypotheses]).unsqueeze(
                2
            ),
            root_variances=variances.sqrt().unsqueeze(1),
            root_trend=metric.root_trend(thetas[:, b + 3]).unsqueeze(1),
            inverse_root=torch.zeros((g, 0, 0), dtype=torch.float64),
            alpha=torch.zeros((g, 0, 1), dtype=torch.float64),
            outcomes=z[:0],
        )
        return posterior.extend(x, phi, extrapolated).observe(z)

    @cached_property
    def _scaled(self) -> tuple[Tensor, Tensor]:
        """Scaled points and linear part of the trials: ``(g, n, d)``, ``(g, n, j + d)``."""
        return self.x * self.scale, self.linear(self.x, self.phi)

    def linear(self, x: Tensor, phi: Tensor) -> Tensor:
        """Basis functions and trends at ``(q, d)``, scaled to unit variance: ``(g, q, j + d)``."""
        sloped = (x - _CENTRE) * self.root_trend
        return torch.cat([phi * self.root_variances, sloped], dim=2)

    def covariance(self, x: Tensor, phi: Tensor) -> Tensor:
        """Prior covariance of ``(q, d)`` points with the trials: shape ``(g, q, n)``."""
        points, linear = self._scaled
        smooth = self.outputscale * matern52(x * self.scale, points)
        return torch.baddbmm(smooth, self.linear(x, phi), linear.transpose(1, 2))

    def extend(self, x: Tensor, phi: Tensor, extrapolated: Tensor | None = None) -> Posterior:
        """Append ``m`` trials with their predicted outcomes (kriging believer).

        Exact and quadratic in ``n``: only the new rows of the inverse Cholesky factor are
        computed. The mean does not change, the variance shrinks; call :meth:`observe` once
        outcomes are known. Ginsbourger, Le Riche & Carraro 2010, "Kriging is well-suited to
        parallelize optimization".
        """
        if not len(x):
            return self
        new = replace(self, x=x, phi=phi).covariance(x, phi)
        new.diagonal(dim1=1, dim2=2).add_(self.noise[:, None])
        if extrapolated is None:
            extrapolated = torch.zeros(len(x), dtype=torch.bool)
        new.diagonal(dim1=1, dim2=2).add_(self.extra_noise[:, None] * extrapolated)
        cross = self.covariance(x, phi) @ self.inverse_root.transpose(1, 2)
        corner = torch.linalg.inv(_safe_cholesky(new - cross @ cross.transpose(1, 2)))
        g, n, m = len(self.scale), len(self.x), len(x)
        inverse_root = torch.zeros((g, n + m, n + m), dtype=torch.float64)
        inverse_root[:, :n, :n] = self.inverse_root
        inverse_root[:, n:, :n] = -corner @ (cross @ self.inverse_root)
        inverse_root[:, n:, n:] = corner
        padding = torch.zeros((g, m, 1), dtype=torch.float64)
        return replace(
            self,
            x=torch.cat([self.x, x]),
            phi=torch.cat([self.phi, phi]),
            extrapolated=torch.cat([self.extrapolated, extrapolated]),
            inverse_root=inverse_root,
            alpha=torch.cat([self.alpha, padding], dim=1),
        )

    def begins(self, x: Tensor, phi: Tensor, extrapolated: Tensor) -> bool:
        """Whether its trials are the first of those given; outcomes do not matter."""
        n = len(self.x)
        given = x[:n], phi[:n], extrapolated[:n]
        own = self.x, self.phi, self.extrapolated
        return all(map(torch.equal, own, given))

    def observe(self, z: Tensor) -> Posterior:
        """The same trials with outcomes ``z`` of shape ``(n,)``."""
        residual = z[:, None] - self.phi @ self.mean_weights
        alpha = self.inverse_root.transpose(1, 2) @ (self.inverse_root @ residual)
        return replace(self, alpha=alpha, outcomes=z)

    def predict(self, x: Tensor, phi: Tensor) -> Normal:
        """Distribution of the noise-free outcome at ``(q, d)``; batch shape ``(g, q)``."""
        k = self.covariance(x, phi)
        mean = (phi @ self.mean_weights + k @ self.alpha).squeeze(2)
        explained = (k @ self.inverse_root.transpose(1, 2)).square().sum(2)
        prior = self.outputscale[:, :, 0] + self.linear(x, phi).square().sum(2)
        return Normal(mean, (prior - explained).clamp_min(1e-10).sqrt(), validate_args=False)

    def joint(self, x: Tensor, phi: Tensor) -> tuple[Tensor, Tensor]:
        """Means ``(g, q)`` and covariances ``(g, q, q)`` of the noise-free outcomes at ``(q, d)``.

        Rasmussen & Williams 2006, Eqs. 2.23 and 2.24.
        """
        k = self.covariance(x, phi)
        mean = (phi @ self.mean_weights + k @ self.alpha).squeeze(2)
        cross = k @ self.inverse_root.transpose(1, 2)
        prior = replace(self, x=x, phi=phi).covariance(x, phi)
        return mean, prior - cross @ cross.transpose(1, 2)

    def left_out(self) -> Normal:
        """Distribution of each outcome given all the others; batch shape ``(g, n)``.

        Rasmussen & Williams 2006, Eq. 5.12.
        """
        precision = self.inverse_root.square().sum(1)
        mean = self.outcomes - self.alpha.squeeze(2) / precision
        return Normal(mean, precision.rsqrt(), validate_args=False)

    def leave_one_out(self) -> Tensor:
        """Log density of each outcome given all the others, in nats: shape ``(g, n)``.

        Rasmussen & Williams 2006, Eqs. 5.10 to 5.12.
        """
        precision = self.inverse_root.square().sum(1)
        deviation = self.alpha.squeeze(2) / precision
        return 0.5 * (precision.log() - math.log(2 * math.pi) - deviation**2 * precision)


def _safe_cholesky(matrix: Tensor) -> Tensor:
    """Lower Cholesky factor of ``(g, m, m)``, with as much jitter as needed."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(matrix)
    eye = torch.eye(matrix.shape[-1], dtype=torch.float64)
    jitter = _JITTER
    while bool(failed.any()) and jitter < 1.0:
        jitter *= 10.0
        factor, failed = torch.linalg.cholesky_ex(matrix + jitter * eye)
    return factor


def representative_rows(y: Tensor, limit: int) -> Tensor:
    """Rows of at most ``limit`` representative trials: the best, the newest, a spread.

    Args:
        y: Outcomes in order of completion, shape ``(n,)``.
        limit: Number of rows to keep.

    Returns:
        Sorted row numbers, shape ``(min(n, limit),)``.
    """
    n = len(y)
    if n <= limit:
        return torch.arange(n)
    keep = torch.zeros(n, dtype=torch.bool)
    keep[torch.topk(y, limit * 2 // 5).indices] = True
    keep[-(limit // 5) :] = True
    rest = torch.nonzero(~keep).squeeze(1)
    missing = limit - int(keep.sum())
    even = torch.linspace(0, len(rest) - 1, missing, dtype=torch.float64).long()
    keep[rest[even]] = True
    rows: Tensor = torch.nonzero(keep).squeeze(1)
    return rows


def refit_is_due(n: int, n_at_fit: int) -> bool:
    """Whether hyperparameters fitted to ``n_at_fit`` trials should be refitted to ``n``.

    After every trial up to 30 trials; later whenever their number has grown by 1/15.
    """
    return n != n_at_fit and (n <= 30 or n - n_at_fit >= math.ceil(n / 15))


@dataclass(frozen=True)
class GaussianProcessConfig:
    """Options of the model, varied in ablations.

    Attributes:
        trend: Whether outcomes have a trend along numbers, and choices a main effect.
        warp: From raw outcomes ``(n,)`` to the modelled outcomes.
        refit_is_due: From the number of trials, and the number at the last fit, to whether to
            refit.
    """

    trend: bool = True
    warp: Callable[[Tensor], Tensor] = half_rank_warp
    refit_is_due: Callable[[int, int], bool] = refit_is_due


def modelled_rows(task: Task) -> Tensor:
    """Rows of the trials that the model uses: sorted, at most ``MAX_TRIALS``."""
    return representative_rows(task.y, MAX_TRIALS)


def condition_hypotheses(
    task: Task,
    phi: Tensor,
    basis_priors: list[BasisPrior],
    previous: GaussianProcessPredictor | None,
    config: GaussianProcessConfig,
) -> tuple[Posterior, list[Tensor], int]:
    """Fit if it is due, and condition each hypothesis on a task.

    Args:
        task: The trials.
        phi: Basis functions of the trials at :func:`modelled_rows`, shape ``(n, j)``.
        basis_priors: Prior of the weights, one a hypothesis.
        previous: The predictor of an earlier state of the task, or ``None``.
        config: Options of the model.

    Returns:
        The posterior of all hypotheses, their ``theta``, and the number of trials that ``theta``
        was fitted to.
    """
    metric = Metric.of(task.space, config.trend)
    rows = modelled_rows(task)
    x, z = task.x[rows], config.warp(task.y)[rows]
    guessed = task.is_extrapolated[rows]
    n = len(task)
    if previous is not None and not previous.fits(task.space, len(basis_priors)):
        previous = None
    if previous is not None and not config.refit_is_due(n, previous.n_at_fit):
        known = previous.posterior
        m = len(known.x)
        if known.begins(x, phi, guessed):
            new = known.extend(x[m:], phi[m:], guessed[m:])
            return new.observe(z), previous.thetas, previous.n_at_fit
        hypotheses = list(zip(previous.thetas, basis_priors, strict=True))
        posterior = Posterior.of(x, z, phi, metric, hypotheses, guessed)
        return posterior, previous.thetas, previous.n_at_fit
    prior = HyperPrior.default(metric.n_blocks)
    few = representative_rows(task.y[rows], _MAX_TRIALS_TO_FIT)
    starts = [None] * len(basis_priors) if previous is None else previous.thetas
    thetas = [
        fit_hyperparameters(x[few], z[few], phi[few], metric, linear, prior, start, guessed[few])
        for linear, start in zip(basis_priors, starts, strict=True)
    ]
    hypotheses = list(zip(thetas, basis_priors, strict=True))
    return Posterior.of(x, z, phi, metric, hypotheses, guessed), thetas, n


@dataclass(frozen=True)
class GaussianProcessPredictor(Predictor):
    """The target-only Gaussian process, conditioned on a task.

    Attributes:
        space: The space of the task.
        posterior: Conditioned on the finished trials; one hypothesis.
        with_pending: The same with pending trials appended; used for predictions.
        thetas: Hyperparameters of each hypothesis.
        n_at_fit: Number of trials that the hyperparameters were fitted to.
        best: Best warped outcome, or best predicted outcome of a pending trial if that is better;
            ``None`` without finished trials.
    """

    space: SearchSpace
    posterior: Posterior
    with_pending: Posterior
    thetas: list[Tensor]
    n_at_fit: int
    best: float | None

    def fits(self, space: SearchSpace, n_hypotheses: int) -> bool:
        """Whether this predictor's hyperparameters apply to ``space``."""
        return len(self.thetas) == n_hypotheses and (
            self.space is space or self.space.layout == space.layout
        )

    @property
    def weights(self) -> tuple[float, ...]:
        """The probability of each hypothesis."""
        return (1.0,)

    @property
    def incumbent(self) -> float | None:
        """The best warped outcome, predicted ones of pending trials included."""
        return self.best

    @property
    def column_scale(self) -> Tensor:
        """Inverse lengthscales of the last hypothesis, the target-only one: ``(d,)``."""
        return self.posterior.scale[-1, 0]

    def improving_on(self, pending: Tensor) -> Self:
        """The same with the predicted outcomes of pending points ``(q, d)`` in the incumbent.

        The kriging believer treats predictions of pending points as outcomes (Ginsbourger et al.
        2010), also in the incumbent: with a lower incumbent, the neighbours of a promising pending
        point score nearly as well as the point itself, and all workers would crowd there.
        """
        if self.best is None or not len(pending):
            return self
        return replace(self, best=max(self.best, float(self(pending).mean.max())))

    def features(self, x: Tensor) -> Tensor:
        """Basis functions at points ``(q, d)``: a constant, shape ``(q, 1)``."""
        return constant_feature(x)

    def of_priors(self, x: Tensor) -> Tensor:
        """Predictions of the prior studies, together and each, at ``(q, d)``: ``(q, 1 + k)``.

        Sign-flipped where the model uses them so; shape ``(q, 0)`` without prior studies.
        """
        return torch.zeros((len(x), 0), dtype=torch.float64)

    def each(self, x: Tensor) -> Normal:
        """Distribution of the warped outcome at ``(q, d)`` per hypothesis: batch shape ``(g, q)``.

        The posterior of the Gaussian process with a larger standard deviation, since its variance
        ignores the uncertainty of the fitted hyperparameters.
        """
        exact = self.with_pending.predict(x, self.features(x))
        return Normal(exact.mean, STDDEV_FACTOR * exact.stddev, validate_args=False)

    @property
    def evidence(self) -> float:
        """How much better the best hypothesis predicts than a constant does, in nats.

        The sum of the log densities of every outcome given all the others, less that under a
        normal distribution fitted to those others; 0 with fewer than three trials.
        """
        z = self.posterior.outcomes
        n = len(z)
        if n < _MIN_FOR_EVIDENCE:
            return 0.0
        mean = (z.sum() - z) / (n - 1)
        variance = ((z.square().sum() - z.square()) / (n - 1) - mean.square()).clamp_min(_JITTER)
        # Of the next outcome, with mean and variance estimated.
        predictive = Normal(mean, (variance * n / (n - 2)).sqrt(), validate_args=False)
        constant: Tensor = predictive.log_prob(z).sum()  # type: ignore[no-untyped-call]
        return float(self.posterior.leave_one_out().sum(dim=1).max() - constant)

    def __call__(self, x: Tensor) -> Distribution:
        """Distribution of the warped outcome at ``x`` of shape ``(q, d)``."""
        each = self.each(x)
        return Normal(each.mean[0], each.stddev[0], validate_args=False)


def constant_feature(x: Tensor) -> Tensor:
    """The basis function 1, shape ``(q, 1)``."""
    return torch.ones((len(x), 1), dtype=torch.float64)


class GaussianProcess(Surrogate[GaussianProcessPredictor]):
    """The target-only surrogate: a Gaussian process on the trials of the running study."""

    def __init__(self, config: GaussianProcessConfig | None = None) -> None:
        self.config = config or GaussianProcessConfig()

    def condition(self, task: Task, previous: Predictor | None = None) -> GaussianProcessPredictor:
        """Condition on a task; see :meth:`Surrogate.condition`."""
        earlier = previous if isinstance(previous, GaussianProcessPredictor) else None
        with torch.no_grad():
            phi = constant_feature(modelled_rows(task))
            posterior, thetas, n_at_fit = condition_hypotheses(
                task, phi, [BasisPrior.constant()], earlier, self.config
            )
            with_pending = posterior.extend(task.pending, constant_feature(task.pending))
            best = float(posterior.outcomes.max()) if len(task) else None
            predictor = GaussianProcessPredictor(
                task.space, posterior, with_pending, thetas, n_at_fit, best
            )
            return predictor.improving_on(task.pending)

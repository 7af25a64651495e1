"""``deep-kernel``: an exact Gaussian process on a neural network's features of a configuration.

Few-shot Bayesian optimisation (Wistuba & Grabocka 2021, arXiv:2101.07667; deep kernels after
Wilson et al. 2016, arXiv:1511.02222). With ``phi`` a network that all studies share::

    z(x) = mean + f(x) + e      f ~ GP(0, outputscale * matern52(|phi(x) - phi(x')| / lengthscale))
                                e ~ N(0, noise)

The parameters of the network and of the kernel are one list of tensors, ``[w_1, b_1, ..., w_l,
b_l, theta]``, and everything here is a pure function of it. ``theta`` holds the mean and the
logarithms of lengthscale, outputscale and noise, shape ``(4,)``.

Axis letters: ``g`` studies side by side, ``n`` trials, ``q`` query points, ``e`` encoded columns
of the prior studies' common space, ``d`` of the running study's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Normal

from optuna_metasampler.meta_train.adam import Adam
from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.meta_train.loop import Learner, TrainConfig, Trainer
from optuna_metasampler.methods import networks
from optuna_metasampler.methods.base import Method, Priors, option
from optuna_metasampler.outcomes import half_rank_warp, penalized, rank_gaussianize
from optuna_metasampler.packing import checked, checked_sequence, pack
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import matern52, representative_rows
from optuna_metasampler.task import Task


# The least noise; it keeps the covariance well-conditioned even with duplicates.
_MIN_NOISE = 1e-4
_LOG_BOUND = 5.0
# Of longer studies the newest trials, the best and a spread of the others are used.
_MAX_TRIALS = 200
# Configurations of each prior study that may become part of the warm start.
_N_CANDIDATES = 5
# Validation: context and target trials of an episode, and episodes of each held-out study.
_N_CONTEXT = 10
_N_TARGET = 16
_N_EPISODES = 8


def layer_sizes(n_columns: int, width: int) -> tuple[int, ...]:
    """Inputs, units of the three hidden layers, and outputs of the network."""
    return n_columns, width, width, width, width


def initial_parameters(n_columns: int, width: int, generator: torch.Generator) -> list[Tensor]:
    """Random network, and a kernel of about unit scale; float64."""
    sizes = layer_sizes(n_columns, width)
    network = networks.initial(sizes, (), generator, torch.float64, gain=math.sqrt(2.0))
    theta = torch.tensor([0.0, 0.0, 0.0, math.log(0.1)], dtype=torch.float64)
    return [*network, theta]


def negative_log_likelihood(parameters: Sequence[Tensor], x: Tensor, z: Tensor) -> Tensor:
    """Negative log marginal likelihood, Rasmussen & Williams 2006, Eq. 2.30.

    Args:
        parameters: Parameters of the deep kernel.
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
        parameters: Parameters of the deep kernel.
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
        n_steps: Steps; none are made if all outcomes are equal, because these have no scale.
        learning_rate: Step size of Adam.

    Returns:
        The parameters of the lowest loss.
    """
    lowest, best = math.inf, [p.detach().clone() for p in parameters]
    if n_steps == 0 or not bool((z != z[:1]).any()):
        return best
    moving = [p.clone().requires_grad_() for p in best]
    optimizer = Adam(moving)
    for step in range(n_steps + 1):
        with torch.enable_grad():
            loss = negative_log_likelihood(moving, x, z)
        if not math.isfinite(float(loss.detach())):
            break
        if float(loss.detach()) < lowest:
            lowest, best = float(loss.detach()), [p.detach().clone() for p in moving]
        if step < n_steps:
            optimizer.step(torch.autograd.grad(loss, moving), learning_rate)
    return best


@dataclass(frozen=True)
class DeepKernelPredictor:
    """The deep kernel, fine-tuned to a task and conditioned on it.

    Attributes:
        parameters: Fine-tuned parameters.
        factors: Root, whitened residuals and features of the trials and the pending points.
        to_prior: Maps points ``(q, d)`` to the common space.
        incumbent: Best warped outcome; before the first, the best prediction at pending points.
    """

    parameters: list[Tensor]
    factors: tuple[Tensor, Tensor, Tensor]
    to_prior: Callable[[Tensor], Tensor]
    incumbent: float | None

    def __call__(self, x: Tensor) -> Normal:
        """Distribution of the warped outcome at points ``(q, d)``, without noise."""
        return _predicted(self.parameters, self.factors, self.to_prior(x))


class DeepKernel(Surrogate[DeepKernelPredictor]):
    """A meta-trained deep kernel, fine-tuned anew to the running study at every suggestion.

    Args:
        parameters: Meta-learned parameters.
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
        """See :meth:`Surrogate.condition`; always fine-tunes the meta-learned parameters."""
        rows = representative_rows(task.y, _MAX_TRIALS)
        z = half_rank_warp(task.y)[rows]
        with torch.no_grad():
            x = self.to_prior(task.x[rows])
            pending = self.to_prior(task.pending)
            adapted = adapt(self.parameters, x, z, self.n_adaptation_steps, self.adaptation_rate)
            # Kriging believer for pending trials (Ginsbourger, Le Riche & Carraro 2010): the mean
            # stays as it is, and the variance shrinks.
            outcomes = torch.cat([z, predict(adapted, x, z, pending).mean])
            factors = _factorised(adapted, torch.cat([x, pending]), outcomes)
        best = z if len(z) else outcomes
        incumbent = float(best.max()) if len(best) else None
        return DeepKernelPredictor(adapted, factors, self.to_prior, incumbent)


class DeepKernelLearner(Learner):
    """Maximises the marginal likelihood of batches of one study each.

    The outcomes of a batch are normal quantiles of ranks in units of the batch's own mean and
    spread, so that the kernel is trained on the scale on which it is used.

    Args:
        tasks: Prior studies in one common space.
        width: Units of each layer of the network.
        batch_size: Trials of a study in a step, at most.
        generator: Source of the initial weights.
        device: Where the tensors are kept.
    """

    state_name = ""

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
        """See :class:`Learner`; the parameters of the deep kernel."""
        return self._parameters

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        """Negative log marginal likelihood a trial, of one batch of each study.

        All batches have the size of the smallest, because repeated trials would teach the kernel
        that there is no noise.
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
            context = many.context_x.double(), many.context_z.double()
            posterior = predict(self._parameters, *context, many.target_x.double(), noisy=True)
            target = many.target_z.double()
            density: Tensor = posterior.log_prob(target)  # type: ignore[no-untyped-call]
            return -float(density.mean())


@dataclass(frozen=True)
class LearnedDeepKernel:
    """Meta-learned parameters of the kernel, and a warm start.

    Attributes:
        parameters: Parameters of the deep kernel, see the module.
        warm_start: Configurations to begin with, in the common space, shape ``(k, e)``.
    """

    parameters: tuple[Tensor, ...]
    warm_start: Tensor


@dataclass(frozen=True)
class DeepKernelMethod(Method):
    """Few-shot Bayesian optimisation (FSBO): Wistuba & Grabocka 2021, arXiv:2101.07667.

    A kernel encodes which configurations are similar, not which are good, so the study begins with
    a few configurations that were good in the prior studies together.

    Attributes:
        n_steps: Steps of meta-training, at most.
        learning_rate: First step size of meta-training.
        batch_size: Trials of a study in a step.
        width: Units in each layer of the network.
        n_adaptation_steps: Steps of fine-tuning to the running study, from the meta-learned
            parameters anew at every suggestion; 0 uses these as they are.
        adaptation_rate: Step size of fine-tuning.
        n_warm_start: Configurations to begin with.
    """

    name: ClassVar[str] = "deep-kernel"
    models_constraints: ClassVar[bool] = True

    n_steps: int = option(600, ge=0)
    learning_rate: float = option(3e-3, gt=0, lt=1)
    batch_size: int = option(64, ge=2)
    width: int = option(32, ge=1)
    n_adaptation_steps: int = option(40, ge=0)
    adaptation_rate: float = option(3e-3, gt=0, lt=1)
    n_warm_start: int = option(5, ge=1)

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> LearnedDeepKernel:
        """See :meth:`Method.learn`."""
        learner = DeepKernelLearner(tasks, self.width, self.batch_size, generator, trainer.device)
        config = TrainConfig(n_steps=self.n_steps, learning_rate=self.learning_rate)
        trainer.run(learner, config, generator)
        parameters = tuple(p.detach().cpu() for p in learner.parameters())
        feasible = [penalized(task) for task in tasks]
        return LearnedDeepKernel(parameters, warm_start(parameters, feasible, self.n_warm_start))

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """See :meth:`Method.policy`."""
        (prior,) = priors
        assert prior is not None
        learned: LearnedDeepKernel = prior.learned
        surrogate = DeepKernel(
            learned.parameters, prior.to_prior, self.n_adaptation_steps, self.adaptation_rate
        )
        design = InitialDesign(
            n_startup_trials or 0,
            prior.prior_incumbents,
            ordered=prior.from_prior(learned.warm_start),
        )
        return AcquisitionPolicy(surrogate, design, feasibility=prior.feasibility)

    def pack(self, learned: LearnedDeepKernel) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return pack({"parameter": learned.parameters, "warm_start": learned.warm_start})

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> LearnedDeepKernel:
        """See :meth:`Method.unpack`."""
        shapes = [*networks.shapes(layer_sizes(space.n_columns, self.width)), (4,)]
        return LearnedDeepKernel(
            checked_sequence(tensors, "parameter", shapes),
            checked(tensors, "warm_start", None, space.n_columns),
        )


def warm_start(parameters: Sequence[Tensor], tasks: Sequence[Task], n: int) -> Tensor:
    """Configurations that together leave little to gain in any prior study, chosen greedily.

    The deep kernel predicts, from a study's own trials, the outcomes that it did not observe.
    After the warm start of FSBO, with the studies' best trials as candidates in place of an
    evolutionary search.

    Args:
        parameters: Parameters of the deep kernel.
        tasks: Prior studies in one space.
        n: Number of configurations, at most.

    Returns:
        Shape ``(k, e)`` with ``k <= n``, the best on average first.
    """
    best = [t.x[torch.topk(t.y, min(_N_CANDIDATES, len(t))).indices] for t in tasks]
    candidates = torch.unique(torch.cat(best), dim=0)
    with torch.no_grad():
        predicted = []
        for task in tasks:
            rows = representative_rows(task.y, _MAX_TRIALS)
            z = rank_gaussianize(task.y)[rows]
            predicted.append(predict(parameters, task.x[rows], z, candidates).mean)
        gains = torch.stack(predicted)
    chosen: list[int] = []
    reached = torch.full((len(tasks), 1), -torch.inf, dtype=torch.float64)
    for _ in range(min(n, len(candidates))):
        total = torch.maximum(reached, gains).mean(dim=0)
        total[chosen] = -torch.inf
        chosen.append(int(total.argmax()))
        reached = torch.maximum(reached, gains[:, chosen[-1:]])
    points: Tensor = candidates[chosen]
    return points

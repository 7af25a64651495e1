"""RGPE: Gaussian processes of the prior studies and of the running one, weighted by ranking.

Feurer, Letham, Hutter & Bakshy 2018, "Practical transfer learning for Bayesian optimization",
arXiv:1802.02219: the rule of its first version, with ties split as in the later ones. The Gaussian
process, the search for the best acquisition value and the warping of outcomes before they are
standardised are those of `MetaSampler`, so that a comparison is about the transfer rule alone.

Axis letters: ``k`` prior studies, ``s`` samples, ``n`` trials, ``q`` points, ``d`` columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
import torch
from torch import Tensor
from torch.distributions import Normal

from benchmarks.peers.base import Setting
from benchmarks.peers.known_space import KnownSpaceSampler
from benchmarks.peers.sources import Source, space_of, usable_sources
from benchmarks.problems.base import Params
from optuna_metasampler._runtime import isolated
from optuna_metasampler.history import finished_trials
from optuna_metasampler.methods.default import cold_policy
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import (
    GaussianProcess,
    GaussianProcessConfig,
    GaussianProcessPredictor,
    Posterior,
    constant_feature,
)
from optuna_metasampler.task import Task


N_SAMPLES = 256
# With fewer trials there is next to nothing to rank: all models weigh alike.
_MIN_TRIALS_TO_RANK = 3


@dataclass(frozen=True)
class Member:
    """One Gaussian process of the ensemble, on standardised outcomes.

    Attributes:
        process: The Gaussian process.
        has: One for the columns of parameters that its study had, else zero, shape ``(d,)``.
        mean: Of the study's outcomes on the scale of the process.
        std: Likewise; 1 where all are equal.
    """

    process: GaussianProcessPredictor
    has: Tensor
    mean: float
    std: float

    @classmethod
    def of(cls, task: Task, previous: Member | None = None) -> Member:
        """Condition on a study; what it lacks does not enter its predictions."""
        had = task.mask.any(dim=0) if len(task) else torch.ones(task.mask.shape[1])
        has = torch.zeros(task.space.n_columns, dtype=torch.float64)
        for flag, p in zip(had.tolist(), task.space.parameters, strict=True):
            has[p.columns] = float(flag)
            if p.activity is not None:
                has[p.activity] = float(flag)
        seen = replace(task, x=task.x * has, pending=task.pending * has)
        plain = GaussianProcess(GaussianProcessConfig(trend=False))
        process = plain.condition(seen, None if previous is None else previous.process)
        z = process.posterior.outcomes
        if not len(z):
            return cls(process, has, 0.0, 1.0)
        return cls(process, has, float(z.mean()), float(z.std(correction=0)) or 1.0)

    @property
    def best(self) -> float | None:
        """The best standardised outcome; ``None`` without trials."""
        best = self.process.incumbent
        return None if best is None else (best - self.mean) / self.std

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the standardised outcome at ``(q, d)``: shapes ``(q,)``."""
        found = self.process(x * self.has)
        return (found.mean - self.mean) / self.std, found.variance / self.std**2


def joint_samples(posterior: Posterior, x: Tensor, noise: Tensor) -> Tensor:
    """Samples of the noise-free outcomes at ``(n, d)``, from normal ``(s, n)``: ``(s, n)``."""
    phi = constant_feature(x)
    with_trials = posterior.covariance(x, phi)
    cross = with_trials @ posterior.inverse_root.transpose(1, 2)
    among = replace(posterior, x=x, phi=phi).covariance(x, phi)
    covariance = (among - cross @ cross.transpose(1, 2))[0]
    mean = (phi @ posterior.mean_weights + with_trials @ posterior.alpha)[0, :, 0]
    # Eigenvalues rather than Cholesky: points may be equal.
    values, vectors = torch.linalg.eigh(covariance)
    samples: Tensor = mean + noise @ (vectors * values.clamp_min(0.0).sqrt()).T
    return samples


def leave_one_out_samples(posterior: Posterior, noise: Tensor) -> Tensor:
    """Samples of each noise-free outcome given the other trials, from normal ``(s, n)``.

    The hyperparameters stay those of all trials. Rasmussen & Williams 2006, Eqs. 5.10 and 5.12.
    """
    precision = posterior.inverse_root.square().sum(1)[0]
    mean = posterior.outcomes - posterior.alpha[0, :, 0] / precision
    variance = (1.0 / precision - posterior.noise[0]).clamp_min(0.0)
    return mean + noise * variance.sqrt()


def ranking_loss(left: Tensor, right: Tensor, y: Tensor) -> Tensor:
    """Number of ordered pairs of trials that each sample gets wrong: shape ``(s,)``.

    Args:
        left: Samples of the one outcome of each pair, shape ``(s, n)``.
        right: What they are compared with, shape ``(s, n)`` or ``(1, n)``.
        y: The outcomes, shape ``(n,)``.
    """
    wrong = (left[:, :, None] < right[:, None, :]) ^ (y[:, None] < y[None, :])
    wrong.diagonal(dim1=1, dim2=2).fill_(False)
    return wrong.sum(dim=(1, 2)).to(torch.float64)


def rank_weights(losses: Tensor) -> Tensor:
    """The share of samples in which each model ranks best, ties split.

    A prior study whose median loss exceeds the 95th percentile of the target model's is dropped,
    or many bad models would share what a few good ones deserve.

    Args:
        losses: Shape ``(k + 1, s)``; the target model's comes last.

    Returns:
        Weights of sum 1, shape ``(k + 1,)``.
    """
    middle = torch.quantile(losses[:-1], 0.5, dim=1)
    dropped = torch.zeros(len(losses), dtype=torch.bool)
    dropped[:-1] = middle > torch.quantile(losses[-1], 0.95)
    losses = torch.where(dropped[:, None], torch.inf, losses)
    best = (losses == losses.min(dim=0).values).to(torch.float64)
    return (best / best.sum(dim=0)).mean(dim=1)


@dataclass(frozen=True)
class EnsemblePredictor:
    """The weighted sum of the members, as independent normals.

    Attributes:
        members: Of the prior studies, then of the running one.
        weights: Of the members, shape ``(k + 1,)``.
        incumbent: The best standardised outcome of the running study.
    """

    members: Sequence[Member]
    weights: Tensor
    incumbent: float | None

    @property
    def column_scale(self) -> Tensor:
        """Inverse lengthscales of the running study's process, shape ``(d,)``."""
        return self.members[-1].process.column_scale

    def __call__(self, x: Tensor) -> Normal:
        """Distribution of the standardised outcome at ``(q, d)``."""
        mean = torch.zeros(len(x), dtype=torch.float64)
        variance = torch.zeros(len(x), dtype=torch.float64)
        for weight, member in zip(self.weights.tolist(), self.members, strict=True):
            if weight > 0.0:
                its_mean, its_variance = member(x)
                mean = mean + weight * its_mean
                variance = variance + weight**2 * its_variance
        return Normal(mean, variance.sqrt(), validate_args=False)


class RankWeightedEnsemble(Surrogate[EnsemblePredictor]):
    """The ensemble; the prior studies' processes are fitted once.

    Args:
        tasks: The prior studies, in the running study's space.
        seed: Of the samples whose rankings are compared.
    """

    def __init__(self, tasks: Sequence[Task], seed: int) -> None:
        self._sources = [Member.of(task) for task in tasks]
        self._seed = seed

    def condition(self, task: Task, previous: Predictor | None = None) -> EnsemblePredictor:
        """Condition on the running study; see :meth:`Surrogate.condition`."""
        last = previous.members[-1] if isinstance(previous, EnsemblePredictor) else None
        own = Member.of(task, last)
        return EnsemblePredictor([*self._sources, own], self._weights(task, own), own.best)

    def _weights(self, task: Task, own: Member) -> Tensor:
        weights = torch.ones(len(self._sources) + 1, dtype=torch.float64)
        if len(task) < _MIN_TRIALS_TO_RANK:
            weights[-1] = float(len(task) > 0)
            return weights / weights.sum()
        posterior = own.process.posterior
        x, y = posterior.x, posterior.outcomes
        generator = torch.Generator(device="cpu").manual_seed(self._seed + len(task))
        losses = []
        with torch.no_grad():
            for source in self._sources:
                noise = torch.randn((N_SAMPLES, len(y)), generator=generator, dtype=torch.float64)
                f = joint_samples(source.process.posterior, x * source.has, noise)
                losses.append(ranking_loss(f, f, y))
            noise = torch.randn((N_SAMPLES, len(y)), generator=generator, dtype=torch.float64)
            # A trial left out is compared with what was seen of the others.
            losses.append(ranking_loss(leave_one_out_samples(posterior, noise), y[None], y))
        return rank_weights(torch.stack(losses))


class RgpeSampler(KnownSpaceSampler):
    """Asks the ensemble; the cold Gaussian process where no prior study can be used."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._rng = np.random.default_rng(setting.seed)
        self._space: SearchSpace | None = None
        self._policy: Policy | None = None

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        with isolated():
            if self._space is None or self._policy is None:
                self._space = space_of(self._setting)
                sources = usable_sources(self._setting, self._space)
                self._policy = policy_of(self._space, sources, self._setting.seed)
            trials = study.get_trials(deepcopy=False)
            records = finished_trials(trials, study.directions)
            running = [
                t.params
                for t in trials
                if t.state == TrialState.RUNNING and t.number != trial.number and t.params
            ]
            history = Task.of(
                self._space,
                records.configurations,
                torch.tensor(records.outcomes[:, 0]),
                pending=running,
                tried=records.failed,
            )
            seed = int(self._rng.integers(2**31))
            generator = torch.Generator(device="cpu").manual_seed(seed)
            x = self._policy.propose(history, generator).x
        return self._space.decode(x.numpy()[None])[0]


def policy_of(space: SearchSpace, sources: Sequence[Source], seed: int) -> Policy:
    """Expected improvement under the ensemble, or the cold Gaussian process."""
    if not sources:
        return cold_policy(space, None)
    tasks = [Task.of(space, s.configurations, torch.tensor(s.outcomes)) for s in sources]
    best = np.stack([task.x[int(task.y.argmax())].numpy() for task in tasks])
    # Places to start the search of the acquisition from, no more.
    prior_incumbents = torch.tensor(space.project(best))
    design = InitialDesign(prior_incumbents=prior_incumbents)
    return AcquisitionPolicy(RankWeightedEnsemble(tasks, seed), design)


def build(setting: Setting) -> optuna.Study:
    """RGPE with one member a prior study."""
    return optuna.create_study(direction=setting.direction, sampler=RgpeSampler(setting))

"""The default method with one part left out or changed: what is the part good for?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import optuna
import torch
from torch import Tensor

from benchmarks.peers.base import Setting
from optuna_metasampler import MetaSampler
from optuna_metasampler.maximize import MaximizeConfig
from optuna_metasampler.methods.base import Priors
from optuna_metasampler.methods.default import Auto, cold_design, transfer_design
from optuna_metasampler.outcomes import rank_gaussianize
from optuna_metasampler.policies.acquisition import AcquisitionConfig, AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import N_WARM_START_TRIALS
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess, GaussianProcessConfig
from optuna_metasampler.surrogates.transfer import TransferConfig, TransferGaussianProcess


@dataclass(frozen=True)
class Ablation:
    """What is different from the default.

    Attributes:
        transfer: Parts of the transfer Gaussian process.
        acquisition: Score and search.
        n_warm_start_trials: Trials that are chosen among the priors' best.
    """

    transfer: TransferConfig = TransferConfig()
    acquisition: AcquisitionConfig = AcquisitionConfig()
    n_warm_start_trials: int = N_WARM_START_TRIALS


@dataclass(frozen=True)
class AblatedAuto(Auto):
    """The default method with an ablation."""

    ablation: Ablation = Ablation()

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """The policy, with the ablation."""
        (prior,) = priors
        its = self.ablation
        if prior is None:
            process = GaussianProcess(its.transfer.process)
            return AcquisitionPolicy(
                process, cold_design(space, n_startup_trials), its.acquisition
            )
        surrogate = TransferGaussianProcess(prior.learned, prior.to_prior, its.transfer)
        design = replace(
            transfer_design(prior, n_startup_trials), n_warm_start=its.n_warm_start_trials
        )
        return AcquisitionPolicy(surrogate, design, its.acquisition)


def _process(config: GaussianProcessConfig) -> Ablation:
    return Ablation(TransferConfig(process=config))


def _standardize(y: Tensor) -> Tensor:
    """Outcomes in units of their spread, shape ``(n,)``: no warp."""
    if len(y) < 2 or float(y.std()) == 0.0:
        return torch.zeros_like(y)
    return (y - y.mean()) / y.std()


_LARGE = MaximizeConfig(n_candidates=1280, n_perturbed=640, n_starts=8)
_SMALL = MaximizeConfig(n_candidates=80, n_perturbed=40, n_starts=1)

WITH_PRIORS: dict[str, Ablation] = {
    "without the components": Ablation(TransferConfig(components=False)),
    "without the target-only model": Ablation(TransferConfig(target_only=False)),
    "without the initial design": Ablation(n_warm_start_trials=0),
}
"""What only prior studies make a difference to."""

ALWAYS: dict[str, Ablation] = {
    "without the trend": _process(GaussianProcessConfig(trend=False)),
    "without tie probabilities": Ablation(acquisition=AcquisitionConfig(ties=False)),
    "standardised, not warped": _process(GaussianProcessConfig(warp=_standardize)),
    "ranked, not warped": _process(GaussianProcessConfig(warp=rank_gaussianize)),
    "EI, not log EI": Ablation(acquisition=AcquisitionConfig(logarithm=False)),
    "four times the candidates": Ablation(acquisition=AcquisitionConfig(search=_LARGE)),
    "a quarter of the candidates": Ablation(acquisition=AcquisitionConfig(search=_SMALL)),
    "refit at every tenth trial": _process(
        GaussianProcessConfig(refit_is_due=lambda n, at_fit: n - at_fit >= 10 or at_fit < 2 <= n)
    ),
}
"""What makes a difference with and without prior studies."""

ABLATIONS = WITH_PRIORS | ALWAYS


def with_ablation(name: str) -> Callable[[Setting], optuna.Study]:
    """`MetaSampler` with one part changed."""
    method = AblatedAuto(ABLATIONS[name])

    def build(setting: Setting) -> optuna.Study:
        sampler = MetaSampler(
            list(setting.priors) or None, method=method, seed=setting.seed, learner=None
        )
        return optuna.create_study(direction=setting.direction, sampler=sampler)

    return build

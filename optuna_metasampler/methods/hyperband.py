"""``hyperband``: for studies with a pruner, which stop most trials early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from optuna_metasampler.methods.base import Prior
from optuna_metasampler.methods.default import PriorModelMethod, cold_design
from optuna_metasampler.methods.options import whole
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.surrogates.multi_fidelity import MultiFidelity, without_length
from optuna_metasampler.surrogates.prior_model import PriorModel
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess


@dataclass(frozen=True)
class Hyperband(PriorModelMethod):
    """Model-based Hyperband, with prior studies.

    BOHB's idea (Falkner, Klein & Hutter 2018, arXiv:1807.01774), with one Gaussian process over
    all training lengths in place of a density model of one.

    The pruner (Optuna's ``HyperbandPruner`` or ``SuccessiveHalvingPruner``) decides which trials
    go on; this method decides what they try. The first trials are the prior studies' favourites,
    best first by what was learned of all of them together. Then every value that any trial has
    reported counts, in whatever bracket, and whether it was completed, pruned or is still running.

    Where nothing is reported, there is one training length, and what remains is the transfer
    Gaussian process of ``auto`` behind another opening.

    Attributes:
        n_warm_start: Favourites to begin with.
    """

    name: ClassVar[str] = "hyperband"
    learns_from_curves: ClassVar[bool] = True

    n_warm_start: int = 5

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: If one is out of range.
        """
        whole("n_warm_start", self.n_warm_start, 0)

    def policy(
        self, space: SearchSpace, prior: Prior[PriorModel] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
        if prior is None:
            design = cold_design(space, n_startup_trials)
            return AcquisitionPolicy(MultiFidelity(GaussianProcess()), design)
        process = TransferGaussianProcess(prior.learned, without_length(prior.to_prior))
        incumbents = prior.prior_incumbents
        with torch.no_grad():
            promise = prior.learned(prior.to_prior(incumbents))[:, 0]
        best_first = incumbents[torch.argsort(promise, descending=True, stable=True)]
        design = InitialDesign(
            n_startup_trials or 0, incumbents, ordered=best_first[: self.n_warm_start]
        )
        return AcquisitionPolicy(MultiFidelity(process), design, feasibility=prior.feasibility)

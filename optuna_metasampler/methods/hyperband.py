"""``hyperband``: for studies with a pruner, which stop most trials early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.gp import n_cold_startup_trials
from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.warm_start import WarmStartPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.surrogates.multi_fidelity import MultiFidelity, without_length
from optuna_metasampler.surrogates.prior_mean import PriorModel
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess
from optuna_metasampler.task import Task


@dataclass(frozen=True)
class Hyperband(Method[PriorModel]):
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
    min_studies: ClassVar[int] = 0
    learns_from_curves: ClassVar[bool] = True

    n_warm_start: int = 5

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: If one is out of range.
        """
        n = self.n_warm_start
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise ValueError(f"`n_warm_start` must be an int of 0 or more, but got {n!r}.")

    def learn(
        self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer
    ) -> PriorModel:
        """See :meth:`Method.learn`; what the prior studies say of final outcomes, as in `auto`."""
        return PriorModel.fit(list(tasks), generator)

    def policy(
        self, space: SearchSpace, prior: Prior[PriorModel] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
        if prior is None:
            n = n_cold_startup_trials(space) if n_startup_trials is None else n_startup_trials
            return AcquisitionPolicy(MultiFidelity(GaussianProcess()), n)
        process = TransferGaussianProcess(prior.learned, without_length(prior.to_prior))
        favourites = prior.favourites
        with torch.no_grad():
            promise = prior.learned(prior.to_prior(favourites))[:, 0]
        first = favourites[torch.argsort(promise, descending=True, stable=True)]
        then = AcquisitionPolicy(MultiFidelity(process), n_startup_trials or 0, favourites)
        return WarmStartPolicy(first[: self.n_warm_start], then)

    def pack(self, learned: PriorModel) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return learned.pack()

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> PriorModel:
        """See :meth:`Method.unpack`."""
        return PriorModel.unpack(space, tensors)

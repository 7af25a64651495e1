"""``portfolio``: a zero-shot list of configurations that complement each other.

Wistuba, Schilling & Schmidt-Thieme 2015, "Sequential model-free hyperparameter tuning", ICDM;
Winkelmolen et al. 2020, arXiv:2007.13382.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.default import cold_policy
from optuna_metasampler.methods.options import whole
from optuna_metasampler.packing import checked
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.portfolio import PortfolioPolicy, greedy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.prior_model import SourceProcesses, most_informative
from optuna_metasampler.task import Task


@dataclass(frozen=True)
class Portfolio(Method[Tensor]):
    """A list of configurations, tried one after the other; after it the cold Gaussian process.

    Every configuration that a prior study tried is a candidate. A Gaussian process of each study
    says how well each candidate does there, and the list takes those that lower the mean rank of
    the best so far the most.

    Attributes:
        size: Entries of the list, at most. It is shorter once it holds a best candidate for every
            study.
    """

    size: int = 10

    name: ClassVar[str] = "portfolio"
    min_studies: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: If one is out of range.
        """
        whole("size", self.size, 1, " Without a list this is the method 'gp'.")

    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> Tensor:
        """See :meth:`Method.learn`; the list, shape ``(l, e)``."""
        studies = most_informative(tasks)
        candidates = torch.unique(torch.cat([task.x for task in studies]), dim=0)
        with torch.no_grad():
            predicted = SourceProcesses.fit(studies, watch=trainer.count)(candidates).T
        # Ranks: studies differ in how far the good are from the best, and none may outweigh the
        # others for that.
        losses = predicted.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        entries: Tensor = candidates[greedy(losses.double() / len(candidates), self.size)]
        return entries

    def policy(
        self, space: SearchSpace, prior: Prior[Tensor] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
        assert prior is not None
        # The list stands in for the space-filling trials of the cold process.
        return PortfolioPolicy(
            prior.from_prior(prior.learned),
            cold_policy(space, 0),
            prior.unknown,
            n_startup_trials or 0,
        )

    def pack(self, learned: Tensor) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        return {"entries": learned}

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> Tensor:
        """See :meth:`Method.unpack`."""
        return checked(tensors, "entries", None, space.n_columns)

"""What samplers share that are told the whole search space in advance."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from benchmarks.peers.base import Setting


class KnownSpaceSampler(BaseSampler):
    """Samples the whole space at once; parameters that are left open are drawn at random."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._search_space: dict[str, BaseDistribution] = {
            p.name: p.distribution for p in setting.parameters
        }
        self._random = RandomSampler(seed=setting.seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._search_space

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._random.sample_independent(study, trial, param_name, param_distribution)

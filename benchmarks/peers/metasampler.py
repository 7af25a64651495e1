"""This project's sampler, by each of its methods."""

from __future__ import annotations

from collections.abc import Callable

import optuna

from benchmarks.peers.base import Setting
from optuna_metasampler import MetaSampler


def with_method(method: str) -> Callable[[Setting], optuna.Study]:
    """`MetaSampler` at its defaults; without priors in the setting, with none."""

    def build(setting: Setting) -> optuna.Study:
        sampler = MetaSampler(list(setting.priors) or None, method=method, seed=setting.seed)
        return optuna.create_study(direction=setting.direction, sampler=sampler)

    return build

"""This project's sampler, by each of its methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import optuna

from benchmarks.peers.base import Setting
from optuna_metasampler import MetaSampler


VARIANTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "mlp, no exploration": ("mlp", {"exploration": 0.0}),
    "mlp, svr": ("mlp", {"surrogate": "svr"}),
    "mlp, forest": ("mlp", {"surrogate": "forest"}),
    "mlp, boosting": ("mlp", {"surrogate": "boosting"}),
}
"""Methods with options that make them something else: name to method and options."""


def with_method(
    method: str, options: Mapping[str, Any] | None = None
) -> Callable[[Setting], optuna.Study]:
    """`MetaSampler` by one of its methods; without priors in the setting, with none."""

    def build(setting: Setting) -> optuna.Study:
        sampler = MetaSampler(
            list(setting.priors) or None,
            method=method,
            method_options=options,
            seed=setting.seed,
            # Spaces of known learners too are tuned without what is shipped about them.
            learner=None,
        )
        return optuna.create_study(direction=setting.direction, sampler=sampler)

    return build

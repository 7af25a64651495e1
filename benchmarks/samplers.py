"""Samplers as users make them, for experiments that drive Optuna's studies themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from optuna_metasampler import MetaSampler


Priors = Callable[[], Sequence[optuna.Study]]
"""Prior studies, made at the first call: not every sampler has a use for them."""

Make = Callable[[Priors, int], BaseSampler]
"""From prior studies and a seed to a sampler."""

RANDOM, TPE, GP, NSGA = "Random", "TPE", "GPSampler", "NSGA-II"
META, COLD = "MetaSampler", "MetaSampler, no priors"

SAMPLERS: dict[str, Make] = {
    RANDOM: lambda priors, seed: RandomSampler(seed=seed),
    TPE: lambda priors, seed: TPESampler(seed=seed),
    GP: lambda priors, seed: GPSampler(seed=seed),
    NSGA: lambda priors, seed: NSGAIISampler(seed=seed),
    META: lambda priors, seed: MetaSampler(list(priors()), seed=seed),
    COLD: lambda priors, seed: MetaSampler(seed=seed, learner=None),
}
"""By name, as in tables."""

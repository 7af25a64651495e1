"""Prior studies as tests need them; importing this costs little, for tests start processes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import create_trial

from optuna_metasampler.priors.study import PriorStudy


MINIMIZE = (StudyDirection.MINIMIZE,)


def study(name: str = "s", seed: int = 0, n: int = 4) -> PriorStudy:
    """A small study of every kind of parameter, one of which some trials lack."""
    rng = np.random.default_rng(seed)
    trials = []
    for number in range(n):
        params: dict[str, Any] = {"x": float(rng.random()), "n": int(rng.integers(1, 9))}
        space: dict[str, Any] = {"x": FloatDistribution(0, 1), "n": IntDistribution(1, 8)}
        if number % 2:
            params["c"], space["c"] = True, CategoricalDistribution([1, True, "a", None])
        trial = create_trial(params=params, distributions=space, value=float(rng.random()))
        trial.number = number
        trial.datetime_start = datetime(2024, 5, 1) + timedelta(minutes=number)
        trial.datetime_complete = trial.datetime_start + timedelta(seconds=30)
        trial.intermediate_values = {1: 0.5, 2: 0.25}
        trials.append(trial)
    return PriorStudy(name, MINIMIZE, tuple(trials), {"data": "iris"})

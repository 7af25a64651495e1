"""Claims: what workers tell each other of the configurations that they are about to take.

Two workers that choose at the same moment do not see each other's choice, because parameters
reach the storage one by one and after the choice. So each first writes what it is about to take,
and then looks whether another one has written the same. Whoever looks last sees both; the trial
with the lower number keeps the configuration, unless the other one has begun to use it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
import time
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.trial import FrozenTrial

from optuna_metasampler._optuna import exact_params, trial_id, trials_of_all_brackets
from optuna_metasampler._study_state import StudyState


CLAIM = "metasampler:claim"
"""System attribute of a trial with the values that it is about to take, as storages keep them."""

# Seconds to wait for a trial with a higher number that has claimed the same: it gives way as soon
# as it looks, or uses what it claims. Long only where its worker has died in between.
_PATIENCE, _PAUSE = 1.0, 0.01


def claim(
    state: StudyState,
    study: Study,
    trial: FrozenTrial,
    distributions: Mapping[str, BaseDistribution],
    params: Mapping[str, Any],
    known: Collection[int],
) -> bool:
    """Claim a configuration for a trial; whether no other trial takes the same.

    Args:
        state: State of the study.
        study: The study.
        trial: The trial.
        distributions: Name to distribution.
        params: The configuration.
        known: Numbers of the trials that had ended before it was chosen.
    """
    if not state.is_shared(study):
        return True
    ours = _stored(params, distributions)
    state.store(study, trial, {}, {CLAIM: ours})
    deadline = time.monotonic() + _PATIENCE
    while True:
        others = [
            other
            for other in trials_of_all_brackets(study)
            if other.number not in known
            and trial_id(other) != trial_id(trial)
            and _taken_by(other, distributions) == ours
        ]
        if not others:
            return True
        decided = any(o.number < trial.number or o.params for o in others)
        if decided or time.monotonic() > deadline:
            # Given up at once, so that nobody waits for it.
            state.store(study, trial, {}, {CLAIM: {}})
            return False
        time.sleep(_PAUSE)


def claimed(trial: FrozenTrial, distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The values that a running trial of another worker has claimed."""
    values = {}
    for name, stored in trial.system_attrs.get(CLAIM, {}).items():
        distribution = distributions.get(name)
        if isinstance(distribution, IntDistribution):
            values[name] = int(stored)
        elif distribution is not None:
            values[name] = distribution.to_external_repr(stored)
    return values


def _taken_by(
    trial: FrozenTrial, distributions: Mapping[str, BaseDistribution]
) -> dict[str, float]:
    stored = _stored(exact_params(trial), distributions)
    return stored if trial.state.is_finished() else {**trial.system_attrs.get(CLAIM, {}), **stored}


def _stored(
    params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]
) -> dict[str, float]:
    """The values of some parameters as storages keep them, but integers without rounding."""
    stored: dict[str, float] = {}
    for name, value in params.items():
        distribution = distributions.get(name)
        if isinstance(distribution, IntDistribution):
            stored[name] = int(value)
        elif distribution is not None:
            try:
                stored[name] = distribution.to_internal_repr(value)
            except ValueError:
                # An enqueued value that is no choice any more: equal to no other.
                stored[name] = -1.0 - len(stored)
    return stored

"""Prior studies as the transfer peers take them: today's parameters, larger is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any

import numpy as np

from benchmarks.peers.base import Setting
from benchmarks.problems.base import Params, random_params
from optuna_metasampler.history import finished_trials
from optuna_metasampler.space import Parameter, SearchSpace


_N_PROBES = 512


@dataclass(frozen=True)
class Source:
    """What one prior study says about today's parameters.

    Attributes:
        configurations: What of each trial has a name and a kind of today; ranges may differ.
        outcomes: Larger is better, finite, shape ``(n,)``.
    """

    configurations: list[Params]
    outcomes: np.ndarray


def space_of(setting: Setting) -> SearchSpace:
    """The whole space, with the conditions that the setting tells."""
    generator = np.random.default_rng(0)
    probes = [random_params(setting.parameters, generator) for _ in range(_N_PROBES)]
    return SearchSpace.of({p.name: p.distribution for p in setting.parameters}, probes)


def usable_sources(setting: Setting, space: SearchSpace) -> list[Source]:
    """The prior studies that share a parameter with ``space`` and tell good from bad."""
    sources = []
    for study in setting.priors:
        if len(study.directions) != 1:
            continue
        records = finished_trials(study.get_trials(deepcopy=False), study.directions)
        comparable = [_comparable(space, c) for c in records.configurations]
        kept = [i for i, c in enumerate(comparable) if c]
        outcomes = records.outcomes[kept, 0]
        finite = outcomes[np.isfinite(outcomes)]
        if len(finite):
            outcomes = np.clip(outcomes, finite.min(), finite.max())
            if outcomes.min() < outcomes.max():
                sources.append(Source([comparable[i] for i in kept], outcomes))
    return sources


def fit(space: SearchSpace, params: Mapping[str, Any]) -> Params:
    """Values that today's objective may be given: numbers are moved to the range and the grid."""
    return {
        p.name: p.decode(p.encode([params[p.name]])[0])
        for p in space.parameters
        if p.name in params
    }


def _comparable(space: SearchSpace, params: Mapping[str, Any]) -> Params:
    return {
        p.name: params[p.name]
        for p in space.parameters
        if p.name in params and _same_kind(p, params[p.name])
    }


def _same_kind(p: Parameter, value: object) -> bool:
    if p.categorical:
        return bool(p.encode([value]).any())
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
    )

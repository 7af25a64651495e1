"""Where the prior studies of a running study came from, as its trials record it.

The record is for a report in another process: the arguments of ``MetaSampler`` about prior
studies, where these are locations, and the method. It holds no password, and no query, which may
hold one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial


ORIGIN = "metasampler:priors"
"""System attribute of the first trial that a sampler suggested something to."""

_ARGUMENTS = (
    "prior", "prior_studies", "prior_filter", "rename", "fixed", "prior_fixed", "checkpoint",
    "learner", "method", "method_options",
)  # fmt: skip


def origin_of(arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of arguments of ``MetaSampler``; ``None`` if it could not be used again.

    Args:
        arguments: Those about prior studies, and the method, that say anything, by name.
    """
    found = dict(arguments)
    if "checkpoint" in found:
        found["checkpoint"] = str(found["checkpoint"])
    if "prior" in found:
        prior = found["prior"]
        sources = [prior] if isinstance(prior, (str, Path)) else prior
        if not isinstance(sources, Sequence) or not all(
            isinstance(one, (str, Path)) for one in sources
        ):
            return None
        found["prior"] = [_without_secrets(str(one)) for one in sources]
    try:
        json.dumps(found)
    except (TypeError, ValueError):
        return None
    return found if {"prior", "checkpoint", "learner", "method"} & found.keys() else None


def recorded_origin(trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    """The newest record among trials, as arguments of ``MetaSampler``; empty if there is none."""
    for trial in reversed(trials):
        found = trial.system_attrs.get(ORIGIN)
        if isinstance(found, Mapping):
            return {name: found[name] for name in _ARGUMENTS if name in found}
    return {}


def is_local(location: object) -> bool:
    """Whether a location is a file, and not a server: whoever wrote a record chose it."""
    return isinstance(location, str) and ("://" not in location or location.startswith("sqlite"))


def _without_secrets(location: str) -> str:
    if is_local(location):
        return location
    from sqlalchemy.engine import make_url

    # `prior` has been read, so that this is a URL.
    return make_url(location).set(password="", query={}).render_as_string(hide_password=False)

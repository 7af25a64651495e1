"""Shortlists: the choices that are considered of a parameter with very many.

An encoded point has a column for every choice, and a search moves to every choice of every
parameter: time and memory would grow with the square of their number. To a model, choices that no
trial has had are alike, so that a few of them stand for all; which ones, chance decides. As they
are tried, others take their place, so that every choice has its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from optuna_metasampler.space import choice_key, distinct, equal_key


MANY = 128
"""A parameter with more choices than this has a shortlist."""

# Several parameters with shortlists share this number of columns, but for these.
_IN_TOTAL = 2 * MANY
_LEAST = 16
# The best trials' choices must stay on a list.
_N_GOOD = 5

Shortlists = Mapping[str, tuple[Any, ...]]
"""The shortlist of every parameter that has one, by name, in the order of its choices."""


def many_choices(
    distributions: Mapping[str, BaseDistribution],
) -> dict[str, CategoricalDistribution]:
    """The parameters that have a shortlist."""
    return {
        name: d
        for name, d in distributions.items()
        if isinstance(d, CategoricalDistribution) and len(d.choices) > MANY
    }


def best_first(outcomes: NDArray[np.float64]) -> list[int]:
    """Rows of outcomes ``(n, m)``, larger is better, by their best rank in any objective."""
    ranks = np.argsort(np.argsort(-outcomes, axis=0, kind="stable"), axis=0, kind="stable")
    order = np.argsort(ranks.min(axis=1, initial=len(ranks)), kind="stable")
    return [int(row) for row in order]


def shortlists_of_priors(
    distributions: Mapping[str, BaseDistribution], ranked: Iterable[Mapping[str, Any]]
) -> dict[str, tuple[Any, ...]]:
    """Shortlists of prior studies: the choices that their best trials had.

    Args:
        distributions: Name to distribution.
        ranked: Their configurations, the best ones first.
    """
    many = many_choices(distributions)
    limit = _limit(len(many))
    found: dict[str, dict[object, Any]] = {name: {} for name in many}
    if many:
        for configuration in ranked:
            for name, choices in found.items():
                if name in configuration and len(choices) < limit:
                    choices.setdefault(choice_key(configuration[name]), configuration[name])
    return {
        # The common kind of a parameter may have been decided by trials that failed.
        name: tuple(choices.values()) or many[name].choices[:1]
        for name, choices in found.items()
    }


@dataclass(frozen=True)
class Trials:
    """What a shortlist depends on.

    Attributes:
        ranked: Configurations with an outcome, the best ones first.
        others: All other configurations, those of running trials included.
        fixed: Values of the trial that is asked for.
        known: Choices that prior studies know, by name.
    """

    ranked: Sequence[Mapping[str, Any]]
    others: Sequence[Mapping[str, Any]] = ()
    fixed: Mapping[str, Any] | None = None
    known: Mapping[str, Sequence[Any]] | None = None


def shortlists(
    distributions: Mapping[str, BaseDistribution],
    trials: Trials,
    seed: int,
    previous: Shortlists | None = None,
) -> dict[str, tuple[Any, ...]]:
    """Shortlists of a running study.

    A list has the choices that prior studies know, those of the best trials, and some that were
    tried least often.

    Args:
        distributions: Name to distribution.
        trials: What is known so far.
        seed: Decides between choices that were tried equally often.
        previous: Earlier lists of the same study, which stay while they serve: a model of the
            same columns need not be fitted anew.
    """
    many = many_choices(distributions)
    limit = _limit(len(many))
    return {
        name: _shortlist(name, d.choices, trials, seed, limit, (previous or {}).get(name))
        for name, d in many.items()
    }


def _limit(n_many: int) -> int:
    return max(_LEAST, min(MANY, _IN_TOTAL // max(n_many, 1)))


def _shortlist(
    name: str,
    choices: tuple[Any, ...],
    trials: Trials,
    seed: int,
    limit: int,
    previous: tuple[Any, ...] | None,
) -> tuple[Any, ...]:
    every = distinct(choices)
    place = {equal_key(choice): i for i, choice in enumerate(every)}
    by_type = {choice_key(choice): place[equal_key(choice)] for choice in choices}

    def places(configurations: Iterable[Mapping[str, Any]]) -> list[int]:
        found = (place.get(equal_key(c[name])) for c in configurations if name in c)
        return [i for i in found if i is not None]

    ranked = places(trials.ranked)
    n_tries = np.zeros(len(every), dtype=np.int64)
    for i in itertools.chain(ranked, places(trials.others)):
        n_tries[i] += 1
    known = (by_type.get(choice_key(choice)) for choice in (trials.known or {}).get(name, ()))
    needed = [
        *places([trials.fixed or {}]),
        *[i for i in known if i is not None][:limit],
        *ranked[:_N_GOOD],
    ]
    least = n_tries == n_tries.min()
    if previous is not None:
        kept = {place.get(equal_key(choice), -1) for choice in previous}
        enough = min(limit // 8, int(least.sum()))
        if -1 not in kept and kept.issuperset(needed) and least[list(kept)].sum() >= enough:
            return previous
    listed = dict.fromkeys(needed)
    for i in dict.fromkeys(ranked):
        if len(listed) >= len(dict.fromkeys(needed)) + limit * 3 // 4:
            break
        listed[i] = None
    # Sorted by the number of tries, and shuffled among equals.
    shuffled = np.random.RandomState(seed).permutation(len(every))
    order = shuffled[np.argsort(n_tries[shuffled], kind="stable")]
    rest = [int(i) for i in order if int(i) not in listed]
    fresh = rest[: max(limit // 4, limit - len(listed))]
    return tuple(every[i] for i in sorted([*listed, *fresh]))

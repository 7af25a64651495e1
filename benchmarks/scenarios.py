"""What the prior studies of a target are like: one table of circumstances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import functools

import numpy as np

from benchmarks import priors
from benchmarks.priors import N_TRIALS, Log, View, make_log, rename_to_clash
from benchmarks.problems.base import Suite, seed_of
from benchmarks.problems.synthetic import SyntheticSuite


Spoil = Callable[[Log, np.random.Generator], Log]


@dataclass(frozen=True)
class Scenario:
    """How many prior studies, how they were made, and what is wrong with them.

    Attributes:
        n_priors: Number of prior studies.
        exact: Whether fewer will not do where the suite has fewer tasks.
        design: How their trials were chosen; see `make_log`.
        view: The space that they searched, from today's.
        spoil: What happened to their values, by position.
        foreign: Whether they are from another space with clashing names.
        n_trials: How many trials each of them has.
    """

    n_priors: int
    exact: bool = False
    design: str = "tpe"
    view: priors.ViewRule = priors.same
    spoil: tuple[Spoil | None, ...] = ()
    foreign: bool = False
    n_trials: int = N_TRIALS


_N = 5

SCENARIOS: dict[str, Scenario] = {
    "none": Scenario(0),
    "tpe-1": Scenario(1),
    "tpe-3": Scenario(3, exact=True),
    "tpe-5": Scenario(_N),
    "tpe-8": Scenario(8, exact=True),
    "tpe-30": Scenario(30, exact=True),
    "tpe-100": Scenario(100, exact=True),
    "random-5": Scenario(_N, design="random"),
    "random-30x200": Scenario(30, exact=True, design="random", n_trials=200),
    "short": Scenario(_N, n_trials=10),
    "long": Scenario(1, design="random", n_trials=1000),
    "one-sided": Scenario(_N, spoil=(priors.keep_best,) * _N),
    "overlap-dropped": Scenario(_N, view=priors.dropped),
    "overlap-ranges": Scenario(_N, view=priors.ranges),
    "overlap-renamed": Scenario(_N, view=priors.renamed),
    "overlap-linear": Scenario(_N, view=priors.linear),
    "overlap-choices": Scenario(_N, view=priors.choices),
    "overlap-all": Scenario(_N, view=priors.everything),
    "flipped": Scenario(_N, spoil=(priors.flip,) * _N),
    "shuffled": Scenario(_N, spoil=(priors.shuffle,) * _N),
    "foreign": Scenario(_N, foreign=True),
    "mixed": Scenario(6, exact=True, spoil=(None, None) + (priors.flip,) * 4),
    "scaled": Scenario(_N, spoil=(priors.rescale,) * _N),
}
"""By name. ``mixed`` is two good priors and four flipped ones."""


def applies(name: str, suite: Suite, target: str) -> bool:
    """Whether a scenario can be had: enough other tasks, and something that changes."""
    scenario = SCENARIOS[name]
    if scenario.foreign or scenario.n_priors == 0:
        return True
    n_sources = len(suite.sources(target))
    if n_sources == 0 or (scenario.exact and n_sources < scenario.n_priors):
        return False
    changed = scenario.view(suite.parameters, np.random.default_rng(0))
    return scenario.view is priors.same or changed != View(suite.parameters)


def prior_logs(name: str, suite: Suite, target: str, seed: int) -> list[Log]:
    """The logs of the prior studies: the same for every peer, and never of the target itself.

    Sources are drawn at random by suite, target and seed; a scenario with more of them has those
    of a scenario with fewer first, so that peers can be compared across scenarios.
    """
    scenario = SCENARIOS[name]
    generator = np.random.default_rng(seed_of(suite.name, target, seed, "sources"))
    origin = _FOREIGN if scenario.foreign else suite
    tasks = _FOREIGN.tasks if scenario.foreign else suite.sources(target)
    drawn = generator.permutation(len(tasks))[: scenario.n_priors]
    view = scenario.view(
        origin.parameters, np.random.default_rng(seed_of(suite.name, target, seed, name))
    )
    logs = []
    for position, index in enumerate(drawn):
        log = _log(origin, tasks[index], view, scenario.design, seed, scenario.n_trials)
        if scenario.foreign:
            log = rename_to_clash(log, suite.parameters)
        if scenario.spoil and (spoil := scenario.spoil[position]) is not None:
            log = spoil(log, np.random.default_rng(seed_of(suite.name, tasks[index], seed, name)))
        logs.append(log)
    return logs


_FOREIGN = SyntheticSuite(0.0)


@functools.lru_cache(maxsize=1024)
def _log(suite: Suite, task: str, view: View, design: str, seed: int, n_trials: int) -> Log:
    """A log, made once: scenarios share their sources."""
    return make_log(suite, task, view, design, seed_of(suite.name, task, design, seed), n_trials)

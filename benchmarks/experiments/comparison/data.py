"""Runs that can be compared, as regrets, and pairs of them.

A task is one observation, whatever its seeds. Differences are of mean log10 regret over the
trials, in decades: at -1 it is a tenth, and below 0 the first is better. They are taken task by
task, over the trials and tasks that both have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any

import numpy as np

from benchmarks.problems.base import Scale
from benchmarks.run import Run
from benchmarks.statistics import (
    FLOOR,
    best_so_far,
    bootstrap,
    bootstrap_ratio,
    log_regret,
    pooled_mean,
)


Key = tuple[str, str, str, str, int]
Task = tuple[str, str]
Entry = dict[Task, np.ndarray]
"""One row of a comparison: by task the regret of the best so far, ``(n_seeds, n_trials)``."""

REFERENCE = "MetaSampler"
WITHHELD = "MetaSampler, priors withheld"

FEWEST_TESTED = 6
"""Tasks below which there are no ranks and p-values: of five, no p-value can be below 5%."""

PEERS = (
    REFERENCE,
    WITHHELD,
    "RGPE",
    "Meta-learn TPE",
    "Zero-shot portfolio",
    "MetaSampler (gp) + best priors",
    "GPSampler + best priors",
    "TPE + best priors",
    "TPE + all prior trials",
    "CMA-ES + source trials",
    "GPSampler",
    "BoTorch",
    "HEBO",
    "Ax",
    "SMAC3",
    "TPE",
    "CMA-ES",
    "QMC",
    "Random",
)
"""In the order of tables: those that use prior studies first. Others follow by name."""


def in_order(peers: Iterable[str]) -> list[str]:
    """Peers in the order of tables."""
    place = {peer: i for i, peer in enumerate(PEERS)}
    return sorted(peers, key=lambda peer: (place.get(peer, len(place)), peer))


@dataclass(frozen=True)
class Data:
    """Runs that can be compared, as regrets.

    Attributes:
        regrets: By peer and scenario.
        n_priors: Number of prior studies by scenario and task.
        cold: Who each peer is without priors.
        horizon: Trials that are looked at: 50, or the largest budget if that is less.
        n_draws: Of the bootstrap.
    """

    regrets: Mapping[tuple[str, str], Entry]
    n_priors: Mapping[tuple[str, Task], int]
    cold: Mapping[str, str]
    horizon: int
    n_draws: int

    def entries(self, scenario: str, suites: Collection[str]) -> dict[str, Entry]:
        """All that can be compared in a scenario, in the order of tables.

        Peers that take no priors are those of scenario ``none``, and so is a peer whose priors are
        withheld. All are cut to the tasks on which `MetaSampler` ran, if it did.
        """
        warm = {p: e for (p, s), e in self.regrets.items() if s == scenario != "none"}
        cold = {self._cold_name(p): e for (p, s), e in self.regrets.items() if s == "none"}
        leaders = [warm[REFERENCE]] if REFERENCE in warm else list((warm or cold).values())
        pool = {task for entry in leaders for task in entry if task[0] in suites}
        found = {p: {t: e[t] for t in sorted(pool & e.keys())} for p, e in (cold | warm).items()}
        return {peer: found[peer] for peer in in_order(found) if found[peer]}

    def _cold_name(self, peer: str) -> str:
        return f"{peer}, priors withheld" if self.cold.get(peer) == peer else peer

    def entry(self, peer: str, scenario: str, suites: Collection[str]) -> Entry:
        """A peer in a scenario on some suites."""
        found = self.regrets.get((peer, scenario), {})
        return {task: regrets for task, regrets in found.items() if task[0] in suites}

    def without(self, peer: str) -> Entry:
        """A peer without priors, on all tasks."""
        return self.regrets.get((self.cold[peer], "none"), {})

    def with_and_without(self, peer: str, scenario: str, suites: Collection[str]) -> Paired:
        """A peer in a scenario, and itself without priors."""
        return Paired.of(self.entry(peer, scenario, suites), self.without(peer), self.horizon)

    def with_another_seed(self, peer: str, suites: Collection[str]) -> Paired:
        """The first seed of a peer without priors, and its other seeds: mere chance."""
        seeds = {t: e for t, e in self.without(peer).items() if t[0] in suites and len(e) > 1}
        first = {task: regrets[:1] for task, regrets in seeds.items()}
        others = {task: regrets[1:] for task, regrets in seeds.items()}
        return Paired.of(first, others, self.horizon)

    def interval(self, values: np.ndarray, suites: Sequence[str]) -> list[float | None]:
        """Pooled mean of a value a task, and the ends of its interval."""
        low, high = bootstrap(values, suites, self.n_draws)
        return [rounded(v) for v in (pooled_mean(values, suites), low, high)]

    def difference(self, paired: Paired, floor: float = FLOOR) -> list[float | None]:
        """Pooled mean of the differences of a pair, and the ends of its interval."""
        return self.interval(paired.differences(floor), paired.suites)

    def ratio(self, above: Paired, below: Paired) -> list[float | None]:
        """Ratio of two pairs' pooled means over the same tasks, and the ends of its interval."""
        a, b = above.differences(), below.differences()
        mean = pooled_mean(a, above.suites) / pooled_mean(b, below.suites)
        return [rounded(v) for v in (mean, *bootstrap_ratio(a, b, above.suites, self.n_draws))]


@dataclass(frozen=True)
class Paired:
    """Two rows of a comparison on the tasks that both have; ``n_trials`` is of the shorter."""

    tasks: tuple[Task, ...]
    pairs: tuple[tuple[np.ndarray, np.ndarray], ...]

    @classmethod
    def of(cls, first: Entry, second: Entry, horizon: int) -> Paired:
        """Cut to their common tasks and trials."""
        tasks = tuple(sorted(first.keys() & second.keys()))
        pairs = []
        for task in tasks:
            n_trials = min(horizon, first[task].shape[1], second[task].shape[1])
            pairs.append((first[task][:, :n_trials], second[task][:, :n_trials]))
        return cls(tasks, tuple(pairs))

    @property
    def suites(self) -> tuple[str, ...]:
        """The suite of each task."""
        return tuple(suite for suite, _ in self.tasks)

    @property
    def counts(self) -> dict[str, int]:
        """Number of tasks and of suites, as columns of a row."""
        return {"n_tasks": len(self.tasks), "n_suites": len(set(self.suites))}

    def of_tasks(self, tasks: Collection[Task]) -> Paired:
        """The part on some tasks."""
        kept = [i for i, task in enumerate(self.tasks) if task in tasks]
        return Paired(tuple(self.tasks[i] for i in kept), tuple(self.pairs[i] for i in kept))

    def with_trials(self, n: int) -> Paired:
        """The part on tasks with at least so many trials."""
        return self.of_tasks(
            {t for t, (a, _) in zip(self.tasks, self.pairs, strict=True) if a.shape[1] >= n}
        )

    def endpoints(self) -> np.ndarray:
        """The first's mean log10 regret."""
        return np.array([endpoint(first) for first, _ in self.pairs])

    def differences(self, floor: float = FLOOR) -> np.ndarray:
        """First minus second, of mean log10 regret."""
        return np.array([endpoint(a, floor) - endpoint(b, floor) for a, b in self.pairs])

    def differences_from(self, trial: int) -> np.ndarray:
        """First minus second, of mean log10 regret over the trials from this one on."""
        return np.array(
            [endpoint(a[:, trial - 1 :]) - endpoint(b[:, trial - 1 :]) for a, b in self.pairs]
        )

    def differences_at(self, trial: int) -> np.ndarray:
        """First minus second, of the regret at a trial (or the last that both have)."""
        values = []
        for first, second in self.pairs:
            # The geometric mean over seeds.
            a, b = 10 ** curve(first), 10 ** curve(second)
            values.append(a[min(trial, len(a)) - 1] - b[min(trial, len(b)) - 1])
        return np.array(values)

    def gaps_at(self, trial: int, later: int | None = None) -> np.ndarray:
        """First at a trial minus second at the same, or at a later one, of log10 regret."""
        other = trial if later is None else later
        return np.array([curve(a)[trial - 1] - curve(b)[other - 1] for a, b in self.pairs])


def curve(regrets: np.ndarray, floor: float = FLOOR) -> np.ndarray:
    """Mean over seeds of log10 regret, by trial."""
    means: np.ndarray = log_regret(regrets, floor).mean(axis=0)
    return means


def endpoint(regrets: np.ndarray, floor: float = FLOOR) -> float:
    """Mean over seeds and trials of log10 regret."""
    return float(log_regret(regrets, floor).mean())


# --- From runs --------------------------------------------------------------------------------


def usable_runs(runs: Iterable[Run]) -> tuple[list[Run], dict[Key, str]]:
    """The last run of each key if it came to its end, and what is wrong with the others.

    Raises:
        ValueError: If two of them have other objectives or prior trials where they should not.
    """
    latest = {run.key: run for run in runs}
    problems = {key: problem for key, run in latest.items() if (problem := _problem(run))}
    usable = [run for key, run in sorted(latest.items()) if key not in problems]
    _refuse_strangers(usable)
    return usable, problems


def _problem(run: Run) -> str | None:
    """What is wrong with a run."""
    if run.error is not None:
        return run.error
    if len(run.values) < run.n_trials:
        return f"has {len(run.values)} of {run.n_trials} trials"
    if not np.isfinite(run.values).any():
        return "no value is finite"
    return None


def _refuse_strangers(runs: Iterable[Run]) -> None:
    """See to it that what is compared had the same objective, and the same prior trials."""
    known: dict[tuple[object, ...], Run] = {}
    for run in runs:
        other = known.setdefault(("objectives", run.suite, run.task), run)
        _refuse("objectives", run, other, run.objective, other.objective)
        if run.n_priors > 0:
            other = known.setdefault((run.suite, run.task, run.scenario, run.seed), run)
            _refuse("prior trials", run, other, run.priors, other.priors)


def _refuse(what: str, run: Run, other: Run, mine: str, theirs: str) -> None:
    if mine != theirs:
        raise ValueError(
            f"Runs of {run.suite}, {run.task}, have different {what}: {theirs} {_name(other)} and "
            f"{mine} {_name(run)}. They cannot be compared."
        )


def _name(run: Run) -> str:
    return f"({run.peer}, {run.scenario}, seed {run.seed})"


@dataclass(frozen=True)
class Scales:
    """What tasks are judged by.

    Attributes:
        of: By task.
        derived: Tasks whose best value is that of all runs, as no other is known.
        missing: Why a task has none.
    """

    of: Mapping[Task, Scale]
    derived: frozenset[Task]
    missing: Mapping[Task, str]


def scales_of(runs: Iterable[Run]) -> Scales:
    """The scale of each task.

    Where its runs have none, the best value is that of all of them, and the median that of all
    values of random search.
    """
    by_task: dict[Task, list[Run]] = defaultdict(list)
    for run in runs:
        by_task[run.suite, run.task].append(run)
    found: dict[Task, Scale] = {}
    missing: dict[Task, str] = {}
    derived = set()
    for task, its in sorted(by_task.items()):
        scale = next((run.scale for run in its if run.scale is not None), None)
        if scale is None:
            derived.add(task)
            scale = _derived_scale(its)
        if scale is None:
            missing[task] = "no scale is known, and there is no run of Random"
        elif scale.best == scale.median:
            missing[task] = "the best value is the median value"
        else:
            found[task] = scale
    return Scales(found, frozenset(derived & found.keys()), missing)


def _derived_scale(runs: Sequence[Run]) -> Scale | None:
    values = [(run.peer, v) for run in runs for v in run.values if math.isfinite(v)]
    random = [value for peer, value in values if peer == "Random"]
    if not random:
        return None
    best = max if runs[0].direction == "maximize" else min
    return Scale(best(value for _, value in values), float(np.median(random)))


def regrets_by_peer(
    runs: Iterable[Run], scales: Mapping[Task, Scale]
) -> dict[tuple[str, str], Entry]:
    """Regrets of the best so far; seeds of different budgets are cut to the shortest."""
    curves: dict[tuple[str, str], dict[Task, list[np.ndarray]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for run in runs:
        task = (run.suite, run.task)
        found = best_so_far(scales[task].regret(run.values[: run.n_trials]))
        curves[run.peer, run.scenario][task].append(found)
    return {
        who: {
            task: np.stack([seed[: min(map(len, seeds))] for seed in seeds])
            for task, seeds in entry.items()
        }
        for who, entry in curves.items()
    }


def rounded(value: Any, digits: int = 4) -> float | None:
    """A number as JSON has it; what is not finite is None."""
    return round(float(value), digits) if math.isfinite(value) else None


def all_rounded(values: np.ndarray, digits: int) -> list[float | None]:
    """All values of a curve, rounded as by `rounded`."""
    return [rounded(v, digits) for v in values]

"""From runs to every number of the report: `summarize` returns one JSON-able dictionary.

Differences are of mean log10 regret over the trials, in decades: at -1 it is a tenth, and below 0
the first is better. They are taken task by task, over the trials and tasks that both have.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any

import numpy as np

from benchmarks.peers.ablations import ABLATIONS
from benchmarks.problems.base import Scale
from benchmarks.results import Run
from benchmarks.statistics import (
    FLOOR,
    N_DRAWS,
    best_so_far,
    bootstrap,
    bootstrap_ratio,
    first_at_or_below,
    friedman_p,
    holm,
    log_regret,
    nemenyi,
    pooled_mean,
    ranks,
    signed_rank_p,
    wins_ties_losses,
)


Key = tuple[str, str, str, str, int]
Task = tuple[str, str]
Entry = dict[Task, np.ndarray]
"""One row of a comparison: by task the regret of the best so far, ``(n_seeds, n_trials)``."""

HORIZON = 50
SOON = 10
LOW_FLOOR = 1e-4
LOSS = 0.05
HARM = 0.02
CHECKPOINTS = (1, 3, 5, 10, 20, 30, 50, 100)
RANKED_AT = (10, 25, 50)

_N_FIRST = 10
_FIRST_AND_OTHERS = (slice(0, 1), slice(1, None))

REFERENCE = "MetaSampler"
WITHHELD = "MetaSampler, priors withheld"
MAIN = "tpe-5"
K_SCENARIOS = {1: "tpe-1", 3: "tpe-3", 5: "tpe-5", 8: "tpe-8", 30: "tpe-30"}
OVERLAPS = tuple(
    f"overlap-{kind}" for kind in ("dropped", "ranges", "renamed", "linear", "choices", "all")
)
HARMS = (
    "tpe-5",
    "random-5",
    "short",
    "long",
    "one-sided",
    "scaled",
    "foreign",
    "shuffled",
    "mixed",
    "flipped",
)
SYNTHETIC = "synthetic_"
SIMULATORS = "sim_"
ABLATED = {f"{REFERENCE} {name}": name for name in ABLATIONS}
"""Peers that are the reference with one part told otherwise: they have a table of their own."""

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

ENQUEUED = ("TPE + best priors", "GPSampler + best priors")
"""Optuna's samplers that get the best trial of each prior study, which is what most users do."""

MAIN_PEERS = (
    REFERENCE,
    WITHHELD,
    "RGPE",
    "GPSampler + best priors",
    "TPE + best priors",
    "GPSampler",
    "TPE",
    "Random",
)
"""Those of the short table, of curves and of the table by suite."""


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
        return {peer: found[peer] for peer in _in_order(found) if found[peer]}

    def _cold_name(self, peer: str) -> str:
        return f"{peer}, priors withheld" if self.cold.get(peer) == peer else peer

    def with_and_without(self, peer: str, scenario: str, suites: Collection[str]) -> Paired:
        """A peer in a scenario beside its own cold self."""
        warm = self.regrets.get((peer, scenario), {})
        cold = self.regrets.get((self.cold[peer], "none"), {})
        return Paired.of({t: e for t, e in warm.items() if t[0] in suites}, cold, self.horizon)

    def with_another_seed(self, peer: str, suites: Collection[str]) -> Paired:
        """A peer without priors beside itself, its first seed against the others: mere chance."""
        cold = self.regrets.get((self.cold[peer], "none"), {})
        seeds = {t: e for t, e in cold.items() if t[0] in suites and len(e) > 1}
        first, others = ({t: e[part] for t, e in seeds.items()} for part in _FIRST_AND_OTHERS)
        return Paired.of(first, others, self.horizon)


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
        return np.array([_endpoint(first) for first, _ in self.pairs])

    def differences(self, floor: float = FLOOR) -> np.ndarray:
        """First minus second, of mean log10 regret."""
        return np.array([_endpoint(a, floor) - _endpoint(b, floor) for a, b in self.pairs])

    def differences_at(self, trial: int) -> np.ndarray:
        """First minus second, of the regret at a trial (or the last that both have)."""
        values = []
        for first, second in self.pairs:
            # The geometric mean over seeds.
            a, b = 10 ** _curve(first), 10 ** _curve(second)
            values.append(a[min(trial, len(a)) - 1] - b[min(trial, len(b)) - 1])
        return np.array(values)


def _curve(regrets: np.ndarray, floor: float = FLOOR) -> np.ndarray:
    """Mean over seeds of log10 regret, by trial."""
    return log_regret(regrets, floor).mean(axis=0)


def _endpoint(regrets: np.ndarray, floor: float = FLOOR) -> float:
    """Mean over seeds and trials of log10 regret."""
    return float(log_regret(regrets, floor).mean())


def summarize(
    runs: Iterable[Run],
    scales: Mapping[str, Any],
    cold: Mapping[str, str],
    expected: Iterable[Key] = (),
    n_draws: int = N_DRAWS,
) -> dict[str, Any]:
    """All numbers of the report.

    Args:
        runs: All of them, failed ones too; of two with the same key the last one counts.
        scales: By suite its ``direction``, whether it was ``seen`` while methods were made, and
            for ``tasks`` the ``best`` and ``median`` value. Those of a task that is not there are
            taken from the runs.
        cold: Who each peer is without priors, by name.
        expected: Keys of the runs that there should be.
        n_draws: Of the bootstrap.

    Raises:
        ValueError: If runs would be compared that differ in their objective, or if a suite is not
            among ``scales``.
    """
    latest = {run.key: run for run in runs}
    usable, problems = usable_runs(latest.values())
    found, unscaled = task_scales(usable, scales)
    judged = [run for run in usable if (run.suite, run.task) in found]
    horizon = min(HORIZON, max((run.n_trials for run in judged), default=HORIZON))
    ablated = [run for run in judged if run.peer in ABLATED]
    judged = [run for run in judged if run.peer not in ABLATED]
    n_priors = {(run.scenario, (run.suite, run.task)): run.n_priors for run in judged}
    data = Data(regrets_by_peer(judged, found), n_priors, cold, horizon, n_draws)

    suites = sorted({run.suite for run in judged})
    real = [suite for suite in suites if not suite.startswith(SYNTHETIC)]
    # Where the best value is that of the runs, regrets say less: such suites stand by themselves.
    known = [s for s in real if all(t in scales[s]["tasks"] for u, t in found if u == s)]
    pooled = known or real
    pools = {
        "all": pooled,
        "seen": [suite for suite in pooled if scales[suite].get("seen", False)],
        "unseen": [suite for suite in pooled if not scales[suite].get("seen", False)],
        "simulators": [suite for suite in real if suite.startswith(SIMULATORS)],
    }
    scenarios = {run.scenario for run in judged if run.suite in real}
    main = MAIN if MAIN in scenarios else max(sorted(scenarios), default=MAIN)
    entries = data.entries(main, pooled)
    shared = _on_common_tasks(entries)
    return {
        "horizon": horizon,
        "scenario": main,
        "provenance": _provenance(latest.values(), judged + ablated, scales, found)
        | {
            "n_priors": sorted(
                {n for (s, t), n in n_priors.items() if s == main and t[0] in pooled}
            )
        },
        "pools": pools,
        "comparison": {
            name: comparison(data, data.entries(main, pool)) for name, pool in pools.items()
        },
        "shared_comparison": comparison(data, shared),
        "cold_comparison": comparison(data, data.entries("none", pooled)),
        "cold_simulators": comparison(data, data.entries("none", pools["simulators"])),
        "by_suite": {s: comparison(data, data.entries(main, [s])) for s in real},
        "ranks": rank_table(data, shared),
        "curves": {
            "all": curves(data, shared, bands=True),
            "by_suite": {s: curves(data, data.entries(main, [s])) for s in real},
        },
        "match": match_table(data, entries),
        "harm": harm_table(data, pooled),
        "harm_simulators": harm_table(data, pools["simulators"]),
        "n_priors": n_priors_table(data, pooled),
        "overlap": overlap_table(data, pooled),
        "relatedness": relatedness_table(data, suites),
        "ablation": ablation_table(data, regrets_by_peer(ablated, found), pooled),
        "aims": aims_table(data, pooled),
        "hindsight": hindsight(data, shared),
        "losses": losses(data, data.entries(main, real)),
        "repeats": repeats_table(judged, pooled, main, horizon),
        "problems": _problem_table(problems, set(expected) - latest.keys()),
        "unscaled": [{"suite": s, "task": t, "reason": r} for (s, t), r in unscaled.items()],
    }


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


def _on_common_tasks(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Cut to the tasks on which all main peers ran: there their means can be set side by side."""
    main = [set(entries[peer]) for peer in MAIN_PEERS if peer in entries]
    common = set.intersection(*main) if main else set()
    cut = {p: {t: e[t] for t in e if t in common} for p, e in entries.items()}
    return {peer: entry for peer, entry in cut.items() if entry}


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
    objectives: dict[Task, Run] = {}
    priors: dict[tuple[str, str, str, int], Run] = {}
    for run in runs:
        other = objectives.setdefault((run.suite, run.task), run)
        if other.objective != run.objective:
            raise ValueError(
                f"Runs of {run.suite}, {run.task}, have different objectives: {other.objective} "
                f"{_name(other)} and {run.objective} {_name(run)}. They cannot be compared."
            )
        if run.n_priors == 0:
            continue
        other = priors.setdefault((run.suite, run.task, run.scenario, run.seed), run)
        if other.priors != run.priors:
            raise ValueError(
                f"Runs of {run.suite}, {run.task}, have different prior trials: {other.priors} "
                f"{_name(other)} and {run.priors} {_name(run)}. They cannot be compared."
            )


def _name(run: Run) -> str:
    return f"({run.peer}, {run.scenario}, seed {run.seed})"


def task_scales(
    runs: Iterable[Run], scales: Mapping[str, Any]
) -> tuple[dict[Task, Scale], dict[Task, str]]:
    """The scale of each task, and why a task has none.

    Where ``scales`` has none, the best value is that of all runs, and the median that of all
    values of random search.
    """
    values: dict[Task, list[float]] = defaultdict(list)
    random: dict[Task, list[float]] = defaultdict(list)
    for run in runs:
        finite = [v for v in run.values if math.isfinite(v)]
        values[run.suite, run.task] += finite
        random[run.suite, run.task] += finite if run.peer == "Random" else []
    found: dict[Task, Scale] = {}
    missing: dict[Task, str] = {}
    for suite, task in sorted(values):
        if suite not in scales:
            raise ValueError(f"scales.json has no suite {suite!r}, of which there are runs.")
        known = scales[suite]["tasks"].get(task)
        if known is None and not random[suite, task]:
            missing[suite, task] = "no scale is known, and there is no run of Random"
            continue
        best = max if scales[suite]["direction"] == "maximize" else min
        scale = (
            Scale(known["best"], known["median"])
            if known is not None
            else Scale(best(values[suite, task]), float(np.median(random[suite, task])))
        )
        if scale.best == scale.median:
            missing[suite, task] = "the best value is the median value"
        else:
            found[suite, task] = scale
    return found, missing


def regrets_by_peer(
    runs: Iterable[Run], scales: Mapping[Task, Scale]
) -> dict[tuple[str, str], dict[Task, np.ndarray]]:
    """Regrets of the best so far; seeds of different budgets are cut to the shortest."""
    curves: dict[tuple[str, str], dict[Task, list[np.ndarray]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for run in runs:
        task = (run.suite, run.task)
        curve = best_so_far(scales[task].regret(run.values[: run.n_trials]))
        curves[run.peer, run.scenario][task].append(curve)
    return {
        who: {
            task: np.stack([seed[: min(map(len, seeds))] for seed in seeds])
            for task, seeds in entry.items()
        }
        for who, entry in curves.items()
    }


def _provenance(
    runs: Collection[Run],
    judged: Sequence[Run],
    scales: Mapping[str, Any],
    found: Mapping[Task, Scale],
) -> dict[str, Any]:
    versions: dict[str, set[str]] = defaultdict(set)
    for run in judged:
        for package, version in run.versions.items():
            versions[package].add(version)
    tasks = Counter(suite for suite, _ in found)
    derived = [list(t) for t in found if t[1] not in scales[t[0]]["tasks"]]
    return {
        "n_runs": len(runs),
        "n_judged": len(judged),
        "n_trials": sum(run.n_trials for run in judged),
        "seeds": sorted({run.seed for run in judged}),
        "tasks": dict(tasks),
        "derived_scales": derived,
        "versions": {package: sorted(found) for package, found in sorted(versions.items())},
    }


def comparison(data: Data, entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """How every peer did, and how it compares with `MetaSampler`."""
    reference = next((name for name in (REFERENCE, WITHHELD) if name in entries), None)
    rows = []
    for peer, entry in entries.items():
        suites = [suite for suite, _ in entry]
        whole_budget = min(regrets.shape[1] for regrets in entry.values())
        whole = np.stack([_curve(regrets[:, :whole_budget]) for regrets in entry.values()])
        budget = min(whole_budget, data.horizon)
        cut = [regrets[:, :budget] for regrets in entry.values()]
        logs = whole[:, :budget]
        low_floor = [_endpoint(regrets, LOW_FLOOR) for regrets in cut]
        seeds = [len(regrets) for regrets in cut]
        row: dict[str, Any] = {
            "peer": peer,
            "n_tasks": len(entry),
            "n_suites": len(set(suites)),
            "n_seeds": [min(seeds), max(seeds)],
            "n_trials": budget,
            # The geometric mean: a mean of regrets would be that of the few worst tasks.
            "regret": {
                str(n): _round(10 ** pooled_mean(whole[:, n - 1], suites))
                for n in CHECKPOINTS
                if n <= whole_budget
            },
            "endpoint": _interval(logs.mean(axis=1), suites, data.n_draws),
            "endpoint_low_floor": _round(pooled_mean(np.array(low_floor), suites)),
        }
        if reference is not None and peer != reference:
            row |= _versus(data, entries[reference], entry)
        rows.append(row)
    compared = [row for row in rows if "p" in row]
    for row, p in zip(compared, holm([row["p"] for row in compared]), strict=True):
        row["p_holm"] = _round(p, 6)
    return rows


def _versus(data: Data, reference: Entry, entry: Entry) -> dict[str, Any]:
    paired = Paired.of(reference, entry, data.horizon)
    if not paired.tasks:
        return {}
    differences = paired.differences()
    wins, ties, losses = wins_ties_losses(differences)
    return {
        "n_paired": len(paired.tasks),
        "difference": _interval(differences, paired.suites, data.n_draws),
        "difference_low_floor": _interval(
            paired.differences(LOW_FLOOR), paired.suites, data.n_draws
        ),
        "wins": wins,
        "ties": ties,
        "losses": losses,
        "p": signed_rank_p(differences),
    }


def curves(data: Data, entries: Mapping[str, Entry], bands: bool = False) -> dict[str, Any]:
    """Pooled mean log10 regret of the main peers by trial, with its interval if asked for."""
    result = {}
    for peer in MAIN_PEERS:
        if peer not in entries:
            continue
        entry = entries[peer]
        suites = [suite for suite, _ in entry]
        budget = min(data.horizon, *(regrets.shape[1] for regrets in entry.values()))
        logs = np.stack([_curve(regrets[:, :budget]) for regrets in entry.values()])
        result[peer] = {
            "n_tasks": len(entry),
            "mean": _rounded(pooled_mean(logs, suites), 3),
        }
        if bands:
            low, high = bootstrap(logs, suites, data.n_draws)
            result[peer] |= {"low": _rounded(low, 3), "high": _rounded(high, 3)}
    return result


def rank_table(data: Data, entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Average ranks over tasks, of the peers that ran on all of them for the whole budget.

    Here every task counts once, whatever its suite: the tests know no other weights.
    """
    pool, full = _complete(data, entries)
    if len(full) < 2:
        return {}
    regrets = np.stack(
        [[entries[p][t][:, : data.horizon].mean(axis=0) for p in full] for t in pool]
    ).transpose(2, 0, 1)
    average = ranks(regrets).mean(axis=1)
    trials = [n for n in RANKED_AT if n < data.horizon] + [data.horizon]
    return {
        "n_tasks": len(pool),
        "trials": trials,
        "critical_difference": _round(nemenyi(len(full), len(pool))),
        "friedman_p": {str(n): friedman_p(regrets[n - 1]) for n in trials},
        "average": {
            peer: {str(n): _round(average[n - 1, i]) for n in trials}
            for i, peer in enumerate(full)
        },
        "curves": {peer: _rounded(average[:, i], 2) for i, peer in enumerate(full)},
        "left_out": [peer for peer in entries if peer not in full],
    }


def _complete(data: Data, entries: Mapping[str, Entry]) -> tuple[list[Task], list[str]]:
    """All tasks, and the peers that ran on all of them for the whole budget."""
    pool = sorted({task for entry in entries.values() for task in entry})
    full = [
        peer
        for peer, entry in entries.items()
        if len(entry) == len(pool)
        and all(regrets.shape[1] >= data.horizon for regrets in entry.values())
    ]
    return pool, full


def match_table(data: Data, entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """Trials until a peer is as good as TPE after 100 trials and `GPSampler` after 50."""
    rows = []
    for target, n_trials in (("TPE", 100), ("GPSampler", 50)):
        goals = {
            task: _curve(regrets)[n_trials - 1]
            for task, regrets in entries.get(target, {}).items()
            if regrets.shape[1] >= n_trials
        }
        for peer, entry in entries.items():
            # Equal values may differ in their last bit once logarithms are averaged.
            trials = [
                first_at_or_below(_curve(entry[task])[: data.horizon], goal + 1e-9)
                for task, goal in goals.items()
                if task in entry
            ]
            if trials:
                rows.append(
                    {
                        "target": f"{target} at {n_trials}",
                        "peer": peer,
                        "n_tasks": len(trials),
                        # None: more than half of the tasks did not get there.
                        "median": _round(np.median(trials)),
                        "share": _round(np.mean(np.isfinite(trials))),
                    }
                )
    return rows


def harm_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """What priors of each kind did to each peer, and what another seed does without any."""
    return [
        row
        for scenario in ("none", *HARMS)
        for peer in (_in_order(data.cold) if scenario != "none" else (REFERENCE,))
        if peer in data.cold
        if (row := harm(data, peer, scenario, suites))
    ]


def harm(data: Data, peer: str, scenario: str, suites: Collection[str]) -> dict[str, Any] | None:
    """What priors did for a peer: itself in a scenario minus itself without priors.

    For the scenario ``none``: what another seed does.
    """
    paired = (
        data.with_another_seed(peer, suites)
        if scenario == "none"
        else data.with_and_without(peer, scenario, suites)
    )
    if not paired.tasks:
        return None
    differences = paired.differences()
    trials = sorted({min(10, data.horizon), data.horizon})
    return {
        "scenario": scenario,
        "peer": peer,
        "n_tasks": len(paired.tasks),
        "n_suites": len(set(paired.suites)),
        "difference": _interval(differences, paired.suites, data.n_draws),
        "worst_decile": _round(np.percentile(differences, 90)),
        "worse_at": {str(n): _round(np.mean(paired.differences_at(n) > HARM)) for n in trials},
    }


def n_priors_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """What the number of prior studies does for each peer.

    Not every space has tasks enough for many priors, so the differences are also given on the
    tasks that have every number. Tasks with fewer priors than a scenario asks for are left out.
    """
    rows = []
    for peer in _in_order(data.cold):
        paired = {}
        for k, scenario in K_SCENARIOS.items():
            found = data.with_and_without(peer, scenario, suites)
            found = found.of_tasks({t for t in found.tasks if data.n_priors[scenario, t] == k})
            if found.tasks:
                paired[k] = found
        if len(paired) < 2:
            continue
        common = set.intersection(*(set(p.tasks) for p in paired.values()))
        for k, found in paired.items():
            shared = found.of_tasks(common)
            rows.append(
                {
                    "peer": peer,
                    "k": k,
                    "n_tasks": len(found.tasks),
                    "n_suites": len(set(found.suites)),
                    "difference": _interval(found.differences(), found.suites, data.n_draws),
                    "n_common": len(common),
                    "difference_common": _interval(
                        shared.differences(), shared.suites, data.n_draws
                    )
                    if common
                    else None,
                }
            )
    return rows


def overlap_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """The share of the gain from priors that is kept when they share the space only in part."""
    rows = []
    for scenario in OVERLAPS:
        for peer in _in_order(data.cold):
            part = data.with_and_without(peer, scenario, suites)
            whole = data.with_and_without(peer, MAIN, suites).of_tasks(part.tasks)
            part = part.of_tasks(whole.tasks)
            if not part.tasks:
                continue
            kept, full = part.differences(), whole.differences()
            gain = _interval(full, whole.suites, data.n_draws)
            row = {
                "scenario": scenario,
                "peer": peer,
                "n_tasks": len(part.tasks),
                "n_suites": len(set(part.suites)),
                "endpoint": _interval(part.endpoints(), part.suites, data.n_draws),
                "difference": _interval(kept, part.suites, data.n_draws),
                "full": gain,
                "share": None,
            }
            # A share of nothing is no number: there must be a gain to keep some of.
            if gain[2] is not None and gain[2] < 0:
                mean = pooled_mean(kept, part.suites) / pooled_mean(full, part.suites)
                ends = bootstrap_ratio(kept, full, part.suites, data.n_draws)
                row["share"] = [_round(v) for v in (mean, *ends)]
            rows.append(row)
    return rows


def ablation_table(
    data: Data, ablated: Mapping[tuple[str, str], Entry], suites: Collection[str]
) -> list[dict[str, Any]]:
    """The reference with one part told otherwise minus itself, on the same tasks and seeds."""
    rows = []
    for scenario in (MAIN, "none"):
        whole = data.regrets.get((REFERENCE, scenario), {})
        for peer, name in ABLATED.items():
            entry = ablated.get((peer, scenario), {})
            found = Paired.of(
                {task: e for task, e in entry.items() if task[0] in suites},
                # Seeds count from 0, so the first ones are those that both have.
                {task: e[: len(entry[task])] for task, e in whole.items() if task in entry},
                data.horizon,
            )
            if found.tasks:
                rows.append(
                    {
                        "scenario": scenario,
                        "name": name,
                        "n_tasks": len(found.tasks),
                        "difference": _interval(found.differences(), found.suites, data.n_draws),
                        "by_trial": {
                            str(n): _round(pooled_mean(_gaps_at(found, n), found.suites))
                            for n in (5, 10, 20, 50)
                            if n <= data.horizon
                        },
                    }
                )
    return rows


def _gaps_at(paired: Paired, trial: int, later: int | None = None) -> np.ndarray:
    """First at a trial minus second at the same trial, or at a later one, of log10 regret."""
    other = trial if later is None else later
    return np.array([_curve(a)[trial - 1] - _curve(b)[other - 1] for a, b in paired.pairs])


def aims_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """What the default method is meant to reach, fixed before it was made, and what it reaches.

    A row has the aim as text and as a limit, the measured value with its interval, and whether the
    value is within the limit; an aim that the runs say nothing about has no row.
    """
    rows: list[dict[str, Any]] = []

    def add(situation: str, aim: str, limit: float, found: Paired, values: np.ndarray) -> None:
        measured = _interval(values, found.suites, data.n_draws)
        rows.append(
            {
                "situation": situation,
                "aim": aim,
                "measured": measured,
                "n_tasks": len(found.tasks),
                "met": bool(measured[0] is not None and measured[0] <= limit),
            }
        )

    def against(scenario: str, peer: str, their_scenario: str) -> Paired:
        mine = data.regrets.get((REFERENCE, scenario), {})
        theirs = data.regrets.get((peer, their_scenario), {})
        return Paired.of({t: e for t, e in mine.items() if t[0] in suites}, theirs, data.horizon)

    def below_both(
        situation: str, scenario: str, suffix: str, theirs: str, aim: str, limit: float
    ) -> None:
        pairs = [against(scenario, f"{name}{suffix}", theirs) for name in ("TPE", "GPSampler")]
        pairs = [found for found in pairs if found.tasks]
        if len(pairs) == 2:
            # The better of the two is the one that less is gained on.
            best = max(pairs, key=lambda f: pooled_mean(f.differences(), f.suites))
            add(situation, aim, limit, best, best.differences())

    below_both("5 priors", MAIN, "", "none", "-0.45 to the better of TPE, GPSampler", -0.45)
    below_both(
        "5 priors",
        MAIN,
        " + best priors",
        MAIN,
        "-0.30 to the better of these with the best priors enqueued",
        -0.30,
    )
    long = against(MAIN, "TPE", "none").with_trials(HORIZON)
    if long.tasks:
        add(
            "5 priors",
            f"log10 regret at trial {SOON} not above TPE's at trial {HORIZON}",
            0.0,
            long,
            _gaps_at(long, SOON, HORIZON),
        )
    below_both("1 prior", "tpe-1", "", "none", "-0.25 to the better of TPE, GPSampler", -0.25)
    for more, fewer in ((8, 5), (30, 8)):
        found = against(K_SCENARIOS[more], REFERENCE, K_SCENARIOS[fewer])
        if found.tasks:
            add(
                f"{more} priors",
                f"below {fewer} priors on the same tasks",
                0.0,
                found,
                found.differences(),
            )
    trials = (10, 20, 50, 100)
    for peer in ("GPSampler", "TPE"):
        whole = Paired.of(
            {t: e for t, e in data.regrets.get((REFERENCE, "none"), {}).items() if t[0] in suites},
            data.regrets.get((peer, "none"), {}),
            max(trials),
        )
        for n in trials:
            enough = whole.with_trials(n)
            if enough.tasks:
                add(
                    "no prior",
                    f"log10 regret at trial {n} not above {peer}'s",
                    0.0,
                    enough,
                    _gaps_at(enough, n),
                )
    for scenario in ("flipped", "mixed", "shuffled", "foreign"):
        found = data.with_and_without(REFERENCE, scenario, suites)
        if not found.tasks:
            continue
        add(scenario, "at most 0.10 above itself without priors", 0.10, found, found.differences())
        worse = (found.differences_at(data.horizon) > HARM).astype(float)
        add(
            scenario,
            f"at most 0.10 of the tasks worse by {HARM} regret at trial {data.horizon}",
            0.10,
            found,
            worse,
        )
    return rows


def hindsight(data: Data, entries: Mapping[str, Entry]) -> dict[str, Any] | None:
    """How far ahead one would be who knew for every task which sampler does best on it.

    That is the better of the peers that get each prior's best trial, on average over the tasks,
    against the best of all samplers on each task: a bound on what choosing well among everything
    known can bring. It flatters, as the best of several is partly luck.

    Args:
        data: All that can be compared.
        entries: Samplers that ran on the same tasks; others are left out.

    Returns:
        ``None`` if those two peers did not run on all tasks.
    """
    tasks, full = _complete(data, entries)
    if not set(ENQUEUED) <= set(full):
        return None
    endpoints = {
        name: np.array([_endpoint(entries[name][task][:, : data.horizon]) for task in tasks])
        for name in full
    }
    suites = [suite for suite, _ in tasks]
    best = min((endpoints[name] for name in ENQUEUED), key=lambda e: float(pooled_mean(e, suites)))
    ideal = np.min(list(endpoints.values()), axis=0)
    return {
        "n_samplers": len(endpoints),
        "n_tasks": len(tasks),
        "difference": _interval(ideal - best, suites, data.n_draws),
    }


def relatedness_table(data: Data, suites: Iterable[str]) -> list[dict[str, Any]]:
    """What priors of a known correlation with the target do, on random functions."""
    rows = []
    dial = {s: float(s.removeprefix(SYNTHETIC)) for s in suites if s.startswith(SYNTHETIC)}
    for suite, relatedness in sorted(dial.items(), key=lambda item: -item[1]):
        for peer, entry in data.entries(MAIN, [suite]).items():
            row = {
                "relatedness": relatedness,
                "peer": peer,
                "n_tasks": len(entry),
                "endpoint": _interval(
                    np.array([_endpoint(r[:, : data.horizon]) for r in entry.values()]),
                    [suite] * len(entry),
                    data.n_draws,
                ),
                "difference": None,
                "worse_at": None,
            }
            if peer in data.cold and (found := harm(data, peer, MAIN, [suite])):
                row |= {name: found[name] for name in ("difference", "worse_at")}
            rows.append(row)
    return rows


def losses(data: Data, entries: Mapping[str, Entry]) -> dict[str, list[dict[str, Any]]]:
    """Suites and tasks on which `MetaSampler` is behind the best peer, the worst first.

    Of a suite, only peers that ran on all of its tasks are looked at.
    """
    if REFERENCE not in entries:
        return {"suites": [], "tasks": []}
    by_suite: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    by_task: dict[Task, dict[str, float]] = defaultdict(dict)
    for peer, entry in entries.items():
        if peer == REFERENCE:
            continue
        paired = Paired.of(entries[REFERENCE], entry, data.horizon)
        differences = paired.differences()
        for task, difference in zip(paired.tasks, differences, strict=True):
            by_task[task][peer] = difference
        for suite in set(paired.suites):
            by_suite[suite][peer] = differences[np.array(paired.suites) == suite]
    suites = []
    for suite, found in sorted(by_suite.items()):
        most = max(map(len, found.values()))
        values = {peer: v for peer, v in found.items() if len(v) == most}
        ahead = max(values, key=lambda peer: values[peer].mean())
        if values[ahead].mean() > LOSS:
            n_tasks = len(values[ahead])
            suites.append(
                {
                    "suite": suite,
                    "ahead": ahead,
                    "n_tasks": n_tasks,
                    "difference": _interval(values[ahead], [suite] * n_tasks, data.n_draws),
                    "n_ahead": int(sum(v.mean() > LOSS for v in values.values())),
                    "n_peers": len(values),
                }
            )
    tasks = []
    for (suite, task), by_peer in sorted(by_task.items()):
        ahead = max(by_peer, key=lambda peer: by_peer[peer])
        if by_peer[ahead] > LOSS:
            tasks.append(
                {
                    "suite": suite,
                    "task": task,
                    "ahead": ahead,
                    "difference": _round(by_peer[ahead]),
                    "n_ahead": int(sum(v > LOSS for v in by_peer.values())),
                    "n_peers": len(by_peer),
                }
            )
    return {
        "suites": sorted(suites, key=lambda row: -row["difference"][0]),
        "tasks": sorted(tasks, key=lambda row: -row["difference"]),
    }


def repeats_table(
    runs: Iterable[Run], suites: Collection[str], scenario: str, horizon: int
) -> list[dict[str, Any]]:
    """Share of trials after the first ten that returned a value which the run already had.

    Where values are those of a table or have plateaus, such trials found nothing out.
    """
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        later = run.values[_N_FIRST : min(run.n_trials, horizon)]
        if run.suite in suites and run.scenario in ("none", scenario) and later:
            withheld = run.peer == REFERENCE and run.scenario == "none" != scenario
            seen = [value in run.values[: _N_FIRST + i] for i, value in enumerate(later)]
            shares[WITHHELD if withheld else run.peer][run.suite].append(float(np.mean(seen)))
    return [
        {
            "peer": peer,
            "share": _round(np.mean([np.mean(values) for values in shares[peer].values()])),
            "by_suite": {suite: _round(np.mean(v)) for suite, v in sorted(shares[peer].items())},
        }
        for peer in _in_order(shares)
    ]


def _problem_table(failed: Mapping[Key, str], missing: Collection[Key]) -> list[dict[str, Any]]:
    """Failed and missing runs, counted by peer, scenario and suite."""
    groups: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for (suite, _, scenario, peer, _), error in sorted(failed.items()):
        groups["failed", peer, scenario, suite].append(error)
    for suite, _, scenario, peer, _ in sorted(missing):
        groups["missing", peer, scenario, suite].append("there is no such run")
    return [
        {
            "kind": kind,
            "peer": peer,
            "scenario": scenario,
            "suite": suite,
            "count": len(errors),
            "error": errors[0],
        }
        for (kind, peer, scenario, suite), errors in sorted(groups.items())
    ]


def _in_order(peers: Iterable[str]) -> list[str]:
    place = {peer: i for i, peer in enumerate(PEERS)}
    return sorted(peers, key=lambda peer: (place.get(peer, len(place)), peer))


def _interval(values: np.ndarray, suites: Sequence[str], n_draws: int) -> list[float | None]:
    """Pooled mean and the ends of its interval."""
    low, high = bootstrap(values, suites, n_draws)
    return [_round(v) for v in (pooled_mean(values, suites), low, high)]


def _rounded(values: np.ndarray, digits: int) -> list[float | None]:
    return [_round(v, digits) for v in values]


def _round(value: Any, digits: int = 4) -> float | None:
    """A number as JSON has it; what is not finite is None."""
    return round(float(value), digits) if math.isfinite(value) else None

"""From runs to every number of the comparison: `summarize` returns one JSON-able dictionary."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.experiment import NOT_RUN, Record
from benchmarks.experiments.comparison.aims import HARM, HORIZON, MAIN, aims_table
from benchmarks.experiments.comparison.data import (
    FEWEST_TESTED,
    REFERENCE,
    WITHHELD,
    Data,
    Entry,
    Key,
    Paired,
    Scales,
    Task,
    all_rounded,
    curve,
    endpoint,
    in_order,
    regrets_by_peer,
    rounded,
    scales_of,
    usable_runs,
)
from benchmarks.peers import PEERS
from benchmarks.peers.ablations import ABLATIONS
from benchmarks.problems import SEEN
from benchmarks.run import Run
from benchmarks.statistics import (
    N_DRAWS,
    bootstrap,
    first_at_or_below,
    friedman_p,
    holm,
    nemenyi,
    pooled_mean,
    ranks,
    signed_rank_p,
    wins_ties_losses,
)


LOW_FLOOR = 1e-4
LOSS = 0.05
CHECKPOINTS = (1, 3, 5, 10, 20, 30, 50, 100)
RANKED_AT = (10, 25, 50)
ABLATED_AT = (5, 10, 20, 50)
MANY_AT = (1, 3, 5, 10, 20, 50)

_N_FIRST = 10

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
MANY = ("random-30x200", "tpe-30", "tpe-100")
"""Scenarios of so many priors that the best trial of each would take up the new study."""
SYNTHETIC = "synthetic_"
SIMULATORS = "sim_"
ABLATED = {f"{REFERENCE} {name}": name for name in ABLATIONS}
"""Peers that are the reference with one part changed: they have a table of their own."""

ENQUEUED = ("TPE + best priors", "GPSampler + best priors")
"""Optuna's samplers that get the best trial of each prior study, which is what most users do."""

FEW = ((REFERENCE, MAIN), ("MetaSampler (gp) + best priors", MAIN), ("TPE + best priors", MAIN))
"""What many priors are held against: peers, and their scenario of few."""

MAIN_PEERS = (REFERENCE, WITHHELD, "RGPE", *reversed(ENQUEUED), "GPSampler", "TPE", "Random")
"""Those of the short table, of curves and of the table by suite."""

DEFAULT, DEFAULT_ENQUEUED = "TPE", "TPE + best priors"
HEADLINE = (REFERENCE, DEFAULT_ENQUEUED, DEFAULT)
"""Those of the first page: Optuna's default sampler, as it is and with the old bests enqueued."""

TARGETS = (("TPE", 100), ("GPSampler", 50))
"""Samplers that others are to match, and the trial at which they are looked at."""

COLD = {name: peer.cold for name, peer in PEERS.items() if peer.cold is not None}
"""Who each peer is without priors."""


def of_records(records: Sequence[Record]) -> dict[str, Any]:
    """The numbers of all tables, of records."""
    return summarize([Run.of(record) for record in records])


def summarize(
    runs: Iterable[Run],
    seen: Collection[str] = SEEN,
    cold: Mapping[str, str] = COLD,
    n_draws: int = N_DRAWS,
) -> dict[str, Any]:
    """The numbers of all tables.

    Args:
        runs: All of them, failed ones too; of two with the same key the last one counts.
        seen: Suites that were looked at while methods were made.
        cold: Who each peer is without priors, by name.
        n_draws: Of the bootstrap.

    Raises:
        ValueError: If runs would be compared that differ in their objective or prior trials.
    """
    latest = {run.key: run for run in runs}
    usable, problems = usable_runs(latest.values())
    scales = scales_of(usable)
    judged = [run for run in usable if (run.suite, run.task) in scales.of]
    horizon = min(HORIZON, max((run.n_trials for run in judged), default=HORIZON))
    ablated = [run for run in judged if run.peer in ABLATED]
    whole = [run for run in judged if run.peer not in ABLATED]
    n_priors = {(run.scenario, (run.suite, run.task)): run.n_priors for run in whole}
    data = Data(regrets_by_peer(whole, scales.of), n_priors, cold, horizon, n_draws)

    suites = sorted({run.suite for run in whole})
    pools = _pools(suites, scales, seen)
    pooled, real = pools["all"], [s for s in suites if not s.startswith(SYNTHETIC)]
    scenarios = {run.scenario for run in whole if run.suite in real}
    main = MAIN if MAIN in scenarios else max(sorted(scenarios), default=MAIN)
    entries = data.entries(main, pooled)
    shared = on_common_tasks(entries)
    counts = {n for (s, t), n in n_priors.items() if s == main and t[0] in pooled}
    return {
        "horizon": horizon,
        "scenario": main,
        "provenance": _provenance(latest.values(), judged, scales) | {"n_priors": sorted(counts)},
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
        "many_priors": many_priors_table(data, pooled),
        "overlap": overlap_table(data, pooled),
        "relatedness": relatedness_table(data, suites),
        "ablation": ablation_table(data, regrets_by_peer(ablated, scales.of), pooled),
        "aims": aims_table(data, pooled),
        "hindsight": hindsight(data, shared),
        "losses": losses(data, data.entries(main, real)),
        "repeats": repeats_table(whole, pooled, main, horizon),
        "problems": _problem_table(problems),
        "unscaled": [{"suite": s, "task": t, "reason": r} for (s, t), r in scales.missing.items()],
    }


def _pools(suites: Sequence[str], scales: Scales, seen: Collection[str]) -> dict[str, list[str]]:
    """Suites whose tasks are averaged together.

    Where the best value is that of the runs, regrets mean less: such suites are not averaged with
    others.
    """
    real = [suite for suite in suites if not suite.startswith(SYNTHETIC)]
    derived = {suite for suite, _ in scales.derived}
    pooled = [suite for suite in real if suite not in derived] or real
    return {
        "all": pooled,
        "seen": [suite for suite in pooled if suite in seen],
        "unseen": [suite for suite in pooled if suite not in seen],
        "simulators": [suite for suite in real if suite.startswith(SIMULATORS)],
    }


def on_common_tasks(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Cut to the tasks on which all main peers ran: there their means can be set side by side."""
    main = [set(entries[peer]) for peer in MAIN_PEERS if peer in entries]
    common = set.intersection(*main) if main else set()
    cut = {p: {t: e[t] for t in e if t in common} for p, e in entries.items()}
    return {peer: entry for peer, entry in cut.items() if entry}


def _provenance(runs: Collection[Run], judged: Sequence[Run], scales: Scales) -> dict[str, Any]:
    versions: dict[str, set[str]] = defaultdict(set)
    for run in judged:
        for package, version in run.versions.items():
            versions[package].add(version)
    return {
        "n_runs": sum(run.error != NOT_RUN for run in runs),
        "n_judged": len(judged),
        "n_trials": sum(run.n_trials for run in judged),
        "seeds": sorted({run.seed for run in judged}),
        "tasks": dict(Counter(suite for suite, _ in scales.of)),
        "derived_scales": [list(task) for task in sorted(scales.derived)],
        "versions": {package: sorted(found) for package, found in sorted(versions.items())},
    }


# --- How peers compare ------------------------------------------------------------------------


def comparison(data: Data, entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """How every peer did, and how it compares with `MetaSampler`."""
    reference = next((name for name in (REFERENCE, WITHHELD) if name in entries), None)
    rows = []
    for peer, entry in entries.items():
        row = {"peer": peer} | _alone(data, entry)
        if reference is not None and peer != reference:
            row |= _versus(data, Paired.of(entries[reference], entry, data.horizon))
        rows.append(row)
    compared = [row for row in rows if "p" in row]
    for row, p in zip(compared, holm([row["p"] for row in compared]), strict=True):
        row["p_holm"] = rounded(p, 6)
    return rows


def _alone(data: Data, entry: Entry) -> dict[str, Any]:
    suites = [suite for suite, _ in entry]
    whole_budget = min(regrets.shape[1] for regrets in entry.values())
    whole = np.stack([curve(regrets[:, :whole_budget]) for regrets in entry.values()])
    budget = min(whole_budget, data.horizon)
    low_floor = [endpoint(regrets[:, :budget], LOW_FLOOR) for regrets in entry.values()]
    seeds = [len(regrets) for regrets in entry.values()]
    return {
        "n_tasks": len(entry),
        "n_suites": len(set(suites)),
        "n_seeds": [min(seeds), max(seeds)],
        "n_trials": budget,
        # The geometric mean: a mean of regrets would be that of the few worst tasks.
        "regret": {
            str(n): rounded(10 ** pooled_mean(whole[:, n - 1], suites))
            for n in CHECKPOINTS
            if n <= whole_budget
        },
        "endpoint": data.interval(whole[:, :budget].mean(axis=1), suites),
        "endpoint_low_floor": rounded(pooled_mean(np.array(low_floor), suites)),
    }


def _versus(data: Data, paired: Paired) -> dict[str, Any]:
    if not paired.tasks:
        return {}
    differences = paired.differences()
    wins, ties, losses = wins_ties_losses(differences)
    return {
        "n_paired": len(paired.tasks),
        "difference": data.difference(paired),
        "difference_low_floor": data.difference(paired, LOW_FLOOR),
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
        logs = np.stack([curve(regrets[:, :budget]) for regrets in entry.values()])
        result[peer] = {
            "n_tasks": len(entry),
            "mean": all_rounded(pooled_mean(logs, suites), 3),
        }
        if bands:
            low, high = bootstrap(logs, suites, data.n_draws)
            result[peer] |= {"low": all_rounded(low, 3), "high": all_rounded(high, 3)}
    return result


def rank_table(data: Data, entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Average ranks over tasks, of the peers that ran on all of them for the whole budget.

    Here every task counts once, whatever its suite: the tests know no other weights.
    """
    pool, full = _complete(data, entries)
    if len(full) < 2 or len(pool) < FEWEST_TESTED:
        return {}
    regrets = np.stack(
        [[entries[p][t][:, : data.horizon].mean(axis=0) for p in full] for t in pool]
    ).transpose(2, 0, 1)
    average = ranks(regrets).mean(axis=1)
    trials = [n for n in RANKED_AT if n < data.horizon] + [data.horizon]
    return {
        "n_tasks": len(pool),
        "trials": trials,
        "critical_difference": rounded(nemenyi(len(full), len(pool))),
        "friedman_p": {str(n): friedman_p(regrets[n - 1]) for n in trials},
        "average": {
            peer: {str(n): rounded(average[n - 1, i]) for n in trials}
            for i, peer in enumerate(full)
        },
        "curves": {peer: all_rounded(average[:, i], 2) for i, peer in enumerate(full)},
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
    for target, n_trials in TARGETS:
        goals = {
            task: curve(regrets)[n_trials - 1]
            for task, regrets in entries.get(target, {}).items()
            if regrets.shape[1] >= n_trials
        }
        for peer, entry in entries.items():
            # Equal values may differ in their last bit once logarithms are averaged.
            trials = [
                first_at_or_below(curve(entry[task])[: data.horizon], goal + 1e-9)
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
                        "median": rounded(np.median(trials)),
                        "share": rounded(np.mean(np.isfinite(trials))),
                    }
                )
    return rows


# --- What priors do ---------------------------------------------------------------------------


def harm_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """What priors of each kind did to each peer, and what another seed does without any."""
    return [
        row
        for scenario in ("none", *HARMS)
        for peer in (in_order(data.cold) if scenario != "none" else (REFERENCE,))
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
    trials = sorted({min(10, data.horizon), data.horizon})
    return {
        "scenario": scenario,
        "peer": peer,
        **paired.counts,
        "difference": data.difference(paired),
        "worst_decile": rounded(np.percentile(paired.differences(), 90)),
        "worse_at": {str(n): rounded(np.mean(paired.differences_at(n) > HARM)) for n in trials},
    }


def n_priors_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """What the number of prior studies does for each peer.

    Not every space has tasks enough for many priors, so the differences are also given on the
    tasks that have every number. Tasks with fewer priors than a scenario asks for are left out.
    """
    rows = []
    for peer in in_order(data.cold):
        paired = {}
        for k, scenario in K_SCENARIOS.items():
            found = data.with_and_without(peer, scenario, suites)
            found = found.of_tasks({t for t in found.tasks if data.n_priors[scenario, t] == k})
            if found.tasks:
                paired[k] = found
        if len(paired) < 2:
            continue
        common = set.intersection(*(set(p.tasks) for p in paired.values()))
        rows += [
            {
                "peer": peer,
                "k": k,
                **found.counts,
                "difference": data.difference(found),
                "n_common": len(common),
                "difference_common": data.difference(found.of_tasks(common)) if common else None,
            }
            for k, found in paired.items()
        ]
    return rows


def many_priors_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """`MetaSampler` with many priors minus others with as many, with few and with none.

    On the tasks that both have; the few are among the many.
    """
    rows = []
    for scenario in MANY:
        mine = data.entry(REFERENCE, scenario, suites)
        as_many = tuple((peer, scenario) for peer, _ in FEW if peer != REFERENCE)
        for peer, theirs in ((REFERENCE, "none"), *FEW, *as_many):
            found = Paired.of(mine, data.entry(peer, theirs, suites), data.horizon)
            if not found.tasks:
                continue
            differences = found.differences()
            wins, ties, losses = wins_ties_losses(differences)
            n_trials = min(first.shape[1] for first, _ in found.pairs)
            rows.append(
                {
                    "scenario": scenario,
                    "peer": peer,
                    "against": theirs,
                    **found.counts,
                    "difference": data.difference(found),
                    "wins": wins,
                    "ties": ties,
                    "losses": losses,
                    "by_trial": {
                        str(n): rounded(pooled_mean(found.gaps_at(n), found.suites))
                        for n in MANY_AT
                        if n <= n_trials
                    },
                }
            )
    return rows


def overlap_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """The share of the gain from priors that is kept when they share the space only in part."""
    rows = []
    for scenario in OVERLAPS:
        for peer in in_order(data.cold):
            part = data.with_and_without(peer, scenario, suites)
            whole = data.with_and_without(peer, MAIN, suites).of_tasks(part.tasks)
            part = part.of_tasks(whole.tasks)
            if not part.tasks:
                continue
            gain = data.difference(whole)
            # A share of nothing is no number: there must be a gain to keep some of.
            certain = gain[2] is not None and gain[2] < 0
            rows.append(
                {
                    "scenario": scenario,
                    "peer": peer,
                    **part.counts,
                    "endpoint": data.interval(part.endpoints(), part.suites),
                    "difference": data.difference(part),
                    "full": gain,
                    "share": data.ratio(part, whole) if certain else None,
                }
            )
    return rows


def relatedness_table(data: Data, suites: Iterable[str]) -> list[dict[str, Any]]:
    """What priors of a known correlation with the target do, on random functions."""
    rows = []
    dial = {s: float(s.removeprefix(SYNTHETIC)) for s in suites if s.startswith(SYNTHETIC)}
    for suite, relatedness in sorted(dial.items(), key=lambda item: -item[1]):
        for peer, entry in data.entries(MAIN, [suite]).items():
            found = harm(data, peer, MAIN, [suite]) if peer in data.cold else None
            ends = np.array([endpoint(regrets[:, : data.horizon]) for regrets in entry.values()])
            rows.append(
                {
                    "relatedness": relatedness,
                    "peer": peer,
                    "n_tasks": len(entry),
                    "endpoint": data.interval(ends, [suite] * len(entry)),
                    "difference": found and found["difference"],
                    "worse_at": found and found["worse_at"],
                }
            )
    return rows


def ablation_table(
    data: Data, ablated: Mapping[tuple[str, str], Entry], suites: Collection[str]
) -> list[dict[str, Any]]:
    """The reference with one part changed minus itself, on the same tasks and seeds."""
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
                        "difference": data.difference(found),
                        "by_trial": {
                            str(n): rounded(pooled_mean(found.gaps_at(n), found.suites))
                            for n in ABLATED_AT
                            if n <= data.horizon
                        },
                    }
                )
    return rows


# --- What is left to gain, and what went wrong ------------------------------------------------


def hindsight(data: Data, entries: Mapping[str, Entry]) -> dict[str, Any] | None:
    """How far ahead an oracle is that knows for every task which sampler does best on it.

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
        name: np.array([endpoint(entries[name][task][:, : data.horizon]) for task in tasks])
        for name in full
    }
    suites = [suite for suite, _ in tasks]
    best = min((endpoints[name] for name in ENQUEUED), key=lambda e: float(pooled_mean(e, suites)))
    ideal = np.min(list(endpoints.values()), axis=0)
    return {
        "n_samplers": len(endpoints),
        "n_tasks": len(tasks),
        "difference": data.interval(ideal - best, suites),
    }


def losses(data: Data, entries: Mapping[str, Entry]) -> dict[str, list[dict[str, Any]]]:
    """Suites and tasks on which `MetaSampler` is behind the best peer, the worst first.

    Of a suite, only peers that ran on all of its tasks are looked at.
    """
    by_suite: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    by_task: dict[Task, dict[str, np.ndarray]] = defaultdict(dict)
    for peer, entry in entries.items():
        if peer == REFERENCE:
            continue
        paired = Paired.of(entries.get(REFERENCE, {}), entry, data.horizon)
        differences = paired.differences()
        for task, difference in zip(paired.tasks, differences, strict=True):
            by_task[task][peer] = np.array([difference])
        for suite in set(paired.suites):
            by_suite[suite][peer] = differences[np.array(paired.suites) == suite]
    suites = []
    for suite, found in sorted(by_suite.items()):
        most = max(map(len, found.values()))
        full = {peer: values for peer, values in found.items() if len(values) == most}
        for row, values in _ahead(full):
            interval = data.interval(values, [suite] * most)
            suites.append({"suite": suite, "n_tasks": most, **row, "difference": interval})
    tasks = [
        {"suite": suite, "task": task, **row, "difference": rounded(values[0])}
        for (suite, task), found in sorted(by_task.items())
        for row, values in _ahead(found)
    ]
    return {
        "suites": sorted(suites, key=lambda row: -row["difference"][0]),
        "tasks": sorted(tasks, key=lambda row: -row["difference"]),
    }


def _ahead(found: Mapping[str, np.ndarray]) -> list[tuple[dict[str, Any], np.ndarray]]:
    """The peer that is furthest ahead and its lead per task; empty where the lead is small."""
    ahead = max(found, key=lambda peer: float(found[peer].mean()))
    if found[ahead].mean() <= LOSS:
        return []
    n_ahead = int(sum(values.mean() > LOSS for values in found.values()))
    return [({"ahead": ahead, "n_ahead": n_ahead, "n_peers": len(found)}, found[ahead])]


def repeats_table(
    runs: Iterable[Run], suites: Collection[str], scenario: str, horizon: int
) -> list[dict[str, Any]]:
    """Share of trials after the first ten that returned a value which the run already had.

    Where values are those of a table or have ties, such trials found nothing out.
    """
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        later = run.values[_N_FIRST : min(run.n_trials, horizon)]
        if run.suite in suites and run.scenario in ("none", scenario) and later:
            withheld = run.peer == REFERENCE and run.scenario == "none" != scenario
            known = [value in run.values[: _N_FIRST + i] for i, value in enumerate(later)]
            shares[WITHHELD if withheld else run.peer][run.suite].append(float(np.mean(known)))
    return [
        {
            "peer": peer,
            "share": rounded(np.mean([np.mean(values) for values in shares[peer].values()])),
            "by_suite": {suite: rounded(np.mean(v)) for suite, v in sorted(shares[peer].items())},
        }
        for peer in in_order(shares)
    ]


def _problem_table(problems: Mapping[Key, str]) -> list[dict[str, Any]]:
    """Failed and missing runs, counted by peer, scenario and suite."""
    groups: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for (suite, _, scenario, peer, _), error in sorted(problems.items()):
        kind = "missing" if error == NOT_RUN else "failed"
        groups[kind, peer, scenario, suite].append(error)
    columns = ("kind", "peer", "scenario", "suite")
    return [
        {**dict(zip(columns, group, strict=True)), "count": len(errors), "error": errors[0]}
        for group, errors in sorted(groups.items())
    ]

"""Regret by finished trials with eight workers, and how often workers try the same.

The workers are simulated: eight trials are running, each for a random time, the one that ends
first is told, and a new one is asked for. So every sampler meets the same circumstances, and
nothing depends on the machine. Every sampler also runs alone, one trial after the other: the
difference is what it costs to choose before the last outcomes are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.samplers import BaseSampler

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import blocks, table
from benchmarks.peers.base import Setting
from benchmarks.problems.base import Objective, Params, Scale, seed_of, suggest, targets
from benchmarks.run import setting_of
from benchmarks.samplers import COLD, GP, META, SAMPLERS, TPE
from benchmarks.scenarios import prior_logs
from benchmarks.statistics import t_interval
from optuna_metasampler.space import SearchSpace


N_WORKERS = 8
N_TRIALS = 64
SUITES = ("synthetic_0.9", "hpobench_mlp", "yahpo_iaml_glmnet")
SHOWN = (8, 16, 32, 64)
SCENARIO = "tpe-5"
REFERENCE = TPE
PEERS = (REFERENCE, GP, META, COLD)
NEAR = 0.01
"""Two configurations are alike where no parameter differs by more than this part of its range."""


@dataclass(frozen=True)
class Job:
    """A study."""

    suite: str
    task: str
    peer: str
    workers: int


def jobs(options: Options) -> list[Job]:
    """Tasks of all suites in turn; suites that are named in the options may be any."""
    n = options.settings["targets"]
    suites = {name: options.suite(name) for name in options.only.get("suite", SUITES)}
    tasks = {name: targets(suite, n) for name, suite in suites.items()}
    found = [
        Job(name, tasks[name][i], peer, workers)
        for i in range(n)
        for name in suites
        if i < len(tasks[name])
        for peer in PEERS
        for workers in (N_WORKERS, 1)
    ]
    # It takes longer than all the others together.
    return sorted(found, key=lambda job: job.peer == GP)


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study."""
    suite = options.suite(job.suite)
    logs = prior_logs(SCENARIO, suite, job.task, 0)
    setting = setting_of(suite, logs, seed_of(suite.name, job.task))
    sampler = SAMPLERS[job.peer](lambda: setting.priors, setting.seed)
    scale = suite.scale(job.task)
    assert scale is not None
    measured = tune(setting, suite.objective(job.task), sampler, job.workers, N_TRIALS)
    return {"best": scale.best, "median": scale.median, **measured}


def tune(
    setting: Setting, objective: Objective, sampler: BaseSampler, n_workers: int, n_trials: int
) -> dict[str, Any]:
    """A study with simulated workers.

    Returns:
        ``values`` of the trials in the order of their ends; ``alike``, the number of trials that
        are like an earlier one, and ``alike_running``, like one that was running at the time.
    """
    study = optuna.create_study(direction=setting.direction, sampler=sampler)
    # The times belong to the trials' numbers: every sampler meets the same.
    durations = np.random.default_rng(setting.seed).lognormal(0.0, 0.5, n_trials)
    running: list[tuple[float, int, optuna.Trial, Params]] = []
    asked: list[Params] = []
    concurrent: list[list[int]] = []
    values: list[float] = []
    now = 0.0
    while len(values) < n_trials:
        while len(running) < n_workers and len(asked) < n_trials:
            trial = study.ask()
            params = suggest(trial, setting.parameters)
            concurrent.append([number for _, number, _, _ in running])
            heapq.heappush(running, (now + durations[len(asked)], len(asked), trial, params))
            asked.append(params)
        now, _, trial, params = heapq.heappop(running)
        values.append(objective(params))
        study.tell(trial, values[-1])
    like = alike(setting, asked)
    return {
        "values": [float(f"{v:.7g}") for v in values],
        "alike": int(sum(like[i, :i].any() for i in range(n_trials))),
        "alike_running": int(sum(like[i, concurrent[i]].any() for i in range(n_trials))),
    }


def alike(setting: Setting, configurations: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_]:
    """Which configurations are nearly the same, shape ``(n, n)``."""
    space = SearchSpace.laid_out(
        {p.name: p.distribution for p in setting.parameters},
        [p.name for p in setting.parameters if p.condition is not None],
    )
    x = space.encode(configurations)
    near: NDArray[np.bool_] = np.abs(x[:, None] - x[None]).max(axis=2) <= NEAR
    return near


def curve(record: Record) -> NDArray[np.float64]:
    """Regret of the best finished trial so far, where the median configuration has 1."""
    scale = Scale(record["best"], record["median"])
    return np.minimum.accumulate(scale.regret(record["values"]))


def summarize(records: Sequence[Record]) -> Summary:
    """By suite a row a sampler, on the tasks on which it and the reference ran both ways."""
    done = finished(records)
    others = {r["suite"] for r in done} - {*SUITES}
    rows = {s: _rows([r for r in done if r["suite"] == s]) for s in (*SUITES, *sorted(others))}
    return {"suites": {suite: found for suite, found in rows.items() if found}}


def _rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Of one suite."""
    runs = {(r["peer"], r["workers"], r["task"]): r for r in records}
    rows = []
    for peer in PEERS:
        ways = [(who, workers) for who in (peer, REFERENCE) for workers in (N_WORKERS, 1)]
        tasks = [
            task
            for task in dict.fromkeys(r["task"] for r in records)
            if all((who, n, task) in runs for who, n in ways)
        ]
        if len(tasks) < 2:
            continue
        mine = [runs[peer, N_WORKERS, task] for task in tasks]
        curves = {
            (who, n): np.array([curve(runs[who, n, task]) for task in tasks]) for who, n in ways
        }
        together = curves[peer, N_WORKERS]
        means = {way: found.mean(axis=1) for way, found in curves.items()}
        to_reference = t_interval(means[peer, N_WORKERS] - means[REFERENCE, N_WORKERS])
        rows.append(
            {
                "peer": peer,
                "n_tasks": len(tasks),
                "regret": {str(n): float(together[:, n - 1].mean()) for n in SHOWN},
                "to_reference": None if peer == REFERENCE else to_reference,
                "to_one_worker": t_interval(means[peer, N_WORKERS] - means[peer, 1]),
                "alike": float(np.mean([r["alike"] for r in mine])),
                "alike_running": float(np.mean([r["alike_running"] for r in mine])),
            }
        )
    return rows


def tables(summary: Summary) -> dict[str, str]:
    """Regret and repeated configurations, a table a suite."""
    columns = [
        ("tasks", "{n_tasks}"),
        *((f"{n} trials", f"{{regret[{n}]:.3f}}") for n in SHOWN),
        (f"minus {REFERENCE}", "{to_reference:diff3}"),
        ("minus one worker", "{to_one_worker:diff3}"),
        ("alike", "{alike:.1f}"),
        ("alike, running", "{alike_running:.1f}"),
    ]
    suites = summary["suites"].items()
    return {"parallel": blocks(*(table(rows, [(s, "{peer}"), *columns]) for s, rows in suites))}


EXPERIMENT = Experiment(
    name="parallel",
    title="eight workers at once",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    shared=("suite", "task"),
    settings={"targets": 4},
)

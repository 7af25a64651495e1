"""What is chosen in the end, where outcomes are noisy: the best value, or what a model expects.

The synthetic targets with Gaussian noise, of the same size everywhere or growing from a quarter
to seven quarters of it along one parameter; and support vector machines whose validation folds
are drawn anew for every trial. Each sampler gets the same number of trials and the same draws of
noise; then two trials of its study are judged by what their configurations are worth without
noise: the one of the best value (``study.best_trial``), and the one that ``MetaSampler.recommend``
picks. The latter works on any study, so that searching and choosing are kept apart.

Regret is in units of what the median random configuration leaves to gain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
import functools
from typing import Any

import numpy as np
import optuna

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import blocks, table
from benchmarks.problems.base import seed_of, suggest
from benchmarks.problems.noisy import SUITE, Problem, live, synthetic
from benchmarks.samplers import COLD, GP, META, SAMPLERS, TPE
from benchmarks.statistics import Interval, t_interval
from optuna_metasampler import MetaSampler


CELLS = ("even 1.0", "even 0.3", "live", "uneven 1.0", "even 0.1", "uneven 0.3", "uneven 0.1")
"""Kinds of noise, and their level in units of the outcomes' spread."""

N_TRIALS = 40
LIVE = ("breast_cancer", "wine")
N_LIVE_SEEDS = 4
PEERS = (TPE, GP, COLD, META)
CHOICES = ("best_value", "recommended")


@dataclass(frozen=True)
class Job:
    """A study of a noisy problem: the noise's kind and level, and target or data set and seed."""

    noise: str
    problem: str
    peer: str


def jobs(options: Options) -> list[Job]:
    """Every sampler on every problem."""
    del options
    problems = {noise: [f"{target}/0" for target in SUITE.targets] for noise in CELLS}
    problems["live"] = [f"{name}/{seed}" for name in LIVE for seed in range(N_LIVE_SEEDS)]
    return [
        Job(noise, problem, peer)
        for noise in CELLS
        for problem in problems[noise]
        for peer in PEERS
    ]


@functools.lru_cache(maxsize=1)
def problem_of(noise: str, name: str) -> Problem:
    """The problem of a job."""
    target, _, seed = name.partition("/")
    if noise == "live":
        return live(target, int(seed))
    kind, _, level = noise.partition(" ")
    return synthetic(target, kind, float(level), int(seed))


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study, and the regret of the two trials that might be chosen in the end."""
    del options
    problem = problem_of(job.noise, job.problem)
    seed = seed_of(problem.noise, problem.name) % 1000
    noise = np.random.default_rng(seed_of(problem.noise, problem.name, "noise"))
    study = optuna.create_study(sampler=SAMPLERS[job.peer](lambda: problem.priors, seed))

    def objective(trial: optuna.Trial) -> float:
        return problem.noisy(suggest(trial, problem.parameters), noise)

    study.optimize(objective, n_trials=N_TRIALS)
    sampler = study.sampler
    chooser = sampler if isinstance(sampler, MetaSampler) else MetaSampler(seed=seed, learner=None)
    chosen = (study.best_trial.params, chooser.recommend(study).params)
    return dict(zip(CHOICES, (round(problem.regret(p), 5) for p in chosen), strict=True))


def summarize(records: Sequence[Record]) -> Summary:
    """Mean regret of both choices by noise and sampler, and what a choice by the model changes."""
    done = finished(records)
    n_peers = Counter((r["noise"], r["problem"]) for r in done)
    # Only what every sampler has done is compared.
    rows = [r for r in done if n_peers[r["noise"], r["problem"]] == len(PEERS)]

    def means(noise: str, peer: str) -> list[float]:
        mine = [r for r in rows if (r["noise"], r["peer"]) == (noise, peer)]
        return [float(np.mean([r[choice] for r in mine])) for choice in CHOICES]

    def change(peer: str) -> Interval | None:
        mine = [r for r in rows if r["peer"] == peer]
        return t_interval([r["recommended"] - r["best_value"] for r in mine])

    problems = {noise: {r["problem"] for r in rows if r["noise"] == noise} for noise in CELLS}
    return {
        "rows": [
            {"noise": noise, "n_problems": len(found), **{p: means(noise, p) for p in PEERS}}
            for noise, found in problems.items()
            if found
        ],
        "changes": [{"peer": peer, "change": change(peer)} for peer in PEERS],
    }


def tables(summary: Summary) -> dict[str, str]:
    """A row a kind of noise; below, what the recommendation changes."""
    both = [(peer, f"{{{peer}[0]:.2f}} / {{{peer}[1]:.2f}}") for peer in PEERS]
    first = table(summary["rows"], [("noise", "{noise}"), ("problems", "{n_problems}"), *both])
    columns = [("sampler", "{peer}"), ("recommended minus best value", "{change:diff3}")]
    return {"noise": blocks(first, table(summary["changes"], columns))}


EXPERIMENT = Experiment(
    name="noise",
    title="noisy objectives, and which trial to trust",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    shared=("noise", "problem"),
)

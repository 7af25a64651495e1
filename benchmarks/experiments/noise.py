"""What is chosen in the end, where outcomes are noisy: the best value, or what a model expects.

The synthetic targets with Gaussian noise, of the same size everywhere or growing from a quarter
to seven quarters of it along one parameter; and support vector machines whose validation folds
are drawn anew for every trial. Each sampler gets the same number of trials and the same draws of
noise; then two trials of its study are judged by what their configurations are worth without
noise: the one of the best value (``study.best_trial``), and the one that ``MetaSampler.recommend``
picks. The latter works on any study, so that who searched and who chose are kept apart.

Regret is in units of what the median random configuration leaves to gain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
import functools
from typing import Any

import numpy as np
import optuna

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import difference, table_of, text
from benchmarks.problems.base import seed_of, suggest
from benchmarks.problems.noisy import SUITE, Problem, live, synthetic
from benchmarks.samplers import COLD, GP, META, SAMPLERS, TPE
from benchmarks.statistics import t_interval
from optuna_metasampler import MetaSampler


NOISE = (
    ("even", 1.0),
    ("even", 0.3),
    ("uneven", 1.0),
    ("even", 0.1),
    ("uneven", 0.3),
    ("uneven", 0.1),
)
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
    synthetic_ones = [
        (f"{kind} {level}", f"{target}/0") for kind, level in NOISE for target in SUITE.targets
    ]
    live_ones = [("live", f"{name}/{seed}") for name in LIVE for seed in range(N_LIVE_SEEDS)]
    n = 2 * len(SUITE.targets)
    problems = [*synthetic_ones[:n], *live_ones, *synthetic_ones[n:]]
    return [Job(noise, problem, peer) for noise, problem in problems for peer in PEERS]


def group(job: Job) -> object:
    """Studies of one problem have the same prior studies."""
    return job.noise, job.problem


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
    chooser = sampler if isinstance(sampler, MetaSampler) else MetaSampler(seed=seed)
    chosen = (study.best_trial.params, chooser.recommend(study).params)
    return dict(zip(CHOICES, (round(problem.regret(p), 5) for p in chosen), strict=True))


def summarize(records: Sequence[Record]) -> Summary:
    """Mean regret of both choices by noise and sampler, and what a choice by the model changes."""
    done = finished(records)
    n_peers = Counter((r["noise"], r["problem"]) for r in done)
    # Only what every sampler has done is compared.
    rows = [r for r in done if n_peers[r["noise"], r["problem"]] == len(PEERS)]
    cells = dict.fromkeys(job.noise for job in jobs(Options()))
    return {
        "rows": [
            {
                "noise": cell,
                "n_problems": len({r["problem"] for r in mine}),
                "regret": {peer: _means(mine, peer) for peer in PEERS},
            }
            for cell in cells
            if (mine := [r for r in rows if r["noise"] == cell])
        ],
        "changes": {
            peer: t_interval(
                [r["recommended"] - r["best_value"] for r in rows if r["peer"] == peer]
            )
            for peer in PEERS
        },
    }


def _means(records: Sequence[Record], peer: str) -> list[float]:
    return [float(np.mean([r[c] for r in records if r["peer"] == peer])) for c in CHOICES]


def tables(summary: Summary) -> dict[str, str]:
    """A row a kind of noise; below, what the recommendation changes."""

    def regrets(peer: str) -> Callable[[Any], str]:
        return lambda row: " / ".join(f"{value:.2f}" for value in row["regret"][peer])

    first = table_of(
        summary["rows"],
        [
            ("noise", text("noise")),
            ("problems", text("n_problems")),
            *((peer, regrets(peer)) for peer in PEERS),
        ],
    )
    second = table_of(
        summary["changes"].items(),
        [
            ("sampler", lambda item: item[0]),
            ("recommended minus best value", lambda item: difference(item[1], 3)),
        ],
    )
    return {"noise": f"{first}\n\n{second}"}


EXPERIMENT = Experiment(
    name="noise",
    title="noisy objectives, and which trial to trust",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    group=group,
)

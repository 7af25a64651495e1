"""Hypervolume by number of trials, on problems with two and three objectives.

Five test functions with two objectives and two with three, and a forest of trees of scikit-learn
that is to be accurate and small. Prior studies are runs of TPE on three shifted versions of the
same function, or on three other data sets. All samplers are set up as a user would.

The figure is the base-10 logarithm of the share of the best known hypervolume that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import functools
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.samplers import BaseSampler, TPESampler
import torch

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import difference, digits, number, paragraph, table_of, text
from benchmarks.problems.multi_objective import LARGEST_SHIFT, PROBLEMS, Objective
from benchmarks.samplers import COLD, GP, META, NSGA, SAMPLERS, TPE
from benchmarks.statistics import t_interval
from optuna_metasampler.hypervolume import everything_above, hypervolume, non_dominated


N_TRIALS = 60
N_PRIORS = 3
GRID = tuple(range(5, N_TRIALS + 1, 5))
SHOWN = (10, 20, 40, 60)
FLOOR = 1e-4
"""Shares of the hypervolume below count as this."""

PEERS = (TPE, NSGA, GP, COLD, META)
CHOSEN_ON = ("ZDT1", "Branin-Currin", "DTLZ2")
"""The problems that were looked at while the method was built; the others confirm."""

KINDS = {
    "2": [name for name, problem in PROBLEMS.items() if len(problem.corner) == 2],
    "3": [name for name, problem in PROBLEMS.items() if len(problem.corner) == 3],
    "unseen": [name for name in PROBLEMS if name not in CHOSEN_ON],
}
"""Problems by number of objectives, and those that nothing was chosen on."""

Gaps = Mapping[tuple[str, str, int], NDArray[np.float64]]
"""Log10 of the missing share at each number of trials of the grid, by peer, problem and seed."""


@dataclass(frozen=True)
class Job:
    """A study."""

    problem: str
    seed: int
    peer: str


def jobs(options: Options) -> list[Job]:
    """Every sampler on every problem, seed by seed."""
    return [
        Job(problem, seed, peer)
        for seed in range(options.settings["seeds"])
        for problem in PROBLEMS
        for peer in PEERS
    ]


def group(job: Job) -> object:
    """Studies of one problem and seed have the same prior studies."""
    return job.problem, job.seed


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study; its front is kept where the best volume is that of all runs."""
    del options
    problem = PROBLEMS[job.problem]
    sampler = SAMPLERS[job.peer](lambda: prior_studies(job.problem, job.seed), job.seed)
    begin = time.perf_counter()
    study = study_of(problem.objective, len(problem.corner), sampler)
    seconds = (time.perf_counter() - begin) / N_TRIALS
    values = [t.values for t in study.trials]
    measured = {
        "volume": [float(f"{v:.6g}") for v in volumes(values, problem.corner)],
        "seconds": round(seconds, 3),
    }
    return measured if problem.best is not None else {**measured, "front": front(values)}


@functools.lru_cache(maxsize=1)
def prior_studies(name: str, seed: int) -> Sequence[optuna.Study]:
    """TPE on the relatives of a problem."""
    problem = PROBLEMS[name]
    return [
        study_of(problem.relative(i, seed), len(problem.corner), TPESampler(seed=1000 * seed + i))
        for i in range(N_PRIORS)
    ]


def study_of(objective: Objective, m: int, sampler: BaseSampler) -> optuna.Study:
    """A study of ``m`` objectives."""
    study = optuna.create_study(directions=["minimize"] * m, sampler=sampler)
    study.optimize(objective, n_trials=N_TRIALS)
    return study


def volumes(values: Sequence[Sequence[float]], corner: Sequence[float]) -> list[float]:
    """Hypervolume after each number of trials of the grid."""
    boxes, volume, curve = everything_above(-torch.tensor(corner, dtype=torch.float64)), 0.0, []
    for n, point in enumerate(-torch.tensor(values, dtype=torch.float64), start=1):
        volume += float(boxes.volume_below(point))
        boxes = boxes.without(point)
        if n in GRID:
            curve.append(volume)
    return curve


def front(values: Sequence[Sequence[float]]) -> list[list[float]]:
    """The values that no others dominate, sorted."""
    points = torch.tensor(values, dtype=torch.float64)
    return sorted({tuple(p): p for p in points[non_dominated(-points)].tolist()}.values())


def missing(records: Sequence[Record]) -> Gaps:
    """The missing share of the best volume, of every study."""
    gaps = {}
    for name, problem in PROBLEMS.items():
        mine = [r for r in records if r["problem"] == name]
        best = problem.best
        if best is None:
            points = [point for r in mine for point in r.get("front", ())]
            if not points:
                continue
            corner = -torch.tensor(problem.corner, dtype=torch.float64)
            best = hypervolume(-torch.tensor(front(points), dtype=torch.float64), corner)
        for r in mine:
            if "volume" in r:
                share = 1 - np.array(r["volume"]) / best
                gaps[r["peer"], name, r["seed"]] = np.log10(np.maximum(share, FLOOR))
    return gaps


def compared(gaps: Gaps, peer: str, other: str, names: Sequence[str]) -> dict[str, Any] | None:
    """How much more of one peer's volume is missing than of another's, over the trials.

    Returns:
        The mean and the ends of its interval over pairs of a problem and a seed, and how many of
        these are better; ``None`` where there are fewer than two.
    """
    pairs = [
        float((curve - gaps[other, name, seed]).mean())
        for (mine, name, seed), curve in gaps.items()
        if mine == peer and name in names and (other, name, seed) in gaps
    ]
    interval = t_interval(pairs)
    if interval is None:
        return None
    better = sum(difference < 0 for difference in pairs)
    return {"difference": interval, "n_better": better, "n_pairs": len(pairs)}


def summarize(records: Sequence[Record]) -> Summary:
    """The missing volume by trials and by problem, and differences."""
    done = finished(records)
    gaps = missing(done)
    peers = [peer for peer in PEERS if any(key[0] == peer for key in gaps)]
    means = {
        (peer, name): np.mean(
            [c for (p, n, _), c in gaps.items() if (p, n) == (peer, name)], axis=0
        )
        for peer, name in dict.fromkeys((p, n) for p, n, _ in gaps)
    }
    names = [name for name in PROBLEMS if any(key[1] == name for key in means)]
    # Over the problems that every sampler has solved, or the means would be of other things.
    shared = [name for name in names if all((peer, name) in means for peer in peers)]
    others = [peer for peer in peers if peer not in (META, COLD)]
    return {
        "n_seeds": len({seed for _, _, seed in gaps}),
        "problems": names,
        "shared": shared,
        "rows": [
            {
                "peer": peer,
                "by_trial": np.mean([means[peer, n] for n in shared], axis=0).tolist()
                if shared
                else [None] * len(GRID),
                "last": {n: float(means[peer, n][-1]) for n in names if (peer, n) in means},
                "seconds": float(
                    np.mean([r["seconds"] for r in done if r["peer"] == peer and "seconds" in r])
                ),
            }
            for peer in peers
        ],
        "comparisons": [
            {"peer": peer, "other": other, "kind": kind, **found}
            for peer in (COLD, META)
            for other in others
            for kind, names in KINDS.items()
            if (found := compared(gaps, peer, other, names)) is not None
        ],
    }


def tables(summary: Summary) -> dict[str, str]:
    """The missing volume by trials and by problem, and differences."""

    def at(n: int) -> Callable[[Any], str]:
        return lambda row: number(row["by_trial"][GRID.index(n)])

    def last(name: str) -> Callable[[Any], str]:
        return lambda row: number(row["last"].get(name))

    by_trial = [("sampler", text("peer")), *((f"{n} trials", at(n)) for n in SHOWN)]
    by_problem = [
        (f"sampler, after {N_TRIALS} trials", text("peer")),
        *((name, last(name)) for name in summary["problems"]),
        ("s per trial", digits("seconds", 2)),
    ]
    comparisons = [
        ("sampler", text("peer")),
        ("against", text("other")),
        ("objectives", text("kind")),
        ("difference", lambda row: difference(row["difference"])),
        ("better", lambda row: f"{row['n_better']} of {row['n_pairs']}"),
    ]
    outro = f"""At most {summary["n_seeds"]} seeds; the first table is the mean over
        {", ".join(summary["shared"]) or "none"}. {N_PRIORS} prior studies of {N_TRIALS} trials of
        TPE, shifted by up to {LARGEST_SHIFT:.0%} of each range."""
    blocks = [
        table_of(summary["rows"], by_trial),
        table_of(summary["rows"], by_problem),
        table_of(summary["comparisons"], comparisons),
        paragraph(outro),
    ]
    return {"objectives": "\n\n".join(blocks)}


EXPERIMENT = Experiment(
    name="objectives",
    title="two and three objectives",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    group=group,
    settings={"seeds": 5},
)

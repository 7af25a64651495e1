"""Hypervolume by number of trials, on problems with two and three objectives.

Five test functions with two objectives and two with three, and a forest of trees of scikit-learn
that is to be accurate and small. Prior studies are runs of TPE on three shifted versions of the
same function, or on three other data sets. All samplers are set up as a user would.

The figure is the base-10 logarithm of the share of the best known hypervolume that is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import functools
from itertools import product
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.samplers import BaseSampler, TPESampler
import torch

from benchmarks.experiment import Experiment, Key, Options, Record, Summary, finished
from benchmarks.markdown import blocks, paragraph, table
from benchmarks.paired import Values, by_peer, common, gaps
from benchmarks.problems.multi_objective import LARGEST_SHIFT, PROBLEMS, Objective
from benchmarks.samplers import COLD, GP, META, NSGA, SAMPLERS, TPE
from benchmarks.statistics import t_interval
from optuna_metasampler.pareto import everything_above, hypervolume, non_dominated


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


@dataclass(frozen=True)
class Job:
    """A study."""

    problem: str
    seed: int
    peer: str


def jobs(options: Options) -> list[Job]:
    """Every sampler on every problem, seed by seed."""
    seeds = range(options.settings["seeds"])
    return [Job(problem, seed, peer) for seed, problem, peer in product(seeds, PROBLEMS, PEERS)]


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


def missing(records: Sequence[Record]) -> dict[str, dict[Key, NDArray[np.float64]]]:
    """Log10 of the missing share of the best volume, by peer, and by problem and seed."""
    best = {name: problem.best for name, problem in PROBLEMS.items()}
    for name, problem in PROBLEMS.items():
        # Records of the peer "all runs" have the fronts of runs that did not keep their own.
        points = [p for r in records if r["problem"] == name for p in r.get("front", ())]
        if points:
            corner = -torch.tensor(problem.corner, dtype=torch.float64)
            best[name] = hypervolume(-torch.tensor(front(points), dtype=torch.float64), corner)

    def gap(record: Record) -> NDArray[np.float64]:
        share = 1 - np.array(record["volume"]) / best[record["problem"]]
        return np.log10(np.maximum(share, FLOOR))

    runs = [r for r in records if "volume" in r and best[r["problem"]] is not None]
    return by_peer(runs, gap, ("problem", "seed"))


def summarize(records: Sequence[Record]) -> Summary:
    """The missing volume by trials and by problem, and differences."""
    done = finished(records)
    found = missing(done)
    curves = {
        peer: {
            name: np.mean([curve for key, curve in own.items() if key[0] == name], axis=0)
            for name in dict.fromkeys(key[0] for key in own)
        }
        for peer, own in found.items()
    }
    peers = [peer for peer in PEERS if peer in curves]
    names = [name for name in PROBLEMS if any(name in own for own in curves.values())]
    # Over the problems that every sampler has solved, or the means would be of other things.
    shared = [name for name in names if all(name in curves[peer] for peer in peers)]
    seconds = {p: [r["seconds"] for r in done if r["peer"] == p and "volume" in r] for p in peers}
    return {
        "n_seeds": len({seed for own in found.values() for _, seed in own}),
        "problems": names,
        "shared": shared,
        "rows": [
            {
                "peer": peer,
                "by_trial": _by_trial([curves[peer][name] for name in shared]),
                "last": {name: float(curve[-1]) for name, curve in curves[peer].items()},
                "seconds": float(np.mean(seconds[peer])),
            }
            for peer in peers
        ],
        "comparisons": [
            {"peer": peer, "other": other, "kind": kind, **row}
            for peer, other in product((COLD, META), (p for p in peers if p not in (META, COLD)))
            for kind, chosen in KINDS.items()
            if (row := compared(found, peer, other, chosen)) is not None
        ],
    }


def _by_trial(curves: Sequence[NDArray[np.float64]]) -> dict[str, float]:
    if not curves:
        return {}
    return dict(zip(map(str, GRID), np.mean(curves, axis=0).tolist(), strict=True))


def compared(
    found: Values[NDArray[np.float64]], peer: str, other: str, names: Sequence[str]
) -> dict[str, Any] | None:
    """How much more of one peer's volume is missing than of another's, over the trials.

    Returns:
        The mean and the ends of its interval over pairs of a problem and a seed, and how many of
        these are better; ``None`` where there are fewer than two.
    """
    pairs = [key for key in common(found, peer, other) if key[0] in names]
    if len(pairs) < 2:
        return None
    means = gaps(found, peer, other, pairs).mean(axis=1)
    n_better = int((means < 0).sum())
    return {"difference": t_interval(means), "n_better": n_better, "n_pairs": len(pairs)}


def tables(summary: Summary) -> dict[str, str]:
    """The missing volume by trials and by problem, and differences."""
    by_trial = [(f"{n} trials", f"{{by_trial[{n}]:.2f}}") for n in SHOWN]
    by_problem = [
        (f"sampler, after {N_TRIALS} trials", "{peer}"),
        *((name, f"{{last[{name}]:.2f}}") for name in summary["problems"]),
        ("s per trial", "{seconds:.2f}"),
    ]
    comparisons = [
        ("sampler", "{peer}"),
        ("against", "{other}"),
        ("objectives", "{kind}"),
        ("difference", "{difference:diff}"),
        ("better", "{n_better} of {n_pairs}"),
    ]
    outro = f"""At most {{n_seeds}} seeds; the first table is the mean over
        {", ".join(summary["shared"]) or "none"}. {N_PRIORS} prior studies of {N_TRIALS} trials of
        TPE, shifted by up to {LARGEST_SHIFT:.0%} of each range."""
    text = blocks(
        table(summary["rows"], [("sampler", "{peer}"), *by_trial]),
        table(summary["rows"], by_problem),
        table(summary["comparisons"], comparisons),
        paragraph(outro, summary),
    )
    return {"objectives": text}


EXPERIMENT = Experiment(
    name="objectives",
    title="two and three objectives",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    shared=("problem", "seed"),
    settings={"seeds": 5},
)

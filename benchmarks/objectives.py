"""Hypervolume by number of trials, on problems with two and three objectives.

Five test functions with two objectives and two with three, and a forest of trees of scikit-learn
that is to be accurate and small. Prior studies are runs of TPE on three shifted versions of the
same function, or on three other data sets. All samplers are set up as a user would.

The figure is the base-10 logarithm of the share of the best known hypervolume that is missing.

Usage: ``python -m benchmarks.objectives [--seeds N] [--peer NAME] [--problem NAME] [--out FILE]``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
import json
import math
from pathlib import Path
import textwrap
import time
from typing import Any
import warnings

import click
import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
import torch
from tqdm import tqdm

from benchmarks import markdown
from benchmarks.statistics import t_interval
from optuna_metasampler import MetaSampler
from optuna_metasampler.pareto import everything_above, hypervolume, non_dominated


RESULTS = Path(__file__).parent / "results" / "objectives.json"

N_TRIALS = 60
N_PRIORS = 3
GRID = tuple(range(5, N_TRIALS + 1, 5))
SHOWN = (10, 20, 40, 60)
LARGEST_SHIFT = 0.1
"""Of the optimum of a prior study, in ranges of a parameter."""

FLOOR = 1e-4
"""Shares of the hypervolume below count as this."""

Array = NDArray[np.float64]
Objective = Callable[[optuna.Trial], tuple[float, ...]]
Priors = Sequence[optuna.Study]


@dataclass(frozen=True)
class Problem:
    """Objectives that are all to be minimised.

    Attributes:
        objective: Of the running study.
        relative: The like of a prior study, for its number and a seed.
        corner: The reference point.
        best: The best known hypervolume; ``None`` where it is that of all runs together.
    """

    objective: Objective
    relative: Callable[[int, int], Objective]
    corner: tuple[float, ...]
    best: float | None


def zdt1(u: Array) -> Array:
    """Zitzler, Deb & Thiele 2000, Evol. Comput. 8(2), function 1, on the unit cube."""
    g = 1 + 9 * u[1:].mean()
    return np.array([u[0], g * (1 - np.sqrt(u[0] / g))])


def zdt2(u: Array) -> Array:
    """The same, function 2: a front that is not convex."""
    g = 1 + 9 * u[1:].mean()
    return np.array([u[0], g * (1 - (u[0] / g) ** 2)])


def zdt3(u: Array) -> Array:
    """The same, function 3: a front in five parts."""
    g = 1 + 9 * u[1:].mean()
    share = u[0] / g
    return np.array([u[0], g * (1 - np.sqrt(share) - share * np.sin(10 * np.pi * u[0]))])


def vlmop2(u: Array) -> Array:
    """Van Veldhuizen & Lamont 1999, on the unit cube in place of ``[-2, 2]``."""
    x, end = 4 * u - 2, 1 / np.sqrt(len(u))
    return 1 - np.exp(-np.array([((x - end) ** 2).sum(), ((x + end) ** 2).sum()]))


def branin_currin(u: Array) -> Array:
    """Branin's function and that of Currin et al. 1991, as Belakaria et al. 2019 join them."""
    a, b = 15 * u[0] - 5, 15 * u[1]
    branin = (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2
    branin += 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10
    damp = 1 - np.exp(-1 / (2 * u[1])) if u[1] > 0 else 1.0
    above = 2300 * u[0] ** 3 + 1900 * u[0] ** 2 + 2092 * u[0] + 60
    below = 100 * u[0] ** 3 + 500 * u[0] ** 2 + 4 * u[0] + 20
    return np.array([branin, damp * above / below])


def dtlz2(u: Array) -> Array:
    """Deb, Thiele, Laumanns & Zitzler 2002, CEC, function 2 with three objectives."""
    g = 1 + ((u[2:] - 0.5) ** 2).sum()
    a, b = np.pi / 2 * u[:2]
    return g * np.array([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)])


def vehicle(u: Array) -> Array:
    """Mass, acceleration and intrusion of a car in a crash, by five thicknesses of steel.

    Liao et al. 2008, Struct. Multidiscip. Optim. 35; RE3-5-4 of Tanabe & Ishibuchi 2020, Appl.
    Soft Comput. 89.
    """
    a, b, c, d, e = 1 + 2 * u
    mass = 1640.2823 + 2.3573285 * a + 2.3220035 * b + 4.5688768 * c + 7.7213633 * d
    acceleration = 6.5856 + 1.15 * a - 1.0427 * b + 0.9738 * c + 0.8364 * d - 0.3695 * a * d
    acceleration += 0.0861 * a * e + 0.3628 * b * d - 0.1106 * a**2 - 0.3437 * c**2
    intrusion = -0.0551 + 0.0181 * a + 0.1024 * b + 0.0421 * c - 0.0073 * a * b
    intrusion += 0.024 * b * c - 0.0118 * b * d - 0.0204 * c * d - 0.008 * c * e - 0.0241 * b**2
    return np.array(
        [
            mass + 4.4559504 * e,
            acceleration + 0.1764 * d**2,
            intrusion + 0.0109 * d**2,
        ]
    )


def _function(
    f: Callable[[Array], Array], d: int, corner: tuple[float, ...], best: float
) -> Problem:
    """A function on the unit cube, and shifted versions of it, folded at the edges."""

    def shifted(shift: Array) -> Objective:
        def objective(trial: optuna.Trial) -> tuple[float, ...]:
            u = np.array([trial.suggest_float(f"x{i}", 0, 1) for i in range(d)]) - shift
            return tuple(map(float, f(1 - np.abs(1 - np.abs(u)))))

        return objective

    def relative(number: int, seed: int) -> Objective:
        generator = np.random.default_rng([seed, number])
        return shifted(generator.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, d))

    return Problem(shifted(np.zeros(d)), relative, corner, best)


@cache
def data(number: int) -> tuple[NDArray[Any], ...]:
    """Training and validation inputs and labels; 0 is the running study's data set."""
    if number == N_PRIORS:
        x, y = make_classification(400, 12, n_informative=6, random_state=0)
    else:
        x, y = (load_digits, load_breast_cancer, load_wine)[number](return_X_y=True)
    return tuple(train_test_split(x, y, test_size=0.5, stratify=y, random_state=0))


def forest(number: int) -> Objective:
    """Log loss on a data set, at most 2, and log10 of the number of nodes."""

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        x, x_valid, y, y_valid = data(number)
        trees = ExtraTreesClassifier(
            n_estimators=trial.suggest_int("trees", 1, 50, log=True),
            max_depth=trial.suggest_int("depth", 1, 16),
            min_samples_leaf=trial.suggest_int("leaf", 1, 20, log=True),
            max_features=trial.suggest_float("features", 0.05, 1.0),
            criterion=trial.suggest_categorical("criterion", ["gini", "entropy"]),
            bootstrap=trial.suggest_categorical("bootstrap", [False, True]),
            random_state=0,
        ).fit(x, y)
        nodes = sum(tree.tree_.node_count for tree in trees.estimators_)
        loss = log_loss(y_valid, trees.predict_proba(x_valid))
        return min(float(loss), 2.0), math.log10(nodes)

    return objective


# Reference points and best volumes as in BoTorch's test functions (Balandat et al. 2020), where it
# has the function; those of ZDT3 and VLMOP2 from 20,000 points on their fronts.
PROBLEMS = {
    "ZDT1": _function(zdt1, 6, (11.0, 11.0), 120 + 2 / 3),
    "ZDT2": _function(zdt2, 6, (11.0, 11.0), 120 + 1 / 3),
    "ZDT3": _function(zdt3, 6, (11.0, 11.0), 128.77811613069076),
    "VLMOP2": _function(vlmop2, 4, (1.1, 1.1), 0.5521),
    "Branin-Currin": _function(branin_currin, 2, (18.0, 6.0), 59.36011874867746),
    "forest": Problem(forest(0), lambda number, _: forest(number + 1), (2.0, 5.0), None),
    "DTLZ2": _function(dtlz2, 6, (1.1, 1.1, 1.1), 1.1**3 - np.pi / 6),
    "vehicle": _function(vehicle, 5, (1864.72022, 11.81993945, 0.2903999384), 246.81607081187002),
}
CHOSEN_ON = ("ZDT1", "Branin-Currin", "DTLZ2")
"""The problems that were looked at while the method was built; the others confirm."""

PEERS: dict[str, Callable[[Callable[[], Priors], int], BaseSampler]] = {
    "TPE": lambda priors, seed: TPESampler(seed=seed),
    "NSGA-II": lambda priors, seed: NSGAIISampler(seed=seed),
    "GP": lambda priors, seed: GPSampler(seed=seed),
    "MetaSampler, no priors": lambda priors, seed: MetaSampler(seed=seed),
    "MetaSampler": lambda priors, seed: MetaSampler(list(priors()), seed=seed),
}


def run(objective: Objective, m: int, sampler: BaseSampler, n_trials: int) -> optuna.Study:
    """A study of ``m`` objectives."""
    study = optuna.create_study(directions=["minimize"] * m, sampler=sampler)
    study.optimize(objective, n_trials=n_trials)
    return study


def prior_studies(problem: Problem, seed: int) -> Priors:
    """TPE on the relatives of a problem."""
    m = len(problem.corner)
    return [
        run(problem.relative(i, seed), m, TPESampler(seed=1000 * seed + i), N_TRIALS)
        for i in range(N_PRIORS)
    ]


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


def missing(result: Mapping[str, Any]) -> dict[tuple[str, str, int], Array]:
    """Log10 of the missing share of the best volume: by peer, problem and seed."""
    best = {}
    for name, problem in PROBLEMS.items():
        best[name] = problem.best
        if problem.best is None and name in result["fronts"]:
            points = -torch.tensor(result["fronts"][name], dtype=torch.float64)
            corner = -torch.tensor(problem.corner, dtype=torch.float64)
            best[name] = hypervolume(points, corner)
    gaps = {}
    for key, entry in result["runs"].items():
        peer, name, seed = key.split("/")
        share = 1 - np.array(entry["volume"]) / best[name]
        gaps[peer, name, int(seed)] = np.log10(np.maximum(share, FLOOR))
    return gaps


def difference(
    gaps: Mapping[tuple[str, str, int], Array], peer: str, other: str, names: Sequence[str]
) -> tuple[float, float, float, str] | None:
    """How much more of one peer's volume is missing than of another's, over the trials.

    Returns:
        Mean, ends of its 95 % interval over pairs of a problem and a seed, and how many of these
        are better; ``None`` where there are fewer than two.
    """
    pairs = [
        float((curve - gaps[other, name, seed]).mean())
        for (mine, name, seed), curve in gaps.items()
        if mine == peer and name in names and (other, name, seed) in gaps
    ]
    if len(pairs) < 2:
        return None
    d = np.array(pairs)
    return *t_interval(d), f"{int((d < 0).sum())} of {len(d)}"


def table(result: Mapping[str, Any]) -> str:
    """The missing volume by trials and by problem as Markdown tables, and differences."""
    gaps = missing(result)
    peers = [peer for peer in PEERS if any(key[0] == peer for key in gaps)]
    names = [name for name in PROBLEMS if any(key[1] == name for key in gaps)]

    def mean(peer: str, name: str) -> Array | None:
        curves = [c for (p, n, _), c in gaps.items() if (p, n) == (peer, name)]
        return np.mean(curves, axis=0) if curves else None

    last = []
    for peer in peers:
        curves = [mean(peer, name) for name in names]
        seconds = [e["seconds"] for key, e in result["runs"].items() if key.startswith(f"{peer}/")]
        cells = ["–" if c is None else f"{c[-1]:.2f}" for c in curves]
        last.append([peer, *cells, f"{np.mean(seconds):.2f}"])
    comparisons = []
    for peer in [p for p in peers if p.startswith("MetaSampler")]:
        for other in [p for p in peers if p != peer and not p.startswith("MetaSampler, ")]:
            for label, chosen in (
                ("2", [n for n in names if len(PROBLEMS[n].corner) == 2]),
                ("3", [n for n in names if len(PROBLEMS[n].corner) == 3]),
                ("unseen", [n for n in names if n not in CHOSEN_ON]),
            ):
                d = difference(gaps, peer, other, chosen)
                if d is not None and not other.startswith("MetaSampler"):
                    gap = markdown.difference(*d[:3])
                    comparisons.append([peer, other, label, gap, d[3]])
    curves_by_peer = []
    # Over the problems that every sampler has solved, or the means would be of other things.
    shared = [name for name in names if all(mean(peer, name) is not None for peer in peers)]
    for peer in peers:
        curves = [c for name in shared if (c := mean(peer, name)) is not None]
        pooled = np.mean(curves, axis=0) if curves else np.full(len(GRID), np.nan)
        curves_by_peer.append([peer, *(f"{pooled[GRID.index(n)]:.2f}" for n in SHOWN)])
    seeds = len({key[2] for key in gaps})
    text = (
        f"Two objectives: {', '.join(n for n in names if len(PROBLEMS[n].corner) == 2)}; three: "
        f"{', '.join(n for n in names if len(PROBLEMS[n].corner) == 3)}. {seeds} seed(s) at most; "
        f"the first table is the mean over {', '.join(shared) or 'none'}. "
        "Base-10 logarithm of the share of the best known hypervolume that is missing: −1 is a "
        "tenth, −2 a hundredth, lower is better. Prior studies are "
        f"{N_PRIORS} shifted versions of the function (by up to {LARGEST_SHIFT:.0%} of each "
        f"range; for the forest, other data sets), {N_TRIALS} trials of TPE each. Differences are "
        "means over the trials, paired by problem and seed; the interval counts seeds of one "
        "problem as independent, which makes it too narrow if anything. 'unseen' are the problems "
        f"other than {', '.join(CHOSEN_ON)}, on which the method was built."
    )
    after = f"after {N_TRIALS} trials"
    return "\n\n".join(
        [
            markdown.table(["sampler", *(f"{n} trials" for n in SHOWN)], curves_by_peer),
            markdown.table([f"sampler, {after}", *names, "s per trial"], last),
            markdown.table(
                ["sampler", "against", "objectives", "difference", "better"], comparisons
            ),
            textwrap.fill(text, 100),
        ]
    )


@click.command()
@click.option("--seeds", default=5, show_default=True, help="Repetitions a problem.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS)
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(PEERS)), default=PEERS)
@click.option(
    "--problem", "names", multiple=True, type=click.Choice(list(PROBLEMS)), default=PROBLEMS
)
def main(seeds: int, out: Path, peers: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Run what is not there yet, write it as JSON after each run, and print the table."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    result: dict[str, Any] = {"runs": {}, "fronts": {}}
    if out.exists():
        result = json.loads(out.read_text(encoding="utf-8"))
    for seed, name in tqdm([(seed, name) for seed in range(seeds) for name in names]):
        problem = PROBLEMS[name]
        m = len(problem.corner)
        priors = cache(partial(prior_studies, problem, seed))
        for peer in peers:
            key = f"{peer}/{name}/{seed}"
            if key in result["runs"]:
                continue
            sampler = PEERS[peer](priors, seed)
            begin = time.perf_counter()
            study = run(problem.objective, m, sampler, N_TRIALS)
            seconds = (time.perf_counter() - begin) / N_TRIALS
            values = [t.values for t in study.trials]
            result["runs"][key] = {
                "volume": [float(f"{v:.6g}") for v in volumes(values, problem.corner)],
                "seconds": round(seconds, 3),
            }
            if problem.best is None:
                known = result["fronts"].get(name, [])
                result["fronts"][name] = front([*known, *values])
            out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    click.echo(table(result))


if __name__ == "__main__":
    main()

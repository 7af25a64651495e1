"""What is chosen in the end, where outcomes are noisy: the best value, or what a model expects.

The synthetic targets with Gaussian noise, of the same size everywhere or growing from a quarter
to seven quarters of it along one parameter; and support vector machines whose validation folds
are drawn anew for every trial. Each sampler gets the same number of trials and the same draws of
noise; then two trials of its study are judged by what their configurations are worth without
noise: the one of the best value (``study.best_trial``), and the one that ``MetaSampler.recommend``
picks. The latter works on any study, so that who searched and who chose are kept apart.

Regret is in units of what the median random configuration leaves to gain. Results are written
after every study, and a run that was broken off goes on where it stopped.

Usage: ``python -m benchmarks.noise [--out FILE]``
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import functools
import json
from pathlib import Path
import textwrap
from typing import Any

import click
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from benchmarks import markdown
from benchmarks.problems.base import Parameter, Params, random_params, seed_of, suggest
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from benchmarks.statistics import t_interval
from optuna_metasampler import MetaSampler


RESULTS = Path(__file__).parent / "results" / "noise.json"

SUITE = SyntheticSuite(0.9)
SCENARIO = "random-5"
NOISE = (
    ("even", 1.0),
    ("even", 0.3),
    ("uneven", 1.0),
    ("even", 0.1),
    ("uneven", 0.3),
    ("uneven", 0.1),
)
N_TRIALS = 40
N_RANDOM = 500
"""Random configurations whose spread is the unit of noise."""

LIVE = ("breast_cancer", "wine")
N_LIVE_SEEDS = 4
N_ROWS = 100
"""Rows of a data set that are used: few, so that the choice of those for validation matters."""

N_FOLDS = 2
N_LIVE_SAMPLE = 30
N_TRUTH = 12
"""Draws of the folds whose mean counts as the truth."""

Priors = Sequence[optuna.Study]

PEERS: dict[str, Callable[[Priors, int], BaseSampler]] = {
    "TPESampler": lambda priors, seed: TPESampler(seed=seed),
    "GPSampler": lambda priors, seed: GPSampler(seed=seed),
    "MetaSampler, no prior": lambda priors, seed: MetaSampler(seed=seed),
    "MetaSampler, priors": lambda priors, seed: MetaSampler(list(priors), seed=seed),
}


@dataclass(frozen=True)
class Problem:
    """A noisy objective to be minimised, and the truth about it.

    Attributes:
        cell: Which rows of the result it belongs to.
        seed: Tells it from others of the cell.
        parameters: What is tuned.
        priors: Prior studies.
        noisy: From parameters and a source of noise to a value.
        regret: From parameters to their regret, without noise.
    """

    cell: str
    seed: str
    parameters: tuple[Parameter, ...]
    priors: Priors
    noisy: Callable[[Params, np.random.Generator], float]
    regret: Callable[[Params], float]


def synthetic(target: str, kind: str, level: float, seed: int) -> Problem:
    """A synthetic target with noise of ``level`` times the outcomes' own spread."""
    objective, scale = SUITE.objective(target), SUITE.scale(target)
    generator = np.random.default_rng(0)
    sample = [random_params(SUITE.parameters, generator) for _ in range(N_RANDOM)]
    spread = level * float(np.std([objective(params) for params in sample]))

    def noisy(params: Params, noise: np.random.Generator) -> float:
        # From 0.25 to 1.75 along the first parameter, which goes from -1 to 1.
        factor = 1.0 + 0.75 * params["x0"] if kind == "uneven" else 1.0
        return objective(params) + spread * factor * float(noise.standard_normal())

    priors = setting_of(SUITE, prior_logs(SCENARIO, SUITE, target, seed), seed).priors
    return Problem(
        f"{kind} {level}",
        f"{target}/{seed}",
        SUITE.parameters,
        priors,
        noisy,
        lambda params: float(scale.regret([objective(params)])[0]),
    )


_MACHINE = (
    Parameter("C", FloatDistribution(1e-3, 1e3, log=True)),
    Parameter("gamma", FloatDistribution(1e-6, 1e1, log=True)),
    Parameter("weight", CategoricalDistribution(["balanced", None])),
    Parameter("shrinking", CategoricalDistribution([True, False])),
)


@functools.cache
def _data(name: str) -> tuple[np.ndarray, np.ndarray]:
    loaders = {"breast_cancer": load_breast_cancer, "digits": load_digits, "wine": load_wine}
    x, y = loaders[name](return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))[:N_ROWS]
    return x[rows], y[rows]


def error(name: str, params: Params, split: int) -> float:
    """Cross-validated share of errors of a support vector machine, with folds drawn by a seed."""
    x, y = _data(name)
    machine = SVC(
        C=params["C"],
        gamma=params["gamma"],
        class_weight=params["weight"],
        shrinking=params["shrinking"],
    )
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=split)
    model = make_pipeline(StandardScaler(), machine)
    return 1.0 - float(np.mean(cross_val_score(model, x, y, cv=folds)))


@functools.cache
def _truth(name: str, items: tuple[tuple[str, Any], ...]) -> float:
    return float(np.mean([error(name, dict(items), split) for split in range(N_TRUTH)]))


@functools.cache
def _live_scale(name: str) -> tuple[float, float]:
    """The least and the median true error of random configurations."""
    generator = np.random.default_rng(0)
    sample = [random_params(_MACHINE, generator) for _ in range(N_LIVE_SAMPLE)]
    errors = [_truth(name, tuple(sorted(params.items()))) for params in sample]
    return float(np.min(errors)), float(np.median(errors))


def live(name: str, seed: int) -> Problem:
    """A support vector machine; prior studies are on the other data sets.

    The least true error of a random sample stands for the best there is, so that a regret may be
    a little below 0.
    """
    best, median = _live_scale(name)
    priors = []
    for other in ("breast_cancer", "digits", "wine"):
        if other != name:
            study = optuna.create_study(study_name=other, sampler=RandomSampler(seed=seed))
            study.optimize(lambda t, o=other: error(o, suggest(t, _MACHINE), t.number), 20)
            priors.append(study)

    def noisy(params: Params, noise: np.random.Generator) -> float:
        return error(name, params, int(noise.integers(1000, 2**31)))

    def regret(params: Params) -> float:
        return (_truth(name, tuple(sorted(params.items()))) - best) / (median - best)

    return Problem("live", f"{name}/{seed}", _MACHINE, priors, noisy, regret)


def run(problem: Problem, peer: str) -> dict[str, Any]:
    """One study, and the regret of the two trials that might be chosen in the end."""
    seed = seed_of(problem.cell, problem.seed) % 1000
    noise = np.random.default_rng(seed_of(problem.cell, problem.seed, "noise"))
    study = optuna.create_study(sampler=PEERS[peer](problem.priors, seed))

    def objective(trial: optuna.Trial) -> float:
        return problem.noisy(suggest(trial, problem.parameters), noise)

    study.optimize(objective, n_trials=N_TRIALS)
    sampler = study.sampler
    chooser = sampler if isinstance(sampler, MetaSampler) else MetaSampler(seed=seed)
    return {
        "cell": problem.cell,
        "seed": problem.seed,
        "peer": peer,
        "best value": round(problem.regret(study.best_trial.params), 5),
        "recommended": round(problem.regret(chooser.recommend(study).params), 5),
    }


def problems() -> list[Callable[[], Problem]]:
    """All problems, each made when it is its turn."""
    made_up = [
        functools.partial(synthetic, target, kind, level, 0)
        for kind, level in NOISE
        for target in SUITE.targets
    ]
    real = [functools.partial(live, name, seed) for name in LIVE for seed in range(N_LIVE_SEEDS)]
    return [*made_up[: 2 * len(SUITE.targets)], *real, *made_up[2 * len(SUITE.targets) :]]


def table(result: Mapping[str, Any]) -> str:
    """Regret of what is chosen, by noise, and what a choice by the model changes."""
    finished = Counter((r["cell"], r["seed"]) for r in result["rows"])
    # A run that was broken off: only what every sampler has done is compared.
    rows = [r for r in result["rows"] if finished[r["cell"], r["seed"]] == len(PEERS)]
    lines, differences = [], []
    for cell in dict.fromkeys(r["cell"] for r in rows):
        mine = [r for r in rows if r["cell"] == cell]
        cells = []
        for peer in PEERS:
            own = [r for r in mine if r["peer"] == peer]
            values = [np.mean([r[k] for r in own]) for k in ("best value", "recommended")]
            cells.append(" / ".join(f"{v:.2f}" for v in values))
        lines.append([cell, str(len({r["seed"] for r in mine})), *cells])
    for peer in PEERS:
        own = [r["recommended"] - r["best value"] for r in rows if r["peer"] == peer]
        differences.append(f"{markdown.difference(*t_interval(own), digits=3)} for {peer}")
    text = (
        f"True regret after {N_TRIALS} trials of the trial with the best value / of the one that "
        "`MetaSampler.recommend` picks from the same study; 1 is the median random configuration. "
        'Noise in units of the outcomes\' spread, the same everywhere ("even") or growing along '
        'one parameter; "live" is a support vector machine with folds drawn anew. What the '
        f"recommendation changes, over all problems, paired: {'; '.join(differences)} (95 % "
        "intervals)."
    )
    header = ["noise", "problems", *PEERS]
    return f"{markdown.table(header, lines)}\n\n{textwrap.fill(text, 100)}"


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS)
def main(out: Path) -> None:
    """Run what is missing in the file of results, and print the table."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"] if out.exists() else []
    done = {(r["cell"], r["seed"], r["peer"]) for r in rows}
    for make in tqdm(problems()):
        problem = make()
        for peer in PEERS:
            if (problem.cell, problem.seed, peer) in done:
                continue
            rows.append(run(problem, peer))
            lines = ",\n".join(json.dumps(row) for row in rows)
            text = f'{{"n_trials": {N_TRIALS}, "rows": [\n{lines}\n]}}\n'
            out.write_text(text, encoding="utf-8")
    click.echo(table({"rows": rows}))


if __name__ == "__main__":
    main()

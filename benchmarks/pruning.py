"""Regret by epochs spent, on training loops that report intermediate values to a pruner.

Two kinds of loop. ``networks``: a scikit-learn network is trained epoch by epoch on each data set
that comes with scikit-learn; prior studies are such runs on the *other* data sets, and on two that
are made up. ``curves``: learning curves drawn at random, without any training, see
:mod:`benchmarks.problems.curves`; prior studies are such runs on related draws. Prior studies are
runs of TPE under the same pruner, and all samplers get the same budget of epochs.

The regret at a number of epochs is that of the best completed trial so far, in units of what the
median random configuration leaves to gain; 1 before the first completed trial, and at most.

Usage: ``python -m benchmarks.pruning [--seeds N] [--loop NAME] [--pruner NAME] [--peer NAME]
[--out FILE]``; what the file has already is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
import json
from pathlib import Path
import textwrap
from typing import Any
import warnings

import click
import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from benchmarks import markdown
from benchmarks.problems.base import suggest
from benchmarks.problems.curves import N_EPOCHS, CurveSuite
from benchmarks.statistics import t_interval
from optuna_metasampler import MetaSampler


RESULTS = Path(__file__).parent / "results" / "pruning.json"

BUDGET = 12 * N_EPOCHS
"""Epochs of one study; as many as a dozen trials would take that are never stopped."""

N_PRIOR_TRIALS = 40
N_RANDOM = 15
"""Random configurations, trained to the end, whose median sets the unit of regret."""

SHOWN = (54, 81, 162, 324)
GRID = np.arange(N_EPOCHS, BUDGET + 1, N_EPOCHS)
Priors = Callable[[], Sequence[optuna.Study]]
"""Prior studies, run at the first call: not every peer has a use for them."""

REFERENCE = "TPE"
PEERS: dict[str, Callable[[Priors, int], BaseSampler]] = {
    REFERENCE: lambda priors, seed: TPESampler(seed=seed),
    "GP": lambda priors, seed: GPSampler(seed=seed),
    "MetaSampler (auto), no priors": lambda priors, seed: MetaSampler(seed=seed),
    "MetaSampler (auto)": lambda priors, seed: MetaSampler(list(priors()), seed=seed),
    "MetaSampler (hyperband)": lambda priors, seed: MetaSampler(
        list(priors()), method="hyperband", seed=seed
    ),
}
PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "MedianPruner": MedianPruner,
    "HyperbandPruner": lambda: HyperbandPruner(
        min_resource=1, max_resource=N_EPOCHS, reduction_factor=3
    ),
}


@dataclass(frozen=True)
class Loop:
    """A kind of training loop.

    Attributes:
        targets: Names of the tasks that samplers are compared on.
        sources: Names of the tasks of a target's prior studies.
        losses: Losses after every epoch of a trial of a task, as it is trained.
    """

    targets: tuple[str, ...]
    sources: Callable[[str], tuple[str, ...]]
    losses: Callable[[optuna.Trial, str], Iterable[float]]


_DATA_SETS = ("digits", "breast_cancer", "wine")
_MADE_UP = ("made up 1", "made up 2")
_MAX_ROWS = 600


@cache
def data(name: str) -> tuple[NDArray[Any], ...]:
    """Training and validation inputs and labels: ``(x, x_valid, y, y_valid)``."""
    if name in _MADE_UP:
        x, y = make_classification(
            n_samples=400, n_features=12, n_informative=6, random_state=_MADE_UP.index(name)
        )
    else:
        loaders = {"digits": load_digits, "breast_cancer": load_breast_cancer, "wine": load_wine}
        x, y = loaders[name](return_X_y=True)
        x, y = x[:_MAX_ROWS], y[:_MAX_ROWS]
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.4, stratify=y, random_state=0)
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(x_valid), y, y_valid


def _network(trial: optuna.Trial, name: str) -> Iterator[float]:
    """Validation log loss of a network after every epoch."""
    x, x_valid, y, y_valid = data(name)
    network = MLPClassifier(
        hidden_layer_sizes=(trial.suggest_int("units", 4, 64, log=True),),
        learning_rate_init=trial.suggest_float("rate", 1e-5, 1.0, log=True),
        alpha=trial.suggest_float("alpha", 1e-6, 10.0, log=True),
        batch_size=trial.suggest_int("batch", 16, 128, log=True),
        activation=trial.suggest_categorical("activation", ["relu", "tanh", "logistic"]),
        beta_1=trial.suggest_float("beta_1", 0.0, 0.99),
        random_state=0,
    )
    for _ in range(N_EPOCHS):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a network that diverges says so many times
            try:
                network.partial_fit(x, y, classes=np.unique(y))
                loss = float(log_loss(y_valid, network.predict_proba(x_valid)))
            except ValueError:  # its weights are numbers no more
                loss = 20.0
        yield loss


_SUITE = CurveSuite(0.8)
_N_SOURCES = 4

LOOPS = {
    "networks": Loop(
        targets=_DATA_SETS,
        sources=lambda target: tuple(n for n in (*_DATA_SETS, *_MADE_UP) if n != target),
        losses=_network,
    ),
    "curves": Loop(
        targets=_SUITE.targets,
        sources=lambda target: _SUITE.sources(target)[:_N_SOURCES],
        losses=lambda trial, task: _SUITE.losses(task, suggest(trial, _SUITE.parameters)).tolist(),
    ),
}


def run(
    loop: Loop,
    task: str,
    sampler: BaseSampler,
    pruner: BasePruner,
    budget: int,
    n_trials: int | None = None,
) -> tuple[optuna.Study, list[int]]:
    """A study, and the epochs that each of its trials took."""
    study = optuna.create_study(sampler=sampler, pruner=pruner, study_name=task)
    spent: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        spent.append(0)
        loss = float("nan")
        try:
            for epoch, loss in enumerate(loop.losses(trial, task), start=1):
                spent[-1] += 1
                trial.report(loss, epoch)
                # A trial that has reached the end has nothing left to save.
                if epoch < N_EPOCHS and trial.should_prune():
                    raise optuna.TrialPruned
            return loss
        finally:
            if sum(spent) >= budget:
                study.stop()

    study.optimize(objective, n_trials=n_trials)
    return study, spent


def best_by_epochs(study: optuna.Study, spent: Sequence[int]) -> list[float | None]:
    """Value of the best completed trial at each point of the grid; ``None`` before one."""
    ends = np.cumsum(spent)
    values = [t.values[0] if t.state == TrialState.COMPLETE else np.inf for t in study.trials]
    best = np.minimum.accumulate(values)
    at = np.searchsorted(ends, GRID, side="right") - 1
    return [
        round(float(best[i]), 5) if i >= 0 and np.isfinite(best[i]) else None for i in at.tolist()
    ]


def _summary(
    runs: Iterable[Mapping[str, Any]], unit: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Mean regrets of each peer, and paired differences to TPE.

    Args:
        runs: Of one kind of loop under one pruner.
        unit: Losses of the median random configuration, by task.
    """
    curves = {
        (r["peer"], r["task"], r["seed"]): np.array(
            [np.inf if value is None else value for value in r["best"]]
        )
        for r in runs
    }
    names = {name for _, name, _ in curves}
    lowest = {n: min(c.min() for (_, m, _), c in curves.items() if m == n) for n in names}
    regret = {
        key: np.clip((c - lowest[key[1]]) / (unit[key[1]] - lowest[key[1]]), 0.0, 1.0)
        for key, c in curves.items()
    }
    entries: dict[str, dict[str, Any]] = {}
    for peer in PEERS:
        mine = {key[1:]: r for key, r in regret.items() if key[0] == peer}
        pairs = [key for key in mine if (REFERENCE, *key) in regret]
        if not pairs:
            continue
        gaps = np.array([mine[key] - regret[(REFERENCE, *key)] for key in pairs])
        entries[peer] = {
            "regret": np.mean([mine[key] for key in pairs], axis=0),
            "gaps": gaps,
        }
    return entries


def table(result: Mapping[str, Any]) -> str:
    """Regret at a few numbers of epochs as Markdown tables, and the differences to TPE."""
    at = [int(np.flatnonzero(n == GRID)[0]) for n in SHOWN]
    parts = []
    for loop in LOOPS:
        for pruner in PRUNERS:
            runs = [r for r in result["runs"] if (r["loop"], r["pruner"]) == (loop, pruner)]
            if not runs:
                continue
            rows = []
            n_pairs = 0
            for peer, entry in _summary(runs, result["unit"][loop]).items():
                cells = [f"{entry['regret'][i]:.2f}" for i in at]
                gaps = entry["gaps"]
                n_pairs = max(n_pairs, len(gaps))
                overall = gaps.mean(axis=1)
                differences = ["–"] * 4
                if peer != REFERENCE:
                    differences = [
                        *(markdown.difference(*t_interval(gaps[:, i])) for i in (at[1], at[-1])),
                        markdown.difference(*t_interval(overall)),
                        f"{int((overall < 0).sum())} of {len(gaps)}",
                    ]
                rows.append([peer, *cells, f"{entry['regret'].mean():.2f}", *differences])
            header = [
                f"`{loop}` under `{pruner}`",
                *(f"{n}" for n in SHOWN),
                "mean",
                f"minus TPE at {SHOWN[1]}",
                f"at {SHOWN[-1]}",
                "mean",
                "better",
            ]
            if n_pairs > 1:
                parts.append(markdown.table(header, rows))
    text = (
        "Regret of the best completed trial by epochs spent in all trials together (a whole "
        f"training takes {N_EPOCHS}): 1 is what the median random configuration reaches, and "
        "before the first completed trial; the mean is over the epochs. `networks`: networks of "
        f"scikit-learn on {len(_DATA_SETS)} data sets, prior studies on other data sets. "
        f"`curves`: random learning curves, {len(_SUITE.targets)} targets, prior studies on "
        f"related ones. Prior studies are {_N_SOURCES} runs of TPE of {N_PRIOR_TRIALS} trials "
        "under the same pruner. Differences are paired by task and seed, with 95 % intervals, "
        "which count seeds of one task as independent and so are too narrow if anything."
    )
    return "\n\n".join([*parts, textwrap.fill(text, 100)])


def _prior_studies(loop: str, pruner: str, task: str, seed: int) -> list[optuna.Study]:
    """Runs of TPE on the sources of a task."""
    return [
        run(
            LOOPS[loop],
            source,
            TPESampler(seed=100 + seed),
            PRUNERS[pruner](),
            N_PRIOR_TRIALS * N_EPOCHS,
            N_PRIOR_TRIALS,
        )[0]
        for source in LOOPS[loop].sources(task)
    ]


def _unit(loop: Loop, task: str) -> float:
    """Loss of the median random configuration."""
    study, _ = run(loop, task, RandomSampler(seed=0), NopPruner(), N_RANDOM * N_EPOCHS)
    return float(np.median([t.values[0] for t in study.trials]))


@click.command()
@click.option("--seeds", default=4, show_default=True, help="Repetitions a task.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS)
@click.option("--loop", "loops", multiple=True, type=click.Choice(list(LOOPS)), default=LOOPS)
@click.option(
    "--pruner", "pruners", multiple=True, type=click.Choice(list(PRUNERS)), default=PRUNERS
)
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(PEERS)), default=PEERS)
def main(
    seeds: int,
    out: Path,
    loops: tuple[str, ...],
    pruners: tuple[str, ...],
    peers: tuple[str, ...],
) -> None:
    """Run what the file does not have yet, and write it after every run."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    result: dict[str, Any] = {"unit": {}, "runs": []}
    if out.exists():
        result = json.loads(out.read_text(encoding="utf-8"))
    columns = ("loop", "pruner", "task", "seed", "peer")
    done = {tuple(r[c] for c in columns) for r in result["runs"]}
    jobs = [
        (loop, pruner, task, seed)
        for seed in range(seeds)
        for loop in loops
        for task in LOOPS[loop].targets
        for pruner in pruners
    ]
    for job in tqdm(jobs):
        missing = [peer for peer in peers if (*job, peer) not in done]
        if not missing:
            continue
        name, pruner, task, seed = job
        loop, units = LOOPS[name], result["unit"].setdefault(name, {})
        if task not in units:
            units[task] = _unit(loop, task)
        priors = cache(partial(_prior_studies, *job))
        for peer in missing:
            study, spent = run(loop, task, PEERS[peer](priors, seed), PRUNERS[pruner](), BUDGET)
            best = best_by_epochs(study, spent)
            result["runs"].append(dict(zip(columns, (*job, peer), strict=True)) | {"best": best})
            _write(out, result)
    click.echo(table(result))


def _write(out: Path, result: Mapping[str, Any]) -> None:
    """Write a result, one run a line: a change shows where it is."""
    runs = ",\n".join(json.dumps(each) for each in result["runs"])
    text = f'{{"unit": {json.dumps(result["unit"])},\n"runs": [\n{runs}\n]}}\n'
    out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Regret by epochs spent, on training loops that report intermediate values to a pruner.

A scikit-learn network is trained epoch by epoch on each data set that comes with scikit-learn, and
Optuna's ``HyperbandPruner`` stops most trials early. Prior studies are such runs by TPE on the
*other* data sets, and on two that are made up. All samplers get the same budget of epochs.

The regret at a number of epochs is that of the best completed trial so far, in units of what the
median random configuration leaves to gain; 1 before the first completed trial, and at most.

Usage: ``python -m benchmarks.hyperband [--seeds N] [--peer NAME] [--out FILE]``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
import json
from pathlib import Path
import textwrap
from typing import Any
import warnings

import click
import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from benchmarks import markdown
from optuna_metasampler import MetaSampler


RESULTS = Path(__file__).parent / "results" / "hyperband.json"

TARGETS = ("digits", "breast_cancer", "wine")
MADE_UP = ("made up 1", "made up 2")
N_EPOCHS = 27
BUDGET = 12 * N_EPOCHS
"""Epochs of one study; as many as a dozen trials would take that are never stopped."""

N_PRIOR_TRIALS = 40
N_RANDOM = 15
"""Random configurations, trained to the end, whose median sets the unit of regret."""

SHOWN = (27, 81, 162, 324)
GRID = np.arange(N_EPOCHS, BUDGET + 1, N_EPOCHS)
Priors = Sequence[optuna.Study]

PEERS: dict[str, Callable[[Priors, int], BaseSampler]] = {
    "TPE": lambda priors, seed: TPESampler(seed=seed),
    "MetaSampler (hyperband)": lambda priors, seed: MetaSampler(
        list(priors), method="hyperband", seed=seed
    ),
    "MetaSampler (hyperband), no priors": lambda priors, seed: MetaSampler(
        method="hyperband", seed=seed
    ),
    "MetaSampler (auto)": lambda priors, seed: MetaSampler(list(priors), seed=seed),
}


@cache
def data(name: str) -> tuple[NDArray[Any], ...]:
    """Training and validation inputs and labels: ``(x, x_valid, y, y_valid)``."""
    if name in MADE_UP:
        x, y = make_classification(
            n_samples=400, n_features=12, n_informative=6, random_state=MADE_UP.index(name)
        )
    else:
        loaders = {"digits": load_digits, "breast_cancer": load_breast_cancer, "wine": load_wine}
        x, y = loaders[name](return_X_y=True)
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.4, stratify=y, random_state=0)
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(x_valid), y, y_valid


def train(trial: optuna.Trial, name: str, spent: list[int]) -> float:
    """Validation log loss of a network after the last epoch; adds epochs to ``spent``."""
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
    loss = np.inf
    for epoch in range(1, N_EPOCHS + 1):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a network that diverges says so many times
            try:
                network.partial_fit(x, y, classes=np.unique(y))
                loss = float(log_loss(y_valid, network.predict_proba(x_valid)))
            except ValueError:  # its weights are numbers no more
                loss = 20.0
        spent[-1] += 1
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


def run(
    name: str,
    sampler: BaseSampler,
    pruner: optuna.pruners.BasePruner,
    budget: int,
    n_trials: int | None = None,
) -> tuple[optuna.Study, list[int]]:
    """A study, and the epochs that each of its trials took."""
    study = optuna.create_study(sampler=sampler, pruner=pruner, study_name=name)
    spent: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        spent.append(0)
        try:
            return train(trial, name, spent)
        finally:
            if sum(spent) >= budget:
                study.stop()

    study.optimize(objective, n_trials=n_trials)
    return study, spent


def hyperband() -> optuna.pruners.HyperbandPruner:
    """Three brackets."""
    return optuna.pruners.HyperbandPruner(
        min_resource=1, max_resource=N_EPOCHS, reduction_factor=3
    )


def best_by_epochs(study: optuna.Study, spent: Sequence[int]) -> list[float]:
    """Value of the best completed trial at each point of the grid; infinite before one."""
    ends = np.cumsum(spent)
    values = [t.values[0] if t.state == TrialState.COMPLETE else np.inf for t in study.trials]
    best = np.minimum.accumulate(values)
    at = np.searchsorted(ends, GRID, side="right") - 1
    return [float(best[i]) if i >= 0 else float("inf") for i in at]


def summary(
    curves: Mapping[tuple[str, str, int], Sequence[float]], unit: Mapping[str, float]
) -> dict[str, Any]:
    """Mean regrets of each peer, and paired differences to TPE with 95 % intervals."""
    names = sorted({name for _, name, _ in curves})
    lowest = {n: min(min(c) for (_, m, _), c in curves.items() if m == n) for n in names}
    regret = {
        key: np.clip((np.array(c) - lowest[key[1]]) / (unit[key[1]] - lowest[key[1]]), 0.0, 1.0)
        for key, c in curves.items()
    }
    entries: dict[str, Any] = {}
    for peer in dict.fromkeys(peer for peer, _, _ in curves):
        mine = {key[1:]: r for key, r in regret.items() if key[0] == peer}
        entry: dict[str, Any] = {
            "regret": np.mean(list(mine.values()), axis=0).round(4).tolist(),
            "mean regret": float(np.mean(list(mine.values()))),
            "mean regret by data set": {
                n: float(np.mean([r for (m, _), r in mine.items() if m == n])) for n in names
            },
        }
        if peer != "TPE":
            theirs = {key[1:]: r for key, r in regret.items() if key[0] == "TPE"}
            gaps = np.array([r.mean() - theirs[key].mean() for key, r in mine.items()])
            half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
            entry["minus TPE"] = {
                "mean": float(gaps.mean()),
                "95 % interval": [float(gaps.mean() - half), float(gaps.mean() + half)],
                "better in": f"{int((gaps < 0).sum())} of {len(gaps)}",
            }
        entries[peer] = entry
    return {"epochs": GRID.tolist(), "peers": entries}


def table(result: Mapping[str, Any]) -> str:
    """Regret at a few numbers of epochs as a Markdown table, and the difference to TPE."""
    at = [i for i, n in enumerate(result["epochs"]) if n in SHOWN]
    rows = []
    for peer, entry in result["peers"].items():
        gap, better = "–", "–"
        if "minus TPE" in entry:
            low, high = entry["minus TPE"]["95 % interval"]
            gap = f"{entry['minus TPE']['mean']:+.2f} ({low:+.2f} to {high:+.2f})"
            better = entry["minus TPE"]["better in"]
        cells = [f"{entry['regret'][i]:.2f}" for i in at]
        rows.append([peer, *cells, f"{entry['mean regret']:.2f}", gap, better])
    shown = [f"{result['epochs'][i]} epochs" for i in at]
    header = ["sampler, under `HyperbandPruner`", *shown, "mean", "minus TPE", "better"]
    text = (
        f"Networks of scikit-learn on {len(TARGETS)} data sets, {result['seeds']} seeds each, "
        f"prior studies on other data sets ({N_PRIOR_TRIALS} trials of TPE each). Regret of the "
        "best completed trial by epochs spent in all trials together: 1 is what the median random "
        "configuration reaches, and before the first completed trial; mean over the epochs. The "
        "interval counts seeds of one data set as independent, which makes it too narrow if "
        "anything."
    )
    return f"{markdown.table(header, rows)}\n\n{textwrap.fill(text, 100)}"


@click.command()
@click.option("--seeds", default=4, show_default=True, help="Repetitions a data set.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice(list(PEERS)),
    default=list(PEERS),
    help="Which samplers, TPE among them; all by default.",
)
def main(seeds: int, out: Path, peers: tuple[str, ...]) -> None:
    """Run all, print the table and write it as JSON."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    unit = {}
    for name in TARGETS:
        study, _ = run(
            name, RandomSampler(seed=0), optuna.pruners.NopPruner(), N_RANDOM * N_EPOCHS
        )
        unit[name] = float(np.median([t.values[0] for t in study.trials]))
    curves = {}
    for seed, name in tqdm([(seed, name) for seed in range(seeds) for name in TARGETS]):
        priors = [
            run(other, TPESampler(seed=100 + seed), hyperband(), BUDGET * 9, N_PRIOR_TRIALS)[0]
            for other in (*TARGETS, *MADE_UP)
            if other != name
        ]
        for peer in peers:
            build = PEERS[peer]
            study, spent = run(name, build(priors, seed), hyperband(), BUDGET)
            curves[peer, name, seed] = best_by_epochs(study, spent)
        if name == TARGETS[-1]:
            # After every seed: a run that is broken off has not been in vain.
            result = {"seeds": seed + 1, **summary(curves, unit)}
            out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    click.echo(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

"""Start from a CSV file of another tool.

Run: ``python examples/05_csv_of_another_tool.py``. Takes a few seconds.
"""

from pathlib import Path
import random
import tempfile

import optuna

from optuna_metasampler import MetaSampler, Table


def accuracy(rate: float, layers: int, activation: str, best_rate: float) -> float:
    """Stand-in for training a network and testing it."""
    misfit = abs(rate / best_rate - 1) / (rate / best_rate + 1)
    return 0.95 - 0.2 * misfit - 0.03 * abs(layers - 3) - 0.1 * (activation == "tanh")


def export(path: Path) -> None:
    """Random search on 2 data sets, as another tool exported it."""
    rng = random.Random(0)
    lines = ["run;data set;learning rate;layers;activation;seconds;test accuracy"]
    for run in range(60):
        data_set, best_rate = (("cats", 1e-3), ("dogs", 3e-3))[run % 2]
        rate, layers = 10 ** rng.uniform(-5, -1), rng.randint(1, 6)
        activation = rng.choice(["relu", "tanh"])
        score = accuracy(rate, layers, activation, best_rate)
        lines.append(f"{run};{data_set};{rate:.3g};{layers};{activation};{run + 9};{score:.4f}")
    path.write_text("\n".join(lines), encoding="utf-8")


def objective(trial: optuna.Trial) -> float:
    """A third data set, in Optuna, with other parameter names."""
    rate = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    layers = trial.suggest_int("n_layers", 1, 8)
    activation = trial.suggest_categorical("activation", ["relu", "tanh"])
    return accuracy(rate, layers, activation, best_rate=2e-3)


def main() -> None:
    """Describe the columns of the table, and start from its results."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.csv"
        export(path)
        table = Table(
            path,
            objective="test accuracy",
            direction="maximize",
            parameters={"learning rate": "log", "layers": None, "activation": None},
            study="data set",
        )
        sampler = MetaSampler(table, rename={"learning rate": "lr", "layers": "n_layers"}, seed=0)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(objective, n_trials=10)
        tried = [trial.value for prior in table.studies() for trial in prior.trials]

    print(f"{len(tried)} runs in the table, best accuracy {max(tried):.3f}")
    print(f"First trial {study.trials[0].value:.3f}, best of 10 {study.best_value:.3f}")
    print(f"Best parameters: {study.best_params}")


if __name__ == "__main__":
    main()

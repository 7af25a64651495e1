"""Tune a training loop under Hyperband, after a study of another data set.

Run: ``python examples/06_hyperband.py``. Takes a few seconds.
"""

import numpy as np
import optuna
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from optuna_metasampler import MetaSampler


N_EPOCHS = 27
N_TRIALS = 12


def train(trial: optuna.Trial, x: np.ndarray, y: np.ndarray) -> float:
    """Train a linear classifier epoch by epoch, and report its accuracy after each."""
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=0.4, random_state=0)
    model = SGDClassifier(
        loss=trial.suggest_categorical("loss", ["hinge", "log_loss", "modified_huber"]),
        alpha=trial.suggest_float("alpha", 1e-6, 1e1, log=True),
        learning_rate="invscaling",
        eta0=trial.suggest_float("rate", 1e-4, 1e2, log=True),
        power_t=trial.suggest_float("decay", 0.0, 1.0),
        random_state=0,
    )
    for epoch in range(1, N_EPOCHS + 1):
        model.partial_fit(x, y, classes=np.unique(y))
        accuracy = float(model.score(x_valid, y_valid))
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


def tune(
    data: tuple[np.ndarray, np.ndarray], sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    """A study of which Hyperband stops most trials after a few epochs."""
    x, y = scale(data[0]), data[1]
    pruner = optuna.pruners.HyperbandPruner(max_resource=N_EPOCHS, reduction_factor=3)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(lambda trial: train(trial, x, y), n_trials=N_TRIALS)
    return study


def main() -> None:
    """Tune on one data set, then on another with the first study as a prior."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    old = tune(load_wine(return_X_y=True), optuna.samplers.TPESampler(seed=0))
    new = tune(load_digits(return_X_y=True), MetaSampler(old, method="hyperband", seed=0))
    for name, study in (("Wine", old), ("Digits", new)):
        epochs = sum(len(t.intermediate_values) for t in study.trials)
        print(f"{name}: best of {N_TRIALS} {study.best_value:.3f}, ", end="")
        print(f"{epochs} of {N_TRIALS * N_EPOCHS} epochs")


if __name__ == "__main__":
    main()

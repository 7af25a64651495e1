"""Start a new study where an old one ended.

Run: ``python examples/01_warm_start.py``. Takes a few seconds.
"""

from pathlib import Path
import tempfile

import optuna

from optuna_metasampler import MetaSampler


def train(trial: optuna.Trial, best_rate: float) -> float:
    """Stand-in for training a model; the best learning rate differs a little by data set."""
    rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    depth = trial.suggest_int("depth", 1, 8)
    activation = trial.suggest_categorical("activation", ["relu", "tanh"])
    misfit = abs(rate / best_rate - 1) / (rate / best_rate + 1)
    return misfit + 0.1 * abs(depth - 4) + (0.2 if activation == "tanh" else 0.0)


def main() -> None:
    """Make an old study, then a new one that reads it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        storage = f"sqlite:///{(Path(folder) / 'old.db').as_posix()}"

        # Last month: an ordinary study, stored in a file.
        old = optuna.create_study(
            storage=storage, study_name="last-month", sampler=optuna.samplers.TPESampler(seed=0)
        )
        old.optimize(lambda trial: train(trial, best_rate=1e-3), n_trials=40)

        # Today: another data set, the same model.
        new = optuna.create_study(sampler=MetaSampler(storage, prior_studies="last-*", seed=0))
        new.optimize(lambda trial: train(trial, best_rate=2e-3), n_trials=10)

    print(f"Old study: first trial {old.trials[0].value:.3f}, best of 40 {old.best_value:.3f}")
    print(f"New study: first trial {new.trials[0].value:.3f}, best of 10 {new.best_value:.3f}")


if __name__ == "__main__":
    main()

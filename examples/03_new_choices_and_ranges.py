"""Go on with a study whose search space has changed, without losing its trials.

Run: ``python examples/03_new_choices_and_ranges.py``. Takes a few seconds.
"""

from pathlib import Path
import tempfile

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from optuna_metasampler import MetaSampler


def train(rate: float, batch_size: int, optimizer: str) -> float:
    """Stands for training a model."""
    penalty = {"sgd": 0.3, "adam": 0.1, "adamw": 0.0}[optimizer]
    misfit = abs(rate / 5e-3 - 1) / (rate / 5e-3 + 1)
    return misfit + abs(batch_size - 48) / 100 + penalty


def before(trial: optuna.Trial) -> float:
    """The search space of the first weeks."""
    return train(
        trial.suggest_float("rate", 1e-5, 1e-2, log=True),
        trial.suggest_categorical("batch_size", [16, 32, 64]),
        trial.suggest_categorical("optimizer", ["sgd", "adam"]),
    )


def now(trial: optuna.Trial) -> float:
    """A wider range, a number where there were choices, and a new choice."""
    return train(
        trial.suggest_float("rate", 1e-4, 1e-1, log=True),
        trial.suggest_int("batch_size", 8, 128),
        trial.suggest_categorical("optimizer", ["sgd", "adam", "adamw"]),
    )


def main() -> None:
    """Runs the old study, then the new one in the same storage."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        storage = f"sqlite:///{(Path(folder) / 'studies.db').as_posix()}"
        old = optuna.create_study(
            study_name="v1", storage=storage, sampler=optuna.samplers.TPESampler(seed=0)
        )
        old.optimize(before, n_trials=30)

        # What of the old study is of use in the new space?
        space = {
            "rate": FloatDistribution(1e-4, 1e-1, log=True),
            "batch_size": IntDistribution(8, 128),
            "optimizer": CategoricalDistribution(["sgd", "adam", "adamw"]),
        }
        print(MetaSampler(storage).inspect_priors(space), end="\n\n")

        # Optuna would refuse `new.add_trials(old.trials)`: the distributions differ.
        sampler = MetaSampler(storage, prior_studies="v1", seed=0)
        new = optuna.create_study(study_name="v2", storage=storage, sampler=sampler)
        new.optimize(now, n_trials=10)
        print(f"Old space: best of 30 {old.best_value:.3f} with {old.best_params}")
        print(f"New space: first trial {new.trials[0].value:.3f}, best of 10 {new.best_value:.3f}")
        print(f"           with {new.best_params}")


if __name__ == "__main__":
    main()

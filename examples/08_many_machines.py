"""Tune one model on many machines, with an earlier study behind you.

On several machines, give all of them the same database, and start this script on each as often as
it has room for trials; start and stop workers as you like:

    pip install optuna-metasampler "psycopg[binary]"
    python examples/08_many_machines.py postgresql+psycopg://user:password@server/tuning

Run: ``python examples/08_many_machines.py``. Without a database it starts three workers on this
machine, with an SQLite file. Takes some twenty seconds.
"""

import multiprocessing
import sys
import tempfile

import optuna

from optuna_metasampler import MetaSampler


N_TRIALS = 24


def train(trial: optuna.Trial, best_rate: float = 3e-3) -> float:
    """Stands for training a model for minutes or hours."""
    rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    dropout = trial.suggest_float("dropout", 0.0, 0.8)
    return (rate / best_rate - 1) ** 2 / (rate / best_rate) + (dropout - 0.2) ** 2


def work(url: str) -> None:
    """What every worker runs, on whichever machine; whoever comes first makes the study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The earlier studies are read from the same database. No seed: each worker draws its own.
    sampler = MetaSampler(url, prior_studies="earlier-*")
    study = optuna.create_study(
        study_name="new", storage=url, sampler=sampler, load_if_exists=True
    )
    # All workers together stop after so many trials.
    enough = optuna.study.MaxTrialsCallback(N_TRIALS, states=None)
    study.optimize(train, callbacks=[enough])


def main(url: str) -> None:
    """Runs an earlier study, then three workers at once."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    earlier = optuna.create_study(study_name="earlier-1", storage=url)
    earlier.optimize(lambda trial: train(trial, best_rate=1e-3), n_trials=20)

    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(url,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    study = optuna.load_study(study_name="new", storage=url)
    print(f"First trial {study.trials[0].value:.3f}, best of {len(study.trials)} ", end="")
    print(f"{study.best_value:.3f} with {study.best_params}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(f"sqlite:///{folder}/tuning.db")

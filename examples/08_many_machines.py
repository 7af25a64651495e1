"""Tune one model on many machines, after an earlier study.

Give all machines the same database, and start this script on each, once a worker; workers may
start and stop at any time:

    pip install optuna-metasampler "psycopg[binary]"
    python examples/08_many_machines.py postgresql+psycopg://user:password@server/tuning

Run: ``python examples/08_many_machines.py``. Without a database it starts 2 workers on this
machine, with an SQLite file. Takes about 10 seconds.
"""

import multiprocessing
import sys
import tempfile

import optuna

from optuna_metasampler import MetaSampler


N_TRIALS = 16


def train(trial: optuna.Trial, best_rate: float = 3e-3) -> float:
    """Stand-in for training a model for minutes or hours."""
    rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    dropout = trial.suggest_float("dropout", 0.0, 0.8)
    return (rate / best_rate - 1) ** 2 / (rate / best_rate) + (dropout - 0.2) ** 2


def work(url: str) -> None:
    """Run one worker, on any machine; the first one creates the study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # The earlier studies are in the same database. No seed: each worker draws its own.
    sampler = MetaSampler(url, prior_studies="earlier-*")
    study = optuna.create_study(
        study_name="new", storage=url, sampler=sampler, load_if_exists=True
    )
    # The number of trials of all workers together.
    enough = optuna.study.MaxTrialsCallback(N_TRIALS, states=None)
    study.optimize(train, callbacks=[enough])


def main(url: str) -> None:
    """Run an earlier study, then 2 workers at once."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    earlier = optuna.create_study(study_name="earlier-1", storage=url)
    earlier.optimize(lambda trial: train(trial, best_rate=1e-3), n_trials=20)

    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(url,)) for _ in range(2)]
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

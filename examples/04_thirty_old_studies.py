"""Tune on a new data set with 30 studies of other data sets behind you.

Run: ``python examples/04_thirty_old_studies.py``. Takes a few seconds.
"""

import math
import random

import optuna

from optuna_metasampler import MetaSampler, PriorFilter


def train(trial: optuna.Trial, best_rate: float, best_depth: float) -> float:
    """Stands for training a model; what is best differs by data set."""
    rate = trial.suggest_float("rate", 1e-5, 1.0, log=True)
    depth = trial.suggest_int("depth", 1, 12)
    return abs(math.log10(rate / best_rate)) + 0.2 * abs(depth - best_depth)


def old_studies() -> list[optuna.Study]:
    """Thirty studies; in real life they are in a storage, and its URL is given instead."""
    rng = random.Random(0)
    studies = []
    for i in range(30):
        model = "network" if i % 3 else "trees"  # every third is of another model
        study = optuna.create_study(
            study_name=f"{model}-{i}", sampler=optuna.samplers.RandomSampler(seed=i)
        )
        study.set_user_attr("model", model)
        best_rate = 10 ** rng.gauss(-3 if model == "network" else -0.5, 0.3)
        best_depth = rng.gauss(8, 1)
        n_trials = 3 if i == 7 else 20  # one was broken off
        study.optimize(lambda t, r=best_rate, d=best_depth: train(t, r, d), n_trials=n_trials)
        studies.append(study)
    return studies


def main() -> None:
    """Leaves out what does not fit, learns from the rest, and shows what helped."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = MetaSampler(
        old_studies(),
        prior_filter=PriorFilter(
            user_attrs={"model": "network"}, min_trials=10, newer_than="52 weeks"
        ),
        seed=0,
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: train(trial, best_rate=2e-3, best_depth=9), n_trials=10)

    print(f"First trial {study.trials[0].value:.3f}, best of 10 {study.best_value:.3f}")
    print(f"Best parameters: {study.best_params}")
    rows = sampler.prior_weights(study)
    print(f"{len(rows)} of 30 studies were used; the most helpful:")
    for row in rows[:3]:
        rho = f"rank correlation {row.rank_correlation:5.2f}"
        print(f"  {row.name:12} {rho}, weight {row.weight:4.0%}")


if __name__ == "__main__":
    main()

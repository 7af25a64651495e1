"""Tune with 2 threads, and with parameters that exist in some trials only.

Run: ``python examples/02_parallel_and_conditional.py``. Takes a few seconds.
"""

import optuna

from optuna_metasampler import MetaSampler


def train(trial: optuna.Trial, best_depth: int) -> float:
    """Stand-in for training one of 2 models, each with parameters of its own."""
    model = trial.suggest_categorical("model", ["network", "trees"])
    if model == "trees":
        depth = trial.suggest_int("trees.depth", 1, 12)
        shrinkage = trial.suggest_float("trees.shrinkage", 0.01, 1.0, log=True)
        return 0.1 * abs(depth - best_depth) + abs(shrinkage - 0.1)
    rate = trial.suggest_float("network.learning_rate", 1e-5, 1e-1, log=True)
    return 0.3 + abs(rate - 1e-3)


def main() -> None:
    """Run 2 earlier studies, then one that learns from both."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    earlier = []
    for seed, best_depth in enumerate([5, 6]):
        study = optuna.create_study(
            study_name=f"depth-{best_depth}", sampler=optuna.samplers.TPESampler(seed=seed)
        )
        study.optimize(lambda trial, depth=best_depth: train(trial, depth), n_trials=30)
        earlier.append(study)

    # Prior studies can also be objects. With `n_jobs`, the threads share one sampler, which takes
    # pending trials into account; the order of trials differs from run to run.
    study = optuna.create_study(sampler=MetaSampler(earlier, seed=0))
    study.optimize(lambda trial: train(trial, best_depth=7), n_trials=20, n_jobs=2)

    print(f"First trial {study.trials[0].value:.3f}, best of 20 {study.best_value:.3f}")
    print(f"Best parameters: {study.best_params}")


if __name__ == "__main__":
    main()

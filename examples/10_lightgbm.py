"""Tune LightGBM without any old study.

Run: ``pip install lightgbm`` and ``python examples/10_lightgbm.py``. Takes half a minute.
"""

import lightgbm
import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score

from optuna_metasampler import MetaSampler


N_TREES = 200


def loss(trial: optuna.Trial) -> float:
    """Cross-validated log loss."""
    model = lightgbm.LGBMClassifier(
        n_estimators=N_TREES,
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 0.3, log=True),
        num_leaves=trial.suggest_int("num_leaves", 4, 256, log=True),
        min_child_samples=trial.suggest_int("min_child_samples", 1, 100, log=True),
        colsample_bytree=trial.suggest_float("colsample_bytree", 0.2, 1.0),
        reg_lambda=trial.suggest_float("reg_lambda", 1e-8, 100, log=True),
        n_jobs=1,
        verbose=-1,
    )
    x, y = load_breast_cancer(return_X_y=True)
    return -cross_val_score(model, x, y, cv=3, scoring="neg_log_loss").mean()


def main() -> None:
    """Start from what is shipped about LightGBM."""
    sampler = MetaSampler(learner="lightgbm", fixed={"n_estimators": N_TREES}, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(loss, n_trials=15)
    print(f"first trial: {study.trials[0].value:.4f}")
    print(f"best of {len(study.trials)} trials: {study.best_value:.4f} with {study.best_params}")


if __name__ == "__main__":
    main()

"""Tune XGBoost without any old study.

Run: ``pip install xgboost`` and ``python examples/10_xgboost.py``. Takes half a minute.
"""

import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score
import xgboost

from optuna_metasampler import MetaSampler


N_TREES = 200


def loss(trial: optuna.Trial) -> float:
    """Cross-validated log loss."""
    model = xgboost.XGBClassifier(
        n_estimators=N_TREES,
        learning_rate=trial.suggest_float("eta", 1e-3, 0.5, log=True),
        max_depth=trial.suggest_int("max_depth", 1, 12),
        min_child_weight=trial.suggest_float("min_child_weight", 0.01, 100, log=True),
        subsample=trial.suggest_float("subsample", 0.3, 1.0),
        reg_lambda=trial.suggest_float("lambda", 1e-8, 100, log=True),
        n_jobs=1,
    )
    x, y = load_breast_cancer(return_X_y=True)
    return -cross_val_score(model, x, y, cv=3, scoring="neg_log_loss").mean()


def main() -> None:
    """Start from what is shipped about XGBoost."""
    sampler = MetaSampler(learner="xgboost", fixed={"n_estimators": N_TREES}, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(loss, n_trials=15)
    print(f"first trial: {study.trials[0].value:.4f}")
    print(f"best of {len(study.trials)} trials: {study.best_value:.4f} with {study.best_params}")


if __name__ == "__main__":
    main()

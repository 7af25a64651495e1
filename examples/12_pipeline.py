"""Tune a pipeline of scikit-learn, whose classifier is recognised by its parameters.

Run: ``python examples/12_pipeline.py``. Takes some seconds.
"""

import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from optuna_metasampler import MetaSampler


def accuracy(trial: optuna.Trial) -> float:
    """Cross-validated accuracy."""
    model = make_pipeline(StandardScaler(), SVC())
    model.set_params(
        svc__C=trial.suggest_float("svc__C", 1e-3, 1e4, log=True),
        svc__kernel=trial.suggest_categorical("svc__kernel", ["rbf", "poly", "sigmoid"]),
        svc__gamma=trial.suggest_float("svc__gamma", 1e-6, 10.0, log=True),
    )
    x, y = load_breast_cancer(return_X_y=True)
    return cross_val_score(model, x, y, cv=3).mean()


def main() -> None:
    """Use what is shipped about support-vector machines, from the second trial on."""
    study = optuna.create_study(direction="maximize", sampler=MetaSampler(seed=0))
    study.optimize(accuracy, n_trials=15)
    for trial in study.trials[:3]:
        print(f"trial {trial.number}: {trial.value:.4f}")
    print(f"best of {len(study.trials)} trials: {study.best_value:.4f} with {study.best_params}")


if __name__ == "__main__":
    main()

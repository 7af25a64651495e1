"""Print the report of a study, and write it as a page with plots.

Run: ``python examples/09_why.py``, or ``python examples/09_why.py report.html`` for the page,
whose plots need Plotly. Takes 10 seconds: it tunes real models, on data that comes with
scikit-learn.
"""

from pathlib import Path
import sys

import optuna
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
)
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from optuna_metasampler import MetaSampler


def data() -> dict[str, tuple]:
    """Data sets by name, each with inputs and classes; the last one is new."""
    made = make_classification(n_samples=200, n_features=12, n_informative=5, random_state=0)
    x, y = load_digits(return_X_y=True)
    return {
        "iris": load_iris(return_X_y=True),
        "wine": load_wine(return_X_y=True),
        "tumours": tuple(part[::2] for part in load_breast_cancer(return_X_y=True)),
        "synthetic": made,
        "digits": (x[::4], y[::4]),
    }


def accuracy(trial: optuna.Trial, inputs, classes) -> float:
    """Cross-validated accuracy of a support vector machine."""
    model = SVC(
        C=trial.suggest_float("C", 1e-2, 1e3, log=True),
        kernel=trial.suggest_categorical("kernel", ["rbf", "poly", "sigmoid"]),
        gamma=trial.suggest_float("gamma", 1e-5, 1e1, log=True),
        shrinking=trial.suggest_categorical("shrinking", [True, False]),
    )
    return cross_val_score(make_pipeline(StandardScaler(), model), inputs, classes, cv=3).mean()


def main() -> None:
    """Tune on 4 data sets, then on a fifth, and print the report."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    *known, new = data().items()
    old = []
    for seed, (name, one) in enumerate(known):
        sampler = optuna.samplers.TPESampler(seed=seed)
        study = optuna.create_study(study_name=name, direction="maximize", sampler=sampler)
        study.optimize(lambda trial, one=one: accuracy(trial, *one), n_trials=30)
        old.append(study)

    name, one = new
    sampler = MetaSampler(old, seed=0)
    study = optuna.create_study(study_name=name, direction="maximize", sampler=sampler)
    study.optimize(lambda trial: accuracy(trial, *one), n_trials=25)

    report = sampler.report(study)
    print(report)
    print(f"\nFirst trial {study.trials[0].value:.3f}, best of 25 {study.best_value:.3f}")
    if len(sys.argv) > 1:
        report.write_html(Path(sys.argv[1]))


if __name__ == "__main__":
    main()

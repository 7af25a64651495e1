"""The sampler behind scikit-learn's interface: `OptunaSearchCV` of optuna-integration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.study import Study
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from optuna_metasampler import MetaSampler
from tests.pages import DOCS, blocks


optuna_integration = pytest.importorskip(
    "optuna_integration",
    reason="optuna-integration is not installed: pip install 'optuna-metasampler[integrations]'.",
)

pytestmark = [
    # OptunaSearchCV is experimental, and calls a part of Optuna that is to move elsewhere.
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore:.*terminator.* has been deprecated:FutureWarning"),
]

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "C": FloatDistribution(1e-6, 1e2, log=True),
    "fit_intercept": CategoricalDistribution((True, False)),
}


def search(study: Study, n_trials: int, seed: int) -> optuna_integration.OptunaSearchCV:
    """Tune a classifier on one of some data sets."""
    x, y = make_classification(60, 8, n_informative=3, flip_y=0.1, random_state=seed)
    tuner = optuna_integration.OptunaSearchCV(
        LogisticRegression(), DISTRIBUTIONS, cv=3, n_trials=n_trials, study=study
    )
    return tuner.fit(x, y)


def test_a_study_of_the_sampler_tunes_an_estimator() -> None:
    study = optuna.create_study(direction="maximize", sampler=MetaSampler(seed=0))
    tuner = search(study, 8, seed=0)
    assert tuner.study_ is study
    assert len(study.trials) == 8
    assert tuner.best_score_ == max(trial.value for trial in study.trials if trial.value)
    assert tuner.predict(np.zeros((1, 8))).shape == (1,)


def test_an_earlier_search_is_a_prior_of_the_next() -> None:
    earlier = optuna.create_study(
        direction="maximize", study_name="earlier", sampler=MetaSampler(seed=0)
    )
    best = search(earlier, 10, seed=0).best_params_
    study = optuna.create_study(direction="maximize", sampler=MetaSampler(earlier, seed=0))
    search(study, 3, seed=1)
    first = study.trials[0].params
    assert first["C"] == pytest.approx(best["C"], rel=1e-6)
    assert first["fit_intercept"] is best["fit_intercept"]
    assert [t.state for t in study.trials] == [optuna.trial.TrialState.COMPLETE] * 3


def test_searches_in_one_storage_learn_from_those_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe of the documentation."""
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "recipes.md").read_text(encoding="utf-8")
    (program,) = [block.code for block in blocks(page) if block.title == "search.py"]
    exec(compile(program, "search.py", "exec"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["wine", "cancer"]
    wine, cancer = (
        optuna.load_study(study_name=name, storage="sqlite:///searches.db")
        for name in ("wine", "cancer")
    )
    assert cancer.trials[0].params == pytest.approx(wine.best_params)

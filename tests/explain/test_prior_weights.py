"""Weights of the prior studies, and which of them are used."""

from __future__ import annotations

import math
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.report import Report
from optuna_metasampler.priors.study import PriorStudy


def objective(trial: optuna.Trial, sign: float = 1.0) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return sign * ((x - 0.3) ** 2 + (y - 0.7) ** 2)


@pytest.fixture(scope="module")
def priors() -> list[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = []
    for i, sign in enumerate((1.0, 1.0, -1.0)):
        study = optuna.create_study(
            study_name=f"{'like' if sign > 0 else 'unlike'}-{i}",
            sampler=optuna.samplers.RandomSampler(seed=i),
        )
        study.optimize(lambda t, sign=sign: objective(t, sign), n_trials=40)
        studies.append(study)
    return studies


def test_similar_studies_have_the_highest_weights(priors: list[optuna.Study]) -> None:
    sampler = MetaSampler(priors, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=12)
    rows = sampler.prior_weights(study)
    assert [row.name for row in rows][2] == "unlike-2"
    assert [row.n_trials for row in rows] == [40, 40, 40]
    assert all(row.rank_correlation > 0.5 for row in rows[:2])
    assert rows[2].rank_correlation < 0
    assert 0 < sum(row.weight for row in rows) <= 1


def test_studies_of_the_wrong_direction_have_a_high_weight_and_a_warning() -> None:
    def wrong(seed: int) -> optuna.Study:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        study.optimize(lambda t: objective(t, -1.0), n_trials=40)
        return study

    sampler = MetaSampler([wrong(0), wrong(1)], seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=8)
    rows = sampler.prior_weights(study)
    assert all(row.rank_correlation < -0.5 for row in rows)
    assert sum(row.weight for row in rows) > 0.5
    assert study.trials[-1].user_attrs["meta:priors_sign_flipped"] is True
    assert "meta:priors_sign_flipped" not in study.trials[0].user_attrs
    # With the model, and from the stored records alone.
    for report in (sampler.report(study), Report.of(study, None)):
        assert len([w for w in report.warnings if "with their sign flipped" in w]) == 1


def test_before_the_second_trial_correlations_are_unknown(priors: list[optuna.Study]) -> None:
    sampler = MetaSampler(priors, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=1)
    rows = sampler.prior_weights(study)
    assert len(rows) == 3
    assert all(math.isnan(row.rank_correlation) for row in rows)
    assert sum(row.weight for row in rows) <= 1


def test_without_priors_or_suggestions_there_are_no_weights(
    priors: list[optuna.Study],
) -> None:
    for sampler in (MetaSampler(seed=0), MetaSampler(priors)):
        assert sampler.prior_weights(optuna.create_study(sampler=sampler)) == []


def test_priors_are_inspected_before_a_study_begins(priors: list[optuna.Study]) -> None:
    space: dict[str, BaseDistribution] = {
        "x": FloatDistribution(0, 2),
        "z": FloatDistribution(0, 1),
    }
    sampler = MetaSampler([*priors[:2], priors[2].trials], rename={"y": "z"})
    got = sampler.inspect_priors(space)
    assert [row.name for row in got] == ["like-0", "like-1", "trials[2]"]
    assert all(row.usable and row.shared == ("x", "z") for row in got)
    assert "x: " in str(got)
    assert "named y" in str(got)


def test_priors_are_inspected_beside_a_study(priors: list[optuna.Study]) -> None:
    study = optuna.create_study(study_name="now")
    study.optimize(objective, n_trials=1)
    study.add_trials(priors[0].trials[:5])
    settings: dict[str, Any] = {"prior_filter": {"min_trials": 5}}
    got = MetaSampler([*priors, study], **settings).inspect_priors(study)
    # The running study itself is none of them.
    assert [(row.n_trials, row.n_own) for row in got] == [(35, 5), (40, 0), (40, 0)]


def test_before_the_first_trial_nothing_is_said_of_shared_parameters(
    priors: list[optuna.Study],
) -> None:
    got = MetaSampler(priors).inspect_priors(optuna.create_study())
    assert got.names is None
    assert str(got).splitlines()[1].split() == ["like-0", "40", "?", "yes"]
    assert str(got).endswith("The first trial will show which parameters are shared.")


def test_two_prior_studies_are_compared(priors: list[optuna.Study]) -> None:
    one, other = (PriorStudy.of(study) for study in priors[1:])
    (row,) = MetaSampler([one]).inspect_priors(other)
    assert row.usable
    assert row.shared == ("x", "y")

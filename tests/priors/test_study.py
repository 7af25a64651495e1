"""Conditions on prior studies."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
import pytest

from optuna_metasampler import MetaSampler, PriorFilter
from optuna_metasampler.exceptions import PriorWarning
from optuna_metasampler.priors.study import PriorStudy


def study(
    ends: list[datetime | None], user_attrs: dict[str, Any] | None = None, failed: int = 0
) -> PriorStudy:
    trials = []
    for end in ends:
        trial = optuna.create_trial(
            params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)}, value=1.0
        )
        trial.datetime_complete = end
        trials.append(trial)
    trials += [optuna.create_trial(state=optuna.trial.TrialState.FAIL) for _ in range(failed)]
    return PriorStudy("s", None, tuple(trials), user_attrs or {})


NOW = datetime.now()
OLD, NEW = NOW - timedelta(days=30), NOW - timedelta(days=2)


def test_without_conditions_every_study_is_used() -> None:
    assert PriorFilter().reason_against(study([])) is None


def test_the_number_of_completed_trials_counts() -> None:
    assert PriorFilter(min_trials=2).reason_against(study([NEW, NEW])) is None
    reason = PriorFilter(min_trials=2).reason_against(study([NEW], failed=5))
    assert reason == "it has 1 completed trials, fewer than 2"


@pytest.mark.parametrize(
    "limit",
    [
        "7 days",
        "1 week",
        "100 hours",
        timedelta(days=7),
        NOW - timedelta(days=7),
        (NOW - timedelta(days=7)).astimezone(timezone.utc),
        (NOW - timedelta(days=7)).date(),
        str((NOW - timedelta(days=7)).date()),
        (NOW - timedelta(days=7)).isoformat(),
    ],
    # Not by their values: every worker of a parallel run has another now.
    ids=["days", "week", "hours", "age", "moment", "zone", "date", "date text", "moment text"],
)
def test_the_end_of_the_last_trial_is_the_age_of_a_study(limit: Any) -> None:
    recent = PriorFilter(newer_than=limit)
    assert recent.reason_against(study([OLD, NEW])) is None
    assert "its last trial ended on" in str(recent.reason_against(study([OLD, OLD])))
    assert recent.reason_against(study([None])) == "no trial has a completion date"


def test_ages_beyond_the_calendar_let_everything_pass() -> None:
    assert PriorFilter(newer_than="999999 weeks").reason_against(study([OLD])) is None


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"model": "resnet"}, None),
        ({"model": ["vit", "resnet"]}, None),
        ({"model": "resnet", "rows": 100}, None),
        ({"tags": ["a", "b"]}, None),
        ({"model": "res"}, "its user attribute 'model' is 'resnet', not 'res'"),
        ({"model": ["vit"]}, r"its user attribute 'model' is 'resnet', not ['vit']"),
        ({"colour": "red"}, "it has no user attribute 'colour'"),
    ],
)
def test_user_attributes_must_have_the_wanted_values(
    wanted: dict[str, Any], reason: str | None
) -> None:
    attrs = {"model": "resnet", "rows": 100, "tags": ["a", "b"]}
    assert PriorFilter(user_attrs=wanted).reason_against(study([NEW], attrs)) == reason


def test_a_mapping_is_a_filter() -> None:
    expected = PriorFilter(min_trials=3, newer_than=date(2026, 1, 31))
    assert PriorFilter.of({"min_trials": 3, "newer_than": date(2026, 1, 31)}) == expected
    assert PriorFilter.of(expected) is expected
    assert PriorFilter.of(None) == PriorFilter()


def test_a_filter_that_leaves_nothing_is_told() -> None:
    old = optuna.create_study(study_name="old")
    old.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    sampler = MetaSampler(old, prior_filter={"min_trials": 3}, seed=0)
    study = optuna.create_study(sampler=sampler)
    with pytest.warns(PriorWarning, match="none of 1 .* 'old', is left out: it has 2 completed"):
        study.ask({"x": FloatDistribution(0, 1)})


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (["min_trials"], TypeError, "a PriorFilter or a mapping"),
        ({"min": 3}, ValueError, "no entry but user_attrs, min_trials, newer_than, but got 'min'"),
        ({"min_trials": "3"}, TypeError, "an integer, but got '3'"),
        ({"min_trials": -1}, ValueError, "at least 0"),
        ({"newer_than": "3 moons"}, ValueError, "such as '2026-01-31' .* but got '3 moons'"),
        ({"newer_than": "9e999 days"}, ValueError, "but got '9e999 days'"),
        ({"newer_than": 7}, TypeError, "a date, a timedelta or a string, but got 7"),
        ({"user_attrs": "model"}, TypeError, "must map names"),
    ],
)
def test_what_makes_no_filter_is_an_error_when_the_sampler_is_made(
    value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        MetaSampler(prior_filter=value)

"""Prior studies: conditions on them, and copies of the running study among them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
import pytest

from optuna_metasampler import MetaSampler, PriorFilter
from optuna_metasampler.exceptions import PriorWarning
from optuna_metasampler.priors.study import PriorStudy, Selected, select


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


def test_a_filter_that_leaves_nothing_is_a_warning() -> None:
    old = optuna.create_study(study_name="old")
    old.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    sampler = MetaSampler(old, prior_filter={"min_trials": 3}, seed=0)
    study = optuna.create_study(sampler=sampler)
    with pytest.warns(PriorWarning, match=r"'old'.*2 completed trials, fewer than 3"):
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


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2


def run(name: str, n: int = 6, seed: int = 0) -> optuna.Study:
    study = optuna.create_study(study_name=name, sampler=optuna.samplers.RandomSampler(seed=seed))
    study.optimize(objective, n_trials=n)
    return study


def one(prior: optuna.Study | PriorStudy, running: optuna.Study, **rename: str) -> Selected:
    prior = PriorStudy.of(prior) if isinstance(prior, optuna.Study) else prior
    (selected,) = select([prior], PriorStudy.of(running), rename=rename)
    return selected


def test_the_running_study_is_left_out() -> None:
    running = PriorStudy.of(run("running"))
    assert select([running], running) == []


def test_an_earlier_state_of_the_running_study_is_left_out() -> None:
    running = run("running", 3)
    earlier = PriorStudy.of(running)
    running.optimize(objective, n_trials=3)
    assert select([earlier], PriorStudy.of(running)) == []


def test_a_study_of_the_same_name_and_other_trials_is_used() -> None:
    assert one(run("a", seed=1), run("a", seed=2)).reason is None


def test_a_copy_under_another_name_is_left_out() -> None:
    storage = optuna.storages.InMemoryStorage()
    running = optuna.create_study(study_name="running", storage=storage)
    running.optimize(objective, n_trials=6)
    optuna.copy_study(
        from_study_name="running", from_storage=storage, to_storage=storage, to_study_name="copy"
    )
    copy = optuna.load_study(study_name="copy", storage=storage)
    running.optimize(objective, n_trials=2)
    selected = one(copy, running)
    assert selected.reason == "all of its 6 trials with a value are trials of the running study"


def test_a_copy_with_other_times_or_other_names_of_parameters_is_left_out() -> None:
    running = run("running")
    again = optuna.create_study(study_name="again")
    renamed = optuna.create_study(study_name="renamed")
    for t in running.trials:
        again.add_trial(
            optuna.create_trial(params=t.params, distributions=t.distributions, values=t.values)
        )
        renamed.add_trial(
            optuna.create_trial(
                params={"z": t.params["x"]},
                distributions={"z": t.distributions["x"]},
                values=t.values,
            )
        )
    assert one(again, running).reason is not None
    assert one(renamed, running, z="x").reason is not None
    assert one(renamed, running).reason is None


def test_what_was_taken_over_from_an_old_study_counts_once_and_the_rest_remains() -> None:
    old = run("old", 10)
    running = optuna.create_study(study_name="running")
    running.add_trials(sorted(old.trials, key=lambda t: t.value)[:4])  # type: ignore[arg-type]
    selected = one(old, running)
    assert (selected.reason, selected.n_own, len(selected.study.trials)) == (None, 4, 6)
    own = {t.value for t in running.trials}
    assert not own & {t.value for t in selected.study.trials}


def test_a_first_part_of_a_longer_study_loses_nothing_but_itself() -> None:
    longer = PriorStudy.of(run("longer", 10))
    part = optuna.create_study(study_name="part")
    part.add_trials(list(longer.trials[:3]))
    assert len(one(longer, part).study.trials) == 7


def test_the_same_configuration_with_another_value_is_another_trial() -> None:
    running = run("running")
    other = replace(
        PriorStudy.of(running),
        name="other data",
        trials=tuple(
            optuna.create_trial(
                params=t.params, distributions=t.distributions, value=t.values[0] + 1
            )
            for t in running.trials
        ),
    )
    assert one(other, running).n_own == 0


def test_of_equal_prior_studies_the_first_counts() -> None:
    first, again, other = run("first"), run("again"), run("other", seed=1)
    up = replace(PriorStudy.of(first), name="up", directions=(StudyDirection.MAXIMIZE,))
    empty = optuna.create_study(study_name="empty")
    studies = [PriorStudy.of(s) for s in (first, again, other, empty, empty)]
    reasons = [one.reason for one in select([*studies, up], PriorStudy.of(run("running", seed=9)))]
    assert reasons == [None, "it has the same trials as 'first'", None, None, None, None]


def test_a_study_that_a_filter_leaves_out_does_not_stand_for_its_copy() -> None:
    studies = [PriorStudy.of(run("first")), PriorStudy.of(run("again"))]
    studies[1] = replace(studies[1], user_attrs={"kept": True})
    selected = select(studies, None, PriorFilter(user_attrs={"kept": True}))
    assert [one.reason is None for one in selected] == [False, True]


def test_a_filter_speaks_first() -> None:
    running = PriorStudy.of(run("running"))
    copy = replace(running, name="copy")
    (selected,) = select([copy], running, PriorFilter(min_trials=99))
    assert selected.reason == "it has 6 completed trials, fewer than 99"


def test_the_sampler_learns_from_what_is_selected() -> None:
    """The storage of the running study is its own prior, with a copy and a small study in it."""
    storage = optuna.storages.InMemoryStorage()
    studies = {}
    for name, n in {"big": 8, "small": 2, "running": 4}.items():
        studies[name] = optuna.create_study(study_name=name, storage=storage)
        studies[name].optimize(objective, n_trials=n)
    optuna.copy_study(
        from_study_name="running", from_storage=storage, to_storage=storage, to_study_name="copy"
    )
    studies["copy"] = optuna.load_study(study_name="copy", storage=storage)
    sampler = MetaSampler(list(studies.values()), prior_filter={"min_trials": 3}, seed=0)
    study = optuna.load_study(study_name="running", storage=storage, sampler=sampler)
    study.optimize(objective, n_trials=1)
    assert [(row.name, row.n_trials) for row in sampler.prior_weights(study)] == [("big", 8)]


def test_a_prior_trial_that_the_running_study_repeats_is_kept() -> None:
    prior, running = run("prior"), optuna.create_study(study_name="running")
    # As the sampler opens a study: with what was best in a prior one.
    running.enqueue_trial(prior.best_params)
    running.optimize(objective, n_trials=2)
    assert running.trials[0].value == prior.best_value
    selected = one(prior, running)
    assert (selected.reason, selected.n_own) == (None, 0)
    assert len(selected.study.trials) == 6

"""How good the forecasts were, and what came of the opening and of the prior studies."""

from __future__ import annotations

import math
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
import pytest
from scipy.stats import binomtest

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.calibration import (
    Accuracy,
    prior_gain,
    progress,
    retrospect,
    wilson_interval,
)
from optuna_metasampler.explain.snapshot import Snapshot
from tests.explain.conftest import mixed, studied


def trial(
    observed: float | list[float] | None,
    predicted: float = 0.0,
    phase: str = "model",
    state: TrialState = TrialState.COMPLETE,
    half: float = 1.0,
    number: int = 0,
) -> FrozenTrial:
    attributes: dict[str, Any] = {
        "meta:phase": phase,
        "meta:predicted": predicted,
        "meta:low": predicted - half,
        "meta:high": predicted + half,
    }
    made = create_trial(
        state=state,
        values=observed if isinstance(observed, list) else None,
        value=None if isinstance(observed, list) else observed,
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
        user_attrs=attributes,
    )
    made.number = number
    return made


def test_outcomes_inside_of_their_interval_are_counted() -> None:
    got = retrospect([trial(v) for v in (-1.5, -1.0, 0.0, 0.9, 3.0)])
    assert got.coverage == 0.6
    assert got.accuracy.n_trials == 5
    assert got.accuracy.median_error == 1.0
    assert got.worst is not None
    assert got.worst.observed == 3.0
    assert got.worst.surprise == 3.0


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (3, 10), (10, 10), (80, 100)])
def test_the_interval_of_a_share_is_wilsons(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(hits, n) == pytest.approx((expected.low, expected.high))


def test_the_order_of_outcomes_is_compared_with_that_of_forecasts() -> None:
    rising = [trial(v**3, predicted=v) for v in (1.0, 2.0, 3.0, 4.0)]
    assert retrospect(rising).rank_correlation == pytest.approx(1.0)
    falling = [trial(-(v**3), predicted=v) for v in (1.0, 2.0, 3.0, 4.0)]
    assert retrospect(falling).rank_correlation == pytest.approx(-1.0)


def test_phases_are_told_apart_in_their_order() -> None:
    got = retrospect(
        [trial(0.0, phase="opening"), trial(9.0, phase="contrast"), trial(0.5), trial(5.0)]
    )
    assert list(got.by_phase) == ["opening", "contrast", "model"]
    assert [a.coverage for a in got.by_phase.values()] == [1.0, 0.0, 0.5]
    assert [a.n_trials for a in got.by_phase.values()] == [1, 1, 2]


def test_no_trial_and_one_trial_say_what_they_can() -> None:
    nothing = retrospect([])
    assert nothing.trials == ()
    assert nothing.worst is None
    assert math.isnan(nothing.coverage)
    assert math.isnan(nothing.rank_correlation)
    assert math.isnan(nothing.accuracy.median_error)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    one = retrospect([trial(0.3)])
    assert one.coverage == 1.0
    assert math.isnan(one.rank_correlation)
    assert Accuracy.of(one.trials) == one.accuracy or math.isnan(one.accuracy.rank_correlation)
    two = retrospect([trial(0.3, 0.0), trial(0.1, 1.0)])
    assert two.rank_correlation == pytest.approx(-1.0)


def test_trials_that_say_nothing_are_left_out() -> None:
    bare = create_trial(value=1.0)
    assert retrospect([bare]).trials == ()
    others = [
        trial(None, state=TrialState.FAIL),
        trial(0.1, state=TrialState.PRUNED),
        trial(None, state=TrialState.RUNNING),
        trial(math.inf),
        trial(-math.inf),
        trial(0.0, predicted=math.nan),
        trial([0.1, 0.2]),
    ]
    got = retrospect([*others, trial(0.2, number=7)], objective=0)
    assert [t.number for t in got.trials] == [0, 7]
    # The last of the others has two values but the forecast of one.
    assert retrospect(others, objective=1).trials == ()


def test_a_forecast_without_width_is_no_obstacle() -> None:
    got = retrospect([trial(1.0, 1.0, half=0.0), trial(2.0, 1.0, half=0.0)])
    assert [t.surprise for t in got.trials] == [0.0, math.inf]
    assert got.worst is got.trials[1]


def test_the_forecasts_of_a_real_study_are_read(with_priors: optuna.Study) -> None:
    got = retrospect(with_priors.trials)
    # Without two different outcomes there is no unit to forecast in.
    assert [t.number for t in got.trials] == list(range(2, len(with_priors.trials)))
    # Its prior studies contradict one another, so the opening begins with one of their best alone.
    assert {"contrast", "model"} <= set(got.by_phase)
    for expected in got.trials:
        assert expected.low <= expected.predicted <= expected.high
        assert expected.observed == with_priors.trials[expected.number].value
    assert got.accuracy.coverage_low <= got.coverage <= got.accuracy.coverage_high


def test_every_objective_is_looked_back_on(several: optuna.Study) -> None:
    first, second = (retrospect(several.trials, j) for j in (0, 1))
    assert len(first.trials) == len(second.trials) > 0
    assert [t.observed for t in second.trials] == [
        several.trials[t.number].values[1] for t in second.trials
    ]
    assert retrospect(several.trials, 2).trials == ()


def test_a_study_that_keeps_nothing_has_no_forecasts(priors: list[optuna.Study]) -> None:
    study = studied(MetaSampler(priors, seed=0, explain=False), n=4)
    assert retrospect(study.trials).trials == ()
    got = progress(Snapshot.of(study), study.trials)
    assert got is not None
    assert (got.opening, got.share, got.n_opening) == (None, None, 0)


def test_the_opening_gets_its_part_of_the_way(warm: Snapshot, with_priors: optuna.Study) -> None:
    got = progress(warm, with_priors.trials)
    assert got is not None
    opening = [
        t.value
        for t in with_priors.trials
        if t.user_attrs["meta:phase"] in ("opening", "contrast")
    ]
    assert got.opening == min(opening)
    assert got.n_opening == len(opening)
    assert got.best == with_priors.best_value
    assert got.best <= got.opening
    assert got.best < got.average
    assert got.share == pytest.approx(
        (got.average - got.opening) / (got.average - got.best), rel=1e-9
    )


def test_the_way_is_the_same_whichever_direction_is_better(priors: list[optuna.Study]) -> None:
    down, up = (
        progress(Snapshot.of(study), study.trials)
        for study in (studied(MetaSampler(seed=0), n=6, sign=s) for s in (1.0, -1.0))
    )
    assert down is not None
    assert up is not None
    assert up.best == -down.best
    assert up.average == pytest.approx(-down.average, rel=1e-6)
    assert down.share is None


def test_progress_is_told_for_every_objective(several: optuna.Study) -> None:
    snapshot = Snapshot.of(several)
    first, second = (progress(snapshot, several.trials, j) for j in (0, 1))
    assert first is not None
    assert second is not None
    assert first.best == min(t.values[0] for t in several.trials)
    assert second.best == max(t.values[1] for t in several.trials)
    for got in (first, second):
        assert got.share is not None
        assert 0 <= got.share <= 1


def test_infeasible_trials_are_no_progress(priors: list[optuna.Study]) -> None:
    def objective(t: optuna.Trial) -> float:
        value = mixed(t)
        t.set_user_attr("c", 1.0 if t.number in (0, 3) else -1.0)
        return value

    sampler = MetaSampler(
        priors, seed=0, constraints_func=lambda t: (float(t.user_attrs.get("c", -1.0)),)
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=6)
    got = progress(Snapshot.of(study), study.trials)
    assert got is not None
    assert got.best == min(t.value for t in study.trials if t.number not in (0, 3))


def test_there_is_no_progress_without_a_scale(first_trial: Snapshot) -> None:
    assert progress(first_trial, [trial(1.0)]) is None


def test_priors_that_are_alike_make_outcomes_more_likely(warm: Snapshot) -> None:
    (predictor,) = warm.predictors
    transfer, target_only = predictor.posterior.leave_one_out()
    got = prior_gain(warm)
    assert got is not None
    assert got.n_trials == len(warm.task)
    assert got.nats == pytest.approx(float((transfer - target_only).mean()))
    assert got.error == pytest.approx(
        float((transfer - target_only).std()) / math.sqrt(got.n_trials)
    )
    assert 0 <= got.evidence <= 1
    assert got.reading


@pytest.mark.parametrize(
    ("sign", "reading"),
    [
        (1.0, "With the prior studies the model"),
        (-1.0, "the trials the other way round. Read that way, with them the model"),
    ],
)
def test_what_the_prior_studies_add_is_told_in_words(sign: float, reading: str) -> None:
    def objective(t: optuna.Trial, sign: float) -> float:
        x, y = t.suggest_float("x", 0, 1), t.suggest_float("y", 0, 1)
        return sign * (math.sin(6 * x) * math.cos(9 * y) + y)

    def random(seed: int, sign: float, n: int) -> optuna.Study:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        study.optimize(lambda t: objective(t, sign), n_trials=n)
        return study

    study = optuna.create_study(sampler=MetaSampler([random(0, sign, 40)], seed=0))
    study.add_trials(random(1, 1.0, 12).trials)
    got = prior_gain(Snapshot.of(study))
    assert got is not None
    assert reading in got.reading
    assert got.evidence > 0.5


def test_of_one_trial_nothing_is_said_about_the_prior_studies(
    first_trial: Snapshot, cold: Snapshot
) -> None:
    got = prior_gain(first_trial)
    assert got is not None
    assert got.n_trials == 1
    assert math.isnan(got.error)
    assert got.reading.startswith("Too few trials")
    assert prior_gain(cold) is None

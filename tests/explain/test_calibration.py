"""Calibration of forecasts, and the contribution of the warm start and of the prior studies."""

from __future__ import annotations

import math
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.calibration import (
    Accuracy,
    calibration,
    prior_gain,
    progress,
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
    got = calibration([trial(v) for v in (-1.5, -1.0, 0.0, 0.9, 3.0)])
    assert got.accuracy.coverage == 0.6
    assert got.accuracy.n_trials == 5
    assert got.accuracy.median_error == 1.0
    assert got.worst is not None
    assert got.worst.observed == 3.0
    assert got.worst.standardised_error == 3.0


@pytest.mark.parametrize(
    ("values", "low", "high"),
    # Wilson 1927, with z = 1.959964: (2 n p + z^2 -+ z sqrt(z^2 + 4 n p (1 - p))) / 2 (n + z^2).
    [([9.0], 0.0, 0.793451), ([0.0] * 3 + [9.0] * 7, 0.107791, 0.603222), ([0.0], 0.206549, 1.0)],
)
def test_the_interval_of_the_coverage_is_wilsons(
    values: list[float], low: float, high: float
) -> None:
    got = calibration([trial(v) for v in values]).accuracy
    assert (got.coverage_low, got.coverage_high) == pytest.approx((low, high), abs=1e-6)


def test_the_order_of_outcomes_is_compared_with_that_of_forecasts() -> None:
    rising = [trial(v**3, predicted=v) for v in (1.0, 2.0, 3.0, 4.0)]
    assert calibration(rising).accuracy.rank_correlation == pytest.approx(1.0)
    falling = [trial(-(v**3), predicted=v) for v in (1.0, 2.0, 3.0, 4.0)]
    assert calibration(falling).accuracy.rank_correlation == pytest.approx(-1.0)


def test_phases_are_told_apart_in_their_order() -> None:
    got = calibration(
        [trial(0.0, phase="warm-start"), trial(9.0, phase="probe"), trial(0.5), trial(5.0)]
    )
    assert list(got.by_phase) == ["warm-start", "probe", "model"]
    assert [a.coverage for a in got.by_phase.values()] == [1.0, 0.0, 0.5]
    assert [a.n_trials for a in got.by_phase.values()] == [1, 1, 2]


def test_no_trial_and_one_trial_have_an_accuracy_as_far_as_it_is_defined() -> None:
    nothing = calibration([])
    assert nothing.trials == ()
    assert nothing.worst is None
    assert math.isnan(nothing.accuracy.coverage)
    assert math.isnan(nothing.accuracy.rank_correlation)
    assert math.isnan(nothing.accuracy.median_error)
    assert (nothing.accuracy.coverage_low, nothing.accuracy.coverage_high) == (0.0, 1.0)
    one = calibration([trial(0.3)])
    assert one.accuracy.coverage == 1.0
    assert math.isnan(one.accuracy.rank_correlation)
    assert Accuracy.of(one.trials) == one.accuracy or math.isnan(one.accuracy.rank_correlation)
    two = calibration([trial(0.3, 0.0), trial(0.1, 1.0)])
    assert two.accuracy.rank_correlation == pytest.approx(-1.0)


def test_trials_without_a_forecast_or_a_value_are_left_out() -> None:
    bare = create_trial(value=1.0)
    assert calibration([bare]).trials == ()
    others = [
        trial(None, state=TrialState.FAIL),
        trial(0.1, state=TrialState.PRUNED),
        trial(None, state=TrialState.RUNNING),
        trial(math.inf),
        trial(-math.inf),
        trial(0.0, predicted=math.nan),
        trial([0.1, 0.2]),
    ]
    got = calibration([*others, trial(0.2, number=7)], objective=0)
    assert [t.number for t in got.trials] == [0, 7]
    # The last of the others has two values but the forecast of one.
    assert calibration(others, objective=1).trials == ()


def test_a_forecast_without_width_is_no_obstacle() -> None:
    got = calibration([trial(1.0, 1.0, half=0.0), trial(2.0, 1.0, half=0.0)])
    assert [t.standardised_error for t in got.trials] == [0.0, math.inf]
    assert got.worst is got.trials[1]


def test_the_forecasts_of_a_real_study_are_read(with_priors: optuna.Study) -> None:
    got = calibration(with_priors.trials)
    # Without two different outcomes there is no unit to forecast in.
    assert [t.number for t in got.trials] == list(range(2, len(with_priors.trials)))
    # Its prior studies contradict one another, so that the warm start has a single trial before
    # the probe.
    assert {"probe", "model"} <= set(got.by_phase)
    for expected in got.trials:
        assert expected.low <= expected.predicted <= expected.high
        assert expected.observed == with_priors.trials[expected.number].value
    assert got.accuracy.coverage_low <= got.accuracy.coverage <= got.accuracy.coverage_high


def test_every_objective_has_a_calibration(several: optuna.Study) -> None:
    first, second = (calibration(several.trials, j) for j in (0, 1))
    assert len(first.trials) == len(second.trials) > 0
    assert [t.observed for t in second.trials] == [
        several.trials[t.number].values[1] for t in second.trials
    ]
    assert calibration(several.trials, 2).trials == ()


def test_a_study_without_records_has_no_forecasts(priors: list[optuna.Study]) -> None:
    study = studied(MetaSampler(priors, seed=0, explain=False), n=4)
    assert calibration(study.trials).trials == ()
    got = progress(Snapshot.of(study), study.trials)
    assert got is not None
    assert (got.warm_start, got.share, got.n_warm_start) == (None, None, 0)


def test_the_warm_start_gets_its_share_of_the_improvement(
    warm: Snapshot, with_priors: optuna.Study
) -> None:
    got = progress(warm, with_priors.trials)
    assert got is not None
    of_warm_start = [
        t.value
        for t in with_priors.trials
        if t.user_attrs["meta:phase"] in ("warm-start", "probe")
    ]
    assert got.warm_start == min(of_warm_start)
    assert got.n_warm_start == len(of_warm_start)
    assert got.best == with_priors.best_value
    assert got.best <= got.warm_start
    assert got.best < got.average
    assert got.share == pytest.approx(
        (got.average - got.warm_start) / (got.average - got.best), rel=1e-9
    )


def test_progress_is_the_same_in_either_direction(priors: list[optuna.Study]) -> None:
    down, up = (
        progress(Snapshot.of(study), study.trials)
        for study in (studied(MetaSampler(seed=0), n=6, sign=s) for s in (1.0, -1.0))
    )
    assert down is not None
    assert up is not None
    assert up.best == -down.best
    assert up.average == pytest.approx(-down.average, rel=1e-6)
    assert down.share is None


def test_every_objective_has_its_progress(several: optuna.Study) -> None:
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
    assert 0 <= got.p_transfer <= 1
    assert not got.sign_flipped


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_prior_studies_of_either_sign_improve_the_model(sign: float) -> None:
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
    assert got.nats > 2 * got.error > 0
    assert got.sign_flipped is (sign < 0)
    assert got.p_transfer > 0.5


def test_one_trial_is_not_enough_to_measure_the_gain(
    first_trial: Snapshot, cold: Snapshot
) -> None:
    got = prior_gain(first_trial)
    assert got is not None
    assert got.n_trials == 1
    assert math.isnan(got.error)
    assert prior_gain(cold) is None

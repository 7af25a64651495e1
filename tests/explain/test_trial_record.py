"""The record stored with each trial."""

from __future__ import annotations

from functools import partial
import math
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import optuna
import pytest
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler._optuna import set_trial_attributes, trial_id
from optuna_metasampler.explain.plots.chart import PHASES
from optuna_metasampler.explain.trial_record import (
    ENQUEUED,
    INDEPENDENT,
    PREFIX,
    WEIGHTS,
    Forecast,
    TrialRecord,
)
from optuna_metasampler.outcomes import spearman, spearman_of_columns
from optuna_metasampler.policies.base import Phase
from tests.studies import random_study


def objective(trial: optuna.Trial, optimum: float = 0.3) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return 100 * ((x - optimum) ** 2 + (y - 0.7) ** 2)


@pytest.fixture(scope="module")
def priors() -> list[optuna.Study]:
    return [
        random_study(partial(objective, optimum=0.3 + 0.02 * i), 25, i, f"old-{i}")
        for i in range(3)
    ]


def records(study: optuna.Study) -> list[TrialRecord]:
    read = [TrialRecord.read(trial) for trial in study.trials]
    assert None not in read
    return [r for r in read if r is not None]


@pytest.fixture(params=["memory", "sqlite", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    if request.param == "journal":
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    return None


def test_trials_store_how_they_were_chosen(priors: list[optuna.Study], storage: Any) -> None:
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0), storage=storage)
    study.optimize(objective, n_trials=8)
    known = records(study)
    assert [s.phase for s in known[:2]] == ["warm-start", "probe"]
    assert known[-1].phase in ("warm-start", "model")
    # There is no unit before there are two outcomes.
    assert [len(s.forecasts) for s in known] == [0, 0, 1, 1, 1, 1, 1, 1]
    for s in known[2:]:
        (forecast,) = s.forecasts
        assert forecast.low < forecast.predicted < forecast.high
    for s in known:
        assert s.p_transfer is not None
        assert 0.0 <= s.p_transfer <= 1.0
        assert {name for name, _ in s.weights} == {"old-0", "old-1", "old-2"}
        assert sum(w for _, w in s.weights) <= s.p_transfer + 0.01
        assert [w for _, w in s.weights] == sorted((w for _, w in s.weights), reverse=True)
    attributes = study.trials[-1].user_attrs
    assert attributes[PREFIX + "strongest_prior"] == known[-1].weights[0][0]
    assert all(
        isinstance(v, (int, float, str)) and len(str(v)) < 12 for v in attributes.values()
    ), attributes


def test_an_honest_model_predicts_an_easy_objective_well(priors: list[optuna.Study]) -> None:
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    study.optimize(objective, n_trials=20)
    late = list(zip(records(study)[10:], study.trials[10:], strict=True))
    errors = [abs(s.forecasts[0].predicted - t.value) for s, t in late]  # type: ignore[operator]
    assert sorted(errors)[4] < 1.0  # of values between 0 and 98
    assert sorted(errors)[5] < 15.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_forecasts_are_in_the_units_and_the_direction_of_the_objective(sign: float) -> None:
    study = optuna.create_study(
        direction="minimize" if sign > 0 else "maximize", sampler=MetaSampler(seed=0)
    )
    study.optimize(lambda t: 1000 + sign * objective(t), n_trials=12)
    (forecast,) = records(study)[-1].forecasts
    assert abs(forecast.predicted - 1000) < 20
    assert forecast.low < forecast.predicted < forecast.high


def test_several_objectives_are_forecast_one_by_one() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=MetaSampler(seed=0))
    study.optimize(lambda t: (objective(t), 5 - objective(t, 0.6)), n_trials=9)
    known = records(study)[-1]
    assert len(known.forecasts) == 2
    assert known.forecasts[0].predicted >= -20
    assert known.forecasts[1].predicted <= 25
    assert {PREFIX + "predicted:0", PREFIX + "high:1"} <= study.trials[-1].user_attrs.keys()


def test_what_the_user_enqueued_is_no_choice_of_the_model() -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=6)
    study.enqueue_trial({"x": 0.1, "y": 0.1})
    study.enqueue_trial({"x": 0.1})
    study.optimize(objective, n_trials=2)
    assert [s.phase for s in records(study)[-2:]] == ["enqueued", "model"]


def test_without_priors_the_first_trials_fill_the_space() -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=6)
    known = records(study)
    assert [s.phase for s in known] == ["independent", *["initial-design"] * 3, "model", "model"]
    assert all(s.p_transfer is None and s.weights == () for s in known)
    assert WEIGHTS not in study.trials[-1].system_attrs


def test_a_policy_without_a_model_has_a_phase_of_its_own(priors: list[optuna.Study]) -> None:
    sampler = MetaSampler(priors, method="q-learning", method_options={"n_steps": 2}, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=2)
    assert [s.phase for s in records(study)] == ["policy", "policy"]


def test_it_can_be_switched_off_and_changes_no_suggestion(priors: list[optuna.Study]) -> None:
    params = []
    for explain in (True, False):
        study = optuna.create_study(sampler=MetaSampler(priors, seed=3, explain=explain))
        study.optimize(objective, n_trials=7)
        params.append([t.params for t in study.trials])
    assert params[0] == params[1]
    assert all(not t.user_attrs and not t.system_attrs for t in study.trials)


def test_a_trial_that_no_storage_has_is_served_all_the_same() -> None:
    sampler = MetaSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=6)
    trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
    space = sampler.infer_relative_search_space(study, trial)
    assert sampler.sample_relative(study, trial, space).keys() == {"x", "y"}


def test_attributes_that_are_there_already_are_replaced(storage: Any) -> None:
    study = optuna.create_study(storage=storage)
    study.ask().set_user_attr("a", 0)
    (trial,) = study.trials
    set_trial_attributes(study, trial_id(trial), {"a": 1, "b": "2"}, {"c": [["d", 3.5]]})
    (trial,) = study.trials
    assert trial.user_attrs == {"a": 1, "b": "2"}
    assert trial.system_attrs == {"c": [["d", 3.5]]}


numbers = st.floats(-1e9, 1e9)


@given(
    predicted=numbers,
    below=st.floats(1e-6, 1e6),
    above=st.floats(1e-6, 1e6),
    n=st.integers(1, 3),
    acquisition=st.none() | st.floats(-1e3, 1e3),
    p_transfer=st.none() | st.floats(0, 1),
    weights=st.lists(st.tuples(st.text(max_size=8), st.floats(0, 1)), max_size=3),
    sign_flipped=st.booleans(),
)
def test_records_are_read_back_to_a_hundredth_of_the_interval(
    predicted: float,
    below: float,
    above: float,
    n: int,
    acquisition: float | None,
    p_transfer: float | None,
    weights: list[tuple[str, float]],
    sign_flipped: bool,
) -> None:
    forecast = Forecast(predicted, predicted - below, predicted + above)
    written = TrialRecord(
        "model", (forecast,) * n, acquisition, p_transfer, tuple(weights), sign_flipped
    )
    trial = optuna.trial.create_trial(
        value=0.0,
        user_attrs=written.user_attributes(),
        system_attrs=written.system_attributes(),
    )
    read = TrialRecord.read(trial)
    assert read is not None
    assert read.phase == "model"
    assert len(read.forecasts) == n
    unit = 0.01 * (forecast.high - forecast.low) + 1e-6
    for got in read.forecasts:
        assert abs(got.predicted - forecast.predicted) <= unit
        assert abs(got.low - forecast.low) <= unit
        assert abs(got.high - forecast.high) <= unit
    for a, b in ((read.acquisition, acquisition), (read.p_transfer, p_transfer)):
        assert (a is None) == (b is None)
        assert a is None or b is None or abs(a - b) <= 5e-4
    assert [name for name, _ in read.weights] == [name for name, _ in weights]
    assert read.sign_flipped is sign_flipped


@pytest.mark.parametrize(
    ("old_phase", "phase"),
    [
        ("start-up", "initial-design"),
        ("opening", "warm-start"),
        ("contrast", "probe"),
        ("model", "model"),
        ("enqueued", "enqueued"),
    ],
)
def test_records_of_earlier_versions_are_read(old_phase: str, phase: str) -> None:
    trial = optuna.trial.create_trial(
        value=0.0,
        user_attrs={
            "meta:phase": old_phase,
            "meta:predicted": 1.0,
            "meta:low": 0.5,
            "meta:high": 2.0,
            "meta:acquisition": -1.5,
            "meta:prior_say": 0.75,
            "meta:strongest_prior": "a",
            "meta:priors_mirrored": True,
        },
        system_attrs={"metasampler:weights": [["a", 0.5], ["b", 0.25]]},
    )
    expected = TrialRecord(
        phase, (Forecast(1.0, 0.5, 2.0),), -1.5, 0.75, (("a", 0.5), ("b", 0.25)), True
    )
    assert TrialRecord.read(trial) == expected
    # The same record in the present form.
    trial = optuna.trial.create_trial(
        value=0.0,
        user_attrs=expected.user_attributes(),
        system_attrs=expected.system_attributes(),
    )
    assert TrialRecord.read(trial) == expected
    assert not {"meta:prior_say", "meta:priors_mirrored"} & trial.user_attrs.keys()


def test_every_phase_has_a_style() -> None:
    assert PHASES.keys() == {*(phase.value for phase in Phase), ENQUEUED, INDEPENDENT}


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"meta:predicted": 1.0},
        {"meta:phase": "model", "meta:predicted": "much", "meta:low": 0, "meta:high": 1},
        {"meta:phase": "model", "meta:predicted": 1.0},
        {"meta:phase": "model", "meta:transfer_weight": [1]},
        {"meta:phase": "model", "meta:prior_say": [1]},
    ],
)
def test_invalid_attributes_are_no_record(
    attributes: dict[str, Any],
) -> None:
    assert TrialRecord.read(optuna.trial.create_trial(value=0.0, user_attrs=attributes)) is None


@given(st.lists(st.lists(st.sampled_from([-2.0, 0.0, 0.5, 3.0]), min_size=3, max_size=3)))
def test_correlations_side_by_side_are_those_one_by_one(rows: list[list[float]]) -> None:
    table = torch.tensor(rows, dtype=torch.float64).reshape(len(rows), 3)
    columns, y = table[:, :2], table[:, 2]
    for got, column in zip(spearman_of_columns(columns, y), columns.T, strict=True):
        expected = spearman(column, y)
        assert (math.isnan(got) and math.isnan(expected)) or got == pytest.approx(expected)

"""Studies whose trials are stopped early, under Optuna's own pruners."""

from __future__ import annotations

from collections.abc import Callable
import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from optuna.trial import TrialState
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.study import PriorStudy
from tests.recorder import Recorder
from tests.studies import random_study


PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "median": lambda: MedianPruner(n_startup_trials=2),
    "percentile": lambda: PercentilePruner(25.0, n_startup_trials=2),
    "halving": SuccessiveHalvingPruner,
    "hyperband": lambda: HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
}
STEPS = (0, 1, 2, 4, 8, 9)


def loop(trial: optuna.Trial, steps: tuple[int, ...] = STEPS) -> float:
    """A loss that falls to a level set by one of two parameters."""
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.suggest_float("y", 0.0, 1.0)
    loss = 0.0
    for i, step in enumerate(steps):
        loss = abs(x - 0.3) + 1.0 / (1 + i)
        trial.report(loss, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.mark.parametrize(
    ("name", "storage"),
    [*((name, "memory") for name in PRUNERS), ("median", "sqlite"), ("hyperband", "sqlite")],
)
def test_trials_are_pruned_and_completed_under_every_pruner(
    name: str, storage: str, tmp_path: Path
) -> None:
    study = optuna.create_study(
        storage=f"sqlite:///{tmp_path / 'study.db'}" if storage == "sqlite" else None,
        sampler=MetaSampler(seed=0),
        pruner=PRUNERS[name](),
        study_name="pruned",
    )
    study.optimize(loop, n_trials=12)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    # Uniform draws would be 0.13 away in the median, and the best of the few that end further.
    assert abs(study.best_params["x"] - 0.3) < 0.1


def test_under_hyperband_priors_come_first_and_the_same_seed_gives_the_same_trials() -> None:
    old = random_study(loop, 12, name="old")

    def params() -> list[dict[str, Any]]:
        study = optuna.create_study(
            study_name="new", sampler=MetaSampler(old, seed=0), pruner=PRUNERS["hyperband"]()
        )
        study.optimize(loop, n_trials=9)
        return [t.params for t in study.trials]

    once = params()
    assert once[0] == pytest.approx(old.best_params)
    assert once == params()


def test_every_method_sees_the_trials_of_all_brackets(recorder: Recorder) -> None:
    study = optuna.create_study(
        sampler=MetaSampler(method=recorder, seed=0), pruner=PRUNERS["hyperband"]()
    )
    study.optimize(loop, n_trials=9)
    assert [len(task) for task in recorder.tasks] == list(range(1, 9))


SPACE = {"x": optuna.distributions.FloatDistribution(0, 1)}


def add_trial(
    study: optuna.Study, x: float, curve: dict[int, float], value: float | None = None
) -> None:
    """A trial that was completed with a value, or else stopped."""
    study.add_trial(
        optuna.create_trial(
            params={"x": x},
            distributions=SPACE,
            value=value,
            state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
            intermediate_values=curve,
        )
    )


def test_a_pruned_trial_ranks_by_its_curve_and_not_by_its_early_value(recorder: Recorder) -> None:
    study = optuna.create_study(direction="minimize", sampler=MetaSampler(method=recorder, seed=0))

    add_trial(study, 0.1, {0: 9.0, 1: 5.0}, 1.0)
    add_trial(study, 0.2, {0: 9.2, 1: 5.2}, 1.2)
    add_trial(study, 0.3, {0: 9.3})
    add_trial(study, 0.4, {0: 9.2, 1: 6.0})
    study.ask(SPACE)
    y = recorder.tasks[-1].y.tolist()
    # At step 1, 0.9 behind the median; at step 0, 0.1 behind the median of three.
    assert y == pytest.approx([-1.0, -1.2, -1.3, -2.0], abs=0.05)


def test_curves_of_prior_studies_decide_how_long_early_differences_last(
    recorder: Recorder,
) -> None:
    rng = np.random.default_rng(0)
    old = optuna.create_study(study_name="old")
    for y in rng.normal(size=60).tolist():
        old.add_trial(
            optuna.create_trial(
                params={"x": abs(y) / 9},
                distributions=SPACE,
                value=0.25 * y,
                intermediate_values={0: y, 9: 0.25 * y},
            )
        )
    share = pool([PriorStudy.of(old)], old.directions).curve_correlation.at(0, 9)
    assert share == pytest.approx((60 * 0.25 + 20) / 80)

    study = optuna.create_study(sampler=MetaSampler(old, method=recorder, seed=0))
    for x, curve, value in ((0.1, {0: 1.0, 9: 1.0}, 1.0), (0.2, {0: 2.0}, None)):
        add_trial(study, x, curve, value)
    study.ask(SPACE)
    assert recorder.tasks[-1].y.tolist() == pytest.approx([-1.0, -1.0 - share])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e308, -1e308])
def test_values_that_are_no_numbers_do_not_break_a_study(bad: float) -> None:
    # Optuna's own pruners warn of some of these.
    study = optuna.create_study(sampler=MetaSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.report(bad if trial.number % 2 else x, 0)
        trial.report(bad if trial.number % 3 == 0 else x, 1)
        if trial.number % 3 == 1:
            raise optuna.TrialPruned
        return x

    study.optimize(objective, n_trials=9)
    assert len(study.trials) == 9
    assert any(t.state == TrialState.COMPLETE for t in study.trials)


@pytest.mark.parametrize(
    "steps", [(0, 7, 8, 1_000_000), (2**40, 2**50, 2**62), (5,)], ids=["irregular", "huge", "one"]
)
def test_steps_may_be_anything(steps: tuple[int, ...]) -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=0), pruner=PRUNERS["percentile"]())
    study.optimize(lambda trial: loop(trial, steps), n_trials=10)
    assert any(t.state == TrialState.PRUNED for t in study.trials)


def test_a_study_whose_trials_are_all_pruned_before_any_report_goes_on() -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0.0, 1.0)
        raise optuna.TrialPruned

    study.optimize(objective, n_trials=6)
    assert len({t.params["x"] for t in study.trials}) == 6


def test_reports_alone_change_nothing() -> None:
    def params(steps: tuple[int, ...]) -> list[dict[str, Any]]:
        study = optuna.create_study(sampler=MetaSampler(seed=0), pruner=NopPruner())

        def objective(trial: optuna.Trial) -> float:
            loop(trial, steps)
            return abs(trial.params["x"] - 0.3)

        study.optimize(objective, n_trials=9)
        return [t.params for t in study.trials]

    assert params(STEPS) == params(())

"""Prior studies whose trials have all failed: they say where trials fail, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
import pytest
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.exceptions import PriorWarning
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.surrogates.constraints import Feasibility, PriorFeasibility, crash_task
from optuna_metasampler.task import Task


RANGE = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}


def failed(seed: int, n: int = 15, value: float | None = None) -> optuna.Study:
    """A study that failed where `x` is above one half; with a value, its first trial did not."""
    study = optuna.create_study(study_name=f"failed {seed}")
    for i, (x, y) in enumerate(np.random.default_rng(seed).random((n, 2))):
        ended = value is not None and i == 0
        params = {"x": x / 2 if ended else 0.5 + x / 2, "y": y}
        state = TrialState.COMPLETE if ended else TrialState.FAIL
        outcome = {"value": value} if ended else {}
        study.add_trial(create_trial(state=state, params=params, distributions=RANGE, **outcome))
    return study


def objective(trial: optuna.Trial) -> float:
    x, y = (trial.suggest_float(name, 0, 1) for name in "xy")
    return (x - 0.2) ** 2 + (y - 0.4) ** 2


def ran(prior: Any, seed: int, n: int = 1, **options: Any) -> optuna.Study:
    study = optuna.create_study(sampler=MetaSampler(prior, seed=seed, **options))
    study.optimize(objective, n_trials=n)
    return study


@pytest.mark.parametrize("value", [None, 1.0])
def test_the_first_trial_keeps_away_from_where_all_others_failed(value: float | None) -> None:
    """By chance, 8 or more of 8 seeds would in 1 of 256 cases."""
    first = [ran(failed(seed, value=value), seed).trials[0].params["x"] for seed in range(8)]
    assert max(first) < 0.5
    assert len(set(first)) == len(first)


def test_such_a_prior_is_no_reason_to_warn_and_is_explained() -> None:
    prior = failed(0)
    study = ran(prior, 0, n=8)
    (row,) = MetaSampler(prior).inspect_priors(study)
    assert row.reason == (
        "it has no finished trial with a value; 15 failed trials say where trials fail"
    )
    assert study.sampler.prior_weights(study) == []  # type: ignore[attr-defined]
    assert study.sampler.recommend(study).value is not None  # type: ignore[attr-defined]
    assert study.sampler.report(study).to_dict()  # type: ignore[attr-defined]


def test_it_stays_beside_studies_that_can_be_ranked() -> None:
    good = optuna.create_study(study_name="good", sampler=optuna.samplers.RandomSampler(seed=1))
    good.optimize(objective, n_trials=15)
    study = ran([failed(0), good], 0, n=4)
    assert [r.name for r in study.sampler.prior_weights(study)] == ["good"]  # type: ignore[attr-defined]
    pooled = pool([PriorStudy.of(failed(0)), PriorStudy.of(good)], study.directions, None, True)
    assert (pooled.studies, [name for name, _ in pooled.failures]) == (("good",), ["failed 0"])
    known = PriorFeasibility.fit(pooled.tasks((1.0,)), pooled.failure_tasks())
    predictor = Feasibility(known).condition(Task.of(pooled.space, [], torch.zeros(0)))
    assert predictor is not None
    inside, outside = predictor(torch.tensor([[0.75, 0.5], [0.1, 0.5]], dtype=torch.float64))
    assert inside < outside


def test_a_prior_of_several_objectives_that_all_failed_is_used_too() -> None:
    old = optuna.create_study(directions=["minimize"] * 2, study_name="old")
    for trial in failed(0).trials:
        old.add_trial(trial)
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=MetaSampler(old, seed=0, n_startup_trials=2)
    )
    study.optimize(lambda t: (objective(t), t.params["x"]), n_trials=5)
    assert study.trials[0].params["x"] < 0.5


@pytest.mark.parametrize("method", ["gp", "deep-kernel"])
def test_a_method_that_ignores_it_or_needs_more_goes_on(method: str) -> None:
    assert len(ran(failed(0), 0, n=3, method=method).trials) == 3


@pytest.mark.parametrize("method", ["portfolio", "lstm"])
def test_a_method_without_a_model_of_failures_leaves_it_out_with_a_warning(method: str) -> None:
    with pytest.warns(PriorWarning, match="'failed 0' is left out: it has no finished trial"):
        study = ran(failed(0), 0, n=3, method=method)
    assert len(study.trials) == 3


def test_failures_with_parameters_that_nobody_else_has_are_harmless() -> None:
    other = optuna.create_study(study_name="other")
    for x in (0.1, 0.5, 0.9):
        other.add_trial(
            create_trial(state=TrialState.FAIL, params={"z": x}, distributions={"z": RANGE["x"]})
        )
    with pytest.warns(PriorWarning, match="none of their parameters"):
        study = ran(other, 0, n=3)
    assert len(study.trials) == 3
    assert len(ran([other, failed(1)], 0, n=3).trials) == 3


def test_labels_of_failures_are_those_of_failed_trials() -> None:
    pooled = pool([PriorStudy.of(failed(0, value=1.0))], [], None, True)
    assert not pooled.failures  # another number of objectives
    study = PriorStudy.of(failed(0, value=1.0))
    assert study.directions is not None
    pooled = pool([study], study.directions, None, True)
    (task,) = pooled.failure_tasks()
    assert sorted(task.y.tolist()) == [-1.0] * 14 + [1.0]
    assert bool(task.mask.all())
    assert len(crash_task(task)) == 15

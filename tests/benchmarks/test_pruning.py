"""Studies whose trials are stopped early."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
import pytest
from scipy import stats

from benchmarks.experiments import pruning
from benchmarks.problems.base import random_params
from benchmarks.problems.curves import N_EPOCHS, CurveSuite
from benchmarks.problems.training import LOOPS
from benchmarks.statistics import t_interval


def losses(suite: CurveSuite, task: str, n: int = 200) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.array(
        [suite.losses(task, random_params(suite.parameters, generator)) for _ in range(n)]
    )


def test_a_configuration_has_one_learning_curve() -> None:
    suite = CurveSuite(0.8)
    params = random_params(suite.parameters, np.random.default_rng(0))
    np.testing.assert_array_equal(suite.losses("0", params), suite.losses("0", params))
    assert suite.losses("0", params).shape == (N_EPOCHS,)


def test_the_end_is_told_better_the_later_and_never_by_the_first_epoch_alone() -> None:
    suite = CurveSuite(0.8)
    for task in suite.targets[:3]:
        curves = losses(suite, task)
        rho = [stats.spearmanr(curves[:, e], curves[:, -1]).statistic for e in (0, 8, 20)]
        assert rho[0] < rho[1] < rho[2]
        assert rho[0] < 0.6


def test_sources_are_as_like_their_target_as_the_suite_says() -> None:
    for relatedness, low, high in ((1.0, 0.95, 1.0), (0.0, -0.4, 0.4)):
        suite = CurveSuite(relatedness)
        ends = losses(suite, "0")[:, -1], losses(suite, "0/1")[:, -1]
        assert low < stats.spearmanr(*ends).statistic <= high


@pytest.mark.parametrize("name", pruning.PRUNERS)
def test_a_study_spends_its_budget_and_no_more_than_one_trial_above(name: str) -> None:
    study, spent = pruning.study_of(
        LOOPS["curves"], "0", RandomSampler(seed=0), pruning.PRUNERS[name](), 200
    )
    assert 200 <= sum(spent) < 200 + N_EPOCHS
    assert len(spent) == len(study.trials)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    whole = [t.state == TrialState.COMPLETE for t in study.trials]
    assert whole == [epochs == N_EPOCHS for epochs in spent]


def test_a_pruned_trial_is_not_the_best_so_far_and_nothing_is_before_the_first_end() -> None:
    study = optuna.create_study()
    for state, value in (
        (TrialState.PRUNED, 0.0),
        (TrialState.COMPLETE, 3.0),
        (TrialState.COMPLETE, 2.0),
    ):
        study.add_trial(optuna.create_trial(state=state, value=value))
    best = pruning.best_by_epochs(study, [N_EPOCHS] * 3, pruning.GRID)
    assert best[:4] == [None, 3.0, 2.0, 2.0]


def test_the_interval_is_that_of_students_t() -> None:
    gaps = np.array([0.1, -0.3, 0.2, 0.4, -0.1])
    expected = stats.ttest_1samp(gaps, 0.0).confidence_interval(0.95)
    assert t_interval(gaps) == pytest.approx((gaps.mean(), expected.low, expected.high))
    assert t_interval(gaps[:1]) is None


def test_only_pairs_with_the_reference_are_compared() -> None:
    def one(peer: str, seed: int, best: float | None) -> dict[str, Any]:
        key = {"loop": "curves", "pruner": "MedianPruner", "task": "0", "seed": seed, "peer": peer}
        return {**key, "unit": 2.0, "best": [best] * len(pruning.GRID)}

    records = [one("TPE", 0, 1.0), one("GPSampler", 0, 0.5), one("GPSampler", 1, 0.0)]
    assert pruning.summarize(records)["tables"] == []
    records += [one("TPE", 2, None), one("GPSampler", 2, 0.5)]
    (found,) = pruning.summarize(records)["tables"]
    rows = {row["peer"]: row for row in found["rows"]}
    # Regrets of 0.25 and 0.5, then 0.25 and 1, where 0 is the best and 2 the median.
    assert rows["GPSampler"]["mean"] == rows["GPSampler"]["324"] == pytest.approx(0.25)
    assert rows["GPSampler"]["to_mean"][0] == pytest.approx(-0.5)
    assert rows["GPSampler"]["better"] == "2 of 2"
    assert "to_mean" not in rows["TPE"]


def test_networks_learn_and_those_that_diverge_get_a_loss_all_the_same() -> None:
    seen = []

    def objective(trial: optuna.Trial) -> float:
        seen.append(list(LOOPS["networks"].losses(trial, "wine")))
        return seen[-1][-1]

    fixed = {"units": 16, "alpha": 1e-4, "batch": 32, "activation": "relu", "beta_1": 0.9}
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    for rate in (1e-2, 1.0):
        study.enqueue_trial(fixed | {"rate": rate})
    study.optimize(objective, n_trials=2)
    assert all(len(curve) == N_EPOCHS for curve in seen)
    assert seen[0][-1] < seen[0][0]
    assert np.isfinite(seen).all()

"""The statistics of the report, against numbers worked out by hand or printed in papers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import statistics
from benchmarks.problems.base import Scale


def test_the_best_so_far_never_rises_and_takes_what_is_not_finite_for_the_worst() -> None:
    values = np.array([np.nan, 3.0, 5.0, np.inf, 1.0])
    assert statistics.best_so_far(values).tolist() == [5.0, 3.0, 3.0, 3.0, 1.0]
    with pytest.raises(ValueError, match="no value is finite"):
        statistics.best_so_far(np.array([np.nan, np.inf]))


def test_regret_is_0_at_the_best_and_1_at_the_median_in_either_direction() -> None:
    assert Scale(best=2.0, median=6.0).regret([6.0, 3.0, 2.0, 1.0]).tolist() == [1, 0.25, 0, 0]
    assert Scale(best=0.9, median=0.5).regret([0.5, 0.7, 0.9]) == pytest.approx([1, 0.5, 0])


def test_log_regret_stops_at_the_floor() -> None:
    assert statistics.log_regret(np.array([1.0, 0.1, 0.0])) == pytest.approx([0, -1, -3])
    assert statistics.log_regret(np.array([0.0]), 1e-4) == pytest.approx([-4])


def test_suites_weigh_alike_however_many_tasks_they_have() -> None:
    values = np.array([0.0, 0.0, 0.0, 1.0])
    assert statistics.pooled_mean(values, ["big", "big", "big", "small"]) == pytest.approx(0.5)


def test_the_pooled_mean_of_curves_is_a_curve() -> None:
    values = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    assert statistics.pooled_mean(values, ["a", "a", "b"]) == pytest.approx([2.5, 3.5])


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    # 2000 samples of four tasks in each of eight suites, as here: their share is known to 1%.
    samples = np.random.default_rng(0).normal(0.0, 1.0, (32, 2000))
    suites = [f"suite {i // 4}" for i in range(32)]
    low, high = statistics.bootstrap(samples, suites, n_draws=1000)
    assert np.mean((low <= 0.0) & (high >= 0.0)) == pytest.approx(0.945, abs=0.015)


def test_the_interval_is_as_wide_as_theory_has_it() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    low, high = statistics.bootstrap(values, ["a"] * 400)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.02)


def test_tasks_are_drawn_inside_suites_and_the_suites_stay() -> None:
    # Each suite is without spread: only drawing suites could give an interval.
    low, high = statistics.bootstrap(np.array([1.0, 1.0, 5.0, 5.0]), ["a", "a", "b", "b"])
    assert low == pytest.approx(3.0)
    assert high == pytest.approx(3.0)


def test_the_interval_is_the_same_every_time() -> None:
    values = np.random.default_rng(2).normal(size=12)
    suites = ["a"] * 5 + ["b"] * 7
    first = statistics.bootstrap(values, suites)
    statistics._bootstrap_weights.cache_clear()
    assert statistics.bootstrap(values, suites) == first


def test_a_ratio_that_is_the_same_on_every_task_has_no_spread() -> None:
    below = np.array([-1.0, -2.0, -0.5])
    low, high = statistics.bootstrap_ratio(0.4 * below, below, ["a", "a", "b"])
    assert (low, high) == pytest.approx((0.4, 0.4))


def test_holm_multiplies_by_the_number_that_is_left_and_never_falls() -> None:
    # 3 * 0.01, 2 * 0.03 and 1 * 0.04, which may not be below the one before.
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert len(statistics.holm([])) == 0


def test_the_signed_rank_test_knows_clear_cases() -> None:
    # All of n differences on one side: 2 / 2^n of the signs are so extreme.
    assert statistics.signed_rank_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 32)
    assert statistics.signed_rank_p(np.zeros(4)) == 1.0


def test_small_differences_are_ties() -> None:
    differences = np.array([-0.5, -0.01, 0.0, 0.019, 0.3, 0.021])
    assert statistics.wins_ties_losses(differences) == (1, 3, 2)


def test_ties_share_the_mean_of_their_ranks() -> None:
    regrets = np.array([[0.1, 0.3, 0.1 + 1e-12, 0.2], [4.0, 3.0, 2.0, 1.0]])
    assert statistics.ranks(regrets).tolist() == [[1.5, 4, 1.5, 3], [4, 3, 2, 1]]


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_the_critical_values_are_those_of_demsar(k: int, q: float) -> None:
    assert statistics.nemenyi_q(k) == pytest.approx(q, abs=0.0011)


def test_the_critical_difference_is_that_of_demsars_example() -> None:
    # Section 3.2.2: four classifiers on 14 data sets.
    assert statistics.nemenyi(4, 14) == pytest.approx(1.25, abs=0.01)


def test_friedman_tells_a_fixed_order_from_none() -> None:
    assert statistics.friedman_p(np.tile([1.0, 2.0, 3.0], (10, 1))) < 0.001
    assert statistics.friedman_p(np.ones((5, 3))) == 1.0


def test_the_first_trial_at_the_target_counts_from_one_and_may_never_come() -> None:
    curve = np.array([0.0, -1.0, -1.0, -2.0])
    assert statistics.first_at_or_below(curve, -1.0) == 2
    assert statistics.first_at_or_below(curve, -2.5) == float("inf")


def test_with_one_task_a_suite_the_suites_are_drawn() -> None:
    values = np.random.default_rng(0).normal(size=12)
    low, high = statistics.bootstrap(values, [f"suite {i}" for i in range(12)])
    one_low, one_high = statistics.bootstrap(values, ["the only suite"] * 12)
    assert low < values.mean() < high
    assert (low, high) == pytest.approx((one_low, one_high))

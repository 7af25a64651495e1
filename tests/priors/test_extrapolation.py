"""Where the learning curves of stopped trials would have ended."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from numpy.typing import NDArray
import pytest
from scipy.stats import spearmanr

from optuna_metasampler.learning_curves import (
    Curve,
    CurveCorrelation,
    curve_correlation_of,
    final_values,
)


NAN = math.nan
ALL_LEFT, HALF_LEFT = CurveCorrelation(), CurveCorrelation((0.5,))

finite = st.floats(-1e3, 1e3)
short_curves = st.dictionaries(st.integers(0, 5), finite, min_size=1, max_size=6)


def loop(n: int, seed: int, share: float, n_stopped: int = 0) -> tuple[list[Curve], Any]:
    """Curves of four steps: at the end, a gain of 10 and a share of the early difference.

    The last ``n_stopped`` stop at step 1, where they are the worst.
    """
    start = np.sort(np.random.default_rng(seed).normal(size=n))[::-1]
    curves: list[Curve] = []
    for i, y in enumerate(start.tolist()):
        end = 10.0 + share * y
        stops = i >= n - n_stopped
        curves.append({0: y, 1: y} if stops else {0: y, 1: y, 3: end})
    finals = 10.0 + share * start
    finals[n - n_stopped :] = NAN
    return curves, finals


def test_trials_that_were_completed_keep_their_values() -> None:
    curves, finals = loop(8, 0, 0.5, n_stopped=3)
    np.testing.assert_array_equal(final_values(curves, finals)[:5], finals[:5])


def test_a_stopped_trial_gains_what_others_gained_and_stays_as_far_behind() -> None:
    curves: list[Curve] = [{1: 1.0, 2: 5.0}, {1: 3.0, 2: 7.0}, {1: 0.0}]
    found = final_values(curves, np.array([5.0, 7.0, NAN]))
    # Two behind the median at step 1, which ends at 6.
    assert found[2] == pytest.approx(4.0)


def test_the_share_that_is_left_is_measured_on_those_that_went_on() -> None:
    curves, finals = loop(60, 0, 0.25, n_stopped=5)
    found = final_values(curves, finals)
    behind = np.array([curves[i][1] for i in range(55, 60)]) - np.median(
        [curves[i][1] for i in range(55)]
    )
    share = (55 * 0.25 + 20 * 1.0) / (55 + 20)
    np.testing.assert_allclose(found[55:], np.median(finals[:55]) + share * behind)


def test_prior_curves_give_the_curve_correlation_from_the_first_trial_on() -> None:
    curves: list[Curve] = [{1: 1.0, 2: 5.0}, {1: 0.0}]
    finals = np.array([5.0, NAN])
    assert final_values(curves, finals, HALF_LEFT)[1] == pytest.approx(4.5)
    assert final_values(curves, finals, ALL_LEFT)[1] == pytest.approx(4.0)
    assert final_values(curves, finals)[1] == pytest.approx(4.0)


def test_prior_curves_that_tell_the_truth_bring_predictions_nearer_to_it() -> None:
    curves, finals = loop(12, 3, 0.3, n_stopped=6)
    truth = np.array([10.0 + 0.3 * curve[1] for curve in curves])
    priors = [loop(40, seed, 0.3) for seed in range(4)]

    def error(curve_correlation: CurveCorrelation | None) -> float:
        return float(np.abs(final_values(curves, finals, curve_correlation) - truth).mean())

    assert error(curve_correlation_of(priors)) < 0.5 * error(None)


def test_the_share_of_prior_studies_is_drawn_to_one_by_twenty_imagined_trials() -> None:
    (early, *_, late) = curve_correlation_of([loop(30, seed, 0.5) for seed in range(2)]).shares
    assert early == pytest.approx((60 * 0.5 + 20) / 80)
    assert late == pytest.approx(1.0)


def test_prior_studies_without_curves_change_nothing() -> None:
    none: list[tuple[list[Curve], NDArray[np.float64]]] = [
        ([], np.array([])),
        ([{}, {}], np.array([1.0, 2.0])),
        ([{0: 1.0}], np.array([1.0])),
        ([{0: 1.0}, {0: 1.0}], np.array([1.0, 2.0])),
    ]
    assert set(curve_correlation_of(none).shares) == {1.0}


def test_trials_whose_order_turns_over_leave_no_difference_and_not_a_negative_one() -> None:
    shares = curve_correlation_of([loop(60, seed, -2.0) for seed in range(3)]).shares
    assert shares[0] == 0.0


def test_lengths_are_relative_to_a_whole_training_on_a_logarithmic_scale() -> None:
    curve_correlation = CurveCorrelation((0.0, 1.0))
    assert curve_correlation.at(0, 99) == 0.0
    assert curve_correlation.at(9, 99) == pytest.approx(0.5)
    assert curve_correlation.at(99, 9999) == pytest.approx(0.5)
    assert curve_correlation.at(500, 99) == 1.0


def test_rungs_are_climbed_down_from_the_latest() -> None:
    curves: list[Curve] = [
        {1: 5.0, 3: 6.0, 9: 7.0},
        {1: 4.0, 3: 5.0},
        {1: 3.0},
    ]
    found = final_values(curves, np.array([7.0, NAN, NAN]))
    # At step 3, one behind: 6. At step 1, 1.5 behind the median of those two, which is 6.5.
    assert found.tolist() == pytest.approx([7.0, 6.0, 5.0])


def test_before_any_trial_is_completed_those_that_went_furthest_stand_for_them() -> None:
    found = final_values([{1: 1.0, 3: 4.0}, {1: 0.5}, {}], np.full(3, NAN))
    np.testing.assert_array_equal(found, [4.0, 3.5, NAN])


def test_a_trial_that_cannot_be_compared_is_no_better_than_the_median() -> None:
    found = final_values([{}, {}, {0: 9.0}, {0: -9.0}], np.array([1.0, 3.0, NAN, NAN]))
    assert found.tolist() == [1.0, 3.0, 2.0, -9.0]


def test_one_diverged_trial_moves_the_others_hardly() -> None:
    curves, finals = loop(20, 1, 0.5, n_stopped=4)
    before = final_values(curves, finals)[-4:]
    after = final_values([*curves, {0: -1e18, 1: -1e18, 3: -1e18}], np.append(finals, -1e18))
    np.testing.assert_allclose(after[16:20], before, atol=0.5)


def test_steps_between_reports_are_interpolated() -> None:
    sparse: list[Curve] = [{0: 0.0, 10: 10.0}, {5: 4.0}]
    dense: list[Curve] = [{s: float(s) for s in range(11)}, {5: 4.0}]
    finals = np.array([10.0, NAN])
    np.testing.assert_allclose(final_values(sparse, finals), final_values(dense, finals))


@given(
    curves=st.lists(short_curves, min_size=2, max_size=8),
    scale=st.floats(0.1, 10.0),
    shift=st.floats(-100.0, 100.0),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_unit_of_the_metric_does_not_matter(
    curves: list[dict[int, float]], scale: float, shift: float, data: st.DataObject
) -> None:
    # Values on a coarse grid: two that differ by a rounding error are equal in another unit.
    curves = [{s: round(v) for s, v in c.items()} for c in curves]
    finals = np.array([data.draw(st.integers(-50, 50) | st.none()) for _ in curves], dtype=float)
    moved = [{s: scale * v + shift for s, v in c.items()} for c in curves]
    expected = scale * final_values(curves, finals) + shift
    np.testing.assert_allclose(
        final_values(moved, scale * finals + shift), expected, rtol=1e-5, atol=1e-5
    )


@given(curves=st.lists(short_curves, min_size=3, max_size=8), data=st.data())
@settings(max_examples=40, deadline=None)
def test_of_trials_stopped_at_one_step_the_better_never_ends_worse(
    curves: list[dict[int, float]], data: st.DataObject
) -> None:
    finals = np.array([data.draw(finite | st.none()) for _ in curves], dtype=float)
    found = final_values(curves, finals)
    stopped = [i for i in range(len(curves)) if np.isnan(finals[i])]
    for i in stopped:
        for j in stopped:
            last = max(curves[i])
            if max(curves[j]) == last and curves[i][last] > curves[j][last]:
                assert found[i] >= found[j]


@given(
    curves=st.lists(st.dictionaries(st.integers(-3, 10**30), st.floats(), max_size=6), max_size=8),
    data=st.data(),
)
@settings(max_examples=80, deadline=None)
def test_whatever_was_reported_stopped_trials_get_finite_values(
    curves: list[dict[int, float]], data: st.DataObject
) -> None:
    finals = np.array([data.draw(st.floats()) for _ in curves], dtype=float)
    curve_correlation = curve_correlation_of([(curves, finals)])
    assert all(0 <= share < math.inf for share in curve_correlation.shares)
    found = final_values(curves, finals, curve_correlation)
    for curve, final, end in zip(curves, finals, found, strict=True):
        if not math.isnan(final):
            assert end == final
        elif all(map(math.isnan, curve.values())):
            assert math.isnan(end)
        else:
            assert math.isfinite(end)


def test_many_trials_and_steps_are_thinned_and_still_ranked() -> None:
    rng = np.random.default_rng(0)
    levels = rng.normal(size=600)
    lengths = rng.integers(1, 300, size=600)
    curves: list[Curve] = [
        {s: level - 10.0 / (1 + s) for s in range(length)}
        for level, length in zip(levels.tolist(), lengths.tolist(), strict=True)
    ]
    finals = np.where(rng.random(600) < 0.3, levels, NAN)
    found = final_values(curves, finals)
    worse = np.isnan(finals) & (levels < -0.5)
    assert spearmanr(found[worse], levels[worse]).statistic > 0.9

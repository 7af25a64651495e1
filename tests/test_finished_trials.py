"""Finished trials as configurations and outcomes."""

from __future__ import annotations

from datetime import datetime, timedelta
import math
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler.history import distributions_of, finished_trials, observations


MINIMIZE, MAXIMIZE = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE


def trial(
    x: float, value: float | list[float] | None, state: TrialState = TrialState.COMPLETE, **kw: Any
) -> FrozenTrial:
    values = value if isinstance(value, list) else None
    return optuna.create_trial(
        state=state,
        params={"x": x},
        distributions={"x": FloatDistribution(0, 1)},
        value=None if values else value,  # type: ignore[arg-type]
        values=values,
        **kw,
    )


def pruned(x: float, steps: dict[int, float]) -> FrozenTrial:
    return trial(x, None, TrialState.PRUNED, intermediate_values=steps)


def test_larger_is_better_whatever_the_direction() -> None:
    trials = [trial(0.1, [1.0, 5.0]), trial(0.2, [2.0, 4.0])]
    records = finished_trials(trials, [MINIMIZE, MAXIMIZE])
    np.testing.assert_array_equal(records.outcomes, [[-1, 5], [-2, 4]])


def test_records_come_in_the_order_in_which_trials_ended() -> None:
    late, early = trial(0.1, 1.0), trial(0.2, 2.0)
    late.datetime_complete = datetime(2026, 1, 2)
    early.datetime_complete = late.datetime_complete - timedelta(hours=1)
    records = finished_trials([late, early], [MINIMIZE])
    assert [c["x"] for c in records.configurations] == [0.2, 0.1]


def test_a_pruned_trial_ends_where_its_curve_would_have() -> None:
    done = [
        trial(0.1, 2.0, intermediate_values={0: 8.0, 1: 4.0}),
        trial(0.2, 3.0, intermediate_values={0: 9.0, 1: 5.0}),
    ]
    stopped = [pruned(0.7, {0: 10.0}), pruned(0.8, {0: 9.5, 1: 5.5})]
    records = finished_trials(done + stopped, [MINIMIZE])
    # One behind the median of two that end at 2.5; one behind that of three that end at 3.
    np.testing.assert_allclose(records.outcomes[2:, 0], [-4.0, -3.5])
    assert records.extrapolated.tolist() == [False, False, True, True]
    sign_flipped = finished_trials([_negated(t) for t in done + stopped], [MAXIMIZE])
    np.testing.assert_array_equal(sign_flipped.outcomes, records.outcomes)


def _negated(t: FrozenTrial) -> FrozenTrial:
    negated = {step: -value for step, value in t.intermediate_values.items()}
    value = None if t.state == TrialState.PRUNED else -(t.value or 0.0)
    return trial(t.params["x"], value, t.state, intermediate_values=negated)


def test_a_pruned_trial_is_no_better_than_the_median_where_no_curve_can_be_compared() -> None:
    done = [trial(i / 10, float(i)) for i in range(1, 6)]  # median 3, minimised
    stopped = [pruned(0.7, {0: 0.1}), pruned(0.8, {0: 9.0}), pruned(0.9, {})]
    records = finished_trials(done + stopped, [MINIMIZE])
    assert records.outcomes[5:, 0].tolist() == [-3.0, -9.0, -3.0]


def test_pruned_trials_are_compared_before_any_has_completed() -> None:
    records = finished_trials([pruned(0.7, {0: 3.0, 1: 1.0}), pruned(0.8, {0: 4.0})], [MINIMIZE])
    assert records.outcomes[:, 0].tolist() == [-1.0, -2.0]


def test_a_pruned_trial_that_reported_nothing_says_nothing_before_any_has_completed() -> None:
    records = finished_trials([pruned(0.7, {}), pruned(0.8, {0: math.nan})], [MINIMIZE])
    assert len(records.configurations) == 0
    assert records.failed == [{"x": 0.7}, {"x": 0.8}]


def test_a_trial_pruned_with_several_objectives_counts_as_their_medians() -> None:
    done = [trial(0.1, [1.0, 5.0]), trial(0.2, [3.0, 9.0])]
    records = finished_trials([*done, pruned(0.7, {})], [MINIMIZE, MAXIMIZE])
    assert records.outcomes[2].tolist() == [-2.0, 7.0]
    assert len(finished_trials([pruned(0.7, {})], [MINIMIZE, MAXIMIZE]).failed) == 1


def test_a_nan_at_the_last_step_counts_as_the_median() -> None:
    done = [trial(0.1, 1.0), trial(0.2, 3.0)]
    records = finished_trials([*done, pruned(0.7, {0: math.nan})], [MINIMIZE])
    assert records.outcomes[2, 0] == -2.0


def test_failed_trials_have_no_outcome_and_running_ones_are_not_there() -> None:
    trials = [
        trial(0.1, None, TrialState.FAIL),
        trial(0.2, None, TrialState.RUNNING),
        trial(0.3, None, TrialState.WAITING),
        trial(0.4, 1.0),
    ]
    records = finished_trials(trials, [MINIMIZE])
    assert records.failed == [{"x": 0.1}]
    assert records.configurations == [{"x": 0.4}]


def test_infinite_values_are_kept_and_do_not_spoil_the_median() -> None:
    done = [trial(0.1, math.inf), trial(0.2, -math.inf), trial(0.3, 1.0), trial(0.4, 2.0)]
    records = finished_trials([*done, pruned(0.7, {0: 0.0})], [MINIMIZE])
    assert records.outcomes[:2, 0].tolist() == [-math.inf, math.inf]
    assert math.isfinite(records.outcomes[4, 0])


def test_a_trial_with_another_number_of_values_is_left_out() -> None:
    records = finished_trials([trial(0.1, 1.0), trial(0.2, [1.0, 2.0])], [MINIMIZE])
    assert records.configurations == [{"x": 0.1}]


def test_parameters_are_renamed() -> None:
    records = finished_trials([trial(0.1, 1.0)], [MINIMIZE], {"x": "lr"})
    assert records.configurations == [{"lr": 0.1}]
    assert set(distributions_of([trial(0.1, 1.0)], {"x": "lr"})) == {"lr"}


def test_no_trial_gives_no_record() -> None:
    records = finished_trials([], [MINIMIZE, MAXIMIZE])
    assert records.outcomes.shape == (0, 2)


def test_single_valued_distributions_are_not_shown() -> None:
    single = optuna.create_trial(
        params={"n": 3}, distributions={"n": IntDistribution(3, 3)}, value=1.0
    )
    assert distributions_of([single, trial(0.1, 1.0)]).keys() == {"x"}


def test_curves_hold_reports_and_final_values_of_all_but_failed_trials() -> None:
    trials = [
        trial(0.1, 3.0, intermediate_values={4: 5.0, 1: 9.0, 2: math.nan}),
        pruned(0.2, {0: 7.0}),
        trial(0.3, None, TrialState.FAIL, intermediate_values={1: 1.0}),
        trial(0.4, 2.0),
    ]
    seen = observations(trials, MINIMIZE)
    assert [o.params["x"] for o in seen] == [0.1, 0.1, 0.1, 0.2, 0.4]
    assert [o.step for o in seen] == [1.0, 4.0, math.inf, 0.0, math.inf]
    assert [o.value for o in seen] == [-9.0, -5.0, -3.0, -7.0, -2.0]
    assert [o.value for o in observations(trials, MAXIMIZE)] == [9.0, 5.0, 3.0, 7.0, 2.0]
    assert observations([], MAXIMIZE) == []

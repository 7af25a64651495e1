"""Convergence of a study and its prior studies."""

from __future__ import annotations

from dataclasses import replace
import math

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
import pytest

from optuna_metasampler._optuna import finite_value, is_feasible
from optuna_metasampler.explain.prior_studies import convergence
from optuna_metasampler.explain.snapshot import Snapshot


def trial(
    value: float, state: TrialState = TrialState.COMPLETE, excess: float = -1.0
) -> FrozenTrial:
    return create_trial(state=state, value=value, system_attrs={"constraints": [excess]})


def test_values_that_do_not_count_are_ignored() -> None:
    trials = [
        trial(5.0),
        trial(-9.0, excess=0.5),
        trial(-9.0, TrialState.PRUNED),
        trial(-math.inf),
        trial(3.0),
    ]
    assert [finite_value(t) for t in trials] == [5.0, -9.0, None, None, 3.0]
    assert [is_feasible(t) for t in trials] == [True, False, True, True, True]
    assert finite_value(trials[0], objective=1) is None


def test_only_improvements_and_the_last_trial_are_kept(cold: Snapshot) -> None:
    trials = [trial(v) for v in (5.0, 7.0, 3.0, 3.0, -1.0, 4.0)]
    got = convergence(cold, [*trials, trial(-9.0, excess=1.0)])
    assert got.own is not None
    assert got.own.trials == (1, 3, 5, 6)
    assert got.own.best == (5.0, 3.0, -1.0, -1.0)
    assert got.own.share == pytest.approx((4 / 6, 1 / 6, 0.0, 0.0))
    assert got.priors == ()


def test_each_prior_study_has_its_own_direction(warm: Snapshot) -> None:
    (row, *_), (prior, *_) = warm.overlaps.studies, warm.priors
    one = replace(
        warm,
        overlaps=replace(warm.overlaps, studies=(row,)),
        priors=(replace(prior, trials=tuple(trial(v) for v in (9.0, 1.0, 4.0))),),
    )
    near = [trial(2.0), trial(8.0)]
    (found,) = convergence(one, near).priors
    assert found.best == (9.0, 1.0, 1.0)
    (reversed_prior,) = one.priors
    other = replace(one, priors=(replace(reversed_prior, directions=(StudyDirection.MAXIMIZE,)),))
    (found,) = convergence(other, near).priors
    assert found.best == (9.0, 9.0)

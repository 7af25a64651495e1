"""Outcomes as features of policies without a surrogate."""

from __future__ import annotations

import torch

from optuna_metasampler.outcomes import rank_gaussianize
from optuna_metasampler.policies.rank_features import constant_liar, rank_features
from optuna_metasampler.task import Task
from tests.tasks import NUMBERS


Y = torch.tensor([0.3, -1.2, 0.9, 0.3, 2.0, -0.4], dtype=torch.float64)


def test_the_first_signal_is_the_normal_quantile_of_the_rank() -> None:
    torch.testing.assert_close(rank_features(Y, Y)[:, 0], rank_gaussianize(Y))


def test_signals_do_not_depend_on_the_unit_of_the_outcomes() -> None:
    torch.testing.assert_close(rank_features(1e3 * Y - 50, 1e3 * Y - 50), rank_features(Y, Y))


def test_ranks_survive_any_increasing_function() -> None:
    assert torch.equal(rank_features(Y.exp() ** 3, Y.exp() ** 3)[:, 0], rank_features(Y, Y)[:, 0])


def test_outcomes_that_are_not_known_do_not_count() -> None:
    known = torch.tensor([True, True, True, False, False, False])
    assert torch.equal(rank_features(Y, Y, known)[:3], rank_features(Y[:3], Y[:3]))


def test_diverged_and_infinite_outcomes_give_finite_signals() -> None:
    for odd in (-torch.inf, torch.inf, -1e308):
        y = torch.cat([Y, torch.tensor([odd], dtype=torch.float64)])
        assert bool(torch.isfinite(rank_features(y, y)).all())
        assert bool(torch.isfinite(rank_features(y[-1:], y[-1:])).all())


def test_equal_outcomes_say_nothing() -> None:
    same = torch.full((4,), 7.0)
    assert torch.equal(rank_features(same, same), torch.zeros((4, 2)))


def test_what_failed_or_is_running_is_told_as_bad_as_the_worst() -> None:
    one, two, three = {"a": 0.1, "b": 0.1}, {"a": 0.2, "b": 0.1}, {"a": 0.3, "b": 0.1}
    history = Task.of(NUMBERS, [one, two], torch.tensor([1.0, -3.0]), [three], [{"a": 1.0}])
    x, y = constant_liar(history)
    assert y.tolist() == [1.0, -3.0, -3.0, -3.0]
    assert torch.equal(x, torch.cat([history.x, history.tried, history.pending]))

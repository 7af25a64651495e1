"""The process over training lengths, on curves whose ends are known."""

from __future__ import annotations

from dataclasses import replace
import math

import pytest
import torch

from optuna_metasampler.methods.hyperband import MultiFidelity, observations_of
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.task import Curves, Task
from tests.tasks import cube


SPACE = cube("a")
INF = math.inf
Curve = tuple[float, list[float], list[float]]


def task_of(trials: list[Curve], pending: list[float] | None = None) -> Task:
    """A task of trials ``(a, steps, values)``; an infinite step is that of a final value."""
    rows = [
        (a, i, s, v)
        for i, (a, steps, y) in enumerate(trials)
        for s, v in zip(steps, y, strict=True)
    ]
    table = torch.tensor(rows, dtype=torch.float64).reshape(len(rows), 4)
    ended = [(a, y[-1]) for a, steps, y in trials if steps[-1] == INF]
    task = Task.of(
        SPACE,
        [{"a": a} for a, _ in ended],
        torch.tensor([v for _, v in ended]),
        pending=[{"a": a} for a in pending or []],
    )
    curves = Curves(table[:, :1], table[:, 1].long(), table[:, 2], table[:, 3])
    return replace(task, curves=curves)


def rising(a: float, end: float, last: int, completed: bool) -> Curve:
    """A curve that is ``9 / step`` short of its end."""
    steps = [float(s) for s in range(1, last + 1)]
    values = [end - 9.0 / s for s in steps]
    return (a, [*steps, INF], [*values, values[-1]]) if completed else (a, steps, values)


def test_a_short_trial_is_moved_by_what_others_gained_from_there() -> None:
    trials = [rising(0.2, 1.0, 27, True), rising(0.8, 5.0, 27, True), rising(0.5, 9.0, 3, False)]
    seen = observations_of(task_of(trials))
    ends = [1.0 - 9 / 27, 5.0 - 9 / 27, 9.0 - 9 / 27]
    for a, end in zip((0.2, 0.8, 0.5), ends, strict=True):
        moved = seen.y[seen.x[:, 0] == a]
        torch.testing.assert_close(moved, torch.full_like(moved, end))


def test_gains_are_added_up_where_no_trial_went_all_the_way() -> None:
    trials = [rising(0.2, 1.0, 9, False), rising(0.8, 5.0, 2, False)]
    seen = observations_of(task_of(trials))
    # The second is two steps long; the first was nine sevenths short of its end there.
    assert float(seen.y[seen.x[:, 0] == 0.8][-1]) == pytest.approx(5.0 - 9 / 9)


def test_one_observation_is_kept_of_each_factor_of_three() -> None:
    seen = observations_of(task_of([rising(0.2, 1.0, 27, True), rising(0.5, 1.0, 27, True)]))
    one = seen.fidelity[seen.x[:, 0] == 0.2]
    # From a length of 2 to one of 28 it is two and a half factors.
    assert len(one) == 3
    assert float(one[-1]) == 1.0
    assert bool((one[1:] > one[:-1]).all())
    assert bool((one >= 0.0).all())


@pytest.mark.parametrize("steps", [[0.0, 7.0, 100.0], [3.0], [0.0]], ids=str)
def test_steps_may_be_any(steps: list[float]) -> None:
    trials = [
        (0.1, [*steps, INF], [*(0.1 for _ in steps), 0.2]),
        (0.6, steps[:1], [0.5]),
    ]
    seen = observations_of(task_of(trials))
    assert bool(((seen.fidelity >= 0.0) & (seen.fidelity <= 1.0)).all())
    assert bool(torch.isfinite(seen.y).all())


def test_without_curves_the_outcomes_are_observations_at_full_length() -> None:
    task = replace(task_of([(0.1, [INF], [1.0]), (0.6, [INF], [2.0])]), curves=None)
    seen = observations_of(task)
    assert seen.fidelity.tolist() == [1.0, 1.0]
    assert seen.y.tolist() == [1.0, 2.0]


def test_early_values_raise_what_is_expected_of_a_trial_that_never_ended() -> None:
    poor = [rising(a, a, 27, True) for a in (0.0, 0.1, 0.2, 0.9, 1.0)]
    for end, better in ((8.0, True), (-8.0, False)):
        task = task_of([*poor, rising(0.55, end, 3, False)])
        predictor = MultiFidelity(GaussianProcess()).condition(task)
        at = predictor(torch.tensor([[0.55], [0.2]], dtype=torch.float64)).mean
        assert bool(at[0] > at[1]) is better


def test_the_incumbent_is_a_completed_trial_where_there_is_one() -> None:
    trials = [rising(0.2, 1.0, 27, True), rising(0.8, 2.0, 27, True), rising(0.5, 9.0, 3, False)]
    predictor = MultiFidelity(GaussianProcess()).condition(task_of(trials))
    alone = MultiFidelity(GaussianProcess()).condition(task_of([rising(0.5, 9.0, 3, False)]))
    assert predictor.incumbent is not None
    at = predictor(torch.tensor([[0.5], [0.8]], dtype=torch.float64)).mean
    assert float(at[0]) > predictor.incumbent
    assert alone.incumbent is not None
    assert MultiFidelity(GaussianProcess()).condition(task_of([])).incumbent is None


@pytest.mark.parametrize(
    "trials",
    [
        [(0.1, [1.0, INF], [INF, INF]), (0.4, [1.0], [-INF]), (0.6, [1.0, INF], [0.0, 1.0])],
        [(0.1, [1.0, INF], [1.0, 1.0])] * 3,
        [(0.1, [1.0], [1.0])],
    ],
    ids=["infinite", "constant", "one-running"],
)
def test_odd_curves_give_a_finite_prediction(trials: list[Curve]) -> None:
    predictor = MultiFidelity(GaussianProcess()).condition(task_of(trials, pending=[0.3]))
    got = predictor(torch.tensor([[0.2], [0.7]], dtype=torch.float64))
    assert bool(torch.isfinite(got.mean).all())
    assert bool((got.variance > 0).all())
    assert predictor.column_scale.shape == (1,)


def test_conditioning_again_after_another_task_gives_the_same() -> None:
    model = MultiFidelity(GaussianProcess())
    task = task_of([rising(0.2, 1.0, 27, True), rising(0.8, 2.0, 9, False)])
    x = torch.tensor([[0.3]], dtype=torch.float64)
    first = model.condition(task)(x).mean
    model.condition(task_of([rising(0.5, 3.0, 27, True)]))
    assert torch.equal(model.condition(task)(x).mean, first)

"""Pareto fronts, hypervolume and the boxes beside a front."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from optuna._hypervolume import compute_hypervolume
import pytest
import torch
from torch import Tensor

from optuna_metasampler.pareto import (
    Boxes,
    dominates,
    hypervolume,
    non_dominated,
    non_dominated_boxes,
    reference_point,
    spread_out,
)
from tests.tasks import uniform


@st.composite
def outcomes(draw: st.DrawFn, least: int = 1) -> Tensor:
    """Few different numbers, so that points are tied, equal, and dominate each other."""
    m = draw(st.integers(2, 4))
    row = st.lists(st.integers(0, 8), min_size=m, max_size=m)
    rows = draw(st.lists(row, min_size=least, max_size=12))
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), m) / 4


def corner(m: int) -> Tensor:
    return torch.full((m,), -0.5, dtype=torch.float64)


def holds(boxes: Boxes, points: Tensor) -> Tensor:
    """In how many boxes each point lies, shape ``(n,)``."""
    x = points.unsqueeze(1)
    return ((x >= boxes.lower) & (x < boxes.upper)).all(dim=2).sum(dim=1)


@settings(max_examples=40)
@given(outcomes())
def test_the_hypervolume_is_that_of_optuna(points: Tensor) -> None:
    worst = corner(points.shape[1])
    expected = compute_hypervolume(-points.numpy(), -worst.numpy())
    assert hypervolume(points, worst) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=40)
@given(outcomes(), st.randoms(use_true_random=False))
def test_the_hypervolume_knows_no_order_of_points_or_objectives(
    points: Tensor, random: object
) -> None:
    rows, columns = list(range(len(points))), list(range(points.shape[1]))
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(columns)  # type: ignore[attr-defined]
    worst = corner(points.shape[1])
    assert hypervolume(points[rows][:, columns], worst) == pytest.approx(
        hypervolume(points, worst), rel=1e-12
    )


@settings(max_examples=40)
@given(outcomes(), st.integers(0, 2**31))
def test_a_point_above_the_corner_is_dominated_or_in_exactly_one_box(
    points: Tensor, seed: int
) -> None:
    """Whatever the point: drawn around the front, so that no box is too small to be met."""
    m = points.shape[1]
    x = uniform(200, m, seed) * 3.5 - 0.5
    below = (points.unsqueeze(1) > x).all(dim=2).any(dim=0)
    boxes = non_dominated_boxes(points, corner(m))
    assert torch.equal(holds(boxes, x), (~below).long())


@settings(max_examples=40)
@given(outcomes(), st.integers(0, 2**31))
def test_the_boxes_tell_how_much_a_point_adds(points: Tensor, seed: int) -> None:
    m = points.shape[1]
    x = uniform(1, m, seed)[0] * 2
    added = hypervolume(torch.cat([points, x[None]]), corner(m)) - hypervolume(points, corner(m))
    boxes = non_dominated_boxes(points, corner(m))
    assert float(boxes.volume_below(x)) == pytest.approx(added, rel=1e-9, abs=1e-9)


@settings(max_examples=40)
@given(outcomes(least=0))
def test_the_front_is_what_no_point_dominates(points: Tensor) -> None:
    expected = ~dominates(points, points).any(dim=0)
    assert torch.equal(non_dominated(points), expected)


def test_infinite_and_huge_outcomes_have_a_front() -> None:
    inf, huge = float("inf"), 1.7e308
    points = torch.tensor(
        [[inf, -inf], [-inf, -inf], [huge, huge], [huge, -huge], [-inf, inf]], dtype=torch.float64
    )
    assert non_dominated(points).tolist() == [True, False, True, False, True]


def test_two_objectives_need_one_box_more_than_points() -> None:
    x = torch.linspace(0, 1, 40, dtype=torch.float64)
    boxes = non_dominated_boxes(torch.stack([x, 1 - x * x], dim=1), corner(2))
    assert len(boxes.lower) == 41


def test_a_spread_holds_the_best_of_each_objective_and_is_even() -> None:
    x = torch.linspace(0, 1, 1001, dtype=torch.float64)
    front = torch.stack([x, 1e6 * (1 - x)], dim=1)
    rows = spread_out(front, 9)
    assert {0, 1000} <= set(rows.tolist())
    assert len(rows) == 9
    assert int(rows.diff().max()) <= 2 * int(rows.diff().min()) + 1
    assert torch.equal(spread_out(front[:5], 9), torch.arange(5))


def test_equal_points_are_spread_out_without_end() -> None:
    assert len(spread_out(torch.zeros((7, 2), dtype=torch.float64), 3)) == 3


@settings(max_examples=40)
@given(outcomes())
def test_the_reference_point_is_worse_than_all_of_the_front(points: Tensor) -> None:
    front = points[non_dominated(points)]
    assert bool((reference_point(front) < front).all())


def test_the_reference_point_comes_nearer_as_the_front_grows() -> None:
    x = torch.linspace(0, 1, 11, dtype=torch.float64)
    front = torch.stack([x, 1 - x], dim=1)
    assert reference_point(front[[0, -1]]).tolist() == pytest.approx([-1, -1])
    assert reference_point(front).tolist() == pytest.approx([-0.1, -0.1])

"""Tasks and the scales of their outcomes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import pytest
from scipy import stats
import torch

from optuna_metasampler.outcomes import half_rank_warp, rank_gaussianize, scalarize, spearman
from optuna_metasampler.task import Task
from tests.tasks import cube


ANY = st.lists(st.floats(allow_nan=False), min_size=1, max_size=30)
FINITE = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


def tensor(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(ANY)
def test_the_warp_of_any_outcomes_is_finite_and_keeps_their_order(values: list[float]) -> None:
    y = tensor(values)
    z = half_rank_warp(y)
    assert bool(torch.isfinite(z).all())
    order = torch.argsort(y)
    assert bool((z[order].diff() >= -1e-12).all())


@given(ANY)
def test_gaussian_quantiles_of_any_outcomes_are_finite_and_keep_their_order(
    values: list[float],
) -> None:
    y = tensor(values)
    z = rank_gaussianize(y)
    assert bool(torch.isfinite(z).all())
    order = torch.argsort(y)
    assert bool((z[order].diff() >= 0).all())


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0, 2.0], [math.inf], [-math.inf, -math.inf]])
def test_equal_outcomes_are_warped_to_zero(values: list[float]) -> None:
    assert half_rank_warp(tensor(values)).tolist() == [0.0] * len(values)


def test_no_outcome_is_warped_to_no_outcome() -> None:
    assert len(half_rank_warp(tensor([]))) == 0
    assert len(rank_gaussianize(tensor([]))) == 0


def test_the_better_half_stays_linear_and_the_worse_half_is_squashed() -> None:
    z = half_rank_warp(tensor([-1e18, -1e6, 0.0, 1.0, 2.0, 4.0, 0.5]))
    better = z[[3, 4, 5]]
    assert float(better[1] - better[0]) * 2 == pytest.approx(float(better[2] - better[1]))
    assert float(z.min()) > -3


@given(FINITE, st.floats(0.01, 100), st.floats(-100, 100))
def test_the_warp_does_not_see_units(values: list[float], scale: float, shift: float) -> None:
    y = tensor([round(v, 3) for v in values])
    torch.testing.assert_close(
        half_rank_warp(y * scale + shift), half_rank_warp(y), atol=1e-4, rtol=1e-4
    )


def test_gaussian_quantiles_match_scipy_with_ties() -> None:
    values = [3.0, 1.0, 1.0, 7.0, -math.inf, math.inf]
    expected = stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values))
    torch.testing.assert_close(rank_gaussianize(tensor(values)), torch.from_numpy(expected))


@given(FINITE)
def test_spearman_matches_scipy(values: list[float]) -> None:
    other = [math.sin(31 * v) for v in values]
    if len(set(values)) > 1 and len(set(other)) > 1:
        expected = stats.spearmanr(values, other).statistic
        assert spearman(tensor(values), tensor(other)) == pytest.approx(expected, abs=1e-9)


def test_spearman_of_a_constant_is_unknown() -> None:
    assert math.isnan(spearman(tensor([1.0, 1.0]), tensor([1.0, 2.0])))
    assert math.isnan(spearman(tensor([1.0]), tensor([1.0])))


@given(FINITE, st.floats(0.1, 0.9))
def test_a_dominated_outcome_is_never_preferred(values: list[float], w: float) -> None:
    outcomes = torch.stack([tensor(values), tensor([math.cos(v) for v in values])], dim=1)
    y = scalarize(outcomes, tensor([w, 1 - w]))
    dominated = (outcomes[:, None, :] < outcomes[None, :, :]).all(dim=2)
    assert not bool((dominated & (y[:, None] > y[None, :])).any())


def test_one_objective_is_left_as_it_is() -> None:
    outcomes = tensor([3.0, -1.0])[:, None]
    assert scalarize(outcomes, tensor([1.0])).tolist() == [3.0, -1.0]


def test_outcomes_that_are_nan_or_miscounted_are_refused() -> None:
    space = cube("x")
    with pytest.raises(ValueError, match="NaN"):
        Task.of(space, [{"x": 0.5}], tensor([math.nan]))
    with pytest.raises(ValueError, match=r"shape \(1,\)"):
        Task.of(space, [{"x": 0.5}], tensor([1.0, 2.0]))

from hypothesis import given
from hypothesis import strategies as st
import pytest
import torch

from optuna_metasampler.acquisition import TieProbability
from tests.tasks import uniform


def _unit(d: int = 1) -> torch.Tensor:
    return torch.ones(d, dtype=torch.float64)


def test_a_function_without_exact_ties_has_no_tie_probability() -> None:
    x = uniform(20, 2)
    assert TieProbability.of(x, x.sum(dim=1), _unit(2)) is None


def test_three_trials_are_too_few_for_a_tie_probability() -> None:
    assert TieProbability.of(uniform(3, 1), torch.zeros(3, dtype=torch.float64), _unit()) is None


def test_a_point_beside_tied_trials_is_less_likely_new_than_one_far_away() -> None:
    x = torch.linspace(0.0, 1.0, 41, dtype=torch.float64)[:, None]
    steps = torch.floor(x[:, 0] * 5)
    ties = TieProbability.of(x[:30], steps[:30], _unit())
    assert ties is not None
    beside, far = ties(torch.tensor([[0.51], [1.0]], dtype=torch.float64)).exp()
    assert beside < 0.3
    assert far > 0.9


def test_the_learned_share_of_ties_is_the_true_one() -> None:
    # Steps of width 0.2 at a random offset: two points d < 0.2 apart tie with probability 1 - 5 d.
    x = uniform(300, 1, seed=1)
    ties = TieProbability.of(x, torch.floor((x[:, 0] + 0.07) * 5), _unit())
    assert ties is not None
    i = torch.searchsorted(ties.distance, torch.tensor([0.02, 0.1, 0.18, 0.3]).double())
    expected = torch.tensor([0.9, 0.5, 0.1, 0.0], dtype=torch.float64)
    # Within 0.1: the error of a share of ties among the ten thousands of pairs of 300 points.
    assert torch.allclose(1 - ties.log_new[i].exp(), expected, atol=0.1)


def test_a_column_that_does_not_matter_does_not_make_a_point_new() -> None:
    x = uniform(60, seed=2)
    ties = TieProbability.of(x, torch.floor(x[:, 0] * 4), torch.tensor([1.0, 1e-3]).double())
    assert ties is not None
    moved = x[:1] + torch.tensor([[0.0, 0.5]], dtype=torch.float64)
    assert float(ties(moved).exp()) < 0.2


@given(
    n=st.integers(4, 30),
    levels=st.integers(1, 6),
    d=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_the_probability_of_a_new_outcome_never_falls_with_distance(
    n: int, levels: int, d: int, seed: int
) -> None:
    x = uniform(n, d, seed)
    ties = TieProbability.of(x, torch.floor(x.sum(dim=1) * levels / d), _unit(d))
    if ties is None:
        return
    away = torch.linspace(0.0, 3.0, 50, dtype=torch.float64)[:, None] + x.max(dim=0).values
    log_new = ties(away)
    assert bool(torch.isfinite(log_new).all())
    assert float(log_new.max()) <= 0.0
    assert bool((log_new.diff() >= -1e-12).all())


def test_the_gradient_is_finite_even_on_a_trial() -> None:
    x = torch.linspace(0.0, 0.5, 11, dtype=torch.float64)[:, None]
    ties = TieProbability.of(x, torch.floor(x[:, 0] * 5), _unit())
    assert ties is not None
    points = torch.tensor([[0.25], [0.57]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(ties(points).sum(), points)
    assert bool(torch.isfinite(gradient).all())


def test_equal_trials_at_one_place_are_no_error() -> None:
    x = torch.zeros((5, 2), dtype=torch.float64)
    ties = TieProbability.of(x, torch.zeros(5, dtype=torch.float64), _unit(2))
    assert ties is not None
    assert bool(torch.isfinite(ties(x)).all())


@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_infinite_outcomes_tie_with_each_other(value: float) -> None:
    x = uniform(6, 1)
    y = torch.tensor([1.0, value, value, value, 2.0, 3.0], dtype=torch.float64)
    assert TieProbability.of(x, y, _unit()) is not None

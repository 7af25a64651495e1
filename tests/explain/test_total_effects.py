"""Total-effect indices, compared with closed forms."""

from __future__ import annotations

from collections.abc import Callable
import math

from hypothesis import given
from hypothesis import strategies as st
import pytest
import torch
from torch import Tensor

from optuna_metasampler.explain.effects import total_effects


def linear(u: Tensor) -> Tensor:
    return u @ torch.tensor([3.0, 2.0, 1.0, 0.0], dtype=torch.float64)


def ishigami(u: Tensor) -> Tensor:
    x = math.pi * (2 * u - 1)
    return x[:, 0].sin() + 7 * x[:, 1].sin() ** 2 + 0.1 * x[:, 2] ** 4 * x[:, 0].sin()


def ishigami_indices() -> list[float]:
    """Ishigami & Homma 1990, with a = 7 and b = 0.1."""
    v1 = 0.5 * (1 + 0.1 * math.pi**4 / 5) ** 2
    v2 = 49 / 8
    v13 = 0.01 * math.pi**8 * 8 / 225
    total = v1 + v2 + v13
    return [(v1 + v13) / total, v2 / total, v13 / total]


G = torch.tensor([0.0, 1.0, 4.5, 9.0, 99.0, 99.0], dtype=torch.float64)


def g_function(u: Tensor) -> Tensor:
    return (((4 * u - 2).abs() + G) / (1 + G)).prod(dim=1)


def g_indices() -> list[float]:
    """Saltelli & Sobol 1995."""
    each = 1 / (3 * (1 + G) ** 2)
    total = (1 + each).prod() - 1
    return [float(v * (1 + each).prod() / (1 + v) / total) for v in each]


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (linear, [9 / 14, 4 / 14, 1 / 14, 0.0]),
        (ishigami, ishigami_indices()),
        (g_function, g_indices()),
    ],
)
def test_indices_are_those_of_the_closed_form(
    f: Callable[[Tensor], Tensor], expected: list[float]
) -> None:
    for n, tolerance in ((512, 0.05), (8192, 0.005)):
        (indices,), _ = total_effects(lambda u: f(u)[:, None], len(expected), n)
        assert indices.tolist() == pytest.approx(expected, abs=tolerance)


def test_interactions_let_shares_add_up_to_more_than_one() -> None:
    (indices,), _ = total_effects(lambda u: (u - 0.5).prod(dim=1)[:, None], 2, 1024)
    assert indices.tolist() == pytest.approx([1.0, 1.0], abs=0.05)


def test_functions_side_by_side_get_what_they_get_alone() -> None:
    together, means = total_effects(
        lambda u: torch.stack([ishigami(u), g_function(u.repeat(1, 2))], dim=1), 3, 256
    )
    (alone,), (mean,) = total_effects(lambda u: ishigami(u)[:, None], 3, 256)
    assert torch.allclose(together[0], alone, rtol=1e-12)
    assert float(means[0]) == pytest.approx(float(mean), rel=1e-12)
    assert float(means[1]) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("value", [0.0, 0.3, -1e9])
def test_a_constant_has_no_important_input(value: float) -> None:
    indices, means = total_effects(
        lambda u: (value + 1e-17 * u.sum(1) * abs(value))[:, None], 3, 64
    )
    assert indices.tolist() == [[0.0, 0.0, 0.0]]
    assert means.tolist() == pytest.approx([value])


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), st.booleans())
def test_units_do_not_matter(shift: float, scale: float, flip: bool) -> None:
    sign = -1.0 if flip else 1.0
    (plain,), _ = total_effects(lambda u: g_function(u)[:, None], 6, 64)
    (other,), _ = total_effects(lambda u: (shift + sign * scale * g_function(u))[:, None], 6, 64)
    assert torch.allclose(plain, other, atol=1e-5)


def test_the_points_are_the_same_at_every_call_and_fill_the_cube() -> None:
    seen = []

    def recorded(u: Tensor) -> Tensor:
        seen.append(u)
        return u

    total_effects(recorded, 3, 256)
    torch.rand(5)
    total_effects(recorded, 3, 256)
    assert torch.equal(*seen)
    assert seen[0].mean(0).tolist() == pytest.approx([0.5] * 3, abs=0.01)
    assert bool(((seen[0] > 0) & (seen[0] < 1)).all())

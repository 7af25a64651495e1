"""Maximising a function over a search space."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest
import torch

from optuna_metasampler.maximize import ascend, climb, maximize, quasi_random, space_filling
from optuna_metasampler.space import SearchSpace
from tests.strategies import spaces
from tests.tasks import cube, generator


def nothing(space: SearchSpace) -> torch.Tensor:
    return torch.zeros((0, space.n_columns), dtype=torch.float64)


MIXED = SearchSpace.of(
    {
        "f": FloatDistribution(0, 1),
        "g": FloatDistribution(1e-4, 1e4, log=True),
        "i": IntDistribution(0, 1000),
        "j": IntDistribution(1, 5),
        "k": IntDistribution(1, 64, log=True),
        "c": CategoricalDistribution(["a", "b", "c"]),
        "d": CategoricalDistribution([True, False]),
    }
)
OPTIMUM = {"f": 0.3, "g": 0.01, "i": 777, "j": 4, "k": 20, "c": "c", "d": False}


def test_the_optimum_of_a_mixed_quadratic_is_found() -> None:
    target = torch.from_numpy(MIXED.encode([OPTIMUM]))

    def score(x: torch.Tensor) -> torch.Tensor:
        return -((x - target) ** 2).sum(dim=1)

    for seed in range(5):
        x = maximize(score, MIXED, generator(seed), nothing(MIXED), nothing(MIXED))
        (found,) = MIXED.decode(x.numpy()[None])
        assert found.pop("f") == pytest.approx(0.3, abs=1e-3)
        assert found.pop("g") == pytest.approx(0.01, rel=1e-2)
        assert found == {k: v for k, v in OPTIMUM.items() if k in found}


def test_climbing_follows_the_gradient_to_the_top() -> None:
    space = cube(f"x{i}" for i in range(4))
    target = torch.tensor([0.1, 0.9, 0.5, 1.2], dtype=torch.float64)

    def score(x: torch.Tensor) -> torch.Tensor:
        return -((x - target) ** 2).sum(dim=1)

    top = climb(score, space, quasi_random(space, 3, generator()), 20)
    torch.testing.assert_close(top, target.clamp(0, 1).expand(3, 4), atol=1e-4, rtol=0)


def test_gradient_ascent_on_hyperparameters_finds_the_known_optimum_of_a_quadratic() -> None:
    space = SearchSpace.of(
        {
            **{f"x{i}": FloatDistribution(0, 1) for i in range(4)},
            "z": CategoricalDistribution([0, 1]),
        }
    )
    target = torch.tensor([0.1, 0.9, 0.5, 1.2], dtype=torch.float64)
    starts = quasi_random(space, 8, generator())
    top = ascend(lambda x: -((x[:, :4] - target) ** 2).sum(dim=1), space, starts, 100, 0.1)
    torch.testing.assert_close(top[:, :4], target.clamp(0, 1).expand(8, 4), atol=1e-6, rtol=0)
    assert torch.equal(top[:, 4:], starts[:, 4:])


def test_one_gradient_step_is_the_step_size_times_the_slope() -> None:
    space = cube("xy")
    start = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    stepped = ascend(lambda x: 3.0 * x[:, 0] - x[:, 1], space, start, 1, 0.02)
    torch.testing.assert_close(stepped, torch.tensor([[0.56, 0.48]], dtype=torch.float64))


def test_the_choice_is_made_together_with_the_number_that_depends_on_it() -> None:
    space = SearchSpace.of(
        {"c": CategoricalDistribution(["a", "b"]), "x": FloatDistribution(0, 1)}
    )

    def score(x: torch.Tensor) -> torch.Tensor:
        # "a" is best at 0.2 and worth 1; "b" is best at 0.8 and worth 2, in a narrow peak.
        a = 1 - (x[:, 2] - 0.2) ** 2
        b = 2 * torch.exp(-200 * (x[:, 2] - 0.8) ** 2)
        return x[:, 0] * a + x[:, 1] * b

    x = maximize(score, space, generator(), nothing(space), nothing(space))
    assert space.decode(x.numpy()[None])[0] == {"c": "b", "x": pytest.approx(0.8, abs=1e-3)}


def test_no_point_of_a_finite_space_is_proposed_twice_while_others_are_left() -> None:
    space = SearchSpace.of({"a": IntDistribution(0, 3), "b": CategoricalDistribution("xyz")})
    seen = nothing(space)
    for _ in range(12):
        x = maximize(lambda x: x.sum(dim=1), space, generator(), nothing(space), seen)
        seen = torch.cat([seen, x[None]])
    assert len(torch.unique(seen, dim=0)) == 12
    again = maximize(lambda x: x.sum(dim=1), space, generator(), nothing(space), seen)
    assert again.tolist() in seen.tolist()


def test_seen_points_are_avoided_in_a_large_discrete_space() -> None:
    space = SearchSpace.of({f"n{i}": IntDistribution(0, 9) for i in range(5)})
    best = torch.from_numpy(space.encode([{f"n{i}": 9 for i in range(5)}]))
    x = maximize(lambda x: x.sum(dim=1), space, generator(), best, best)
    assert x.tolist() != best[0].tolist()
    assert float(x.sum()) == pytest.approx(float(best.sum()) - 0.1)


def test_pinned_parameters_stay_where_they_are() -> None:
    space = MIXED.pin({"c": "a", "i": 5, "f": 0.9})
    target = torch.from_numpy(MIXED.encode([OPTIMUM]))

    def score(x: torch.Tensor) -> torch.Tensor:
        return -((x - target) ** 2).sum(dim=1)

    x = maximize(score, space, generator(), nothing(space), nothing(space))
    found = space.decode(x.numpy()[None])[0]
    assert (found["c"], found["i"], found["f"]) == ("a", 5, pytest.approx(0.9))
    assert (found["j"], found["k"], found["d"]) == (4, 20, False)


def test_a_score_of_nan_or_infinity_does_no_harm() -> None:
    def score(x: torch.Tensor) -> torch.Tensor:
        bad = torch.where(x[:, 0] > 0.5, torch.nan, -torch.inf)
        return torch.where(x[:, 1] > 0.5, bad + 0 * x[:, 0], x[:, 0])

    x = maximize(score, MIXED, generator(), nothing(MIXED), nothing(MIXED))
    torch.testing.assert_close(torch.from_numpy(MIXED.project(x.numpy()[None]))[0], x)


@given(st.data(), spaces(), st.integers(0, 2**31))
@settings(max_examples=30)
def test_proposals_are_feasible_in_any_space(data: Any, dists: Any, seed: int) -> None:
    space = SearchSpace.of(dists)
    x = maximize(
        lambda x: -(x**2).sum(dim=1), space, generator(seed), nothing(space), nothing(space)
    )
    (params,) = space.decode(x.numpy()[None])
    for name, dist in dists.items():
        assert dist._contains(dist.to_internal_repr(params[name]))
    filled = space_filling(space, x[None], generator(seed))
    torch.testing.assert_close(torch.from_numpy(space.project(filled.numpy()[None]))[0], filled)


def test_space_filling_points_keep_their_distance() -> None:
    space = cube("xy")
    seen = nothing(space)
    for i in range(9):
        seen = torch.cat([seen, space_filling(space, seen, generator(i))[None]])
    distances = torch.cdist(seen, seen) + 9 * torch.eye(9, dtype=torch.float64)
    assert float(distances.min()) > 0.2


def test_the_same_generator_gives_the_same_proposal() -> None:
    def propose(seed: int) -> list[float]:
        x = maximize(
            lambda x: torch.sin(30 * x).sum(dim=1),
            MIXED,
            generator(seed),
            nothing(MIXED),
            nothing(MIXED),
        )
        return [float(v) for v in x]

    assert propose(1) == propose(1)
    assert propose(1) != propose(2)

"""Integers that floating-point numbers, and so the storages of Optuna, cannot tell apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution
import pytest
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.priors.align import Alignment
from optuna_metasampler.space import SearchSpace
from tests.studies import random_study


@st.composite
def ranges(draw: st.DrawFn, max_cells: int = 2**50) -> IntDistribution:
    low = draw(st.integers(-(2**63), 2**63))
    step = draw(st.sampled_from([1, 1, 2, 7, 10**6]))
    cells = draw(st.one_of(st.integers(1, 9), st.integers(1, max_cells)))
    log = step == 1 and low >= 1 and cells <= 9 and draw(st.booleans())
    return IntDistribution(low, low + step * cells, log=log, step=step)


@given(st.data(), ranges())
def test_every_integer_is_encoded_and_decoded_without_loss(
    data: st.DataObject, distribution: IntDistribution
) -> None:
    cells = (distribution.high - distribution.low) // distribution.step
    i = data.draw(st.one_of(st.integers(0, cells), st.sampled_from([0, cells // 2, cells])))
    value = distribution.low + i * distribution.step
    space = SearchSpace.of({"n": distribution})
    x = space.encode([{"n": value}])
    assert space.decode(x) == [{"n": value}]
    assert space.decode(space.project(x)) == [{"n": value}]


@given(ranges(2**80), st.floats(-0.5, 1.5), st.booleans())
def test_any_position_decodes_to_an_integer_of_the_grid(
    distribution: IntDistribution, u: float, log: bool
) -> None:
    if log and distribution.low >= 1 and distribution.step == 1:
        distribution = IntDistribution(distribution.low, distribution.high, log=True)
    space = SearchSpace.of({"n": distribution})
    (params,) = space.decode(space.project(np.array([[u]])))
    value = params["n"]
    assert type(value) is int
    assert distribution.low <= value <= distribution.high
    assert (value - distribution.low) % distribution.step == 0
    assert space.n_points >= 2


@given(ranges(2**70), ranges(2**70), st.booleans())
def test_any_two_ranges_can_be_aligned(
    a: IntDistribution, b: IntDistribution, as_float: bool
) -> None:
    other = FloatDistribution(b.low, b.high) if as_float else b
    own, common = SearchSpace.of({"n": a}), SearchSpace.of({"n": other})
    points = torch.tensor([[0.0], [0.5], [1.0]], dtype=torch.float64)
    for there in (Alignment.of(own, common)(points), Alignment.of(common, own)(points)):
        assert bool(torch.isfinite(there).all())
        assert there.tolist() == sorted(there.tolist())


@pytest.mark.parametrize("low", [2**53 - 2, 2**60, -(2**60) - 5, 2**70])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("with_prior", [False, True])
def test_a_study_reaches_every_integer_of_a_short_range(
    low: int, log: bool, with_prior: bool
) -> None:
    if log and low < 1:
        pytest.skip("a log scale has no negative numbers")
    received = []

    def loss(trial: optuna.Trial) -> float:
        n = trial.suggest_int("n", low, low + 5, log=log)
        received.append(n - low)
        return (n - low - 2) ** 2 + 1.0

    prior = random_study(lambda trial: loss(trial) + trial.number, 8) if with_prior else None
    received.clear()
    study = optuna.create_study(sampler=MetaSampler(prior, seed=0))
    study.optimize(loss, n_trials=6)
    assert sorted(received) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("space", [IntDistribution(0, 2**62), IntDistribution(1, 2**62, log=True)])
def test_a_huge_range_is_searched_as_a_small_one_is(space: IntDistribution) -> None:
    def loss(trial: optuna.Trial) -> float:
        n = trial.suggest_int("n", space.low, space.high, log=space.log)
        at = (n / 2.0**62, np.log2(n) / 62)[space.log]
        return float((at - 0.7) ** 2)

    prior = random_study(loss, 8)
    for sampler in (MetaSampler(seed=0), MetaSampler(prior, seed=0)):
        study = optuna.create_study(sampler=sampler)
        study.optimize(loss, n_trials=12)
        assert study.best_value < 1e-3

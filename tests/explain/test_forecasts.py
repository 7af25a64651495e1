"""Quantiles of mixtures, and forecasts made from them."""

from __future__ import annotations

from statistics import NormalDist

from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
import pytest
import torch

from optuna_metasampler.explain.forecasts import outcome_quantiles, quantiles
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.task import Task


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_of_one_part_they_are_those_of_the_normal_distribution() -> None:
    got = quantiles(numbers(2.0)[:, None], numbers(3.0)[:, None], (1.0,), (0.1, 0.5, 0.9))
    normal = NormalDist(2.0, 3.0)
    assert got[:, 0].tolist() == pytest.approx([normal.inv_cdf(p) for p in (0.1, 0.5, 0.9)])


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 3), st.floats(0.01, 3), st.floats(0, 1))
def test_as_much_of_the_mixture_lies_below_as_it_should(
    a: float, b: float, s: float, t: float, w: float
) -> None:
    levels = (0.1, 0.5, 0.9)
    got = quantiles(numbers(a, b)[:, None], numbers(s, t)[:, None], (w, 1 - w), levels).flatten()
    below = [w * NormalDist(a, s).cdf(q) + (1 - w) * NormalDist(b, t).cdf(q) for q in got.tolist()]
    assert below == pytest.approx(levels, abs=1e-6)


def test_forecasts_of_a_transfer_process_are_quantiles_of_its_mixture(warm: Snapshot) -> None:
    (predictor,) = warm.transfer
    x = warm.task.x
    levels = (0.05, 0.3, 0.5, 0.9)
    each = predictor.each(x)
    spread = (each.variance + predictor.posterior.noise[:, None]).sqrt()
    weight = (predictor.p_transfer, 1 - predictor.p_transfer)
    for level, row in zip(levels, outcome_quantiles(predictor, x, levels), strict=True):
        for i, q in enumerate(row.tolist()):
            below = sum(
                w * NormalDist(float(each.mean[g, i]), float(spread[g, i])).cdf(q)
                for g, w in enumerate(weight)
            )
            assert below == pytest.approx(level, abs=1e-6)


def test_forecasts_of_one_process_are_normal_and_include_noise() -> None:
    space = SearchSpace.of({"x": FloatDistribution(0, 1)})
    y = torch.tensor([0.0, 1.0, 0.5], dtype=torch.float64)
    predictor = GaussianProcess().condition(Task.of(space, [{"x": v} for v in (0.1, 0.5, 0.9)], y))
    x = torch.tensor([[0.3]], dtype=torch.float64)
    low, median, high = outcome_quantiles(predictor, x, (0.1, 0.5, 0.9))[:, 0].tolist()
    assert median == pytest.approx(float(predictor(x).mean[0]))
    assert high - median == pytest.approx(median - low)
    assert high - median > 1.28 * float(predictor(x).stddev[0])

"""Quantiles of mixtures of normal distributions."""

from __future__ import annotations

from statistics import NormalDist

from hypothesis import given
from hypothesis import strategies as st
import pytest
import torch

from optuna_metasampler.explain.mixture import quantiles, weights_of
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import outcome_quantiles


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_of_one_part_they_are_those_of_the_normal_distribution() -> None:
    got = quantiles(numbers(2.0)[:, None], numbers(3.0)[:, None], numbers(1.0), (0.1, 0.5, 0.9))
    normal = NormalDist(2.0, 3.0)
    assert got[:, 0].tolist() == pytest.approx([normal.inv_cdf(p) for p in (0.1, 0.5, 0.9)])


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 3), st.floats(0.01, 3), st.floats(0, 1))
def test_as_much_of_the_mixture_lies_below_as_it_should(
    a: float, b: float, s: float, t: float, w: float
) -> None:
    levels = (0.1, 0.5, 0.9)
    got = quantiles(
        numbers(a, b)[:, None], numbers(s, t)[:, None], numbers(w, 1 - w), levels
    ).flatten()
    below = [w * NormalDist(a, s).cdf(q) + (1 - w) * NormalDist(b, t).cdf(q) for q in got.tolist()]
    assert below == pytest.approx(levels, abs=1e-6)


def test_they_agree_with_the_forecasts_of_the_sampler(warm: Snapshot) -> None:
    (predictor,) = warm.predictors
    x = warm.task.x
    with torch.no_grad():
        each = predictor.each(x)
    spread = (each.variance + predictor.posterior.noise[:, None]).sqrt()
    got = quantiles(each.mean, spread, weights_of(predictor), (0.1, 0.9))
    assert torch.allclose(got, outcome_quantiles(predictor, x, (0.1, 0.9)), atol=1e-6)

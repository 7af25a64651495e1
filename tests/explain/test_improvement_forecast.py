"""Forecasts of the improvement by more trials."""

from __future__ import annotations

from dataclasses import replace
import itertools

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
import pytest
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.forecasts import (
    ImprovementForecast,
    damped,
    greedy_gains,
    improvement_forecast,
    samples,
)
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.task import Task
from tests.explain.conftest import studied


SPACE = SearchSpace.of({name: FloatDistribution(0, 1) for name in "ab"})


def known(snapshot: Snapshot, n_trials: int = 10) -> ImprovementForecast:
    found = improvement_forecast(snapshot, n_trials)
    assert found is not None
    return found


def with_outcomes(snapshot: Snapshot, x: np.ndarray, y: torch.Tensor, sign: float) -> Snapshot:
    """A snapshot of other trials, with outcomes in the user's terms."""
    task = Task.of(SPACE, SPACE.decode(SPACE.spread(x)), sign * y)
    predictor = GaussianProcess().condition(task)
    return replace(snapshot, task=task, predictors=(predictor,), signs=(sign,))


def bowl(n: int, seed: int = 0) -> tuple[np.ndarray, torch.Tensor]:
    x = np.random.default_rng(seed).random((n, 2))
    return x, torch.from_numpy(((x - 0.4) ** 2).sum(axis=1))


def test_a_batch_is_chosen_greedily_for_what_it_gains_together() -> None:
    gains = torch.tensor(
        [[3.0, 0.0, 2.9, 0.0], [3.0, 0.0, 2.9, 0.0], [0.0, 1.0, 0.0, 0.0]], dtype=torch.float64
    )
    # The third candidate is the second best alone, and adds nothing to the first.
    assert greedy_gains(gains, 1).tolist() == [3.0, 3.0, 0.0]
    assert greedy_gains(gains, 2).tolist() == [3.0, 3.0, 1.0]
    assert greedy_gains(gains, 9).tolist() == [3.0, 3.0, 1.0]


@given(st.integers(0, 10_000))
def test_the_greedy_batch_is_nearly_as_good_as_the_best_one(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    gains = torch.randn((12, 7), generator=generator, dtype=torch.float64).clamp_min(0)
    best = max(
        float(gains[:, list(batch)].amax(1).mean())
        for batch in itertools.combinations(range(7), 3)
    )
    assert (1 - 1 / np.e) * best <= float(greedy_gains(gains, 3).mean()) <= best + 1e-12


@given(st.floats(1e-6, 1e3), st.floats(1e-3, 1e3), st.floats(1e-6, 1e6))
def test_large_gains_shrink_and_small_ones_do_not(gain: float, step: float, unit: float) -> None:
    def shrunk(gain: float, step: float) -> float:
        pair = torch.tensor([gain, step], dtype=torch.float64)
        return float(damped(pair[0], pair[1]))

    got = shrunk(gain, step)
    assert gain * (1 - gain / step) <= got * (1 + 1e-9)
    assert 0 < got <= gain
    assert shrunk(gain * unit, step * unit) == pytest.approx(unit * got, rel=1e-6)


def test_samples_have_the_mean_and_covariance_of_the_model(warm: Snapshot) -> None:
    (predictor,) = warm.predictors
    x = torch.cat([warm.task.x[:3], warm.task.x[:1] * 0.9])
    drawn = torch.cat([samples(predictor, x, torch.Generator().manual_seed(i)) for i in range(20)])
    with torch.no_grad():
        mixture = predictor(x)
    error = (mixture.variance / len(drawn)).sqrt()
    assert bool(((drawn.mean(0) - mixture.mean).abs() < 5 * error).all())
    assert torch.allclose(drawn.std(0), mixture.variance.sqrt(), rtol=0.05)


def test_the_expected_value_is_better_than_the_best(
    warm: Snapshot, with_priors: optuna.Study
) -> None:
    got = known(warm)
    assert got.best == pytest.approx(with_priors.best_value)
    assert got.expected == pytest.approx(got.best - got.gain)
    assert 0 <= got.low <= got.high
    assert 0 < got.probability <= 1
    assert got.n_trials == 10


def test_more_trials_bring_more_improvement(cold: Snapshot) -> None:
    gains = [known(cold, n).gain for n in (1, 3, 10, 30)]
    assert gains == sorted(gains)
    assert gains[0] < gains[-1]
    with pytest.raises(ValueError, match="1 or more, but got 0"):
        improvement_forecast(cold, 0)


def test_there_is_less_to_gain_once_the_optimum_is_found(cold: Snapshot) -> None:
    x, y = bowl(8)
    # To the corner in small steps, and all around the optimum.
    more = np.clip(0.4 + 0.06 * np.random.default_rng(1).standard_normal((25, 2)), 0, 1)
    late = torch.cat([y, torch.from_numpy(((more - 0.4) ** 2).sum(axis=1))])
    early_gain = known(with_outcomes(cold, x, y, -1.0)).gain
    late_gain = known(with_outcomes(cold, np.concatenate([x, more]), late, -1.0)).gain
    assert late_gain < 0.2 * early_gain


@pytest.mark.parametrize(("shift", "scale"), [(5.0, 1.0), (0.0, 1e-3), (-1e3, 250.0)])
def test_it_is_in_the_units_of_the_objective(cold: Snapshot, shift: float, scale: float) -> None:
    x, y = bowl(9)
    plain = known(with_outcomes(cold, x, y, -1.0))
    other = known(with_outcomes(cold, x, shift + scale * y, -1.0))
    assert other.best == pytest.approx(shift + scale * plain.best)
    for name in ("gain", "low", "high"):
        expected = scale * getattr(plain, name)
        assert getattr(other, name) == pytest.approx(expected, rel=1e-3, abs=1e-6 * scale)


def test_the_direction_only_turns_the_sign_of_values(cold: Snapshot) -> None:
    x, y = bowl(9)
    down, up = (known(with_outcomes(cold, x, s * -y, s)) for s in (-1.0, 1.0))
    assert up.best == -down.best
    assert up.expected == -down.expected
    assert (up.gain, up.low, up.high) == (down.gain, down.low, down.high)


def test_nothing_is_left_to_gain_in_a_space_that_is_exhausted() -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=0))
    study.optimize(lambda t: float(t.suggest_categorical("c", [3, 1, 2])), n_trials=3)
    got = known(Snapshot.of(study))
    assert (got.gain, got.low, got.high, got.probability) == (0.0, 0.0, 0.0, 0.0)
    assert got.expected == got.best == 1.0


def test_infeasible_points_are_no_gain(cold: Snapshot) -> None:
    x, y = bowl(30)
    free = with_outcomes(cold, x, y, -1.0)
    # Everything around the optimum is forbidden; the best that is allowed is on a line.
    violation = torch.from_numpy(0.75 - x[:, :1])
    task = replace(free.task, constraints=violation, constraint_names=("c",))
    bound = known(replace(free, task=task))
    assert bound.best == pytest.approx(float(y[violation[:, 0] <= 0].min()))
    # To be gained without it: all that is left to the optimum.
    assert bound.gain < 0.5 * (bound.best - float(y.min()))
    forbidden = replace(free.task, constraints=violation.abs() + 1, constraint_names=("c",))
    assert improvement_forecast(replace(free, task=forbidden)) is None


def test_there_is_no_forecast_without_a_scale_or_with_several_objectives(
    first_trial: Snapshot, several: optuna.Study
) -> None:
    assert improvement_forecast(first_trial) is None
    assert improvement_forecast(Snapshot.of(several)) is None
    alike = optuna.create_study(sampler=MetaSampler(seed=0))
    alike.optimize(lambda t: 1.0 + 0 * t.suggest_float("x", 0, 1), n_trials=3)
    assert improvement_forecast(Snapshot.of(alike)) is None


def test_outcomes_that_are_infinite_or_tied_are_no_obstacle() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return float("inf") if x > 0.8 else round(2 * abs(x - 0.3)) / 2

    study = optuna.create_study(sampler=MetaSampler(seed=0))
    study.enqueue_trial({"x": 0.9})
    study.optimize(objective, n_trials=8)
    got = known(Snapshot.of(study))
    assert got.best == 0.0
    assert np.isfinite([got.gain, got.low, got.high]).all()


def test_a_method_without_a_process_of_its_own_has_a_forecast_too(
    priors: list[optuna.Study],
) -> None:
    study = studied(MetaSampler(priors, method="portfolio", seed=0), n=5)
    assert known(Snapshot.of(study)).gain > 0

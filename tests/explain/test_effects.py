"""Effects of hyperparameters, compared with means taken point by point."""

from __future__ import annotations

from dataclasses import replace
import math

import optuna
import pytest
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.effects import Effect, effects
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.maximize import quasi_uniform
from optuna_metasampler.outcomes import spearman
from optuna_metasampler.surrogates.gaussian_process import STDDEV_FACTOR
from optuna_metasampler.task import to_tensor
from tests.explain.conftest import studied


def by_name(found: tuple[Effect, ...]) -> dict[str, Effect]:
    return {effect.name: effect for effect in found}


@pytest.fixture(scope="module")
def of_warm(warm: Snapshot) -> dict[str, Effect]:
    return by_name(effects(warm))


def points(snapshot: Snapshot, name: str, value: object, n: int = 128) -> torch.Tensor:
    """Configurations that have the parameter, with its value; by way of raw values."""
    space = snapshot.space
    u = quasi_uniform(1024, len(space.names), torch.Generator().manual_seed(0))
    drawn = space.decode(space.spread(u.numpy()))
    having = [c for c in drawn if name in c][:n]
    return to_tensor(space.project(space.encode([{**c, name: value} for c in having])))


def test_the_most_important_comes_first(warm: Snapshot) -> None:
    found = effects(warm)
    assert found[0].name == "lr"
    assert [e.importance for e in found] == sorted((e.importance for e in found), reverse=True)
    assert {e.name for e in found} == {"lr", "depth", "idle", "kind", "momentum"}
    assert by_name(found)["idle"].importance < 0.1
    assert found[0].importance > 0.5


def test_values_are_the_parameters_own(of_warm: dict[str, Effect]) -> None:
    assert of_warm["depth"].values == (2, 3, 4, 5, 6, 7, 8)
    assert of_warm["kind"].values == ("plain", "momentum")
    assert of_warm["kind"].categorical
    rate = of_warm["lr"]
    assert rate.log
    assert (rate.values[0], rate.values[-1]) == pytest.approx((1e-5, 1e-1))
    ratios = [b / a for a, b in zip(rate.values[:-1], rate.values[1:], strict=True)]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    for effect in of_warm.values():
        g = len(effect.values)
        assert effect.posterior.shape == effect.low.shape == effect.high.shape == (g,)
        assert effect.prior is not None
        assert effect.prior.shape == (g,)
        assert effect.per_study.shape == (3, g)


def test_a_curve_is_the_mean_over_the_other_parameters(
    warm: Snapshot, of_warm: dict[str, Effect]
) -> None:
    (predictor,) = warm.predictors
    for name in ("lr", "depth", "kind"):
        for i in (0, -1):
            x = points(warm, name, of_warm[name].values[i])
            with torch.no_grad():
                mean = float(predictor(x).mean.mean())
            # Activating a parameter with a raw value leaves others that it brings at their middle.
            tolerance = 0.1 if name == "kind" else 1e-6
            assert float(of_warm[name].posterior[i]) == pytest.approx(mean, abs=tolerance)


def test_a_conditional_parameter_counts_where_it_is_there(
    warm: Snapshot, of_warm: dict[str, Effect]
) -> None:
    (predictor,) = warm.predictors
    x = points(warm, "momentum", of_warm["momentum"].values[3])
    with torch.no_grad():
        mean = float(predictor(x).mean.mean())
    assert float(of_warm["momentum"].posterior[3]) == pytest.approx(mean, abs=1e-6)


def test_the_band_is_that_of_the_mean_over_the_points(cold: Snapshot) -> None:
    (predictor,) = cold.predictors
    effect = by_name(effects(cold))["lr"]
    x = points(cold, "lr", effect.values[5])
    with torch.no_grad():
        _, covariance = predictor.posterior.joint(x, predictor.features(x))
    spread = STDDEV_FACTOR * math.sqrt(float(covariance[0].mean()))
    assert float(effect.high[5] - effect.posterior[5]) == pytest.approx(1.2816 * spread, rel=1e-3)
    assert float(effect.posterior[5] - effect.low[5]) == pytest.approx(1.2816 * spread, rel=1e-3)
    assert predictor.weights == (1.0,)


def test_the_band_holds_the_curve_and_shrinks_with_trials(
    first_trial: Snapshot, warm: Snapshot, of_warm: dict[str, Effect]
) -> None:
    early = by_name(effects(first_trial))
    for effect in (*early.values(), *of_warm.values()):
        assert bool((effect.low <= effect.high).all())
    wide = early["lr"].high - early["lr"].low
    narrow = of_warm["lr"].high - of_warm["lr"].low
    assert float(narrow.mean()) < 0.7 * float(wide.mean())
    assert bool((of_warm["lr"].low < of_warm["lr"].posterior).all())


def test_curves_of_prior_studies_are_kept_apart(of_warm: dict[str, Effect]) -> None:
    rate = of_warm["lr"]
    assert rate.prior is not None
    near, nearer, opposite = rate.per_study
    assert spearman(near, nearer) > 0.8
    assert spearman(near, opposite) < -0.5
    assert spearman(near, rate.posterior) > 0.3 > spearman(opposite, rate.posterior)
    assert len(rate.importance_per_study) == 3
    assert all(share > 0.3 for share in rate.importance_per_study)
    assert rate.prior_importance is not None
    assert rate.prior_importance >= 0
    # Levels are those of this study.
    for curve in (rate.prior, near, opposite):
        assert float(curve.mean()) == pytest.approx(float(rate.posterior.mean()), abs=0.6)


def test_a_parameter_that_a_prior_study_lacks_is_flat_there() -> None:
    def old(trial: optuna.Trial) -> float:
        return (trial.suggest_float("x", 0, 1) - 0.3) ** 2

    def new(trial: optuna.Trial) -> float:
        return old(trial) + trial.suggest_float("y", 0, 1)

    prior = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    prior.optimize(old, n_trials=15)
    study = optuna.create_study(sampler=MetaSampler([prior], seed=0))
    study.optimize(new, n_trials=5)
    y = by_name(effects(Snapshot.of(study)))["y"]
    assert y.prior is not None
    assert float(y.prior.max() - y.prior.min()) < 1e-9
    assert y.importance_per_study == (0.0,)
    assert y.prior_importance == 0.0
    assert y.importance > 0.0


def test_without_priors_there_is_no_prior_curve(cold: Snapshot) -> None:
    for effect in effects(cold):
        assert effect.prior is None
        assert effect.prior_importance is None
        assert effect.importance_per_study == ()
        assert effect.per_study.shape == (0, len(effect.values))


def test_a_pinned_parameter_is_left_out(warm: Snapshot, of_warm: dict[str, Effect]) -> None:
    task = replace(warm.task, space=warm.space.pin({"lr": 1e-3, "kind": "momentum"}))
    found = by_name(effects(replace(warm, task=task)))
    assert found.keys() == {"depth", "idle", "momentum"}
    # Where the rest hardly matters, its share is large once this is held.
    assert found["momentum"].importance > of_warm["momentum"].importance


def test_the_direction_of_the_study_does_not_matter(priors: list[optuna.Study]) -> None:
    found = []
    for sign in (1.0, -1.0):
        study = studied(MetaSampler(seed=0), n=6, sign=sign)
        found.append(by_name(effects(Snapshot.of(study))))
    for name, effect in found[0].items():
        other = found[1][name]
        assert torch.allclose(effect.posterior, other.posterior, atol=1e-6)
        assert effect.importance == pytest.approx(other.importance, abs=1e-6)


def test_every_objective_has_its_own_effects(several: optuna.Study) -> None:
    snapshot = Snapshot.of(several)
    assert [effects(snapshot, j)[0].name for j in (0, 1)] == ["x", "y"]
    with pytest.raises(IndexError):
        effects(snapshot, 2)


def test_equal_outcomes_make_nothing_important() -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=0))
    study.optimize(lambda t: 1.0 + 0 * t.suggest_float("x", 0, 1), n_trials=3)
    (effect,) = effects(Snapshot.of(study))
    assert effect.importance == 0.0
    assert bool((effect.posterior == 0.0).all())


def test_it_is_the_same_at_every_call_and_leaves_the_callers_randomness_alone(
    warm: Snapshot,
) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one = effects(warm)
    assert torch.equal(torch.get_rng_state(), state)
    other = effects(warm)
    assert all(torch.equal(a.posterior, b.posterior) for a, b in zip(one, other, strict=True))
    assert [a.importance for a in one] == [b.importance for b in other]

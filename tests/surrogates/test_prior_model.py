"""What is learned from prior studies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from optuna_metasampler.outcomes import rank_gaussianize, spearman
from optuna_metasampler.surrogates import prior_model
from optuna_metasampler.surrogates.gaussian_process import (
    BasisPrior,
    HyperPrior,
    Metric,
    fit_common_hyperparameters,
    matern52,
    negative_log_posterior,
)
from optuna_metasampler.surrogates.prior_model import PriorModel, Resolution, pivots
from optuna_metasampler.task import Task
from tests.surrogates.related import SPACE, points, study, value


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_configurations_of_a_new_task_are_ranked_as_in_the_related_studies(k: int) -> None:
    model = PriorModel.fit([study(i, shift=0.02 * i) for i in range(k)])
    x = points(200, 99)
    assert spearman(model(x)[:, 0], value(x)) > 0.8


def test_the_units_of_a_study_do_not_matter() -> None:
    plain = [study(i) for i in range(3)]
    x = points(10, 99)
    scaled = [
        Task.of(SPACE, SPACE.decode(t.x.numpy()), t.y * 10.0 ** (6 * i) - 5, name=t.name)
        for i, t in enumerate(plain)
    ]
    a, b = PriorModel.fit(plain), PriorModel.fit(scaled)
    torch.testing.assert_close(a(x), b(x))


def test_agreeing_studies_are_told_from_disagreeing_ones() -> None:
    agreeing = PriorModel.fit([study(i) for i in range(4)])
    mixed = PriorModel.fit([study(i, sign=(-1.0) ** i) for i in range(4)])
    assert agreeing.cross_study_correlation > 0.8
    assert mixed.cross_study_correlation < 0.3
    assert PriorModel.fit([study(0)]).cross_study_correlation == 0.5


def test_a_study_that_disagrees_with_the_others_loses_its_share() -> None:
    tasks = [study(i) for i in range(4)] + [study(9, sign=-1.0)]
    share = PriorModel.fit(tasks).share
    assert float(share.sum()) == pytest.approx(1.0)
    assert float(share[4]) < 0.02
    assert float(share[:4].min()) > 0.2


def test_learning_again_from_the_same_studies_gives_the_same_model() -> None:
    tasks = [study(i) for i in range(3)]
    x = points(5, 99)
    assert torch.equal(PriorModel.fit(tasks)(x), PriorModel.fit(tasks)(x))


def test_the_predictions_can_be_climbed() -> None:
    model = PriorModel.fit([study(i) for i in range(3)])
    x = points(4, 99).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient[:, 0].abs().min()) > 0


def test_extrapolated_outcomes_that_are_far_off_do_not_hide_what_the_others_say() -> None:
    noise, x = np.random.default_rng(0), points(200, 99)
    plain, flagged = [], []
    for i in range(3):
        task, guessed = study(i), torch.arange(40) % 4 > 0
        # As far off as outcomes differ.
        off = guessed * torch.from_numpy(noise.normal(size=40)) * task.y.std()
        plain.append(replace(task, y=task.y + off))
        flagged.append(replace(plain[i], extrapolated=guessed))
    a, b = (spearman(PriorModel.fit(tasks)(x)[:, 0], value(x)) for tasks in (plain, flagged))
    assert b > a + 0.03
    assert b > 0.9


def test_no_study_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one prior study"):
        PriorModel.fit([])


def test_a_single_study_has_a_mirror_image_too() -> None:
    x = points(20, 99)
    model = PriorModel.fit([study(0)])
    torch.testing.assert_close(model(x, sign_flipped=True), -model(x))


def on_one_design(k: int, n: int = 60) -> list[Task]:
    """Studies that tried the same configurations, without noise."""
    x = points(n, 0)
    params = SPACE.decode(x.numpy())
    rng = np.random.default_rng(1)
    return [
        Task.of(SPACE, params, value(x, float(rng.normal(0, 0.2))), name=f"study-{i}")
        for i in range(k)
    ]


def test_the_prior_mean_and_covariance_are_those_of_the_studies_functions() -> None:
    """Against NumPy, where the common points are the trials of all studies."""
    tasks = on_one_design(6)
    model = PriorModel.fit(tasks)
    features = model(model.points).numpy()
    functions = model.each(model.points).numpy().T
    share = model.share.numpy()
    assert features.shape == (len(model.points), 1 + 5)
    np.testing.assert_allclose(features[:, 0], share @ functions, atol=1e-8)
    deviation = functions - share @ functions
    # With weights of unit variance the components have the covariance of the studies.
    np.testing.assert_allclose(
        features[:, 1:] @ features[:, 1:].T, deviation.T @ deviation / 6, atol=1e-7
    )


def test_the_functions_pass_near_the_outcomes_of_their_studies() -> None:
    tasks = on_one_design(4)
    model = PriorModel.fit(tasks)
    for i, task in enumerate(tasks):
        found = model.each(task.x)[:, i]
        assert float((found - rank_gaussianize(task.y)).abs().mean()) < 0.1


def test_few_components_hold_most_of_what_many_studies_differ_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prior_model, "_MAX_COMPONENTS", 3)
    model = PriorModel.fit(on_one_design(20))
    kept = model(model.points)[:, 1:].square().sum()
    functions = model.each(model.points).T
    all_of_it = (functions - model.share @ functions).square().mean(dim=0).sum()
    assert model.n_components == 3
    assert 0.9 * float(all_of_it) < float(kept) <= float(all_of_it) * (1 + 1e-9)


def test_nothing_is_promised_where_no_study_has_looked() -> None:
    tasks = []
    for seed in range(5):
        # Studies that looked only near their optimum, and saw a slope there.
        x = 0.25 + 0.1 * points(30, seed)
        params = SPACE.decode(SPACE.project(x.numpy()))
        tasks.append(Task.of(SPACE, params, value(x)))
    model = PriorModel.fit(tasks)
    everywhere = model(points(500, 7))
    seen = torch.cat([rank_gaussianize(task.y) for task in tasks]).max()
    assert float(everywhere[:, 0].max()) < 1.5 * float(seen)


def test_the_mirror_image_is_the_negative() -> None:
    x = points(50, 99)
    for k in (1, 3):
        model = PriorModel.fit([study(i) for i in range(k)])
        turned = PriorModel.fit([study(i, sign=-1.0) for i in range(k)])
        torch.testing.assert_close(model(x, sign_flipped=True), -model(x))
        torch.testing.assert_close(-model(x)[:, 0], turned(x)[:, 0], rtol=1e-3, atol=1e-3)


def test_a_parameter_that_a_study_lacks_does_not_change_what_it_predicts() -> None:
    lacking = Task.of(
        SPACE,
        [{"a": float(a), "c": "x"} for a in np.linspace(0, 1, 20)],
        -((torch.linspace(0, 1, 20, dtype=torch.float64) - 0.4) ** 2),
    )
    model = PriorModel.fit([study(0), lacking])
    known = model.each(model.points)[:, 1]
    moved = model.points.clone()
    moved[:, 1] = moved[:, 1].flip(0)
    a = model.points[:, 0]
    # It is a function of a and c alone, as far as the common points can tell.
    assert spearman(known, -((a - 0.4) ** 2)) > 0.9
    assert float((model.each(moved)[:, 1] - known).abs().mean()) < 0.15


def test_points_of_a_study_that_lacks_a_parameter_have_no_extreme_value_of_it() -> None:
    """They may be tried: in the middle of the range, and not at its end."""
    rows: list[dict[str, object]] = [{"a": float(a), "c": "x"} for a in np.linspace(0, 1, 20)]
    lacking = Task.of(SPACE, rows, torch.linspace(0, 1, 20, dtype=torch.float64))
    model = PriorModel.fit([lacking, lacking])
    assert {p["b"] for p in SPACE.decode(model.points.numpy())} == {
        SPACE.decode(SPACE.neutral[None])[0]["b"]
    }


def test_studies_beyond_any_number_of_points_are_summarised_on_them() -> None:
    """The work of a suggestion does not grow with the prior studies."""
    tasks = [study(i, n=30, shift=0.02 * i) for i in range(12)]
    model = PriorModel.fit(tasks, resolution=Resolution(n_points=40))
    assert model.points.shape == (40, SPACE.n_columns)
    assert model.weights.shape == (40, 1 + 11 + 12)
    x = points(200, 99)
    assert spearman(model(x)[:, 0], value(x, 0.11)) > 0.9


def test_every_study_has_its_best_trials_among_the_points() -> None:
    tasks = [study(i, n=150) for i in range(5)]
    model = PriorModel.fit(tasks)
    for task in tasks:
        best = task.x[task.y.argmax()]
        assert float((model.points - best).abs().sum(dim=1).min()) < 1e-9


def test_the_next_point_is_the_one_of_which_the_others_tell_the_least() -> None:
    """Conditional variances by brute force."""
    x = points(25, 3) * 2.0
    chosen = pivots(x, 3, 9).tolist()
    assert chosen[:3] == [0, 1, 2]
    kernel = matern52(x, x)
    for i in range(3, 9):
        known = chosen[:i]
        inner = torch.linalg.inv(kernel[known][:, known])
        left = kernel.diagonal() - (kernel[:, known] @ inner * kernel[:, known]).sum(dim=1)
        assert chosen[i] == int(left.argmax())


def test_points_of_which_all_is_known_are_not_chosen() -> None:
    x = points(6, 3)
    assert pivots(torch.cat([x[:4], x[:4], x]), 8, 14).tolist()[:4] == [0, 1, 2, 3]
    assert sorted(pivots(torch.cat([x[:4], x[:4], x]), 8, 14).tolist()[4:]) == [12, 13]


def test_the_common_kernel_fits_all_studies_at_once() -> None:
    """The sum over studies of the likelihood, and the hyper-prior once."""
    metric = Metric.of(SPACE, trend=False)
    prior, linear = HyperPrior.default(metric.n_blocks), BasisPrior.constant()
    data = []
    for i in range(3):
        task = study(i, n=20, shift=0.1 * i)
        one = torch.ones((20, 1), dtype=torch.float64)
        # Of the last study, every third outcome is extrapolated.
        extrapolated = torch.arange(20) % 3 == 0 if i == 2 else None
        data.append((task.x, rank_gaussianize(task.y), one, extrapolated))
    theta = fit_common_hyperparameters(data, metric, linear, prior)

    def loss(at: torch.Tensor) -> float:
        pull = (at - prior.mean) / prior.std
        each = [
            negative_log_posterior(at, x, z, one, metric, linear, prior, flags)[0]
            for x, z, one, flags in data
        ]
        return sum(each) - float(pull @ pull)

    best = loss(theta)
    for i in range(len(theta)):
        for step in (-0.1, 0.1):
            moved = theta.clone()
            moved[i] = float((moved[i] + step).clamp(prior.low[i], prior.high[i]))
            assert loss(moved) > best - 1e-3


def test_complementary_configurations_cover_studies_that_want_different_things() -> None:
    """Half of the studies are best on one side and half on the other: two are enough."""
    tasks = [study(i, shift=0.5 * (i % 2)) for i in range(6)]
    model = PriorModel.fit(tasks)
    first, second, *_ = model.points[model.complementary(model.points)]
    assert abs(float(first[0]) - float(second[0])) > 0.25
    regret = torch.stack(
        [
            value(model.points, 0.5 * i).max()
            - torch.maximum(value(first[None], 0.5 * i), value(second[None], 0.5 * i))[0]
            for i in range(2)
        ]
    )
    assert float(regret.max()) < 0.05

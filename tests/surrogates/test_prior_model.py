"""What is learned from prior studies."""

from __future__ import annotations

import math

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution
import pytest
import torch

from optuna_metasampler.outcomes import rank_gaussianize, spearman
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import (
    BasisPrior,
    HyperPrior,
    Metric,
    Posterior,
    fit_hyperparameters,
)
from optuna_metasampler.surrogates.prior_model import PriorModel, SourceProcesses
from optuna_metasampler.task import Task
from tests.tasks import generator


SPACE = SearchSpace.of(
    {
        "a": FloatDistribution(0, 1),
        "b": FloatDistribution(0, 1),
        "c": CategoricalDistribution("xy"),
    }
)


def value(x: torch.Tensor, shift: float = 0.0) -> torch.Tensor:
    return -((x[:, 0] - 0.3 - shift) ** 2) - 0.3 * (x[:, 1] - 0.6) ** 2 + 0.1 * x[:, 2]


def points(n: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(SPACE.spread(np.random.default_rng(seed).random((n, 3))))


def study(seed: int, n: int = 40, shift: float = 0.0, sign: float = 1.0) -> Task:
    x = points(n, seed)
    params = SPACE.decode(x.numpy())
    return Task.of(SPACE, params, sign * value(x, shift), name=f"study-{seed}")


def test_the_processes_are_those_of_each_study_alone() -> None:
    tasks = [study(0, n=30), study(1, n=17)]
    x = points(8, 99)
    together = SourceProcesses.fit(tasks)(x)
    metric = Metric.of(SPACE, trend=False)
    prior = HyperPrior.default(metric.n_blocks)
    for k, task in enumerate(tasks):
        one = torch.ones((len(task), 1), dtype=torch.float64)
        z = rank_gaussianize(task.y)
        theta = fit_hyperparameters(task.x, z, one, metric, BasisPrior.constant(), prior)
        alone = Posterior.of(task.x, z, one, metric, [(theta, BasisPrior.constant())])
        expected = alone.predict(x, torch.ones((8, 1), dtype=torch.float64)).mean[0]
        torch.testing.assert_close(together[:, k], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_configurations_of_a_new_task_are_ranked_as_in_the_related_studies(k: int) -> None:
    model = PriorModel.fit([study(i, shift=0.02 * i) for i in range(k)], generator())
    x = points(200, 99)
    assert spearman(model(x)[:, 0], value(x)) > 0.8


def test_nothing_is_promised_where_no_study_has_looked() -> None:
    """The network is free to extrapolate; what is believed of it is bounded by the processes."""
    tasks = []
    for seed in range(5):
        # Studies that looked only near their optimum, and saw a slope there.
        x = 0.25 + 0.1 * points(30, seed)
        params = SPACE.decode(SPACE.project(x.numpy()))
        tasks.append(Task.of(SPACE, params, value(x)))
    model = PriorModel.fit(tasks, generator())
    everywhere = model(points(500, 7))
    seen = torch.cat([rank_gaussianize(task.y) for task in tasks]).max()
    assert float(everywhere[:, 0].max()) < 1.5 * float(seen)


def test_the_units_of_a_study_do_not_matter() -> None:
    plain = [study(i) for i in range(3)]
    x = points(10, 99)
    scaled = [
        Task.of(SPACE, SPACE.decode(t.x.numpy()), t.y * 10.0 ** (6 * i) - 5, name=t.name)
        for i, t in enumerate(plain)
    ]
    a, b = PriorModel.fit(plain, generator()), PriorModel.fit(scaled, generator())
    torch.testing.assert_close(a(x), b(x))


def test_agreeing_studies_are_told_from_disagreeing_ones() -> None:
    agreeing = PriorModel.fit([study(i) for i in range(4)], generator())
    mixed = PriorModel.fit([study(i, sign=(-1.0) ** i) for i in range(4)], generator())
    assert agreeing.cross_study_correlation > 0.8
    assert mixed.cross_study_correlation < 0.3
    assert PriorModel.fit([study(0)], generator()).cross_study_correlation == 0.5


def test_a_study_that_disagrees_with_the_others_loses_its_share() -> None:
    tasks = [study(i) for i in range(4)] + [study(9, sign=-1.0)]
    share = PriorModel.fit(tasks, generator()).share
    assert float(share.sum()) == pytest.approx(1.0)
    assert float(share[4]) < 0.02
    assert float(share[:4].min()) > 0.2


def test_a_parameter_that_a_study_lacks_does_not_change_what_it_predicts() -> None:
    lacking = Task.of(
        SPACE,
        [{"a": float(a), "c": "x"} for a in np.linspace(0, 1, 20)],
        -((torch.linspace(0, 1, 20, dtype=torch.float64) - 0.4) ** 2),
    )
    processes = SourceProcesses.fit([lacking])
    x = points(1, 0).repeat(5, 1)
    x[:, 1] = torch.linspace(0, 1, 5, dtype=torch.float64)
    assert float(processes(x).std()) == pytest.approx(0.0, abs=1e-12)


def test_of_many_studies_those_with_most_of_the_parameters_count_before_the_longest() -> None:
    def line(name: str, n: int) -> Task:
        configurations: list[dict[str, object]] = [{"a": float(a)} for a in np.linspace(0, 1, n)]
        return Task.of(SPACE, configurations, torch.linspace(0, 1, n).double(), name=name)

    others = [line(f"one parameter {i}", 20 + i) for i in range(29)]
    names = PriorModel.fit([*others, study(0, n=8), study(1, n=8)], generator()).names
    assert names == (*(task.name for task in others[1:]), "study-0", "study-1")


def test_learning_again_from_the_same_studies_gives_the_same_model() -> None:
    tasks = [study(i) for i in range(3)]
    x = points(5, 99)
    assert torch.equal(
        PriorModel.fit(tasks, generator(4))(x), PriorModel.fit(tasks, generator(4))(x)
    )


def test_the_predictions_can_be_climbed() -> None:
    model = PriorModel.fit([study(i) for i in range(3)], generator())
    x = points(4, 99).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient[:, 0].abs().min()) > 0


def test_no_study_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one prior study"):
        PriorModel.fit([], generator())


def test_a_study_of_equal_outcomes_is_predicted_flat() -> None:
    flat = Task.of(SPACE, SPACE.decode(points(5, 0).numpy()), torch.ones(5, dtype=torch.float64))
    prediction = SourceProcesses.fit([flat])(points(9, 1))
    assert float(prediction.abs().max()) < 1e-6
    assert not math.isnan(float(prediction.sum()))


def test_the_mirror_image_is_what_studies_of_the_opposite_sign_would_have_taught() -> None:
    x = points(50, 99)
    model = PriorModel.fit([study(i) for i in range(3)], generator())
    turned = PriorModel.fit([study(i, sign=-1.0) for i in range(3)], generator())
    sign_flipped = model(x, sign_flipped=True)
    torch.testing.assert_close(sign_flipped[:, 1:], turned.sources(x), rtol=1e-4, atol=1e-4)
    assert spearman(sign_flipped[:, 0], turned(x)[:, 0]) > 0.9
    # It promises what both promise, as ever.
    assert model.network is not None
    highest = torch.maximum(model.sources(x) @ model.share, model.network(x))
    torch.testing.assert_close(sign_flipped[:, 0], -highest)
    torch.testing.assert_close(-sign_flipped[:, 1:], model(x)[:, 1:])


def test_a_single_study_has_a_mirror_image_too() -> None:
    x = points(20, 99)
    model = PriorModel.fit([study(0)], generator())
    torch.testing.assert_close(model(x, sign_flipped=True), -model(x))

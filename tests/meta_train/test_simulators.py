"""Objectives made from prior studies."""

from __future__ import annotations

import torch

from optuna_metasampler.meta_train.simulators import Simulators
from optuna_metasampler.surrogates.source_processes import SourceProcesses
from tests.tasks import MIXED, NUMBERS, generator, study


TASKS = [study(MIXED, seed) for seed in range(3)]


def test_without_variation_an_objective_is_its_studys_posterior_mean() -> None:
    x = study(MIXED, 9).x
    objectives = Simulators.of(TASKS, 0.0, dtype=torch.float64).draw(
        torch.tensor([2, 0]), generator()
    )
    expected = SourceProcesses.fit(TASKS)(x)
    torch.testing.assert_close(objectives(x.expand(2, -1, -1)), expected[:, [2, 0]].T)


def test_single_precision_is_enough() -> None:
    x = study(MIXED, 9).x
    studies = torch.tensor([0, 1, 2])
    exact = Simulators.of(TASKS, 0.0, dtype=torch.float64).draw(studies, generator())
    quick = Simulators.of(TASKS, 0.0).draw(studies, generator())
    error = quick(x.float().expand(3, -1, -1)) - exact(x.expand(3, -1, -1))
    assert float(error.abs().max()) < 1e-3


def test_the_random_part_has_the_spread_that_was_asked_for() -> None:
    """500 draws at one point; 5 standard errors of a standard deviation are 16%."""
    studies = torch.zeros(500, dtype=torch.int64)
    x = study(MIXED, 9).x[:1].float().expand(500, -1, -1)
    plain = Simulators.of(TASKS, 0.0).draw(studies, generator())(x)
    varied = Simulators.of(TASKS, 0.5).draw(studies, generator())(x)
    assert abs(float((varied - plain).std()) - 0.5) < 0.08


def test_the_gradient_with_respect_to_points_is_that_of_finite_differences() -> None:
    simulators = Simulators.of([study(NUMBERS, 0)], 0.5, dtype=torch.float64)
    objectives = simulators.draw(torch.tensor([0]), generator())
    x = torch.rand((1, 3, 2), generator=generator(), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(objectives, (x,))

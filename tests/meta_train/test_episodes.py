"""Few-shot problems made of prior studies."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.task import Task
from tests.tasks import cube, generator


SPACE = cube("x")


def study(n: int, offset: float) -> Task:
    """Trials whose points tell which study they are of: ``offset`` and up."""
    x = offset + torch.linspace(0.0, 0.09, n, dtype=torch.float64)
    return Task.of(SPACE, [{"x": v} for v in x.tolist()], x * 1000)


RECORDS = StudyRecords.of([study(12, 0.0), study(30, 0.2), study(5, 0.4)])


def draw(studies: list[int], n_context: int, n_target: int, seed: int = 0) -> tuple[Tensor, ...]:
    episodes = RECORDS.episodes(torch.tensor(studies), n_context, n_target, generator(seed))
    return episodes.context_x, episodes.context_z, episodes.target_x, episodes.target_z


def test_an_episode_is_of_one_study() -> None:
    context_x, _, target_x, _ = draw([1, 0, 1], 4, 6)
    assert context_x.shape == (3, 4, 1)
    assert target_x.shape == (3, 6, 1)
    every = torch.cat([context_x, target_x], dim=1)
    assert bool((every.floor_divide(0.2) == torch.tensor([1, 0, 1])[:, None, None]).all())


def test_targets_are_none_of_the_context() -> None:
    context_x, _, target_x, _ = draw([1] * 20, 10, 20)
    both = torch.cat([context_x, target_x], dim=1)[..., 0]
    assert all(len(set(row.tolist())) == 30 for row in both)


def test_a_study_with_too_few_trials_shows_some_again_and_no_padding() -> None:
    context_x, _, target_x, _ = draw([2] * 10, 4, 6)
    both = torch.cat([context_x, target_x], dim=1)
    assert float(both.min()) > 0.39
    assert all(len(set(row.tolist())) == 5 for row in both[..., 0])


def test_outcomes_are_in_the_units_of_the_context() -> None:
    context_x, context_z, target_x, target_z = draw([1] * 5, 8, 12)
    torch.testing.assert_close(context_z.mean(1), torch.zeros(5), atol=1e-5, rtol=0)
    spread = context_z.square().mean(1).sqrt()
    torch.testing.assert_close(spread, torch.ones(5), atol=1e-5, rtol=0)
    # Larger is better in the studies, and the order is kept across both.
    x = torch.cat([context_x[..., 0], target_x[..., 0]], 1)
    z = torch.cat([context_z, target_z], 1)
    assert torch.equal(x.argsort(dim=1), z.argsort(dim=1))


def test_a_context_of_one_trial_has_a_scale() -> None:
    _, context_z, _, target_z = draw([0, 1], 1, 5)
    assert context_z.tolist() == [[0.0], [0.0]]
    assert bool(torch.isfinite(target_z).all())


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_draws_the_same_episodes(seed: int) -> None:
    for a, b in zip(draw([0, 1], 3, 3, seed), draw([0, 1], 3, 3, seed), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(draw([1], 3, 3, seed)[0], draw([1], 3, 3, seed + 1)[0])

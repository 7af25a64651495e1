"""Experience replay."""

from __future__ import annotations

import torch

from optuna_metasampler.methods.q_learning.method import Replay
from tests.tasks import generator


def filled(n_steps: int) -> Replay:
    """Four episodes kept, two at a time, three steps each; outcomes count the steps."""
    replay = Replay(4, 2, 3, 1)
    for i in range(n_steps):
        replay.add(torch.full((2, 1), float(i)), torch.tensor([i, i + 0.5]))
    return replay


def sampled(replay: Replay) -> set[float]:
    steps = replay.sample(500, generator())
    return set(steps.y.gather(1, steps.step[:, None]).squeeze(1).tolist())


def test_only_steps_that_have_happened_are_drawn() -> None:
    assert sampled(filled(1)) == {0.0, 0.5}
    assert sampled(filled(4)) == {i + half for i in range(4) for half in (0.0, 0.5)}


def test_the_oldest_episodes_are_forgotten_as_a_whole() -> None:
    # The third generation, at its first step, lies where the first one was.
    assert sampled(filled(7)) == {i + half for i in (3, 4, 5, 6) for half in (0.0, 0.5)}
    assert sampled(filled(9)) == {i + half for i in range(3, 9) for half in (0.0, 0.5)}


def test_what_came_before_a_step_is_of_the_same_episode() -> None:
    steps = filled(8).sample(200, generator())
    for y, step in zip(steps.y, steps.step.tolist(), strict=True):
        assert torch.equal(y[: step + 1], y[0] + torch.arange(step + 1.0))


def test_the_running_episodes_are_given_up_to_now() -> None:
    x, y = filled(8).running
    assert y.tolist() == [[6.0, 7.0], [6.5, 7.5]]
    assert x.shape == (2, 2, 1)
    assert filled(6).running[1].shape == (2, 0)

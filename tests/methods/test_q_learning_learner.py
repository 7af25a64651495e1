"""Q-learning: the rule itself, and the learner of the Q function of a study."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.meta_train.simulators import Simulators
from optuna_metasampler.methods.q_learning.method import (
    QConfig,
    QLearner,
    double_q_target,
    improvement,
    temporal_difference_loss,
)
from optuna_metasampler.methods.q_learning.policy import QNetwork
from tests.tasks import MIXED, generator, study


def test_the_rule_reaches_the_known_optimum_of_a_chain() -> None:
    """Five states in a row; left or right; 1 for leaving at the right end, 0.3 at the left."""
    discount, n = 0.8, 5
    truth = torch.zeros((n, 2), dtype=torch.float64)
    for _ in range(100):  # value iteration
        ahead = truth.max(1).values
        truth[:, 0] = torch.cat([torch.tensor([0.3]), discount * ahead[:-1]])
        truth[:, 1] = torch.cat([discount * ahead[1:], torch.tensor([1.0])])

    values = torch.zeros((n, 2), dtype=torch.float64, requires_grad=True)
    target = values.detach().clone()
    source = generator()
    optimizer = torch.optim.SGD([values], lr=4.0)
    for step in range(1500):
        if step % 20 == 0:
            target = values.detach().clone()
        state = torch.randint(n, (16,), generator=source)
        action = torch.randint(2, (16,), generator=source)
        after = state + 2 * action - 1
        ended = (after < 0) | (after >= n)
        reward = torch.where(after < 0, 0.3, torch.where(after >= n, 1.0, 0.0)).double()
        inside = after.clamp(0, n - 1)
        wanted = double_q_target(reward, values[inside], target[inside], ended, discount)
        loss = temporal_difference_loss(values[state, action], wanted)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    torch.testing.assert_close(values.detach(), truth, atol=1e-3, rtol=0.0)
    assert values.argmax(1).tolist() == truth.argmax(1).tolist() == [1, 1, 1, 1, 1]


def test_the_online_network_chooses_and_the_target_network_values() -> None:
    online, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[9.0, 4.0]])
    reward = torch.tensor([0.5])
    for ended, expected in ((False, 0.5 + 0.9 * 4.0), (True, 0.5)):
        got = double_q_target(reward, online, target, torch.tensor([ended]), 0.9)
        torch.testing.assert_close(got, torch.tensor([expected]))


def test_rewards_are_improvements_of_the_best() -> None:
    y = torch.tensor([[-1.0, 2.0, 0.0, 2.5]])
    rewards = [float(improvement(y, torch.tensor([t]))) for t in range(4)]
    assert rewards == pytest.approx([-1.0, 3.0, 0.0, 0.5])


def learner(n_exploring: int = 10, n_shared: int = 16, seed: int = 0) -> QLearner:
    tasks = [study(MIXED, seed) for seed in range(5)]
    config = QConfig(
        n_parallel=8,
        n_episodes=64,
        n_replayed=32,
        n_shared=n_shared,
        n_near=4,
        discount=0.8,
        target_every=5,
        n_exploring=n_exploring,
        epsilon=0.1,
    )
    network = QNetwork.initial(MIXED, 16, 4, generator(seed))
    return QLearner(
        Simulators.of(tasks, 0.2), network, torch.cat([task.x for task in tasks]), config
    )


def step(trained: QLearner, source: torch.Generator) -> float:
    """One step of plain gradient descent."""
    loss = trained.meta_loss(torch.arange(3), source)
    gradients = torch.autograd.grad(loss, trained.parameters())
    with torch.no_grad():
        for w, gradient in zip(trained.parameters(), gradients, strict=True):
            w -= 0.1 * gradient
    return float(loss.detach())


def test_the_target_network_is_updated_on_schedule() -> None:
    trained, source = learner(), generator()
    targets = []
    for _ in range(11):
        before = trained.network.weights[-2]
        step(trained, source)
        targets.append((trained.target.weights[-2].clone(), before))
    for i, (target, online) in enumerate(targets):
        assert torch.equal(target, online) is (i % 5 == 0)
        if i % 5:
            assert torch.equal(target, targets[i - 1][0])


def test_a_learner_that_was_written_and_read_goes_on_bit_by_bit() -> None:
    first, source = learner(), generator()
    for _ in range(7):  # in the middle of an episode, and of the target's life
        step(first, source)
    state, place = first.state(), source.get_state()
    expected = [step(first, source) for _ in range(6)]
    second, other = learner(), generator(99)
    second.load(state)
    other.set_state(place)
    assert [step(second, other) for _ in range(6)] == expected
    for a, b in zip(first.state().values(), second.state().values(), strict=True):
        assert torch.equal(a, b)


def test_a_resumed_training_ends_where_one_in_a_piece_does() -> None:
    config = TrainConfig(12, 3, 1e-2, n_validations=4)
    saved: list[Mapping[str, torch.Tensor]] = []
    whole = learner()
    Trainer(save=saved.append).run(whole, config, generator())
    resumed = learner()
    Trainer(resume=saved[1]).run(resumed, config, generator())
    for a, b in zip(whole.network.weights, resumed.network.weights, strict=True):
        assert torch.equal(a, b)


def test_greedy_episodes_get_better_in_training() -> None:
    studies = torch.arange(5)
    # An untrained network may be lucky: the average of four.
    untrained = [learner(10, 64, seed).validation_loss(studies, generator(3)) for seed in range(4)]
    trained = learner(60, 64)
    config = TrainConfig(120, 5, 5e-3, validation_share=0.0)
    Trainer().run(trained, config, generator())
    # Outcomes have about unit scale.
    assert trained.validation_loss(studies, generator(3)) < sum(untrained) / 4 - 0.3

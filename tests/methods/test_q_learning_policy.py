"""The Q function and its policy."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution, IntDistribution
import torch

from optuna_metasampler.methods.q_learning.policy import QNetwork, QPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task
from tests.tasks import MIXED, generator, study


FINITE = SearchSpace.of({"k": IntDistribution(1, 3), "c": CategoricalDistribution("xy")})


def network(space: SearchSpace, dtype: torch.dtype = torch.float64) -> QNetwork:
    return QNetwork.initial(space, 8, 5, generator(), dtype)


def values(task: Task, order: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    known = torch.ones((1, len(task)), dtype=torch.bool)
    return network(MIXED)(task.x[order][None], task.y[order][None], known, candidates[None])


def test_values_do_not_depend_on_the_order_of_the_trials() -> None:
    task, candidates = study(MIXED, 0, n=9), study(MIXED, 1, n=6).x
    shuffled = values(task, torch.randperm(9, generator=generator()), candidates)
    torch.testing.assert_close(shuffled, values(task, torch.arange(9), candidates))


def test_values_depend_on_the_outcomes_and_on_the_candidate() -> None:
    task, candidates = study(MIXED, 0, n=9), study(MIXED, 1, n=6).x
    one = values(task, torch.arange(9), candidates)
    opposite = Task(task.space, task.x, -task.y, task.mask, task.pending, task.tried)
    assert not torch.allclose(values(opposite, torch.arange(9), candidates), one)
    assert len(one.unique()) == 6


def test_padding_changes_nothing() -> None:
    task, candidates = study(MIXED, 0, n=9), study(MIXED, 1, n=6).x[None]
    known = torch.arange(9)[None] < 4
    padded = network(MIXED)(task.x[None], task.y[None], known, candidates)
    x, y = task.x[None, :4], task.y[None, :4]
    short = network(MIXED)(x, y, known[:, :4], candidates)
    torch.testing.assert_close(padded, short)


def test_the_greedy_policy_takes_the_unseen_point_of_the_highest_value() -> None:
    done = [{"k": 1, "c": "x"}, {"k": 3, "c": "y"}]
    history = Task.of(FINITE, done, torch.tensor([0.0, 1.0]))
    policy = QPolicy(network(FINITE), lambda x: x, history.x[:1])
    everything = torch.from_numpy(FINITE.grid())
    value = policy.value(history)(everything)
    unseen = (torch.cdist(everything, history.x) > 1e-6).all(dim=1)
    best = everything[unseen][int(value[unseen].argmax())]
    assert torch.equal(policy.propose(history, generator()).x, best)


def test_epsilon_makes_it_take_others_as_well() -> None:
    history = Task.of(FINITE, [{"k": 1, "c": "x"}], torch.tensor([0.0]))
    taken = {}
    for epsilon in (0.0, 1.0):
        policy = QPolicy(network(FINITE), lambda x: x, history.x, epsilon=epsilon)
        points = [policy.propose(history, generator(seed)).x for seed in range(20)]
        taken[epsilon] = len(torch.stack(points).unique(dim=0))
    assert taken == {0.0: 1, 1.0: 5}


def test_a_finite_space_is_walked_through_without_asking_twice() -> None:
    asked: list[dict[str, object]] = []
    policy = QPolicy(network(FINITE), lambda x: x, torch.from_numpy(FINITE.grid())[:1])
    for seed in range(6):
        done, tried, pending = asked[:2], asked[2:4], asked[4:]
        history = Task.of(FINITE, done, torch.arange(float(len(done))), pending, tried)
        asked += FINITE.decode(policy.propose(history, generator(seed)).x.numpy()[None])
    assert len({tuple(sorted(c.items())) for c in asked}) == 6

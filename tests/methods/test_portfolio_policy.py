"""Which configurations are on the list, and how it is handed out."""

from __future__ import annotations

from dataclasses import replace

import torch

from optuna_metasampler.methods.default import cold_policy
from optuna_metasampler.methods.portfolio import PortfolioPolicy
from optuna_metasampler.surrogates.prior_model import greedy
from optuna_metasampler.task import Task
from tests.tasks import cube, generator, uniform


SPACE = cube("xy")
ENTRIES = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], dtype=torch.float64)


def history(x: torch.Tensor) -> Task:
    return Task.of(SPACE, SPACE.decode(x.numpy()), torch.arange(len(x), dtype=torch.float64))


def policy(unknown: tuple[str, ...] = (), n_startup_trials: int = 0) -> PortfolioPolicy:
    return PortfolioPolicy(ENTRIES, cold_policy(SPACE, 0), unknown, n_startup_trials)


def test_entries_complement_each_other_instead_of_being_the_best_on_average() -> None:
    # The first is best on average, the second nearly equal; the third is good where they are not.
    losses = torch.tensor([[0.1, 0.15, 0.9], [0.1, 0.1, 0.9], [0.8, 0.7, 0.0]]).double()
    assert greedy(losses, 2) == [1, 2]


def test_each_entry_lowers_the_mean_of_the_least_loss_the_most() -> None:
    losses = uniform(5, 30)
    order = greedy(losses, 10)
    for i in range(len(order)):
        means = [float(losses[:, [*order[:i], c]].amin(dim=1).mean()) for c in range(30)]
        assert means[order[i]] == min(means)
    assert float(losses[:, order].amin(dim=1).mean()) == float(losses.amin(dim=1).mean())


def test_the_list_ends_where_no_other_entry_helps_or_at_its_size() -> None:
    losses = torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.0, 0.5]]).double()
    assert sorted(greedy(losses, 5)) == [0, 1]
    assert greedy(losses, 1) == [1]


def test_workers_that_ask_at_once_get_different_entries() -> None:
    asked = ENTRIES[:0]
    for entry in ENTRIES:
        task = replace(history(ENTRIES[:0]), pending=asked)
        x = policy().propose(task, generator()).x
        torch.testing.assert_close(x, entry)
        asked = torch.cat([asked, x[None]])


def test_an_entry_that_was_tried_or_failed_is_passed_over() -> None:
    task = replace(history(ENTRIES[1:2]), tried=ENTRIES[:1])
    torch.testing.assert_close(policy().propose(task, generator()).x, ENTRIES[2])


def test_after_the_list_the_model_goes_on() -> None:
    task = history(ENTRIES)
    expected = cold_policy(SPACE, 0).propose(task, generator(4)).x
    assert torch.equal(policy().propose(task, generator(4)).x, expected)


def test_what_no_prior_had_gets_another_value_each_time_and_an_entry_is_used_once() -> None:
    first, other = (policy(("y",)).propose(history(ENTRIES[:0]), generator(s)).x for s in (0, 1))
    assert first[0] == other[0] == ENTRIES[0, 0]
    assert first[1] != other[1]
    second = policy(("y",)).propose(history(first[None]), generator(2)).x
    assert second[0] == ENTRIES[1, 0]


def test_a_pinned_parameter_keeps_its_value_and_the_entry_counts_as_used() -> None:
    pinned = SPACE.pin({"y": 0.9})
    empty = Task.of(pinned, [], torch.zeros(0))
    x = policy().propose(empty, generator()).x
    torch.testing.assert_close(x, torch.tensor([0.1, 0.9], dtype=torch.float64))
    after = replace(empty, pending=x[None])
    assert float(policy().propose(after, generator()).x[0]) == 0.3


def test_startup_trials_come_before_the_list() -> None:
    x = policy(n_startup_trials=1).propose(history(ENTRIES[:0]), generator()).x
    assert float((ENTRIES - x).abs().sum(dim=1).min()) > 1e-6
    second = policy(n_startup_trials=1).propose(history(x[None]), generator()).x
    torch.testing.assert_close(second, ENTRIES[0])

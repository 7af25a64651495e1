"""The recurrent policy."""

from __future__ import annotations

import math

import numpy as np
from optuna.distributions import CategoricalDistribution, IntDistribution
import pytest
import torch

from optuna_metasampler.methods.lstm.policy import Actions, LstmPolicy, RecurrentNetwork, feasible
from optuna_metasampler.policies.rank_features import rank_features
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task
from tests.tasks import MIXED, generator, study


FINITE = SearchSpace.of({"k": IntDistribution(1, 3), "c": CategoricalDistribution("xy")})


def network(space: SearchSpace) -> RecurrentNetwork:
    return RecurrentNetwork.initial(space, 6, generator())


def policy(space: SearchSpace) -> LstmPolicy:
    return LstmPolicy(network(space), lambda x: x, lambda x: x)


def test_replaying_the_history_gives_the_states_of_going_step_by_step() -> None:
    task, recurrent = study(MIXED, 0, n=7), network(MIXED)
    state = recurrent.begin()
    for t in range(len(task)):
        so_far = task.y[: t + 1]
        signal = rank_features(so_far[-1:], so_far)[0].float()
        state = recurrent.step(state, task.x[t].float(), signal)
        again = recurrent.replay(task.x[: t + 1], task.y[: t + 1])
        assert torch.equal(again.output, state.output)
        assert torch.equal(again.cell, state.cell)


def test_the_state_depends_on_the_order_and_on_the_outcomes() -> None:
    task, recurrent = study(MIXED, 0, n=5), network(MIXED)
    state = recurrent.replay(task.x, task.y)
    assert not torch.equal(recurrent.replay(task.x.flip(0), task.y.flip(0)).output, state.output)
    assert not torch.equal(recurrent.replay(task.x, -task.y).output, state.output)


def test_another_policy_object_goes_on_just_the_same() -> None:
    history = study(MIXED, 0, n=6)
    used = policy(MIXED)
    for seed in range(3):
        used.propose(study(MIXED, seed + 1), generator(seed))
    new = policy(MIXED).propose(history, generator(9)).x
    assert torch.equal(used.propose(history, generator(9)).x, new)


def test_every_proposal_is_feasible() -> None:
    history = study(MIXED, 0, n=4)
    for seed in range(20):
        x = policy(MIXED).propose(history, generator(seed)).x.numpy()[None]
        assert np.array_equal(MIXED.project(x), x)


def test_a_finite_space_is_walked_through_without_asking_twice() -> None:
    asked: list[dict[str, object]] = []
    for seed in range(6):
        # Some have failed, some are running, some are done.
        done, tried, pending = asked[:2], asked[2:4], asked[4:]
        history = Task.of(FINITE, done, torch.arange(float(len(done))), pending, tried)
        asked += FINITE.decode(policy(FINITE).propose(history, generator(seed)).x.numpy()[None])
    assert len({tuple(sorted(c.items())) for c in asked}) == 6
    everything = Task.of(FINITE, asked, torch.arange(6.0))
    FINITE.decode(policy(FINITE).propose(everything, generator()).x.numpy()[None])


def test_once_nothing_drawn_is_new_the_likeliest_new_point_is_taken() -> None:
    recurrent = network(FINITE)
    recurrent.weights[6][:] = torch.tensor([0.0, -9.0, 60.0, 0.0])  # always "x"
    asked: list[dict[str, object]] = [{"k": k, "c": "x"} for k in (1, 2, 3)]
    history = Task.of(FINITE, asked, torch.arange(3.0))
    x = LstmPolicy(recurrent, lambda x: x, lambda x: x).propose(history, generator()).x
    (found,) = FINITE.decode(x.numpy()[None])
    assert found == {"k": 2, "c": "y"}


def test_log_probabilities_are_those_of_normals_on_the_logit_scale_and_of_the_choices() -> None:
    outputs = torch.tensor([0.3, -0.5, 0.2, 0.1, 1.0, 0.0, -1.0], dtype=torch.float64)
    actions = Actions.of(MIXED, outputs)
    x = torch.from_numpy(
        MIXED.encode([{"a": 0.7, "b": 0.4, "kind": "x"}, {"a": 0.7, "kind": "y"}])
    )
    a, b = torch.distributions.Normal(actions.mean, actions.std).log_prob(
        torch.logit(torch.tensor([0.7, 0.4], dtype=torch.float64))
    )
    choice = torch.log_softmax(outputs[4:], 0)
    expected = torch.stack([a + b + choice[0], a + choice[1]])
    torch.testing.assert_close(actions.log_prob(x), expected)


def test_draws_follow_the_distribution() -> None:
    outputs = torch.tensor([0.3, -0.5, 0.2, 0.1, 1.0, 0.0, -1.0]).expand(20_000, -1)
    actions = Actions.of(MIXED, outputs)
    x = actions.draw(generator())
    # Five standard errors each.
    logits = torch.logit(x[:, MIXED.parameters[0].start])
    std = float(actions.std[0, 0])
    assert abs(float(logits.mean()) - 0.3) < 5 * std / math.sqrt(20_000)
    share = x[:, MIXED.parameters[2].columns].mean(0)
    torch.testing.assert_close(share, torch.softmax(outputs[0, 4:], 0), atol=0.018, rtol=0.0)


@pytest.mark.parametrize("kind", ["x", "y"])
def test_an_inactive_parameter_gets_no_gradient_and_a_choice_gets_its_softmaxs(kind: str) -> None:
    number, _, choice = MIXED.parameters
    conditional = MIXED.parameters[1]
    drawn = torch.full((1, MIXED.n_columns), 0.4, dtype=torch.float64)
    drawn[0, choice.start + "xyz".index(kind)] = 0.9
    drawn.requires_grad_()
    x = feasible(MIXED, drawn)
    assert MIXED.decode(x.detach().numpy())[0]["kind"] == kind
    (slope,) = torch.autograd.grad(x.sum(), drawn)
    assert float(slope[0, number.start]) == 1.0
    assert float(slope[0, conditional.start]) == float(kind == "x")

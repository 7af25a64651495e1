"""The policy of several objectives."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from optuna_metasampler.outcomes import half_rank_warp
from optuna_metasampler.pareto import non_dominated
from optuna_metasampler.policies.base import Phase
from optuna_metasampler.policies.initial_design import N_WARM_START_TRIALS, InitialDesign
from optuna_metasampler.policies.multi_objective import MultiObjectivePolicy, front
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess, GaussianProcessConfig
from optuna_metasampler.surrogates.prior_model import PriorModel, pareto_sets
from optuna_metasampler.surrogates.transfer import TransferConfig, TransferGaussianProcess
from optuna_metasampler.task import Task
from tests.tasks import contains, cube, generator, uniform


NO_TREND = GaussianProcessConfig(trend=False)
SPACE = cube("xy")


def values(x: Tensor) -> Tensor:
    """Two objectives that agree on ``y = 0.3`` and disagree on ``x`` from 0.2 to 0.7."""
    loss = (x[:, 1] - 0.3) ** 2
    return -torch.stack([(x[:, 0] - 0.2) ** 2 + loss, (x[:, 0] - 0.7) ** 2 + loss], dim=1)


def history(x: Tensor, outcomes: Tensor | None = None) -> Task:
    outcomes = values(x) if outcomes is None else outcomes
    return Task.of(SPACE, SPACE.decode(x.numpy()), outcomes.mean(dim=1), outcomes=outcomes)


def cold(m: int = 2, n_startup_trials: int = 0) -> MultiObjectivePolicy[Any]:
    surrogates = [GaussianProcess(NO_TREND) for _ in range(m)]
    return MultiObjectivePolicy(surrogates, InitialDesign(n_startup_trials))


def propose(policy: MultiObjectivePolicy[Any], task: Task, seed: int = 0) -> Tensor:
    return policy.propose(task, generator(seed)).x


@cache
def learned() -> tuple[list[TransferGaussianProcess], Tensor]:
    """A surrogate of each objective from two prior studies, and their Pareto sets."""
    studies = [replace(history(uniform(30, seed=seed)), name=f"prior {seed}") for seed in (1, 2)]
    surrogates = []
    for j in range(2):
        tasks = [replace(task, y=values(task.x)[:, j]) for task in studies]
        model = PriorModel.fit(tasks)
        surrogates.append(
            TransferGaussianProcess(model, lambda x: x, TransferConfig(process=NO_TREND))
        )
    return surrogates, pareto_sets(studies)


def warm() -> tuple[MultiObjectivePolicy[Any], Tensor]:
    surrogates, best = learned()
    return MultiObjectivePolicy(
        surrogates, InitialDesign(0, best, N_WARM_START_TRIALS, probes=True)
    ), best


def test_proposals_spread_over_the_whole_pareto_set() -> None:
    """Most of them on it, from one end to the other, with no gap of half its length.

    The seed is fixed, so this fails only if the policy changes.
    """
    policy, x = cold(), uniform(6)
    for seed in range(14):
        x = torch.cat([x, propose(policy, history(x), seed)[None]])
    near = x[6:][(x[6:, 1] - 0.3).abs() < 0.1, 0].sort().values
    inside = near[(near > 0.1) & (near < 0.8)]
    assert float(inside[0]) < 0.32
    assert float(inside[-1]) > 0.58
    assert float(inside.diff().max()) < 0.25
    assert len(inside) >= 8


def test_the_order_of_the_objectives_decides_nothing_but_rounding() -> None:
    x = uniform(12)
    task, turned = history(x), history(x, values(x).flip(1))
    one, other = cold(), cold()
    at = uniform(50, seed=7)
    a = one.score(task, one.condition(task))(at)
    b = other.score(turned, other.condition(turned))(at)
    assert torch.allclose(a, b, rtol=1e-6)


def test_pending_points_are_members_of_the_front_and_are_not_asked_for_again() -> None:
    x = uniform(8)
    policy, task = cold(), history(x)
    first = propose(policy, task)
    waiting = replace(task, pending=first[None])
    predictors = policy.condition(waiting)
    expected = torch.cat([p(first[None]).mean for p in predictors])
    assert contains(front(waiting, predictors), expected)
    second = propose(policy, waiting)
    assert float((second - first).norm()) > 0.02


def test_pending_points_alone_are_enough_to_go_on() -> None:
    policy, best = warm()
    nothing = history(best[:0])
    taken = replace(nothing, pending=uniform(2, seed=5))
    assert propose(policy, taken).shape == (2,)


def test_what_violates_a_constraint_is_no_part_of_the_front() -> None:
    x = uniform(10)
    violated = torch.zeros((10, 1), dtype=torch.float64)
    best = int(values(x).sum(dim=1).argmax())
    violated[best] = 1.0
    policy, task = cold(), replace(history(x), constraints=violated, constraint_names=("limit",))
    known = front(task, policy.condition(task))
    warped = torch.stack([half_rank_warp(y) for y in values(x).T], dim=1)
    assert not contains(known, warped[best])
    none = replace(task, constraints=torch.ones((10, 1), dtype=torch.float64))
    assert torch.isfinite(policy.score(none, policy.condition(none))(uniform(5))).all()


@pytest.mark.parametrize(
    "outcomes",
    [
        [[1.0, 1.0]] * 5,
        [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]],
        [[0.0, 5.0], [1.0, 5.0], [0.0, 5.0], [1.0, 5.0], [1.0, 5.0]],
        [[float("inf"), 0.0], [-float("inf"), 1.0], [0.0, float("inf")], [1.0, 1.0], [2.0, 0.0]],
        [[1e308, -1e308], [-1e308, 1e308], [1.0, 1e-300], [0.0, 0.0], [1e-300, 2.0]],
    ],
)
def test_degenerate_fronts_have_a_finite_score(outcomes: list[list[float]]) -> None:
    task = history(uniform(5), torch.tensor(outcomes, dtype=torch.float64))
    task = replace(task, y=torch.nan_to_num(task.y))
    policy = cold()
    score = policy.score(task, policy.condition(task))(uniform(20, seed=3))
    assert bool(torch.isfinite(score).all())
    assert propose(policy, task).shape == (2,)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_a_large_front_is_represented_by_a_part_of_it(m: int) -> None:
    x = uniform(150)
    plane = torch.randn((150, m), generator=generator(), dtype=torch.float64)
    plane = plane.abs() / plane.norm(dim=1, keepdim=True)
    policy, task = cold(m), history(x, plane)
    assert len(front(task, policy.condition(task))) == {2: 100, 3: 60, 4: 30}[m]


def test_startup_trials_come_first() -> None:
    policy = cold(n_startup_trials=3)
    x = uniform(0)
    for seed in range(3):
        proposal = policy.propose(history(x), generator(seed))
        assert proposal.phase == Phase.INITIAL_DESIGN
        assert proposal.predictors == ()
        x = torch.cat([x, proposal.x[None]])
    proposal = policy.propose(history(x), generator())
    assert proposal.phase == Phase.MODEL
    assert len(proposal.predictors) == 2


def test_a_study_begins_with_the_pareto_sets_and_one_probe() -> None:
    policy, best = warm()
    x = best[:0]
    for seed in range(N_WARM_START_TRIALS):
        new = propose(policy, history(x), seed)
        assert contains(best, new) is (seed != 1)
        x = torch.cat([x, new[None]])
    assert len(torch.unique(x, dim=0)) == N_WARM_START_TRIALS


def test_prior_studies_are_turned_round_objective_by_objective() -> None:
    policy, _ = warm()
    x = uniform(12, seed=9)
    hostile = values(x) * torch.tensor([1.0, -1.0], dtype=torch.float64)
    first, second = policy.condition(history(x, hostile))
    assert [first.sign_flipped, second.sign_flipped] == [False, True]
    assert first.log_odds > 0
    assert second.log_odds > 0


def test_pareto_sets_hold_the_best_of_each_objective_and_nothing_that_is_dominated() -> None:
    studies = [history(uniform(40, seed=seed)) for seed in (1, 2)]
    sets = pareto_sets(studies)
    for task in studies:
        for j in range(2):
            assert contains(sets, task.x[int(values(task.x)[:, j].argmax())])
    mine = torch.tensor([contains(studies[0].x, x) for x in sets])
    assert bool(non_dominated(values(sets[mine])).all())


def test_pareto_sets_of_many_points_are_cut_to_a_few() -> None:
    x = torch.linspace(0.2, 0.7, 200, dtype=torch.float64)
    study = history(torch.stack([x, torch.full_like(x, 0.3)], dim=1))
    assert len(pareto_sets([study])) == 60
    assert len(pareto_sets([study] * 30)) == 90


def constrained(x: Tensor) -> Task:
    """Feasible where ``x <= 0.5``, which half of the Pareto set is."""
    return replace(history(x), constraints=x[:, :1] - 0.5, constraint_names=("limit",))


def test_points_that_are_likely_to_be_infeasible_are_not_proposed() -> None:
    policy, x = cold(), uniform(8)
    for seed in range(8):
        x = torch.cat([x, propose(policy, constrained(x), seed)[None]])
    assert bool((x[8:, 0] < 0.55).all())
    free, x = cold(), uniform(8)
    for seed in range(8):
        x = torch.cat([x, propose(free, history(x), seed)[None]])
    assert bool((x[8:, 0] > 0.55).any())


def test_before_a_trial_is_feasible_it_looks_for_one() -> None:
    x = 0.6 + 0.4 * uniform(8)
    x = torch.cat([x, propose(cold(), constrained(x))[None]])
    assert float(x[8, 0]) < 0.55


@pytest.mark.parametrize("n_failed", [1, 3])
def test_failures_alone_are_a_history_too(n_failed: int) -> None:
    failed = SPACE.decode(uniform(n_failed).numpy())
    task = Task.of(
        SPACE, [], torch.zeros(0), tried=failed, crashed=failed, outcomes=torch.zeros((0, 2))
    )
    assert not contains(task.tried, propose(cold(), task))

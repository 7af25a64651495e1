"""Where trials are feasible, in the running study and in prior ones."""

from __future__ import annotations

import math

import numpy as np
from optuna.distributions import FloatDistribution
import pytest
import torch

from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.constraints import (
    Feasibility,
    FeasibilityPredictor,
    PriorFeasibility,
    slack_warp,
)
from optuna_metasampler.task import Task


SPACE = SearchSpace.of({name: FloatDistribution(0, 1) for name in ("x", "y")})
GOOD = torch.tensor([[0.15, 0.5], [0.25, 0.2]], dtype=torch.float64)
BAD = torch.tensor([[0.85, 0.5], [0.75, 0.2]], dtype=torch.float64)


def study(
    n: int,
    seed: int,
    *,
    limit: float | None = None,
    crash_beyond: float = 1.0,
    name: str = "c",
) -> Task:
    """Random trials; they violate ``x <= limit``, and fail where ``x`` is too large."""
    configurations = SPACE.decode(SPACE.spread(np.random.default_rng(seed).random((n, 2))))
    ended = [c for c in configurations if c["x"] <= crash_beyond]
    y = torch.tensor([c["y"] for c in ended], dtype=torch.float64)
    values = None
    if limit is not None:
        values = torch.tensor([[c["x"] - limit] for c in ended], dtype=torch.float64)
    return Task.of(
        SPACE,
        ended,
        y,
        crashed=[c for c in configurations if c["x"] > crash_beyond],
        constraints=values,
        constraint_names=() if limit is None else (name,),
        name=f"study {seed}",
    )


def probability(feasibility: Feasibility, task: Task, x: torch.Tensor) -> torch.Tensor:
    predictor = feasibility.condition(task)
    assert predictor is not None
    return predictor(x).exp()


def test_nothing_is_learned_where_nothing_was_infeasible() -> None:
    assert Feasibility().condition(study(9, 0)) is None
    assert Feasibility().condition(study(9, 0, limit=2.0)) is None
    assert PriorFeasibility.fit([study(9, 0), study(9, 1, limit=2.0)]) is None


@pytest.mark.parametrize("task", [study(12, 0, limit=0.5), study(12, 0, crash_beyond=0.5)])
def test_the_two_sides_of_a_limit_are_told_apart(task: Task) -> None:
    assert float(probability(Feasibility(), task, GOOD).min()) > 0.75
    assert float(probability(Feasibility(), task, BAD).max()) < 0.4


def test_all_limits_have_to_be_kept() -> None:
    both = study(12, 0, limit=0.5, crash_beyond=0.8)
    predictor = Feasibility().condition(both)
    assert isinstance(predictor, FeasibilityPredictor)
    assert len(predictor.models) == 2
    each = torch.stack([model(BAD) for model in predictor.models.values()])
    assert torch.allclose(predictor(BAD), each.sum(0))


def test_failures_by_chance_count_little_beside_failures_that_have_a_place() -> None:
    """At points between the trials; the failures of both studies are equally many."""
    x = torch.from_numpy(SPACE.spread(np.random.default_rng(9).random((60, 2))))
    placed = study(40, 3, crash_beyond=0.85)
    spread = {"by place": [], "by chance": []}  # type: dict[str, list[float]]
    for seed in range(4):
        chosen = np.random.default_rng(seed).permutation(40)[: placed.n_crashed]
        everything = study(40, 3)
        failed = torch.zeros(40, dtype=torch.bool)
        failed[torch.from_numpy(chosen)] = True
        configurations = SPACE.decode(everything.x.numpy())
        by_chance = Task.of(
            SPACE,
            [c for c, f in zip(configurations, failed.tolist(), strict=True) if not f],
            everything.y[~failed],
            crashed=[c for c, f in zip(configurations, failed.tolist(), strict=True) if f],
        )
        spread["by chance"].append(float(Feasibility().condition(by_chance)(x).std()))  # type: ignore[misc]
    spread["by place"].append(float(Feasibility().condition(placed)(x).std()))  # type: ignore[misc]
    assert max(spread["by chance"]) < 0.6 * spread["by place"][0]


@pytest.mark.parametrize("odd", [math.inf, 1e308, math.nan])
def test_extreme_and_unknown_values_leave_the_probability_a_number(odd: float) -> None:
    task = study(8, 0, limit=0.5)
    assert task.constraints is not None
    task.constraints[0, 0] = odd
    task.constraints[1, 0] = -odd
    p = probability(Feasibility(), task, torch.cat([GOOD, BAD]))
    assert bool(((p >= 0) & (p <= 1)).all())


def test_a_study_of_failures_alone_sends_the_next_trial_away_from_them() -> None:
    task = Task.of(SPACE, [], torch.zeros(0), crashed=[{"x": 0.1, "y": 0.1}] * 2)
    near, far = probability(
        Feasibility(), task, torch.tensor([[0.1, 0.1], [0.9, 0.9]], dtype=torch.float64)
    )
    assert float(near) < float(far)


def test_the_log_probability_has_the_slope_that_it_is_climbed_by() -> None:
    predictor = Feasibility().condition(study(10, 0, limit=0.5, crash_beyond=0.8))
    assert predictor is not None
    assert torch.autograd.gradcheck(predictor, (BAD.clone().requires_grad_(),))


@pytest.mark.parametrize(
    ("prior", "here"),
    [
        pytest.param({"limit": 0.5}, {"limit": 0.5}, id="a constraint of the same name"),
        pytest.param(
            {"limit": 0.5, "name": "other"}, {"limit": 0.5}, id="a constraint of another name"
        ),
        pytest.param({"crash_beyond": 0.5}, {"crash_beyond": 0.5}, id="failures"),
    ],
)
def test_prior_studies_tell_before_the_first_trial(
    prior: dict[str, float], here: dict[str, float]
) -> None:
    known = PriorFeasibility.fit([study(25, seed, **prior) for seed in (1, 2)])  # type: ignore[arg-type]
    begun = study(0, 0, **here)  # type: ignore[arg-type]
    p = probability(Feasibility(known), begun, torch.cat([GOOD, BAD]))
    assert float(p[:2].min()) > 0.55
    assert float(p[2:].max()) < 0.45


def test_prior_studies_that_are_wrong_lose_their_say() -> None:
    wrong = PriorFeasibility.fit([study(25, seed, crash_beyond=0.5) for seed in (1, 2)])
    begun, later = study(0, 0), study(20, 0)
    before = probability(Feasibility(wrong), begun, BAD)
    after = probability(Feasibility(wrong), later, BAD)
    assert float(after.min()) > 0.75 > float(before.max())


def test_a_constraint_may_have_any_unit() -> None:
    slack = torch.tensor([-3.0, -0.1, 0.0, 2.0, 40.0], dtype=torch.float64)
    warped = slack_warp(slack)
    assert torch.allclose(slack_warp(1e-6 * slack), warped)
    assert torch.equal(warped.sign(), slack.sign())
    assert bool((warped.diff() > 0).all())


def test_an_earlier_state_saves_work_and_changes_nothing_else() -> None:
    task = study(40, 0, limit=0.5)
    first = Feasibility().condition(task)
    assert first is not None
    again = Feasibility().condition(task, first)
    assert again is not None
    assert torch.equal(again(BAD), first(BAD))

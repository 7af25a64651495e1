"""The plain form: a network of configurations, and gradients with respect to these."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from optuna.distributions import FloatDistribution
import pytest
import torch

from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import AlignedPrior
from optuna_metasampler.methods.mlp.ensemble import (
    Inputs,
    pooled_outcomes,
    pooled_weights,
    study_shares,
)
from optuna_metasampler.methods.mlp.method import Mlp
from optuna_metasampler.outcomes import spearman
from optuna_metasampler.policies.acquisition import ConfidenceBoundPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task
from tests.methods.studies import learned_prior, run_live
from tests.tasks import cube, generator, task_of, uniform


SPACE = cube("xy")
QUICK = Mlp(n_members=3, width=32, n_meta_steps=1000)
KINDS = ("mlp", "svr", "forest", "boosting")


def value(x: torch.Tensor, top: float = 0.7) -> torch.Tensor:
    return -((x[:, 0] - top) ** 2) - (x[:, 1] - 0.2) ** 2


def studies(n: int = 3) -> list[Task]:
    tasks = []
    for seed in range(n):
        x = uniform(30, seed=seed)
        tasks.append(task_of(SPACE, x, value(x), f"prior {seed}"))
    return tasks


@cache
def known_to(surrogate: str) -> AlignedPrior:
    """What was learned from the studies; learning takes its time, and nothing may change it."""
    return learned_prior(replace(QUICK, surrogate=surrogate), studies())


def history(n: int = 5, top: float = 0.7) -> Task:
    x = uniform(n, seed=9)
    return task_of(SPACE, x, value(x, top))


@pytest.mark.parametrize("surrogate", KINDS)
def test_the_first_suggestion_is_near_the_optimum_of_the_prior_studies(surrogate: str) -> None:
    method = replace(QUICK, surrogate=surrogate, exploration=0.0)
    policy = method.policy(SPACE, [known_to(method.surrogate)], None)
    empty = Task.of(SPACE, [], torch.zeros(0))
    x = policy.propose(empty, generator()).x
    assert float((x - torch.tensor([0.7, 0.2])).norm()) < 0.15


@pytest.mark.parametrize("surrogate", KINDS)
def test_the_running_study_corrects_what_the_prior_ones_say(surrogate: str) -> None:
    method = replace(QUICK, surrogate=surrogate)
    policy = method.policy(SPACE, [known_to(surrogate)], None)
    assert isinstance(policy, ConfidenceBoundPolicy)
    task = history(40, top=0.1)
    (before,) = policy.condition(Task.of(SPACE, [], torch.zeros(0)))
    (after,) = policy.condition(task)
    assert spearman(before(task.x).mean, task.y) < 0.5
    assert spearman(after(task.x).mean, task.y) > 0.9


@pytest.mark.parametrize("surrogate", KINDS)
def test_without_priors_it_learns_from_its_own_trials(surrogate: str) -> None:
    method = replace(QUICK, surrogate=surrogate, exploration=0.0)
    x = method.policy(SPACE, [None], None).propose(history(30), generator()).x
    assert float((x - torch.tensor([0.7, 0.2])).norm()) < 0.3


@pytest.mark.parametrize("surrogate", KINDS)
def test_a_suggestion_leaves_what_was_learned_as_it_was_and_can_be_repeated(
    surrogate: str,
) -> None:
    method = replace(QUICK, surrogate=surrogate)
    prior = known_to(method.surrogate)
    before = {k: t.clone() for k, t in method.pack(prior.learned).items()}
    policy = method.policy(SPACE, [prior], None)
    first = policy.propose(history(), generator()).x
    policy.propose(history(9), generator(1))
    assert torch.equal(policy.propose(history(), generator()).x, first)
    after = method.pack(prior.learned)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)


@pytest.mark.parametrize("surrogate", KINDS)
def test_what_was_packed_is_unpacked_exactly(surrogate: str) -> None:
    method = replace(QUICK, surrogate=surrogate)
    prior = known_to(method.surrogate)
    packed = method.pack(prior.learned)
    again = replace(prior, learned=method.unpack(SPACE, packed))
    assert all(torch.equal(t, packed[k]) for k, t in method.pack(again.learned).items())
    one, two = (
        method.policy(SPACE, [p], None).propose(history(), generator()).x for p in (prior, again)
    )
    assert torch.equal(one, two)


def test_nonsense_is_not_unpacked() -> None:
    packed = QUICK.pack(known_to("mlp").learned)
    with pytest.raises(KeyError):
        QUICK.unpack(SPACE, {k: t for k, t in packed.items() if k != "weights.2"})
    with pytest.raises(ValueError, match=r"weights\.0"):
        QUICK.unpack(SPACE, {**packed, "weights.0": packed["weights.0"][:, :1]})
    with pytest.raises(ValueError, match="studies"):
        QUICK.unpack(SPACE, {**packed, "records.study": packed["records.study"] + 5})


@pytest.mark.slow
@pytest.mark.parametrize("surrogate", KINDS)
def test_a_live_study_on_a_mixed_and_conditional_space_gets_new_points_each_time(
    surrogate: str,
) -> None:
    options = {"surrogate": surrogate, "n_meta_steps": 50}
    runs = [run_live("mlp", options, 5) for _ in range(2)]
    assert runs[0] == runs[1]
    assert len({tuple(sorted(map(str, c.items()))) for c in runs[0]}) == 5


def test_pending_points_are_kept_away_from() -> None:
    method = replace(QUICK, exploration=0.0)
    policy = method.policy(SPACE, [known_to(method.surrogate)], None)
    first = policy.propose(history(), generator()).x
    pending = replace(history(), pending=first[None])
    assert pending.n_asked == 6
    second = policy.propose(pending, generator()).x
    assert float((second - first).abs().max()) > 1e-3


def test_parameters_that_no_prior_had_are_learned_from_the_running_study() -> None:
    own = SearchSpace.of({**SPACE.distributions, "new": FloatDistribution(0, 1)})
    method = replace(QUICK, exploration=0.0, n_steps=150)
    known = known_to(method.surrogate)
    prior = AlignedPrior(
        SPACE,
        known.learned,
        lambda x: x[:, 1:],
        lambda x: torch.cat([torch.full((len(x), 1), 0.5, dtype=torch.float64), x], dim=1),
        torch.zeros((0, 3), dtype=torch.float64),
        ("new",),
    )
    x = uniform(30, 3, seed=4)
    trials = task_of(own, x, value(x[:, 1:]) - (x[:, 0] - 0.9) ** 2)
    assert float(method.policy(own, [prior], None).propose(trials, generator()).x[0]) > 0.7


def test_a_parameter_that_no_prior_had_changes_no_prediction_before_the_first_trial() -> None:
    own = SearchSpace.of({**SPACE.distributions, "new": FloatDistribution(0, 1)})
    inputs = Inputs.of(own, lambda x: x[:, 1:], ("new",))
    x = uniform(4, 3)
    assert inputs(x).shape == (4, 3)
    torch.testing.assert_close(inputs(x)[:, 2], x[:, 0] - 0.5)
    assert not inputs.of_prior(x[:, 1:])[:, 2].any()


def test_outcomes_get_the_mean_that_the_priors_expect_and_keep_their_order() -> None:
    task = replace(history(10), pending=torch.rand((2, 2), dtype=torch.float64))
    expected = torch.full((10,), 1.5, dtype=torch.float64)
    z = pooled_outcomes(task, expected)
    assert float(z[:10].mean()) == pytest.approx(1.5)
    assert torch.equal(z[:10].argsort(), task.y.argsort())
    assert z[10:].tolist() == pytest.approx([1.5, 1.5])


def test_all_records_together_weigh_one() -> None:
    prior, own = pooled_weights(400, 5, 10.0)
    assert 400 * prior + 5 * own == pytest.approx(1.0)
    assert 400 * prior == pytest.approx(2 * 5 * own)
    assert pooled_weights(0, 5, 10.0) == (0.0, 0.2)


def test_prior_studies_are_dealt_out_evenly_among_the_members() -> None:
    shares = study_shares(8, 8, generator())
    assert torch.equal((shares > 0).sum(dim=1), torch.full((8,), 2))
    assert torch.equal((shares > 0).sum(dim=0), torch.full((8,), 2))
    torch.testing.assert_close(shares.mean(dim=1), torch.ones(8))


def test_learning_twice_with_one_seed_gives_the_same() -> None:
    short = replace(QUICK, n_meta_steps=20)
    first, second = (short.learn(studies(), generator(3), Trainer()) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.weights, second.weights, strict=True))

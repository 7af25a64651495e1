"""How prior studies open a study, and when the opening ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution
import torch

from optuna_metasampler.policies.acquisition import N_WARM_START_TRIALS, TransferPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.prior_model import PriorModel, best_configurations
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess
from optuna_metasampler.task import Task


SPACE = SearchSpace.of({"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)})


def value(x: torch.Tensor) -> torch.Tensor:
    return -((x[:, 0] - 0.7) ** 2) - (x[:, 1] - 0.2) ** 2


def history(x: torch.Tensor, y: torch.Tensor | None = None) -> Task:
    return Task.of(SPACE, SPACE.decode(x.numpy()), value(x) if y is None else y)


def nothing() -> torch.Tensor:
    return torch.zeros((0, 2), dtype=torch.float64)


def prior_studies(n: int, shuffled: bool = False) -> list[Task]:
    tasks = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        x = torch.from_numpy(rng.random((30, 2)))
        y = value(x)[torch.from_numpy(rng.permutation(30))] if shuffled else None
        tasks.append(replace(history(x, y), name=f"prior {seed}"))
    return tasks


def surrogate(n_priors: int) -> TransferGaussianProcess:
    model = PriorModel.fit(prior_studies(n_priors), torch.Generator().manual_seed(0))
    return TransferGaussianProcess(model, lambda x: x)


def best_of(prior: TransferGaussianProcess) -> torch.Tensor:
    return best_configurations(prior_studies(len(prior.model.names)))


def contains(points: torch.Tensor, x: torch.Tensor) -> bool:
    return bool((points - x).abs().sum(dim=1).min() < 1e-9)


def test_a_study_opens_with_what_was_best_before_and_one_point_for_contrast() -> None:
    prior = surrogate(7)
    policy = TransferPolicy(prior, best_of(prior))
    x = nothing()
    for seed in range(N_WARM_START_TRIALS):
        new = policy.propose(history(x), torch.Generator().manual_seed(seed)).x
        assert contains(best_of(prior), new) is (seed != 1)
        assert not len(x) or not contains(x, new)
        x = torch.cat([x, new[None]])
    assert float((x[1] - x[0]).norm()) > 0.3
    new = policy.propose(history(x), torch.Generator().manual_seed(9)).x
    assert not contains(best_of(prior), new)


def test_where_priors_contradict_one_another_the_middle_comes_before_the_contrast() -> None:
    tasks = prior_studies(7, shuffled=True)
    model = PriorModel.fit(tasks, torch.Generator().manual_seed(0))
    best = best_configurations(tasks)
    middle = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    for first in (best[:1], middle):
        policy = TransferPolicy(TransferGaussianProcess(model, lambda x: x), best)
        x = first
        for seed in range(2):
            new = policy.propose(history(x), torch.Generator().manual_seed(seed)).x
            assert not contains(best, new)
            assert not contains(x, new)
            x = torch.cat([x, new[None]])
        assert contains(x[:2], middle[0])
        assert float((x[2] - x[:2]).norm(dim=1).min()) > 0.3


def test_with_fewer_priors_than_opening_trials_the_search_begins_earlier() -> None:
    prior = surrogate(2)
    policy = TransferPolicy(prior, best_of(prior))
    new = policy.propose(history(best_of(prior)), torch.Generator().manual_seed(0)).x
    assert not contains(best_of(prior), new)


def test_without_an_opening_the_first_point_is_not_one_of_the_best_before() -> None:
    prior = surrogate(7)
    policy = TransferPolicy(prior, best_of(prior), n_warm_start_trials=0)
    new = policy.propose(history(nothing()), torch.Generator().manual_seed(0)).x
    assert not contains(best_of(prior), new)


def test_the_opening_ends_once_trials_speak_against_the_priors() -> None:
    prior = surrogate(7)
    policy = TransferPolicy(prior, best_of(prior))
    generator = torch.Generator().manual_seed(0)
    x = torch.cat([best_of(prior)[:2], torch.tensor([[0.1, 0.9], [0.0, 0.5]]).double()])
    new = policy.propose(history(x, -value(x)), generator).x
    predictor = policy.predictor
    assert predictor is not None
    assert predictor.agreement < 0.0
    assert not contains(best_of(prior), new)


def test_priors_of_the_wrong_direction_help_to_find_the_optimum() -> None:
    prior = surrogate(7)
    policy = TransferPolicy(prior, best_of(prior))
    x = nothing()
    for seed in range(8):
        new = policy.propose(history(x, -value(x)), torch.Generator().manual_seed(seed)).x
        x = torch.cat([x, new[None]])
    # The farthest corner from what was best before.
    assert float((x - torch.tensor([0.0, 1.0])).abs().sum(dim=1).min()) < 0.1


def test_startup_trials_that_were_asked_for_come_first_and_the_opening_after() -> None:
    prior = surrogate(7)
    policy = TransferPolicy(prior, best_of(prior), n_startup_trials=2)
    generator = torch.Generator().manual_seed(0)
    x = nothing()
    for expected in (False, False, True, False, True):
        new = policy.propose(history(x), generator).x
        assert contains(best_of(prior), new) is expected
        x = torch.cat([x, new[None]])


def test_what_no_prior_had_is_varied_in_the_opening() -> None:
    space = SearchSpace.of(
        {
            "x": FloatDistribution(0, 1),
            "y": FloatDistribution(0, 1),
            "z": FloatDistribution(0, 1),
            "kind": CategoricalDistribution(["a", "b", "c"]),
        }
    )
    prior = surrogate(5)
    shared = [p.start for p in space.parameters if p.name in "xy"]
    seen_from = TransferGaussianProcess(prior.model, lambda x: x[:, shared])
    configurations = SPACE.decode(best_of(prior).numpy())
    prior_incumbents = torch.from_numpy(space.project(space.encode(configurations)))
    policy = TransferPolicy(seen_from, prior_incumbents, unknown=("z", "kind"))
    found: list[dict[str, object]] = []
    y = torch.zeros(0, dtype=torch.float64)
    for seed in range(4):
        task = Task.of(space, found, y)
        new = policy.propose(task, torch.Generator().manual_seed(seed)).x
        found += space.decode(new.numpy()[None])
        assert seed == 1 or any(
            found[-1]["x"] == c["x"] and found[-1]["y"] == c["y"] for c in configurations
        )
        y = torch.cat([y, value(new[None][:, shared])])
    assert len({c["z"] for c in found}) > 1


def test_a_pending_favourite_is_not_proposed_again() -> None:
    prior = surrogate(7)
    policy = TransferPolicy(prior, best_of(prior))
    waiting = nothing()
    for seed in range(N_WARM_START_TRIALS):
        task = replace(history(nothing()), pending=waiting)
        new = policy.propose(task, torch.Generator().manual_seed(seed)).x
        assert contains(best_of(prior), new) is (seed != 1)
        assert not len(waiting) or not contains(waiting, new)
        waiting = torch.cat([waiting, new[None]])

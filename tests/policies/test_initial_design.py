"""What is tried first, and when the warm start by prior studies ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution
import torch

from optuna_metasampler.policies.acquisition import AcquisitionPolicy
from optuna_metasampler.policies.initial_design import N_WARM_START_TRIALS, InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import (
    GaussianProcess,
    GaussianProcessPredictor,
)
from optuna_metasampler.surrogates.prior_model import PriorModel, best_configurations
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess, TransferPredictor
from optuna_metasampler.task import Task
from tests.tasks import contains, cube, generator, task_of


SPACE = cube("xy")
PLANE = cube("ab")
LINE = cube("a")


def value(x: torch.Tensor) -> torch.Tensor:
    return -((x[:, 0] - 0.7) ** 2) - (x[:, 1] - 0.2) ** 2


def history(x: torch.Tensor, y: torch.Tensor | None = None) -> Task:
    return task_of(SPACE, x, value(x) if y is None else y)


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
    model = PriorModel.fit(prior_studies(n_priors))
    return TransferGaussianProcess(model, lambda x: x)


def best_of(prior: TransferGaussianProcess) -> torch.Tensor:
    return best_configurations(prior_studies(len(prior.model.names)))


def transfer_policy(
    surrogate: TransferGaussianProcess,
    incumbents: torch.Tensor,
    n_space_filling: int = 0,
    n_warm_start: int = N_WARM_START_TRIALS,
    unknown: tuple[str, ...] = (),
) -> AcquisitionPolicy[TransferPredictor]:
    design = InitialDesign(n_space_filling, incumbents, n_warm_start, probes=True, unknown=unknown)
    return AcquisitionPolicy(surrogate, design)


def test_a_study_begins_with_the_prior_incumbents_and_one_probe() -> None:
    prior = surrogate(7)
    policy = transfer_policy(prior, best_of(prior))
    x = nothing()
    for seed in range(N_WARM_START_TRIALS):
        new = policy.propose(history(x), generator(seed)).x
        assert contains(best_of(prior), new) is (seed != 1)
        assert not len(x) or not contains(x, new)
        x = torch.cat([x, new[None]])
    assert float((x[1] - x[0]).norm()) > 0.3
    new = policy.propose(history(x), generator(9)).x
    assert not contains(best_of(prior), new)


def test_where_priors_contradict_one_another_the_middle_comes_before_the_probe() -> None:
    tasks = prior_studies(7, shuffled=True)
    model = PriorModel.fit(tasks)
    best = best_configurations(tasks)
    middle = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    for first in (best[:1], middle):
        policy = transfer_policy(TransferGaussianProcess(model, lambda x: x), best)
        x = first
        for seed in range(2):
            new = policy.propose(history(x), generator(seed)).x
            assert not contains(best, new)
            assert not contains(x, new)
            x = torch.cat([x, new[None]])
        assert contains(x[:2], middle[0])
        assert float((x[2] - x[:2]).norm(dim=1).min()) > 0.3


def test_with_few_prior_incumbents_the_search_begins_earlier() -> None:
    prior = surrogate(2)
    policy = transfer_policy(prior, best_of(prior))
    new = policy.propose(history(best_of(prior)), generator()).x
    assert not contains(best_of(prior), new)


def test_without_a_warm_start_the_first_point_is_no_prior_incumbent() -> None:
    prior = surrogate(7)
    policy = transfer_policy(prior, best_of(prior), n_warm_start=0)
    new = policy.propose(history(nothing()), generator()).x
    assert not contains(best_of(prior), new)


def test_the_warm_start_ends_once_trials_speak_against_the_priors() -> None:
    prior = surrogate(7)
    policy = transfer_policy(prior, best_of(prior))
    x = torch.cat([best_of(prior)[:2], torch.tensor([[0.1, 0.9], [0.0, 0.5]]).double()])
    proposal = policy.propose(history(x, -value(x)), generator())
    (predictor,) = proposal.predictors
    assert isinstance(predictor, TransferPredictor)
    assert predictor.rank_correlation < 0.0
    assert not contains(best_of(prior), proposal.x)


def test_priors_of_the_wrong_direction_help_to_find_the_optimum() -> None:
    prior = surrogate(7)
    policy = transfer_policy(prior, best_of(prior))
    x = nothing()
    for seed in range(8):
        new = policy.propose(history(x, -value(x)), generator(seed)).x
        x = torch.cat([x, new[None]])
    # The farthest corner from what was best before.
    assert float((x - torch.tensor([0.0, 1.0])).abs().sum(dim=1).min()) < 0.1


def test_startup_trials_that_were_asked_for_come_first_and_the_warm_start_after() -> None:
    prior = surrogate(7)
    policy = transfer_policy(prior, best_of(prior), n_space_filling=2)
    rng = generator()
    x = nothing()
    for expected in (False, False, True, False, True):
        new = policy.propose(history(x), rng).x
        assert contains(best_of(prior), new) is expected
        x = torch.cat([x, new[None]])


def test_what_no_prior_had_is_varied_in_the_warm_start() -> None:
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
    policy = transfer_policy(seen_from, prior_incumbents, unknown=("z", "kind"))
    found: list[dict[str, object]] = []
    y = torch.zeros(0, dtype=torch.float64)
    for seed in range(4):
        task = Task.of(space, found, y)
        new = policy.propose(task, generator(seed)).x
        found += space.decode(new.numpy()[None])
        assert seed == 1 or any(
            found[-1]["x"] == c["x"] and found[-1]["y"] == c["y"] for c in configurations
        )
        y = torch.cat([y, value(new[None][:, shared])])
    assert len({c["z"] for c in found}) > 1


def test_a_pending_incumbent_is_not_proposed_again() -> None:
    prior = surrogate(7)
    policy = transfer_policy(prior, best_of(prior))
    waiting = nothing()
    for seed in range(N_WARM_START_TRIALS):
        task = replace(history(nothing()), pending=waiting)
        new = policy.propose(task, generator(seed)).x
        assert contains(best_of(prior), new) is (seed != 1)
        assert not len(waiting) or not contains(waiting, new)
        waiting = torch.cat([waiting, new[None]])


# A surrogate without prior studies inside picks among the incumbents.
INCUMBENTS = torch.tensor([[0.1, 0.5], [0.9, 0.5], [0.3, 0.5]], dtype=torch.float64)


def loss_history(x: torch.Tensor, pending: torch.Tensor | None = None) -> Task:
    mask = torch.ones((len(x), 2), dtype=torch.bool)
    return Task(PLANE, x, -x[:, 0], mask, x[:0] if pending is None else pending, x[:0])


def scored(
    incumbents: torch.Tensor,
    n_warm_start: int = 3,
    n_space_filling: int = 0,
    unknown: tuple[str, ...] = (),
) -> AcquisitionPolicy[GaussianProcessPredictor]:
    design = InitialDesign(
        n_space_filling, incumbents, n_warm_start, unknown=unknown, n_completions=1
    )
    return AcquisitionPolicy(GaussianProcess(), design)


def propose(policy: AcquisitionPolicy[GaussianProcessPredictor], task: Task) -> torch.Tensor:
    return policy.propose(task, generator()).x


def is_incumbent(point: torch.Tensor) -> bool:
    return bool((point == INCUMBENTS).all(dim=1).any())


def test_the_first_trials_are_incumbents_and_later_ones_are_not() -> None:
    policy = scored(INCUMBENTS, 2)
    assert is_incumbent(propose(policy, loss_history(INCUMBENTS[:0])))
    assert is_incumbent(propose(policy, loss_history(INCUMBENTS[:1])))
    assert not is_incumbent(propose(policy, loss_history(INCUMBENTS[:2])))


def test_a_pending_incumbent_is_not_proposed_again_by_other_surrogates() -> None:
    policy = scored(INCUMBENTS)
    point = propose(policy, loss_history(INCUMBENTS[:1], pending=INCUMBENTS[1:2]))
    assert torch.equal(point, INCUMBENTS[2])


def test_the_warm_start_ends_where_all_incumbents_are_known() -> None:
    policy = scored(INCUMBENTS[:1])
    assert not is_incumbent(propose(policy, loss_history(INCUMBENTS[:1])))


def test_space_filling_trials_come_first_where_the_user_asks_for_them() -> None:
    policy = scored(INCUMBENTS, n_space_filling=1)
    assert not is_incumbent(propose(policy, loss_history(INCUMBENTS[:0])))
    assert is_incumbent(propose(policy, loss_history(INCUMBENTS[:1])))


def test_a_parameter_that_no_prior_had_gets_other_values_than_the_neutral_one() -> None:
    policy = scored(INCUMBENTS, unknown=("b",))
    point = propose(policy, loss_history(INCUMBENTS[:0]))
    assert float(point[0]) in INCUMBENTS[:, 0].tolist()
    assert float(point[1]) != 0.5


# Ordered points need no surrogate.
POINTS = torch.tensor([[0.3], [0.6], [0.9]], dtype=torch.float64)


def ask(values: list[float], pending: tuple[float, ...] = (), n_startup_trials: int = 0) -> float:
    task = Task.of(
        LINE,
        [{"a": v} for v in values],
        torch.tensor(values, dtype=torch.float64),
        pending=[{"a": v} for v in pending],
    )
    policy = AcquisitionPolicy(GaussianProcess(), InitialDesign(n_startup_trials, ordered=POINTS))
    return float(policy.propose(task, generator()).x[0])


def test_ordered_points_come_in_their_order() -> None:
    assert ask([]) == 0.3
    assert ask([0.3]) == 0.6
    assert ask([0.3, 0.6]) == 0.9


def test_an_ordered_point_that_is_pending_is_not_asked_for_again() -> None:
    assert ask([], pending=(0.3,)) == 0.6


def test_an_ordered_point_that_was_tried_already_is_left_out() -> None:
    assert ask([0.6]) == 0.3
    assert ask([0.3, 0.9]) == 0.6


def test_afterwards_the_model_decides() -> None:
    assert ask([0.3, 0.6, 0.9]) not in POINTS.flatten().tolist()


def test_space_filling_trials_come_before_ordered_points() -> None:
    assert ask([], n_startup_trials=1) not in POINTS.flatten().tolist()
    assert ask([0.1], n_startup_trials=1) == 0.3

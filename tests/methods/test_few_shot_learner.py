"""The learner of few-shot networks, by every rule."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from optuna_metasampler.meta_train.loop import TrainConfig, Trainer
from optuna_metasampler.methods.few_shot.learner import (
    EpisodeConfig,
    FewShotLearner,
    few_shot_loss,
)
from optuna_metasampler.methods.few_shot.rules import Rule, implicit_maml, joint, maml, reptile
from optuna_metasampler.methods.few_shot.surrogate import FewShotNetworks
from optuna_metasampler.methods.networks import initial
from optuna_metasampler.task import Task
from tests.tasks import cube, generator


SPACE = cube("ab")
RULES = {
    "joint": joint,
    "maml": partial(maml, n_steps=3),
    "first-order maml": partial(maml, n_steps=3, first_order=True),
    "reptile": partial(reptile, n_steps=3),
    "imaml": partial(implicit_maml, n_steps=5, pull=1.0),
    "first-order imaml": partial(implicit_maml, n_steps=5, pull=1.0, first_order=True),
}


def studies(k: int, n: int = 40) -> list[Task]:
    """Quadratics whose optima lie near each other."""
    g = generator(3)
    tasks = []
    for _ in range(k):
        x = torch.rand((n, 2), generator=g, dtype=torch.float64)
        optimum = 0.4 + 0.2 * torch.rand(2, generator=g, dtype=torch.float64)
        mask = torch.ones((n, 2), dtype=torch.bool)
        tasks.append(Task(SPACE, x, -((x - optimum) ** 2).sum(1), mask, x[:0], x[:0]))
    return tasks


def learner(rule: Rule, learn_rates: bool = False) -> FewShotLearner:
    g = generator()
    weights = initial((2, 16, 16, 1), [3], g)
    pull = 1.0 if isinstance(rule, partial) and rule.func is implicit_maml else 0.0
    networks = FewShotNetworks(tuple(weights), (torch.tensor(0.05),) * 6, 3, pull)
    return FewShotLearner(studies(5), networks, rule, learn_rates, g)


def held_out_loss(networks: FewShotNetworks) -> float:
    new = learner(joint).records.of(studies(8)[5:])
    config = EpisodeConfig((12, 20), n_repeats=4)
    return few_shot_loss(networks, new, torch.arange(3), config, generator(1))


@pytest.mark.parametrize(
    ("rule", "learn_rates"),
    [*((rule, False) for rule in RULES), ("maml", True), ("first-order maml", True)],
)
def test_meta_training_lowers_the_few_shot_loss_on_new_studies(
    rule: str, learn_rates: bool
) -> None:
    trained = learner(RULES[rule], learn_rates)
    before = held_out_loss(trained.networks())
    config = TrainConfig(n_steps=60, learning_rate=1e-2, n_validations=4)
    Trainer().run(trained, config, generator())
    assert held_out_loss(trained.networks()) < 0.8 * before


def test_step_sizes_are_learned_one_by_one_and_stay_positive() -> None:
    trained = learner(partial(maml, n_steps=3), learn_rates=True)
    Trainer().run(trained, TrainConfig(n_steps=10), generator())
    for rate, w in zip(trained.networks().rates, trained.networks().weights, strict=True):
        assert rate.shape == w.shape
        assert float(rate.min()) > 0.0
    assert float(trained.networks().rates[0].std()) > 0.0


def test_a_state_is_restored_to_the_bit() -> None:
    trained = learner(partial(maml, n_steps=3), learn_rates=True)
    state = trained.state()
    before = trained.networks()
    Trainer().run(trained, TrainConfig(n_steps=5), generator())
    assert not torch.equal(trained.networks().weights[0], before.weights[0])
    trained.load(state)
    for a, b in zip(trained.networks().weights, before.weights, strict=True):
        assert torch.equal(a, b)


def test_the_same_seed_gives_the_same_weights() -> None:
    found = []
    for _ in range(2):
        trained = learner(partial(maml, n_steps=2))
        Trainer().run(trained, TrainConfig(n_steps=5), generator(4))
        found.append(trained.networks())
    for a, b in zip(found[0].weights, found[1].weights, strict=True):
        assert torch.equal(a, b)


def test_members_start_apart_and_stay_apart() -> None:
    trained = learner(joint)
    Trainer().run(trained, TrainConfig(n_steps=20), generator())
    first, second, _ = trained.networks().weights[0]
    assert not torch.allclose(first, second, atol=0.1)

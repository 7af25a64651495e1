"""The methods with few-shot networks: in live studies, in checkpoints, and their options."""

from __future__ import annotations

from functools import cache
import math
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution
import pytest
import torch

from optuna_metasampler.meta_train.episodes import StudyRecords
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods import method_of
from optuna_metasampler.methods.few_shot.learner import EpisodeConfig, few_shot_loss
from optuna_metasampler.methods.few_shot.method import FewShotMethod
from optuna_metasampler.methods.few_shot.surrogate import FewShotNetworks
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task
from tests.tasks import cube, generator


QUICK: dict[str, dict[str, Any]] = {
    "fine-tune": {"n_meta_steps": 20, "frozen_layers": 1},
    "maml": {"n_meta_steps": 6, "n_inner_steps": 2},
    "reptile": {"n_meta_steps": 6, "n_inner_steps": 2},
    "meta-sgd": {"n_meta_steps": 6, "n_inner_steps": 2},
    "imaml": {"n_meta_steps": 6, "n_inner_steps": 3, "n_conjugate_steps": 2},
    "meta-random-search": {"n_candidates": 3, "n_finalists": 2},
}
SPACE = SearchSpace.of({"a": FloatDistribution(0, 1), "b": CategoricalDistribution(["x", "y"])})
each_method = pytest.mark.parametrize("name", QUICK)


def method(name: str) -> FewShotMethod:
    found = method_of(name, QUICK[name])
    assert isinstance(found, FewShotMethod)
    return found


def tasks(k: int = 4, n: int = 12) -> list[Task]:
    g = generator()
    found = []
    for _ in range(k):
        a = torch.rand(n, generator=g).tolist()
        configurations: list[dict[str, object]] = [
            {"a": v, "b": "xy"[i % 2]} for i, v in enumerate(a)
        ]
        y = torch.tensor([-((v - 0.3) ** 2) + 0.1 * (i % 2) for i, v in enumerate(a)])
        found.append(Task.of(SPACE, configurations, y.double()))
    return found


@cache
def learn(name: str, k: int = 4) -> FewShotNetworks:
    """What was learned from some studies; not to change."""
    return method(name).learn(tasks(k), generator(1), Trainer())


@each_method
def test_a_checkpoint_of_other_shapes_is_refused(name: str) -> None:
    packed = method(name).pack(learn(name))
    other = cube("a")
    with pytest.raises(ValueError, match=r"weight\.0"):
        method(name).unpack(other, packed)
    for missing in packed:
        rest = {k: t for k, t in packed.items() if k != missing}
        with pytest.raises((KeyError, ValueError)):
            method(name).unpack(SPACE, rest)
    for key, value in (("n_steps", -1), ("pull", -1.0), ("rate.0", -1.0)):
        with pytest.raises(ValueError, match="negative"):
            method(name).unpack(SPACE, packed | {key: torch.tensor(value)})
    with pytest.raises(ValueError, match=r"weight\.1"):
        method(name).unpack(SPACE, packed | {"weight.1": torch.full((1, 1, 1), math.nan)})


def test_held_layers_stay_as_they_were_trained() -> None:
    networks = learn("fine-tune")
    history = tasks(1)[0]
    adapted = networks.adapt(history.x.float(), (history.y - history.y.mean()).float())
    assert torch.equal(adapted[0], networks.weights[0])
    assert not torch.equal(adapted[2], networks.weights[2])


def test_only_meta_sgd_learns_a_step_size_for_every_weight() -> None:
    for name in QUICK:
        learned = learn(name, k=1)
        shapes = [rate.shape for rate in learned.rates]
        assert (shapes == [w.shape for w in learned.weights]) == (name == "meta-sgd")


def test_a_search_of_more_candidates_is_not_worse_on_the_same_studies() -> None:
    # With fewer than four studies none is held out: the best of more draws is never worse.

    prior = tasks(3)
    losses = []
    for n in (1, 8):
        search = method_of("meta-random-search", {"n_candidates": n, "n_members": 2})
        learned = search.learn(prior, generator(5), Trainer())
        losses.append(
            few_shot_loss(
                learned,
                StudyRecords.of(prior),
                torch.arange(3),
                EpisodeConfig(n_repeats=8),
                generator(6),
            )
        )
    assert losses[1] < losses[0]

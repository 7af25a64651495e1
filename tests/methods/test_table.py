"""The table of methods, and what every method in it keeps to."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
import json
import re
from typing import Any

import optuna
import pytest
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.exceptions import MethodError
from optuna_metasampler.methods import METHODS, method_of
from optuna_metasampler.methods.base import Method
from optuna_metasampler.methods.default import Auto
from optuna_metasampler.prior_knowledge import PriorKnowledge
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.sources import read_priors
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task
from tests.methods.studies import run_live

# What a method learns with these is of no use.
from tests.regression.studies import METHODS as LIGHT
from tests.studies import random_study
from tests.tasks import generator


each_method = pytest.mark.parametrize("name", METHODS)


def flat(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 0, 9)


def flat_studies(n: int) -> list[optuna.Study]:
    return [random_study(flat, 6, seed) for seed in range(n)]


@each_method
def test_a_method_names_itself_and_its_source(name: str) -> None:
    method = method_of(name)
    assert method.name == name
    assert type(method).__doc__
    text = f"{type(method).__doc__} {__import__(type(method).__module__, fromlist=['x']).__doc__}"
    if name not in ("auto", "gp"):
        assert re.search(r"arXiv:\d{4}\.\d{4,5}|\b(19|20)\d\d\b", text), f"{name} names no source"


@each_method
def test_options_can_be_written_to_a_file_and_back(name: str) -> None:
    method = method_of(name)
    options = json.loads(json.dumps(asdict(method)))
    assert method_of(name, options) == method


@each_method
def test_an_unknown_option_is_an_error_that_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="unheard") as error:
        MetaSampler(flat_studies(1), method=name, method_options={"unheard": 1})
    for field in fields(type(method_of(name))):
        assert repr(field.name) in str(error.value)


@each_method
def test_a_method_that_needs_priors_is_refused_without_at_once(name: str) -> None:
    needed = method_of(name).min_studies
    if needed == 0:
        MetaSampler(method=name)
        return
    with pytest.raises(MethodError, match=rf"{re.escape(repr(name))} learns from prior.*{needed}"):
        MetaSampler(method=name)


@each_method
def test_too_few_priors_are_an_error_that_counts_them(name: str) -> None:
    needed = method_of(name).min_studies
    if needed < 2:
        return
    study = optuna.create_study(sampler=MetaSampler(flat_studies(needed - 1), method=name))
    with pytest.raises(MethodError, match=rf"there are {needed - 1}"):
        study.optimize(flat, n_trials=1)


@each_method
def test_what_was_learned_comes_back_from_its_tensors_and_suggests_the_same(name: str) -> None:
    method = method_of(name, LIGHT[name])
    studies = read_priors(flat_studies(4))
    knowledge = PriorKnowledge.from_pool(
        pool(studies, studies[0].directions or ()), method, seed=0
    )
    prior = knowledge.in_common_space((1.0,))
    packed = method.pack(prior.learned)
    before = {key: tensor.clone() for key, tensor in packed.items()}
    again = replace(prior, learned=method.unpack(prior.space, packed))
    repacked = method.pack(again.learned)
    assert repacked.keys() == packed.keys()
    assert all(torch.equal(repacked[key], tensor) for key, tensor in packed.items())
    configurations = [{"x": 0.1, "n": 3}, {"x": 0.9, "n": 8}, {"x": 0.4, "n": 0}]
    proposed = []
    for known in (prior, again):
        policy = method.policy(prior.space, [known], None)
        for n in (0, 1, 3):
            y = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)[:n]
            history = Task.of(prior.space, configurations[:n], y)
            x = policy.propose(history, generator(n)).x
            assert torch.equal(x, torch.tensor(prior.space.project(x.numpy()[None]))[0])
            proposed.append(x)
    assert torch.equal(torch.stack(proposed[:3]), torch.stack(proposed[3:]))
    # Nothing of one study is left in what was learned for the next.
    for key, tensor in method.pack(prior.learned).items():
        assert torch.equal(tensor, before[key])


@each_method
def test_tensors_of_another_shape_are_refused(name: str) -> None:
    method = method_of(name)
    if name == "gp":
        return
    space = SearchSpace.laid_out({"x": optuna.distributions.FloatDistribution(0, 1)})
    with pytest.raises((KeyError, ValueError)):
        method.unpack(space, {})
    with pytest.raises((KeyError, ValueError)):
        method.unpack(space, {"best": torch.zeros(2, 7), "x": torch.zeros(3)})


@each_method
def test_a_live_study_of_a_mixed_and_conditional_space_can_be_repeated(name: str) -> None:
    state = torch.get_rng_state()
    runs = [run_live(name, LIGHT[name], 6) for _ in range(2)]
    assert runs[0] == runs[1]
    assert len({json.dumps(params, sort_keys=True) for params in runs[0]}) == 6
    assert torch.equal(torch.get_rng_state(), state)


@each_method
def test_a_finite_space_is_searched_without_repetition(name: str) -> None:
    def grid(trial: optuna.Trial) -> float:
        n = trial.suggest_int("n", 0, 3)
        return n + {"a": 0.5, "b": 0.0}[trial.suggest_categorical("kind", ["a", "b"])]

    old = [random_study(grid, 6, seed) for seed in range(3)]
    sampler = MetaSampler(old, method=name, method_options=LIGHT[name], seed=1)
    study = optuna.create_study(sampler=sampler)
    study.optimize(grid, n_trials=8)
    assert len({tuple(sorted(t.params.items())) for t in study.trials}) == 8


def test_a_method_itself_may_be_given() -> None:
    study = optuna.create_study(sampler=MetaSampler(flat_studies(2), method=Auto(), seed=0))
    study.optimize(flat, n_trials=3)
    assert len(study.trials) == 3
    with pytest.raises(TypeError, match="method_options"):
        MetaSampler(method=Auto(), method_options={"a": 1})


@pytest.mark.parametrize("wrong", [3, None, Auto, "AUTO", "Auto", "tpe", ""])
def test_a_wrong_method_is_an_error_that_lists_the_right_ones(wrong: Any) -> None:
    with pytest.raises(ValueError, match="`method` must be one of 'auto', 'gp'"):
        MetaSampler(method=wrong)


def test_every_method_is_a_class_of_its_own() -> None:
    kinds = [type(method_of(name)) for name in METHODS]
    assert len(set(kinds)) == len(kinds)
    assert all(issubclass(kind, Method) for kind in kinds)

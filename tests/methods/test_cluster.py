"""`cluster`: the group of prior studies that is nearest leads."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.methods.base import AlignedPrior
from optuna_metasampler.methods.cluster import Cluster, NearestGroupPolicy
from optuna_metasampler.prior_knowledge import PriorKnowledge
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.sources import read_priors
from optuna_metasampler.task import Task
from tests.studies import random_study
from tests.tasks import generator, task_of, uniform


LOW, HIGH = 0.1, 0.9


def objective(trial: optuna.Trial, optimum: float) -> float:
    return (trial.suggest_float("x", 0, 1) - optimum) ** 2 + 0.1 * trial.suggest_float("y", 0, 1)


def studies(*optima: float, features: bool = False) -> list[optuna.Study]:
    made = []
    for seed, optimum in enumerate(optima):
        study = random_study(lambda t, o=optimum: objective(t, o), 20, seed=seed)
        if features:
            study.set_user_attr("n_rows", 100 if optimum == LOW else 10_000)
            study.set_user_attr("note", "not a number")
        made.append(study)
    return made


def learned(method: Cluster, priors: list[optuna.Study]) -> AlignedPrior:
    read = read_priors(priors)
    knowledge = PriorKnowledge.from_pool(
        pool(read, [optuna.study.StudyDirection.MINIMIZE]), method, seed=0
    )
    return knowledge.in_common_space((1.0,))


def policy_of(method: Cluster, prior: AlignedPrior) -> NearestGroupPolicy:
    policy = method.policy(prior.space, [prior], None)
    assert isinstance(policy, NearestGroupPolicy)
    return policy


def history(prior: AlignedPrior, optimum: float, n: int, **features: float) -> Task:
    x = uniform(n, seed=3)
    y = -((x[:, 0] - optimum) ** 2) - 0.1 * x[:, 1]
    return replace(task_of(prior.space, x, y), features=features)


BASE = Cluster(base="fine-tune", base_options={"n_meta_steps": 20})


def test_the_group_that_agrees_with_the_trials_leads() -> None:
    prior = learned(BASE, studies(LOW, HIGH, LOW, HIGH, LOW))
    assert [len(m) for m in prior.learned.members] == [3, 2]
    policy = policy_of(BASE, prior)
    assert policy.nearest(history(prior, HIGH, 6)) == 1
    assert policy.nearest(history(prior, LOW, 6)) == 0


def test_before_any_trial_the_larger_group_leads() -> None:
    prior = learned(BASE, studies(LOW, HIGH, HIGH, HIGH, LOW))
    assert policy_of(BASE, prior).nearest(history(prior, LOW, 0)) == 0
    assert prior.learned.members[0] == (1, 2, 3)


def test_meta_features_choose_the_group_before_any_trial() -> None:
    prior = learned(BASE, studies(LOW, HIGH, LOW, HIGH, LOW, features=True))
    assert prior.learned.names == ("n_rows",)
    policy = policy_of(BASE, prior)
    assert policy.nearest(history(prior, LOW, 0, n_rows=9_000.0)) == 1
    assert policy.nearest(history(prior, LOW, 0, n_rows=150.0)) == 0
    # Without them it is the larger one, and trials have the last word.
    assert policy.nearest(history(prior, LOW, 0)) == 0
    assert policy.nearest(history(prior, LOW, 12, n_rows=9_000.0)) == 0


def test_the_user_attributes_of_the_running_study_reach_the_policy() -> None:
    priors = studies(LOW, HIGH, LOW, HIGH, LOW, features=True)
    first = {}
    for n_rows in (120, 11_000):
        sampler = MetaSampler(
            priors, method="cluster", method_options={"base_options": {"n_meta_steps": 20}}, seed=0
        )
        study = optuna.create_study(sampler=sampler)
        study.set_user_attr("n_rows", n_rows)
        study.optimize(lambda t: objective(t, LOW), n_trials=1)
        first[n_rows] = study.trials[0].params["x"]
    assert abs(first[120] - LOW) < 0.3
    assert abs(first[11_000] - HIGH) < 0.3


@pytest.mark.parametrize("base", ["fine-tune", "maml", "deep-kernel", "auto"])
def test_it_wraps_other_methods_and_comes_back_from_tensors(base: str) -> None:
    options = {"fine-tune": {"n_meta_steps": 10}, "maml": {"n_meta_steps": 5}}
    options["deep-kernel"] = {"n_steps": 10}
    method = Cluster(base=base, base_options=options.get(base, {}))
    prior = learned(method, studies(LOW, HIGH, LOW, HIGH))
    again = method.unpack(prior.space, method.pack(prior.learned))
    assert again.members == prior.learned.members
    task = history(prior, HIGH, 5)
    proposed = []
    for known in (prior.learned, again):
        seen = replace(prior, learned=known)
        proposed.append(policy_of(method, seen).propose(task, generator()).x)
    assert torch.equal(*proposed)


def test_members_that_there_are_not_are_refused() -> None:
    prior = learned(BASE, studies(LOW, HIGH, LOW, HIGH))
    tensors = BASE.pack(prior.learned) | {"group.0.members": torch.tensor([0, 99])}
    with pytest.raises(ValueError, match="indices of 4 studies"):
        BASE.unpack(prior.space, tensors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "lstm"}, "'fine-tune', .*'lstm'"),
        ({"base": "cluster"}, "'cluster'"),
        ({"base_options": 3}, "mapping"),
        ({"base_options": {"unheard": 1}}, "unheard"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cluster(**options)  # type: ignore[arg-type]

"""``lstm`` and ``q-learning``: their options, their checkpoints, and whole studies with priors."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import optuna
import pytest
import torch

from benchmarks.problems.base import suggest
from optuna_metasampler import MetaSampler
from optuna_metasampler.exceptions import MethodError
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods import method_of
from optuna_metasampler.methods.base import AlignedPrior, Method
from tests.methods.studies import SUITE, suite_priors
from tests.tasks import MIXED, generator, study


LSTM: dict[str, Any] = {"n_steps": 3, "horizon": 4, "n_rollouts": 4, "width": 8}
Q_LEARNING: dict[str, Any] = {"n_steps": 10, "horizon": 4, "n_parallel": 8, "width": 8}
QUICK = {"lstm": LSTM, "q-learning": Q_LEARNING}

each_method = pytest.mark.parametrize("name", ["lstm", "q-learning"])


def quick(name: str) -> Method:
    return method_of(name, QUICK[name])


@cache
def learned(name: str) -> Any:
    """What was learned from three studies; not to change."""
    tasks = [study(MIXED, seed) for seed in range(3)]
    return quick(name).learn(tasks, generator(), Trainer())


def sampler(name: str, seed: int = 0) -> MetaSampler:
    priors = suite_priors(SUITE, SUITE.targets[0], seed)
    return MetaSampler(priors, method=name, method_options=QUICK[name], seed=seed)


@each_method
def test_it_goes_on_where_trials_failed_or_are_still_running(name: str) -> None:
    live = optuna.create_study(direction=SUITE.direction, sampler=sampler(name))
    asked = []
    for i in range(5):
        trial = live.ask()
        asked.append(suggest(trial, SUITE.parameters))
        if i == 1:
            live.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif i != 2:
            live.tell(trial, float(i))
    assert len({tuple(sorted(map(str, params.items()))) for params in asked}) == 5


@each_method
def test_a_study_with_other_parameters_is_refused_by_name(name: str) -> None:
    live = optuna.create_study(direction=SUITE.direction, sampler=sampler(name))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("quite_another", 0, 1)
        return float(len(suggest(trial, SUITE.parameters)))

    with pytest.raises(MethodError, match=rf"{name}.*quite_another.*'auto'"):
        live.optimize(objective, n_trials=4)


@each_method
def test_nonsense_is_not_unpacked(name: str) -> None:
    method, packed = quick(name), quick(name).pack(learned(name))
    with pytest.raises(KeyError):
        method.unpack(MIXED, {k: t for k, t in packed.items() if k != "weight.1"})
    with pytest.raises(ValueError, match=r"weight\.1"):
        method.unpack(MIXED, {**packed, "weight.1": torch.zeros(3)})
    with pytest.raises((KeyError, ValueError)):
        method.unpack(MIXED, {})
    scalars = {key: torch.tensor(1.0) for key in packed}
    with pytest.raises(ValueError, match=r"weight\.\d"):
        method.unpack(MIXED, scalars)


@each_method
def test_proposals_leave_what_was_learned_bit_identical_and_know_no_other_study(name: str) -> None:
    method, knowledge = quick(name), learned(name)
    prior = AlignedPrior(MIXED, knowledge, lambda x: x, lambda x: x, study(MIXED, 7).x[:3])
    before = {key: t.clone() for key, t in method.pack(knowledge).items()}
    policy = method.policy(MIXED, [prior], None)
    first = policy.propose(study(MIXED, 4, n=6), generator()).x
    policy.propose(replace(study(MIXED, 5), name="another"), generator(1))
    assert torch.equal(policy.propose(study(MIXED, 4, n=6), generator()).x, first)
    after = method.pack(knowledge)
    assert all(torch.equal(after[key], before[key]) for key in before)


@each_method
def test_space_filling_trials_come_first_where_they_are_asked_for(name: str) -> None:
    method, knowledge = quick(name), learned(name)
    prior = AlignedPrior(MIXED, knowledge, lambda x: x, lambda x: x, study(MIXED, 7).x[:3])
    empty = study(MIXED, 4, n=1)
    nothing = replace(empty, x=empty.x[:0], y=empty.y[:0], mask=empty.mask[:0])
    plain, filling = (
        method.policy(MIXED, [prior], n).propose(nothing, generator()).x for n in (0, 1)
    )
    assert not torch.equal(plain, filling)

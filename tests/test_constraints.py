"""Constraints and failures in live studies, in every form that Optuna has for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
import pickle

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState
import pytest

from optuna_metasampler import MetaSampler


# Optuna 5 has constraints of its own; before, only samplers had.
IN_OBJECTIVE = hasattr(optuna.trial.Trial, "set_constraint")


def ask(trial: optuna.Trial) -> tuple[float, float]:
    return trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)


def violation(params: dict[str, float]) -> float:
    """Above 0 in all but the corner of small ``x`` and ``y``."""
    return max(params["x"], params["y"]) - 0.4


def values(trial: FrozenTrial) -> Sequence[float]:
    return trial.params["x"] - 0.4, trial.params["y"] - 0.4


def set_by_objective(trial: optuna.Trial) -> float:
    x, y = ask(trial)
    trial.set_constraint("x", x - 0.4)
    trial.set_constraint("y", y - 0.4)
    return -x - y


def plain(trial: optuna.Trial) -> float:
    x, y = ask(trial)
    return -x - y


def failing(trial: optuna.Trial) -> float:
    x, y = ask(trial)
    return math.nan if violation(trial.params) > 0 else -x - y


FORMS = [
    pytest.param(
        set_by_objective,
        None,
        id="set_constraint",
        marks=pytest.mark.skipif(not IN_OBJECTIVE, reason="trials have constraints from 5.0 on"),
    ),
    pytest.param(plain, values, id="constraints_func"),
]


def feasible(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and violation(trial.params) <= 0


def finished(
    objective: Callable[[optuna.Trial], float], sampler: optuna.samplers.BaseSampler, n: int
) -> optuna.Study:
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=n)
    return study


@pytest.mark.parametrize(("objective", "constraints_func"), FORMS)
def test_a_study_under_constraints_goes_to_the_edge_of_what_is_feasible(
    objective: Callable[[optuna.Trial], float],
    constraints_func: Callable[[FrozenTrial], Sequence[float]] | None,
) -> None:
    """Eighteen random trials would come so near to the optimum of -0.8 with probability 0.014."""
    study = finished(objective, MetaSampler(seed=0, constraints_func=constraints_func), 18)
    assert min(t.values[0] for t in study.trials if feasible(t)) < -0.76


def test_trials_that_fail_keep_others_away() -> None:
    """Random trials are feasible with probability 0.16, 5 or more of 10 with 0.013."""
    study = finished(failing, MetaSampler(seed=0), 18)
    assert sum(map(feasible, study.trials[8:])) >= 5


def test_prior_studies_say_where_not_to_begin() -> None:
    """No objective is better than at the forbidden end, and the priors' best trials are there."""
    ranges = {name: FloatDistribution(0, 1) for name in ("x", "y")}
    priors = []
    for seed in range(2):
        generator = np.random.default_rng(seed)
        study = optuna.create_study(study_name=f"prior {seed}")
        for _ in range(25):
            params = {name: float(generator.uniform()) for name in ranges}
            study.add_trial(
                optuna.trial.create_trial(
                    params=params,
                    distributions=dict(ranges),
                    value=-sum(params.values()),
                    system_attrs={"constraints": (violation(params),)},
                )
            )
        priors.append(study)
    study = finished(plain, MetaSampler(priors, seed=0, constraints_func=values), 1)
    assert feasible(study.trials[0])


@pytest.mark.parametrize("method", ["portfolio", "hyperband"])
def test_every_method_gets_through_a_study_with_violations_and_failures(method: str) -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = ask(trial)
        if x + y > 1.4:
            raise RuntimeError
        return -x - y

    prior = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    prior.optimize(objective, n_trials=12, catch=(RuntimeError,))
    sampler = MetaSampler(prior, method=method, seed=0, constraints_func=values)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=7, catch=(RuntimeError,))
    assert len(study.trials) == 7
    assert len({tuple(t.params.values()) for t in study.trials}) == 7


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_study_whose_trials_all_fail_or_all_violate_goes_on(share: float) -> None:
    def objective(trial: optuna.Trial) -> float:
        x, _ = ask(trial)
        return math.nan if share == 0.0 else x

    sampler = MetaSampler(seed=0, constraints_func=lambda trial: (1.0 + trial.params["x"],))
    study = finished(objective, sampler, 8)
    assert len({tuple(t.params.values()) for t in study.trials}) == 8


def test_several_objectives_under_a_constraint_reach_the_corner_of_what_is_feasible() -> None:
    """One of 28 random trials would with probability 0.013."""

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = ask(trial)
        return -x, -y

    sampler = MetaSampler(seed=0, constraints_func=lambda trial: (violation(trial.params),))
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(objective, n_trials=28)
    assert min(sum(t.values) for t in study.trials if feasible(t)) < -0.77


def test_a_study_without_violations_is_as_it_was_without_constraints() -> None:
    kept = finished(plain, MetaSampler(seed=3, constraints_func=lambda trial: (-1.0,)), 8)
    without = finished(plain, MetaSampler(seed=3), 8)
    assert [t.params for t in kept.trials] == [t.params for t in without.trials]


def test_constraints_are_asked_for_and_stored_as_by_samplers_of_optuna() -> None:
    study = finished(plain, MetaSampler(seed=0, constraints_func=values), 2)
    for trial in study.trials:
        assert list(trial.system_attrs["constraints"]) == list(values(trial))


def test_a_sampler_with_constraints_can_be_pickled() -> None:
    sampler = pickle.loads(pickle.dumps(MetaSampler(seed=0, constraints_func=values)))
    study = finished(plain, sampler, 2)
    assert all("constraints" in t.system_attrs for t in study.trials)

"""``hyperband``: studies whose trials are stopped early."""

from __future__ import annotations

from functools import partial

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

from optuna_metasampler import MetaSampler
from tests.recorder import Recorder
from tests.studies import random_study


def loop(trial: optuna.Trial, best: float) -> float:
    """A loss that falls over nine irregular steps to a level set by one of two parameters."""
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.suggest_float("y", 0.0, 1.0)
    loss = 0.0
    for step in (0, 1, 2, 5, 6, 9, 14, 20, 26):
        loss = abs(x - best) + 1.0 / (1.0 + step)
        trial.report(loss, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


def pruner(name: str) -> BasePruner:
    if name == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=27, reduction_factor=3)
    return SuccessiveHalvingPruner() if name == "halving" else NopPruner()


def priors(n: int = 3) -> list[optuna.Study]:
    return [random_study(partial(loop, best=0.3), 20, i, f"old-{i}") for i in range(n)]


@pytest.mark.parametrize("with_priors", [True, False], ids=["priors", "cold"])
@pytest.mark.parametrize("name", ["hyperband", "halving", "none"])
def test_the_optimum_is_found_under_every_pruner(name: str, with_priors: bool) -> None:
    sampler = MetaSampler(priors() if with_priors else None, method="hyperband", seed=0)
    study = optuna.create_study(sampler=sampler, pruner=pruner(name))
    study.optimize(lambda t: loop(t, 0.35), n_trials=20)
    assert {t.state for t in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert abs(study.best_params["x"] - 0.35) < 0.05


def test_a_bracket_sees_the_curves_of_all_brackets_and_of_running_trials() -> None:
    method = Recorder(learns_from_curves=True)
    study = optuna.create_study(
        sampler=MetaSampler(method=method, seed=0), pruner=pruner("hyperband")
    )
    study.optimize(lambda t: loop(t, 0.5), n_trials=8)
    running = study.ask()
    running.suggest_float("x", 0.0, 1.0)
    running.suggest_float("y", 0.0, 1.0)
    running.report(0.7, 4)
    study.ask().suggest_float("x", 0.0, 1.0)
    history = method.tasks[-1]
    assert history.curves is not None
    assert len(history.curves.trial.unique()) == 9
    mine = history.curves.trial == running.number
    assert history.curves.step[mine].tolist() == [4.0]
    assert history.curves.y[mine].tolist() == [-0.7]
    assert len(history.pending) == 1
    n_reports = sum(len(t.intermediate_values) for t in study.trials)
    n_completed = sum(t.state == TrialState.COMPLETE for t in study.trials)
    assert len(history.curves.y) == n_reports + n_completed


def test_only_a_method_that_asks_for_curves_gets_any() -> None:
    method = Recorder()
    study = optuna.create_study(sampler=MetaSampler(method=method, seed=0))
    study.optimize(lambda t: loop(t, 0.5), n_trials=3)
    assert all(task.curves is None for task in method.tasks)


def test_the_first_trials_of_a_study_are_the_best_of_its_priors() -> None:
    old = priors()
    study = optuna.create_study(
        sampler=MetaSampler(old, method="hyperband", seed=0), pruner=pruner("hyperband")
    )
    study.optimize(lambda t: loop(t, 0.35), n_trials=3)
    best = [s.best_params["x"] for s in old]
    for trial in study.trials:
        assert min(abs(trial.params["x"] - x) for x in best) < 1e-6


def test_a_real_training_loop_is_tuned_in_few_epochs() -> None:
    x, y = load_digits(return_X_y=True)
    x = x / 16.0

    def train(trial: optuna.Trial, first: int) -> float:
        model = SGDClassifier(
            alpha=trial.suggest_float("alpha", 1e-7, 1e2, log=True),
            learning_rate="constant",
            eta0=trial.suggest_float("rate", 1e-6, 1e2, log=True),
            random_state=0,
        )
        score = 0.0
        for epoch in range(9):
            model.partial_fit(x[first : first + 300], y[first : first + 300], classes=range(10))
            score = float(model.score(x[-600:], y[-600:]))
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    def study(sampler: optuna.samplers.BaseSampler, first: int, n_trials: int) -> optuna.Study:
        made = optuna.create_study(
            direction="maximize",
            sampler=sampler,
            pruner=HyperbandPruner(max_resource=9),
            study_name=f"from-{first}",
        )
        made.optimize(lambda t: train(t, first), n_trials=n_trials)
        return made

    old = [study(optuna.samplers.RandomSampler(seed=i), 300 * i, 20) for i in range(2)]
    new = study(MetaSampler(old, method="hyperband", seed=0), 600, 8)
    random = study(optuna.samplers.RandomSampler(seed=9), 600, 8)
    reached = [t.intermediate_values[0] for t in new.trials]
    assert np.mean(reached) > np.mean([t.intermediate_values[0] for t in random.trials])
    assert new.best_value > 0.8

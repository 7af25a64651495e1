"""``hyperband``: studies whose trials are stopped early."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
import torch

from benchmarks.problems.base import suggest
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from optuna_metasampler import MetaSampler
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods.base import Method, Priors
from optuna_metasampler.methods.hyperband import Hyperband
from optuna_metasampler.policies.base import Phase, Policy, Proposal
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


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
    made = []
    for i in range(n):
        sampler = optuna.samplers.RandomSampler(seed=i)
        study = optuna.create_study(study_name=f"old-{i}", sampler=sampler)
        study.optimize(lambda t: loop(t, 0.3), n_trials=20)
        made.append(study)
    return made


class Watched(Method):
    """Keeps the tasks that it is shown."""

    name = "watched"
    min_studies = 0
    learns_from_curves = True
    shown: ClassVar[list[Task]] = []

    def learn(self, tasks: Any, generator: torch.Generator, trainer: Trainer) -> None: ...

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        return self

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        self.shown.append(history)
        x = np.random.default_rng(len(self.shown)).random((1, len(history.space.parameters)))
        return Proposal(torch.tensor(history.space.spread(x)[0]), Phase.POLICY)

    def pack(self, learned: None) -> dict[str, torch.Tensor]:
        return {}

    def unpack(self, space: SearchSpace, tensors: Any) -> None: ...


@pytest.mark.parametrize("with_priors", [True, False], ids=["priors", "cold"])
@pytest.mark.parametrize("name", ["hyperband", "halving", "none"])
def test_the_optimum_is_found_under_every_pruner(name: str, with_priors: bool) -> None:
    sampler = MetaSampler(priors() if with_priors else None, method="hyperband", seed=0)
    study = optuna.create_study(sampler=sampler, pruner=pruner(name))
    study.optimize(lambda t: loop(t, 0.35), n_trials=20)
    assert {t.state for t in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert abs(study.best_params["x"] - 0.35) < 0.05


def test_a_bracket_sees_the_curves_of_all_brackets_and_of_running_trials() -> None:
    method = Watched()
    method.shown.clear()
    study = optuna.create_study(
        sampler=MetaSampler(method=method, seed=0), pruner=pruner("hyperband")
    )
    study.optimize(lambda t: loop(t, 0.5), n_trials=8)
    running = study.ask()
    running.suggest_float("x", 0.0, 1.0)
    running.suggest_float("y", 0.0, 1.0)
    running.report(0.7, 4)
    study.ask().suggest_float("x", 0.0, 1.0)
    history = method.shown[-1]
    assert history.curves is not None
    assert len(history.curves.trial.unique()) == 9
    mine = history.curves.trial == running.number
    assert history.curves.step[mine].tolist() == [4.0]
    assert history.curves.y[mine].tolist() == [-0.7]
    assert len(history.pending) == 1
    n_reports = sum(len(t.intermediate_values) for t in study.trials)
    n_completed = sum(t.state == TrialState.COMPLETE for t in study.trials)
    assert len(history.curves.y) == n_reports + n_completed


def test_only_a_method_that_asks_for_curves_is_shown_any() -> None:
    class Blind(Watched):
        learns_from_curves = False

    method = Blind()
    method.shown.clear()
    study = optuna.create_study(sampler=MetaSampler(method=method, seed=0))
    study.optimize(lambda t: loop(t, 0.5), n_trials=3)
    assert all(task.curves is None for task in method.shown)


def test_the_first_trials_of_a_study_are_favourites_of_its_priors() -> None:
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


def test_a_mixed_conditional_space_without_any_report_is_served() -> None:
    suite = SyntheticSuite(0.9)
    target = suite.targets[0]
    logs = prior_logs("random-5", suite, target, 0)
    objective = suite.objective(target)

    def run() -> list[float]:
        sampler = MetaSampler(list(setting_of(suite, logs, 0).priors), method="hyperband", seed=0)
        study = optuna.create_study(direction=suite.direction, sampler=sampler)
        study.optimize(lambda t: objective(suggest(t, suite.parameters)), n_trials=8)
        return [float(t.values[0]) for t in study.trials]

    assert run() == run()


def test_what_was_learned_survives_packing_exactly() -> None:
    space = SearchSpace.of(
        {name: optuna.distributions.FloatDistribution(0, 1) for name in ("x", "y")}
    )
    generator = torch.Generator(device="cpu").manual_seed(0)
    tasks = []
    for _ in range(3):
        x = torch.rand((10, 2), generator=generator, dtype=torch.float64)
        tasks.append(Task.of(space, space.decode(x.numpy()), x[:, 0]))
    method = Hyperband()
    learned = method.learn(tasks, generator, Trainer())
    again = method.unpack(space, method.pack(learned))
    query = torch.rand((5, 2), generator=generator, dtype=torch.float64)
    assert torch.equal(learned(query), again(query))


@pytest.mark.parametrize("value", [-1, 1.5, True, "5"])
def test_an_option_out_of_range_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match="`n_warm_start` must be"):
        Hyperband(n_warm_start=value)

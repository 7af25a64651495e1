"""Seeded studies whose suggestions are kept, and the files that keep them.

``golden.json`` holds them to four digits, and the kernels of linear algebra that they were
computed with: another processor adds up in another order, and the difference grows from trial to
trial. ``exact.json`` holds every bit, for one machine: write it before a change, and check it
afterwards.

    python -m tests.regression.studies --write-exact
    python -m tests.regression.studies --check-exact

Nothing but the public interface of the package is used here, so that no renaming inside of it
breaks this file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
import contextlib
import csv
from functools import partial
import json
import math
from multiprocessing import get_context
import os
from pathlib import Path
import pickle
import sys
import tempfile
import time
from typing import Any, TypeAlias
import warnings

import optuna
from optuna.distributions import FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import HyperbandPruner, MedianPruner
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from threadpoolctl import threadpool_info
import torch

from optuna_metasampler import MetaSampler, PriorFilter, Table, fit


GOLDEN = Path(__file__).with_name("golden.json")
EXACT = Path(__file__).with_name("exact.json")
KERNELS = "kernels"
"""The entry of both files beside the scenarios."""

Outcome: TypeAlias = "optuna.Study | list[FrozenTrial]"
Objective: TypeAlias = "Callable[[Trial], float | Sequence[float]]"

SCENARIOS: dict[str, Callable[[], Outcome]] = {}
WITH_ATTRIBUTES = frozenset({"attributes", "attributes_of_two_objectives"})
"""Scenarios of which is kept, too, what the sampler wrote down about each trial."""


def scenario(function: Callable[[], Outcome]) -> Callable[[], Outcome]:
    SCENARIOS[function.__name__] = function
    return function


# --------------------------------------------------------------------------------------------
# Objectives. All are 1 or more: a relative tolerance means nothing near 0.


def mixed(trial: Trial, shift: float = 0.0, sign: float = 1.0) -> float:
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    width = trial.suggest_float("width", 1.0, 5.0)
    depth = trial.suggest_int("depth", 1, 8)
    units = trial.suggest_int("units", 8, 256, log=True)
    kind = trial.suggest_categorical("kind", ["relu", "tanh", "gelu"])
    return sign * (
        1.0
        + (math.log10(lr) + 2.5 - shift) ** 2
        + 0.3 * (width - 3.0 - shift) ** 2
        + 0.1 * (depth - 4) ** 2
        + 0.2 * abs(math.log2(units) - 5.5)
        + {"relu": 0.0, "tanh": 0.4, "gelu": 0.2}[kind]
    )


def bowl(trial: Trial, a: float = 2.0, b: float = 4.0) -> float:
    x = trial.suggest_float("x", 1.0, 5.0)
    y = trial.suggest_float("y", 1.0, 5.0)
    return 1.0 + (x - a) ** 2 + (y - b) ** 2


def conditional(trial: Trial, shift: float = 0.0) -> float:
    c = trial.suggest_float("c", 0.1, 10.0, log=True)
    if trial.suggest_categorical("model", ["svm", "forest"]) == "svm":
        gamma = trial.suggest_float("gamma", 1e-3, 1.0, log=True)
        return 1.5 + math.log10(c) ** 2 + (math.log10(gamma) + 1.5 - shift) ** 2
    depth = trial.suggest_int("depth", 2, 9)
    return 1.0 + (math.log10(c) - shift) ** 2 + 0.1 * (depth - 6) ** 2


def trade_off(trial: Trial, n: int = 2, shift: float = 0.0) -> tuple[float, ...]:
    x = trial.suggest_float("x", 1.0, 5.0)
    y = trial.suggest_float("y", 1.0, 5.0)
    return tuple(1.0 + (x - 1 - 4 * i / n - shift) ** 2 + 0.5 * (y - i) ** 2 for i in range(n))


def curve(trial: Trial, a: float = 2.0, n_steps: int = 9) -> float:
    """Reports on its way, and lets itself be pruned."""
    end = bowl(trial, a)
    for step in range(1, n_steps + 1):
        trial.report(end + 3.0 / step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return end + 3.0 / n_steps


def stairs(trial: Trial, a: float = 2.0) -> float:
    return float(math.floor(bowl(trial, a) / 4.0)) + 1.0


def failing(trial: Trial) -> float:
    value = bowl(trial)
    if trial.params["x"] > 4.0:
        raise RuntimeError("out of memory")
    return math.nan if trial.params["y"] < 1.5 else value


def constrained(trial: Trial, a: float = 4.0) -> float:
    value = bowl(trial, a)
    # As `constraints_func` has it below, for prior studies, whose sampler takes none.
    trial.set_user_attr("excess", trial.params["x"] + trial.params["y"] - 6.0)
    return value


def excess(trial: FrozenTrial) -> tuple[float, ...]:
    return (trial.user_attrs["excess"],)


def set_constraint(trial: Trial, a: float = 4.0) -> float:
    value = bowl(trial, a)
    trial.set_constraint("budget", trial.params["x"] + trial.params["y"] - 6.0)
    return value


# --------------------------------------------------------------------------------------------
# Studies


def run(
    sampler: optuna.samplers.BaseSampler,
    objective: Objective,
    n_trials: int = 8,
    name: str = "live",
    **how: Any,
) -> optuna.Study:
    # Names are given: those that Optuna makes up are random, and some pruners draw from them.
    study = optuna.create_study(study_name=name, sampler=sampler, **how)
    study.optimize(objective, n_trials=n_trials, catch=(RuntimeError,))
    return study


def priors(*objectives: Objective, n_trials: int = 10, **how: Any) -> list[optuna.Study]:
    """Random studies, one an objective."""
    studies = []
    for i, objective in enumerate(objectives):
        study = run(RandomSampler(seed=i), objective, n_trials, f"prior-{i}", **how)
        study.set_user_attr("n_rows", 100.0 * (i + 1))
        studies.append(study)
    return studies


def mixed_priors(n: int = 3) -> list[optuna.Study]:
    return priors(*(partial(mixed, shift=0.2 * i) for i in range(n)))


def bowl_priors(n: int = 3) -> list[optuna.Study]:
    return priors(*(partial(bowl, a=2.0 + 0.3 * i) for i in range(n)))


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@scenario
def cold() -> Outcome:
    return run(MetaSampler(seed=1), mixed, 12)


@scenario
def cold_maximised() -> Outcome:
    return run(MetaSampler(seed=2), lambda t: 20.0 - bowl(t), direction="maximize")


@scenario
def warm() -> Outcome:
    return run(MetaSampler(mixed_priors(), seed=1), partial(mixed, shift=0.3), 12)


@scenario
def warm_from_lists_of_trials() -> Outcome:
    old = [study.trials for study in bowl_priors()]
    return run(MetaSampler(old, seed=1), lambda t: 20.0 - bowl(t), direction="maximize")


@scenario
def attributes() -> Outcome:
    return run(MetaSampler(mixed_priors(), seed=3), partial(mixed, shift=0.1), 10)


@scenario
def attributes_of_two_objectives() -> Outcome:
    old = priors(trade_off, partial(trade_off, shift=0.3), directions=["minimize"] * 2)
    return run(MetaSampler(old, seed=3), trade_off, 8, directions=["minimize"] * 2)


@scenario
def unexplained() -> Outcome:
    return run(MetaSampler(bowl_priors(), seed=1, explain=False), bowl)


@scenario
def looked_at_amid() -> Outcome:
    """Asking the sampler what it knows changes nothing of what it suggests."""
    study = run(MetaSampler(bowl_priors(), seed=1), bowl, 5)
    assert isinstance(study.sampler, MetaSampler)
    str(study.sampler.report(study))
    str(study.sampler.inspect_priors(study))
    study.optimize(bowl, n_trials=4)
    return study


@scenario
def priors_of_flipped_sign() -> Outcome:
    old = priors(*(partial(mixed, shift=0.2 * i, sign=-1.0) for i in range(3)))
    return run(MetaSampler(old, seed=1), mixed, 10)


@scenario
def priors_of_the_other_direction() -> Outcome:
    old = priors(*(partial(mixed, sign=-1.0) for _ in range(2)), direction="maximize")
    return run(MetaSampler(old, seed=1), mixed)


@scenario
def priors_of_other_ranges_and_choices() -> Outcome:
    def other(trial: Trial, shift: float) -> float:
        eta = trial.suggest_float("eta", 1e-3, 1.0, log=True)
        width = trial.suggest_float("width", 2.0, 9.0, step=0.5)
        depth = trial.suggest_categorical("depth", [2, 4, 6])
        kind = trial.suggest_categorical("kind", ["tanh", "relu", "swish"])
        first = (math.log10(eta) + 2.5 - shift) ** 2 + 0.3 * (width - 3.0) ** 2
        return 1.0 + first + 0.1 * (depth - 4) ** 2 + (0.0 if kind == "relu" else 0.4)

    old = priors(partial(other, shift=0.0), partial(other, shift=0.3))
    return run(MetaSampler(old, seed=1, rename={"eta": "lr"}), mixed, 10)


@scenario
def priors_lacking_a_parameter() -> Outcome:
    def lacking(trial: Trial, a: float) -> float:
        return 1.0 + (trial.suggest_float("x", 1.0, 5.0) - a) ** 2

    return run(MetaSampler(priors(partial(lacking, a=2.0), partial(lacking, a=2.4)), seed=1), bowl)


@scenario
def priors_without_a_common_parameter() -> Outcome:
    def foreign(trial: Trial) -> float:
        return 1.0 + (trial.suggest_float("z", 1.0, 5.0) - 2.0) ** 2

    with warnings.catch_warnings():
        # That such priors are of no use is said; by what kind of warning is not the matter here.
        warnings.simplefilter("ignore")
        return run(MetaSampler(priors(foreign, foreign), seed=1), bowl)


@scenario
def priors_that_contradict_one_another() -> Outcome:
    corners = ((1.2, 1.2), (4.8, 4.8), (1.2, 4.8), (4.8, 1.2))
    old = priors(*(partial(bowl, a=a, b=b) for a, b in corners))
    return run(MetaSampler(old, seed=1), partial(bowl, a=3.0, b=3.0), 10)


@scenario
def priors_that_mislead() -> Outcome:
    old = priors(*(partial(bowl, a=4.8 - 0.1 * i, b=1.2) for i in range(3)))
    return run(MetaSampler(old, seed=1), partial(bowl, a=1.3, b=4.7), 12)


@scenario
def many_priors() -> Outcome:
    return run(MetaSampler(bowl_priors(9), seed=1), bowl)


@scenario
def two_objectives_cold() -> Outcome:
    return run(MetaSampler(seed=1), trade_off, directions=["minimize"] * 2)


@scenario
def two_objectives_warm() -> Outcome:
    old = priors(trade_off, partial(trade_off, shift=0.4), directions=["minimize"] * 2)
    return run(MetaSampler(old, seed=1), trade_off, directions=["minimize"] * 2)


@scenario
def two_objectives_weighed_in_turn() -> Outcome:
    old = priors(trade_off, partial(trade_off, shift=0.4), directions=["minimize"] * 2)
    return run(
        MetaSampler(old, method="portfolio", method_options={"size": 3}, seed=1),
        trade_off,
        directions=["minimize"] * 2,
    )


@scenario
def five_objectives_cold() -> Outcome:
    return run(MetaSampler(seed=1), partial(trade_off, n=5), 10, directions=["minimize"] * 5)


@scenario
def five_objectives_warm() -> Outcome:
    old = priors(partial(trade_off, n=5), partial(trade_off, n=5), directions=["minimize"] * 5)
    return run(MetaSampler(old, seed=1), partial(trade_off, n=5), directions=["minimize"] * 5)


@scenario
def constraints_cold() -> Outcome:
    return run(MetaSampler(seed=1, constraints_func=excess), constrained, 10)


@scenario
def constraints_warm() -> Outcome:
    # Cold studies of their own, for a random sampler stores no constraints.
    old = [
        run(
            MetaSampler(seed=i, constraints_func=excess, n_startup_trials=8),
            partial(constrained, a=4.0 + 0.2 * i),
            name=f"prior-{i}",
        )
        for i in range(2)
    ]
    return run(MetaSampler(old, seed=1, constraints_func=excess), constrained)


@scenario
def constraints_set_by_trials() -> Outcome:
    old = priors(set_constraint, partial(set_constraint, a=4.4))
    return run(MetaSampler(old, seed=1), set_constraint)


@scenario
def constraints_of_a_method_without_a_model_of_them() -> Outcome:
    sampler = MetaSampler(seed=1, method="mlp", method_options=METHODS["mlp"])
    return run(sampler, set_constraint)


@scenario
def failures_cold() -> Outcome:
    return run(MetaSampler(seed=1), failing, 12)


@scenario
def failures_warm() -> Outcome:
    return run(MetaSampler(priors(failing, failing), seed=1), failing, 10)


@scenario
def pruning_cold() -> Outcome:
    return run(MetaSampler(seed=1), curve, 12, pruner=MedianPruner(n_startup_trials=3))


@scenario
def pruning_warm() -> Outcome:
    old = priors(curve, partial(curve, a=2.4), n_trials=12, pruner=MedianPruner(3))
    return run(MetaSampler(old, seed=1), curve, 10, pruner=MedianPruner(n_startup_trials=3))


@scenario
def hyperband_cold() -> Outcome:
    return run(MetaSampler(method="hyperband", seed=1), curve, 14, pruner=HyperbandPruner(1, 9))


@scenario
def hyperband_warm() -> Outcome:
    old = priors(curve, partial(curve, a=2.4), pruner=MedianPruner(3))
    sampler = MetaSampler(old, method="hyperband", seed=1)
    return run(sampler, curve, 10, pruner=HyperbandPruner(1, 9))


@scenario
def hyperband_pruner_with_the_default_method() -> Outcome:
    return run(MetaSampler(bowl_priors(), seed=1), curve, 10, pruner=HyperbandPruner(1, 9))


@scenario
def plateaus_cold() -> Outcome:
    return run(MetaSampler(seed=1), stairs, 14)


@scenario
def plateaus_warm() -> Outcome:
    return run(MetaSampler(priors(stairs, partial(stairs, a=2.5)), seed=1), stairs, 10)


@scenario
def equal_outcomes() -> Outcome:
    return run(MetaSampler(seed=1), lambda t: 1.0 + 0.0 * mixed(t), 10)


@scenario
def conditional_cold() -> Outcome:
    return run(MetaSampler(seed=1), conditional, 12)


@scenario
def conditional_warm() -> Outcome:
    old = priors(*(partial(conditional, shift=0.2 * i) for i in range(3)))
    return run(MetaSampler(old, seed=1), conditional, 10)


@scenario
def finite_space() -> Outcome:
    def grid(trial: Trial) -> float:
        n = trial.suggest_int("n", 0, 3)
        return 1.0 + n + (0.5 if trial.suggest_categorical("flag", [True, False]) else 0.0)

    return run(MetaSampler(priors(grid, n_trials=4), seed=1), grid, 10)


@scenario
def space_that_changes() -> Outcome:
    def changing(trial: Trial) -> float:
        x = trial.suggest_float("x", 1.0, 5.0 if trial.number < 6 else 8.0)
        if trial.number < 3:
            return 1.0 + (x - 4.0) ** 2
        return 1.0 + (x - 4.0) ** 2 + abs(trial.suggest_int("n", 1, 9, step=2) - 5)

    return run(MetaSampler(bowl_priors(2), seed=1), changing, 10)


@scenario
def enqueued() -> Outcome:
    study = optuna.create_study(study_name="live", sampler=MetaSampler(bowl_priors(), seed=1))
    study.enqueue_trial({"x": 4.0, "y": 2.0})
    study.enqueue_trial({"x": 1.5})
    study.optimize(bowl, n_trials=4)
    study.enqueue_trial({"y": 4.5})
    study.enqueue_trial({"x": 3.0, "y": 3.0})
    study.optimize(bowl, n_trials=5)
    return study


@scenario
def enqueued_cold_and_mixed() -> Outcome:
    study = optuna.create_study(study_name="live", sampler=MetaSampler(seed=1))
    study.optimize(mixed, n_trials=6)
    study.enqueue_trial({"kind": "gelu", "depth": 2})
    study.enqueue_trial({"lr": 0.01})
    study.optimize(mixed, n_trials=4)
    return study


@scenario
def fixed_in_part() -> Outcome:
    sampler = optuna.samplers.PartialFixedSampler({"y": 3.0}, MetaSampler(bowl_priors(), seed=1))
    return run(sampler, bowl)


def several_at_once(sampler: MetaSampler) -> optuna.Study:
    study = optuna.create_study(study_name="live", sampler=sampler)
    for _ in range(3):
        asked = [study.ask() for _ in range(4)]
        values = [bowl(trial) for trial in asked]
        for trial, value in reversed(list(zip(asked, values, strict=True))):
            study.tell(trial, value)
    # Stays without an end.
    bowl(study.ask())
    return study


@scenario
def pending_cold() -> Outcome:
    return several_at_once(MetaSampler(seed=1))


@scenario
def pending_warm() -> Outcome:
    return several_at_once(MetaSampler(bowl_priors(), seed=1))


@scenario
def asked_with_distributions() -> Outcome:
    study = optuna.create_study(study_name="live", sampler=MetaSampler(bowl_priors(2), seed=1))
    space = {"x": FloatDistribution(1.0, 5.0), "y": FloatDistribution(1.0, 5.0)}
    for _ in range(8):
        trial = study.ask(space)  # type: ignore[arg-type]
        study.tell(trial, bowl(trial))
    return study


def by_two_workers(workers: Sequence[MetaSampler]) -> optuna.Study:
    """Trials that run "elsewhere", in the eyes of each of two samplers of one seed."""
    study = optuna.create_study(study_name="live", sampler=workers[0])
    for _ in range(5):
        asked = []
        for worker in workers:
            study.sampler = worker
            asked.append(study.ask())
        values = [bowl(trial) for trial in asked]
        for worker, trial, value in zip(workers, asked, values, strict=True):
            study.sampler = worker
            study.tell(trial, value)
    return study


@scenario
def two_workers_cold() -> Outcome:
    return by_two_workers([MetaSampler(seed=1) for _ in range(2)])


@scenario
def two_workers_warm() -> Outcome:
    return by_two_workers([MetaSampler(bowl_priors(), seed=1) for _ in range(2)])


@scenario
def resumed() -> Outcome:
    study = run(MetaSampler(mixed_priors(2), seed=1), mixed, 5)
    study.sampler = MetaSampler(mixed_priors(2), seed=1)
    study.optimize(mixed, n_trials=5)
    return study


@scenario
def pickled() -> Outcome:
    study = run(MetaSampler(mixed_priors(2), seed=1), mixed, 5)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))
    study.optimize(mixed, n_trials=5)
    return study


@scenario
def pickled_cold_with_a_trial_elsewhere() -> Outcome:
    study = run(MetaSampler(seed=1), bowl, 6)
    twin = pickle.loads(pickle.dumps(study.sampler))
    # Not served by the twin, who draws other numbers from here on.
    bowl(study.ask())
    study.sampler = twin
    study.optimize(bowl, n_trials=4)
    return study


@scenario
def one_sampler_for_two_studies() -> Outcome:
    sampler = MetaSampler(bowl_priors(2), seed=1)
    one, two = (optuna.create_study(study_name=name, sampler=sampler) for name in ("one", "two"))
    for _ in range(4):
        one.optimize(bowl, n_trials=1)
        two.optimize(partial(bowl, a=4.0), n_trials=1)
    return one.trials + two.trials


@scenario
def checkpoint() -> Outcome:
    with folder() as here:
        fit(mixed_priors(), here / "model.safetensors", seed=4)
        return run(MetaSampler(checkpoint=here / "model.safetensors", seed=1), mixed)


@scenario
def checkpoint_of_a_network() -> Outcome:
    with folder() as here:
        path = here / "model.safetensors"
        fit(mixed_priors(), path, method="maml", method_options=METHODS["maml"], seed=4)
        return run(MetaSampler(checkpoint=path, seed=1), mixed)


@scenario
def startup_trials_cold() -> Outcome:
    return run(MetaSampler(seed=1, n_startup_trials=3), mixed)


@scenario
def startup_trials_warm() -> Outcome:
    return run(MetaSampler(mixed_priors(2), seed=1, n_startup_trials=4), mixed)


@scenario
def independent_sampler() -> Outcome:
    return run(MetaSampler(seed=1, independent_sampler=RandomSampler(seed=7)), mixed)


@scenario
def reseeded_independent_sampler_of_another_kind() -> Outcome:
    other = optuna.samplers.TPESampler(seed=7, multivariate=True, n_startup_trials=2)
    return run(MetaSampler(seed=1, independent_sampler=other), conditional)


def noisy(trial: Trial) -> float:
    # As good as noise, and the same every time.
    return bowl(trial) + 1.0 + math.sin(37.0 * trial.number)


@scenario
def recommended() -> Outcome:
    sampler = MetaSampler(bowl_priors(), seed=1)
    study = run(sampler, noisy, 8)
    early = sampler.recommend(study)
    study.optimize(noisy, n_trials=2)
    return [*study.trials, early, sampler.recommend(study)]


@scenario
def recommended_cold() -> Outcome:
    sampler = MetaSampler(seed=1)
    study = run(sampler, noisy, 10)
    return [*study.trials, sampler.recommend(study)]


@scenario
def table() -> Outcome:
    with folder() as here:
        with (here / "runs.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["set", "learning rate", "width", "kind", "accuracy"])
            for study in mixed_priors():
                for t in study.trials:
                    row = [t.params["lr"], t.params["width"], t.params["kind"], -(t.value or 0.0)]
                    writer.writerow([study.study_name, *row])
        table = Table(
            here / "runs.csv",
            objective="accuracy",
            direction="maximize",
            parameters={"learning rate": "log", "width": None, "kind": "categorical"},
            study="set",
            name="runs",
        )
        return run(MetaSampler(table, rename={"learning rate": "lr"}, seed=1), mixed)


@scenario
def csv_file_of_optuna() -> Outcome:
    with folder() as here:
        with (here / "old.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["number", "value", "params_x", "params_y", "state"])
            for t in bowl_priors(1)[0].trials:
                writer.writerow([t.number, t.value, t.params["x"], t.params["y"], t.state.name])
        return run(MetaSampler(str(here / "old.csv"), seed=1), bowl)


@scenario
def storage() -> Outcome:
    with folder() as here:
        url = f"sqlite:///{here / 'old.db'}"
        database = RDBStorage(url)
        for study in [*bowl_priors(2), run(RandomSampler(seed=9), bowl, 3, "prior-few")]:
            copy = optuna.create_study(study_name=study.study_name, storage=database)
            copy.add_trials(study.trials)
        database.remove_session()
        database.engine.dispose()
        sampler = MetaSampler(
            url, prior_studies="prior-*", prior_filter=PriorFilter(min_trials=5), seed=1
        )
        return run(sampler, bowl)


METHODS: dict[str, dict[str, Any]] = {
    "auto": {},
    "gp": {},
    "mlp": {"n_meta_steps": 20, "n_steps": 10},
    "fine-tune": {"n_meta_steps": 5},
    "maml": {"n_meta_steps": 3},
    "reptile": {"n_meta_steps": 3},
    "meta-sgd": {"n_meta_steps": 3},
    "imaml": {"n_meta_steps": 3},
    "meta-random-search": {"n_candidates": 4},
    "lstm": {"n_steps": 2},
    "q-learning": {"n_steps": 5},
    "deep-kernel": {"n_steps": 10},
    "cluster": {"base_options": {"n_meta_steps": 3}},
    "portfolio": {"size": 4},
    "hyperband": {},
}
"""Each method, with options by which it learns in no time."""


def method_by_name(name: str) -> Outcome:
    sampler = MetaSampler(mixed_priors(4), method=name, method_options=METHODS[name], seed=1)
    return run(sampler, partial(mixed, shift=0.3))


for _name in METHODS:
    SCENARIOS[f"method_{_name}"] = partial(method_by_name, _name)


# --------------------------------------------------------------------------------------------
# Records


def record_of(name: str) -> list[dict[str, Any]]:
    """What there is to keep of a scenario, a dictionary a trial."""
    # What a person's machine keeps of prior studies has no say here.
    os.environ["METASAMPLER_CACHE"] = "off"
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            outcome = SCENARIOS[name]()
    finally:
        optuna.logging.set_verbosity(verbosity)
    trials = outcome.trials if isinstance(outcome, optuna.Study) else outcome
    return [_kept(trial, name in WITH_ATTRIBUTES) for trial in trials]


def _kept(trial: FrozenTrial, with_attributes: bool) -> dict[str, Any]:
    values = trial.values if trial.state == TrialState.COMPLETE else None
    kept: dict[str, Any] = {
        "state": trial.state.name,
        "params": dict(trial.params),
        "values": values,
    }
    if with_attributes:
        kept["attributes"] = {k: v for k, v in trial.user_attrs.items() if k.startswith("meta:")}
    return kept


def rounded(x: float) -> float:
    return float(f"{x:.4g}")


def encoded(record: Any, number: Callable[[float], Any]) -> Any:
    """The record with every float put through ``number``; whole numbers stay."""
    if isinstance(record, dict):
        return {key: encoded(value, number) for key, value in record.items()}
    if isinstance(record, list):
        return [encoded(value, number) for value in record]
    return number(record) if isinstance(record, float) else record


def difference(before: Any, now: Any, tolerance: float = 0.0, where: str = "") -> str | None:
    """Where two records differ first, in words; ``None`` where they do not."""
    if isinstance(before, dict) and isinstance(now, dict) and before.keys() == now.keys():
        keys: Sequence[Any] = sorted(before)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        keys = range(len(before))
    elif type(before) is type(now) and (
        math.isclose(before, now, rel_tol=tolerance) if isinstance(now, float) else before == now
    ):
        return None
    else:
        return f"{where}: {before!r} before, {now!r} now"
    found = (difference(before[k], now[k], tolerance, f"{where}[{k!r}]") for k in keys)
    return next((text for text in found if text), None)


def kernels() -> str:
    """The kernels that decide the last bits, such as ``"SkylakeX, AVX512"``."""
    blas = {str(info.get("architecture")) for info in threadpool_info()} - {"None"}
    return ", ".join([*sorted(blas), torch.backends.cpu.get_cpu_capability()])


def read(path: Path) -> dict[str, Any]:
    records: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return records


def write(records: dict[str, Any], path: Path) -> None:
    """One trial a line, so that a change of it is one line of a diff."""
    parts = []
    for name, trials in records.items():
        lines = ",\n  ".join(json.dumps(t, sort_keys=True, allow_nan=False) for t in trials)
        parts.append(f"{json.dumps(name)}: [\n  {lines}\n ]")
    parts.insert(0, f'"{KERNELS}": {json.dumps(kernels())}')
    path.write_text("{\n " + ",\n ".join(parts) + "\n}\n", encoding="utf-8")


# --------------------------------------------------------------------------------------------
# Command line


def timed(name: str) -> tuple[str, list[dict[str, Any]], float]:
    start = time.perf_counter()
    return name, record_of(name), time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.regression.studies")
    what = parser.add_mutually_exclusive_group(required=True)
    exact: dict[str, Any] = {"nargs": "?", "const": EXACT, "type": Path, "metavar": "PATH"}
    what.add_argument("--write-exact", help="write every bit of the suggestions", **exact)
    what.add_argument("--check-exact", help="compare with what --write-exact wrote", **exact)
    what.add_argument("--write-golden", action="store_true", help=f"rewrite {GOLDEN.name}")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, metavar="SCENARIO")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--verbose", action="store_true", help="print seconds as well")
    arguments = parser.parse_args()
    if arguments.only and arguments.check_exact is None:
        parser.error("--only goes with --check-exact: a file is written as a whole")
    names = arguments.only or list(SCENARIOS)

    before = read(arguments.check_exact) if arguments.check_exact else {}
    records: dict[str, Any] = {}
    failed = False
    with contextlib.ExitStack() as stack:
        runs: Iterator[tuple[str, list[dict[str, Any]], float]] = map(timed, names)
        if arguments.jobs > 1:
            # Forked processes may hang in torch.
            pool = stack.enter_context(get_context("spawn").Pool(arguments.jobs))
            runs = pool.imap(timed, names)
            # Let them leave by themselves: one that is stopped leaves its semaphores behind.
            pool.close()
            stack.callback(pool.join)
        for name, record, seconds in runs:
            number = rounded if arguments.write_golden else float.hex
            records[name] = encoded(record, number)
            took = f"  {seconds:.1f} s" if arguments.verbose else ""
            if not arguments.check_exact:
                print(f"{name}{took}", flush=True)
                continue
            text = difference(before.get(name), records[name])
            failed = failed or text is not None
            said = "ok" if text is None else f"DIFFERENT at {text}"
            print(f"{name}: {said}{took}", flush=True)
    if arguments.check_exact and not arguments.only:
        for name in sorted(before.keys() - records.keys() - {KERNELS}):
            failed = True
            print(f"{name}: DIFFERENT, there is no such scenario any more")
    if not arguments.check_exact:
        path = GOLDEN if arguments.write_golden else arguments.write_exact
        write(records, path)
        print(f"{len(records)} scenarios written to {path}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

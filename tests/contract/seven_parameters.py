"""A problem with a parameter of every kind, prior studies of it, and a way to run it elsewhere.

Run as a script, this file optimises the problem in a process of its own and prints what was
suggested as JSON, so that two processes can be compared.
"""

from __future__ import annotations

import functools
import json
import math
import sys
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_metasampler import MetaSampler


if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

SPACE: dict[str, BaseDistribution] = {
    "width": FloatDistribution(-2.0, 6.0),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "dropout": FloatDistribution(0.0, 0.9, step=0.1),
    "depth": IntDistribution(1, 9),
    "units": IntDistribution(4, 256, log=True),
    "batch": IntDistribution(8, 64, step=8),
    "activation": CategoricalDistribution(("relu", "tanh", None, True, 0.5)),
}


def suggest(trial: Trial) -> dict[str, Any]:
    """Ask for all seven parameters, in the order of `SPACE`."""
    return {
        "width": trial.suggest_float("width", -2.0, 6.0),
        "rate": trial.suggest_float("rate", 1e-4, 1.0, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.9, step=0.1),
        "depth": trial.suggest_int("depth", 1, 9),
        "units": trial.suggest_int("units", 4, 256, log=True),
        "batch": trial.suggest_int("batch", 8, 64, step=8),
        "activation": trial.suggest_categorical("activation", ("relu", "tanh", None, True, 0.5)),
    }


def loss(params: Mapping[str, Any], shift: float = 0.0) -> float:
    """A bowl around one configuration; `shift` moves it, as another data set would."""
    value: float = (
        (params["width"] - 3.0 - shift) ** 2 / 8.0
        + (math.log10(params["rate"]) + 2.0 + shift) ** 2 / 2.0
        + (params["dropout"] - 0.3) ** 2
        + (params["depth"] - 5) ** 2 / 16.0
        + (math.log2(params["units"]) - 6.0) ** 2 / 4.0
        + abs(params["batch"] - 24) / 32.0
        + {"relu": 0.0, "tanh": 0.3}.get(params["activation"], 1.0)
    )
    return value


def optimise(
    study: Study, n_trials: int, *, constant: bool = False, shift: float = 0.0
) -> list[dict[str, Any]]:
    """Run some trials one after another; what they were suggested, in order."""
    suggestions = []
    for _ in range(n_trials):
        trial = study.ask()
        params = suggest(trial)
        study.tell(trial, 0.0 if constant else loss(params, shift))
        suggestions.append(params)
    return suggestions


def add_prior_studies(storage: Any = None, n_trials: int = 12) -> list[Study]:
    """Two finished studies of shifted versions of the problem, the same at every call."""
    studies = []
    for index, shift in enumerate((-0.3, 0.4)):
        study = optuna.create_study(
            storage=storage,
            study_name=f"earlier-{index}",
            sampler=optuna.samplers.RandomSampler(seed=index),
        )
        optimise(study, n_trials, shift=shift)
        studies.append(study)
    return studies


def new_sampler(prior: str | None, seed: int | None) -> MetaSampler:
    """Two startup trials without priors, so that short runs reach the model too."""
    return MetaSampler(prior, n_startup_trials=2 if prior is None else None, seed=seed)


@functools.cache
def reference(prior: str | None, seed: int = 0, *, constant: bool = False) -> list[dict[str, Any]]:
    """What a fresh sampler suggests in the first eight trials of a fresh study; not to change."""
    return optimise(optuna.create_study(sampler=new_sampler(prior, seed)), 8, constant=constant)


def is_inside(value: Any, distribution: BaseDistribution) -> bool:
    """Whether `value` is one that `distribution` can suggest, in the type it suggests."""
    if isinstance(distribution, CategoricalDistribution):
        return any(value is choice or value == choice for choice in distribution.choices)
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    kind = int if isinstance(distribution, IntDistribution) else float
    if type(value) is not kind or not distribution.low <= value <= distribution.high:
        return False
    if distribution.step is None:
        return True
    steps = (value - distribution.low) / distribution.step
    return math.isclose(steps, round(steps), abs_tol=1e-7)


def assert_all_inside(trial: FrozenTrial | Trial) -> None:
    """Fail unless every parameter of the trial lies in its own distribution."""
    outside = {
        name: value
        for name, value in trial.params.items()
        if not is_inside(value, trial.distributions[name])
    }
    assert not outside, f"outside their distributions {trial.distributions}: {outside}"


def _print_runs(prior: str, seed: int, n_trials: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    output: dict[str, Any] = {"hash": hash("a string")}
    for outcome in ("bowl", "constant"):
        study = optuna.create_study(sampler=new_sampler(prior or None, seed))
        output[outcome] = optimise(study, n_trials, constant=outcome == "constant")
    json.dump(output, sys.stdout)


if __name__ == "__main__":
    _print_runs(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

"""What the workers of these tests tune, here and in processes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
import math
import time

import optuna
from optuna.trial import TrialState

from optuna_metasampler import MetaSampler
from tests.studies import random_study


NAMES = ("x", "y", "kind")


def loss(trial: optuna.Trial, best: float = 0.3) -> float:
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return (x - best) ** 2 + (y - 0.6) ** 2 + (trial.suggest_categorical("kind", "ab") == "b")


def write_priors(storage: str | optuna.storages.BaseStorage, n: int = 6) -> list[optuna.Study]:
    """Studies of random search with different optima."""
    return [
        random_study(partial(loss, best=0.1 + 0.1 * i), 8, i, f"old-{i}", storage)
        for i in range(n)
    ]


def configurations(trials: Sequence[optuna.trial.FrozenTrial]) -> set[tuple[object, ...]]:
    return {tuple(t.params.get(name) for name in NAMES) for t in trials}


def work(
    storage: optuna.storages.BaseStorage | str, prior: str, n_together: int, n_trials: int
) -> None:
    """One worker: its first trial waits, without parameters, until as many others have begun."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(
        study_name="new", storage=storage, sampler=MetaSampler(prior, seed=0)
    )
    trial = study.ask()
    deadline = time.monotonic() + 120
    while len(study.get_trials(deepcopy=False)) < n_together and time.monotonic() < deadline:
        time.sleep(0.02)
    value = loss(trial)
    # No worker ends before all have chosen: what the others take can only be believed.
    while time.monotonic() < deadline and not all(
        set(NAMES) <= t.params.keys() or t.number >= n_together
        for t in study.get_trials(deepcopy=False)
    ):
        time.sleep(0.02)
    study.tell(trial, value)
    study.optimize(loss, n_trials=n_trials - 1)


def check(study: optuna.Study, n_together: int, n_trials: int) -> None:
    """What has to hold after workers have been at a study."""
    trials = study.get_trials()
    assert [t.number for t in trials] == list(range(n_trials))
    assert all(t.state == TrialState.COMPLETE and math.isfinite(t.values[0]) for t in trials)
    # A trial that ends while two workers choose lets one of them believe another thing of the
    # other than that one does; trials that end at once, as here, make it likely.
    assert len(configurations(trials)) >= n_trials - 2
    first = [t.params for t in trials[:n_together]]
    assert all(
        abs(a["x"] - b["x"]) + abs(a["y"] - b["y"]) > 0.02 or a["kind"] != b["kind"]
        for i, a in enumerate(first)
        for b in first[:i]
    )

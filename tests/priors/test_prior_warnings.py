"""Warnings of prior studies: one for all, at the user's line, with what was probably meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
import pytest

from optuna_metasampler import MetaSampler, fit
from optuna_metasampler.exceptions import PriorWarning
from tests.studies import random_study


SPACE = {"lr": FloatDistribution(1e-4, 1e-1, log=True), "x": FloatDistribution(0, 1)}


def loss(trial: optuna.Trial) -> float:
    return trial.suggest_float("lr", 1e-4, 1e-1, log=True) + trial.suggest_float("x", 0, 1)


def loss_there(trial: optuna.Trial) -> float:
    return trial.suggest_float("eta", 1e-4, 1e-1, log=True) + trial.suggest_float("x", 0, 1)


def warned(action: Callable[[], Any]) -> list[Any]:
    with pytest.warns(PriorWarning) as seen:
        action()
    return list(seen)


def test_forty_studies_of_no_use_are_one_warning() -> None:
    old = [
        random_study(lambda t: (loss(t), 1.0), 2, i, f"pair-{i}", directions=["minimize"] * 2)
        for i in range(40)
    ]
    old += [optuna.create_study(study_name=f"empty-{i}") for i in range(2)]
    study = optuna.create_study(sampler=MetaSampler([*old, random_study(loss, 8)], seed=0))
    (warning,) = warned(lambda: study.optimize(loss, n_trials=2))
    text = str(warning.message)
    assert "42 of 43 prior studies" in text
    assert "'pair-0', 'pair-1', 'pair-2' and 37 more" in text
    assert "'empty-0', 'empty-1'" in text


@pytest.mark.parametrize(
    ("rename", "hint"),
    [
        ({"eat": "lr"}, "'eat'.*Did you mean 'eta'"),
        ({"lr": "eta"}, r"there to names here.*\{'eta': 'lr'\}"),
    ],
    ids=["misspelt", "reversed"],
)
def test_a_rename_of_what_no_prior_study_has_says_what_was_probably_meant(
    rename: dict[str, str], hint: str, tmp_path: Path
) -> None:
    old = random_study(loss_there, 8)
    study = optuna.create_study(sampler=MetaSampler(old, rename=rename, seed=0))
    with pytest.warns(PriorWarning, match=hint):
        study.ask(SPACE)
    with pytest.warns(PriorWarning, match=hint):
        fit(old, tmp_path / "model.safetensors", rename=rename)


def in_a_trial() -> None:
    sampler = MetaSampler(optuna.create_study(study_name="empty"), seed=0)
    optuna.create_study(sampler=sampler).optimize(loss, n_trials=1)


def in_ask() -> None:
    sampler = MetaSampler(random_study(loss, 8), fixed={"y": 1.0}, seed=0)
    optuna.create_study(sampler=sampler).ask(SPACE)


def of_a_name() -> None:
    sampler = MetaSampler(random_study(loss, 8), prior_fixed={"x": {"y": 1.0}}, seed=0)
    sampler.inspect_priors(SPACE)


def of_a_table(folder: Path) -> None:
    rows = ["lr,loss", *(f"{0.01 * (i + 1)},{i}" for i in range(20)), "odd,3"]
    path = folder / "runs.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    table = {"data": path, "objective": "loss", "direction": "minimize", "parameters": ["lr"]}
    MetaSampler(table, seed=0).inspect_priors({"lr": FloatDistribution(0, 1)})


def in_fit(folder: Path) -> None:
    old = [random_study(loss, 8), optuna.create_study(study_name="empty")]
    fit(old, folder / "model.safetensors")


@pytest.mark.parametrize("action", [in_a_trial, in_ask, of_a_name, of_a_table, in_fit])
def test_a_warning_points_at_a_line_of_the_user(
    action: Callable[..., None], tmp_path: Path
) -> None:
    arguments = [tmp_path] if action in (of_a_table, in_fit) else []
    for warning in warned(lambda: action(*arguments)):
        assert warning.filename == __file__

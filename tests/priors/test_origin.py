"""What trials record of where prior studies came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.priors.origin import ORIGIN, origin_of, recorded_origin
from tests.studies import random_study, sqlite


def loss(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1)


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("postgresql://me:secret@host:5/db", "postgresql://me:@host:5/db"),
        ("mysql://host/db?password=secret&user=me", "mysql://host/db"),
        ("sqlite:///old.db?timeout=3", "sqlite:///old.db?timeout=3"),
        (Path("old.db"), "old.db"),
    ],
)
def test_a_location_is_kept_without_what_may_be_secret(location: Any, kept: str) -> None:
    origin = origin_of({"prior": location, "rename": {"a": "b"}})
    assert origin is not None
    assert origin["rename"] == {"a": "b"}
    assert [part.replace(":@", "@") for part in origin["prior"]] == [kept.replace(":@", "@")]


@pytest.mark.parametrize("prior", [optuna.create_study(), ["old.db", []], {"data": 1}])
def test_what_is_in_memory_cannot_be_recorded(prior: Any) -> None:
    assert origin_of({"prior": prior}) is None


def test_one_trial_says_it_unless_the_study_does_not_explain_itself(tmp_path: Path) -> None:
    with sqlite(tmp_path / "old.db") as storage:
        random_study(loss, 6, name="old", storage=storage)
    path = str(tmp_path / "old.db")
    for explain, expected in ((True, {"prior": [path], "fixed": {"y": 1.0}}), (False, {})):
        sampler = MetaSampler(path, fixed={"y": 1.0}, explain=explain, seed=0)
        study = optuna.create_study(sampler=sampler)
        with pytest.warns(UserWarning, match="no prior study has that parameter"):
            study.optimize(loss, n_trials=3)
        assert recorded_origin(study.trials) == expected
        assert sum(ORIGIN in t.system_attrs for t in study.trials) == len(expected) // 2

"""The benchmark of many prior studies."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from benchmarks.experiments.scale import start, suggest, summarize
from benchmarks.problems.timed import five_centres, prior_studies, write_storage
from optuna_metasampler import Archive
from optuna_metasampler.priors.study import PriorStudy


def test_the_storage_that_is_measured_is_one_of_optuna(tmp_path: Path) -> None:
    studies = prior_studies("mixed", five_centres(2), 3)
    path = tmp_path / "old.db"
    write_storage(studies, path)
    for study in studies:
        read = optuna.load_study(study_name=study.study_name, storage=f"sqlite:///{path}")
        for a, b in zip(read.trials, study.trials, strict=True):
            assert (a.number, a.value, a.state) == (b.number, b.value, b.state)
            assert (a.params, a.distributions) == (b.params, b.distributions)
            assert a.datetime_complete == b.datetime_complete
    seconds = start(path)
    assert (seconds["n_studies"], seconds["n_trials"]) == (2, 6)
    assert 0 < seconds["read"] < seconds["ready"]


def test_suggestions_are_timed(tmp_path: Path) -> None:
    studies = [PriorStudy.of(study) for study in prior_studies("mixed", five_centres(2), 3)]
    seconds = suggest(Archive.write(tmp_path / "old.metaprior", studies).path)
    assert 0 < seconds["later"] <= seconds["slowest"]


def test_figures_are_compared_within_the_run() -> None:
    def record(n: int, factor: float) -> dict[str, object]:
        return {
            "n_studies": n,
            "n_prior_trials": 9,
            "bytes": {"storage": 4e6, "archive": 1e5},
            "cached": n > 5,
            "imports": 1.0,
            "first_start": {"read": 1.0, "ready": 10.0 * factor},
            "second_start": {"read": 1.0, "ready": 2.0},
            "archive_start": {"read": 1.0, "ready": 1.0},
            "suggestion": {"first": 3.0, "later": 0.1 * factor, "slowest": 1.0},
        }

    few, many = summarize([record(1000, 3), record(5, 1)])["rows"]
    assert (few["n_studies"], few["gain"], few["compression"], few["to_fewest"]) == (5, 5, 40, 1)
    assert (many["gain"], many["to_fewest"]) == pytest.approx((15.0, 3.0))
    assert few["note"] != many["note"] == ""

"""The benchmark of many prior studies."""

from __future__ import annotations

from pathlib import Path

import optuna

from benchmarks.overhead import prior_studies
from benchmarks.scale import start, suggest, table, write_storage
from optuna_metasampler import Archive
from optuna_metasampler.priors.study import PriorStudy


def test_the_storage_that_is_measured_is_one_of_optuna(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = prior_studies("mixed", 2, 3)
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
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = [PriorStudy.of(study) for study in prior_studies("mixed", 2, 3)]
    seconds = suggest(Archive.write(tmp_path / "old.metaprior", studies).path)
    assert 0 < seconds["later"] <= seconds["slowest"]


def test_the_table_compares_within_the_run() -> None:
    def row(n: int, factor: float) -> dict[str, object]:
        return {
            "n_studies": n,
            "bytes": {"storage": 4e6, "archive": 1e5},
            "cached": n > 5,
            "imports": 1.0,
            "first_start": {"read": 1.0, "ready": 10.0 * factor},
            "second_start": {"read": 1.0, "ready": 2.0},
            "archive_start": {"read": 1.0, "ready": 1.0},
            "suggestion": {"first": 3.0, "later": 0.1 * factor, "slowest": 1.0},
        }

    text = table(
        {"n_prior_trials": 9, "n_trials": 30, "n_parameters": 8, "rows": [row(5, 1), row(1000, 3)]}
    )
    assert "| 5 | 10.00 | 2.00 (not cached) | 1.00 | 5 | 4.0 MB | 0.10 MB | 40 |" in text
    assert "| 1,000 | 30.00 | 2.00 | 1.00 | 15 | 4.0 MB | 0.10 MB | 40 |" in text
    assert "| 1,000 | 3.00 | 0.300 | 1.000 | 3.00 |" in text

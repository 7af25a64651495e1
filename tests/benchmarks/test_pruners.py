"""Pruners, by the epochs that studies spend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import RandomSampler
import pytest

from benchmarks.experiments import pruners
from benchmarks.experiments.pruning import study_of
from benchmarks.problems import lcbench
from benchmarks.problems.training import LOOPS


CURVES = LOOPS["curves"]
N_POINTS = pruners.N_TRAININGS * pruners.POINTS_A_TRAINING


def prior_study() -> optuna.Study:
    pruner = optuna.pruners.NopPruner()
    return study_of(CURVES, "0/1", RandomSampler(seed=0), pruner, 6 * CURVES.n_epochs)[0]


def record(peer: str, best: list[float | None], task: str = "a", seed: int = 0) -> dict[str, Any]:
    key = {"loop": pruners.LCBENCH, "task": task, "seed": seed, "peer": peer}
    return {**key, "unit": 2.0, "best": best, "n_trials": 60, "n_whole": 40}


def test_who_was_ahead_in_a_study_is_behind_in_its_reverse() -> None:
    prior = prior_study()
    (found,) = pruners._reversed([prior])
    for mine, theirs in zip(found.trials, prior.trials, strict=True):
        assert mine.params == theirs.params
        steps = sorted(mine.intermediate_values)
        assert [mine.intermediate_values[s] for s in steps] == [
            -theirs.intermediate_values[s] for s in steps
        ]
    assert found.best_trial.number == int(np.argmax([t.value for t in prior.trials]))


@pytest.mark.parametrize("name", pruners.PRUNERS)
def test_a_study_under_each_pruner_keeps_its_budget(name: str) -> None:
    pruner = pruners.PRUNERS[name]([prior_study()], CURVES.n_epochs)
    _, spent = study_of(CURVES, "0", RandomSampler(seed=0), pruner, 200)
    assert 200 <= sum(spent) < 200 + CURVES.n_epochs


def test_the_grid_ends_with_the_budget() -> None:
    grid = pruners._grid(27)
    assert len(grid) == N_POINTS
    assert grid[-1] == pruners.N_TRAININGS * 27
    assert (np.diff(grid) > 0).all()


def test_the_share_of_the_epochs_is_where_the_target_is_first_met() -> None:
    regret = np.array([1.0, 0.5, 0.2, 0.2])
    assert pruners._share_needed(regret, 0.5) == 0.5
    assert pruners._share_needed(regret, 0.1) == 1.0


def test_a_peer_that_is_where_tpe_ends_after_half_of_the_epochs_has_a_share_of_a_half() -> None:
    half = N_POINTS // 2
    slow: list[float | None] = [None] * (N_POINTS - 1) + [1.0]
    fast: list[float | None] = [None] * (half - 1) + [1.0] * (half + 1)
    records = [
        record(peer, best, task)
        for task in "ab"
        for peer, best in (("TPE", slow), ("TPE + MetaPruner", fast))
    ]
    (table,) = pruners.summarize(records)["tables"]
    reference, other = table["rows"]
    assert other["n_tasks"] == 2
    assert (reference["share"], other["share"]) == (1.0, pytest.approx(0.5))
    assert other["to_all"][0] < 0.0
    assert other["to_end"][0] == 0.0
    assert pruners.tables({"tables": [table]})["pruners"].count("\n") == 3


def test_pruners_are_compared_with_no_pruner_under_the_same_sampler() -> None:
    late: list[float | None] = [None] * (N_POINTS - 1) + [1.0]
    soon: list[float | None] = [1.5] * (N_POINTS - 1) + [1.0]
    peers = {"TPE": soon, "MetaSampler": late, "MetaSampler + MetaPruner": soon}
    records = [record(peer, best, task) for task in "ab" for peer, best in peers.items()]
    (table,) = pruners.summarize(records)["tables"]
    _, alone, pruned = table["rows"]
    assert "to_all" not in alone
    assert pruned["to_all"][0] < pruned["to_end"][0] == 0.0


def test_without_its_file_the_surrogate_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.onnx"):
        lcbench.LCBenchCurves(tmp_path)

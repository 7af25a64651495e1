"""The table of all methods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.experiments.methods import PEER_OF, QUICK, no_better, of_runs
from benchmarks.run import Run
from optuna_metasampler.methods import METHODS
from tests.benchmarks.runs import run_of


PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def run(peer: str, task: int, values: list[float], scenario: str = "tpe-8") -> Run:
    seconds = [2.0 if peer == "MetaSampler" else 1.0] + [0.5] * (len(values) - 1)
    return run_of(peer, values, scenario, suite=QUICK, task=str(task), seconds=seconds)


RUNS = [
    *(run("MetaSampler", i, [0.1, 0.01]) for i in range(8)),
    *(run("MetaSampler (gp)", i, [1.0 + 0.1 * i, 1.0 - 0.1 * (i % 2)]) for i in range(8)),
    *(run("Random", i, [1.0, 1.0], "none") for i in range(8)),
]


def test_methods_are_compared_with_random_search_task_by_task() -> None:
    rows = {row["method"]: row for row in of_runs(RUNS)["rows"]}
    assert rows["auto"]["difference"] == [-1.5, -1.5, -1.5]
    assert rows["auto"]["by_trial"] == {"1": -1.0}
    assert rows["auto"]["p_quick"] == pytest.approx(1 / 256, abs=1e-4)
    assert (rows["auto"]["wins"], rows["auto"]["losses"]) == (8, 0)
    assert rows["random search"]["difference"] == [0.0, 0.0, 0.0]
    assert rows["auto"]["seconds"] == {"first": 1.0, "later": 1.0}
    assert rows["gp"]["seconds"] == {"first": 0.5, "later": 1.0}
    assert rows["gp"]["p_quick"] > 0.1


def test_p_values_on_all_tasks_are_corrected_for_the_number_of_methods() -> None:
    rows = {row["method"]: row for row in of_runs(RUNS)["rows"]}
    assert rows["auto"]["p"] == pytest.approx(2 / 256, abs=1e-4)


def test_a_method_that_is_no_better_than_random_search_is_named() -> None:
    worse = [run("MetaSampler", i, [1.0, 1.0 + 0.1 * i]) for i in range(8)]
    assert no_better(of_runs([*RUNS[8:], *worse])) == ["auto"]
    assert no_better(of_runs(RUNS)) == []


def test_a_failed_run_is_named() -> None:
    failed = replace(run("MetaSampler", 0, [0.1]), values=[], error="OSError")
    ((*_, peer, _, error),) = of_runs([*RUNS, failed])["problems"]
    assert (peer, error) == ("MetaSampler", "OSError")


def test_the_page_has_a_section_for_every_method() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in METHODS if f"\n### `{name}`" not in text] == []
    assert PEER_OF.keys() >= METHODS.keys()

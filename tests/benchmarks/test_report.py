"""The report of a folder of runs: what it writes, and what it says about what went wrong."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

from click.testing import CliRunner, Result
import numpy as np
import pytest

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.experiment import NOT_RUN
from benchmarks.experiments.comparison import MAIN
from benchmarks.experiments.comparison.summary import HARMS, K_SCENARIOS, OVERLAPS
from benchmarks.problems.base import Scale
from benchmarks.records import Store
from benchmarks.run import Run


SUITES = {"one": 3, "two": 2, "synthetic_1.0": 2, "synthetic_-1.0": 2}
SPEED = {"Random": 0.3, "TPE": 0.6, "GPSampler": 0.8, "MetaSampler": 0.9, "TPE + best priors": 0.7}


def runs_of(suite: str, n_tasks: int) -> list[Run]:
    """Random search that improves at different speeds, from a better start with priors."""
    synthetic = suite.startswith("synthetic")
    warm = ("tpe-5",) if synthetic else tuple({*HARMS, *K_SCENARIOS.values(), *OVERLAPS})
    circumstances = [(peer, "none") for peer in ("Random", "TPE", "GPSampler", "MetaSampler")]
    circumstances += [(p, s) for p in ("MetaSampler", "TPE + best priors") for s in sorted(warm)]
    found = []
    for task in range(n_tasks):
        generator = np.random.default_rng(task)
        for peer, scenario in circumstances:
            n_priors = (
                0
                if scenario == "none"
                else int(scenario.partition("-")[2] or 5)
                if scenario.startswith("tpe")
                else 5
            )
            start = 0.5 * (n_priors > 0) * (-1 if scenario == "flipped" else 1)
            log = -start - SPEED[peer] * np.log10(np.arange(1, 13)) + generator.normal(0, 0.1, 12)
            found.append(
                Run(
                    suite=suite,
                    task=f"t{task}",
                    scenario=scenario,
                    peer=peer,
                    seed=0,
                    n_trials=12,
                    values=list(10**log),
                    seconds=[0.01] * 12,
                    objective=f"{suite} {task}",
                    priors=f"{suite} {task} {scenario}",
                    n_priors=n_priors,
                    scale=Scale(0.0, 1.0),
                    versions={"optuna": "5.0.0"},
                )
            )
    return found


def write(folder: Path, runs: list[Run]) -> None:
    store = Store.of(folder, MAIN)
    for run in runs:
        columns = ("suite", "task", "scenario", "peer", "seed", "n_trials")
        store.append({**{name: getattr(run, name) for name in columns}, **run.measured()})
    store.pack()


def command(folder: Path) -> Result:
    return CliRunner().invoke(main, ["report", "--results", str(folder)])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a folder as the runner leaves it: a failed run and one that is missing."""
    folder = tmp_path_factory.mktemp("results")
    runs = [run for suite, n_tasks in SUITES.items() for run in runs_of(suite, n_tasks)]
    failing = next(i for i, run in enumerate(runs) if run.suite == "two")
    runs[failing] = replace(runs[failing], values=[], error="OSError: the disk | is full")
    runs.append(Run("two", "t1", "none", "HEBO", 0, 12, error=NOT_RUN))
    write(folder, runs)
    before = {page: page.read_text(encoding="utf-8") for page in report.PAGES}
    result = command(folder)
    assert result.exit_code == 0, result.output
    assert {page: page.read_text(encoding="utf-8") for page in report.PAGES} == before
    return folder


def test_all_figures_are_drawn_and_small(written: Path) -> None:
    figures = {path.name for path in (written / "figures").iterdir()}
    assert figures == {
        "curves.png",
        "curves_by_suite.png",
        "critical_difference.png",
        "harm.png",
        "n_priors.png",
        "relatedness.png",
    }
    assert all(path.stat().st_size < 200_000 for path in (written / "figures").iterdir())
    text = (written / "report.md").read_text(encoding="utf-8")
    assert all(f"](figures/{name})" in text for name in figures)


def test_tables_need_no_more_than_the_summary(written: Path) -> None:
    summary = json.loads((written / "summary.json").read_text(encoding="utf-8"))
    assert summary["main"]["shared_comparison"][0]["n_tasks"] == 4
    found = report.blocks(summary)
    text = (written / "report.md").read_text(encoding="utf-8")
    assert all(block in text for block in found.values())
    assert "two, t1" not in found["provenance"]


def test_failed_and_missing_runs_are_in_the_report(written: Path) -> None:
    problems = report.blocks(report.read_summary(written))["problems"]
    assert "| failed | Random | none | two | 1 | OSError: the disk \\| is full |" in problems
    assert f"| missing | HEBO | none | two | 1 | {NOT_RUN} |" in problems


def test_the_same_records_give_the_same_summary_wherever_they_are(
    written: Path, tmp_path: Path
) -> None:
    (tmp_path / "main").mkdir()
    for path in (written / "main").iterdir():
        (tmp_path / "main" / path.name).write_bytes(path.read_bytes())
    assert command(tmp_path).exit_code == 0
    assert (tmp_path / "summary.json").read_bytes() == (written / "summary.json").read_bytes()


def test_runs_that_cannot_be_compared_are_an_error_that_names_them(tmp_path: Path) -> None:
    run = runs_of("one", 1)[0]
    write(tmp_path, [run, replace(run, peer="QMC", objective="another")])
    result = command(tmp_path)
    assert result.exit_code == 1
    assert all(name in result.output for name in ("Random", "QMC", "another"))


def test_a_folder_without_records_is_an_error(tmp_path: Path) -> None:
    result = command(tmp_path)
    assert result.exit_code == 1
    assert str(tmp_path) in result.output

"""The report of a folder of records: what it writes, and what it says about what went wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner, Result
import pytest

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.experiment import NOT_RUN
from benchmarks.experiments.comparison import MAIN
from benchmarks.records import RESULTS, Store
from benchmarks.run import Run
from tests.benchmarks.runs import run_of


RUNS = [
    run_of(
        peer,
        [value / n for n in range(1, 13)],
        task=task,
        objective=task,
        versions={"optuna": "5.0.0"},
    )
    for peer, value in (("Random", 1.0), ("TPE", 0.5), ("MetaSampler", 0.1))
    for task in ("t0", "t1", "t2")
]


def report_of(folder: Path, runs: list[Run]) -> Result:
    store = Store.of(folder, MAIN)
    for run in runs:
        columns = ("suite", "task", "scenario", "peer", "seed", "n_trials")
        store.append({**{name: getattr(run, name) for name in columns}, **run.measured()})
    store.pack()
    return CliRunner().invoke(main, ["report", "--results", str(folder)])


def test_the_committed_figures_are_all_that_there_are_and_small() -> None:
    committed = {path.name for path in (RESULTS / "figures").iterdir()}
    assert committed == {f"{name}.png" for name in report.figures(report.read_summary())}
    assert all(path.stat().st_size < 200_000 for path in (RESULTS / "figures").iterdir())


def test_a_report_has_the_tables_and_figures_of_its_folder_and_fills_no_page(
    tmp_path: Path,
) -> None:
    before = {page: page.read_text(encoding="utf-8") for page in report.PAGES}
    assert report_of(tmp_path, RUNS).exit_code == 0
    assert {page: page.read_text(encoding="utf-8") for page in report.PAGES} == before
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    summary = report.read_summary(tmp_path)
    assert all(block in text for block in report.blocks(summary).values())
    figures = [path.name for path in (tmp_path / "figures").iterdir()]
    assert "curves.png" in figures
    assert all(f"](figures/{name})" in text for name in figures)
    assert summary["main"]["cold_comparison"][0]["n_tasks"] == 3


def test_failed_and_missing_runs_are_in_the_report(tmp_path: Path) -> None:
    failed = replace(RUNS[0], values=[], error="OSError: the disk | is full")
    missing = replace(RUNS[0], peer="HEBO", values=[], error=NOT_RUN)
    assert report_of(tmp_path, [failed, missing, *RUNS[1:]]).exit_code == 0
    problems = report.blocks(report.read_summary(tmp_path))["problems"]
    assert "| failed | Random | none | one | 1 | OSError: the disk \\| is full |" in problems
    assert f"| missing | HEBO | none | one | 1 | {NOT_RUN} |" in problems


def test_the_same_records_give_the_same_summary_in_any_order_wherever_it_goes(
    tmp_path: Path,
) -> None:
    report_of(tmp_path / "one", RUNS)
    report_of(tmp_path / "two", RUNS[::-1])
    words = ["report", "--results", str(tmp_path / "two"), "--out", str(tmp_path / "three")]
    assert CliRunner().invoke(main, words).exit_code == 0
    summaries = [tmp_path / name / "summary.json" for name in ("one", "two", "three")]
    assert len({path.read_bytes() for path in summaries}) == 1


def test_runs_that_cannot_be_compared_are_an_error_that_names_them(tmp_path: Path) -> None:
    result = report_of(tmp_path, [RUNS[0], replace(RUNS[0], peer="QMC", objective="another")])
    assert result.exit_code == 1
    assert all(name in result.output for name in ("Random", "QMC", "another"))


def test_a_folder_without_records_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["report", "--results", str(tmp_path)])
    assert result.exit_code == 1
    assert str(tmp_path) in result.output


def test_only_what_is_between_markers_is_filled() -> None:
    page = "before\n<!-- one:begin -->\nold\n<!-- one:end -->\nafter <!-- two -->\n"
    filled = report.filled(page, {"one": "| new |"})
    assert filled == page.replace("old", "| new |")
    assert report.filled(filled, {"one": "| new |"}) == filled
    with pytest.raises(KeyError, match="one"):
        report.filled(page, {})

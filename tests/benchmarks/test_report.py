"""The report: what it writes, and what it says about what went wrong."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

from click.testing import CliRunner
import numpy as np
import pytest

from benchmarks import report
from benchmarks.results import Run
from benchmarks.summary import HARMS, K_SCENARIOS, OVERLAPS


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
                    versions={"optuna": "5.0.0"},
                )
            )
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the runner leaves it: a failed run and one that is missing."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "runs").mkdir()
    expected = [("two", "t1", "none", "HEBO", 0)]
    scales = {}
    for suite, n_tasks in SUITES.items():
        runs = runs_of(suite, n_tasks)
        if suite == "two":
            runs[0] = replace(runs[0], values=[], error="OSError: the disk | is full")
        expected += [run.key for run in runs]
        lines = "".join(f"{run.to_json()}\n" for run in runs)
        (folder / "runs" / f"{suite}.jsonl").write_text(lines, encoding="utf-8")
        tasks = {f"t{i}": {"best": 0.0, "median": 1.0} for i in range(n_tasks)}
        scales[suite] = {"direction": "minimize", "seen": suite == "one", "tasks": tasks}
    (folder / "scales.json").write_text(json.dumps(scales), encoding="utf-8")
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def written(folder: Path) -> Path:
    before = {path: path.read_text(encoding="utf-8") for path in report._READMES}
    result = CliRunner().invoke(report.main, ["--runs", str(folder / "runs")])
    assert result.exit_code == 0, result.output
    assert {path: path.read_text(encoding="utf-8") for path in report._READMES} == before
    return folder


def test_all_files_are_written_next_to_the_runs(written: Path) -> None:
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
    for name in figures:
        assert f"](figures/{name})" in text


def test_every_row_of_a_table_has_as_many_cells_as_its_header(written: Path) -> None:
    blocks = (written / "report.md").read_text(encoding="utf-8").split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(tables) >= 10
    for lines in tables:
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
        assert len(lines) > 2


def test_failed_and_missing_runs_are_in_the_report(written: Path) -> None:
    text = (written / "report.md").read_text(encoding="utf-8")
    assert "| failed | Random | none | two | 1 | OSError: the disk \\| is full |" in text
    assert "| missing | HEBO | none | two | 1 |" in text


def test_the_blocks_need_no_more_than_the_summary(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = json.loads((written / "summary.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(report, "_committed_summary", lambda: summary)
    marked = "<!-- {0}:begin -->\nold\n<!-- {0}:end -->"
    short = report.readme(marked.format("benchmark"))
    assert "old" not in short
    assert "4 tasks of 2 search spaces" in short
    assert short == report.readme(short)
    long = report.benchmarks_readme(marked.format("results"))
    assert "](results/figures/harm.png)" in long
    assert "### Where it loses" in long
    assert long == report.benchmarks_readme(long)


def test_text_without_markers_stays_as_it_is() -> None:
    assert report.readme("nothing\nto fill in\n") == "nothing\nto fill in\n"
    assert report.benchmarks_readme("nothing") == "nothing"


def test_the_same_runs_give_the_same_summary_wherever_it_goes(
    written: Path, tmp_path: Path
) -> None:
    arguments = ["--runs", str(written / "runs"), "--out", str(tmp_path / "there")]
    assert CliRunner().invoke(report.main, arguments).exit_code == 0
    there, here = (path / "summary.json" for path in (tmp_path / "there", written))
    assert there.read_bytes() == here.read_bytes()


def test_runs_that_cannot_be_compared_are_an_error_that_names_them(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    run = runs_of("one", 1)[0]
    strange = replace(run, peer="QMC", objective="another")
    lines = f"{run.to_json()}\n{strange.to_json()}\n"
    (tmp_path / "runs" / "one.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "scales.json").write_bytes((folder / "scales.json").read_bytes())
    result = CliRunner().invoke(report.main, ["--runs", str(tmp_path / "runs")])
    assert result.exit_code == 1
    assert "Random" in result.output
    assert "QMC" in result.output
    assert "another" in result.output


def test_a_folder_without_runs_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(report.main, ["--runs", str(tmp_path)])
    assert result.exit_code == 1
    assert "no file of runs" in result.output


def test_the_committed_readmes_are_up_to_date() -> None:
    result = CliRunner().invoke(report.main, ["--check"])
    assert result.exit_code == 0, result.output

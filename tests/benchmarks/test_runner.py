"""The runner: nothing is done twice, failures are on record, and processes change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.experiment import NOT_RUN, Experiment, Options, Record, finished, shortfall
from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.comparison import QUICK
from benchmarks.records import Store
from benchmarks.runner import Outcome, record_of, run


@dataclass(frozen=True)
class Job:
    number: int
    letter: str
    budget: int = field(compare=False)


def jobs(options: Options) -> list[Job]:
    return [
        Job(number, letter, options.settings["budget"]) for number in range(2) for letter in "ab"
    ]


def square(job: Job, options: Options) -> dict[str, Any]:
    if job.letter == "b" and job.number == 1:
        raise ArithmeticError("no square")
    return {"square": job.number**2, "data": str(options.data)}


def summarize(records: Sequence[Record]) -> dict[str, Any]:
    return {"sum": sum(r["square"] for r in finished(records))}


SQUARES = Experiment(
    name="squares",
    title="squares of numbers",
    job=Job,
    jobs=jobs,
    run=square,
    summarize=summarize,
    tables=lambda summary: {"squares": str(summary["sum"])},
    shared=("number",),
    settings={"budget": 5},
)


ALL = Options()
LONGER = Options(settings={"budget": 9})


def carried_out(
    folder: Path, options: Options = ALL, processes: int = 1, retry_failed: bool = False
) -> Outcome:
    store = Store.of(folder, SQUARES)
    return run(SQUARES, options, store, processes, retry_failed=retry_failed)


def test_jobs_are_picked_by_their_columns_and_kept_together_by_what_they_share() -> None:
    planned = SQUARES.planned(Options(only={"letter": ("a",)}, settings={"budget": 7}))
    assert planned == [Job(0, "a", 7), Job(1, "a", 7)]
    assert [job.budget for job in planned] == [7, 7]
    assert [len(group) for group in SQUARES.groups(SQUARES.planned(ALL))] == [2, 2]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (Options(only={"colour": ("red",)}), "'colour'.*number, letter"),
        (Options(settings={"speed": 1}), "'speed'.*budget"),
        (Options(only={"letter": ("z",)}), "Nothing"),
    ],
)
def test_options_that_fit_no_job_are_refused_with_those_that_there_are(
    options: Options, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        SQUARES.planned(options)


def test_a_record_will_do_unless_it_is_missing_planned_too_short_or_to_be_retried() -> None:
    job = Job(0, "a", 5)
    record = {"number": 0, "letter": "a", "budget": 5}
    assert SQUARES.is_done(job, record)
    assert SQUARES.is_done(job, {**record, "budget": 6})
    assert not SQUARES.is_done(job, {**record, "budget": 4})
    assert not SQUARES.is_done(job, None)
    assert not SQUARES.is_done(job, {**record, "error": NOT_RUN})
    failed = {**record, "error": "OSError"}
    assert SQUARES.is_done(job, failed)
    assert not SQUARES.is_done(job, failed, retry_failed=True)
    assert SQUARES.key(record) == SQUARES.key_of(job)


def test_an_error_is_a_record_with_what_was_asked_for() -> None:
    record = record_of(square, Job(1, "b", 5), ALL)
    assert record["error"] == "ArithmeticError: no square"
    assert (record["number"], record["letter"], record["budget"]) == (1, "b", 5)
    assert "optuna" in record["versions"]
    assert shortfall([record, {"error": None}]).count("1 jobs") == 1


@pytest.mark.slow
def test_a_command_is_resumed_and_two_processes_find_what_one_does(tmp_path: Path) -> None:
    store = Store.of(tmp_path / "one", SQUARES)
    part = carried_out(tmp_path / "one", Options(only={"letter": ("a",)}))
    assert (part.n_planned, part.n_there, sum(part.failures.values())) == (2, 0, 0)
    whole = carried_out(tmp_path / "one")
    assert (whole.n_planned, whole.n_there) == (4, 2)
    assert whole.failures == {"ArithmeticError: no square": 1}
    assert carried_out(tmp_path / "one").n_there == 4
    assert carried_out(tmp_path / "one", retry_failed=True).n_there == 3
    assert carried_out(tmp_path / "one", LONGER).n_there == 0
    carried_out(tmp_path / "two", LONGER, processes=2)
    other = Store.of(tmp_path / "two", SQUARES).read()
    assert store.read() == other
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["squares.jsonl.xz"]


@pytest.mark.parametrize("name", ["load", "noise", "objectives", "overhead", "pruning", "scale"])
def test_jobs_are_plain_and_have_keys_of_their_own(name: str) -> None:
    experiment = EXPERIMENTS[name]
    planned = experiment.planned(ALL)
    assert len({experiment.key_of(job) for job in planned}) == len(planned)
    assert all(isinstance(v, (str, int)) for job in planned for v in vars(job).values())


# --- The command ------------------------------------------------------------------------------


def command(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_all_experiments_are_listed_with_their_settings() -> None:
    listed = command("list").output
    assert all(f"{name}: " in listed for name in EXPERIMENTS)
    assert "--set seeds 5" in listed


@pytest.mark.parametrize(
    "words",
    [
        ("run", "calibration"),
        ("run", "noise", "--only", "peer", "unknown"),
        ("run", "objectives", "--set", "seeds", "few"),
        ("run", "quick", "--only", "suite", "nowhere"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_so(words: tuple[str, ...]) -> None:
    result = command(*words)
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit)


def test_an_unknown_data_folder_is_a_clear_error(tmp_path: Path) -> None:
    result = command("run", "main", "--data", str(tmp_path), "--out", str(tmp_path))
    assert result.exit_code == 1
    assert "space.json" in result.output


@pytest.mark.slow
def test_a_file_of_hpo_b_can_be_run(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    data = {
        str(task): {
            "X": generator.uniform(size=(30, 2)).tolist(),
            "y": generator.uniform(size=(30, 1)).tolist(),
        }
        for task in range(3)
    }
    path = tmp_path / "meta-test-dataset.json"
    path.write_text(json.dumps({"4796": data}), encoding="utf-8")
    only = ("--only", "suite", "hpob_4796", "--only", "peer", "Random")
    result = command("run", "quick", "--hpo-b", str(path), *only, "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    records = Store.of(tmp_path / "out", QUICK).read()
    assert {record["suite"] for record in records.values()} == {"hpob_4796"}
    assert all(
        len(record["values"]) == record["n_trials"] for record in finished(records.values())
    )
    assert len(finished(records.values())) == len(records)
    report = command("report", "--results", str(tmp_path / "out"))
    assert report.exit_code == 0, report.output
    assert (tmp_path / "out" / "report.md").exists()

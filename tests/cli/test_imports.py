"""`optuna-metasampler import`."""

from __future__ import annotations

from datetime import datetime
import json
from pathlib import Path

from click.testing import CliRunner, Result
import optuna
import pytest

from optuna_metasampler import Archive
from optuna_metasampler.cli import main
from optuna_metasampler.exceptions import PriorWarning
from tests.priors.studies import study
from tests.studies import EXPORTS


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """What another tool writes."""
    path = tmp_path / "runs.csv"
    rows = ["iris,0.1,2,adam,0.9", "iris,0.001,4,sgd,0.7", "wine,0.00001,3,adam,0.8"]
    path.write_text("data,lr,layers,opt,acc\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


COLUMNS = [
    "--objective",
    "acc",
    "--direction",
    "maximize",
    "--parameter",
    "lr=log",
    "--parameter",
    "layers",
    "--parameter",
    "opt",
    "--study-column",
    "data",
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, arguments)])


def studies_in(path: Path) -> dict[str, optuna.Study]:
    url = f"sqlite:///{path}"
    return {
        name: optuna.load_study(study_name=name, storage=url)
        for name in optuna.get_all_study_names(url)
    }


def test_a_table_of_another_tool_becomes_studies_of_optuna(csv: Path) -> None:
    target = csv.with_name("old.db")
    result = run(csv, "--out", target, *COLUMNS)
    assert result.exit_code == 0, result.output
    studies = studies_in(target)
    assert {name: len(s.trials) for name, s in studies.items()} == {"iris": 2, "wine": 1}
    assert studies["iris"].best_params == {"lr": 0.1, "layers": 2, "opt": "adam"}
    assert studies["iris"].trials[0].distributions["lr"].log  # type: ignore[attr-defined]
    assert studies["iris"].direction.name == "MAXIMIZE"
    assert [line.split() for line in result.output.splitlines()[1:3]] == [
        ["iris", "2"],
        ["wine", "1"],
    ]


def test_a_table_becomes_an_archive(csv: Path) -> None:
    target = csv.with_name("old.metaprior")
    result = run(csv, "--out", target, *COLUMNS, "--name", "exp", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output) == {
        "target": str(target),
        "studies": [{"study": "exp/iris", "trials": 2}, {"study": "exp/wine", "trials": 1}],
    }
    assert [s.name for s in Archive(target).read()] == ["exp/iris", "exp/wine"]
    assert run(csv, "--out", target, *COLUMNS).exit_code == 2
    assert run(csv, "--out", target, *COLUMNS, "--force").exit_code == 0
    assert [s.name for s in Archive(target).read()] == ["iris", "wine"]


def test_an_archive_becomes_a_study_of_optuna_with_its_records(tmp_path: Path) -> None:
    source = Archive.write(tmp_path / "a.metaprior", [study("a")])
    assert run(source.path, "--out", tmp_path / "a.db").exit_code == 0
    (found,) = studies_in(tmp_path / "a.db").values()
    assert [t.params for t in found.trials] == [t.params for t in study("a").trials]
    assert [t.datetime_start for t in found.trials] == [
        t.datetime_start for t in study("a").trials
    ]
    assert found.user_attrs == {"data": "iris"}


def test_a_study_that_is_there_already_is_left_alone(csv: Path) -> None:
    target = csv.with_name("old.db")
    assert run(csv, "--out", target, *COLUMNS, "--studies", "wine").exit_code == 0
    result = run(csv, "--out", target, *COLUMNS)
    assert result.exit_code == 1
    assert "'wine'" in result.output
    assert {name: len(s.trials) for name, s in studies_in(target).items()} == {"wine": 1}


def test_a_study_without_directions_needs_them_in_a_storage_only(csv: Path) -> None:
    csv.write_text("value,params_x\n1.0,2\n2.0,3\n", encoding="utf-8")
    target = csv.with_name("old.db")
    result = run(csv, "--out", target)
    assert result.exit_code == 2
    assert "--direction" in result.output
    assert not target.exists()
    assert run(csv, "--out", target.with_suffix(".metaprior")).exit_code == 0
    assert run(csv, "--out", target, "--direction", "minimize").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{}", "--out", "old.txt"], 2, "must be a storage URL"),
        (["{}"], 2, "--out"),
        (
            ["{}", "--out", "x.db", *COLUMNS[:2], *COLUMNS[4:]],
            2,
            "must be 'minimize' or 'maximize'",
        ),
        (["{}", "--out", "x.db"], 1, "not in the format"),
        (["{}", "--out", "x.db", *COLUMNS[:-1], "nothing"], 1, "has no column 'nothing'"),
        (["nowhere.csv", "--out", "x.db", *COLUMNS], 1, "nowhere.csv"),
        (["old.db", "--out", "x.metaprior", "--objective", "a"], 2, "--objective requires a CSV"),
        (["{}", "--out", "nothing://x", *COLUMNS], 1, "nothing"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    csv: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(csv.parent)
    result = run(*(a.format(csv) for a in arguments))
    assert result.exit_code == code, result.output
    assert message in result.output.replace("\n", " ")
    assert "Traceback" not in result.output
    assert [p.name for p in csv.parent.iterdir()] == ["runs.csv"]


def test_a_nightly_import_adds_what_is_new_and_nothing_twice(csv: Path) -> None:
    target = csv.with_name("old.db")
    night = (csv, "--out", target, *COLUMNS, "--update")
    assert run(*night).exit_code == 0
    # A second run of the same configuration and outcome, and another one.
    with csv.open("a", encoding="utf-8") as file:
        file.write("iris,0.1,2,adam,0.9\nwine,0.5,3,sgd,0.85\n")
    for n_added in (1, 0):
        result = run(*night, "--json")
        assert result.exit_code == 0, result.output
        added = {row["study"]: row["added"] for row in json.loads(result.output)["studies"]}
        assert added == {"iris": n_added, "wine": n_added}
    assert {name: len(s.trials) for name, s in studies_in(target).items()} == {
        "iris": 3,
        "wine": 2,
    }
    assert run(csv, "--out", csv.with_name("a.metaprior"), *COLUMNS, "--update").exit_code == 2


def test_an_update_with_another_choice_is_refused_with_a_reason(csv: Path) -> None:
    target = csv.with_name("old.db")
    assert run(csv, "--out", target, *COLUMNS).exit_code == 0
    with csv.open("a", encoding="utf-8") as file:
        file.write("iris,0.1,2,lion,0.9\n")
    result = run(csv, "--out", target, *COLUMNS, "--update")
    assert result.exit_code == 1
    assert "with other choices" in " ".join(result.output.split())


def test_one_line_says_what_became_of_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    rows = [f"{10**-i},{i},finished" for i in range(6)]
    rows += ["0.1,,failed", "0.1,inf,finished", "0.1,1"]
    path.write_text("\n".join(["config.lr,loss,State", *rows]), encoding="utf-8")
    columns = ["--objective", "loss", "--direction", "minimize"]
    columns += ["--parameter", "config.*", "--strip-prefix", "config."]
    with pytest.warns(PriorWarning, match="too few cells"):
        result = run(path, "--out", tmp_path / "old.db", *columns)
    assert result.exit_code == 0, result.output
    assert "6 results, 2 failed trials, 1 row left out." in result.output
    (study,) = studies_in(tmp_path / "old.db").values()
    assert study.best_params == {"lr": 1}


@pytest.mark.parametrize(
    ("file", "objective", "direction", "n_complete", "n_failed", "best"),
    [
        ("keras_tuner.csv", "score", "maximize", 16, 2, {"hidden": 36, "activation": "tanh"}),
        ("mlflow.csv", "metrics.error", "minimize", 16, 2, {"hidden": 110, "activation": "relu"}),
        ("ray.csv", "error", "minimize", 15, 3, {"hidden": 103, "activation": "tanh"}),
        ("ray_dataframe.csv", "error", "minimize", 15, 0, {"hidden": 103, "activation": "tanh"}),
        ("wandb.csv", "summary.error", "minimize", 17, 1, {"hidden": 39, "activation": "tanh"}),
    ],
)
def test_an_export_of_a_known_tool_needs_an_objective_and_its_direction_only(
    file: str,
    objective: str,
    direction: str,
    n_complete: int,
    n_failed: int,
    best: dict[str, object],
    tmp_path: Path,
) -> None:
    target = tmp_path / "history.db"
    result = run(
        EXPORTS / file, "--out", target, "--objective", objective, "--direction", direction
    )
    assert result.exit_code == 0, result.output
    (study,) = studies_in(target).values()
    states = [t.state.name for t in study.trials]
    assert (states.count("COMPLETE"), states.count("FAIL")) == (n_complete, n_failed)
    assert best.items() <= study.best_params.items()
    assert study.best_params.keys() - {"epochs"} == {"lr", "hidden", "activation"}
    assert study.trials[0].distributions["lr"].log  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("file", "objective", "ended"),
    [
        ("mlflow.csv", "metrics.error", "2026-11-30T01:31:57.379+00:00"),
        ("ray.csv", "error", "2026-11-30T02:05:27+00:00"),
    ],
)
def test_runs_of_another_tool_keep_their_times(
    file: str, objective: str, ended: str, tmp_path: Path
) -> None:
    target = tmp_path / "history.db"
    columns = ["--objective", objective, "--direction", "minimize"]
    assert run(EXPORTS / file, "--out", target, *columns).exit_code == 0
    (study,) = studies_in(target).values()
    moment = datetime.fromisoformat(ended).astimezone().replace(tzinfo=None)
    assert study.trials[0].datetime_complete == moment


def test_former_names_of_options_still_work_and_are_not_shown(csv: Path) -> None:
    target = csv.with_name("old.db")
    assert run(csv, "--to", target, *COLUMNS, "--only", "wine").exit_code == 0
    assert studies_in(target).keys() == {"wine"}
    for command in (["import"], ["inspect"], ["fit"], ["archive", "build"], ["explain"]):
        shown = CliRunner().invoke(main, [*command, "--help"]).output
        assert "--studies GLOB" in shown
        assert not {"--only", "--to", "--storage"} & set(shown.replace(",", " ").split())


def test_the_commands_are_listed_in_whole_sentences() -> None:
    for group in ([], ["archive"]):
        listing = CliRunner().invoke(main, [*group, "--help"]).output.partition("Commands:")[2]
        lines = listing.strip().splitlines()
        assert len(lines) >= 3
        assert all(line.endswith(".") and not line.endswith("...") for line in lines)


def test_an_example_goes_on_where_a_line_ends_with_a_backslash() -> None:
    for arguments in (["import"], ["inspect"], ["fit"], ["explain"], ["archive", "build"]):
        shown = CliRunner().invoke(main, [*arguments, "--help"]).output
        text = shown.replace("\\\n", " ").partition("Example")[2]
        commands = [line.split() for line in text.splitlines()[1:] if line.strip()]
        assert commands
        assert all(words[0] == "optuna-metasampler" for words in commands)


def test_missing_options_are_named(csv: Path) -> None:
    target = csv.with_name("old.metaprior")
    plain = run(csv, "--out", target)
    assert plain.exit_code == 1
    assert "--objective COLUMN --direction minimize --parameter COLUMN" in plain.output
    half = run(csv, "--out", target, "--objective", "acc", "--direction", "maximize")
    assert half.exit_code == 1
    assert "--parameter COLUMN=log" in half.output
    assert not target.exists()


def test_examples_stand_in_lines_of_their_own() -> None:
    for arguments in (["import"], ["inspect"], ["archive", "build"]):
        lines = CliRunner().invoke(main, [*arguments, "--help"]).output.split("\n")
        examples = [line for line in lines if line.startswith("    optuna-metasampler")]
        assert examples, arguments
        assert not any("\\b" in line for line in lines), arguments

"""Tables of trials: CSV files and DataFrames of Optuna and of other tools."""

from __future__ import annotations

import csv
from datetime import datetime, timezone
import os
from pathlib import Path
import random
from typing import Any
import warnings

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
import pandas as pd
import pytest

from optuna_metasampler import MetaSampler, Table
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError, PriorWarning
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.sources import read_priors, resolve
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.priors.table import EMPTY, is_frame, read_csv, read_frame


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def seen(values: list[Any], scale: Any = None) -> BaseDistribution:
    """The distribution that a table sees in a column of these values."""
    frame = pd.DataFrame({"p": pd.Series(values, dtype=object), "y": range(len(values))})
    parameters = {"p": scale}
    (study,) = Table(frame, objective="y", direction="minimize", parameters=parameters).studies()
    (distribution,) = {d for t in study.trials for d in t.distributions.values()}
    return distribution


# --- Tables of Optuna's form -----------------------------------------------------------------


def objective(trial: optuna.Trial) -> float:
    trial.set_user_attr("host", "a")
    kind = trial.suggest_categorical("kind", ["linear", "tree"])
    shuffle = trial.suggest_categorical("shuffle", [True, False])
    depth = trial.suggest_int("depth", 1, 9) if kind == "tree" else 0
    rate = trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    trial.report(rate, 1)
    if trial.number == 3:
        raise optuna.TrialPruned
    if trial.number == 4:
        raise ValueError("diverged")
    return rate + depth + shuffle


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    study = optuna.create_study(
        study_name="old", direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective, n_trials=20, catch=ValueError)
    return study


def facts(trial: FrozenTrial) -> tuple[object, ...]:
    return (
        trial.state,
        trial.values,
        trial.params,
        trial.datetime_start,
        trial.datetime_complete,
        trial.user_attrs,
        list(trial.intermediate_values.values()) if trial.state == TrialState.PRUNED else None,
    )


@pytest.mark.parametrize("form", ["frame", "two levels", "csv", "csv with index"])
def test_trials_come_back_from_a_table_of_optunas_form(
    study: optuna.Study, tmp_path: Path, form: str
) -> None:
    frame = study.trials_dataframe(multi_index=form == "two levels")
    data: object = frame
    if form.startswith("csv"):
        data = tmp_path / "old.csv"
        frame.to_csv(data, index=form == "csv with index")
    (got,) = read_priors(data)  # type: ignore[arg-type]
    assert got.directions is None
    assert [t.number for t in got.trials] == list(range(20))
    for before, after in zip(study.trials, got.trials, strict=True):
        if before.state == TrialState.FAIL:
            assert after.state == TrialState.FAIL
            assert after.params == before.params
        else:
            assert facts(after) == facts(before)
    rate = got.trials[0].distributions["learning_rate"]
    assert isinstance(rate, FloatDistribution)
    assert rate.log
    assert got.trials[0].distributions["shuffle"].to_internal_repr(True) in (0, 1)


def test_a_study_of_several_objectives_comes_back(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), t.suggest_int("n", 1, 3)), n_trials=5)
    study.trials_dataframe().to_csv(tmp_path / "two.csv")
    (got,) = Table(tmp_path / "two.csv", direction=["minimize", "maximize"]).studies()
    assert got.directions == (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)
    assert [t.values for t in got.trials] == [t.values for t in study.trials]
    with pytest.raises(PriorError, match="one entry for each of the columns"):
        Table(tmp_path / "two.csv", direction="minimize").studies()


def test_tables_of_optunas_form_can_be_put_together(study: optuna.Study) -> None:
    frame = study.trials_dataframe()
    both = pd.concat([frame.assign(origin="a"), frame[:5].assign(origin="b")])
    a, b = Table(both, study="origin", direction="maximize").studies()
    assert [(s.name, len(s.trials), s.directions) for s in (a, b)] == [
        ("a", 20, (StudyDirection.MAXIMIZE,)),
        ("b", 5, (StudyDirection.MAXIMIZE,)),
    ]


def test_a_copy_of_the_running_study_is_recognised_through_a_csv_file(
    study: optuna.Study, tmp_path: Path
) -> None:
    study.trials_dataframe().to_csv(tmp_path / "backup.csv", index=False)
    (row,) = MetaSampler(tmp_path / "backup.csv").inspect_priors(study)
    assert row.reason is not None
    assert "trials of the running study" in row.reason


def test_some_parameters_can_be_selected_with_a_given_scale(study: optuna.Study) -> None:
    table = Table(study.trials_dataframe(), parameters={"learning_rate": "linear"})
    (got,) = table.studies()
    assert {name for t in got.trials for name in t.params} == {"learning_rate"}
    assert not got.trials[0].distributions["learning_rate"].log  # type: ignore[attr-defined]


# --- Tables of other tools -------------------------------------------------------------------


RUNS = """dataset;lr;units;act;dropout;loss
iris;0.001;32;relu;;0.5
iris;0.01;64;tanh;0.25;0.25
wine;0.1;32;relu;0.5;0.75
wine;0.0001;128;None;;
"""


def test_columns_are_mapped_and_rows_split_by_study(tmp_path: Path) -> None:
    table = Table(
        written(tmp_path / "runs.csv", RUNS),
        objective="loss",
        direction="minimize",
        parameters=["lr", "units", "act", "dropout"],
        study="dataset",
    )
    assert table.study_names() == ["iris", "wine"]
    iris, wine = table.studies()
    assert iris.directions == wine.directions == (StudyDirection.MINIMIZE,)
    assert [t.value for t in iris.trials] == [0.5, 0.25]
    assert iris.trials[0].params == {"lr": 0.001, "units": 32, "act": "relu"}
    assert iris.trials[1].params == {"lr": 0.01, "units": 64, "act": "tanh", "dropout": 0.25}
    # One scale for all studies of a table, which holds few runs of each.
    assert wine.trials[0].distributions == {
        "lr": FloatDistribution(0.0001, 0.1, log=True),
        "units": IntDistribution(32, 128),
        "act": CategoricalDistribution(["relu", "tanh", None]),
        "dropout": FloatDistribution(0.25, 0.5),
    }
    assert wine.trials[1].state == TrialState.FAIL
    assert wine.trials[1].params["act"] is None
    assert wine.trials[0].datetime_complete is None


def test_a_table_can_be_described_in_a_configuration_file(tmp_path: Path) -> None:
    """Strings, lists and dictionaries are all there is in YAML."""
    written(tmp_path / "runs.csv", RUNS)
    prior = {
        "data": str(tmp_path / "runs.csv"),
        "objective": "loss",
        "direction": "minimize",
        "parameters": {
            "lr": "log",
            "units": {"type": "int", "low": 16, "high": 256, "log": True},
            "act": {"type": "categorical", "choices": ["relu", "tanh", "None", "gelu"]},
        },
        "study": "dataset",
        "name": "sweep",
    }
    sources = resolve([prior], "sweep/i*")
    (iris,) = [s for source in sources for s in source()]
    assert iris.name == "sweep/iris"
    assert iris.trials[0].distributions["units"] == IntDistribution(16, 256, log=True)
    with pytest.raises(ValueError, match=r"'objetive'.*data, direction"):
        MetaSampler({"data": "runs.csv", "objetive": "loss"})


def test_a_frame_with_a_mapping_is_a_prior() -> None:
    frame = pd.DataFrame({"x": np.linspace(0, 1, 12)})
    frame["accuracy"] = 1 - (frame.x - 0.3) ** 2
    table = Table(frame, objective="accuracy", direction="maximize", parameters=["x"])
    study = optuna.create_study(direction="maximize", sampler=MetaSampler(table, seed=0))
    study.optimize(lambda t: 1 - (t.suggest_float("x", 0, 1) - 0.3) ** 2, n_trials=1)
    assert abs(study.trials[0].params["x"] - 0.3) < 0.1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 4], IntDistribution(1, 4)),
        ([1.0, 2.0, 4.0], IntDistribution(1, 4)),
        ([1, 2.5], FloatDistribution(1, 2.5)),
        ([True, False], CategoricalDistribution([True, False])),
        (["a", "b", "a"], CategoricalDistribution(["a", "b"])),
        (["auto", 1, 0.5], CategoricalDistribution(["auto", 1, 0.5])),
        ([1e-4, 1e-3, 1e-2, 1e-1], FloatDistribution(1e-4, 1e-1, log=True)),
        ([1, 10, 100, 1000], IntDistribution(1, 1000, log=True)),
        ([0.0, 1e-4, 1e-2, 1.0], FloatDistribution(0, 1)),
    ],
)
def test_a_distribution_is_seen_from_its_column(
    values: list[Any], expected: BaseDistribution
) -> None:
    assert seen(values) == expected


@pytest.mark.parametrize("n", [10, 30, 300, 3000])
@pytest.mark.parametrize("log", [True, False])
def test_the_scale_of_random_numbers_is_seen(n: int, log: bool) -> None:
    rng = random.Random(n)
    values = [10 ** rng.uniform(-4, 0) if log else rng.uniform(1e-9, 1) for _ in range(n)]
    assert seen(values).log is log  # type: ignore[attr-defined]


def test_a_given_scale_is_used() -> None:
    assert seen([1, 2, 4], "log") == IntDistribution(1, 4, log=True)
    assert seen([1e-4, 1e-2, 1.0], "linear") == FloatDistribution(1e-4, 1.0)
    assert seen([16, 32], "categorical") == CategoricalDistribution([16, 32])
    told = FloatDistribution(0, 8)
    assert seen([1, 2, 4], told) == told


def test_text_means_the_choice_that_is_written_like_it(tmp_path: Path) -> None:
    path = written(tmp_path / "runs.csv", "p,y\n1,0\nTrue,1\n,2\n")
    choices = {"type": "categorical", "choices": ["1", "True", None]}
    (study,) = Table(
        path, objective="y", direction="minimize", parameters={"p": choices}
    ).studies()
    assert [t.params["p"] for t in study.trials] == ["1", "True", None]


@pytest.mark.parametrize(
    ("text", "scale", "message"),
    [
        ("p,y\n1,0\nx,1\n", "log", r"'p' .*must hold a number \(log\), but data row 2 .*'x'"),
        ("p,y\n1,0\n-2,1\n", "log", r"must hold a positive number \(log\), but data row 2 .*-2"),
        ("p,y\n9,1\n", {"type": "int", "low": 0, "high": 8}, "from 0 to 8, but data row 1 .*'9'"),
        ("p,y\nc,1\n", {"type": "categorical", "choices": ["a"]}, "one of 'a', but data row 1"),
        ("p,y\n1,good\n", None, "'y' .*must hold a number, but data row 1 .*'good'"),
        ("q,y\n1,2\n", None, "has no column 'p'. It has 'q', 'y'"),
    ],
)
def test_a_cell_that_does_not_fit_is_named(
    tmp_path: Path, text: str, scale: Any, message: str
) -> None:
    path = written(tmp_path / "runs.csv", text)
    table = Table(path, objective="y", direction="minimize", parameters={"p": scale})
    with pytest.raises(PriorError, match=message):
        table.studies()


cells = st.sampled_from(["", "1", "-2.5", "1e999", "9" * 400, "inf", "nan", "None", "true", "a;b"])
times = st.sampled_from(["", "2026-01-31", "0001-01-01T00:00:00+14:00", "x"])


@given(st.lists(st.tuples(cells | st.text(max_size=5), cells, times), max_size=6))
def test_any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    with path.open("w", encoding="utf-8", newline="", errors="surrogatepass") as file:
        writer = csv.writer(file)
        writer.writerows([("params_p", "value", "datetime_complete"), *rows])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PriorWarning)
            (study,) = Table(path).studies()
    except PriorError:
        return
    assert len(study.trials) <= len(rows)
    pool([study], [StudyDirection.MINIMIZE])


# --- Odd cells -------------------------------------------------------------------------------


def runs(n: int = 30, **odd: dict[int, str]) -> pd.DataFrame:
    """A table as text, with some cells replaced: column to row to cell."""
    frame = pd.DataFrame(
        {
            "lr": [str(10.0 ** -(i % 5 + 1)) for i in range(n)],
            "depth": [str(i % 7 + 1) for i in range(n)],
            "loss": [str((i * 37 % 11) / 10) for i in range(n)],
        }
    )
    for column, cells_of_rows in odd.items():
        for row, cell in cells_of_rows.items():
            frame.loc[row, column] = cell
    return frame


def told(
    frame: pd.DataFrame, path: Path, form: str, **parameters: Any
) -> tuple[tuple[FrozenTrial, ...], list[str]]:
    """The trials of a table, and its warnings."""
    data: Any = frame
    if form == "csv":
        data = path / "runs.csv"
        frame.to_csv(data, index=False)
    elif form == "as pandas reads it":
        frame.to_csv(path / "runs.csv", index=False)
        data = pd.read_csv(path / "runs.csv")
    table = Table(
        data,
        objective="loss",
        direction="minimize",
        parameters={"lr": None, "depth": None, **parameters},
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        (study,) = table.studies()
    assert {w.category for w in caught} <= {PriorWarning}
    return study.trials, [str(w.message) for w in caught]


FORMS = ["csv", "as pandas reads it", "strings"]
WORDS = ["diverged", "OOM", "default", "#DIV/0!", "True", "1.2.3", "0x10", "1_000", "see notes"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("word", WORDS)
def test_a_word_in_place_of_an_outcome_is_a_failed_trial(
    tmp_path: Path, form: str, word: str
) -> None:
    trials, messages = told(runs(loss={4: word, 9: word}), tmp_path, form)
    assert len(trials) == 30
    assert [t.number for t in trials if t.state == TrialState.FAIL] == [4, 9]
    assert trials[4].params == {"lr": 1e-5, "depth": 5}
    (message,) = messages
    assert "'loss' must hold a number, but 2 cells do not" in message
    assert f"data row 5 with '{word}'; such rows count as failed trials" in message


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("scale", [None, "log"])
def test_a_row_with_a_word_in_place_of_a_number_is_left_out(
    tmp_path: Path, form: str, word: str, scale: Any
) -> None:
    trials, messages = told(runs(lr={7: word}), tmp_path, form, lr=scale)
    assert [t.number for t in trials] == [i for i in range(30) if i != 7]
    assert {d for t in trials for n, d in t.distributions.items() if n == "lr"} == {
        FloatDistribution(1e-5, 0.1, log=True)
    }
    (message,) = messages
    assert "'lr' must hold a number" in message
    assert f"1 cell does not, the first of them in data row 8 with '{word}'" in message
    assert "such rows are left out" in message


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("word", ["none", "None", "null", "nan", "NaN", "", "N/A", "-"])
def test_what_stands_for_nothing_is_a_missing_parameter(
    tmp_path: Path, form: str, word: str
) -> None:
    trials, messages = told(runs(depth={3: word, 4: word}), tmp_path, form)
    assert not messages
    assert len(trials) == 30
    assert [t.number for t in trials if "depth" not in t.params] == [3, 4]
    assert trials[0].distributions["depth"] == IntDistribution(1, 7)


def test_odd_cells_of_all_kinds_cost_their_rows_in_one_warning(tmp_path: Path) -> None:
    study = optuna.create_study()
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=30)
    frame = study.trials_dataframe().astype(object)
    frame.loc[2, "state"] = "EXPLODED"
    frame.loc[3, "datetime_complete"] = "yesterday"
    frame.loc[4, "value"] = "lost"
    frame.loc[5, "params_x"] = "half"
    frame.to_csv(tmp_path / "old.csv", index=False)
    with pytest.warns(PriorWarning, match="'old' has odd cells") as caught:
        (got,) = read_priors(tmp_path / "old.csv")
    assert len(caught) == 1
    for odd in ("row 3 with 'EXPLODED'", "4 with 'yesterday'", "5 with 'lost'", "6 with 'half'"):
        assert odd in str(caught[0].message)
    assert [t.number for t in got.trials] == [0, 1, 4, *range(6, 30)]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """What a tracking tool exports: runs of all ends, and columns that nobody asked for."""
    rows = [
        f"run-{i},finished,2024-01-{i + 1:02}T12:00:00.000Z,{10 ** -(i % 4)},{i % 5},{0.1 * i:.1f}"
        for i in range(12)
    ]
    rows += [
        "run-12,crashed,2024-02-01T12:00:00.000Z,0.1,2,0.0",
        "run-13,Failed,2024-02-02T12:00:00.000Z,0.1,2,",
        "run-14,running,some day,0.1,2,0.4",
        "run-15,finished,2024-02-04T12:00:00.000Z,0.1,2,Infinity",
        "run-16,finished,2024-02-05T12:00:00.000Z,0.1",
    ]
    path = tmp_path / "runs.csv"
    text = "\n".join(["Name,State,Created,config.lr,config.layers,loss", *rows])
    path.write_text(text, encoding="utf-8")
    return path


def of_export(path: Path, **arguments: Any) -> Table:
    return Table(
        path,
        objective="loss",
        direction="minimize",
        **{"parameters": ["config.*"], "strip_prefix": "config.", **arguments},
    )


def test_runs_that_failed_or_still_run_are_failed_trials_with_their_times(exported: Path) -> None:
    table = of_export(exported)
    with pytest.warns(PriorWarning, match="1 row has too many or too few cells.*line 18"):
        (study,) = table.studies()
    assert table.n_rows() == 17
    states = [t.state for t in study.trials]
    assert states == [TrialState.COMPLETE] * 12 + [TrialState.FAIL] * 4
    assert study.trials[0].params == {"lr": 1.0, "layers": 0}
    noon = datetime(2024, 1, 1, 12, tzinfo=timezone.utc).astimezone().replace(tzinfo=None)
    assert study.trials[0].datetime_start == noon
    assert study.trials[14].datetime_start is None


def test_a_column_named_by_itself_has_its_own_scale_beside_a_glob(exported: Path) -> None:
    table = of_export(exported, parameters={"config.*": None, "config.layers": "categorical"})
    with pytest.warns(PriorWarning, match="too few cells"):
        (study,) = table.studies()
    kinds = {name: type(d) for name, d in study.trials[0].distributions.items()}
    assert kinds == {"lr": FloatDistribution, "layers": CategoricalDistribution}


def test_a_glob_takes_no_column_with_another_role(exported: Path) -> None:
    with pytest.warns(PriorWarning, match="too few cells"):
        (study,) = of_export(exported, parameters=["*"]).studies()
    assert study.trials[0].params.keys() == {"Name", "lr", "layers"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"parameters": ["conf.*"]}, "no column for a parameter like 'conf"),
        ({"parameters": ["conf"]}, "no column 'conf'"),
    ],
)
def test_a_parameter_without_a_column_is_an_error(
    exported: Path, arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(PriorError, match=complaint):
        of_export(exported, **arguments).study_names()


@pytest.mark.parametrize("prefix", ["params.", "config.", "config/"])
def test_the_prefix_of_a_known_tool_tells_which_columns_are_parameters(prefix: str) -> None:
    columns = {f"{prefix}lr": [0.1, 0.2], f"{prefix}net/depth": [2, 3], "loss": [1.0, 2.0]}
    frame = pd.DataFrame({"id": ["a", "b"], **columns})
    table = Table(frame, objective="loss", direction="minimize")
    (study,) = table.studies()
    assert study.trials[1].params == {"lr": 0.2, "net/depth": 3}
    named = Table(frame, objective="loss", direction="minimize", parameters=[f"{prefix}lr"])
    (study,) = named.studies()
    assert study.trials[1].params == {f"{prefix}lr": 0.2}


def test_a_table_without_a_known_prefix_asks_for_the_columns(tmp_path: Path) -> None:
    table = Table(written(tmp_path / "runs.csv", RUNS), objective="loss", direction="minimize")
    with pytest.raises(PriorError, match=r"`parameters` must name the columns.*'dataset', 'lr'"):
        MetaSampler(table)


def test_a_prefix_without_which_two_parameters_have_one_name_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("lr,config.lr,loss\n1,2,3\n4,5,6\n", encoding="utf-8")
    with pytest.raises(PriorError, match="have one name"):
        of_export(path, parameters=["lr", "config.lr"]).study_names()


def test_a_row_beyond_what_is_told_of_a_parameter_is_left_out(tmp_path: Path) -> None:
    told_depth = {"type": "int", "low": 1, "high": 7}
    trials, (message,) = told(runs(depth={3: "70"}), tmp_path, "csv", depth=told_depth)
    assert len(trials) == 29
    assert "a number from 1 to 7, but 1 cell does not" in message
    trials, (message,) = told(runs(lr={3: "-0.1"}), tmp_path, "csv", lr="log")
    assert len(trials) == 29
    assert "a positive number (log), but 1 cell does not" in message


def test_a_column_of_numbers_and_words_alike_is_one_of_choices() -> None:
    values = ["auto", 0.1, 0.5, "sqrt", 0.1] * 6
    assert seen(values) == CategoricalDistribution(["auto", 0.1, 0.5, "sqrt"])


def test_strings_of_numbers_are_choices_in_a_table_of_optunas_form_only() -> None:
    """Other tools keep every parameter as a string."""
    assert seen(["16", "32"] * 9) == IntDistribution(16, 32)
    study = optuna.create_study()
    study.optimize(lambda t: int(t.suggest_categorical("p", ["16", "32"])), n_trials=9)
    (got,) = read_priors(study.trials_dataframe())
    assert {type(t.params["p"]) for t in got.trials} == {str}


def test_a_column_of_words_is_no_objective(tmp_path: Path) -> None:
    with pytest.raises(PriorError, match=r"must hold a number, but data row 1 has 'good'"):
        told(runs(loss=dict.fromkeys(range(28), "good")), tmp_path, "csv")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["12.5%", "50%", "25 %"], [12.5, 50, 25]),
        (["12.5%", "0.5", "0.25"], [0.125, 0.5, 0.25]),
        (["50%", "20", "30"], [50, 20, 30]),
        (["1,000", "2,500,000", "10"], [1000, 2500000, 10]),
        (["1,000.5", "1,250.25"], [1000.5, 1250.25]),
        (["0,5", "0,125", "1,75"], [0.5, 0.125, 1.75]),
        (["1,5e-3", "2,5"], [0.0015, 2.5]),
        (["12,5%", "7,25%"], [12.5, 7.25]),
        (["\N{MINUS SIGN}1", "2"], [-1, 2]),
    ],
)
def test_numbers_are_read_as_people_and_spreadsheets_write_them(
    tmp_path: Path, cells: list[str], expected: list[float]
) -> None:
    frame = pd.DataFrame({"p": cells, "loss": cells})
    frame.to_csv(tmp_path / "runs.csv", sep=";", index=False)
    for data in (tmp_path / "runs.csv", frame):
        (study,) = Table(
            data, objective="loss", direction="minimize", parameters={"p": None}
        ).studies()
        assert [t.params["p"] for t in study.trials] == expected
        assert [t.value for t in study.trials] == expected


def test_percentages_become_fractions_where_the_range_says_so(tmp_path: Path) -> None:
    frame = pd.DataFrame({"p": ["12.5%", "25%"], "loss": [1, 2]})

    def values(high: float) -> list[Any]:
        scale = FloatDistribution(0, high)
        table = Table(frame, objective="loss", direction="minimize", parameters={"p": scale})
        return [t.params["p"] for t in table.studies()[0].trials]

    assert values(0.5) == [0.125, 0.25]
    assert values(50) == [12.5, 25]


def test_an_odd_cell_does_not_cost_the_running_study_its_prior(tmp_path: Path) -> None:
    runs(loss={4: "diverged"}).to_csv(tmp_path / "runs.csv", index=False)
    table = Table(
        tmp_path / "runs.csv", objective="loss", direction="minimize", parameters=["lr", "depth"]
    )
    sampler = MetaSampler(table, seed=0)
    study = optuna.create_study(sampler=sampler)
    with pytest.warns(PriorWarning, match="'diverged'") as caught:
        study.optimize(
            lambda t: t.suggest_float("lr", 1e-5, 1, log=True) * t.suggest_int("depth", 1, 9),
            n_trials=2,
        )
    assert len(caught) == 1
    assert [row.name for row in sampler.prior_weights(study)] == ["runs"]


def test_a_column_of_free_text_is_no_parameter() -> None:
    with pytest.raises(PriorError, match=r"2,000 different.*1,000 choices"):
        seen([f"note {i}" for i in range(2000)])


def test_a_table_of_unknown_form_asks_for_the_mapping(tmp_path: Path) -> None:
    path = written(tmp_path / "runs.csv", RUNS)
    with pytest.raises(PriorError, match=r"'dataset', 'lr'.*Table\(data, objective="):
        MetaSampler(path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": 3}, TypeError, "`data` must be a DataFrame or the path"),
        ({"parameters": "lr"}, TypeError, "`parameters` must be a list"),
        ({"study": 3}, TypeError, "`study` must be a name"),
        ({"direction": "min"}, ValueError, "'minimize' or 'maximize', but got 'min'"),
        ({"objective": "y", "parameters": ["p"]}, ValueError, "`direction` must be"),
        ({"parameters": {"p": "cubic"}}, ValueError, "'log', 'linear', 'categorical'.*'cubic'"),
        ({"parameters": {"p": {"low": 1}}}, ValueError, "such as {'type': 'float'"),
    ],
)
def test_arguments_that_make_no_table_are_errors(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Table(**{"data": "runs.csv", **arguments})


def test_studies_of_a_table_are_chosen_by_name(tmp_path: Path) -> None:
    table = Table(
        written(tmp_path / "runs.csv", RUNS),
        objective="loss",
        direction="minimize",
        parameters=["lr"],
        study="dataset",
    )
    studies: list[PriorStudy] = read_priors(table, "w*")
    assert [s.name for s in studies] == ["wine"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_are_separated_by_what_the_first_line_has(path: Path, delimiter: str) -> None:
    path.write_text(f"a{delimiter}b\n1{delimiter}x y\n\n2{delimiter}\n")
    assert read_csv(path)[0] == {"a": ["1", "2"], "b": ["x y", EMPTY]}


def test_a_file_as_spreadsheets_write_it_is_read(path: Path) -> None:
    path.write_bytes('\ufeffname,"two\nlines"\r\n"a, ""b""",1\r\n'.encode())
    assert read_csv(path)[0] == {"name": ['a, "b"'], "two\nlines": ["1"]}


@pytest.mark.parametrize("text", ["", "nan", "NaN", "NA", "null", "  "])
def test_what_programs_write_for_nothing_is_an_empty_cell(path: Path, text: str) -> None:
    path.write_text(f"a,b\n{text},1\n")
    assert read_csv(path)[0]["a"] == [EMPTY]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no row of column names"),
        (b"a,b\n1\n", "line 2 has 1 cells, but the first line names 2 columns"),
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells"),
        (b"a,b\n1,\x002\n", "line 2 holds a NUL byte"),
        ("a,b\n1,ä\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "NUL byte"),
        (b'a,b\n1,"2\n', "is not CSV"),
        (b"a,b,a\n1,2,3\n", "2 of its columns are called 'a'"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n", "is not CSV .*field larger than"),
        (b",".join(b"%d" % i for i in range(3000)), "3,000 columns"),
    ],
)
def test_what_is_no_table_is_refused_with_the_place(
    path: Path, content: bytes, reason: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(PriorError, match=f"(?s){reason}"):
        read_csv(path)


def test_sizes_are_bounded(path: Path) -> None:
    path.write_text("a\n" + "1\n" * 20)
    with pytest.raises(PriorError, match="more than 19 rows"):
        read_csv(path, max_rows=19)
    with pytest.raises(PriorError, match="more than 19 rows"):
        read_frame(pd.DataFrame({"a": range(20)}), max_rows=19)
    with pytest.raises(PriorError, match=r"42 bytes.*10"):
        read_csv(path, max_bytes=10)


def test_a_path_that_is_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PriorNotFoundError, match="there is no file"):
        read_csv(tmp_path / "nowhere.csv")
    with pytest.raises(PriorError, match="not a file"):
        read_csv(tmp_path)
    # A device has no end, and a pipe no writer.
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(PriorError, match="not a file"):
        read_csv(tmp_path / "pipe.csv")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        got, _ = read_csv(path)
    except PriorError:
        return
    assert len({len(cells) for cells in got.values()}) == 1


def test_cells_of_a_frame_become_plain_values() -> None:
    frame = pd.DataFrame(
        {
            "int": np.array([1, 2]),
            "float": [0.5, np.nan],
            "nullable": pd.array([1, None], dtype="Int64"),
            "bool": [True, False],
            "word": ["a", None],
            "mixed": pd.Series([np.float32(0.5), "x"], dtype=object),
            "time": pd.to_datetime(["2026-01-31", None]),
            "category": pd.Categorical(["a", "b"]),
        }
    )
    got = read_frame(frame)
    expected: dict[str, list[Any]] = {
        "int": [1, 2],
        "float": [0.5, EMPTY],
        "nullable": [1, EMPTY],
        "bool": [True, False],
        "word": ["a", EMPTY],
        "mixed": [0.5, "x"],
        "category": ["a", "b"],
    }
    for name, cells in expected.items():
        assert got[name] == cells
        plain = {int, float, bool, str, type(EMPTY)}
        assert {type(cell) for cell in got[name]} <= plain, name
    assert got["time"][0].year == 2026
    assert got["time"][1] is EMPTY


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(PriorError, match="2 of its columns are called 'a'"):
        read_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize("value", [{"a": [1]}, [1], "a.csv", 3, None, pd.Series([1])])
def test_other_things_are_no_frames(value: object) -> None:
    assert not is_frame(value)

"""Trials from tables of Optuna and of other tools."""

from __future__ import annotations

import csv
from pathlib import Path
import random
from typing import Any

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
from optuna_metasampler.exceptions import PriorError
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.sources import resolve
from optuna_metasampler.priors.study import PriorStudy


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
    (got,) = [s for source in resolve(data, None) for s in source.read()]  # type: ignore[arg-type]
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


def test_some_parameters_can_be_taken_and_their_scale_be_told(study: optuna.Study) -> None:
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


def test_columns_are_mapped_and_studies_told_apart(tmp_path: Path) -> None:
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


def test_a_configuration_file_can_say_it(tmp_path: Path) -> None:
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
    (iris,) = [s for source in sources for s in source.read()]
    assert iris.name == "sweep/iris"
    assert iris.trials[0].distributions["units"] == IntDistribution(16, 256, log=True)
    with pytest.raises(ValueError, match=r"unknown entry 'objetive'. Known are data, direction"):
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


def test_a_scale_that_is_told_is_taken() -> None:
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
        ("p,y\n1,0\nx,1\n", "log", r"'p' .*must hold a number \(log\), but row 2 .*'x'"),
        ("p,y\n1,0\n-2,1\n", "log", r"must hold a positive number \(log\), but row 2 .*-2"),
        ("p,y\n9,1\n", {"type": "int", "low": 0, "high": 8}, "from 0 to 8, but row 1 .*'9'"),
        ("p,y\nc,1\n", {"type": "categorical", "choices": ["a"]}, "one of 'a', but row 1"),
        ("p,y\n1,good\n", None, "'y' .*must hold a number, but row 1 .*'good'"),
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
        (study,) = Table(path).studies()
    except PriorError:
        return
    assert len(study.trials) <= len(rows)
    pool([study], [StudyDirection.MINIMIZE])


def test_a_column_of_free_text_is_no_parameter() -> None:
    with pytest.raises(PriorError, match="2,000 different entries.*Is it a parameter"):
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
        ({"objective": "y", "direction": "minimize"}, ValueError, "`parameters` must name"),
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
    studies: list[PriorStudy] = [s for r in resolve(table, "w*") for s in r.read()]
    assert [s.name for s in studies] == ["wine"]

"""The demonstration in ``examples/demo``."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
import optuna
import pytest

from examples.demo.__main__ import main
from examples.demo.problem import DATA_SETS, evaluate, largest_data_set, n_rows, suggest


GOOD = {
    "hidden_units": 32,
    "n_layers": 1,
    "activation": "relu",
    "batch_size": 16,
    "learning_rate": 1e-2,
    "alpha": 1e-4,
    "solver": "adam",
}


@pytest.mark.parametrize("data_set", ["iris", "diabetes"])
def test_a_sensible_network_beats_a_constant_prediction(data_set: str) -> None:
    assert 0 < evaluate(data_set, GOOD) < 0.8


def test_a_network_that_diverges_has_the_worst_value_and_no_traceback() -> None:
    wild = GOOD | {"solver": "sgd", "momentum": 0.99, "learning_rate": 0.1, "alpha": 10.0}
    assert evaluate("diabetes", wild) <= 10


def test_the_same_network_has_the_same_value() -> None:
    assert evaluate("iris", GOOD) == evaluate("iris", GOOD)


def test_momentum_exists_for_one_solver_only() -> None:
    for solver in ("adam", "sgd"):
        params = suggest(optuna.trial.FixedTrial(GOOD | {"solver": solver, "momentum": 0.5}))
        assert ("momentum" in params) == (solver == "sgd")


def test_the_target_is_the_data_set_with_the_most_rows() -> None:
    assert largest_data_set() == "digits"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "mnist"], "breast_cancer"),
        (["--trials", "0"], "--trials"),
        (["--jobs", "x"], "--jobs"),
    ],
)
def test_wrong_options_are_refused_with_the_way_out(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(main, ["--out", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_demo_runs_from_end_to_end(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--out", str(tmp_path), "--trials", "3", "--seeds", "1"])
    assert result.exit_code == 0, result.output
    numbers = json.loads((tmp_path / "demo.json").read_text())
    assert {prior["name"] for prior in numbers["priors"]} == {
        f"demo-{name}" for name in DATA_SETS if name != "digits"
    }
    assert len(numbers["runs"]) == 2
    # The largest data set first, whichever process ended first.
    studies = optuna.get_all_study_summaries(f"sqlite:///{tmp_path / 'prior.db'}")
    data_sets = [study.study_name.removeprefix("demo-") for study in studies]
    assert data_sets == sorted(data_sets, key=lambda name: -n_rows(name))
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")

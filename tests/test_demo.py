"""The demonstration in ``examples/demo``."""

from __future__ import annotations

from collections import Counter
import json
from pathlib import Path

from click.testing import CliRunner
import numpy as np
import optuna
import pytest

from examples.demo.__main__ import main
from examples.demo.problem import DATA_SETS, load, objective
from examples.demo.result import COLD, ENQUEUED, TPE, WARM, Result
from examples.demo.studies import run


GOOD = {
    "learning_rate": 0.3,
    "max_iter": 20,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 5,
    "l2_regularization": 1e-3,
    "max_features": 0.5,
}


def result_of(*, warm: float, tpe: float) -> Result:
    """Two data sets: on the first, MetaSampler has one loss from trial 2 on, and TPE another."""

    def runs(loss: float) -> list[list[float]]:
        return [[1.0, loss, 2.0, 2.0] for _ in range(2)]

    levels = {WARM: warm, COLD: 0.9, ENQUEUED: 0.5, TPE: tpe}
    values = {
        "one": {name: runs(loss) for name, loss in levels.items()},
        "other": {name: runs(0.5) for name in levels},
    }
    return Result(30, values, {"one": "report of one", "other": "report of other"}, 1.0, {})


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_a_sensible_configuration_beats_a_constant_and_repeats_itself(data_set: str) -> None:
    _, y = load(data_set)
    share = np.bincount(y) / len(y)
    losses = [objective(optuna.trial.FixedTrial(GOOD), data_set) for _ in range(2)]
    assert losses[0] == losses[1] < -(share @ np.log(share))
    assert len(y) <= 300


def test_the_conclusion_follows_the_numbers_whoever_wins() -> None:
    won = result_of(warm=0.1, tpe=0.4).conclusion()
    assert "reaches in 2 on one and 2 on other" in won
    assert "on 1 of 2 data sets after 3 trials and on 1 of 2 after 4" in won
    assert won.endswith("enqueued there, on 1 of 2 and 1 of 2.")
    lost = result_of(warm=0.6, tpe=0.4).conclusion()
    assert "reaches in 2 on other and more than 4 on one" in lost
    assert "on 0 of 2 data sets after 3 trials and on 0 of 2 after 4" in lost
    assert lost.endswith("enqueued there, on 0 of 2 and 0 of 2.")


def test_the_table_has_the_mean_of_the_best_so_far() -> None:
    result = result_of(warm=0.1, tpe=0.4)
    assert result.shown == [1, 3, 4]
    assert result.table()["one"][TPE] == {"1": 1.0, "3": 0.4, "4": 0.4}
    assert result.by_gain() == ["one", "other"]
    rows = [line.split()[-3:] for line in result.summary().splitlines() if WARM in line]
    assert rows == [["1.000", "0.100", "0.100"], ["1.000", "0.500", "0.500"]]
    assert len(result.figure().axes) == 2


def test_wrong_options_are_refused_before_anything_is_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--out", str(tmp_path / "out"), "--trials", "2"])
    assert result.exit_code == 2
    assert "--trials" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_demo_runs_from_end_to_end_and_says_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def briefly(*arguments: object, **options: int) -> Result:
        del arguments
        return run(said.append, n_old_trials=6, **options)

    said: list[str] = []
    monkeypatch.setattr("examples.demo.__main__.run", briefly)
    words = ["--out", str(tmp_path), "--trials", "3", "--seeds", "1"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    told = Counter(line.split()[2] for line in said if " s  " in line)
    assert told == {f"{name},": 2 for name in DATA_SETS}
    numbers = json.loads((tmp_path / "demo.json").read_text())
    assert {len(runs[0]) for each in numbers["values"].values() for runs in each.values()} == {3}
    assert numbers["conclusion"] in " ".join(result.output.split())
    assert result.output.count("3 trials, minimize, method auto") == 2
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")

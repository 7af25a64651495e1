"""``optuna-metasampler builtin``."""

from __future__ import annotations

import json

from click.testing import CliRunner
import pytest

from optuna_metasampler.builtin.catalogue import LEARNERS
from optuna_metasampler.builtin.origin import origins
from optuna_metasampler.cli import main


def output(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["builtin", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_learner_that_something_is_shipped_about_is_listed() -> None:
    rows = json.loads(output("list", "--json"))
    assert [row["learner"] for row in rows] == list(origins())
    assert all(f"\n{row['learner']}" in output("list") for row in rows)


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_parameters_of_a_learner_are_shown_in_eighty_columns(learner: str) -> None:
    text = output("show", learner)
    assert max(map(len, text.splitlines())) <= 80
    shown = json.loads(output("show", learner, "--json"))
    assert all(f"\n{row['parameter']}" in text for row in shown["parameters"])


def test_the_data_sets_behind_it_come_with_their_packages_and_licences() -> None:
    shown = json.loads(output("show", "lightgbm", "--json"))
    assert len(shown["data_sets"]) == len(origins()["lightgbm"].data_sets)
    assert all(row["package"] and row["version"] and row["licence"] for row in shown["data_sets"])


def test_a_learner_that_is_not_known_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["builtin", "show", "lgbm"])
    assert result.exit_code == 2
    assert "Did you mean 'lightgbm'?" in result.output

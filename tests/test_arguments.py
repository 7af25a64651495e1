"""Arguments that mean nothing are errors, with the value that was given and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from optuna_metasampler import MetaSampler, PriorFilter
from optuna_metasampler.checkpoint import fit


@pytest.mark.parametrize("value", [2.5, 2.0, True, False, "3", [3]])
@pytest.mark.parametrize("name", ["n_startup_trials", "seed"])
def test_what_is_no_integer_is_no_count(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"`{name}` must be an integer, but got "):
        MetaSampler(**{name: value})


@pytest.mark.parametrize("value", [2.5, True, "3"])
def test_what_is_no_integer_is_no_number_of_trials(value: Any) -> None:
    with pytest.raises(TypeError, match="`min_trials` must be an integer, but got "):
        PriorFilter(min_trials=value)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_seed_out_of_the_range_of_the_generator_is_an_error_at_once(value: int) -> None:
    with pytest.raises(ValueError, match=f"`seed` must be from 0 to 4294967295, but got {value}"):
        MetaSampler(seed=value)


def test_integers_of_numpy_are_integers() -> None:
    sampler = MetaSampler(n_startup_trials=np.int64(3), seed=np.uint32(7))
    optuna.create_study(sampler=sampler).optimize(lambda t: t.suggest_float("x", 0, 1), 5)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"explain": "no"}, "`explain` must be True or False, but got 'no'"),
        ({"independent_sampler": "tpe"}, "`independent_sampler` must be a sampler of Optuna"),
        ({"constraints_func": 1}, "`constraints_func` must be a function from a trial"),
        ({"checkpoint": 3}, "`checkpoint` must be the path of a file, but got 3"),
        ({"method_options": 3}, "`method_options` must be a mapping of options by name"),
        ({"prior_studies": 3}, "`prior_studies` must be a study name, a glob or a list"),
    ],
)
def test_an_argument_of_another_type_is_an_error_at_once(
    arguments: dict[str, Any], wanted: str
) -> None:
    with pytest.raises(TypeError, match=wanted):
        MetaSampler(**arguments)


@pytest.mark.parametrize("prior", ["", " ", Path(" "), [""], ["", "old.db"]])
def test_an_empty_string_is_no_prior(prior: Any) -> None:
    """A variable of the environment that is not set, for example."""
    with pytest.raises(ValueError, match=r"but got ' ?'\. Omit it, or pass None"):
        MetaSampler(prior)


@pytest.mark.parametrize("rename", [{"eta": 1}, {1: "lr"}, {"eta": None}, {"eta": ""}, {"": "lr"}])
def test_names_are_renamed_to_names_only(rename: Any) -> None:
    with pytest.raises(
        TypeError, match=r"`rename` must map names to names, such as \{'eta': 'lr'\}"
    ):
        MetaSampler(rename=rename)


def test_two_parameters_cannot_have_one_name(tmp_path: Path) -> None:
    rename = {"eta": "lr", "rate": "lr"}
    message = "'eta' and 'rate' both become 'lr'"
    with pytest.raises(ValueError, match=message):
        MetaSampler(rename=rename)
    with pytest.raises(ValueError, match=message):
        fit(optuna.create_study(), tmp_path / "model.safetensors", method="auto", rename=rename)

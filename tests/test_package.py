"""The public names of the package, which are imported on first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

import optuna_metasampler


@pytest.mark.parametrize("name", optuna_metasampler.__all__)
def test_every_public_name_is_imported_on_first_use(name: str) -> None:
    value = getattr(optuna_metasampler, name)
    assert value.__name__ == name
    assert getattr(optuna_metasampler, name) is value
    assert name in dir(optuna_metasampler)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = optuna_metasampler.nothing


def test_importing_the_package_imports_neither_optuna_nor_numpy() -> None:
    program = (
        "import optuna_metasampler, sys; optuna_metasampler.__version__; dir(optuna_metasampler)\n"
        "print([m for m in ('optuna', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"

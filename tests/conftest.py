"""Settings of every test."""

from __future__ import annotations

import logging
import os

from hypothesis import settings
import optuna
import pytest


# No test asserts on wall time, and a failure on one machine has to be one on every machine.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

# Nothing that a test reads is kept on the machine of the person who runs it.
os.environ["METASAMPLER_CACHE"] = "off"

# `caplog` records every message of the package, whatever verbosity a test sets for Optuna.
logging.getLogger("optuna_metasampler").setLevel(logging.DEBUG)
optuna.logging.enable_propagation()
optuna.logging.disable_default_handler()
optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Make no record of every trial, whatever the test before has set."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)

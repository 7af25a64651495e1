"""Settings of every test."""

from __future__ import annotations

import os

from hypothesis import settings

from optuna_metasampler import logging


# No test asserts on wall time, and a failure on one machine has to be one on every machine.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

# Nothing that a test reads is kept on the machine of the person who runs it.
os.environ["METASAMPLER_CACHE"] = "off"

# What the package says is heard by `caplog`, whatever a test has told Optuna, and nowhere else.
logging.set_verbosity(logging.DEBUG)
logging.enable_propagation()
logging.disable_default_handler()

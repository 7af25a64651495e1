"""The package speaks as Optuna does, and is silent when Optuna is."""

from __future__ import annotations

import subprocess
import sys

import pytest


# Three of the logger's ways: as it is, told by Optuna's verbosity, and by its own.
SAY = """
import optuna
from optuna_metasampler import logging
from optuna_metasampler.logging import get_logger
import logging as standard
logger = get_logger("optuna_metasampler.something")
{settings}
logger.info("news"); logger.warning("trouble")
"""


def said(settings: str) -> tuple[str, str]:
    """What is written to standard error and to standard output, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SAY.format(settings=settings)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr, done.stdout


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("", {"news", "trouble"}),
        ("optuna.logging.set_verbosity(optuna.logging.WARNING)", {"trouble"}),
        ("optuna.logging.set_verbosity(optuna.logging.ERROR)", set()),
        (
            "optuna.logging.set_verbosity(optuna.logging.ERROR); logging.set_verbosity(20)",
            {"news", "trouble"},
        ),
        ("logging.set_verbosity(logging.ERROR)", set()),
        ("logging.set_verbosity(logging.ERROR); logging.set_verbosity(None)", {"news", "trouble"}),
        ("logging.disable_default_handler()", set()),
        (
            "logging.disable_default_handler(); logging.enable_default_handler()",
            {"news", "trouble"},
        ),
        ("logging.write_warnings_only()", {"trouble"}),
    ],
)
def test_what_is_said_goes_by_the_verbosity(settings: str, words: set[str]) -> None:
    err, out = said(settings)
    assert {word for word in ("news", "trouble") if word in err} == words
    assert out == ""


def test_lines_look_like_those_of_optuna() -> None:
    err, _ = said("optuna.create_study()")
    of_optuna, ours, *_ = err.splitlines()
    assert of_optuna[:3] == ours[:3] == "[I "
    assert len(of_optuna.split("]")[0]) == len(ours.split("]")[0])


def test_an_application_that_has_its_own_logging_gets_it_once() -> None:
    to_root = "standard.basicConfig(format='root %(message)s', level=standard.INFO); "
    err, _ = said(to_root)
    assert "root" not in err
    err, _ = said(to_root + "logging.enable_propagation(); logging.disable_default_handler()")
    assert err.splitlines() == ["root news", "root trouble"]
    err, _ = said(to_root + "logging.enable_propagation(); logging.disable_propagation()")
    assert "root" not in err


def test_commands_show_how_far_they_are_though_they_quieten_optuna() -> None:
    err, _ = said(
        "from click.testing import CliRunner; from optuna_metasampler.cli import main; "
        "CliRunner().invoke(main, ['archive', '--help']); "
        "CliRunner().invoke(main, ['archive', 'list', 'no-such-file']); "
        "optuna.logging.set_verbosity(optuna.logging.ERROR); "
        "assert logging.get_verbosity() == logging.INFO"
    )
    assert "news" not in err
    assert "trouble" in err

"""Logging and progress bars: both follow Optuna's verbosity."""

from __future__ import annotations

import logging
import math
import re
import subprocess
import sys
import time

from nbclient import NotebookClient
import nbformat
import optuna
import pytest
import torch

from optuna_metasampler import MetaSampler, _runtime
from optuna_metasampler._runtime import announced, progress, tracked
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods import method_of
from optuna_metasampler.methods.portfolio import Portfolio
from optuna_metasampler.task import Task
from tests.tasks import cube, generator


LOG = """
import logging, optuna
from optuna_metasampler._runtime import get_logger
package, logger = logging.getLogger("optuna_metasampler"), get_logger("optuna_metasampler.module")
{settings}
logger.info("news"); logger.warning("trouble")
"""


def logged(settings: str) -> tuple[str, str]:
    """Standard error and standard output of a process that logs with these settings."""
    done = subprocess.run(
        [sys.executable, "-c", LOG.format(settings=settings)],
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
        ("optuna.logging.set_verbosity(optuna.logging.ERROR); package.setLevel(20)", None),
        ("package.setLevel(logging.ERROR)", set()),
        ("package.setLevel(logging.ERROR); package.setLevel(logging.NOTSET)", None),
        ("optuna.logging.disable_default_handler()", set()),
    ],
)
def test_the_logger_follows_optuna_until_its_own_level_is_set(
    settings: str, words: set[str] | None
) -> None:
    err, out = logged(settings)
    expected = {"news", "trouble"} if words is None else words
    assert {word for word in ("news", "trouble") if word in err} == expected
    assert out == ""


def test_lines_look_like_those_of_optuna() -> None:
    err, _ = logged("optuna.create_study()")
    of_optuna, ours, *_ = err.splitlines()
    assert of_optuna[:3] == ours[:3] == "[I "
    assert len(of_optuna.split("]")[0]) == len(ours.split("]")[0])


def test_an_application_with_its_own_logging_gets_each_message_once() -> None:
    to_root = "logging.basicConfig(format='root %(message)s', level=logging.INFO); "
    err, _ = logged(to_root)
    assert "root" not in err
    err, _ = logged(
        to_root + "optuna.logging.enable_propagation(); optuna.logging.disable_default_handler()"
    )
    assert err.splitlines() == ["root news", "root trouble"]


def test_commands_log_warnings_only_but_draw_progress_bars() -> None:
    command = (
        "import click; from click.testing import CliRunner\n"
        "from optuna_metasampler.cli import main\n"
        "@main.command()\n"
        "def probe():\n"
        "    logger.info('hidden'); logger.warning('shown')\n"
        "    click.echo(logger.isEnabledFor(logging.INFO))\n"
        "result = CliRunner().invoke(main, ['probe'])\n"
        "assert 'hidden' not in result.output and 'shown' in result.stderr, result.output\n"
        "assert result.stdout == 'True\\n'\n"
    )
    err, _ = logged(command)
    # Afterwards a program that called the command has its own settings again.
    assert "news" in err
    assert "trouble" in err


@pytest.mark.parametrize("slow", [False, True])
def test_what_is_quick_is_news_once_and_what_is_slow_each_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, slow: bool
) -> None:
    monkeypatch.setattr(_runtime, "_SLOW", -1.0 if slow else math.inf)
    monkeypatch.setattr(_runtime, "_said", set())
    for _ in range(2):
        with announced(logging.getLogger("optuna_metasampler"), "Counting", "Counted"):
            assert caplog.messages[-1] == "Counting."
        assert re.fullmatch(r"Counted in \d+\.\d s\.", caplog.messages[-1])
    again = logging.INFO if slow else logging.DEBUG
    assert [r.levelno for r in caplog.records] == [logging.INFO, logging.INFO, again, again]


def test_a_method_is_named_before_it_learns(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Interrupted(Exception):
        pass

    def learn(*arguments: object) -> None:
        raise Interrupted

    monkeypatch.setattr(Portfolio, "learn", learn)
    old = [optuna.create_study() for _ in range(2)]
    for study in old:
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
    caplog.clear()
    new = optuna.create_study(sampler=MetaSampler(old, method="portfolio"))
    with pytest.raises(Interrupted):
        new.ask().suggest_float("x", 0, 1)
    assert "Learning from 2 prior studies (method portfolio)." in caplog.messages
    assert not [said for said in caplog.messages if said.startswith("Learned")]


@pytest.mark.parametrize("interactive", [True, False])
def test_a_bar_is_drawn_in_an_interactive_session_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interactive: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: interactive)
    assert list(tracked([1, 2, 3], "Reading old.db", "study", delay=0)) == [1, 2, 3]
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Reading old.db" in err) == interactive


def test_a_short_task_draws_no_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(tracked("ab", "Reading old.db", "study")) == ["a", "b"]
    assert "Reading" not in capsys.readouterr().err


def test_no_bar_is_drawn_where_information_is_not_logged(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with caplog.at_level(logging.WARNING, "optuna_metasampler"):
        assert list(tracked([1, 2, 3], "Reading old.db", "study", delay=0)) == [1, 2, 3]
    assert "Reading" not in capsys.readouterr().err


def test_a_bar_is_cleared_after_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    def interrupted() -> None:
        with progress("Learning", "step", delay=0) as show:
            show(1, 40, "")
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        interrupted()
    # The last thing written is an empty line in its place.
    assert capsys.readouterr().err.rstrip("\r").endswith(" ")


def test_learning_reports_its_steps() -> None:
    space = cube("x")
    tasks = [
        Task.of(space, [{"x": x / 7} for x in range(8)], torch.arange(8.0).double() * sign)
        for sign in (1, -1, 1)
    ]
    for method in ("auto", "portfolio", "cluster"):
        steps: list[tuple[int, int]] = []
        trainer = Trainer(watch=lambda done, total, _, steps=steps: steps.append((done, total)))
        method_of(method).learn(tasks, generator(), trainer)
        assert steps[-1][0] == steps[-1][1]
        assert len(steps) >= 3


@pytest.mark.parametrize("interactive", [True, False])
def test_a_bar_takes_its_total_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interactive: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: interactive)
    with progress("Learning", "step", delay=0) as show:
        show(1, 40, "")
        time.sleep(0.2)  # it is drawn ten times a second at most
        show(40, 40, "loss 0.4")
    out, err = capsys.readouterr()
    assert out == ""
    assert ("40/40" in err and "loss 0.4" in err) == interactive


def test_a_notebook_shows_a_bar_and_no_warning() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "from optuna_metasampler._runtime import progress\n"
        "with progress('Learning', 'step', delay=0) as show:\n"
        "    show(1, 40, 'loss 0.4')\n"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    outputs = notebook.cells[0].outputs
    widgets = [o for o in outputs if any("widget-view" in key for key in o.get("data", ()))]
    lines = "".join(o.text for o in outputs if o.output_type == "stream")
    # A widget where ipywidgets is installed, else a line of text.
    assert widgets or "Learning" in lines
    assert "Warning" not in lines

"""Progress is shown to people only."""

from __future__ import annotations

import sys
import time

from nbclient import NotebookClient
import nbformat
from optuna.distributions import FloatDistribution
import pytest
import torch

from optuna_metasampler import logging, progress
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods import method_of
from optuna_metasampler.progress import counted, tracked
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.task import Task


SPACE = SearchSpace.of({"x": FloatDistribution(0, 1)})


@pytest.mark.parametrize("somebody_looks", [True, False])
def test_a_bar_is_drawn_where_somebody_looks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], somebody_looks: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: somebody_looks)
    monkeypatch.setattr(progress, "_DELAY", 0)
    assert list(tracked([1, 2, 3], "Reading old.db", "study")) == [1, 2, 3]
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Reading old.db" in err) == somebody_looks


def test_what_is_done_at_once_is_not_worth_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(tracked("ab", "Reading old.db", "study")) == ["a", "b"]
    assert "Reading" not in capsys.readouterr().err


def test_no_bar_is_drawn_for_who_wants_to_hear_of_warnings_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "_DELAY", 0)
    monkeypatch.setattr(logging, "_verbosity", logging.WARNING)
    assert list(tracked([1, 2, 3], "Reading old.db", "study")) == [1, 2, 3]
    assert "Reading" not in capsys.readouterr().err


def test_a_bar_goes_when_what_it_is_about_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(progress, "_DELAY", 0)
    with pytest.raises(OSError, match="gone"), counted("Learning", "step") as show:
        show(1, 40, "")
        raise OSError("gone")
    # The last thing that is written is an empty line in its place.
    assert capsys.readouterr().err.rstrip("\r").endswith(" ")


def test_learning_tells_how_far_it_is() -> None:
    tasks = [
        Task.of(SPACE, [{"x": x / 7} for x in range(8)], torch.arange(8.0).double() * sign)
        for sign in (1, -1, 1)
    ]
    for method in ("auto", "portfolio", "cluster"):
        told: list[tuple[int, int]] = []
        trainer = Trainer(watch=lambda done, total, point, told=told: told.append((done, total)))
        method_of(method).learn(tasks, torch.Generator().manual_seed(0), trainer)
        assert told[-1][0] == told[-1][1]
        assert len(told) >= 3


@pytest.mark.parametrize("somebody_looks", [True, False])
def test_a_count_without_a_known_end_is_shown_where_somebody_looks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], somebody_looks: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: somebody_looks)
    monkeypatch.setattr(progress, "_DELAY", 0)
    with counted("Learning", "step") as show:
        show(1, 40, "")
        time.sleep(0.2)  # it is drawn ten times a second at most
        show(40, 40, "loss 0.4")
    out, err = capsys.readouterr()
    assert out == ""
    assert ("40/40" in err and "loss 0.4" in err) == somebody_looks


def test_a_notebook_shows_a_bar_and_no_warning() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "from optuna_metasampler import progress\n"
        "progress._DELAY = 0\n"
        "with progress.counted('Learning', 'step') as show:\n"
        "    show(1, 40, 'loss 0.4')\n"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    outputs = notebook.cells[0].outputs
    widgets = [o for o in outputs if any("widget-view" in key for key in o.get("data", ()))]
    lines = "".join(o.text for o in outputs if o.output_type == "stream")
    # A widget where there is what draws it, else a line of text.
    assert widgets or "Learning" in lines
    assert "Warning" not in lines

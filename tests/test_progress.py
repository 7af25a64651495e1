"""Progress is shown to people only."""

from __future__ import annotations

import sys
import time

import pytest

from optuna_metasampler import progress
from optuna_metasampler.progress import counted, tracked


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


def test_it_goes_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert list(tracked([1, 2], "Reading old.db", "study")) == [1, 2]


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


def test_counting_goes_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with counted("Learning", "step") as show:
        show(1, 2, "anything")

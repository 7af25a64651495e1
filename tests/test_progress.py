"""Progress is shown to people only."""

from __future__ import annotations

import sys

import pytest

from optuna_metasampler import progress
from optuna_metasampler.progress import tracked


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

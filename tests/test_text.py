"""Names and strangers' texts in messages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from optuna_metasampler._text import listed, printable


@pytest.mark.parametrize(
    ("names", "shown"),
    [([], ""), (["a"], "a"), (["b", "a"], "b, a"), (list("abcde"), "a, b, c and 2 more")],
)
def test_names_are_listed_up_to_a_number(names: list[str], shown: str) -> None:
    assert listed(names, 3) == shown


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    assert printable(text).isprintable()
    assert all(line.isprintable() for line in printable(text, lines=True).split("\n"))


def test_what_can_be_seen_is_kept() -> None:
    assert printable("Größe 大\x1b[2J\n") == "Größe 大\\x1b[2J\\n"
    assert printable("a\nb", lines=True) == "a\nb"

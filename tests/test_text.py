"""Text for messages, terminals and reports."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from optuna_metasampler._text import (
    WIDTH,
    counted,
    listed,
    number,
    percent,
    printable,
    shortened,
    table,
    thinned,
)


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], ""), (["a"], "a"), (["b", "a"], "b, a"), (list("abcde"), "a, b, c and 2 more")],
)
def test_names_are_listed_up_to_a_number(names: list[str], expected: str) -> None:
    assert listed(names, 3) == expected


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    assert printable(text).isprintable()
    assert all(line.isprintable() for line in printable(text, lines=True).split("\n"))


def test_what_can_be_seen_is_kept() -> None:
    assert printable("Größe 大\x1b[2J\n") == "Größe 大\\x1b[2J\\n"
    assert printable("a\nb", lines=True) == "a\nb"


@given(st.text(), st.integers(4, 30), st.booleans())
def test_a_shortened_text_fits_and_is_printable(text: str, width: int, keep_end: bool) -> None:
    short = shortened(text, width, keep_end)
    assert len(short) <= width
    assert short.isprintable()
    if len(printable(text)) <= width:
        assert short == printable(text)


def test_a_long_text_loses_its_end_or_its_middle() -> None:
    assert shortened("abcdefghij", 8) == "abcde..."
    assert shortened("abcdefghij", 8, keep_end=True) == "abc…ghij"


def test_a_number_comes_with_its_noun() -> None:
    assert [counted(n, "trial") for n in (0, 1, 1234)] == ["0 trials", "1 trial", "1,234 trials"]
    assert counted(2, "study has", "studies have") == "2 studies have"


def test_values_are_thinned_evenly_with_both_ends() -> None:
    assert thinned(range(100), 3) == (0, 50, 99)
    assert thinned("ab", 3) == ("a", "b")
    assert thinned("abc", 1) == ("c",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (0.91234567, "0.9123"),
        (123456.7, "123457"),
        (-0.00012, "-0.00012"),
        (1.5e-9, "1.5e-9"),
        (2e12, "2e12"),
        (float("nan"), "unknown"),
        (float("inf"), "infinite"),
        (-float("inf"), "-infinite"),
        (5e-324, "4.941e-324"),
        (1.7e308, "1.7e308"),
    ],
)
def test_numbers_are_short_and_plain(value: float, expected: str) -> None:
    assert number(value) == expected


def test_only_exact_shares_are_none_or_all() -> None:
    shares = (0.0, 0.001, 0.5, 0.999, 1.0)
    assert [percent(v) for v in shares] == ["0%", "<1%", "50%", ">99%", "100%"]


def test_tables_are_aligned_and_fit_the_terminal() -> None:
    rows = [["name", "n", "note"], ["a", "7", "x"], ["b" * 90, "12", "y\x1b"]]
    lines = table(rows, left={0, 2}, elastic=0, indent="  ")
    assert lines == [
        f"  {'name':<67}   n  note",
        f"  {'a':<67}   7  x",
        f"  {'b' * 64}...  12  y\\x1b",
    ]
    assert max(map(len, lines)) == WIDTH
    assert len(table(rows, left={0, 2})[2]) > WIDTH

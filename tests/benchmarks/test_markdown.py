"""Numbers as tables show them."""

from __future__ import annotations

import pytest

from benchmarks.markdown import blocks, cell, paragraph, table


ROW = {"x": -0.001, "ends": [-0.3, -0.5, 0.1], "none": None, "by": {"10": 0.25}, "peer": "a | b"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{x:2}", "0.00"),
        ("{x:.2f}", "-0.00"),
        ("{ends:ci}", "-0.30 (-0.50 to 0.10)"),
        ("{ends:ci3}", "-0.300 (-0.500 to 0.100)"),
        ("{ends:ci%}", "-30% (-50% to 10%)"),
        ("{ends:diff}", "-0.30 (-0.50 to +0.10)"),
        ("{ends[2]:.1f}", "0.1"),
        ("{by[10]:.0%} at {by[20]:.0%}", "25% at –"),
        ("{none:ci} {absent:.3f} {none[3][4]}", "– – –"),
        ("{p:p}", "–"),
        ("{by[10]:p}", "0.250"),
    ],
)
def test_a_cell_is_a_format_string_filled_from_a_row(template: str, expected: str) -> None:
    assert cell(template, ROW) == expected


@pytest.mark.parametrize(("ends", "expected"), [([1, 3], "1 to 3"), ([2, 2], "2")])
def test_equal_ends_are_written_once(ends: list[int], expected: str) -> None:
    assert cell("{ends:span}", {"ends": ends}) == expected


def test_small_p_values_are_below_the_last_digit() -> None:
    assert cell("{p:p}", {"p": 0.00099}) == "<0.001"


def test_a_bar_inside_a_cell_does_not_end_it() -> None:
    lines = table([ROW], [("sampler", "{peer}"), ("x", "{x:2}")]).splitlines()
    assert lines == ["| sampler | x |", "|---|---|", "| a \\| b | 0.00 |"]
    assert table([], [("x", "{x}")]) == "None."


def test_paragraphs_are_broken_and_empty_blocks_left_out() -> None:
    text = paragraph("word " * 50 + "{x:2}", ROW)
    assert max(map(len, text.splitlines())) <= 100
    assert text.endswith("0.00")
    assert blocks("a", "", "b") == "a\n\nb"

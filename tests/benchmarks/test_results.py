"""Result files: nothing is lost, and nothing broken is taken for a result."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.results import Run, append, read


def run(seed: int = 0, error: str | None = None) -> Run:
    return Run(
        suite="toy",
        task="task0",
        scenario="none",
        peer="Random",
        seed=seed,
        n_trials=3,
        values=[0.123456789, 2.0, math.inf],
        seconds=[0.0123456, 1.0, 2.0],
        objective="abc",
        priors="def",
        n_priors=0,
        versions={"python": "3.11"},
        error=error,
    )


def test_a_run_comes_back_as_it_was_written_up_to_rounding(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    append(path, run(error="ValueError: no"))
    (back,) = read([path])
    assert back.values == [0.1234568, 2.0, math.inf]
    assert back.seconds == [0.0123, 1.0, 2.0]
    assert (back.key, back.error) == (run().key, "ValueError: no")


def test_a_line_that_was_cut_off_is_passed_over_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    append(path, run(0))
    append(path, run(1))
    whole = path.read_bytes()
    for cut in (1, 40, len(run(1).to_json()) - 1):
        path.write_bytes(whole[:-cut])
        kept = [r.seed for r in read([path])]
        assert kept in ([0], [0, 1])
        append(path, run(2))
        assert [r.seed for r in read([path])] in ([0, 2], [0, 1, 2])


def test_a_broken_line_in_the_middle_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "toy.jsonl"
    path.write_text('{"suite": "toy"}\n' + run().to_json() + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"toy\.jsonl, line 1, is not a run"):
        list(read([path]))

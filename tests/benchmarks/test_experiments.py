"""What is committed: the records give the summary, and the summary gives the pages."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from benchmarks import report
from benchmarks.experiment import failed
from benchmarks.experiments import EXPERIMENTS
from benchmarks.records import RESULTS, Store


KEPT = [name for name, e in EXPERIMENTS.items() if e.kept and not e.records]


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, up to the last digit of rounded numbers."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-4)
    return bool(one == other)


def test_the_summary_is_that_of_the_records() -> None:
    made = json.loads(report.written(report.summarize(RESULTS)))
    committed = report.read_summary()
    assert made.keys() == committed.keys()
    assert [name for name in made if not same(made[name], committed[name])] == []


@pytest.mark.parametrize("name", KEPT)
def test_records_have_the_columns_of_their_jobs_and_are_packed(name: str) -> None:
    experiment = EXPERIMENTS[name]
    records = Store.of(RESULTS, experiment).read()
    assert records
    assert not list(RESULTS.rglob(f"{name}*.jsonl"))
    assert all(experiment.key(record) == key for key, record in records.items())
    if name != "main":
        assert not [record for record in records.values() if failed(record)]


@pytest.mark.parametrize("name", KEPT)
def test_every_row_of_a_table_has_as_many_cells_as_its_header(name: str) -> None:
    summary = report.read_summary()[name]
    tables = EXPERIMENTS[name].tables(summary).values()
    parts = [part.splitlines() for text in tables for part in text.split("\n\n")]
    for lines in (lines for lines in parts if lines[0].startswith("|")):
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
        assert len(lines) > 2


def test_a_page_has_a_block_for_every_table_and_no_other() -> None:
    pages = [page.read_text(encoding="utf-8") for page in report.PAGES]
    marked = {name for page in pages for name in re.findall(r"<!-- ([a-z-]+):begin -->", page)}
    assert marked == report.blocks(report.read_summary()).keys()


def test_the_pages_show_the_summary() -> None:
    report.check_pages()


def test_the_summary_is_json_without_numbers_that_are_none() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (RESULTS / "summary.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse)

"""Files of records: nothing is lost, and nothing broken is taken for a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.experiment import NOT_RUN
from benchmarks.records import Store, line, read


def record(seed: int = 0, **measured: Any) -> dict[str, Any]:
    return {"suite": "toy", "seed": seed, **measured}


def store(folder: Path, split: str | None = None) -> Store:
    return Store(folder, "thing", lambda r: (r["suite"], r["seed"]), split)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    kept = record(values=[0.123456789, -1e-300, float("inf")], error="ValueError: nö")
    store(tmp_path).append(kept)
    assert list(store(tmp_path).read().values()) == [kept]


@pytest.mark.parametrize("split", [None, "suite"])
def test_packed_records_are_the_last_of_each_key_and_always_the_same_bytes(
    tmp_path: Path, split: str | None
) -> None:
    for folder, seeds in (("one", (1, 0)), ("two", (0, 1))):
        here = store(tmp_path / folder, split)
        here.append(record(0, error="broken"))
        here.pack()
        for seed in seeds:
            here.append(record(seed, value=seed))
        here.pack()
        assert here.read() == {("toy", s): record(s, value=s) for s in (0, 1)}
    contents = [
        [path.read_bytes() for path in sorted((tmp_path / folder).rglob("*.jsonl*"))]
        for folder in ("one", "two")
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 1


def test_a_plan_is_read_until_there_is_a_result_and_never_in_place_of_one(tmp_path: Path) -> None:
    here = store(tmp_path)
    here.append(record(error=NOT_RUN))
    assert here.read()["toy", 0]["error"] == NOT_RUN
    here.append(record(value=1))
    here.append(record(error=NOT_RUN))
    assert here.read()["toy", 0]["value"] == 1


def test_a_line_that_was_cut_off_is_passed_over_and_replaced(tmp_path: Path) -> None:
    here, path = store(tmp_path), tmp_path / "thing.jsonl"
    for seed in (0, 1):
        here.append(record(seed))
    whole = path.read_bytes()
    for cut in (1, 10, len(line(record(1))) - 1):
        path.write_bytes(whole[:-cut])
        assert [key[1] for key in here.read()] == [0]
        here.append(record(2))
        assert [key[1] for key in here.read()] == [0, 2]


@pytest.mark.parametrize("broken", ['{"suite": ', "[1, 2]"])
def test_a_broken_line_in_the_middle_is_an_error_with_its_place(
    tmp_path: Path, broken: str
) -> None:
    path = tmp_path / "thing.jsonl"
    path.write_text(f"{broken}\n{json.dumps(record())}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"thing\.jsonl, line 1,"):
        list(read(path))

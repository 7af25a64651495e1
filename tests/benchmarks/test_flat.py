"""Equal outcomes in six guises."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.experiment import Options
from benchmarks.experiments import flat


@pytest.mark.parametrize("guise", flat.GUISES)
def test_random_search_finds_the_region_as_often_as_its_size_says(guise: str) -> None:
    """9% a trial: outside of these limits in fewer than one of 1,000 draws of 20 studies."""
    jobs = [flat.Job(guise, "2 of 6 parameters", seed, flat.RANDOM) for seed in range(20)]
    found = [flat.run(job, Options())["found"] for job in jobs]
    soon = sum(trial is not None and trial <= 10 for trial in found)
    # With probability 0.61 each.
    assert 5 <= soon <= 19


def test_a_study_that_never_finds_the_region_counts_as_the_worst() -> None:
    records = [
        {"guise": "one value", "space": "2 numbers", "seed": i, "peer": flat.TPE, "found": found}
        for i, found in enumerate([3, 30, None, None])
    ]
    (row,) = [
        r
        for r in flat.summarize(records)["rows"]
        if (r["guise"], r["space"]) == ("one value", "2 numbers")
    ]
    assert row[flat.TPE] == {"soon": 0.25, "ever": 0.5, "median": None}
    assert row[flat.RANDOM] == {"soon": None, "ever": None, "median": None}


def test_the_region_lies_elsewhere_in_every_problem() -> None:
    corners = {tuple(np.round(flat.corner_of(seed), 6)) for seed in range(20)}
    assert len(corners) == 20
    assert all(0.0 <= c <= 1.0 - flat.SIDE for corner in corners for c in corner)

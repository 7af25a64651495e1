"""Noisy objectives, and which trial to trust."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.experiment import Options
from benchmarks.experiments import noise
from benchmarks.problems import noisy
from benchmarks.problems.base import Params, random_params


def sample(problem: noisy.Problem, n: int) -> list[Params]:
    generator = np.random.default_rng(1)
    return [random_params(problem.parameters, generator) for _ in range(n)]


@pytest.mark.parametrize("kind", ["even", "uneven"])
def test_noise_is_as_large_as_it_is_said_to_be(kind: str) -> None:
    """Standard deviations of 400 draws: 5% off is 1.4 standard errors, 20% more than 5."""
    problem = noisy.synthetic("0", kind, 0.3, 0)
    quiet_one = noisy.SUITE.objective("0")
    points = sample(problem, 400)
    spread = np.std([quiet_one(p) for p in points])
    rng = np.random.default_rng(0)
    draws = np.array([problem.noisy(p, rng) - quiet_one(p) for p in points])
    at = np.array([p["x0"] for p in points], dtype=float)
    factor = np.sqrt(np.mean((1 + 0.75 * at) ** 2)) if kind == "uneven" else 1.0
    assert draws.std() == pytest.approx(0.3 * spread * factor, rel=0.2)
    ratio = draws[at > 0.5].std() / draws[at < -0.5].std()
    assert (ratio > 2) == (kind == "uneven")


def test_regret_knows_nothing_of_noise() -> None:
    problem = noisy.synthetic("0", "even", 1.0, 0)
    params = sample(problem, 1)[0]
    assert problem.regret(params) == problem.regret(params) >= 0
    assert len(problem.priors) == 5


def test_folds_drawn_anew_give_another_error() -> None:
    points = sample(noisy.Problem("", "", noisy._MACHINE, (), lambda p, r: 0.0, lambda p: 0.0), 6)
    errors = [[noisy.error("wine", p, split) for split in range(3)] for p in points]
    assert max(np.std(errors, axis=1)) > 0
    assert noisy.error("wine", points[0], 0) == errors[0][0]


def test_every_kind_of_noise_has_eight_problems_for_every_sampler() -> None:
    jobs = noise.jobs(Options())
    assert len(jobs) == 8 * len(noise.CELLS) * len(noise.PEERS)
    assert {job.noise for job in jobs} == {*noise.CELLS}
    problem = noise.problem_of("uneven 0.3", "1/0")
    assert (problem.noise, problem.name) == ("uneven 0.3", "1/0")


def test_both_choices_of_one_study_are_judged() -> None:
    row = noise.run(noise.Job("even 1.0", "0/0", "TPE"), Options())
    assert row.keys() == {*noise.CHOICES}
    assert all(regret >= 0 for regret in row.values())


def test_choices_are_paired_where_every_sampler_has_run() -> None:
    records = [
        {
            "noise": "even 1.0",
            "problem": str(seed),
            "peer": peer,
            "best_value": 0.5 + 0.01 * seed,
            "recommended": 0.3 + 0.01 * seed,
        }
        for seed in range(3)
        for peer in noise.PEERS
    ]
    alone = {**records[0], "problem": "3", "best_value": 9.0}
    found = noise.summarize([*records, alone])
    (row,) = found["rows"]
    assert row["n_problems"] == 3
    assert all(row[peer] == pytest.approx([0.51, 0.31]) for peer in noise.PEERS)
    for change in found["changes"]:
        assert change["change"] == pytest.approx((-0.2, -0.2, -0.2))

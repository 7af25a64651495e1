"""The benchmark of noisy objectives."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from benchmarks import noise
from benchmarks.problems.base import random_params


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def sample(problem: noise.Problem, n: int) -> list[dict[str, object]]:
    generator = np.random.default_rng(1)
    return [random_params(problem.parameters, generator) for _ in range(n)]


@pytest.mark.parametrize("kind", ["even", "uneven"])
def test_noise_is_as_large_as_it_is_said_to_be(kind: str) -> None:
    """Standard deviations of 400 draws: 5 % off is 1.4 standard errors, 20 % more than 5."""
    problem = noise.synthetic("0", kind, 0.3, 0)
    quiet_one = noise.SUITE.objective("0")
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
    problem = noise.synthetic("0", "even", 1.0, 0)
    params = sample(problem, 1)[0]
    assert problem.regret(params) == problem.regret(params) >= 0
    assert len(problem.priors) == 5


def test_folds_drawn_anew_give_another_error() -> None:
    points = sample(noise.Problem("", "", noise._MACHINE, (), lambda p, r: 0.0, lambda p: 0.0), 6)
    errors = [[noise.error("wine", p, split) for split in range(3)] for p in points]
    assert max(np.std(errors, axis=1)) > 0
    assert noise.error("wine", points[0], 0) == errors[0][0]


def test_every_cell_has_eight_problems() -> None:
    assert len(noise.problems()) == 8 * (len(noise.NOISE) + 1)
    assert len(noise.LIVE) * noise.N_LIVE_SEEDS == len(noise.SUITE.targets) == 8


def test_both_choices_of_one_study_are_judged() -> None:
    row = noise.run(noise.synthetic("0", "even", 1.0, 0), "TPESampler")
    assert row["cell"] == "even 1.0"
    assert row["best value"] >= 0
    assert row["recommended"] >= 0


def test_the_table_pairs_the_choices() -> None:
    rows = [
        {
            "cell": "even 1.0",
            "seed": str(seed),
            "peer": peer,
            "best value": 0.5 + 0.01 * seed,
            "recommended": 0.3 + 0.01 * seed,
        }
        for seed in range(3)
        for peer in noise.PEERS
    ]
    broken_off = {**rows[0], "seed": "3", "best value": 9.0}
    text = noise.table({"rows": [*rows, broken_off]})
    assert "| even 1.0 | 3 | 0.51 / 0.31 |" in text
    assert " ".join(text.split()).count("-0.200 (-0.200 to -0.200)") == len(noise.PEERS)

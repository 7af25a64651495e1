"""The benchmark of constraints and failures."""

from __future__ import annotations

from collections.abc import Mapping

import optuna
from optuna.samplers import RandomSampler
import pytest

from benchmarks.experiments.constraints import outcome, study_of, summarize
from benchmarks.problems.constrained import Failure, Problem, flaky, formulas, shifted


PROBLEMS = formulas()
OPTIMA = [
    ("gramacy", {"x": 0.19512, "y": 0.40467}),
    ("gardner 2", {"x": 4.712389, "y": 1.253236}),
    ("townsend", {"x": 2.0052927, "y": 1.1944529}),
    ("pressure vessel", {"shell": 13, "head": 7, "radius": 42.098445, "length": 176.636596}),
    ("welded beam", {"h": 0.20573, "l": 3.470489, "t": 9.036624, "b": 0.20573}),
]


@pytest.mark.parametrize(("name", "params"), OPTIMA)
def test_a_problem_has_its_published_optimum(name: str, params: Mapping[str, float]) -> None:
    problem = PROBLEMS[name]
    value, constraints = problem.evaluate(params)
    assert value == pytest.approx(problem.best, rel=1e-4)
    # The published digits are few, and the volume is counted in cubic inches.
    assert all(c <= (1.0 if key == "volume" else 1e-4) for key, c in constraints.items())


def test_a_prior_problem_is_near_and_another() -> None:
    problem, params = PROBLEMS["gramacy"], {"x": 0.3, "y": 0.5}
    moved = [shifted(problem, seed).evaluate(params)[0] for seed in (0, 0, 1)]
    assert moved[0] == moved[1] != moved[2]
    assert all(abs(value - problem.evaluate(params)[0]) <= 0.16 for value in moved)


def test_the_given_share_of_configurations_fails_and_always_the_same() -> None:
    evaluate = flaky(lambda params: (params["x"], {}), 0.25)

    def fails(x: float) -> bool:
        try:
            evaluate({"x": x})
        except Failure:
            return True
        return False

    failed = [fails(i / 400) for i in range(400)]
    assert 70 < sum(failed) < 130  # 3.5 standard deviations
    assert failed == [fails(i / 400) for i in range(400)]


@pytest.mark.skipif(
    not hasattr(optuna.trial.Trial, "set_constraint"),
    reason="the objectives are written for Optuna 5",
)
def test_only_feasible_trials_lower_the_regret() -> None:
    problem = Problem(
        "half",
        PROBLEMS["gramacy"].parameters,
        lambda p: (p["x"], {"c": 0.5 - p["x"]}),
        best=0.5,
    )
    result = outcome(study_of(problem, RandomSampler(seed=0), 40), best=0.5, unit=0.25)
    assert result["log_regret"][-1] < result["log_regret"][0] <= 0.0
    assert 0.2 < result["infeasible"] < 0.8


def test_runs_are_paired_by_problem_and_seed() -> None:
    means = {"TPE": -1.0, "GPSampler": -1.5, "MetaSampler": -2.0}
    records = [
        {
            "problem": "townsend",
            "seed": seed,
            "peer": peer,
            "log_regret": [mean] * 4,
            "mean_log_regret": mean + 0.1 * seed,
            "infeasible": 0.25,
        }
        for peer, mean in means.items()
        for seed in range(3)
    ]
    found = summarize(records)
    rows = {row["peer"]: row for row in found["groups"]["constraints"]["rows"]}
    assert rows["MetaSampler"]["regret"] == pytest.approx([0.01] * 4)
    assert rows["MetaSampler"]["TPE"] == pytest.approx((-1.0, -1.0, -1.0))
    assert rows["MetaSampler"]["GPSampler"][0] == pytest.approx(-0.5)
    assert rows["TPE"]["TPE"] is None
    assert found["groups"]["kernels that fail"] == {"n_problems": 0, "rows": []}
    # Nothing was chosen on this problem.
    assert found["warm"] == rows["MetaSampler"]["TPE"]
    assert found["cold"] is None

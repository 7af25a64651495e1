"""Eight workers at once."""

from __future__ import annotations

from optuna.samplers import RandomSampler
import pytest

from benchmarks.experiments.parallel import REFERENCE, SHOWN, alike, summarize, tune
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.run import setting_of
from benchmarks.samplers import GP, META


SUITE = SyntheticSuite(0.9)


def test_every_sampler_meets_the_same_number_of_running_trials() -> None:
    """Random search draws the same configurations, which workers end in another order."""
    setting = setting_of(SUITE, [], 0)
    objective = SUITE.objective("0")
    together, alone = (
        tune(setting, objective, RandomSampler(seed=0), n, 20)["values"] for n in (8, 1)
    )
    assert sorted(together) == sorted(alone)
    assert together != alone


def test_a_repeated_configuration_is_counted() -> None:
    setting = setting_of(SUITE, [], 0)
    one = {"x0": 0.0, "x1": 0.1, "x2": 3, "kind": "c", "flag": False}
    like = alike(setting, [one, {**one, "x0": 0.01}, {**one, "kind": "a", "x3": 0.5}])
    assert like.tolist() == [[True, True, False], [True, True, False], [False, False, True]]


def test_peers_with_two_tasks_are_compared_and_paired() -> None:
    def record(peer: str, task: str, workers: int, value: float) -> dict[str, object]:
        key = {"suite": "s", "task": task, "peer": peer, "workers": workers}
        counts = {"alike": 2, "alike_running": 1}
        return {**key, "best": 0.0, "median": 1.0, **counts, "values": [value] * 64}

    both = [(task, k) for task in "ab" for k in (8, 1)]
    records = [record(REFERENCE, task, k, 0.5) for task, k in both]
    records += [record(META, task, k, 0.2 + (k == 8) / 10) for task, k in both]
    records += [record(GP, "a", k, 0.1) for k in (8, 1)]
    rows = {row["peer"]: row for row in summarize(records)["suites"]["s"]}
    assert rows.keys() == {REFERENCE, META}
    assert rows[META]["regret"] == pytest.approx({str(n): 0.3 for n in SHOWN})
    assert rows[META]["to_reference"] == pytest.approx((-0.2, -0.2, -0.2))
    assert rows[META]["to_one_worker"] == pytest.approx((0.1, 0.1, 0.1))
    assert (rows[META]["alike"], rows[META]["alike_running"]) == (2.0, 1.0)
    assert rows[REFERENCE]["to_reference"] is None

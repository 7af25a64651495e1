"""The benchmark of parallel workers."""

from __future__ import annotations

import optuna
from optuna.samplers import RandomSampler

from benchmarks.parallel import PEERS, REFERENCE, alike, table, tune
from benchmarks.problems.synthetic import SyntheticSuite
from benchmarks.run import setting_of
from optuna_metasampler import MetaSampler


SUITE = SyntheticSuite(0.9)


def test_every_sampler_meets_the_same_number_of_running_trials() -> None:
    """Random search draws the same configurations, which workers end in another order."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
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


def test_the_samplers_are_the_ones_a_user_would_make() -> None:
    setting = setting_of(SUITE, [], 0)
    assert isinstance(PEERS["MetaSampler, no priors"](setting), MetaSampler)


def test_the_table_shows_peers_with_two_tasks_and_pairs_them() -> None:
    def run(peer: str, task: str, workers: int, value: float) -> dict[str, object]:
        scale = {"best": 0.0, "median": 1.0}
        counts = {"alike": 2, "alike running": 1}
        row = {"suite": "s", "task": task, "peer": peer, "workers": workers}
        return {**row, **scale, **counts, "values": [value] * 64}

    runs = [run(REFERENCE, task, k, 0.5) for task in "ab" for k in (8, 1)]
    runs += [run("MetaSampler", task, k, 0.2 + (k == 8) / 10) for task in "ab" for k in (8, 1)]
    runs += [run("GPSampler", "a", k, 0.1) for k in (8, 1)]
    text = table({"runs": runs, "workers": 8, "trials": 64})
    assert "| MetaSampler | 2 | 0.300 | 0.300 | 0.300 | 0.300 | -0.200 (-0.200 to" in text
    assert "+0.100 (+0.100 to +0.100) | 2.0 | 1.0 |" in text
    assert "GPSampler |" not in text

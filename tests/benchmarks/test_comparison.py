"""From runs to numbers: what is compared with what, and what counts how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import json
from typing import Any

import numpy as np
import pytest

from benchmarks.experiment import NOT_RUN
from benchmarks.experiments.comparison import quick
from benchmarks.experiments.comparison.data import REFERENCE, WITHHELD
from benchmarks.experiments.comparison.summary import summarize
from benchmarks.experiments.comparison.tables import tables, trials_to_match
from benchmarks.problems.base import Scale
from benchmarks.run import Run
from tests.benchmarks.runs import run_of


N = 10


def make(
    peer: str,
    regret: float,
    scenario: str = "none",
    task: str = "t0",
    suite: str = "a",
    seed: int = 0,
    n_priors: int = 5,
    n_trials: int = N,
) -> Run:
    """A run with the same regret at every trial; only of the suite ``live`` no scale is known."""
    warm = scenario != "none"
    return run_of(
        peer,
        [regret] * n_trials,
        scenario,
        suite=suite,
        task=task,
        seed=seed,
        objective=f"objective of {suite} {task}",
        priors=f"priors {scenario} {seed}" if warm else "",
        n_priors=n_priors if warm else 0,
        direction="maximize" if suite == "live" else "minimize",
        scale=None if suite in UNSCALED else Scale(0.0, 1.0),
    )


UNSCALED = ("live", "sim_optics")
COLD = {REFERENCE: REFERENCE, "TPE + best priors": "TPE"}


def numbers(runs: list[Run]) -> dict[str, Any]:
    return summarize(runs, seen=("a",), cold=COLD, n_draws=200)


def row(rows: list[Mapping[str, Any]], **wanted: object) -> Mapping[str, Any]:
    (found,) = [r for r in rows if all(r[name] == value for name, value in wanted.items())]
    return found


def test_seeds_are_averaged_before_tasks_count() -> None:
    # Two tasks, one of them with three seeds: as logarithms -1 and -2, whatever the seeds.
    runs = [make("TPE", 0.1, task="t0", seed=s) for s in range(3)] + [make("TPE", 0.01, task="t1")]
    found = row(numbers(runs)["comparison"]["all"], peer="TPE")
    assert found["endpoint"][0] == pytest.approx(-1.5)
    assert found["n_tasks"] == 2
    assert found["n_seeds"] == [1, 3]


def test_the_logarithm_is_taken_before_the_mean_over_seeds() -> None:
    runs = [make("TPE", 1.0, seed=0), make("TPE", 0.01, seed=1)]
    found = row(numbers(runs)["comparison"]["all"], peer="TPE")
    assert found["endpoint"][0] == pytest.approx(-1.0)
    assert found["regret"]["5"] == pytest.approx(0.1)


def test_suites_weigh_alike() -> None:
    runs = [make("TPE", 0.1, task=f"t{i}") for i in range(9)] + [make("TPE", 0.001, suite="b")]
    found = row(numbers(runs)["comparison"]["all"], peer="TPE")
    assert found["endpoint"][0] == pytest.approx(-2.0)


def test_cold_peers_are_compared_in_a_scenario_on_the_tasks_that_it_has() -> None:
    runs = [make("TPE", 0.1, task=t) for t in ("t0", "t1")]
    runs += [make(REFERENCE, 0.01, "tpe-5"), make(REFERENCE, 0.1)]
    found = numbers(runs)
    assert [r["peer"] for r in found["comparison"]["all"]] == [REFERENCE, WITHHELD, "TPE"]
    tpe = row(found["comparison"]["all"], peer="TPE")
    assert (tpe["n_tasks"], tpe["n_paired"]) == (1, 1)
    assert tpe["difference"][0] == pytest.approx(-1.0)
    assert (tpe["wins"], tpe["ties"], tpe["losses"]) == (1, 0, 0)
    assert row(found["comparison"]["all"], peer=WITHHELD)["difference"][0] == pytest.approx(-1.0)


def test_a_short_run_is_compared_over_its_own_trials() -> None:
    falling = replace(make(REFERENCE, 1.0, "tpe-5"), values=[0.1] * 4 + [0.001] * 6)
    found = numbers([falling, make("SMAC3", 0.1, n_trials=4)])
    smac = row(found["comparison"]["all"], peer="SMAC3")
    assert smac["n_trials"] == 4
    assert smac["difference"][0] == pytest.approx(0.0)
    assert smac["ties"] == 1
    assert set(smac["regret"]) == {"1", "3"}


def test_the_low_floor_shows_what_the_floor_hides() -> None:
    found = row(numbers([make("TPE", 0.0)])["comparison"]["all"], peer="TPE")
    assert found["endpoint"][0] == pytest.approx(-3.0)
    assert found["endpoint_low_floor"] == pytest.approx(-4.0)


def test_seen_and_unseen_suites_are_told_apart_and_synthetic_ones_kept_out() -> None:
    runs = [
        make(peer, regret, scenario, task, suite)
        for suite, task in (("a", "t0"), ("b", "t0"), ("synthetic_0.5", "0"))
        for peer, scenario, regret in (("TPE", "none", 0.1), (REFERENCE, "tpe-5", 0.01))
    ]
    found = numbers(runs)
    assert found["pools"] == {"all": ["a", "b"], "seen": ["a"], "unseen": ["b"], "simulators": []}
    assert {r["n_tasks"] for r in found["comparison"]["all"]} == {2}
    assert row(found["relatedness"], peer="TPE")["relatedness"] == 0.5


def test_simulators_are_compared_by_themselves() -> None:
    runs = [
        make(peer, value, scenario, "t0", suite)
        for suite in ("a", "sim_optics")
        for peer, scenario, value in (
            ("Random", "none", 1.0),
            ("TPE", "none", 0.5),
            (REFERENCE, "tpe-5", 0.1),
        )
    ]
    found = numbers(runs)
    assert found["pools"]["all"] == ["a"]
    rows = found["comparison"]["simulators"]
    assert row(rows, peer=REFERENCE)["n_tasks"] == 1
    # The best of all runs is the best there is: no regret, which counts as 0.001.
    assert row(rows, peer=REFERENCE)["endpoint"][0] == pytest.approx(-3.0)
    assert {r["peer"] for r in found["cold_simulators"]} == {"Random", "TPE"}


def test_harm_is_counted_against_the_same_peer_without_priors() -> None:
    runs = []
    for i in range(10):
        runs.append(make(REFERENCE, 0.1, task=f"t{i}"))
        # Worse on two tasks, within a tie on one, better on seven.
        regret = 1.0 if i < 2 else 0.102 if i == 2 else 0.01
        runs.append(make(REFERENCE, regret, "flipped", task=f"t{i}"))
    found = row(numbers(runs)["harm"], peer=REFERENCE, scenario="flipped")
    assert found["worse_at"] == {"10": 0.2}
    assert found["n_tasks"] == 10
    expected = (2 * 1.0 + np.log10(1.02) - 7 * 1.0) / 10
    assert found["difference"][0] == pytest.approx(expected, abs=1e-4)
    assert found["difference"][1] < expected < found["difference"][2]
    assert found["worst_decile"] == pytest.approx(1.0)


def test_what_chance_does_is_measured_between_seeds() -> None:
    runs = [make(REFERENCE, 0.1, task=f"t{i}") for i in range(5)]
    assert not [r for r in numbers(runs)["harm"] if r["scenario"] == "none"]
    # The second seed is worse on one task of five, so the first one better.
    runs += [make(REFERENCE, 1.0 if i == 0 else 0.05, task=f"t{i}", seed=1) for i in range(5)]
    found = row(numbers(runs)["harm"], scenario="none")
    assert found["worse_at"] == {"10": 0.8}
    assert found["n_tasks"] == 5


def test_a_naive_warm_start_is_measured_against_its_plain_sampler() -> None:
    runs = [make("TPE", 0.1), make("TPE + best priors", 1.0, "flipped")]
    found = row(numbers(runs)["harm"], peer="TPE + best priors")
    assert found["difference"][0] == pytest.approx(1.0)


def test_tasks_with_fewer_priors_than_asked_for_do_not_count_for_their_number() -> None:
    runs = [make(REFERENCE, 0.1, task=t) for t in ("t0", "t1")]
    runs += [make(REFERENCE, 0.05, "tpe-1", t, n_priors=1) for t in ("t0", "t1")]
    runs += [make(REFERENCE, 0.01, "tpe-5"), make(REFERENCE, 0.01, "tpe-5", "t1", n_priors=4)]
    found = numbers(runs)["n_priors"]
    assert [(r["k"], r["n_tasks"], r["n_common"]) for r in found] == [(1, 2, 1), (5, 1, 1)]
    assert found[1]["difference_common"][0] == pytest.approx(-1.0)


def test_the_share_kept_is_of_the_gain_on_the_same_tasks() -> None:
    runs = []
    for task in ("t0", "t1"):
        runs += [make(REFERENCE, 1.0, task=task), make(REFERENCE, 0.01, "tpe-5", task)]
    runs.append(make(REFERENCE, 0.1, "overlap-ranges", "t0"))
    found = row(numbers(runs)["overlap"], scenario="overlap-ranges")
    assert found["n_tasks"] == 1
    assert found["endpoint"] == pytest.approx([-1.0, -1.0, -1.0])
    assert found["share"] == pytest.approx([0.5, 0.5, 0.5])


def test_no_share_is_given_of_a_gain_that_is_none() -> None:
    runs = [make(REFERENCE, r, s) for s, r in (("none", 0.1), ("tpe-5", 0.1))]
    runs.append(make(REFERENCE, 0.05, "overlap-all"))
    assert row(numbers(runs)["overlap"], scenario="overlap-all")["share"] is None


def test_trials_to_match_are_counted_and_censored() -> None:
    def falling(peer: str, at: int, task: str, scenario: str = "none") -> Run:
        run = make(peer, 1.0, scenario, task, n_trials=100)
        return replace(run, values=[1.0] * (at - 1) + [0.1] * (101 - at))

    runs = [falling("TPE", 90, task) for task in ("t0", "t1", "t2")]
    runs += [falling(REFERENCE, n, f"t{i}", "tpe-5") for i, n in enumerate((4, 8, 70))]
    found = numbers(runs)["match"]
    mine = row(found, peer=REFERENCE, target="TPE at 100")
    assert mine["median"] == 8
    assert mine["share"] == pytest.approx(2 / 3, abs=1e-3)
    tpe = row(found, peer="TPE", target="TPE at 100")
    assert (tpe["median"], tpe["share"]) == (None, 0.0)


def test_only_peers_with_all_tasks_and_trials_are_ranked() -> None:
    tasks = [f"t{i}" for i in range(6)]
    runs = [make(REFERENCE, 0.01, "tpe-5", t) for t in tasks]
    runs += [make("TPE", 0.1, task=t) for t in tasks]
    runs += [make("QMC", 0.1, task="t0")]
    runs += [make("BoTorch", 0.1, task=t, n_trials=5) for t in tasks]
    found = numbers(runs)["ranks"]
    assert found["average"] == {REFERENCE: {"10": 1.0}, "TPE": {"10": 2.0}}
    assert found["left_out"] == ["BoTorch", "QMC"]


@pytest.mark.parametrize(("n_tasks", "enough"), [(5, False), (6, True)])
def test_few_tasks_have_neither_ranks_nor_p_values(n_tasks: int, enough: bool) -> None:
    tasks = [f"t{i}" for i in range(n_tasks)]
    runs = [make(REFERENCE, 0.01, "tpe-5", t) for t in tasks]
    runs += [make("TPE", 0.1, task=t) for t in tasks]
    found = numbers(runs)
    assert bool(found["ranks"]) == enough
    (line,) = (x for x in tables(found)["all-samplers"].splitlines() if x.startswith("| TPE "))
    assert line.endswith("| – |") != enough


def test_the_small_comparison_has_a_table_for_each_kind_of_priors() -> None:
    runs = []
    for suite, regret in (("synthetic_0.9", 0.01), ("synthetic_-1.0", 0.2)):
        for task in ("t0", "t1"):
            runs += [make(REFERENCE, regret, "tpe-5", task, suite)]
            runs += [make("TPE + best priors", 0.05, "tpe-5", task, suite)]
            runs += [make(p, 0.1, task=task, suite=suite) for p in (REFERENCE, "TPE", "Random")]
    found = quick.summarize([{**vars(run), "scale": (0.0, 1.0)} for run in runs])
    text = quick.tables(found)["quick"]
    assert "| **MetaSampler** | 0.010 | 0.010 | 0.010 | 0.010 |" in text
    assert "| **MetaSampler** | 0.200 | 0.200 | 0.200 | 0.200 |" in text
    assert text.count("| MetaSampler, priors withheld | 0.100 |") == 2
    assert text.index("Related") < text.index("Misleading")
    assert "Optuna's default, TPE, needs more than 10, and more" in " ".join(text.split())
    assert list(quick.figures(found)) == ["quick"]


def test_losses_name_where_to_whom_and_by_how_much() -> None:
    runs = [make(REFERENCE, 0.1, "tpe-5", t) for t in ("t0", "t1")]
    runs += [make("GPSampler", r, task=t) for t, r in (("t0", 0.01), ("t1", 0.09))]
    runs += [make("TPE", r, task=t) for t, r in (("t0", 0.05), ("t1", 0.5))]
    found = numbers(runs)["losses"]
    (suite,) = found["suites"]
    assert (suite["suite"], suite["ahead"], suite["n_ahead"]) == ("a", "GPSampler", 1)
    (task,) = found["tasks"]
    assert (task["task"], task["ahead"], task["n_ahead"]) == ("t0", "GPSampler", 2)
    assert task["difference"] == pytest.approx(1.0)


def test_the_scale_of_a_task_that_has_none_is_taken_from_its_runs() -> None:
    random = replace(make("Random", 0.0, suite="live"), values=[0.5, 0.6, 0.7], n_trials=3)
    best = replace(make("TPE", 0.0, suite="live"), values=[0.8, 0.9, 0.6], n_trials=3)
    found = numbers([random, best])
    assert found["provenance"]["derived_scales"] == [["live", "t0"]]
    # Best 0.9, median 0.6: the regrets of Random are 4/3, 1 and 2/3.
    regret = row(found["comparison"]["all"], peer="Random")["regret"]
    assert regret["1"] == pytest.approx(4 / 3, abs=1e-4)


def test_a_task_that_cannot_be_judged_is_named() -> None:
    found = numbers([make("TPE", 0.1), make("TPE", 0.1, suite="live")])
    (left_out,) = found["unscaled"]
    assert (left_out["suite"], left_out["task"]) == ("live", "t0")


def test_failed_and_missing_runs_are_counted_and_do_not_count() -> None:
    failed = replace(make("Ax", 0.1), values=[0.1], error="ImportError: no Ax")
    cut = replace(make("QMC", 0.1), values=[0.1, 0.2])
    never = Run("a", "t1", "none", "HEBO", 0, N, error=NOT_RUN)
    found = numbers([make("TPE", 0.1), failed, cut, never])
    assert [(p["kind"], p["peer"], p["count"], p["error"]) for p in found["problems"]] == [
        ("failed", "Ax", 1, "ImportError: no Ax"),
        ("failed", "QMC", 1, "has 2 of 10 trials"),
        ("missing", "HEBO", 1, NOT_RUN),
    ]
    assert [r["peer"] for r in found["comparison"]["all"]] == ["TPE"]
    assert (found["provenance"]["n_runs"], found["provenance"]["n_judged"]) == (3, 1)


def test_the_last_run_of_a_key_counts() -> None:
    failed = replace(make("TPE", 0.1), values=[], error="MemoryError")
    found = numbers([failed, make("TPE", 0.01)])
    assert found["problems"] == []
    assert row(found["comparison"]["all"], peer="TPE")["endpoint"][0] == pytest.approx(-2.0)


def test_runs_on_another_objective_are_refused() -> None:
    with pytest.raises(ValueError, match=r"different objectives: other \(QMC.*\(TPE"):
        numbers([make("TPE", 0.1), replace(make("QMC", 0.1), objective="other")])


def test_runs_with_other_prior_trials_are_refused_unless_they_have_none() -> None:
    first = make(REFERENCE, 0.1, "tpe-5")
    second = make("TPE + best priors", 0.1, "tpe-5")
    numbers([first, replace(second, seed=1, priors="of another seed"), make("TPE", 0.1)])
    with pytest.raises(ValueError, match=r"different prior trials: .*others"):
        numbers([first, replace(second, priors="others")])


def test_a_failed_run_is_no_reason_to_refuse() -> None:
    failed = replace(make("QMC", 0.1), objective="", error="RuntimeError: no objective")
    assert len(numbers([make("TPE", 0.1), failed])["problems"]) == 1


def test_all_of_it_is_json_even_of_no_runs() -> None:
    for runs in ([], [make("TPE", 0.1)], [make(REFERENCE, 0.1, "tpe-5"), make("TPE", 0.1)]):
        found = numbers(runs)
        assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_trials_that_return_a_known_value_are_counted_after_the_first_ten() -> None:
    first = [float(i) for i in range(10)]
    run = replace(make("TPE", 1.0), values=[*first, 3.0, 20.0, 20.0, 21.0], n_trials=14)
    (found,) = [r for r in numbers([run])["repeats"] if r["peer"] == "TPE"]
    assert found["share"] == 0.5


def test_an_ablation_is_compared_with_the_whole_on_the_same_tasks_and_seeds() -> None:
    part = f"{REFERENCE} without the target-only model"
    runs = [make(REFERENCE, 0.1, "tpe-5"), make(REFERENCE, 0.001, "tpe-5", seed=1)]
    runs += [make(REFERENCE, 0.001, "tpe-5", task="t1"), make(part, 1.0, "tpe-5")]
    found = numbers(runs)
    (only,) = found["ablation"]
    assert (only["name"], only["scenario"], only["n_tasks"]) == (
        "without the target-only model",
        "tpe-5",
        1,
    )
    assert only["difference"][0] == pytest.approx(1.0)
    assert only["by_trial"]["10"] == pytest.approx(1.0)


def test_ablations_are_in_no_other_table() -> None:
    part = f"{REFERENCE} without the target-only model"
    with_it = numbers([make(REFERENCE, 0.1, "tpe-5"), make(part, 1.0, "tpe-5")])
    without = numbers([make(REFERENCE, 0.1, "tpe-5")])
    assert with_it["comparison"] == without["comparison"]
    assert with_it["losses"] == without["losses"]
    assert with_it["harm"] == without["harm"]


def test_an_aim_is_held_against_the_better_of_two_peers() -> None:
    runs = [make(REFERENCE, 0.01, "tpe-5"), make("TPE", 1.0), make("GPSampler", 0.02)]
    aim = row(numbers(runs)["aims"], aim="-0.45 to the better of TPE, GPSampler")
    assert aim["measured"][0] == pytest.approx(-0.3010, abs=1e-4)
    assert not aim["met"]


@pytest.mark.parametrize(("regret", "met"), [(0.09, True), (0.11, False)])
def test_an_aim_holds_ten_trials_against_fifty_of_another(regret: float, met: bool) -> None:
    falling = [1.0] * 9 + [regret] + [0.001] * 40
    theirs = [1.0] * 49 + [0.1]
    runs = [
        replace(make(REFERENCE, 1.0, "tpe-5", n_trials=50), values=falling),
        replace(make("TPE", 1.0, n_trials=50), values=theirs),
    ]
    aim = row(
        numbers(runs)["aims"],
        aim="log10 regret at trial 10 not above TPE's at trial 50",
    )
    assert aim["measured"][0] == pytest.approx(np.log10(regret / 0.1), abs=1e-4)
    assert aim["met"] is met


@pytest.mark.parametrize(("regret", "met"), [(0.11, True), (0.2, False)])
def test_harm_beyond_the_limit_misses_the_aim(regret: float, met: bool) -> None:
    runs = [make(REFERENCE, regret, "flipped"), make(REFERENCE, 0.1)]
    aim = row(
        numbers(runs)["aims"],
        situation="flipped",
        aim="at most 0.10 above itself without priors",
    )
    assert aim["met"] is met


def test_hindsight_takes_on_each_task_the_sampler_that_did_best() -> None:
    enqueued = ("TPE + best priors", "GPSampler + best priors")
    regrets = {
        "t0": {REFERENCE: 0.1, enqueued[0]: 0.01, enqueued[1]: 0.1},
        "t1": {REFERENCE: 0.01, enqueued[0]: 10.0, enqueued[1]: 0.1},
    }
    runs = [
        make(peer, regret, "tpe-5", task=task)
        for task, of_peers in regrets.items()
        for peer, regret in of_peers.items()
    ]
    found = numbers(runs)["hindsight"]
    # Of the two, GPSampler is ahead, by half a decade; on each task another is a decade ahead.
    assert found["difference"][0] == pytest.approx(-1.0)
    assert (found["n_samplers"], found["n_tasks"]) == (3, 2)


def test_there_is_no_hindsight_where_a_peer_is_missing() -> None:
    runs = [make(REFERENCE, 0.1, "tpe-5"), make("TPE + best priors", 0.1, "tpe-5")]
    assert numbers(runs)["hindsight"] is None


def test_where_no_aim_is_measured_there_is_none() -> None:
    assert numbers([make("TPE", 0.1)])["aims"] == []


def test_an_aim_whose_runs_are_missing_is_shown_as_not_measured() -> None:
    found = numbers([make(REFERENCE, 0.01, "tpe-5"), make("TPE", 1.0), make("GPSampler", 1.0)])
    missing = row(found["aims"], situation="100 priors")
    assert (missing["measured"], missing["n_tasks"], missing["met"]) == (None, 0, None)
    assert (
        "| 100 priors | below 30 priors on the same tasks | – | 0 | not measured |"
        in tables(found)["aims"]
    )
    assert {aim["met"] for aim in found["aims"] if aim["n_tasks"]} == {True}


OWN_BEST = "MetaSampler (gp) + best priors"
RANDOM = "30 priors of 200 random trials"


@pytest.mark.parametrize(("regret", "met"), [(0.06, True), (0.07, False)])
def test_many_random_priors_are_held_against_the_best_of_five_on_the_same_task(
    regret: float, met: bool
) -> None:
    runs = [
        make(REFERENCE, regret, "random-30x200", n_priors=30),
        make(OWN_BEST, 0.1, "tpe-5"),
        # Another task, and the best of all thirty, are no part of it.
        make(OWN_BEST, 0.0001, "tpe-5", task="t1"),
        make(OWN_BEST, 0.0001, "random-30x200", n_priors=30),
    ]
    first = next(aim for aim in numbers(runs)["aims"] if aim["situation"] == RANDOM)
    assert first["measured"][0] == pytest.approx(np.log10(regret / 0.1), abs=1e-4)
    assert (first["n_tasks"], first["met"]) == (1, met)


@pytest.mark.parametrize(("at_five", "met"), [(0.049, True), (0.051, False)])
def test_regret_at_trial_five_has_to_be_half(at_five: float, met: bool) -> None:
    mine = replace(
        make(REFERENCE, 1.0, "random-30x200"), values=[1.0] * 4 + [at_five] + [0.0001] * 5
    )
    aims = numbers([mine, make(OWN_BEST, 0.1, "tpe-5")])["aims"]
    aim = next(a for a in aims if "at trial 5 " in a["aim"])
    assert aim["measured"][0] == pytest.approx(np.log10(at_five / 0.1), abs=1e-4)
    assert aim["met"] is met


def test_tasks_on_which_the_best_priors_alone_are_clearly_ahead_are_counted() -> None:
    # By log10: 0.04, 0.06, 0.3 and -1 above.
    regrets = [0.1096, 0.1148, 0.2, 0.01]
    runs = [make(REFERENCE, r, "tpe-5", f"t{i}") for i, r in enumerate(regrets)]
    runs += [make(OWN_BEST, 0.1, "tpe-5", f"t{i}") for i in range(4)]
    aim = next(a for a in numbers(runs)["aims"] if a["aim"].startswith("more than 0.05 above"))
    assert aim["measured"][0] == pytest.approx(0.5)
    assert not aim["met"]


def test_late_trials_are_held_against_itself_without_priors_whatever_the_early_ones() -> None:
    runs = []
    for i in range(10):
        # Ahead at first; from trial 20 on behind on one task, and by next to nothing on another.
        late = 0.2 if i == 0 else 0.102 if i == 1 else 0.1
        warm = make(REFERENCE, 0.0, "tpe-5", f"t{i}", n_trials=50)
        runs.append(replace(warm, values=[0.4] * 19 + [late] * 31))
        cold = make(REFERENCE, 0.0, "none", f"t{i}", n_trials=50)
        runs.append(replace(cold, values=[1.0] * 19 + [0.1] * 31))
    aim = next(a for a in numbers(runs)["aims"] if "over trials 20 to 50" in a["aim"])
    assert aim["measured"][0] == pytest.approx(0.1)
    assert aim["met"]


def test_priors_of_another_space_are_held_against_the_better_naive_warm_start() -> None:
    runs = [
        make(peer, regret, "overlap-all")
        for peer, regret in ((REFERENCE, 0.1), (OWN_BEST, 0.05), ("TPE + best priors", 1.0))
    ]
    aim = row(numbers(runs)["aims"], situation="5 priors, all of these")
    assert aim["measured"][0] == pytest.approx(np.log10(2.0), abs=1e-4)
    assert not aim["met"]


def test_many_priors_are_compared_with_few_and_as_many_on_the_same_tasks() -> None:
    runs = [make(REFERENCE, 0.01, "tpe-30", t, n_priors=30) for t in ("t0", "t1")]
    runs += [make(REFERENCE, 0.1, "tpe-5"), make(OWN_BEST, 1.0, "tpe-5")]
    runs += [make("TPE + best priors", 0.001, "tpe-30", n_priors=30)]
    found = numbers(runs)["many_priors"]
    assert [(r["scenario"], r["peer"], r["against"], r["n_tasks"]) for r in found] == [
        ("tpe-30", REFERENCE, "tpe-5", 1),
        ("tpe-30", OWN_BEST, "tpe-5", 1),
        ("tpe-30", "TPE + best priors", "tpe-30", 1),
    ]
    assert [r["difference"][0] for r in found] == pytest.approx([-1.0, -2.0, 1.0])
    assert [r["losses"] for r in found] == [0, 0, 1]
    assert found[0]["by_trial"] == {"1": -1.0, "3": -1.0, "5": -1.0, "10": -1.0}


@pytest.mark.parametrize(
    ("trials", "needed"), [(1, 1), (2, 3), (3, None)], ids=["at once", "later", "never"]
)
def test_a_sampler_needs_the_trials_until_it_is_as_good_as_the_other(
    trials: int, needed: int | None
) -> None:
    assert trials_to_match([-0.5, -1.0, -2.0], [-0.5, -1.5, -2.5], trials) == needed


def test_the_first_page_counts_the_trials_that_prior_studies_save() -> None:
    """All improve alike, from trial to trial; MetaSampler is four trials ahead of TPE."""
    falling = [10.0 ** (-n / 10) for n in range(40)]
    runs = [
        replace(make(peer, 1.0, scenario, n_trials=20), values=falling[first:][:20])
        for peer, scenario, first in (
            (REFERENCE, "tpe-5", 4),
            ("TPE + best priors", "tpe-5", 2),
            ("TPE", "none", 0),
        )
    ]
    text = " ".join(tables(numbers(runs))["trials-saved"].split())
    assert "**10 trials with `MetaSampler` get as far as 14 with Optuna's default, TPE**" in text
    assert "or 12 with TPE and the best old configurations enqueued" in text
    late = [*runs[:2], make("TPE", 1.0, n_trials=20)]
    assert "as far as more than 20 with Optuna's default" in " ".join(
        tables(numbers(late))["trials-saved"].split()
    )
    assert tables(numbers(runs[:2]))["trials-saved"] == "There are no runs yet."


def test_the_first_page_names_who_is_ahead_where_there_are_no_priors() -> None:
    found = {"GPSampler": 0.5, "TPE": 0.9, "SMAC3": 0.01}
    runs = [make(REFERENCE, 0.1), *(make(peer, regret) for peer, regret in found.items())]
    text = " ".join(tables(numbers(runs))["without-priors"].split())
    assert text == (
        "Without any prior study, `MetaSampler` is better on average than GPSampler (on 1 of 1 "
        "tasks) and TPE (on 1 of 1 tasks). It is not better than SMAC3."
    )

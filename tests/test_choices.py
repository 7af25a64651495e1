"""Choices that Python holds equal, and parameters with very many choices."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.maximize import maximize
from optuna_metasampler.policies import acquisition
from optuna_metasampler.prior_knowledge import as_prior
from optuna_metasampler.priors.align import Alignment, pool
from optuna_metasampler.shortlist import MANY, Trials, best_first, shortlists
from optuna_metasampler.space import SearchSpace, as_stored
from optuna_metasampler.task import to_tensor
from tests.studies import random_study


NAN = math.nan
EQUAL = [1, 1.0, True, 0, False, 0.0, NAN, float("nan"), None, "1", "True", 0.5]


def first_equal(distribution: CategoricalDistribution, value: Any) -> Any:
    return distribution.choices[int(distribution.to_internal_repr(value))]


@given(st.data(), st.permutations(EQUAL), st.integers(2, len(EQUAL)))
def test_each_choice_is_the_first_that_optuna_holds_equal(
    data: st.DataObject, choices: list[Any], n: int
) -> None:
    # A NaN is equal to itself for Optuna only where it is not found by identity.
    distribution = CategoricalDistribution(choices[:n])
    space = SearchSpace.of({"c": distribution}, merges_equal=True)
    value = data.draw(st.sampled_from(choices[:n]))
    (decoded,) = space.decode(space.encode([{"c": value}]))
    is_nan = isinstance(value, float) and math.isnan(value)
    stored = next(c for c in choices if c != c) if is_nan else first_equal(distribution, value)  # noqa: PLR0124
    assert decoded["c"] is stored
    assert as_stored(distribution, value) is stored
    # One column each, so that the space has as many points as Optuna can store.
    assert space.n_points == len(space.grid()) == space.n_columns


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution:UserWarning")
def test_choices_without_a_hash_are_compared_as_optuna_compares_them() -> None:
    distribution = CategoricalDistribution([[1, 2], [1.0, 2], "a", {"k": 1}, [1, 3], {"k": True}])
    space = SearchSpace.of({"c": distribution}, merges_equal=True)
    assert space.n_points == 4
    for choice in distribution.choices:
        (decoded,) = space.decode(space.encode([{"c": choice}]))
        assert decoded["c"] is first_equal(distribution, choice)


@pytest.mark.parametrize(
    "choices", [[1, 1.0, True, "sqrt"], [False, 0, 0.5], [NAN, float("nan"), "x"], [2, 2, 2.0, 3]]
)
def test_a_study_tries_every_configuration_before_it_repeats_one(choices: list[Any]) -> None:
    n = len(SearchSpace.of({"c": CategoricalDistribution(choices)}, merges_equal=True).grid())

    def loss(trial: optuna.Trial) -> float:
        index = trial.suggest_categorical("c", choices)
        return float(str(index) != "x") + trial.suggest_int("k", 1, 3)

    study = optuna.create_study(sampler=MetaSampler(seed=0))
    study.optimize(loss, n_trials=3 * n)
    assert len({str(sorted(t.params.items())) for t in study.trials}) == 3 * n


def test_prior_studies_tell_1_from_true_where_the_running_study_can() -> None:
    def old(trial: optuna.Trial) -> float:
        return 1.0 + (trial.suggest_categorical("c", [True, "b"]) == "b") + trial.number % 2

    def older(trial: optuna.Trial) -> float:
        return 1.0 + (trial.suggest_categorical("c", [1, "b"]) == "b") + trial.number % 2

    studies = [random_study(f, 8, seed, str(seed)) for seed, f in enumerate((old, older))]
    common = pool([as_prior(s) for s in studies], studies[0].directions).space
    assert common.n_points == 3
    for choices, expected in (([1, "b"], (int, 1)), ([True, "b"], (bool, True))):
        own = SearchSpace.of({"c": CategoricalDistribution(choices)}, merges_equal=True)
        mapped = Alignment.of(own, common)(to_tensor(own.encode([{"c": choices[0]}])))
        (there,) = common.decode(mapped.numpy())
        assert (type(there["c"]), there["c"]) == expected
    # Both are one here: the first of them that a prior study knows stands for both.
    both = SearchSpace.of({"c": CategoricalDistribution([1.0, True, "b"])}, merges_equal=True)
    mapped = Alignment.of(both, common)(to_tensor(both.encode([{"c": 1.0}])))
    assert common.decode(mapped.numpy()) == [{"c": True}]
    assert mapped.sum() == 1.0


def test_an_enqueued_equal_of_a_choice_is_that_choice() -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=0))
    for value in (True, 1.0, 1):
        study.enqueue_trial({"c": value})

    def loss(trial: optuna.Trial) -> float:
        return float(trial.suggest_categorical("c", [1, 2]) + trial.suggest_int("k", 1, 4))

    study.optimize(loss, n_trials=8)
    assert len({tuple(t.params.items()) for t in study.trials}) == 8


WORDS = [f"w{i}" for i in range(3000)]


def named(trial: optuna.Trial) -> float:
    a, b = trial.suggest_categorical("a", WORDS), trial.suggest_categorical("b", WORDS)
    return trial.suggest_float("x", 0, 1) + len(a) + len(b) + (int(a[1:]) % 7) / 7


@pytest.fixture
def widths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of columns of every space that is searched."""
    seen: list[int] = []

    def spy(score: Any, space: SearchSpace, *others: Any) -> Any:
        seen.append(space.n_columns)
        return maximize(score, space, *others)

    monkeypatch.setattr(acquisition, "maximize", spy)
    return seen


@pytest.mark.parametrize("n_priors", [0, 2])
def test_thousands_of_choices_are_searched_through_few_columns(
    n_priors: int, widths: list[int]
) -> None:
    priors = [random_study(named, 30, seed, str(seed)) for seed in range(n_priors)]
    study = optuna.create_study(sampler=MetaSampler(priors or None, seed=0))
    study.enqueue_trial({"a": WORDS[-1]})
    study.optimize(named, n_trials=10)
    assert widths
    assert max(widths) <= 4 * MANY + 1
    assert study.trials[0].params["a"] == WORDS[-1]
    assert len({tuple(t.params.values()) for t in study.trials}) == 10
    # A report describes the same columns.
    assert study.sampler.report(study) is not None  # type: ignore[attr-defined]
    snapshot = study.sampler.snapshot(study)  # type: ignore[attr-defined]
    assert snapshot.space.n_columns <= 4 * MANY + 1


def test_the_best_of_very_many_choices_are_taken_over_from_prior_studies() -> None:
    def loss(trial: optuna.Trial) -> float:
        return abs(int(trial.suggest_categorical("a", WORDS)[1:]) - 1000) / 3000

    priors = [random_study(loss, 200, seed, str(seed)) for seed in range(2)]
    best = {study.best_params["a"] for study in priors}
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    study.optimize(loss, n_trials=4)
    assert best <= {t.params["a"] for t in study.trials}


@pytest.mark.parametrize("n_others", [1, 2])
def test_every_one_of_many_choices_has_its_turn(n_others: int) -> None:
    space = {"a": CategoricalDistribution(WORDS[:400]), "b": FloatDistribution(0, 1)}
    tried: list[dict[str, Any]] = []
    lists: dict[str, tuple[Any, ...]] = {}
    n_lists = 0
    for i in range(400 * n_others):
        ranked = [tried[row] for row in best_first(-np.arange(len(tried), dtype=float)[:, None])]
        last, lists = lists, shortlists(space, Trials(ranked), 0, lists)
        n_lists += lists != last
        assert set(lists) == {"a"}
        assert len(lists["a"]) <= 2 * MANY
        assert [c["a"] for c in tried[:5] if c["a"] not in lists["a"]] == []
        counts = {choice: sum(c["a"] == choice for c in tried) for choice in lists["a"]}
        tried.append({"a": min(counts, key=lambda choice: counts[choice]), "b": float(i)})
    assert len({c["a"] for c in tried}) == 400
    # Few different lists: a model is fitted anew for each.
    assert n_lists <= 20 * n_others


def test_with_ordinary_numbers_of_choices_there_are_no_shortlists() -> None:
    space = {"a": CategoricalDistribution(WORDS[:MANY])}
    assert shortlists(space, Trials([]), 0) == {}


def test_the_first_trial_has_random_choices_and_numbers_in_the_middle() -> None:
    operations = ["none", "skip", "pool", "conv1", "conv3", "conv5"]

    def first(seed: int) -> dict[str, Any]:
        study = optuna.create_study(sampler=MetaSampler(seed=seed))
        trial = study.ask()
        for edge in range(6):
            trial.suggest_categorical(f"edge{edge}", operations)
        trial.suggest_float("lr", 0.01, 1, log=True)
        return trial.params

    trials = [first(seed) for seed in range(4)]
    assert first(0) == trials[0]
    assert [t["lr"] for t in trials] == pytest.approx([0.1] * 4)
    # Any one list of six operations comes up by chance in one of 46,656 cases.
    assert len({tuple(t.values()) for t in trials}) == 4

"""What is known of learners is data that agrees with the records, and loads quickly."""

from __future__ import annotations

from collections import Counter
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

from optuna.distributions import CategoricalDistribution, IntDistribution
import pytest

from optuna_metasampler.builtin.catalogue import (
    LEARNERS,
    Learner,
    LearnerParameter,
    folded,
    learner_of,
    learners,
    prefixes,
)


ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "learner_records" / "data" / "learners.json"
ALL = list(learners().values())
PARAMETERS = [(learner, p) for learner in ALL for p in learner.parameters]


def parameter(learner: str, name: str) -> LearnerParameter:
    return next(p for p in learner_of(learner).parameters if p.name == name)


def recorded() -> dict[tuple[str, str], dict[str, Any]]:
    """Parameters of the records, by learner and name."""
    rows = {}
    for learner, row in json.loads(RECORDS.read_text("utf-8")).items():
        for each in (*row["classification"], *row["regression"]):
            rows[learner, each["name"]] = each
        if size := row["size"]:
            ends = {"low": size["stages"][0], "high": size["most"], "log": True, "whole": True}
            rows[learner, size["name"]] = {**size, **ends}
    return rows


def test_the_learners_and_their_parameters_are_those_of_the_records() -> None:
    assert tuple(learners()) == LEARNERS
    assert {(learner.name, p.name) for learner, p in PARAMETERS} == recorded().keys()


def test_ranges_and_choices_are_those_of_the_records() -> None:
    rows = recorded()
    for learner, p in PARAMETERS:
        row = rows[learner.name, p.name]
        assert (p.log, p.whole) == (row["log"], row["whole"])
        if p.choices:
            assert list(p.choices) == row["choices"]
        else:
            assert (p.low, p.high) == (row["low"], row["high"])


def test_a_default_is_the_one_of_the_records_or_stands_in_where_they_have_none() -> None:
    rows = recorded()
    # Where classification and regression have different ones there is none for both.
    differing = {("linear", "l1_ratio"), ("random_forest", "max_features")}
    differing.add(("extra_trees", "max_features"))
    for learner, p in PARAMETERS:
        of_records = rows[learner.name, p.name]["default"]
        if (learner.name, p.name) in differing:
            assert p.default is None
        elif of_records is not None:
            assert p.default == of_records
    assert parameter("lightgbm", "max_depth").default == 16
    assert parameter("random_forest", "max_leaf_nodes").default == 1024
    assert parameter("svm", "gamma").default is None


def test_a_distribution_has_the_range_of_its_parameter() -> None:
    assert parameter("lightgbm", "num_leaves").distribution == IntDistribution(2, 512, log=True)
    kernels = parameter("svm", "kernel").distribution
    assert kernels == CategoricalDistribution(("rbf", "linear", "poly", "sigmoid"))


def test_shares_are_told_from_other_numbers() -> None:
    assert parameter("xgboost", "subsample").fraction
    assert parameter("neural_network", "dropout").fraction
    for learner, name in [("xgboost", "eta"), ("svm", "coef0"), ("svm", "kernel")]:
        found = learner_of(learner).vocabulary.get(name)
        assert found is not None
        assert not found.fraction


@pytest.mark.parametrize("learner", ALL, ids=lambda learner: learner.name)
def test_no_name_is_that_of_two_parameters(learner: Learner) -> None:
    names = [name for p in learner.parameters for name in {folded(p.name), *p.aliases}]
    assert [name for name, n in Counter([*names, *learner.others]).items() if n > 1] == []


@pytest.mark.parametrize("learner", ALL, ids=lambda learner: learner.name)
def test_no_spelling_is_that_of_two_choices(learner: Learner) -> None:
    for p in learner.parameters:
        assert len(p.spellings) == len(p.choices)
        assert len(frozenset().union(*p.spellings)) == sum(map(len, p.spellings))


@pytest.mark.parametrize("learner", ALL, ids=lambda learner: learner.name)
def test_telling_names_are_names_of_the_learner(learner: Learner) -> None:
    telling = {name for entry in learner.telling for names in entry for name in names}
    assert telling <= learner.vocabulary.keys()


def test_no_learner_is_told_by_the_names_that_tell_another() -> None:
    """Every way to tell a learner, taken literally, tells no other that has all these names."""
    for learner in ALL:
        for entry in learner.telling:
            names = frozenset().union(*entry)
            for other in ALL:
                told = any(all(names & each for each in way) for way in other.telling)
                assert other is learner or not (told and names <= other.vocabulary.keys())


def test_no_word_names_two_learners() -> None:
    words = [word for learner in ALL for word in learner.names | learner.prefixes]
    assert [word for word, n in Counter(words).items() if n > 1] == []
    said = prefixes()
    assert all(said[word] == learner.name for learner in ALL for word in learner.names)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_is_found_by_its_name(name: str) -> None:
    assert learner_of(name).name == name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LightGBM", "lightgbm"),
        ("lgbm", "lightgbm"),
        ("LGBMClassifier", "lightgbm"),
        ("xgb", "xgboost"),
        ("xgbost", "xgboost"),
        ("cat-boost", "catboost"),
        ("HistGradientBoostingRegressor", "hist_gradient_boosting"),
        ("RandomForestRegressor", "random_forest"),
        ("rf", "random_forest"),
        ("ExtraTrees", "extra_trees"),
        ("SVC", "svm"),
        ("LogisticRegression", "linear"),
        ("KNN", "nearest_neighbors"),
        ("MLPClassifier", "neural_network"),
    ],
)
def test_another_name_of_a_learner_is_an_error_that_says_which_one_is_meant(
    name: str, meant: str
) -> None:
    with pytest.raises(ValueError, match=rf"got '{name}'\. Did you mean '{meant}'\?"):
        learner_of(name)


def test_a_name_like_none_is_an_error_that_lists_them() -> None:
    with pytest.raises(ValueError, match=r"one of 'lightgbm', .*, but got 'qwerty'\.$"):
        learner_of("qwerty")


def test_what_is_no_name_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="such as 'lightgbm', but got 3"):
        learner_of(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("minChildWeight", "minchildweight"), ("lambda_L1", "lambdal1"), ("max.depth", "maxdepth")],
)
def test_a_name_is_compared_without_its_decoration(name: str, expected: str) -> None:
    assert folded(name) == expected


def test_the_catalogue_is_read_without_a_heavy_library() -> None:
    program = (
        "from optuna_metasampler.builtin import names\n"
        "from optuna_metasampler.builtin.catalogue import learner_of\n"
        "import sys\n"
        "learner_of('svm')\n"
        "print({'torch', 'sklearn', 'scipy', 'pandas'} & sys.modules.keys())"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"

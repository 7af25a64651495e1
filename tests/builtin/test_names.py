"""Parameters of known learners are found by name, range and unit, and nothing else is."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest

from optuna_metasampler.builtin.catalogue import (
    LEARNERS,
    Learner,
    LearnerParameter,
    learner_of,
    learners,
)
from optuna_metasampler.builtin.names import Translated, Unit, recognise, translate
from optuna_metasampler.space import SearchSpace
from tests.builtin.spaces import NOBODYS, SOMEBODYS, Space, log, log_whole, of, real, whole
from tests.strategies import distributions


CANONICAL = {
    "same": lambda v: v,
    "percent": lambda v: v / 100,
    "log10": lambda v: 10.0**v,
    "log2": lambda v: 2.0**v,
    "ln": math.exp,
}
NUMBERS = [(each, p) for each in learners().values() for p in each.parameters if not p.choices]
KNOWN = sorted({name for each in learners().values() for name in each.vocabulary})
DECORATIONS = ["{}", "log_{}", "log2_{}", "{}_exp", "xgb_{}", "clf__{}", "{}_l1", "{}_pct", "ln{}"]


def translated(learner: str, name: str, distribution: BaseDistribution) -> Translated | None:
    return translate(learner_of(learner), name, distribution)


def parameter(learner: str, name: str, distribution: BaseDistribution) -> str | None:
    found = translated(learner, name, distribution)
    return found and found.parameter


def unit(learner: str, name: str, distribution: BaseDistribution) -> Unit | None:
    found = translated(learner, name, distribution)
    return found and found.unit


def encoded(distribution: BaseDistribution, value: Any) -> np.ndarray:
    return SearchSpace.of({"p": distribution}).encode([{"p": value}])[0]


def names() -> st.SearchStrategy[str]:
    decorated = st.builds(str.format, st.sampled_from(DECORATIONS), st.sampled_from(KNOWN))
    return st.text() | decorated


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "num_leaves",
            "numLeaves",
            "NUM-LEAVES",
            "num.leaves",
            "lgbm__num_leaves",
            "LGBMClassifier__num_leaves",
            "lgb_num_leaves",
            "model__regressor__num_leaves",
            "config.lgbm.num_leaves",
            "my_own_step__num_leaves",
            "params/num_leaves",
            "max_leaf",
        ],
    )
    def test_a_name_is_understood_in_every_dress(self, name: str) -> None:
        assert parameter("lightgbm", name, whole(8, 128)) == "num_leaves"

    @pytest.mark.parametrize("name", ["xgb_num_leaves", "rf__num_leaves", "svm.num_leaves"])
    def test_a_parameter_with_the_name_of_another_learner_is_unknown(self, name: str) -> None:
        assert parameter("lightgbm", name, whole(8, 128)) is None

    @pytest.mark.parametrize("name", ["kernel_pca__gamma", "nystroem__gamma", "pca_gamma"])
    def test_a_parameter_of_another_step_is_unknown(self, name: str) -> None:
        assert parameter("svm", name, log(1e-3, 1)) is None

    def test_a_learner_that_only_selects_features_is_not_the_learner(self) -> None:
        assert parameter("random_forest", "rf__max_depth", whole(2, 20)) == "max_depth"
        assert parameter("random_forest", "selector__rf__max_depth", whole(2, 20)) is None

    def test_a_step_is_no_part_of_a_name(self) -> None:
        assert parameter("svm", "poly_degree", whole(2, 4)) == "degree"
        assert parameter("svm", "poly__degree", whole(2, 4)) is None

    @pytest.mark.parametrize("name", ["some_num_leaves", "num_leaves_of", "leaves_num", ""])
    def test_a_name_with_unknown_words_is_unknown(self, name: str) -> None:
        assert parameter("lightgbm", name, whole(8, 128)) is None

    @pytest.mark.parametrize(
        "name", ["n_units_l0", "n_units_layer_2", "units2", "layer_1_units", "nUnitsL3"]
    )
    def test_layers_of_a_network_are_one_parameter(self, name: str) -> None:
        assert parameter("neural_network", name, whole(8, 128)) == "n_units"

    def test_what_looks_like_a_layer_is_none_elsewhere(self) -> None:
        assert parameter("lightgbm", "lambda_l1", log(1e-8, 10)) == "reg_alpha"
        assert parameter("lightgbm", "lambda_l2", log(1e-8, 10)) == "reg_lambda"
        assert parameter("neural_network", "lr_l1", log(1e-4, 0.1)) is None

    @pytest.mark.parametrize(
        ("learner", "name", "distribution", "expected"),
        [
            ("lightgbm", "eta", log(0.01, 0.3), "learning_rate"),
            ("lightgbm", "alpha", log(1e-3, 1), "reg_alpha"),
            ("xgboost", "nrounds", whole(50, 500), "n_estimators"),
            ("xgboost", "lr", log(0.01, 0.3), "learning_rate"),
            ("catboost", "reg_lambda", log(1, 10), "l2_leaf_reg"),
            ("hist_gradient_boosting", "max_leaves", whole(8, 64), "max_leaf_nodes"),
            ("random_forest", "ntree", whole(50, 200), "n_estimators"),
            ("extra_trees", "min.node.size", whole(1, 10), "min_samples_leaf"),
            ("svm", "cost", log(0.1, 10), "C"),
            ("linear", "logreg__C", log(0.1, 10), "C"),
            ("nearest_neighbors", "k", whole(1, 20), "n_neighbors"),
            ("neural_network", "learning_rate_init", log(1e-4, 0.1), "learning_rate"),
        ],
    )
    def test_other_names_of_a_parameter_are_known(
        self, learner: str, name: str, distribution: BaseDistribution, expected: str
    ) -> None:
        assert parameter(learner, name, distribution) == expected

    def test_what_a_library_has_but_nothing_is_known_of_is_unknown(self) -> None:
        assert parameter("lightgbm", "bagging_freq", whole(1, 7)) is None


class TestRanges:
    @pytest.mark.parametrize(
        ("learner", "name", "distribution"),
        [
            ("random_forest", "max_features", whole(1, 20)),
            ("random_forest", "max_features", whole(1, 1)),
            ("random_forest", "max_features", of(1, 5, 10)),
            ("random_forest", "mtry", whole(2, 50)),
            ("random_forest", "min_samples_leaf", real(0.01, 0.5)),
            ("random_forest", "min_samples_split", of(0.05, 0.1)),
            ("neural_network", "dropout", real(0, 50)),
            ("lightgbm", "n_estimators", whole(2000, 5000)),
            ("svm", "kernel", whole(3, 5)),
            ("svm", "gamma", of("scale", "auto")),
            ("svm", "gamma", of("scale", 0.1)),
            ("random_forest", "criterion", of("squared_error", "absolute_error")),
        ],
    )
    def test_what_cannot_be_the_parameter_by_its_range_is_unknown(
        self, learner: str, name: str, distribution: BaseDistribution
    ) -> None:
        assert parameter(learner, name, distribution) is None

    @pytest.mark.parametrize(
        "distribution", [whole(20, 60), real(20, 60), log_whole(2, 4096), of(16, 32, None)]
    )
    def test_the_canonical_range_and_scale_come_back_whatever_the_studys_are(
        self, distribution: BaseDistribution
    ) -> None:
        found = translated("lightgbm", "num_leaves", distribution)
        assert found == Translated(
            "num_leaves", IntDistribution(2, 512, log=True), unit="same", default=31
        )


class TestUnits:
    @pytest.mark.parametrize(
        ("name", "distribution", "expected"),
        [
            ("C", log(1e-3, 1e3), "same"),
            ("C", real(0, 10), "same"),
            ("log_C", log(1e-3, 1e3), "same"),
            ("C", real(-3, 3), "log10"),
            ("log_C", real(-3, 3), "log10"),
            ("logC", real(0, 3), "log10"),
            ("C_exp", whole(-2, 4), "log10"),
            ("svc__log10_C", real(-5, 15), "log10"),
            ("log2_C", real(-2, 3), "log2"),
            ("C_log2", real(-2, 3), "log2"),
            ("lnC", real(-2, 3), "ln"),
            ("C", whole(-5, 15, 2), "log2"),
            ("log_C", of(-5, -1, 3, 7, 11, 15), "log2"),
            ("log_C", real(math.log(1e-3), math.log(1e3)), "ln"),
            # Neither usual as powers of ten nor a grid of powers of two.
            ("log_C", real(-9.5, 9.5), None),
            # Hardly a power of ten, and hardly a number.
            ("log_C", real(0.001, 0.1), None),
            ("log_C", real(50, 500), None),
        ],
    )
    def test_an_exponent_is_told_by_name_and_range(
        self, name: str, distribution: BaseDistribution, expected: Unit | None
    ) -> None:
        assert unit("svm", name, distribution) == expected

    def test_a_logarithmic_range_is_expressed_in_exponents(self) -> None:
        found = translated("svm", "log_C", real(-3, 3))
        assert found == Translated("C", FloatDistribution(-3, 4), unit="log10", default=0.0)

    def test_only_what_is_on_a_log_scale_has_exponents(self) -> None:
        assert unit("xgboost", "log2_max_depth", whole(1, 4)) is None
        assert unit("lightgbm", "log2_num_leaves", whole(3, 8)) == "log2"

    def test_a_percentage_is_one_by_name_alone(self) -> None:
        found = translated("xgboost", "subsample_pct", whole(50, 100))
        assert found == Translated(
            "subsample", FloatDistribution(20, 100), unit="percent", default=100.0
        )
        assert unit("xgboost", "subsample_pct", real(0.5, 1)) is None
        assert unit("xgboost", "subsample", whole(50, 100)) is None

    def test_a_default_that_has_no_logarithm_is_none(self) -> None:
        found = translated("lightgbm", "log10_reg_alpha", real(-8, 1))
        assert found is not None
        assert found.default is None


class TestChoices:
    @pytest.mark.parametrize(
        ("learner", "name", "offered", "expected", "default"),
        [
            ("svm", "class_weight", ["balanced", None], (None, "balanced"), None),
            ("linear", "class_weight", ["balanced", "None"], ("None", "balanced"), "None"),
            ("random_forest", "bootstrap", ["False", "True"], ("True", "False"), "True"),
            ("extra_trees", "bootstrap", [0, 1], (1, 0), 0),
            ("random_forest", "criterion", ["log_loss", "gini"], ("gini", "log_loss"), "gini"),
            ("neural_network", "optimizer", ["RMSprop", "SGD", "Adam"], ("Adam", "SGD"), "Adam"),
            ("neural_network", "activation", ["Tanh"], ("relu", "Tanh", "sigmoid"), "relu"),
            (
                "svm",
                "kernel",
                ["radial", "polynomial"],
                ("radial", "linear", "polynomial", "sigmoid"),
                "radial",
            ),
        ],
    )
    def test_choices_keep_the_studys_spelling_and_the_canonical_order(
        self, learner: str, name: str, offered: list[Any], expected: Any, default: Any
    ) -> None:
        found = translated(learner, name, CategoricalDistribution(offered))
        assert found is not None
        assert isinstance(found.distribution, CategoricalDistribution)
        assert list(map(repr, found.distribution.choices)) == list(map(repr, expected))
        assert repr(found.default) == repr(default)

    def test_numbers_for_a_choice_are_unknown(self) -> None:
        assert parameter("random_forest", "bootstrap", whole(0, 1)) is None
        assert parameter("random_forest", "bootstrap", of(-1, 2)) is None


class TestAnyName:
    @given(st.sampled_from(LEARNERS), names(), distributions())
    def test_a_translation_encodes_values_as_the_canonical_distribution_does(
        self, learner: str, name: str, distribution: BaseDistribution
    ) -> None:
        found = translated(learner, name, distribution)
        if found is None:
            return
        known = {p.name: p for p in learner_of(learner).parameters}[found.parameter]
        check_encoding(known, found)

    @given(
        st.data(), st.sampled_from(NUMBERS), st.sampled_from(["log10", "log2", "ln", "percent"])
    )
    def test_a_unit_in_the_name_is_the_studys(
        self, data: st.DataObject, which: tuple[Learner, LearnerParameter], mark: str
    ) -> None:
        learner, known = which
        ends = {"log10": (-3, 3), "log2": (-3, 8), "ln": (-4, 4), "percent": (10, 90)}[mark]
        offset = data.draw(st.integers(-2, 2))
        distribution = whole(ends[0] + offset, ends[1] + offset)
        found = translate(learner, f"{mark}_{known.name}", distribution)
        fits = known.fraction if mark == "percent" else known.log
        if found is not None:
            assert fits
            assert (found.parameter, found.unit) == (known.name, mark)
            check_encoding(known, found)

    @given(st.dictionaries(names(), distributions(), max_size=6), st.lists(st.text(), max_size=2))
    def test_what_is_recognised_is_what_translates(
        self, space: dict[str, BaseDistribution], hints: list[str]
    ) -> None:
        found = recognise(space, hints)
        if found is None:
            return
        expected = {
            name: known
            for name, d in space.items()
            if (known := translated(found.learner, name, d)) is not None
        }
        assert found.translated == expected
        assert found.score == len(expected) / len(space) > 0


def check_encoding(known: LearnerParameter, found: Translated) -> None:
    if isinstance(found.distribution, CategoricalDistribution):
        for ours, theirs in zip(known.choices, found.distribution.choices, strict=True):
            left, right = encoded(known.distribution, ours), encoded(found.distribution, theirs)
            np.testing.assert_array_equal(left, right)
        return
    low, high = found.distribution.low, found.distribution.high
    for part in (0.0, 0.3, 0.9, 1.0):
        value = low + part * (high - low)
        left = encoded(known.distribution, CANONICAL[found.unit](value))
        np.testing.assert_allclose(left, encoded(found.distribution, value), atol=1e-9)


class TestRecognition:
    @pytest.mark.parametrize("space", SOMEBODYS, ids=lambda space: space.title)
    def test_a_space_of_a_learner_is_recognised(self, space: Space) -> None:
        found = recognise(space.distributions, space.hints)
        assert found is not None
        assert found.learner == space.learner
        known = {name: each.parameter for name, each in found.translated.items()}
        assert known == space.canonical
        assert found.score == pytest.approx(len(known) / len(space.rows))

    @pytest.mark.parametrize("space", NOBODYS, ids=lambda space: space.title)
    def test_a_space_that_is_nobodys_or_in_doubt_is_left_alone(self, space: Space) -> None:
        assert recognise(space.distributions, space.hints) is None

    @pytest.mark.parametrize("space", SOMEBODYS, ids=lambda space: space.title)
    def test_no_order_of_the_parameters_matters(self, space: Space) -> None:
        turned = dict(reversed(space.distributions.items()))
        found = recognise(turned, space.hints)
        assert found == recognise(space.distributions, space.hints)

    @pytest.mark.parametrize("space", SOMEBODYS, ids=lambda space: space.title)
    def test_a_hint_at_the_learner_changes_nothing_where_it_is_told(self, space: Space) -> None:
        assert space.learner is not None
        found = recognise(space.distributions, (*space.hints, f"{space.learner}-1"))
        assert found == recognise(space.distributions, space.hints)

    def test_each_learner_is_among_those_that_are_recognised(self) -> None:
        assert {space.learner for space in SOMEBODYS} == set(LEARNERS)

    @pytest.mark.parametrize(
        ("hint", "expected"),
        [
            (None, None),
            ("LGBMRegressor", "lightgbm"),
            ("titanic-xgb-3", "xgboost"),
            ("xgb-or-lgbm", None),
            ("MLPClassifier", None),
        ],
    )
    def test_a_hint_decides_what_names_leave_open(
        self, hint: str | None, expected: str | None
    ) -> None:
        space = {
            "learning_rate": log(0.01, 0.3),
            "max_depth": whole(3, 9),
            "reg_alpha": real(0, 9),
        }
        found = recognise(space, [hint] if hint else [])
        assert (found and found.learner) == expected

    @pytest.mark.parametrize(
        ("hint", "expected"), [(None, "random_forest"), ("ExtraTreesClassifier", "extra_trees")]
    )
    def test_extra_trees_are_taken_for_random_forests_unless_they_are_named(
        self, hint: str | None, expected: str
    ) -> None:
        space = {"max_depth": whole(2, 20), "min_samples_leaf": whole(1, 20)}
        found = recognise({**space, "n_estimators": whole(50, 300)}, [hint] if hint else [])
        assert found is not None
        assert found.learner == expected

    def test_a_parameter_of_another_learner_speaks_against_one(self) -> None:
        space = {"num_leaves": whole(8, 64), "learning_rate": log(0.01, 0.3)}
        assert recognise(space) is not None
        assert recognise({**space, "momentum": real(0, 1)}) is None

    def test_a_learner_is_not_recognised_by_a_small_part_of_a_study(self) -> None:
        space: dict[str, BaseDistribution] = {"C": log(0.1, 10), "gamma": log(0.01, 1)}
        others = {f"x{i}": real(0, 1) for i in range(3)}
        assert recognise(space | {"x0": real(0, 1), "x1": real(0, 1)}) is not None
        assert recognise(space | others) is None

    def test_one_parameter_is_not_enough_unless_the_learner_is_called(self) -> None:
        assert recognise({"num_leaves": whole(8, 64)}) is None
        assert recognise({"lgbm__num_leaves": whole(8, 64)}) is not None

    def test_a_telling_name_of_another_range_tells_nothing(self) -> None:
        space = {"learning_rate": log(0.01, 0.3), "max_depth": whole(3, 9)}
        assert recognise({**space, "num_leaves": whole(8, 64)}) is not None
        assert recognise({**space, "num_leaves": real(0, 1)}) is None

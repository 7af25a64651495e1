"""What is said of prior studies beside a search space."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
import pytest

from optuna_metasampler.priors.overlap import overlaps
from optuna_metasampler.priors.study import PriorStudy, Selected
from tests.strategies import configurations, distributions, spaces


MINIMIZE = StudyDirection.MINIMIZE


def prior(name: str, space: dict[str, BaseDistribution], rows: list[dict[str, Any]]) -> PriorStudy:
    trials = [
        optuna.create_trial(params=row, distributions={k: space[k] for k in row}, value=float(i))
        for i, row in enumerate(rows)
    ]
    return PriorStudy(name, (MINIMIZE,), tuple(trials))


def notes(there: BaseDistribution, here: BaseDistribution, value: Any) -> tuple[str, ...]:
    study = prior("old", {"p": there}, [{"p": value}] * 2)
    (row,) = overlaps([Selected(study, None)], {"p": here})
    (parameter,) = row.parameters
    return parameter.notes


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        (FloatDistribution(1, 2), FloatDistribution(1, 2), ()),
        (FloatDistribution(1, 2), FloatDistribution(1, 8), ("1 to 2, here 1 to 8",)),
        (
            FloatDistribution(1, 2, log=True),
            FloatDistribution(1, 2),
            ("log scale, here linear",),
        ),
        (IntDistribution(1, 3, step=2), IntDistribution(1, 3), ("step 2, here step 1",)),
        (
            FloatDistribution(1, 3, step=2),
            FloatDistribution(1, 3),
            ("step 2, here no step",),
        ),
        (IntDistribution(1, 3), FloatDistribution(1, 3), ("int, here float",)),
        (CategoricalDistribution([1, 2]), IntDistribution(1, 2), ("choices, here int",)),
        (
            CategoricalDistribution([1, True]),
            CategoricalDistribution([1, "a"]),
            ("True only in the prior study", "'a' only here"),
        ),
    ],
)
def test_differences_of_a_shared_parameter_are_noted(
    there: BaseDistribution, here: BaseDistribution, expected: tuple[str, ...]
) -> None:
    assert notes(there, here, 1) == expected


def test_words_and_numbers_are_not_shared() -> None:
    words = CategoricalDistribution(["a", "b"])
    study = prior("old", {"p": words, "q": FloatDistribution(0, 1)}, [{"p": "a", "q": 0.5}] * 2)
    (row,) = overlaps([Selected(study, None)], {"p": IntDistribution(1, 2)})
    assert row.shared == ()
    assert row.reason == "none of its parameters (p, q) is in this search space"


def test_a_table_is_printed() -> None:
    space = {
        "eta": FloatDistribution(1e-5, 0.1, log=True),
        "act": CategoricalDistribution(["relu", "tanh"]),
        "seed": IntDistribution(1, 1),
        "gone": FloatDistribution(0, 1),
    }
    rows = [{"eta": 0.01, "act": "relu", "seed": 1, "gone": 0.5}] * 3
    alike = Selected(prior("alike", space, rows), None, n_own=2)
    empty = Selected(prior("empty", space, []), None)
    copy = Selected(prior("a copy", space, rows), "it has the same trials as 'alike'")
    target = {
        "lr": FloatDistribution(1e-4, 1.0, log=True),
        "act": CategoricalDistribution(["relu", "gelu"]),
        "seed": IntDistribution(1, 9),
        "new": FloatDistribution(0, 1),
    }
    got = overlaps([alike, empty, copy], target, [MINIMIZE], {"eta": "lr"})
    assert str(got).splitlines() == [
        "prior study  trials  shared  used",
        "alike             3  2 of 4  yes",
        "    2 more trials belong to the running study",
        "    act: 'tanh' only in the prior study; 'gelu' only here",
        "    lr: named eta; 1e-05 to 0.1, here 0.0001 to 1",
        "    seed: fixed",
        "    only here: new",
        "    only in the prior study: gone",
        "empty             0  0 of 4  no: it has no finished trial with a value",
        "a copy            3  0 of 4  no: it has the same trials as 'alike'",
    ]
    assert [row.usable for row in got] == [True, False, False]
    assert got.studies[0].shared == ("act", "lr")


def test_control_characters_in_names_are_escaped() -> None:
    study = prior("a\x1b[31m\nb", {"x\r": FloatDistribution(0, 1)}, [{"x\r": 0.1}, {"x\r": 0.2}])
    shown = str(overlaps([Selected(study, None)], {"x\r": FloatDistribution(0, 2)}))
    assert shown.splitlines()[1].startswith(r"a\x1b[31m\nb ")
    assert r"x\r: 0 to 1, here" in shown


def test_no_prior_study_and_no_search_space_are_printed() -> None:
    assert str(overlaps([], None)) == "No prior studies."
    study = prior("old", {"x": FloatDistribution(0, 1)}, [{"x": 0.1}, {"x": 0.2}])
    got = overlaps([Selected(study, None)], None)
    assert str(got).splitlines()[1] == "old               2  ?       yes"


@given(st.data(), spaces(3), st.dictionaries(st.sampled_from(["p0", "p1", "q"]), distributions()))
def test_any_study_is_compared_with_any_space(data: Any, there: Any, here: Any) -> None:
    rows = data.draw(st.lists(configurations(there, complete=False), max_size=3))
    got = overlaps([Selected(prior("old", there, rows), None)], here)
    assert set(got.studies[0].shared) <= there.keys() & here.keys()
    assert "old" in str(got)

"""Prior studies of other shapes in one common space, and the way there."""

from __future__ import annotations

from dataclasses import replace
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
import pytest
import torch

from optuna_metasampler.priors.align import (
    NO_CHOICE,
    Alignment,
    compatible,
    fitted,
    merge,
    nearest_choice,
    pool,
)
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import SearchSpace
from tests.strategies import configurations, distributions, moved, spaces, values


MINIMIZE, MAXIMIZE = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE


def study(
    name: str,
    rows: list[dict[str, Any]],
    space: dict[str, Any],
    values: list[float],
    directions: tuple[StudyDirection, ...] | None = (MINIMIZE,),
) -> PriorStudy:
    trials = [
        optuna.create_trial(
            params=row,
            distributions={k: space[k] for k in row},
            values=[v] * len(directions or [0]),
        )
        for row, v in zip(rows, values, strict=True)
    ]
    return PriorStudy(name, directions, tuple(trials))


X = {"x": FloatDistribution(0, 1)}


def test_the_common_range_is_the_hull() -> None:
    assert merge([FloatDistribution(0, 1), FloatDistribution(0.5, 3)]) == FloatDistribution(0, 3)
    assert merge([IntDistribution(1, 4), IntDistribution(2, 9)]) == IntDistribution(1, 9)
    assert merge([IntDistribution(1, 4), FloatDistribution(0, 2)]) == FloatDistribution(0, 4)


def test_the_majority_decides_on_scale_and_kind() -> None:
    log, linear = FloatDistribution(0.1, 1, log=True), FloatDistribution(0.1, 2)
    assert merge([log, log, linear]) == FloatDistribution(0.1, 2, log=True)
    assert merge([log, linear, linear]) == FloatDistribution(0.1, 2)
    # Zero has no logarithm, and one study that starts there does not cost the others their scale.
    assert merge([log, log, FloatDistribution(0, 2)]) == FloatDistribution(0.1, 2, log=True)
    counts = IntDistribution(1, 8, log=True)
    assert merge([counts, counts, IntDistribution(0, 9)]) == IntDistribution(1, 9, log=True)
    words = CategoricalDistribution(["a", "b"])
    assert merge([words, linear, linear]) == linear
    assert merge([words, words, linear]) == words


def test_numbers_and_choices_of_numbers_are_one_number() -> None:
    sizes = CategoricalDistribution([16, 32, 256])
    assert merge([sizes, sizes, sizes, IntDistribution(8, 64)]) == IntDistribution(8, 256)
    assert merge([sizes, FloatDistribution(8, 64, log=True)]) == FloatDistribution(
        8, 256, log=True
    )
    assert merge([sizes, sizes]) == sizes
    assert compatible(sizes, IntDistribution(8, 64))
    assert not compatible(CategoricalDistribution([True, False]), IntDistribution(0, 1))
    for odd in (None, "1", float("inf"), float("nan"), 10**400):
        assert not compatible(CategoricalDistribution([odd, 1]), IntDistribution(0, 1))


def test_common_choices_are_the_union_by_type_and_value() -> None:
    merged = merge([CategoricalDistribution([1, "a"]), CategoricalDistribution([True, "a", None])])
    assert isinstance(merged, CategoricalDistribution)
    assert [repr(c) for c in merged.choices] == ["1", "'a'", "True", "None"]


@given(st.lists(distributions(), min_size=1, max_size=6))
def test_any_distributions_can_be_merged(many: list[Any]) -> None:
    merged = merge(many)
    SearchSpace.of({"p": merged})


def test_directions_are_those_of_each_study() -> None:
    rows = [{"x": 0.1}, {"x": 0.9}]
    up = study("up", rows, X, [1.0, 2.0], (MAXIMIZE,))
    down = study("down", rows, X, [1.0, 2.0], (MINIMIZE,))
    bare = study("bare", rows, X, [1.0, 2.0], None)
    tasks = pool([up, down, bare], [MAXIMIZE]).tasks([1.0])
    assert [task.y.tolist() for task in tasks] == [[1.0, 2.0], [-1.0, -2.0], [1.0, 2.0]]


def test_studies_that_cannot_be_learned_from_are_named_with_the_reason() -> None:
    good = study("good", [{"x": 0.1}, {"x": 0.9}], X, [1.0, 2.0])
    empty = PriorStudy("empty", (MINIMIZE,), ())
    flat = study("flat", [{"x": 0.1}, {"x": 0.9}], X, [1.0, 1.0])
    two = study("two", [{"x": 0.1}], X, [1.0], (MINIMIZE, MAXIMIZE))
    fixed = study("fixed", [{"x": 1.0}] * 2, {"x": FloatDistribution(1, 1)}, [1.0, 2.0])
    got = pool([good, empty, flat, two, fixed], [MINIMIZE])
    assert got.studies == ("good",)
    assert "no finished trial" in got.skipped["empty"]
    assert "same value" in got.skipped["flat"]
    assert "2 objective(s)" in got.skipped["two"]
    assert "varies" in got.skipped["fixed"]


def test_a_parameter_can_be_left_out_of_the_common_space() -> None:
    both = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    got = pool(
        [study("a", [{"x": 0.1, "y": 0.2}, {"x": 0.3, "y": 0.4}], both, [1, 2])], [MINIMIZE]
    )
    (task,) = got.tasks([1.0], frozenset({"y"}))
    assert task.space.names == ("x",)
    assert task.x.shape == (2, 1)


# --- The map from a study's own space ------------------------------------------------------


@given(st.data(), spaces(3), spaces(3))
def test_any_two_spaces_align(data: Any, own: Any, common: Any) -> None:
    a, b = SearchSpace.of(own), SearchSpace.of(common)
    params = data.draw(configurations(own))
    out = Alignment.of(a, b)(torch.from_numpy(a.encode([params])))
    assert out.shape == (1, b.n_columns)
    assert bool(torch.isfinite(out).all())
    assert bool(((out >= 0.0) & (out <= 1.0)).all())


@pytest.mark.parametrize(
    ("own", "common", "places"),
    [
        (FloatDistribution(-0.25, 5), FloatDistribution(0, 1), [0.0, 1.0]),
        (FloatDistribution(1e-5, 1, log=True), FloatDistribution(1e-4, 1, log=True), [0.0, 1.0]),
        (FloatDistribution(-5, 5), FloatDistribution(1e-2, 1, log=True), [0.0, 1.0]),
        (IntDistribution(16, 512, log=True), FloatDistribution(0, 1), [1.0, 1.0]),
        (CategoricalDistribution([16, 24]), FloatDistribution(32, 64), [0.0, 0.0]),
    ],
)
def test_outside_the_range_of_the_prior_studies_a_value_counts_as_the_nearer_end(
    own: Any, common: Any, places: list[float]
) -> None:
    a, b = SearchSpace.of({"p": own}), SearchSpace.of({"p": common})
    ends = own.choices if isinstance(own, CategoricalDistribution) else (own.low, own.high)
    out = Alignment.of(a, b)(torch.from_numpy(a.encode([{"p": v} for v in ends])))
    assert out[:, 0].tolist() == pytest.approx(places, abs=1e-4)


@given(st.data(), st.lists(spaces(3), min_size=1, max_size=3), spaces(3))
def test_any_studies_are_pooled_and_any_space_aligns_with_them(
    data: Any, theirs: list[Any], own: Any
) -> None:
    studies = []
    for i, space in enumerate(theirs):
        rows = data.draw(st.lists(configurations(space, complete=False), max_size=3))
        studies.append(study(str(i), rows, space, [float(k) for k in range(len(rows))]))
    pooled = pool(studies, [MINIMIZE])
    rows = data.draw(st.lists(configurations(own, complete=False), min_size=1, max_size=3))
    space = SearchSpace.of(own, rows)
    points = Alignment.of(space, pooled.space)(torch.from_numpy(space.encode(rows)))
    for task in pooled.tasks([1.0]):
        assert bool(torch.isfinite(task.x).all())
        assert points.shape[1] == task.x.shape[1]
    assert bool(torch.isfinite(points).all())


@given(st.data(), st.lists(moved(), min_size=1, max_size=3), st.booleans())
def test_a_prior_that_is_the_own_problem_keeps_its_ranking(
    data: Any, pairs: list[Any], maximize: bool
) -> None:
    """Also where ranges, scales, kinds and choices have been changed since."""
    there = {f"p{i}": old for i, (old, _) in enumerate(pairs)}
    here = {f"p{i}": new for i, (_, new) in enumerate(pairs)}
    rows = data.draw(st.lists(configurations(there), min_size=3, max_size=6))
    outcomes = data.draw(st.permutations([float(k) for k in range(len(rows))]))
    direction = MAXIMIZE if maximize else MINIMIZE
    prior = study("own", rows, there, outcomes, (direction,))
    pooled = pool([prior], [MINIMIZE])
    (task,) = pooled.tasks([1.0])
    ranking = sorted(range(len(rows)), key=lambda i: outcomes[i], reverse=maximize)
    assert torch.argsort(task.y, descending=True).tolist() == ranking
    # Whatever is said of a trial's place in the common space is said of its place here.
    for space in (SearchSpace.of(there), SearchSpace.of(here)):
        points = Alignment.of(space, pooled.space)(torch.from_numpy(space.encode(rows)))
        torch.testing.assert_close(points, task.x, atol=1e-6, rtol=0)


def test_a_number_lies_between_the_choices_of_a_prior() -> None:
    own = SearchSpace.of({"n": IntDistribution(8, 128)})
    common = SearchSpace.of({"n": CategoricalDistribution([64, 16, 32])})
    points = torch.from_numpy(own.encode([{"n": n} for n in (8, 16, 24, 64, 128)]))
    expected = [[0, 1, 0], [0, 1, 0], [0, 0.5, 0.5], [1, 0, 0], [1, 0, 0]]
    got = Alignment.of(own, common)(points)
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))
    between = torch.tensor([[0.13]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Alignment.of(own, common), [between])


def test_a_choice_of_numbers_has_the_place_of_its_number() -> None:
    own = SearchSpace.of({"n": CategoricalDistribution([16, 32, 64])})
    common = SearchSpace.of({"n": IntDistribution(8, 128, log=True)})
    rows = [{"n": 16}, {"n": 32}, {"n": 64}]
    got = Alignment.of(own, common)(torch.from_numpy(own.encode(rows)))
    torch.testing.assert_close(got, torch.from_numpy(common.encode(rows)))


def test_a_configuration_comes_to_the_nearest_choices() -> None:
    sizes = CategoricalDistribution([16, 32, 64])
    assert nearest_choice(sizes, 30.0) == 32
    assert nearest_choice(sizes, True) is NO_CHOICE
    assert nearest_choice(sizes, "32") is NO_CHOICE
    words = CategoricalDistribution(["a", None])
    assert nearest_choice(words, None) is None
    assert nearest_choice(words, 3) is NO_CHOICE
    space = SearchSpace.of({"n": sizes, "w": words})
    assert fitted({"n": 99.0, "w": "c", "x": 1}, space) == {"n": 64, "w": "c", "x": 1}


def test_tasks_know_which_trials_were_pruned() -> None:
    rows = [{"x": 0.1}, {"x": 0.2}, {"x": 0.3}]
    whole, mixed = study("whole", rows, X, [1, 2, 3]), study("mixed", rows, X, [1, 2, 3])
    pruned = optuna.create_trial(
        state=optuna.trial.TrialState.PRUNED,
        params={"x": 0.9},
        distributions=X,
        intermediate_values={1: 4.0},
    )
    a, b = pool([whole, replace(mixed, trials=(*mixed.trials, pruned))], [MINIMIZE]).tasks([1.0])
    assert a.extrapolated is None
    assert b.extrapolated is not None
    assert b.extrapolated[b.x[:, 0] > 0.8].tolist() == [True]
    assert int(b.extrapolated.sum()) == 1


def test_studies_that_share_nothing_that_is_left_are_no_tasks() -> None:
    both = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    a = study("a", [{"x": 0.1}, {"x": 0.3}], both, [1, 2])
    b = study("b", [{"y": 0.1}, {"y": 0.3}], both, [1, 2])
    assert [task.name for task in pool([a, b], [MINIMIZE]).tasks([1.0], frozenset("y"))] == ["a"]


@given(st.data(), distributions(), distributions())
def test_mapping_a_point_is_encoding_its_value(data: Any, own: Any, common: Any) -> None:
    """In the middle of both ranges, where nothing is cut off, up to the rounding of a grid."""
    numeric = not isinstance(own, CategoricalDistribution)
    if numeric == isinstance(common, CategoricalDistribution):
        return  # the other tests are about these
    if own.single() or common.single():
        return
    a, b = SearchSpace.of({"p": own}), SearchSpace.of({"p": common})
    value = data.draw(values(own))
    (expected,) = b.encode([{"p": value}])
    got = Alignment.of(a, b)(torch.from_numpy(a.encode([{"p": value}])))[0].numpy()
    if not numeric:
        np.testing.assert_array_equal(got, expected)
    elif 0.0 < expected[0] < 1.0:
        # What is lost: the float's last digits, where a range is much wider than the other.
        ratio = (own.high - own.low) / (common.high - common.low)
        stretch = max(abs(own.high), abs(own.low), 1) / (common.high - common.low)
        slope = 1 / expected[0] if b.parameters[0].log else 1.0
        tolerance = 1e-6 + 1e-9 * (ratio + stretch) * slope
        if tolerance < 1e-3 and a.parameters[0].log == b.parameters[0].log:
            assert got[0] == pytest.approx(expected[0], abs=tolerance)


@pytest.mark.parametrize("own_log", [True, False])
def test_a_scale_is_changed_through_the_raw_value(own_log: bool) -> None:
    own = SearchSpace.of({"x": FloatDistribution(0.01, 1, log=own_log)})
    common = SearchSpace.of({"x": FloatDistribution(0.001, 10, log=not own_log)})
    values = [{"x": v} for v in (0.01, 0.05, 0.3, 1.0)]
    got = Alignment.of(own, common)(torch.from_numpy(own.encode(values)))
    np.testing.assert_allclose(got, common.encode(values), atol=1e-12)


@pytest.mark.parametrize("log", [True, False])
def test_ranges_as_wide_as_floats_go_map_to_finite_points(log: bool) -> None:
    own = SearchSpace.of({"x": FloatDistribution(-1e308, 1e308)})
    wide = FloatDistribution(1e-300, 1e308, log=True) if log else FloatDistribution(-1e308, 1e308)
    points = torch.tensor([[0.0], [0.3], [1.0]], dtype=torch.float64)
    got = Alignment.of(own, SearchSpace.of({"x": wide}))(points)
    assert bool(torch.isfinite(got).all())
    assert bool((got.diff(dim=0) >= 0).all())


def test_the_map_has_the_gradient_of_the_raw_value() -> None:
    own = SearchSpace.of({"x": FloatDistribution(0.01, 1), "y": FloatDistribution(0, 1)})
    common = SearchSpace.of({"x": FloatDistribution(0.001, 10, log=True)})
    align = Alignment.of(own, common)
    x = torch.tensor([[0.4, 0.2]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(align, [x])


def test_missing_and_extra_parameters_are_missing_information() -> None:
    own = SearchSpace.of({"x": FloatDistribution(0, 1), "extra": FloatDistribution(0, 1)})
    common = SearchSpace.of({"x": FloatDistribution(0, 2), "gone": CategoricalDistribution("ab")})
    got = Alignment.of(own, common)(torch.tensor([[0.9, 1.0]], dtype=torch.float64))
    np.testing.assert_allclose(got, common.encode([{"x": 1.0}]))


def test_inactive_parameters_stay_inactive() -> None:
    dists = {
        "m": CategoricalDistribution(["a", "b"]),
        "x": FloatDistribution(0, 1),
    }
    wider = {"m": CategoricalDistribution(["b", "a", "c"]), "x": FloatDistribution(-1, 3)}
    rows = [{"m": "a", "x": 0.2}, {"m": "b"}] * 3
    own, common = SearchSpace.of(dists, rows), SearchSpace.of(wider, rows)
    got = Alignment.of(own, common)(torch.from_numpy(own.encode(rows)))
    np.testing.assert_allclose(got, common.encode(rows))


def test_a_space_maps_to_itself_unchanged() -> None:
    rows = [{"m": "a", "x": 0.2}, {"m": "b", "n": 3}] * 3
    dists = {
        "m": CategoricalDistribution(["a", "b"]),
        "n": IntDistribution(1, 9, log=True),
        "x": FloatDistribution(0, 1),
    }
    space = SearchSpace.of(dists, rows)
    x = torch.from_numpy(space.encode(rows))
    torch.testing.assert_close(Alignment.of(space, space)(x), x)
    assert not math.isnan(float(x.sum()))

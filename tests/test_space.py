"""Encoding of search spaces."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
import pytest

from optuna_metasampler.space import SearchSpace, choice_key
from tests.strategies import configurations, distributions, spaces, values
from tests.tasks import cube


def same(distribution: Any, a: Any, b: Any) -> bool:
    """Equal, type included; continuous numbers up to rounding."""
    if isinstance(distribution, FloatDistribution):
        width = distribution.high - distribution.low
        return type(a) is type(b) is float and (
            math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12 * width)
        )
    return bool(choice_key(a) == choice_key(b))


@given(st.data(), distributions())
def test_decoding_an_encoded_value_gives_the_value_back(data: st.DataObject, dist: Any) -> None:
    value = data.draw(values(dist))
    if isinstance(dist, FloatDistribution):
        value = float(value)
    space = SearchSpace.of({"p": dist})
    (decoded,) = space.decode(space.encode([{"p": value}]))
    assert same(dist, decoded["p"], value)


@given(st.data(), spaces())
def test_decoding_an_encoded_configuration_gives_it_back(data: st.DataObject, dists: Any) -> None:
    params = data.draw(configurations(dists))
    space = SearchSpace.of(dists)
    (decoded,) = space.decode(space.project(space.encode([params])))
    assert decoded.keys() == params.keys()
    for name, dist in dists.items():
        value = float(params[name]) if isinstance(dist, FloatDistribution) else params[name]
        assert same(dist, decoded[name], value)


@given(st.data(), spaces())
def test_any_point_decodes_to_values_that_optuna_accepts(data: st.DataObject, dists: Any) -> None:
    space = SearchSpace.of(dists)
    flat = st.lists(st.floats(-3, 3), min_size=3 * space.n_columns, max_size=3 * space.n_columns)
    x = np.array(data.draw(flat)).reshape(3, space.n_columns)
    for params in space.decode(space.project(x)):
        for name, dist in dists.items():
            value = params[name]
            assert dist._contains(dist.to_internal_repr(value))
            expected = {FloatDistribution: float, IntDistribution: int}.get(type(dist))
            assert expected is None or type(value) is expected


@given(st.data(), spaces())
def test_projecting_twice_is_projecting_once(data: st.DataObject, dists: Any) -> None:
    space = SearchSpace.of(dists)
    flat = st.lists(st.floats(-2, 2), min_size=space.n_columns, max_size=space.n_columns)
    once = space.project(np.array([data.draw(flat)]))
    np.testing.assert_allclose(space.project(once), once, rtol=0, atol=1e-9)
    assert (once >= 0).all()
    assert (once <= 1).all()


@given(st.data(), spaces())
def test_spread_points_are_feasible_whatever_the_numbers(data: st.DataObject, dists: Any) -> None:
    space = SearchSpace.of(dists)
    n = len(dists)
    u = np.array([data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))])
    x = space.spread(u)
    np.testing.assert_allclose(space.project(x), x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("choices", [(True, 1, 1.0), (None, "None"), (0, False, "0", 0.0)])
def test_choices_that_compare_equal_stay_apart(choices: tuple[Any, ...]) -> None:
    space = SearchSpace.of({"c": CategoricalDistribution(choices)})
    x = space.encode([{"c": choice} for choice in choices])
    np.testing.assert_array_equal(x, np.eye(len(choices)))
    assert [type(p["c"]) for p in space.decode(x)] == [type(c) for c in choices]


def test_a_nan_choice_is_found_again() -> None:
    space = SearchSpace.of({"c": CategoricalDistribution([1.0, float("nan")])})
    np.testing.assert_array_equal(space.encode([{"c": math.nan}]), [[0.0, 1.0]])


def test_an_unknown_choice_is_no_choice_at_all() -> None:
    space = SearchSpace.of({"c": CategoricalDistribution(["a", "b"])})
    np.testing.assert_array_equal(space.encode([{"c": "z"}]), [[0.0, 0.0]])


def test_a_range_wider_than_the_largest_float_has_a_middle() -> None:
    space = SearchSpace.of({"x": FloatDistribution(-1.5e308, 1.5e308)})
    np.testing.assert_allclose(space.encode([{"x": 0.0}, {"x": 1.5e308}]), [[0.5], [1.0]])
    assert space.decode(np.array([[0.5]])) == [{"x": 0.0}]


@pytest.mark.parametrize("value", [9.0, -9.0, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize("log", [True, False])
def test_a_value_outside_the_range_is_kept_near_its_edge(value: float, log: bool) -> None:
    space = SearchSpace.of({"x": FloatDistribution(0.1, 1.0, log=log)})
    (u,) = space.encode([{"x": value}])[0]
    assert u == (1.5 if value > 0 else -0.5)
    low, high = 0.1, 1.0
    assert low <= space.decode(space.project(np.array([[u]])))[0]["x"] <= high


@pytest.mark.parametrize("value", [None, "word", [1], math.nan])
def test_what_is_no_number_is_missing_in_a_numeric_parameter(value: object) -> None:
    space = SearchSpace.of({"x": FloatDistribution(0, 1), "n": IntDistribution(0, 9)})
    np.testing.assert_array_equal(space.encode([{"x": value, "n": 3}])[0], [0.35, 0.5])


def test_single_valued_parameters_decode_to_their_value() -> None:
    dists = {
        "c": CategoricalDistribution(["only"]),
        "f": FloatDistribution(2.0, 2.0),
        "g": FloatDistribution(2.0, 2.0, log=True),
        "i": IntDistribution(3, 3),
        "j": IntDistribution(3, 3, log=True),
        "s": FloatDistribution(1.0, 1.0, step=0.5),
    }
    space = SearchSpace.of(dists)
    (params,) = space.decode(space.project(np.full((1, space.n_columns), 0.7)))
    assert params == {"c": "only", "f": 2.0, "g": 2.0, "i": 3, "j": 3, "s": 1.0}


def test_grid_values_get_equal_shares_of_the_cube() -> None:
    space = SearchSpace.of({"n": IntDistribution(0, 4), "s": FloatDistribution(0, 1, step=0.25)})
    u = (np.arange(1000) + 0.5) / 1000
    for column in space.project(np.stack([u, u], axis=1)).T:
        _, counts = np.unique(column, return_counts=True)
        np.testing.assert_array_equal(counts, [200] * 5)


def test_columns_do_not_depend_on_the_order_of_names() -> None:
    a, b = FloatDistribution(0, 1), CategoricalDistribution(["x", "y"])
    assert SearchSpace.of({"a": a, "b": b}).names == SearchSpace.of({"b": b, "a": a}).names


def test_another_kind_of_distribution_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="`odd` must be a float, int or categorical"):
        SearchSpace.of({"odd": object()})  # type: ignore[dict-item]


def test_the_grid_of_a_finite_space_is_all_of_it() -> None:
    dists = {
        "b": CategoricalDistribution([True, False]),
        "n": IntDistribution(1, 4, log=True),
        "s": FloatDistribution(0, 1, step=0.5),
    }
    space = SearchSpace.of(dists)
    everything = {tuple(p.values()) for p in space.decode(space.grid())}
    assert len(everything) == space.n_points == 2 * 4 * 3


def test_the_grid_of_a_continuum_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        cube("x").grid()


# --- Conditional parameters ----------------------------------------------------------------


def network(u: list[float]) -> dict[str, Any]:
    """A define-by-run program: a branch, a branch inside it, and layers by number."""
    params: dict[str, Any] = {"model": ["mlp", "svm", "tree"][int(u[0] * 3)]}
    if params["model"] == "mlp":
        params["solver"] = ["adam", "sgd"][int(u[1] * 2)]
        params["layers"] = 1 + int(u[2] * 3)
        for i in range(params["layers"]):
            params[f"units{i}"] = 8 + int(u[3 + i] * 100)
        if params["solver"] == "sgd":
            params["momentum"] = u[6]
    elif params["model"] == "svm":
        params["C"] = u[7]
    return params


NETWORK = {
    "model": CategoricalDistribution(["mlp", "svm", "tree"]),
    "solver": CategoricalDistribution(["adam", "sgd"]),
    "layers": IntDistribution(1, 3),
    **{f"units{i}": IntDistribution(8, 108) for i in range(3)},
    "momentum": FloatDistribution(0, 1),
    "C": FloatDistribution(0, 1),
}
UNIT8 = st.lists(st.floats(0, 0.999), min_size=8, max_size=8)


@pytest.fixture(scope="module")
def network_space() -> SearchSpace:
    rng = np.random.default_rng(0)
    return SearchSpace.of(NETWORK, [network(list(u)) for u in rng.random((120, 8))])


@given(UNIT8)
@settings(max_examples=200)
def test_activity_of_nested_branches_is_learned(network_space: SearchSpace, u: Any) -> None:
    (params,) = network_space.decode(network_space.spread(np.array([u])))
    follows = network([u[0]] * 8)  # any configuration, to be overwritten by the decoded values
    follows = {"model": params["model"]}
    if params["model"] == "mlp":
        follows |= {"solver": 0, "layers": 0}
        follows |= {f"units{i}": 0 for i in range(params["layers"])}
        if params["solver"] == "sgd":
            follows["momentum"] = 0
    elif params["model"] == "svm":
        follows["C"] = 0
    assert params.keys() == follows.keys()


@given(UNIT8)
def test_conditional_configurations_round_trip(network_space: SearchSpace, u: Any) -> None:
    params = network(u)
    (decoded,) = network_space.decode(network_space.encode([params]))
    assert decoded.keys() == params.keys()
    assert all(same(NETWORK[name], decoded[name], params[name]) for name in params)


def test_inactive_values_are_all_the_same_point(network_space: SearchSpace) -> None:
    x = network_space.encode([{"model": "tree"}, {"model": "tree"}])
    x[1, network_space.parameters[0].columns] = 0.9  # "C", which a tree does not have
    projected = network_space.project(x)
    np.testing.assert_array_equal(projected[0], projected[1])


def test_a_parameter_that_a_whole_study_lacks_is_not_conditional() -> None:
    dists = {"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)}
    trials = [{"a": 0.1, "b": 0.2}] * 3 + [{"a": 0.3}] * 3
    assert SearchSpace.of(dists, trials).parameters[1].activity is not None
    assert SearchSpace.of(dists, trials, [0] * 3 + [1] * 3).parameters[1].activity is None


def test_a_pinned_value_is_in_every_point(network_space: SearchSpace) -> None:
    pinned = network_space.pin({"model": "svm", "unknown": 1})
    for params in pinned.decode(pinned.spread(np.random.default_rng(0).random((50, 8)))):
        assert params["model"] == "svm"
        assert params.keys() == {"model", "C"}

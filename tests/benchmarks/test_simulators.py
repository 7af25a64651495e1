"""The simulators of other fields follow textbook physics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.problems.base import Params, fingerprint, random_params, seed_of
from benchmarks.problems.simulators import (
    SIMULATORS,
    Chemistry,
    Control,
    Epidemic,
    Logistics,
    Optics,
    Simulator,
    Structure,
)


MIDDLE = np.full(8, 0.5)
LOOP: Params = {
    "mode": "PI",
    "gain": 2.0,
    "integral_time": 3.0,
    "setpoint_weight": 1.0,
    "anti_windup": True,
}

each = pytest.mark.parametrize("suite", [s() for s in SIMULATORS], ids=lambda suite: suite.name)


def sample(suite: Simulator, n: int) -> list[Params]:
    generator = np.random.default_rng(seed_of(suite.name, "sample"))
    return [random_params(suite.parameters, generator) for _ in range(n)]


@each
def test_every_configuration_has_a_finite_value_that_is_the_same_again(suite: Simulator) -> None:
    for task in suite.tasks[:3]:
        objective = suite.objective(task)
        values = [objective(params) for params in sample(suite, 100)]
        assert all(math.isfinite(value) for value in values)
        assert values == [type(suite)().objective(task)(params) for params in sample(suite, 100)]


@each
def test_no_two_tasks_are_the_same(suite: Simulator) -> None:
    assert len({fingerprint(suite, task) for task in suite.tasks}) == len(suite.tasks)


@each
def test_good_configurations_are_rare(suite: Simulator) -> None:
    sign = 1.0 if suite.direction == "minimize" else -1.0
    for task in suite.tasks[:3]:
        objective = suite.objective(task)
        values = sign * np.array([objective(params) for params in sample(suite, 400)])
        best, median = values.min(), np.median(values)
        assert np.mean(values < best + 0.1 * (median - best)) < 0.2


def test_a_loop_of_too_high_a_gain_oscillates() -> None:
    assert Control().simulate(MIDDLE, LOOP) < Control().simulate(MIDDLE, {**LOOP, "gain": 50.0})


def test_a_loop_without_integral_action_worth_the_name_leaves_an_error() -> None:
    weak = {**LOOP, "gain": 0.5}
    assert Control().simulate(MIDDLE, {**weak, "integral_time": 100.0}) > Control().simulate(
        MIDDLE, weak
    )


def test_a_reaction_gives_no_more_than_it_was_fed_and_nothing_in_the_cold() -> None:
    params: Params = {
        "temperature": 80.0,
        "hours": 6.0,
        "equivalents": 1.5,
        "catalyst": "Pd",
        "loading": 1.0,
        "solvent": "DMF",
        "addition": "at once",
    }
    assert Chemistry().simulate(MIDDLE, params) <= 100.0
    cold = {**params, "temperature": 20.0, "catalyst": "none", "hours": 0.1}
    del cold["loading"]
    assert Chemistry().simulate(MIDDLE, cold) < 5.0


def test_a_shop_that_never_orders_loses_its_sales() -> None:
    params: Params = {
        "review_days": 1,
        "reorder_point": 100,
        "order_up_to": 200,
        "supplier": "cheap",
        "weekend_factor": 1.0,
    }
    empty = {**params, "reorder_point": 0, "order_up_to": 10}
    assert Logistics().simulate(MIDDLE, empty) > 2.0 * Logistics().simulate(MIDDLE, params)


def test_the_true_model_of_an_outbreak_fits_as_well_as_the_noise_allows() -> None:
    world = MIDDLE
    truth: Params = {
        "reproduction": math.sqrt(1.6 * 5.0),
        "incubation_days": 4.0,
        "infectious_days": 6.0,
        "reported": math.sqrt(0.05 * 0.6),
        "first_cases": math.sqrt(3.0 * 200.0),
        "lockdown": True,
        "lockdown_day": 60,
        "lockdown_effect": 0.5,
    }
    other = {**truth, "reproduction": 1.2}
    error = Epidemic().simulate(world, truth)
    # The variance of the noise is 0.0225; the rest is compliance that fades.
    assert 0.0 < error < 1.0
    assert Epidemic().simulate(world, other) > 10.0 * error


def test_a_quarter_wave_reflects_as_the_closed_form_says() -> None:
    # Light from the front, a band around 600 nm that is as narrow as it gets, a glass of 1.75.
    world = np.array([0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5])
    for material, index in (("MgF2", 1.38), ("TiO2", 2.40)):
        found = Optics().simulate(
            world, {"n_layers": 1, "material_1": material, "nanometres_1": 600.0 / (4.0 * index)}
        )
        # Macleod 2010, section 2.5: R = ((n0 ns - n1^2) / (n0 ns + n1^2))^2.
        centre = ((1.75 - index**2) / (1.75 + index**2)) ** 2
        assert 10.0**found - 2e-4 == pytest.approx(centre, abs=0.01)


def test_a_layer_of_half_a_wave_is_as_if_it_was_not_there() -> None:
    world = np.array([0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5])
    bare = ((1.0 - 1.75) / (1.0 + 1.75)) ** 2
    found = Optics().simulate(
        world, {"n_layers": 1, "material_1": "SiO2", "nanometres_1": 600.0 / (2.0 * 1.46)}
    )
    assert 10.0**found - 2e-4 == pytest.approx(bare, abs=0.01)


def test_a_beam_that_does_not_hold_is_dearer_than_one_that_does() -> None:
    # The load, the length and the prices of the paper, and its best design at 2.386.
    world = np.full(8, 0.5)
    world[:3] = math.log(6.0) / math.log(12.0), 0.5, math.log(1.10471 / 0.33) / math.log(10.0)
    params: Params = {
        "weld_height": 0.2455,
        "weld_length": 6.196,
        "beam_height": 8.273,
        "beam_width": 0.2460,
        "material": "steel",
    }
    assert Structure().simulate(world, params) == pytest.approx(2.386, rel=0.02)
    assert Structure().simulate(world, {**params, "beam_height": 5.0}) > 7.0
    assert Structure().simulate(world, {**params, "material": "aluminium"}) > 7.0

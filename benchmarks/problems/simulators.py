"""Simulators of other fields: control, chemistry, logistics, epidemiology, optics and structures.

Each is small textbook physics, and a task is another plant, substrate, shop, outbreak, glass or
load: what differs between tasks is never told, as it is not told in practice. Optima are narrow,
configurations diverge, integers make steps, and choices bring parameters of their own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
import math
from typing import Any, ClassVar

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks.problems.base import Condition, Direction, Objective, Parameter, Suite, seed_of


_N_TASKS = 16
_DIGITS = 9


class Simulator(Suite):
    """A simulator with sixteen tasks; the best possible value is unknown."""

    direction: Direction = "minimize"
    tasks = tuple(str(i) for i in range(_N_TASKS))

    def objective(self, task: str) -> Objective:
        """See `Suite.objective`."""
        world = self.draw(task)
        return lambda params: float(f"{self.simulate(world, params):.{_DIGITS}g}")

    def scale(self, task: str) -> None:
        """Only the runs can tell."""

    def draw(self, task: str) -> np.ndarray:
        """Eight numbers in [0, 1) that make the task what it is."""
        return np.random.default_rng(seed_of(self.name, task)).uniform(size=8)

    @abstractmethod
    def simulate(self, world: np.ndarray, params: Mapping[str, Any]) -> float:
        """The value of one configuration in a task's world, shape ``(8,)``."""


def _between(u: float, low: float, high: float) -> float:
    """On a log scale."""
    return float(low * (high / low) ** u)


class Control(Simulator):
    """A PI or PID controller of a slow plant with a delay and a limited actuator.

    The value is the time-weighted error after a step and a disturbance, and the actuator's wear
    (Astrom & Haegglund 2006, *Advanced PID Control*).
    """

    name = "sim_control"
    parameters = (
        Parameter("mode", CategoricalDistribution(["PI", "PID"])),
        Parameter("gain", FloatDistribution(1e-2, 1e2, log=True)),
        Parameter("integral_time", FloatDistribution(1e-2, 1e2, log=True)),
        Parameter(
            "derivative_time", FloatDistribution(1e-3, 1e1, log=True), Condition("mode", ("PID",))
        ),
        Parameter("filter", FloatDistribution(2.0, 50.0, log=True), Condition("mode", ("PID",))),
        Parameter("setpoint_weight", FloatDistribution(0.0, 1.0)),
        Parameter("anti_windup", CategoricalDistribution([False, True])),
    )

    def simulate(self, world: np.ndarray, params: Mapping[str, Any]) -> float:
        """See `Simulator.simulate`."""
        static, slow, fast = (
            _between(u, *ends)
            for u, ends in zip(world, ((0.5, 5), (1, 10), (0.1, 1)), strict=False)
        )
        delay = int(1 + 9 * world[3])
        limit, wear = 1.5 / static + 2.0 * world[4], _between(world[5], 0.003, 0.1)
        step, n = 0.1, 400
        gain, integral_time = params["gain"], params["integral_time"]
        derivative_time = params.get("derivative_time", 0.0)
        lag = derivative_time / params.get("filter", 1.0) + step
        first = second = integral = slope = last = used = cost = 0.0
        queue = [0.0] * delay
        for i in range(n):
            error = 1.0 - second
            slope += (-(second - last) / step * derivative_time - slope) * step / lag
            last = second
            wish = gain * (params["setpoint_weight"] - second + slope) + integral
            push = min(max(wish, -limit), limit)
            if push == wish or not params["anti_windup"]:
                integral += gain / integral_time * error * step
            queue.append(push + (0.3 / static if i > n // 2 else 0.0))
            first += (static * queue.pop(0) - first) * step / slow
            second += (first - second) * step / fast
            cost += step * (abs(error) * (1.0 + (i % (n // 2)) * step / 5.0)) + wear * abs(
                push - used
            )
            used = push
            if abs(second) > 1e3:
                return 1e3
        return float(min(cost, 1e3))


class Chemistry(Simulator):
    """The yield of a reaction ``A + B -> C -> D`` in a stirred tank, in percent, less its costs.

    Rates follow Arrhenius; the catalyst and the solvent move them, the same way in kind for all
    substrates, and D is what is not wanted.
    """

    name = "sim_chemistry"
    direction = "maximize"
    parameters = (
        Parameter("temperature", FloatDistribution(20.0, 140.0)),
        Parameter("hours", FloatDistribution(0.1, 24.0, log=True)),
        Parameter("equivalents", FloatDistribution(1.0, 4.0)),
        Parameter("catalyst", CategoricalDistribution(["none", "Cu", "Ni", "Pd"])),
        Parameter(
            "loading",
            FloatDistribution(0.1, 10.0, log=True),
            Condition("catalyst", ("Cu", "Ni", "Pd")),
        ),
        Parameter("solvent", CategoricalDistribution(["DMF", "MeCN", "THF", "toluene", "water"])),
        Parameter("addition", CategoricalDistribution(["at once", "slow"])),
        Parameter(
            "addition_hours",
            FloatDistribution(0.1, 12.0, log=True),
            Condition("addition", ("slow",)),
        ),
    )
    _CATALYST: ClassVar[dict[str, Any]] = {
        "none": (0.0, 0.0, 0.0),
        "Cu": (2.0, 0.5, 0.2),
        "Ni": (2.5, 1.5, 0.3),
        "Pd": (3.5, 1.0, 2.0),
    }
    _SOLVENT: ClassVar[dict[str, Any]] = {
        "DMF": 0.8,
        "MeCN": 0.5,
        "THF": 0.0,
        "toluene": -0.6,
        "water": -1.2,
    }

    def simulate(self, world: np.ndarray, params: Mapping[str, Any]) -> float:
        """See `Simulator.simulate`."""
        warm = 1.0 - 333.0 / (params["temperature"] + 273.0)
        wanted, unwanted, price = self._CATALYST[params["catalyst"]]
        # Substrates like other catalysts and solvents more or less.
        taste = np.random.default_rng(int(world[7] * 1e9)).normal(0.0, 0.6, 4 + 5)
        taste_c = taste[list(self._CATALYST).index(params["catalyst"])]
        polarity = self._SOLVENT[params["solvent"]]
        taste_s = taste[4 + list(self._SOLVENT).index(params["solvent"])]
        dose = math.log1p(params.get("loading", 0.0)) / math.log(2.0)
        make = math.exp(-3.0 + 1.5 * world[0] + (22 + 12 * world[1]) * warm + polarity + taste_s)
        make *= 1.0 + dose * math.exp(wanted + taste_c) / 4.0
        spoil = math.exp(-5.0 + 2.0 * world[2] + (30 + 20 * world[3]) * warm - 0.5 * polarity)
        spoil *= 1.0 + dose * math.exp(unwanted) / 4.0
        dimer = math.exp(-3.0 + 2.0 * world[4] + 12 * warm)
        hours, feed = params["hours"], params.get("addition_hours", 0.0)
        n = 200
        step = hours / n
        a, b, c = 1.0, 0.0 if feed else params["equivalents"], 0.0
        for i in range(n):
            if feed and i * step < feed:
                b += params["equivalents"] * min(step / feed, 1.0)
            # Implicit in each species, so that fast rates cannot overshoot.
            made = a * (1.0 - math.exp(-make * b * step))
            a -= made
            b = max(b - made, 0.0) / (1.0 + dimer * b * step)
            c = (c + made) * math.exp(-spoil * step)
        cost = (
            0.5 * params["equivalents"]
            + price * params.get("loading", 0.0)
            + 0.3 * math.sqrt(hours)
        )
        return float(100.0 * c - cost * (0.5 + world[5]))


class Logistics(Simulator):
    """A year of a shop's stock: when to order how much of whom. The value is the cost per day."""

    name = "sim_logistics"
    parameters = (
        Parameter("review_days", IntDistribution(1, 14)),
        Parameter("reorder_point", IntDistribution(0, 200)),
        Parameter("order_up_to", IntDistribution(10, 400)),
        Parameter("supplier", CategoricalDistribution(["cheap", "fast", "both"])),
        Parameter("fast_below", IntDistribution(0, 100), Condition("supplier", ("both",))),
        Parameter("weekend_factor", FloatDistribution(0.5, 2.0, log=True)),
    )

    def simulate(self, world: np.ndarray, params: Mapping[str, Any]) -> float:
        """See `Simulator.simulate`."""
        generator = np.random.default_rng(int(world[7] * 1e9))
        mean, weekly = _between(world[0], 3, 20), 1.0 + 2.0 * world[1]
        slow, dispersion = int(3 + 10 * world[2]), _between(world[6], 0.5, 5.0)
        hold, lost = _between(world[3], 0.02, 0.2), _between(world[4], 1.0, 10.0)
        fixed, premium = _between(world[5], 2, 40), 0.5
        rate = generator.gamma(dispersion, mean / dispersion, 365)
        demand = generator.poisson(rate * np.where(np.arange(365) % 7 >= 5, weekly, 1.0))
        arriving = np.zeros(365 + slow + 2)
        stock, on_order, cost = float(params["order_up_to"]), 0.0, 0.0
        for day in range(365):
            stock += arriving[day]
            on_order -= arriving[day]
            sold = min(stock, float(demand[day]))
            cost += lost * (demand[day] - sold)
            stock -= sold
            cost += hold * stock
            if day % params["review_days"]:
                continue
            factor = params["weekend_factor"] if day % 7 in (3, 4) else 1.0
            if stock + on_order <= params["reorder_point"] * factor:
                amount = max(round(params["order_up_to"] * factor - stock - on_order), 0)
                fast = params["supplier"] == "fast" or stock < params.get("fast_below", -1)
                cost += (fixed + (premium * amount if fast else 0.0)) if amount else 0.0
                arriving[day + (1 if fast else slow)] += amount
                on_order += amount
        return cost / 365.0


class Epidemic(Simulator):
    """Fit a model of an outbreak to weekly reports that another, larger model has made.

    The value is the mean squared error of log reports (SEIR model: Kermack & McKendrick 1927).
    """

    name = "sim_epidemic"
    parameters = (
        Parameter("reproduction", FloatDistribution(0.8, 8.0, log=True)),
        Parameter("incubation_days", FloatDistribution(1.0, 14.0, log=True)),
        Parameter("infectious_days", FloatDistribution(1.0, 21.0, log=True)),
        Parameter("reported", FloatDistribution(0.01, 1.0, log=True)),
        Parameter("first_cases", FloatDistribution(1.0, 1e3, log=True)),
        Parameter("lockdown", CategoricalDistribution([False, True])),
        Parameter("lockdown_day", IntDistribution(0, 150), Condition("lockdown", (True,))),
        Parameter("lockdown_effect", FloatDistribution(0.0, 1.0), Condition("lockdown", (True,))),
    )

    def simulate(self, world: np.ndarray, params: Mapping[str, Any]) -> float:
        """See `Simulator.simulate`."""
        generator = np.random.default_rng(int(world[7] * 1e9))
        truth = {
            "reproduction": _between(world[0], 1.6, 5.0),
            "incubation_days": _between(world[1], 2.0, 8.0),
            "infectious_days": _between(world[2], 3.0, 12.0),
            "reported": _between(world[3], 0.05, 0.6),
            "first_cases": _between(world[4], 3.0, 200.0),
            "lockdown_day": int(30 + 60 * world[5]),
            "lockdown_effect": 0.2 + 0.6 * world[6],
        }
        reports = self._reports(truth, fading=0.01) * np.exp(generator.normal(0.0, 0.15, 25))
        error = np.log1p(self._reports(params, fading=0.0)) - np.log1p(reports)
        return float(np.mean(error**2))

    def _reports(self, params: Mapping[str, Any], fading: float) -> np.ndarray:
        """Reported cases of 25 weeks; compliance may fade, which the fitted model cannot say."""
        people = 1e6
        out, back = 1.0 / params["incubation_days"], 1.0 / params["infectious_days"]
        s, e, i = people - params["first_cases"], params["first_cases"], 0.0
        weeks = np.zeros(25)
        for day in range(175):
            since = day - params.get("lockdown_day", 10**6)
            effect = (
                params.get("lockdown_effect", 0.0) * math.exp(-fading * since)
                if since >= 0
                else 0.0
            )
            new = s * (
                1.0 - math.exp(-params["reproduction"] * back * (1.0 - effect) * i / people)
            )
            ill, well = e * (1.0 - math.exp(-out)), i * (1.0 - math.exp(-back))
            s, e, i = s - new, e + new - ill, i + ill - well
            weeks[day // 7] += params["reported"] * ill
        return weeks


_REFRACTION = {"MgF2": 1.38, "SiO2": 1.46, "Al2O3": 1.77, "TiO2": 2.40}


class Optics(Simulator):
    """An anti-reflection coating: materials and thicknesses of up to four layers on a glass.

    The value is the log10 of the mean reflectance over a band, by transfer matrices (Macleod 2010,
    *Thin-Film Optical Filters*).
    """

    name = "sim_optics"
    parameters = (
        Parameter("n_layers", IntDistribution(1, 4)),
        *(
            parameter
            for i in range(1, 5)
            for condition in (Condition("n_layers", tuple(range(i, 5))) if i > 1 else None,)
            for parameter in (
                Parameter(f"material_{i}", CategoricalDistribution(list(_REFRACTION)), condition),
                Parameter(f"nanometres_{i}", FloatDistribution(10.0, 250.0), condition),
            )
        ),
    )

    def simulate(self, world: np.ndarray, params: Mapping[str, Any]) -> float:
        """See `Simulator.simulate`."""
        glass = 1.45 + 0.6 * world[0]
        middle, width = 450.0 + 300.0 * world[1], 0.1 + 0.3 * world[2]
        band = np.linspace(middle * (1.0 - width), middle * (1.0 + width), 41)
        sine = math.sin(0.7 * world[3])
        fraction = np.ones(41, complex)
        total = np.full(41, math.sqrt(glass**2 - sine**2), complex)
        for i in range(params["n_layers"], 0, -1):
            # Angles are those of the layer, for light whose field is across the plane.
            admittance = math.sqrt(_REFRACTION[params[f"material_{i}"]] ** 2 - sine**2)
            phase = 2.0 * math.pi * admittance * params[f"nanometres_{i}"] / band
            cosine, turn = np.cos(phase), 1j * np.sin(phase)
            fraction, total = (
                cosine * fraction + turn / admittance * total,
                turn * admittance * fraction + cosine * total,
            )
        air = math.sqrt(1.0 - sine**2)
        reflected = np.abs((air * fraction - total) / (air * fraction + total)) ** 2
        cost = 2e-4 * params["n_layers"]
        return float(np.log10(reflected.mean() + cost))


class Structure(Simulator):
    """The cost of a welded beam that must hold a load, with a penalty where it does not.

    Cost, stresses, buckling and deflection as in Ragsdell & Phillips 1976, J. Eng. Ind. 98(3); the
    load, the length and the prices are the task's.
    """

    name = "sim_structure"
    parameters = (
        Parameter("weld_height", FloatDistribution(0.1, 2.0)),
        Parameter("weld_length", FloatDistribution(0.1, 10.0)),
        Parameter("beam_height", FloatDistribution(0.1, 10.0)),
        Parameter("beam_width", FloatDistribution(0.1, 2.0)),
        Parameter(
            "material", CategoricalDistribution(["steel", "cast iron", "aluminium", "brass"])
        ),
    )
    # Modulus and shear modulus in psi, limits of stress and of shear stress, price.
    _MATERIAL: ClassVar[dict[str, Any]] = {
        "steel": (30e6, 12e6, 30e3, 13.6e3, 1.0),
        "cast iron": (14e6, 6e6, 8e3, 5e3, 0.5),
        "aluminium": (10e6, 4e6, 5e3, 2e3, 0.9),
        "brass": (16e6, 6e6, 8e3, 4e3, 2.0),
    }

    def simulate(self, world: np.ndarray, params: Mapping[str, Any]) -> float:
        """See `Simulator.simulate`."""
        load, length = _between(world[0], 1e3, 1.2e4), 8.0 + 12.0 * world[1]
        weld_price = 1.1 * _between(world[2], 0.3, 3.0)
        modulus, shear, most, most_shear, price = self._MATERIAL[params["material"]]
        h, w = params["weld_height"], params["weld_length"]
        t, b = params["beam_height"], params["beam_width"]
        radius = math.sqrt(w**2 / 4.0 + ((h + t) / 2.0) ** 2)
        inertia = math.sqrt(2.0) * h * w * (w**2 / 12.0 + ((h + t) / 2.0) ** 2)
        direct = load / (math.sqrt(2.0) * h * w)
        twist = load * (length + w / 2.0) * radius / inertia
        stress = math.sqrt(direct**2 + direct * twist * w / radius + twist**2)
        bend = 6.0 * load * length / (b * t**2)
        sag = 4.0 * load * length**3 / (modulus * b * t**3)
        holds = 4.013 * math.sqrt(modulus * shear * t**2 * b**6 / 36.0) / length**2
        holds *= 1.0 - t / (2.0 * length) * math.sqrt(modulus / (4.0 * shear))
        limits = (
            stress / most_shear,
            bend / most,
            sag / 0.25,
            h / b,
            load / max(holds, 1e-3),
        )
        broken = sum(min(math.log(limit), 5.0) for limit in limits if limit > 1.0)
        cost = weld_price * h**2 * w + 0.0481 * price * t * b * (length + w)
        return float(cost + (10.0 * broken + 5.0 if broken else 0.0))


SIMULATORS = (Control, Chemistry, Logistics, Epidemic, Optics, Structure)

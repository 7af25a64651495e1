"""Samplers from outside Optuna: they stay in the space, learn, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
import importlib
import logging
import math
from pathlib import Path
import random
from typing import Any
import warnings

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
import pytest
import torch

from benchmarks.peers.base import Build, Setting
from benchmarks.peers.external import ExternalSampler, apart, plain, study_of
from benchmarks.peers.external_botorch import position
from benchmarks.problems.base import Condition, Parameter, Params, quantile, random_params, suggest


# What must be importable, the adapter, and trials enough that the tool's model is asked.
TOOLS = {
    "SMAC": ("smac", "external_smac", 23),
    "HEBO": ("hebo.optimizers.hebo", "external_hebo", 6),
    "BoTorch": ("botorch", "external_botorch", 8),
    "Ax": ("ax.api.client", "external_ax", 7),
}

TWO = (
    Parameter("x", FloatDistribution(-1.0, 1.0)),
    Parameter("lr", FloatDistribution(1e-4, 1.0, log=True)),
)
MIXED = (
    Parameter("kind", CategoricalDistribution((None, True, "other"))),
    Parameter("units", IntDistribution(8, 64, log=True)),
    Parameter("layers", IntDistribution(2, 8, step=3), Condition("kind", (True, None))),
    Parameter("share", FloatDistribution(0.0, 0.3, step=0.1)),
    Parameter("always", IntDistribution(3, 3)),
)


@pytest.fixture(params=TOOLS)
def tool(request: pytest.FixtureRequest) -> tuple[Build, int]:
    package, module, n_trials = TOOLS[request.param]
    pytest.importorskip(package)
    return importlib.import_module(f"benchmarks.peers.{module}").build, n_trials


def quadratic(params: Params) -> float:
    return (params["x"] - 0.3) ** 2 + (math.log10(params["lr"]) + 2) ** 2 / 4


def run(
    study: optuna.Study,
    parameters: tuple[Parameter, ...],
    objective: Callable[[Params], float],
    n_trials: int,
) -> list[Params]:
    study.optimize(lambda trial: objective(suggest(trial, parameters)), n_trials=n_trials)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("module", [module for _, module, _ in TOOLS.values()])
def test_an_adapter_can_be_imported_without_its_tool(module: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.peers.{module}").build)


@pytest.mark.parametrize("model", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_a_tool_suggests_is_in_the_space_and_only_where_it_takes_part(
    tool: tuple[Build, int], model: bool
) -> None:
    build, n_trials = tool
    study = build(Setting(MIXED, "minimize", (), seed=0))
    # The places of categories and steps must not be mixed up: every parameter counts.
    run(
        study,
        MIXED,
        lambda p: p["units"] + p.get("layers", 0) + p["share"],
        n_trials + 3 if model else 4,
    )
    for trial in study.trials:
        active = {p.name: p.distribution for p in MIXED if p.is_active(trial.params)}
        assert trial.distributions == active
        for name, distribution in active.items():
            assert distribution._contains(distribution.to_internal_repr(trial.params[name]))


@pytest.mark.slow
def test_categories_of_any_type_can_be_tuned_alone_and_run_out(tool: tuple[Build, int]) -> None:
    parameters = (
        Parameter("flag", CategoricalDistribution((True, False))),
        Parameter("size", CategoricalDistribution((16, "auto", None))),
    )
    study = tool[0](Setting(parameters, "maximize", (), seed=0))
    run(study, parameters, lambda p: p["flag"] + (p["size"] == "auto"), 9)
    assert study.best_value == 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trials_and_the_direction_is_the_tools(
    tool: tuple[Build, int],
) -> None:
    build, n_trials = tool
    down = build(Setting(TWO, "minimize", (), seed=1))
    up = build(Setting(TWO, "maximize", (), seed=1))
    one = run(down, TWO, quadratic, n_trials)
    assert one == run(up, TWO, lambda p: -quadratic(p), n_trials)


@pytest.mark.slow
def test_a_failed_trial_stops_no_tool(tool: tuple[Build, int]) -> None:
    build, n_trials = tool
    study = build(Setting(TWO, "minimize", (), seed=0))
    for number in range(n_trials + 2):
        trial = study.ask()
        params = suggest(trial, TWO)
        if number in (0, 3):
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, quadratic(params))
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == n_trials


@pytest.mark.slow
def test_a_tool_is_quiet_and_leaves_nothing_behind(
    tool: tuple[Build, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    build, n_trials = tool
    monkeypatch.chdir(tmp_path)
    before = _states()
    run(build(Setting(TWO, "minimize", (), seed=0)), TWO, quadratic, n_trials)
    assert _states() == before
    assert list(tmp_path.iterdir()) == []
    assert tuple(capfd.readouterr()) == ("", "")


def _states() -> tuple[object, object, object]:
    """The states of the three global generators."""
    numpy_state = np.random.get_state()[1].tolist()  # noqa: NPY002 - it is the global one
    return random.getstate(), numpy_state, torch.get_rng_state().tolist()


@pytest.mark.slow
def test_a_tool_learns_from_a_quadratic_where_to_look(tool: tuple[Build, int]) -> None:
    build, n_trials = tool
    study = build(Setting(TWO, "minimize", (), seed=0))
    run(study, TWO, quadratic, n_trials + 8)
    generator = np.random.default_rng(0)
    by_chance = [quadratic(random_params(TWO, generator)) for _ in range(1000)]
    # The best of a few trials is luck; where most of them are is not.
    assert np.median([trial.value for trial in study.trials[-8:]]) < np.median(by_chance) / 2


class _Tool(ExternalSampler):
    """Remembers every result that it gets."""

    def start(self, seed: int) -> None:
        self.results: list[tuple[Any, float | None]] = []
        self.n_asked = 0

    def ask(self) -> tuple[Any, Params]:
        self.n_asked += 1
        warnings.warn("too much", stacklevel=2)
        logging.getLogger("tool").error("far too much")
        print("much too much")
        return self.n_asked, {"x": random.uniform(-9, 9), "lr": 2.0}

    def tell(self, asked: Any, loss: float | None) -> None:
        self.results.append((asked, loss))


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_a_tool_gets_losses_and_none_of_a_failed_trial(direction: str, sign: float) -> None:
    setting = Setting(TWO, direction, (), seed=0)
    sampler = _Tool(setting)
    study = study_of(sampler, setting)
    for value in (2.5, None, math.inf):
        trial = study.ask()
        suggest(trial, TWO)
        study.tell(trial, value, state=TrialState.FAIL if value is None else None)
    assert sampler.results == [(1, sign * 2.5), (2, None), (3, None)]


def test_a_tools_output_goes_nowhere_and_errors_come_through(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    setting = Setting(TWO, "minimize", (), seed=0)
    trial = study_of(_Tool(setting), setting).ask()
    assert suggest(trial, TWO)["lr"] == 1.0
    assert tuple(capfd.readouterr()) == ("", "")
    assert not [record for record in caplog.records if record.name == "tool"]
    with pytest.raises(ZeroDivisionError), apart(0):
        print(1 / 0)
    assert logging.getLogger("tool").isEnabledFor(logging.ERROR)


def test_a_parameter_that_the_tool_does_not_know_is_an_error() -> None:
    setting = Setting(TWO, "minimize", (), seed=0)
    trial = study_of(_Tool(setting), setting).ask()
    with pytest.raises(ValueError, match="momentum"):
        trial.suggest_float("momentum", 0, 1)


@pytest.mark.parametrize(
    ("distribution", "value", "expected"),
    [
        (FloatDistribution(0.0, 1.0), 1.0 + 1e-12, 1.0),
        (FloatDistribution(0.0, 0.95, step=0.05), 0.949, 0.95),
        (IntDistribution(1, 6), np.float64(2.6), 3),
        (IntDistribution(2, 8, step=3), 6, 5),
        (IntDistribution(8, 512, log=True), 512.4, 512),
        (CategoricalDistribution((None, True)), "1", True),
    ],
)
def test_a_tools_value_becomes_the_nearest_plain_one(
    distribution: optuna.distributions.BaseDistribution, value: Any, expected: Any
) -> None:
    found = plain(distribution, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(1e-4, 1.0, log=True),
        FloatDistribution(0.0, 0.95, step=0.05),
        IntDistribution(1, 6),
        IntDistribution(8, 512, log=True),
        IntDistribution(2, 8, step=3),
    ],
)
def test_a_position_is_turned_back_into_its_value(
    distribution: FloatDistribution | IntDistribution,
) -> None:
    for u in (0.0, 0.2, 0.7, 0.999):
        value = quantile(distribution, u)
        assert quantile(distribution, position(distribution, value)) == pytest.approx(value)

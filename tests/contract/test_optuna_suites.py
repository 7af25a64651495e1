"""Optuna's own conformance suites: without priors, with matching and with mismatching ones.

The priors are made for each test of the suites, from the distributions which that test asks for:
a prior about other names would be skipped, and nothing would be tested.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import FixedTrial, FrozenTrial, Trial
import pytest

from optuna_metasampler import MetaSampler


Space = dict[str, BaseDistribution]
SamplerFactory = Callable[[], MetaSampler]

N_PRIOR_TRIALS = 12

# The spaces of the tests whose parameters (in pytest's sense) do not tell them.
SPACES: dict[str, Space] = {
    "test_conditional_sample_independent": {
        "category": CategoricalDistribution(("x", "y")),
        "x": CategoricalDistribution(("a", "b")),
        "y": CategoricalDistribution(("a", "b")),
    },
    "test_nan_objective_value": {"x": FloatDistribution(0.1, 0.2)},
    "test_partial_fixed_sampling": {
        "x": FloatDistribution(-1, 1),
        "y": IntDistribution(-1, 1),
        "z": FloatDistribution(-1, 1),
    },
    "test_sample_single_distribution": {
        "a": CategoricalDistribution((1,)),
        "b": IntDistribution(1, 1),
        "c": IntDistribution(1, 1, log=True),
        "d": FloatDistribution(1.0, 1.0),
        "e": FloatDistribution(1.0, 1.0, log=True),
        "f": FloatDistribution(1.0, 1.0, step=1.0),
    },
    "test_conditional_parameter_objective": {
        "x": CategoricalDistribution((True, False)),
        "y": FloatDistribution(0, 1),
        "z": FloatDistribution(0, 1),
    },
    "test_dynamic_range_objective": {
        "x": FloatDistribution(0, 10),
        "y": IntDistribution(0, 10),
    },
    "test_sample_relative_categorical": {
        "x": CategoricalDistribution((1, 10, 100)),
        "y": CategoricalDistribution((-1, -10, -100)),
    },
    "test_trial_relative_params": {
        "x": FloatDistribution(-10, 10),
        "y": FloatDistribution(-10, 10),
    },
}


def is_active(params: dict[str, Any], name: str, test: str) -> bool:
    """Whether the test would ask for `name`, given what it has been suggested so far."""
    if test == "test_conditional_parameter_objective" and name != "x":
        return (name == "y") == params["x"]
    if test == "test_conditional_sample_independent" and name != "category":
        return bool(params["category"] == name)
    return True


def space_of(node: pytest.Function) -> Space:
    """The distributions that a test of the suites asks for."""
    params = node.callspec.params if hasattr(node, "callspec") else {}
    if "distribution" in params:
        return {"x": params["distribution"]}
    if "choices" in params:
        return {"x": CategoricalDistribution(params["choices"])}
    if "x_distribution" in params:
        y = params.get("y_distribution", CategoricalDistribution((-1, -10, -100)))
        return {"x": params["x_distribution"], "y": y}
    space: Space = {}
    for name in ("x", "y"):
        if f"suggest_method_{name}" in params:
            witness = FixedTrial({name: 1})
            params[f"suggest_method_{name}"](witness)
            space.update(witness.distributions)
    space = space or SPACES.get(node.originalname, {})
    if not space:
        pytest.fail(f"Add what {node.originalname} asks for to SPACES: it is new in Optuna.")
    return space


def other_range(distribution: BaseDistribution) -> BaseDistribution:
    """The same kind with the log flag flipped and another range, or with re-ordered choices."""
    if isinstance(distribution, CategoricalDistribution):
        return CategoricalDistribution(tuple(reversed(distribution.choices)))
    if isinstance(distribution, IntDistribution):
        return IntDistribution(-7, 40) if distribution.log else IntDistribution(2, 50, log=True)
    assert isinstance(distribution, FloatDistribution)
    if distribution.log:
        return FloatDistribution(-3.0, 40.0, step=0.25)
    return FloatDistribution(1e-9, 50.0, log=True)


def other_kind(distribution: BaseDistribution) -> BaseDistribution:
    """Another kind under the same name."""
    if isinstance(distribution, CategoricalDistribution):
        return IntDistribution(0, 7)
    if isinstance(distribution, IntDistribution):
        return FloatDistribution(-5.5, 5.5)
    return CategoricalDistribution(("a", None, False, 1.5))


def other_values(distribution: BaseDistribution) -> BaseDistribution:
    """Ranges which hardly overlap, and choices of which one has another type and one is alien."""
    if isinstance(distribution, CategoricalDistribution):
        first, *_ = distribution.choices
        return CategoricalDistribution(("alien", first, str(first), 1.0))
    if isinstance(distribution, IntDistribution):
        return CategoricalDistribution((3, 1, True, "3"))
    return IntDistribution(1, 1000)


@functools.cache
def _prior_trials(
    items: tuple[tuple[str, BaseDistribution], ...],
    seed: int,
    directions: tuple[str, ...],
    test: str,
) -> list[FrozenTrial]:
    space = dict(items)
    generator = RandomSampler(seed=seed)
    study = optuna.create_study(sampler=generator)
    study.ask()
    (trial,) = study.trials
    trials = []
    for _ in range(N_PRIOR_TRIALS):
        params: dict[str, Any] = {}
        for name, distribution in space.items():
            if is_active(params, name, test):
                params[name] = generator.sample_independent(study, trial, name, distribution)
        active = {name: space[name] for name in params}
        value = sum(active[name].to_internal_repr(params[name]) for name in params)
        values = [value + 0.1 * seed, -value][: len(directions)]
        trials.append(optuna.create_trial(params=params, distributions=active, values=values))
    return trials


def prior_study(
    space: Space, seed: int, directions: tuple[str, ...] = ("minimize",), test: str = ""
) -> Study:
    """A small finished study; its trials are drawn once per space."""
    study = optuna.create_study(directions=list(directions), study_name=f"earlier-{seed}")
    study.add_trials(_prior_trials(tuple(space.items()), seed, directions, test))
    return study


class TestWithoutPriors(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self) -> SamplerFactory:
        return lambda: MetaSampler(n_startup_trials=0, seed=0)


# What priors add is the same with every release; the other contract tests have priors as well.
@pytest.mark.any_optuna
class TestWithMatchingPriors(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self, request: pytest.FixtureRequest) -> SamplerFactory:
        test = request.node.originalname
        space = space_of(request.node)
        directions = ("minimize", "maximize") if "multi_objective" in test else ("minimize",)
        priors = [prior_study(space, seed, directions, test) for seed in (0, 1)]
        return lambda: MetaSampler(priors, n_startup_trials=0, seed=0)


# The sampler may warn that it cannot use such a prior. It must not fail.
@pytest.mark.any_optuna
@pytest.mark.filterwarnings("ignore::optuna_metasampler.exceptions.PriorWarning")
class TestWithMismatchingPriors(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self, request: pytest.FixtureRequest) -> SamplerFactory:
        space = space_of(request.node)
        priors = [
            prior_study({name: change(space[name]) for name in space}, seed)
            for seed, change in enumerate((other_range, other_kind, other_values))
        ]
        return lambda: MetaSampler(priors, n_startup_trials=0, seed=0)


def test_a_matching_prior_knows_the_very_distributions_of_the_running_study() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0))

    def objective(trial: Trial) -> float:
        x = trial.suggest_categorical("x", [True, False])
        return trial.suggest_float("y" if x else "z", 0, 1)

    study.optimize(objective, n_trials=8)
    test = "test_conditional_parameter_objective"
    prior = prior_study(SPACES[test], 0, test=test)
    seen = {frozenset(trial.distributions.items()) for trial in study.trials}
    assert {frozenset(trial.distributions.items()) for trial in prior.trials} == seen


@pytest.mark.parametrize("change", [other_range, other_kind, other_values])
@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(0, 1),
        FloatDistribution(1e-7, 1.0, log=True),
        IntDistribution(0, 10),
        IntDistribution(1, 100, log=True),
        CategoricalDistribution((1, "a")),
    ],
)
def test_a_mismatching_prior_never_knows_the_distribution_of_the_running_study(
    change: Callable[[BaseDistribution], BaseDistribution], distribution: BaseDistribution
) -> None:
    assert change(distribution) != distribution

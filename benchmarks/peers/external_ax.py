"""Ax (Olson et al., 2025): BoTorch's models and acquisition, chosen by Ax for the space."""

from __future__ import annotations

import math
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution

from benchmarks.peers.base import Setting
from benchmarks.peers.external import ExternalSampler, n_steps, study_of
from benchmarks.problems.base import Distribution, Parameter, Params


def build(setting: Setting) -> optuna.Study:
    """A study that Ax's ``Client`` drives, at its default generation strategy.

    The space is flat: in Ax's hierarchical spaces a parameter can hang on one value of its parent
    alone, so that "takes part with ``gbtree`` and with ``dart``" cannot be said.
    """
    return study_of(AxSampler(setting), setting)


class AxSampler(ExternalSampler):
    """Drives Ax by its client."""

    def start(self, seed: int) -> None:
        from ax.api.client import Client

        # Without a seed here: Ax would start every call from it again and draw the same numbers.
        self.client = Client()
        self.client.configure_experiment([config(parameter) for parameter in self.parameters])
        self.client.configure_optimization("-loss")
        self.client.configure_generation_strategy(initialization_random_seed=seed)
        self.n_left = math.prod(n_values(parameter.distribution) for parameter in self.parameters)

    def ask(self) -> tuple[Any, Params] | None:
        # Ax repeats nothing, and searches for minutes before it says that nothing is left.
        if self.n_left == 0:
            return None
        self.n_left -= 1
        ((index, values),) = self.client.get_next_trials(max_trials=1).items()
        return index, dict(values)

    def tell(self, asked: Any, loss: float | None) -> None:
        if loss is None:
            self.client.mark_trial_failed(asked)
        else:
            self.client.complete_trial(asked, raw_data={"loss": loss})


def n_values(distribution: Distribution) -> float:
    """How many values a distribution has."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if distribution.step is None:
        return math.inf
    return round((distribution.high - distribution.low) / distribution.step) + 1


def config(parameter: Parameter) -> Any:
    """The parameter as Ax writes it."""
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    distribution = parameter.distribution
    if isinstance(distribution, CategoricalDistribution):
        places = [str(place) for place in range(len(distribution.choices))]
        return ChoiceParameterConfig(parameter.name, places, "str")
    return RangeParameterConfig(
        parameter.name,
        bounds=(distribution.low, distribution.high),
        parameter_type="int" if isinstance(distribution, IntDistribution) else "float",
        step_size=None if n_steps(distribution) is None else distribution.step,
        scaling="log" if distribution.log else "linear",
    )

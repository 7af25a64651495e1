"""SMAC3 (Lindauer et al., 2022): a random forest, by its facade for hyperparameters."""

from __future__ import annotations

from pathlib import Path
import tempfile
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution

from benchmarks.peers.base import Setting
from benchmarks.peers.external import ExternalSampler, n_steps, of_step, study_of
from benchmarks.problems.base import Parameter, Params


def build(setting: Setting) -> optuna.Study:
    """A study that SMAC3's ``HyperparameterOptimizationFacade`` drives, at its defaults.

    The objective is told to be deterministic. The budget that a scenario asks for stays at its
    default of 100 trials, which makes the initial design 25 of them. Conditions are SMAC's own.
    """
    return study_of(SMACSampler(setting), setting)


class SMACSampler(ExternalSampler):
    """Drives SMAC3 by ask and tell."""

    def start(self, seed: int) -> None:
        from smac import HyperparameterOptimizationFacade, Scenario

        space = configuration_space(self.parameters, seed)
        self.worst: float | None = None
        # SMAC writes files as it starts, and asks a question if it finds some; afterwards nothing
        # is written, because results are told with `save=False`.
        with tempfile.TemporaryDirectory() as folder:
            scenario = Scenario(
                space, deterministic=True, seed=seed, output_directory=Path(folder)
            )
            self.facade = HyperparameterOptimizationFacade(scenario, logging_level=False)

    def ask(self) -> tuple[Any, Params] | None:
        from smac.main.exceptions import ConfigurationSpaceExhaustedException

        try:
            info = self.facade.ask()
        except (StopIteration, ConfigurationSpaceExhaustedException):
            return None
        distributions = {p.name: p.distribution for p in self.parameters}
        params: Params = {}
        for name, value in dict(info.config).items():
            params[name] = of_step(distributions[name], value)
        return info, params

    def tell(self, asked: Any, loss: float | None) -> None:
        from smac.runhistory.dataclasses import TrialValue
        from smac.runhistory.enumerations import StatusType

        if loss is not None:
            self.worst = loss if self.worst is None else max(loss, self.worst)
            value = TrialValue(cost=loss)
        else:
            # SMAC's own cost of a crash is infinite, on which its forest cannot be trained.
            value = TrialValue(cost=self.worst, status=StatusType.CRASHED)
        if self.worst is not None:
            self.facade.tell(asked, value, save=False)


def configuration_space(parameters: tuple[Parameter, ...], seed: int) -> Any:
    """The space as ConfigSpace writes it; a wider grid is the number of the step."""
    from ConfigSpace import Categorical, ConfigurationSpace, Float, InCondition, Integer

    space = ConfigurationSpace(seed=seed)
    for parameter in parameters:
        name, distribution = parameter.name, parameter.distribution
        steps = n_steps(distribution)
        if isinstance(distribution, CategoricalDistribution):
            space.add(Categorical(name, list(range(len(distribution.choices)))))
        elif steps is not None:
            space.add(Integer(name, (0, steps)))
        else:
            kind = Integer if isinstance(distribution, IntDistribution) else Float
            space.add(kind(name, (distribution.low, distribution.high), log=distribution.log))
    parents = {parameter.name: parameter.distribution for parameter in parameters}
    for parameter in parameters:
        condition = parameter.condition
        if condition is None or condition.parent not in parents:
            continue
        parent = parents[condition.parent]
        values = list(condition.values)
        if isinstance(parent, CategoricalDistribution):
            values = [parent.choices.index(value) for value in values]
        space.add(InCondition(space[parameter.name], space[condition.parent], values))
    return space

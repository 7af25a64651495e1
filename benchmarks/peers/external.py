"""The hooks by which an optimiser from outside Optuna drives an Optuna study."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
import contextlib
import io
import logging
import math
import random
from typing import Any
import warnings

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState
import torch

from benchmarks.peers.base import Setting
from benchmarks.problems.base import Distribution, Parameter, Params, random_params, seed_of


@contextlib.contextmanager
def apart(seed: int) -> Iterator[None]:
    """Run a tool quietly and on global generators of its own, seeded with ``seed``."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - tools draw from it
    silenced = logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        torch.random.fork_rng(devices=[]),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            logging.disable(silenced)
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


class ExternalSampler(BaseSampler, ABC):
    """Asks another tool for each trial and tells it the result, one trial at a time.

    A tool always minimises, and stands for a category by its place among the choices, so that
    choices of any type fit every tool. Parameters with a single value are kept from it. It sees
    no trial that it did not ask for itself.
    """

    def __init__(self, setting: Setting):
        self.parameters: tuple[Parameter, ...] = tuple(
            parameter for parameter in setting.parameters if not parameter.distribution.single()
        )
        self._seed = setting.seed
        self._sign = -1.0 if setting.direction == "maximize" else 1.0
        self._asked: dict[int, Any] = {}
        self._exhausted = False
        with apart(setting.seed):
            self.start(setting.seed)

    @abstractmethod
    def start(self, seed: int) -> None:
        """Set the tool up for ``self.parameters``."""

    @abstractmethod
    def ask(self) -> tuple[Any, Params] | None:
        """The tool's own name for its next trial, and the values of it.

        ``None`` if the tool repeats nothing and has seen all of a small space; from then on the
        trials are random and it is told of none.
        """

    @abstractmethod
    def tell(self, asked: Any, loss: float | None) -> None:
        """Tell the result of a trial that `ask` named; ``None`` if it failed."""

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {parameter.name: parameter.distribution for parameter in self.parameters}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        seed = seed_of(self._seed, trial.number)
        asked = None
        if not self._exhausted:
            with apart(seed):
                asked = self.ask()
        if asked is None:
            self._exhausted = True
            return random_params(self.parameters, np.random.default_rng(seed))
        self._asked[trial.number], values = asked
        known = {p.name: p.distribution for p in self.parameters}
        return {name: plain(known[name], value) for name, value in values.items()}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        raise ValueError(f"{param_name!r} takes no part in this trial, as the tool was told.")

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        loss = None
        if state == TrialState.COMPLETE and values is not None and math.isfinite(values[0]):
            loss = self._sign * values[0]
        if trial.number in self._asked:
            with apart(seed_of(self._seed, trial.number, "tell")):
                self.tell(self._asked.pop(trial.number), loss)


def study_of(sampler: BaseSampler, setting: Setting) -> optuna.Study:
    """A study in memory that asks ``sampler``."""
    return optuna.create_study(direction=setting.direction, sampler=sampler)


def n_steps(distribution: Distribution) -> int | None:
    """How many steps lead from the low to the high end; ``None`` if it is not a wider grid.

    Whole numbers next to each other are none: every tool knows them.
    """
    if isinstance(distribution, CategoricalDistribution) or distribution.step is None:
        return None
    if isinstance(distribution, IntDistribution) and distribution.step == 1:
        return None
    return round((distribution.high - distribution.low) / distribution.step)


def of_step(distribution: Distribution, value: Any) -> Any:
    """The value that a tool means by the number of a step, where there is a wider grid."""
    if isinstance(distribution, CategoricalDistribution) or n_steps(distribution) is None:
        return value
    return distribution.low + (distribution.step or 0) * value


def plain(distribution: Distribution, value: Any) -> Any:
    """The value of the distribution that is nearest to a tool's."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(value)]
    low, high = distribution.low, distribution.high
    value = min(max(float(value), low), high)
    if distribution.step is not None:
        value = min(low + distribution.step * round((value - low) / distribution.step), high)
    return round(value) if isinstance(distribution, IntDistribution) else value

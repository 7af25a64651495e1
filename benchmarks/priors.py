"""Prior studies as users have them: logs of trials on other tasks, made here and now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
import functools
from typing import Any
from unittest import mock

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from benchmarks.problems.base import (
    Direction,
    Distribution,
    Parameter,
    Params,
    Suite,
    digest,
    quantile,
    rename,
    suggest,
)


N_TRIALS = 60
"""Trials of a prior study."""
_N_BEST = 15
_DIGITS = 6


@dataclass(frozen=True)
class Log:
    """The trials of one prior study, and the space that they were drawn from."""

    parameters: tuple[Parameter, ...]
    direction: Direction
    configurations: tuple[Params, ...]
    values: tuple[float, ...]

    def to_study(self, name: str) -> optuna.Study:
        """The log as a finished study in memory."""
        study = optuna.create_study(study_name=name, direction=self.direction)
        distributions = {p.name: p.distribution for p in self.parameters}
        study.add_trials(
            optuna.trial.create_trial(
                params=params,
                distributions={name: distributions[name] for name in params},
                value=value,
            )
            for params, value in zip(self.configurations, self.values, strict=True)
        )
        return study


@dataclass(frozen=True)
class View:
    """The space of a suite as an earlier study had it.

    Attributes:
        parameters: What the earlier study tuned.
        fixed: What it left at one value: pairs of name and value.
        names: Names that have changed since: pairs of name then and name now.
    """

    parameters: tuple[Parameter, ...]
    fixed: tuple[tuple[str, Any], ...] = ()
    names: tuple[tuple[str, str], ...] = ()

    def complete(self, params: Mapping[str, Any], today: Sequence[Parameter]) -> Params:
        """Parameters as today's objective wants them."""
        names = dict(self.names)
        known = {names.get(name, name): value for name, value in params.items()} | dict(self.fixed)
        full: Params = {}
        for parameter in today:
            if parameter.name in known and parameter.is_active(full):
                full[parameter.name] = known[parameter.name]
        return full


ViewRule = Callable[[tuple[Parameter, ...], np.random.Generator], View]
"""From today's space to an earlier one."""


def make_log(
    suite: Suite, task: str, view: View, design: str, seed: int, n_trials: int = N_TRIALS
) -> Log:
    """Tune a task as an earlier study would have.

    All machines make the same log, so that peers are compared on the same priors wherever they
    ran. Two things depend on the processor: the last digits of a floating-point number, so every
    trial is rounded before the sampler sees it, and the order in which NumPy sorts equal numbers,
    so it is told one.

    Args:
        suite: Where the task is from.
        task: The task.
        view: The space of that time.
        design: ``"tpe"`` for Optuna's default sampler, ``"random"`` for random search.
        seed: Of the sampler.
        n_trials: How many trials.
    """
    sampler = {"tpe": TPESampler, "random": RandomSampler}[design](seed=seed)
    study = optuna.create_study(sampler=sampler, direction=suite.direction)
    objective = suite.objective(task)
    configurations, values = [], []
    for _ in range(n_trials):
        trial = study.ask()
        with _stable_argsort():
            params = suggest(trial, view.parameters)
        study.tell(trial, state=TrialState.FAIL)
        distributions = trial.distributions
        params = {name: _rounded(value, distributions[name]) for name, value in params.items()}
        value = float(f"{objective(view.complete(params, suite.parameters)):.{_DIGITS}g}")
        # The sampler goes on from the rounded trial; of the failed one it takes no notice.
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, value=value)
        )
        configurations.append(params)
        values.append(value)
    return Log(view.parameters, suite.direction, tuple(configurations), tuple(values))


@contextmanager
def _stable_argsort() -> Iterator[None]:
    """Have equal numbers stay in their order: TPE sorts with NumPy's default, which says nothing.

    Where two trials share the value of an integer, the order decides which gets the wider kernel.
    """
    default = np.argsort
    with mock.patch.object(np, "argsort", functools.partial(default, kind="stable")):
        yield


def _rounded(value: Any, distribution: BaseDistribution) -> Any:
    """A value to some digits, still in its range."""
    if not isinstance(distribution, FloatDistribution):
        return value
    rounded = float(f"{value:.{_DIGITS}g}")
    return min(max(rounded, distribution.low), distribution.high)


def fingerprint(logs: Sequence[Log]) -> str:
    """Tells sets of prior trials apart; runs of one scenario are compared only where equal."""
    return digest(
        [
            [sorted(p.items(), key=str), f"{v:.6g}"]
            for log in logs
            for p, v in zip(log.configurations, log.values, strict=True)
        ]
    )


# --- Spaces that have moved since ------------------------------------------------------------


def same(today: tuple[Parameter, ...], generator: np.random.Generator) -> View:
    """The space of today."""
    del generator
    return View(today)


def dropped(today: tuple[Parameter, ...], generator: np.random.Generator) -> View:
    """One to three parameters were not tuned then, but left at some value."""
    parents = {p.condition.parent for p in today if p.condition}
    loose = [p for p in today if p.name not in parents]
    n_dropped = min(3, max(1, len(today) // 3), len(loose))
    gone = {loose[i].name for i in generator.choice(len(loose), n_dropped, replace=False)}
    fixed = tuple(
        (p.name, quantile(p.distribution, generator.uniform())) for p in today if p.name in gone
    )
    return View(tuple(p for p in today if p.name not in gone), fixed)


def ranges(today: tuple[Parameter, ...], generator: np.random.Generator) -> View:
    """Every numeric range was the lower or the upper 60% of today's."""
    return View(
        tuple(
            replace(p, distribution=_part_of(p.distribution, generator.uniform() < 0.5))
            for p in today
        )
    )


def renamed(today: tuple[Parameter, ...], generator: np.random.Generator) -> View:
    """One parameter had another name, and nothing says so."""
    now = today[generator.integers(len(today))].name
    then = f"{now}_v1"
    return View(rename(today, {now: then}), names=((then, now),))


def linear(today: tuple[Parameter, ...], generator: np.random.Generator) -> View:
    """What is searched on a log scale today was searched on a linear one."""
    del generator
    return View(tuple(replace(p, distribution=_linear(p.distribution)) for p in today))


def choices(today: tuple[Parameter, ...], generator: np.random.Generator) -> View:
    """Every categorical parameter has one choice more today."""
    parameters = []
    for p in today:
        d = p.distribution
        if isinstance(d, CategoricalDistribution) and len(d.choices) > 1:
            new = generator.integers(len(d.choices))
            d = CategoricalDistribution([c for i, c in enumerate(d.choices) if i != new])
        parameters.append(replace(p, distribution=d))
    return View(tuple(parameters))


def everything(today: tuple[Parameter, ...], generator: np.random.Generator) -> View:
    """All of these changes at once."""
    view = dropped(today, generator)
    for change in (ranges, linear, choices):
        view = replace(view, parameters=change(view.parameters, generator).parameters)
    last = renamed(view.parameters, generator)
    return View(last.parameters, view.fixed, last.names)


def _part_of(d: Distribution, lower: bool) -> Distribution:
    if isinstance(d, CategoricalDistribution):
        return d
    cut = quantile(d, 0.6 if lower else 0.4)
    low, high = (d.low, cut) if lower else (cut, d.high)
    if isinstance(d, IntDistribution):
        return IntDistribution(int(low), int(high), log=d.log) if low < high else d
    return FloatDistribution(low, high, log=d.log)


def _linear(d: Distribution) -> Distribution:
    if isinstance(d, CategoricalDistribution) or not d.log:
        return d
    if isinstance(d, IntDistribution):
        return IntDistribution(d.low, d.high)
    return FloatDistribution(d.low, d.high)


# --- Priors that are not what they seem ------------------------------------------------------


def flip(log: Log, generator: np.random.Generator) -> Log:
    """The sign of the objective is wrong: the best trials look like the worst."""
    del generator
    return replace(log, values=tuple(-v for v in log.values))


def shuffle(log: Log, generator: np.random.Generator) -> Log:
    """The values belong to other trials: nothing can be learned."""
    return replace(
        log, values=tuple(np.array(log.values)[generator.permutation(len(log.values))].tolist())
    )


def rescale(log: Log, generator: np.random.Generator) -> Log:
    """The metric was in other units: times a thousand."""
    del generator
    return replace(log, values=tuple(1000.0 * v for v in log.values))


def keep_best(log: Log, generator: np.random.Generator) -> Log:
    """Only the best trials were kept, which are near one optimum: nothing says what is bad."""
    del generator
    sign = 1.0 if log.direction == "minimize" else -1.0
    # A stable sort: of equal trials the first ones are kept.
    best = sorted(range(len(log.values)), key=lambda i: sign * log.values[i])[:_N_BEST]
    return replace(
        log,
        configurations=tuple(log.configurations[i] for i in sorted(best)),
        values=tuple(log.values[i] for i in sorted(best)),
    )


def rename_to_clash(log: Log, today: Sequence[Parameter]) -> Log:
    """Another space altogether, whose parameters happen to have today's names."""
    names = {p.name: f"other_{p.name}" for p in log.parameters}
    names |= {theirs.name: ours.name for theirs, ours in zip(log.parameters, today, strict=False)}
    return replace(
        log,
        parameters=rename(log.parameters, names),
        configurations=tuple({names[k]: v for k, v in c.items()} for c in log.configurations),
    )

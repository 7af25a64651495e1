"""Optuna's own samplers at their defaults, and the warm starts that people give them."""

from __future__ import annotations

from collections.abc import Callable
import warnings

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial

from benchmarks.peers.base import Setting
from benchmarks.problems.base import Parameter, Params


def _study(setting: Setting, sampler: BaseSampler) -> optuna.Study:
    return optuna.create_study(direction=setting.direction, sampler=sampler)


def random(setting: Setting) -> optuna.Study:
    """Random search."""
    return _study(setting, RandomSampler(seed=setting.seed))


def qmc(setting: Setting) -> optuna.Study:
    """A scrambled Sobol sequence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _study(setting, QMCSampler(seed=setting.seed, scramble=True))


def tpe(setting: Setting) -> optuna.Study:
    """Optuna's default sampler."""
    return _study(setting, TPESampler(seed=setting.seed))


def gp(setting: Setting) -> optuna.Study:
    """Optuna's Gaussian-process sampler."""
    return _study(setting, GPSampler(seed=setting.seed))


def cma_es(setting: Setting) -> optuna.Study:
    """CMA-ES; choices and conditional parameters are drawn at random."""
    return _study(setting, CmaEsSampler(seed=setting.seed, warn_independent_sampling=False))


def cma_es_from_priors(setting: Setting) -> optuna.Study:
    """CMA-ES with the priors' trials as `source_trials` (Nomura et al. 2021, AAAI)."""
    trials = [trial for study in setting.priors for trial in study.trials]
    sampler = CmaEsSampler(
        seed=setting.seed, source_trials=trials, warn_independent_sampling=False
    )
    return _study(setting, sampler)


def with_best_priors(
    build: Callable[[Setting], optuna.Study],
) -> Callable[[Setting], optuna.Study]:
    """A sampler with the best trial of every prior enqueued, as far as it fits today's space."""

    def build_and_enqueue(setting: Setting) -> optuna.Study:
        study = build(setting)
        for prior in setting.priors:
            params = fitting(prior.best_trial, setting.parameters)
            if params:
                study.enqueue_trial(params, skip_if_exists=True)
        return study

    return build_and_enqueue


def fitting(trial: FrozenTrial, parameters: tuple[Parameter, ...]) -> Params:
    """What of a trial can be asked for today; numbers outside of the range go to its end."""
    params: Params = {}
    for parameter in parameters:
        d = parameter.distribution
        value = trial.params.get(parameter.name)
        if parameter.name not in trial.params or not parameter.is_active(params):
            continue
        if isinstance(d, CategoricalDistribution):
            if value in d.choices:
                params[parameter.name] = value
        elif isinstance(value, (int, float)):
            number = min(max(value, d.low), d.high)
            params[parameter.name] = round(number) if isinstance(d, IntDistribution) else number
    return params


def tpe_with_all_priors(setting: Setting) -> optuna.Study:
    """TPE in a study to which all prior trials were added as if they were its own."""
    study = tpe(setting)
    for prior in setting.priors:
        study.add_trials(prior.trials)
    return study

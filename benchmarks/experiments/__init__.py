"""All experiments, by name."""

from __future__ import annotations

from typing import Any

from benchmarks.experiment import Experiment
from benchmarks.experiments import (
    audit,
    calibration,
    comparison,
    constraints,
    curve_forecasts,
    explanation,
    flat,
    forecasts,
    how_it_works,
    improvement_forecast,
    learners,
    load,
    methods,
    noise,
    objectives,
    overhead,
    parallel,
    pruners,
    pruning,
    rugged,
    scale,
)


_ALL: tuple[Experiment[Any], ...] = (
    comparison.QUICK,
    comparison.MAIN,
    comparison.EXTRA,
    comparison.HEBO,
    comparison.DEVELOP,
    methods.EXPERIMENT,
    audit.EXPERIMENT,
    calibration.EXPERIMENT,
    forecasts.EXPERIMENT,
    improvement_forecast.EXPERIMENT,
    overhead.EXPERIMENT,
    explanation.EXPERIMENT,
    scale.EXPERIMENT,
    load.EXPERIMENT,
    parallel.EXPERIMENT,
    pruning.EXPERIMENT,
    pruners.EXPERIMENT,
    curve_forecasts.EXPERIMENT,
    rugged.EXPERIMENT,
    constraints.EXPERIMENT,
    flat.EXPERIMENT,
    objectives.EXPERIMENT,
    noise.EXPERIMENT,
    how_it_works.EXPERIMENT,
    learners.EXPERIMENT,
)

EXPERIMENTS: dict[str, Experiment[Any]] = {experiment.name: experiment for experiment in _ALL}

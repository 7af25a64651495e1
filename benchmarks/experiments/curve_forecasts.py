"""Forecasts of where a learning curve ends, against where it does.

Random configurations of LCBench: some are the study's whole curves, the others are forecast from
their beginning. Errors are in units of the study (see `optuna_metasampler.curve_model`), as a
share of the error of taking the last value for the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import table
from benchmarks.problems import lcbench
from benchmarks.problems.base import random_params, seed_of
from benchmarks.statistics import t_interval
from optuna_metasampler.curve_model import CurveModel
from optuna_metasampler.learning_curves import Curve


N_FORECAST = 40
N_PRIOR_CURVES = 40
N_WHOLE = (1, 5, 20)
LENGTHS = (2, 10, 30, 50)
"""In per cent of a training; the first is one epoch."""


@dataclass(frozen=True)
class Job:
    """Curves of one task."""

    task: str
    seed: int


def jobs(options: Options) -> list[Job]:
    """Every task, seed by seed."""
    assert options.data is not None
    tasks = lcbench.loop(options.data, 0).targets
    return [Job(task, seed) for seed in range(options.settings["seeds"]) for task in tasks]


def run(job: Job, options: Options) -> dict[str, Any]:
    """Coverage and errors by what is known and by length."""
    assert options.data is not None
    surrogate = lcbench.curves(options.data)

    def curves(task: str, n: int) -> list[Curve]:
        generator = np.random.default_rng(seed_of("curve forecasts", task, job.seed))
        drawn = [random_params(surrogate.parameters, generator) for _ in range(n)]
        return [dict(enumerate((-surrogate.losses(task, p)).tolist(), start=1)) for p in drawn]

    sources = surrogate.sources(job.task, job.seed)
    models = {
        "none": CurveModel.of([]),
        "five": CurveModel.of([curves(source, N_PRIOR_CURVES) for source in sources]),
    }
    own = curves(job.task, max(N_WHOLE) + N_FORECAST)
    rows = []
    for (priors, model), n in product(models.items(), N_WHOLE):
        predictor = model.given(own[:n])
        for length in LENGTHS:
            last = round(length / 100 * lcbench.N_EPOCHS)
            found = []
            for curve in own[max(N_WHOLE) :]:
                forecast = predictor.forecast({s: v for s, v in curve.items() if s <= last})
                low, middle, high = (forecast.quantile(p) for p in (0.1, 0.5, 0.9))
                end = curve[lcbench.N_EPOCHS]
                units = predictor.scale.units(np.array([middle, curve[last], end]))
                found.append(
                    (low <= end <= high, abs(units[0] - units[2]), abs(units[1] - units[2]))
                )
            covered, error, of_last = np.mean(found, axis=0).round(4).tolist()
            row = {"priors": priors, "whole": n, "length": length}
            rows.append(row | {"covered": covered, "error": error, "of_last": of_last})
    return {"rows": rows}


def summarize(records: Sequence[Record]) -> Summary:
    """A row by what is known: coverage and relative error at each length."""
    done = finished(records)
    rows = []
    for priors, n in product(("none", "five"), N_WHOLE):
        row: dict[str, Any] = {"priors": priors, "whole": n}
        for length in LENGTHS:
            key = {"priors": priors, "whole": n, "length": length}
            own = [next(r for r in d["rows"] if r.items() >= key.items()) for d in done]
            if len(own) < 2:
                return {"rows": []}
            ratio: NDArray[np.float64] = np.array([r["error"] / r["of_last"] for r in own])
            row |= {
                f"covered_{length}": t_interval([r["covered"] for r in own]),
                f"error_{length}": float(np.exp(np.log(ratio).mean())),
            }
        rows.append(row)
    return {"rows": rows}


def tables(summary: Summary) -> dict[str, str]:
    """Coverage and errors."""
    columns = [("prior studies", "{priors}"), ("whole curves", "{whole}")]
    columns += [(f"80% intervals at {n}%", f"{{covered_{n}:ci%}}") for n in LENGTHS]
    columns += [(f"error at {n}%", f"{{error_{n}:.2f}}") for n in LENGTHS]
    return {"curve-forecasts": table(summary["rows"], columns)}


EXPERIMENT = Experiment(
    name="curve_forecasts",
    title="where learning curves end, forecast from their beginnings",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    settings={"seeds": 1},
    needs_data=True,
)

"""Does the improvement forecast of ten more trials come true?

The default method tunes a target, without and with prior studies. After 10, 20 and 40 trials it
is asked what ten more will bring; then they are run. Targets are functions drawn from Gaussian
processes, smooth or stepped, exponentials of such functions, and tables of real training runs.
How the forecast is made was chosen on other draws of the synthetic ones.

Gains are shares of the distance from the median random configuration to the best known one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import optuna
from scipy.stats import spearmanr

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import table
from benchmarks.problems import PACKAGED, TABLES
from benchmarks.problems.base import Suite, seed_of, suggest, targets
from benchmarks.problems.synthetic import SkewedSuite, SteppedSuite, SyntheticSuite
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.forecasts import improvement_forecast
from optuna_metasampler.explain.snapshot import Snapshot


SCENARIOS = ("none", "tpe-5")
N_TRIALS = (10, 20, 40)
N_MORE = 10
SEED = 1
SMALL = 0.01
"""A gain that is not worth waiting for, as a share of the range."""

NEARLY = 0.001
"""What an interval misses by no more than this share of the range does not count."""

MADE_UP: dict[str, tuple[str, Suite]] = {
    suite.name: (kind, suite)
    for kind, suite in (
        ("synthetic", SyntheticSuite(0.9)),
        ("synthetic", SteppedSuite(0.5)),
        ("skewed", SkewedSuite(0.9)),
    )
}
"""Kind and suite by name; all others are tables."""

KINDS = {"synthetic": "Gaussian processes", "skewed": "exponentials of these", "table": "tables"}


@dataclass(frozen=True)
class Job:
    """A study."""

    suite: str
    task: str
    scenario: str


def jobs(options: Options) -> list[Job]:
    """All targets of the made-up suites and the first ones of tables, if there are any."""
    problems = [(name, task) for name, (_, suite) in MADE_UP.items() for task in suite.targets]
    tables = (*TABLES, *PACKAGED) if options.data is not None else ()
    for name in tables:
        chosen = targets(options.suite(name), options.settings["targets"])
        problems += [(name, task) for task in chosen]
    return [Job(name, task, scenario) for name, task in problems for scenario in SCENARIOS]


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study."""
    kind, suite = MADE_UP.get(job.suite) or ("table", options.suite(job.suite))
    return {"kind": kind, "forecasts": forecasts(suite, job.task, job.scenario)}


def forecasts(suite: Suite, target: str, scenario: str) -> list[dict[str, Any]]:
    """A row a time that the study was asked: what was expected of more trials, and came."""
    seed = seed_of(suite.name, target, scenario, SEED) % 1000
    setting = setting_of(suite, prior_logs(scenario, suite, target, SEED), seed)
    objective, scale = suite.objective(target), suite.scale(target)
    assert scale is not None
    unit = abs(scale.median - scale.best)
    study = optuna.create_study(
        direction=suite.direction,
        sampler=MetaSampler(list(setting.priors) or None, seed=seed, learner=None),
    )
    expected = {}
    for n in (*N_TRIALS, max(N_TRIALS) + N_MORE):
        study.optimize(
            lambda trial: objective(suggest(trial, suite.parameters)), n - len(study.trials)
        )
        expected[n] = improvement_forecast(Snapshot.of(study), N_MORE)
    sign = 1.0 if suite.direction == "maximize" else -1.0
    best = np.maximum.accumulate([sign * trial.values[0] for trial in study.trials])
    rows = []
    for n in N_TRIALS:
        found = expected[n]
        # There is none where all outcomes were equal.
        if found is not None:
            gains = {name: getattr(found, name) / unit for name in ("gain", "low", "high")}
            gains |= {"probability": found.probability}
            gains |= {"real": (best[n + N_MORE - 1] - best[n - 1]) / unit}
            rows.append({"n_trials": n} | {k: float(f"{v:.4g}") for k, v in gains.items()})
    return rows


def compared(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How expected and real gains compare, over some rows."""
    names = ("gain", "low", "high", "probability", "real")
    gain, low, high, probability, real = (np.array([r[k] for r in rows]) for k in names)
    small = gain < SMALL
    rho = float(spearmanr(gain, real).statistic)
    return {
        "n": len(rows),
        "expected": float(gain.mean()),
        "real": float(real.mean()),
        # Smaller gains count as this, expected and real ones.
        "ratio": float(np.median(np.maximum(gain, SMALL) / np.maximum(real, SMALL))),
        # None is defined where all gains are equal.
        "rho": None if np.isnan(rho) else rho,
        "coverage": float(np.mean((low <= real) & (real <= high))),
        "near": float(np.mean((low - NEARLY <= real) & (real <= high + NEARLY))),
        "probability": float(probability.mean()),
        "any": float(np.mean(real > 0)),
        "n_small": int(small.sum()),
        "small_right": float(np.mean(real[small] < SMALL)) if small.any() else None,
    }


def summarize(records: Sequence[Record]) -> Summary:
    """Expected and real gains, by kind of problem, priors and number of trials."""
    cases = [
        {"kind": r["kind"], "scenario": r["scenario"], **row}
        for r in finished(records)
        for row in r["forecasts"]
    ]
    rows = []
    for kind, scenario, n in product(KINDS, SCENARIOS, (*N_TRIALS, None)):
        mine = [
            case
            for case in cases
            if (case["kind"], case["scenario"]) == (kind, scenario)
            and n in (None, case["n_trials"])
        ]
        if len(mine) > 1:
            columns = {"kind": KINDS[kind], "scenario": scenario, "n_trials": n or "all"}
            rows.append(columns | compared(mine))
    return {"rows": rows}


def tables(summary: Summary) -> dict[str, str]:
    """A row a kind of problem, scenario and number of trials."""
    columns = [
        ("problems", "{kind}"),
        ("priors", "{scenario}"),
        ("trials so far", "{n_trials}"),
        ("cases", "{n}"),
        ("expected", "{expected:.1%}"),
        ("real", "{real:.1%}"),
        ("ratio", "{ratio:.1f}"),
        ("rho", "{rho:.2f}"),
        ("inside", "{coverage:.0%} ({near:.0%})"),
        ("any: expected / real", "{probability:.0%} / {any:.0%}"),
        ("small: right", "{small_right:.0%} of {n_small}"),
    ]
    return {"improvement-forecast": table(summary["rows"], columns)}


EXPERIMENT = Experiment(
    name="improvement_forecast",
    title="what ten more trials were expected to bring, and brought",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    settings={"targets": 2},
)

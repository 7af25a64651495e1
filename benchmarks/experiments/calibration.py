"""Are predictive intervals as wide as they should be? Their coverage of held-out trials.

The default surrogate is conditioned on random trials of a held-out task, without and with prior
studies, and predicts the outcomes of other random trials, on the scale that it models them on. A
calibrated interval of 80% covers 80% of these; one that covers fewer is over-confident.

Axis letters: ``n`` trials, ``q`` held-out trials, ``g`` hypotheses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
import numpy as np
from scipy.special import ndtr
import torch

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.markdown import table
from benchmarks.plots import BLUE, GREY, ORANGE, tidy
from benchmarks.problems import PACKAGED, SEEN, TABLES
from benchmarks.problems.base import Params, Suite, random_params, seed_of, targets
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from optuna_metasampler._runtime import isolated
from optuna_metasampler.methods.default import Auto
from optuna_metasampler.prior_knowledge import PriorKnowledge
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.sources import read_priors
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.gaussian_process import (
    GaussianProcess,
    GaussianProcessPredictor,
)
from optuna_metasampler.surrogates.transfer import TransferGaussianProcess
from optuna_metasampler.task import Task


N_TRIALS = (10, 30)
N_HELD_OUT = 200
LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 20))
SHOWN = (0.5, 0.8, 0.95)
SCENARIO = "tpe-5"


@dataclass(frozen=True)
class Job:
    """A held-out task."""

    suite: str
    task: str


def jobs(options: Options) -> list[Job]:
    """The first tasks of all tables."""
    n = options.settings["targets"]
    return [
        Job(name, task) for name in TABLES + PACKAGED for task in targets(options.suite(name), n)
    ]


def run(job: Job, options: Options) -> dict[str, Any]:
    """Coverage on one task."""
    with isolated():
        return {"rows": measure(options.suite(job.suite), job.task)}


def coverage(predictor: GaussianProcessPredictor, task: Task, held_out: Task) -> np.ndarray:
    """Share of held-out outcomes inside the central interval of each level.

    Args:
        predictor: Conditioned on ``task``.
        task: The trials, ``n`` of them.
        held_out: Other trials of the same problem, ``q`` of them.

    Returns:
        Shares, one a level.
    """
    z = _as_modelled(held_out.y.numpy(), task.y.numpy(), predictor.posterior.outcomes.numpy())
    with torch.no_grad():
        each = predictor.each(held_out.x)
        # Outcomes are noisy, and predictions are of what is behind the noise.
        spread = (each.variance + predictor.posterior.noise[:, None]).sqrt()
        below = ndtr(((torch.from_numpy(z) - each.mean) / spread).numpy())
    centrality = np.abs(2.0 * (np.array(predictor.weights) @ below) - 1.0)
    shares: np.ndarray = (centrality[:, None] <= np.array(LEVELS)).mean(axis=0)
    return shares


def _as_modelled(y: np.ndarray, known: np.ndarray, modelled: np.ndarray) -> np.ndarray:
    """Other outcomes on the scale on which known ones are modelled: by interpolation.

    Beyond the known outcomes the scale goes on with its average slope.
    """
    order = np.argsort(known)
    known, modelled = known[order], modelled[order]
    slope = (modelled[-1] - modelled[0]) / (known[-1] - known[0])
    beyond = np.maximum(y - known[-1], 0.0) + np.minimum(y - known[0], 0.0)
    z: np.ndarray = np.interp(y, known, modelled) + slope * beyond
    return z


def measure(suite: Suite, target: str) -> list[dict[str, Any]]:
    """Coverage on one task: a row a number of trials, without and with priors."""
    generator = np.random.default_rng(seed_of(suite.name, target, "calibration"))
    objective = suite.objective(target)
    sign = 1.0 if suite.direction == "maximize" else -1.0
    configurations = [
        random_params(suite.parameters, generator) for _ in range(max(N_TRIALS) + N_HELD_OUT)
    ]
    y = torch.tensor([sign * objective(c) for c in configurations], dtype=torch.float64)
    space = SearchSpace.of({p.name: p.distribution for p in suite.parameters}, configurations)

    def task(rows: Sequence[int] | range) -> Task:
        return Task.of(space, [configurations[i] for i in rows], y[list(rows)])

    held_out = task(range(max(N_TRIALS), len(configurations)))
    warm = _with_priors(suite, target, space, configurations)
    rows = []
    for n in N_TRIALS:
        known = task(range(n))
        if float(known.y.min()) == float(known.y.max()):
            continue
        for name, surrogate in (("none", GaussianProcess()), (SCENARIO, warm)):
            predictor = surrogate.condition(known)
            shares = coverage(predictor, known, held_out)
            rows.append(
                {
                    "scenario": name,
                    "n_trials": n,
                    "coverage": [round(float(s), 4) for s in shares],
                }
            )
    return rows


def _with_priors(
    suite: Suite, target: str, space: SearchSpace, configurations: Sequence[Params]
) -> TransferGaussianProcess:
    setting = setting_of(suite, prior_logs(SCENARIO, suite, target, 0), 0)
    common = pool(read_priors(list(setting.priors)), setting.priors[0].directions)
    knowledge = PriorKnowledge.from_pool(common, Auto(), seed=0)
    present = {name for c in configurations for name in c}
    without = knowledge.missing(space, present)
    assert without is not None
    prior = knowledge.aligned(space, (1.0,), without)
    return TransferGaussianProcess(prior.learned, prior.to_prior)


def pooled(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Mean coverage by scenario and number of trials; every suite weighs alike."""
    found: dict[tuple[str, int], dict[str, list[Sequence[float]]]] = {}
    for record in records:
        for row in record["rows"]:
            by_suite = found.setdefault((row["scenario"], row["n_trials"]), {})
            by_suite.setdefault(record["suite"], []).append(row["coverage"])
    return [
        {
            "scenario": scenario,
            "n_trials": n,
            "coverage": np.mean([np.mean(rows, axis=0) for rows in suites.values()], axis=0),
        }
        for (scenario, n), suites in found.items()
    ]


def summarize(records: Sequence[Record]) -> Summary:
    """Coverage on all suites, and on seen and unseen ones."""
    done = finished(records)
    parts = {
        "all": done,
        "seen": [r for r in done if r["suite"] in SEEN],
        "unseen": [r for r in done if r["suite"] not in SEEN],
    }
    return {
        "rows": [
            {"suites": name, **row, "coverage": row["coverage"].tolist()}
            for name, part in parts.items()
            for row in pooled(part)
        ]
    }


def tables(summary: Summary) -> dict[str, str]:
    """Coverage at a few levels."""
    columns = [("priors", "{scenario}"), ("trials", "{n_trials}"), ("suites", "{suites}")]
    columns += [
        (f"{level:.0%} interval", f"{{coverage[{LEVELS.index(level)}]:.0%}}") for level in SHOWN
    ]
    return {"calibration": table(summary["rows"], columns)}


def figures(summary: Summary) -> dict[str, Figure]:
    """Measured against nominal coverage."""
    drawn = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="calibrated")
    for row in summary["rows"]:
        if row["suites"] == "all":
            cold = row["scenario"] == "none"
            axes.plot(
                LEVELS,
                row["coverage"],
                "-" if row["n_trials"] == max(N_TRIALS) else ":",
                color=BLUE if cold else ORANGE,
                label=f"{'no prior' if cold else '5 priors'}, {row['n_trials']} trials",
            )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="interval", ylabel="held-out outcomes inside")
    axes.grid(alpha=0.3)
    tidy(axes, grid=False)
    axes.legend(frameon=False)
    return {"calibration": drawn}


EXPERIMENT = Experiment(
    name="calibration",
    title="coverage of predictive intervals",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    figures=figures,
    settings={"targets": 4},
    needs_data=True,
)

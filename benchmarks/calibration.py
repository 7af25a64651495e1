"""Are predictive intervals as wide as they should be? Their coverage of held-out trials.

The default surrogate is conditioned on random trials of a held-out task, without and with prior
studies, and predicts the outcomes of other random trials, on the scale that it models them on. A
calibrated interval of 80 % covers 80 % of these; one that covers fewer is over-confident.

Usage: ``python -m benchmarks.calibration --data DIR [--out FILE]``

Axis letters: ``n`` trials, ``q`` held-out trials, ``g`` hypotheses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import warnings

import click
from matplotlib.figure import Figure
import numpy as np
import optuna
from scipy.special import ndtr
import torch
from tqdm import tqdm

from benchmarks.options import data_option
from benchmarks.plans import PACKAGED, TABLES, targets
from benchmarks.problems import SEEN, find
from benchmarks.problems.base import Params, Suite, random_params, seed_of
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


RESULTS = Path(__file__).parent / "results" / "calibration.json"

N_TRIALS = (10, 30)
N_HELD_OUT = 200
N_TARGETS = 4
LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 20))
SHOWN = (0.5, 0.8, 0.95)
SCENARIO = "tpe-5"


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
    return (centrality[:, None] <= np.array(LEVELS)).mean(axis=0)


def _as_modelled(y: np.ndarray, known: np.ndarray, modelled: np.ndarray) -> np.ndarray:
    """Other outcomes on the scale on which known ones are modelled: by interpolation.

    Beyond the known outcomes the scale goes on with its average slope.
    """
    order = np.argsort(known)
    known, modelled = known[order], modelled[order]
    slope = (modelled[-1] - modelled[0]) / (known[-1] - known[0])
    beyond = np.maximum(y - known[-1], 0.0) + np.minimum(y - known[0], 0.0)
    return np.interp(y, known, modelled) + slope * beyond


def measure(suite: Suite, target: str) -> list[dict[str, object]]:
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
    rows: list[dict[str, object]] = []
    for n in N_TRIALS:
        known = task(range(n))
        if len(known.y.unique()) < 2:
            continue
        for name, surrogate in (("none", GaussianProcess()), (SCENARIO, warm)):
            predictor = surrogate.condition(known)
            shares = coverage(predictor, known, held_out)
            rows.append(
                {
                    "suite": suite.name,
                    "task": target,
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
    studies = read_priors(list(setting.priors))
    common = pool(studies, setting.priors[0].directions)
    knowledge = PriorKnowledge.from_pool(common, Auto(), seed=0)
    shown = {name for c in configurations for name in c}
    without = knowledge.missing(space, shown)
    assert without is not None
    prior = knowledge.aligned(space, (1.0,), without)
    return TransferGaussianProcess(prior.learned, prior.to_prior)


def pooled(result: Mapping[str, object]) -> dict[tuple[str, int], np.ndarray]:
    """Mean coverage by scenario and number of trials; every suite weighs alike."""
    found: dict[tuple[str, int], dict[str, list[np.ndarray]]] = {}
    for row in result["rows"]:
        shares = found.setdefault((row["scenario"], row["n_trials"]), {})
        shares.setdefault(row["suite"], []).append(np.array(row["coverage"]))
    return {
        key: np.mean([np.mean(rows, axis=0) for rows in suites.values()], axis=0)
        for key, suites in found.items()
    }


def table(result: Mapping[str, object]) -> str:
    """Coverage at a few levels as a Markdown table, by seen and unseen suites."""
    head = [f"{level:.0%} interval" for level in SHOWN]
    lines = [
        "| priors | trials | suites | " + " | ".join(head) + " |",
        "|---|---|---|" + "---|" * len(SHOWN),
    ]
    parts = {
        "all": result,
        "seen": {"rows": [r for r in result["rows"] if r["suite"] in SEEN]},
        "unseen": {"rows": [r for r in result["rows"] if r["suite"] not in SEEN]},
    }
    for name, part in parts.items():
        for (scenario, n), shares in pooled(part).items():
            cells = [f"{shares[LEVELS.index(level)]:.0%}" for level in SHOWN]
            lines.append(f"| {scenario} | {n} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(result: Mapping[str, object], path: Path) -> None:
    """Draw measured against nominal coverage."""
    drawn = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="calibrated")
    for (scenario, n), shares in pooled(result).items():
        color = "#0072B2" if scenario == "none" else "#D55E00"
        name = "no prior" if scenario == "none" else "5 priors"
        style = "-" if n == max(N_TRIALS) else ":"
        axes.plot(LEVELS, shares, style, color=color, label=f"{name}, {n} trials")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="interval", ylabel="held-out outcomes inside")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=110)


@click.command()
@data_option(required=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Where to write the shares.",
)
def main(data: Path, out: Path) -> None:
    """Measure the coverage of the default surrogate's predictive intervals."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    suites = find(data)
    pairs = [(name, t) for name in TABLES + PACKAGED for t in targets(suites[name], N_TARGETS)]
    rows = []
    with isolated():
        for name, target in tqdm(pairs, unit="task", disable=None):
            rows += measure(suites[name], target)
    result = {"levels": LEVELS, "n_held_out": N_HELD_OUT, "rows": rows}
    lines = ",\n".join(json.dumps(row) for row in rows)
    out.write_text(
        json.dumps({k: v for k, v in result.items() if k != "rows"})[:-1]
        + f', "rows": [\n{lines}\n]}}\n',
        encoding="utf-8",
    )
    click.echo(f"{table(result)}\n\nShares: {out}")


if __name__ == "__main__":
    main()

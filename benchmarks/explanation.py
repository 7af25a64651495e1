"""What explaining costs: a study that keeps how its trials were chosen, beside one that does not.

Two studies of the same seed get the same suggestions; the one explains (``explain=True``, graphs
of optuna-dashboard included where it is installed), the other does not. Trials are run in turn,
the first now of the one and now of the other, so that whatever else the machine does slows both
alike. An objective of no time at all is the worst case: all is suggestion and bookkeeping.

Usage: ``python -m benchmarks.explanation [--out FILE]``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
import json
from pathlib import Path
import platform
import statistics
import tempfile
import time
from typing import Any

import click
import numpy as np
import optuna
from tqdm import tqdm

from benchmarks.overhead import PROBLEMS, prior_studies
from optuna_metasampler import MetaSampler


RESULTS = Path(__file__).parent / "results" / "explanation.json"

N_TRIALS = 100
N_WARM_UP = 5
N_PRIORS = (5, 0)
N_SEEDS = 3
STORAGES = ("memory", "SQLite")

Result = Mapping[str, Any]


def measure(
    objective: Callable[[optuna.Trial], float],
    priors: Sequence[optuna.Study],
    storage: str,
    seed: int,
    n_trials: int = N_TRIALS,
) -> dict[str, list[float]]:
    """Seconds of each trial, asking, suggesting and telling, with and without explanation."""
    with tempfile.TemporaryDirectory() as folder:
        studies = {
            name: optuna.create_study(
                storage=f"sqlite:///{folder}/{name}.db" if storage == "SQLite" else None,
                sampler=MetaSampler(priors, seed=seed, explain=name == "with"),
            )
            for name in ("with", "without")
        }
        seconds: dict[str, list[float]] = {name: [] for name in studies}
        for i in range(n_trials):
            for name in sorted(studies, reverse=bool(i % 2)):
                start = time.perf_counter()
                trial = studies[name].ask()
                studies[name].tell(trial, objective(trial))
                seconds[name].append(time.perf_counter() - start)
        params = [[t.params for t in study.trials] for study in studies.values()]
        assert params[0] == params[1]
    return {name: [round(s, 6) for s in found] for name, found in seconds.items()}


def table(result: Result) -> str:
    """Ratios as a Markdown table: the median trial's, and that of all trials together."""
    lines = [
        "| storage | parameters | prior studies | median trial | all trials |",
        "|---|---|---|---|---|",
    ]
    keys = dict.fromkeys((r["storage"], r["problem"], r["n_priors"]) for r in result["rows"])
    for storage, problem, n_priors in keys:
        rows = [
            r
            for r in result["rows"]
            if (r["storage"], r["problem"], r["n_priors"]) == (storage, problem, n_priors)
        ]
        cells = [_range([_ratio(row, mean) for row in rows]) for mean in (statistics.median, sum)]
        lines.append(f"| {storage} | 8 {problem} | {n_priors} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(row: Result, mean: Callable[[Sequence[float]], float]) -> float:
    pair = [mean(row["seconds"][name][N_WARM_UP:]) for name in ("with", "without")]
    return pair[0] / pair[1]


def _range(ratios: Sequence[float]) -> str:
    """Median, and the range over the seeds."""
    return f"{np.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Where to write the figures.",
)
@click.option("--seeds", default=N_SEEDS, show_default=True, help="Times that all of it is done.")
def main(out: Path, seeds: int) -> None:
    """Measure what it costs that trials say how they were chosen."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    priors = {problem: prior_studies(problem, max(N_PRIORS)) for problem in PROBLEMS}
    # What is imported or compiled at a first suggestion is no part of any figure.
    measure(_objective("mixed"), priors["mixed"], "SQLite", seed=0, n_trials=20)
    runs = [
        (storage, problem, n, seed)
        for storage in STORAGES
        for problem in PROBLEMS
        for n in N_PRIORS
        for seed in range(seeds)
    ]
    rows = [
        {
            "storage": storage,
            "problem": problem,
            "n_priors": n,
            "seed": seed,
            "seconds": measure(_objective(problem), priors[problem][:n], storage, seed),
        }
        for storage, problem, n, seed in tqdm(runs, unit="run", disable=None)
    ]
    names = ["optuna", "torch", "numpy"]
    if find_spec("optuna_dashboard") is not None:
        names += ["optuna-dashboard", "plotly"]
    result = {
        "rows": rows,
        "versions": {"python": platform.python_version()} | {n: version(n) for n in names},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result) + "\n", encoding="utf-8")
    click.echo(f"{table(result)}\n\nFigures: {out}")


def _objective(problem: str) -> Callable[[optuna.Trial], float]:
    return lambda trial: PROBLEMS[problem](trial, 0.4)


if __name__ == "__main__":
    main()

"""Do trials come out as was expected of them? The forecasts that a running study keeps.

A study of the default sampler runs on a held-out task, without and with prior studies, and each
trial keeps the interval that should hold 80 % of outcomes. The trials are those that the model
chose, for it expected much of them: a model that is too sure of itself is found out here.

Usage: ``python -m benchmarks.forecasts --data DIR [--out FILE]``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
from typing import Any
import warnings

import click
import numpy as np
import optuna
from tqdm import tqdm

from benchmarks.options import data_option
from benchmarks.plans import PACKAGED, TABLES, targets
from benchmarks.problems import SEEN, find
from benchmarks.problems.base import Suite, seed_of, suggest
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.trial_record import TrialRecord


RESULTS = Path(__file__).parent / "results" / "forecasts.json"

N_TRIALS = 40
N_TARGETS = 3
SCENARIOS = ("tpe-5", "none")

Result = Mapping[str, Any]


def measure(suite: Suite, target: str, scenario: str) -> dict[str, Any]:
    """How the trials of one study came out: shares of those that had a forecast."""
    seed = seed_of(suite.name, target, "forecasts")
    logs = [] if scenario == "none" else prior_logs(scenario, suite, target, 0)
    setting = setting_of(suite, logs, seed)
    objective = suite.objective(target)
    study = optuna.create_study(
        direction=suite.direction, sampler=MetaSampler(list(setting.priors), seed=seed)
    )
    study.optimize(lambda t: objective(suggest(t, suite.parameters)), n_trials=N_TRIALS)
    sign = 1.0 if suite.direction == "maximize" else -1.0
    places = []
    for trial in study.trials:
        told = TrialRecord.read(trial)
        if told is not None and told.forecasts and trial.value is not None:
            (forecast,) = told.forecasts
            low, high = sorted((sign * forecast.low, sign * forecast.high))
            value = sign * trial.value
            places.append((value < low, value > high, value > sign * forecast.predicted))
    below, above, better = np.mean(places, axis=0).round(4).tolist()
    return {
        "suite": suite.name,
        "task": target,
        "scenario": scenario,
        "n": len(places),
        "inside": round(1.0 - below - above, 4),
        "above": above,
        "better_than_predicted": better,
    }


def table(result: Result) -> str:
    """Shares as a Markdown table, every suite weighing alike, by seen and unseen suites."""
    lines = [
        "| priors | suites | trials | inside the 80 % interval (least and most of a suite) "
        "| better than the interval | better than the median |",
        "|---|---|---|---|---|---|",
    ]
    for scenario in SCENARIOS:
        for kind, seen in (("seen", True), ("unseen", False)):
            rows = [
                r
                for r in result["rows"]
                if r["scenario"] == scenario and (r["suite"] in SEEN) == seen
            ]
            inside = _by_suite(rows, "inside")
            priors = "5" if scenario == "tpe-5" else "none"
            lines.append(
                f"| {priors} | {len(inside)} {kind} | {sum(r['n'] for r in rows)} "
                f"| {np.mean(inside):.0%} ({min(inside):.0%} to {max(inside):.0%}) "
                f"| {np.mean(_by_suite(rows, 'above')):.0%} "
                f"| {np.mean(_by_suite(rows, 'better_than_predicted')):.0%} |"
            )
    return "\n".join(lines)


def _by_suite(rows: Sequence[Result], key: str) -> list[float]:
    suites = dict.fromkeys(row["suite"] for row in rows)
    return [float(np.mean([r[key] for r in rows if r["suite"] == s])) for s in suites]


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
    """Compare what trials came to with what was expected of them."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    suites = find(data)
    runs = [
        (name, target, scenario)
        for name in TABLES + PACKAGED
        for target in targets(suites[name], N_TARGETS)
        for scenario in SCENARIOS
    ]
    rows = [
        measure(suites[name], target, scenario)
        for name, target, scenario in tqdm(runs, unit="study", disable=None)
    ]
    lines = ",\n".join(json.dumps(row) for row in rows)
    out.write_text(f'{{"n_trials": {N_TRIALS}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")
    click.echo(f"{table({'rows': rows})}\n\nShares: {out}")


if __name__ == "__main__":
    main()

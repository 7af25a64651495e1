"""Does what `outlook` expects of ten more trials come true?

The default method tunes a target, without and with prior studies. After 10, 20 and 40 trials it
is asked what ten more will bring; then they are run. Targets are functions drawn from Gaussian
processes, smooth or stepped, exponentials of such functions, and tables of real training runs.
How the outlook is made was chosen on other draws of the synthetic ones.

Gains are shares of the distance from the median random configuration to the best known one.
Results are written after every study, and a run that was broken off goes on where it stopped.

Usage: ``python -m benchmarks.outlook [--data DIR] [--out FILE]``; without tables, only what is
synthetic is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import textwrap
from typing import Any

import click
import numpy as np
import optuna
from scipy.stats import spearmanr
from tqdm import tqdm

from benchmarks import markdown
from benchmarks.options import data_option
from benchmarks.plans import PACKAGED, TABLES, targets
from benchmarks.problems import find
from benchmarks.problems.base import Suite, seed_of, suggest
from benchmarks.problems.synthetic import SkewedSuite, SteppedSuite, SyntheticSuite
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.improvement_forecast import improvement_forecast as outlook
from optuna_metasampler.explain.snapshot import Snapshot


RESULTS = Path(__file__).parent / "results" / "outlook.json"

SCENARIOS = ("none", "tpe-5")
N_TRIALS = (10, 20, 40)
N_MORE = 10
N_TABLE_TARGETS = 2
SEED = 1
SMALL = 0.01
"""A gain that nobody would wait for, as a share of the range."""

_KINDS = {"synthetic": "Gaussian processes", "skewed": "exponentials of these", "table": "tables"}


def problems(data: Path | None) -> list[tuple[str, Suite, str]]:
    """What is tuned: the kind of the problem, the suite and the target."""
    made_up: list[tuple[str, Suite]] = [
        ("synthetic", SyntheticSuite(0.9)),
        ("synthetic", SteppedSuite(0.5)),
        ("skewed", SkewedSuite(0.9)),
    ]
    found = [(kind, suite, target) for kind, suite in made_up for target in suite.targets]
    if data is not None:
        suites = find(data)
        for name in (*TABLES, *PACKAGED):
            found += [("table", suites[name], t) for t in targets(suites[name], N_TABLE_TARGETS)]
    return found


def run(kind: str, suite: Suite, target: str, scenario: str) -> list[dict[str, Any]]:
    """One study: a row a time that it was asked."""
    seed = seed_of(suite.name, target, scenario, SEED) % 1000
    setting = setting_of(suite, prior_logs(scenario, suite, target, SEED), seed)
    objective, scale = suite.objective(target), suite.scale(target)
    unit = abs(scale.median - scale.best)
    study = optuna.create_study(
        direction=suite.direction, sampler=MetaSampler(list(setting.priors) or None, seed=seed)
    )
    said = {}
    for n in (*N_TRIALS, max(N_TRIALS) + N_MORE):
        study.optimize(
            lambda trial: objective(suggest(trial, suite.parameters)), n - len(study.trials)
        )
        said[n] = outlook(Snapshot.of(study), N_MORE)
    sign = 1.0 if suite.direction == "maximize" else -1.0
    best = np.maximum.accumulate([sign * trial.value for trial in study.trials])
    rows = []
    for n in N_TRIALS:
        expected = said[n]
        if expected is None:
            # All outcomes were equal.
            continue
        rows.append(
            {
                "kind": kind,
                "suite": suite.name,
                "task": target,
                "scenario": scenario,
                "n_trials": n,
                "gain": _short(expected.gain / unit),
                "low": _short(expected.low / unit),
                "high": _short(expected.high / unit),
                "probability": _short(expected.probability),
                "real": _short((best[n + N_MORE - 1] - best[n - 1]) / unit),
            }
        )
    return rows


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How expected and real gains compare, over some rows."""
    names = ("gain", "low", "high", "probability", "real")
    gain, low, high, probability, real = (np.array([r[k] for r in rows]) for k in names)
    small = gain < SMALL
    return {
        "n": len(rows),
        "expected": float(gain.mean()),
        "real": float(real.mean()),
        # Gains that nobody would notice count as one that is just noticed, on both sides.
        "ratio": float(np.median(np.maximum(gain, SMALL) / np.maximum(real, SMALL))),
        "rho": float(spearmanr(gain, real).statistic),
        "coverage": float(np.mean((low <= real) & (real <= high))),
        # The interval a thousandth of the range wider: what is missed by less is of no account.
        "near": float(np.mean((low - 0.001 <= real) & (real <= high + 0.001))),
        "probability": float(probability.mean()),
        "any": float(np.mean(real > 0)),
        "n_small": int(small.sum()),
        "small_right": float(np.mean(real[small] < SMALL)) if small.any() else float("nan"),
    }


def table(result: Mapping[str, Any]) -> str:
    """Expected and real gains, by kind of problem, priors and number of trials."""
    rows = result["rows"]
    lines = []
    for kind, name in _KINDS.items():
        for scenario in SCENARIOS:
            for n in (*N_TRIALS, None):
                mine = [
                    r
                    for r in rows
                    if r["kind"] == kind
                    and r["scenario"] == scenario
                    and n in (None, r["n_trials"])
                ]
                if len(mine) < 2:
                    continue
                s = summary(mine)
                right = "–" if not s["n_small"] else f"{s['small_right']:.0%}"
                lines.append(
                    [
                        name,
                        scenario,
                        "all" if n is None else str(n),
                        str(s["n"]),
                        f"{s['expected']:.1%}",
                        f"{s['real']:.1%}",
                        f"{s['ratio']:.1f}",
                        f"{s['rho']:.2f}",
                        f"{s['coverage']:.0%} ({s['near']:.0%})",
                        f"{s['probability']:.0%} / {s['any']:.0%}",
                        f"{right} of {s['n_small']}",
                    ]
                )
    text = (
        f"What the outlook expects of {N_MORE} more trials, and what they brought, as shares of "
        "the distance from the median random configuration to the best known one. *Ratio* is the "
        f"median of expected to real gain, each at least {SMALL:.0%}; *rho* the rank correlation; "
        "*inside* the share of real gains inside the 80 % interval (in brackets: not further than "
        "0.1 % outside). *Any* is the probability of any gain as expected, and the share of "
        f"studies that had one. *Small* is how often less than {SMALL:.0%} came where less than "
        "that was expected. One seed a problem; rows of one study are not independent."
    )
    header = [
        "problems",
        "priors",
        "trials so far",
        "cases",
        "expected",
        "real",
        "ratio",
        "rho",
        "inside",
        "any: expected / real",
        "small: right",
    ]
    return f"{markdown.table(header, lines)}\n\n{textwrap.fill(text, 100)}"


@click.command()
@data_option(required=False)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS)
def main(data: Path | None, out: Path) -> None:
    """Run what is missing in the file of results, and print the table."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"] if out.exists() else []
    done = {(r["suite"], r["task"], r["scenario"]) for r in rows}
    for kind, suite, target in tqdm(problems(data), unit="problem", disable=None):
        for scenario in SCENARIOS:
            if (suite.name, target, scenario) in done:
                continue
            rows += run(kind, suite, target, scenario)
            lines = ",\n".join(json.dumps(row) for row in rows)
            out.write_text(f'{{"n_more": {N_MORE}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")
    click.echo(table({"rows": rows}))


if __name__ == "__main__":
    main()

"""Seconds that a suggestion takes: MetaSampler beside Optuna's own samplers, in one run.

Every study is brought to ``n`` trials with the same random configurations; then each sampler in
turn makes one ``ask``, all ``suggest_*`` calls and one ``tell``, again and again, so that whatever
else the machine does slows all of them alike. Compare ratios, not seconds.

Usage: ``python -m benchmarks.overhead [--out FILE]``
"""

from __future__ import annotations

from importlib.metadata import version
import json
from pathlib import Path
import platform
import statistics
import time

import click
import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from tqdm import tqdm

from optuna_metasampler import MetaSampler


RESULTS = Path(__file__).parent / "results" / "overhead.json"
N_PRIORS, N_PRIOR_TRIALS = 5, 60


def continuous(trial: optuna.Trial, centre: float) -> float:
    """Eight continuous parameters."""
    x = [trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(8)]
    return sum((i + 1) * (v - centre) ** 2 for i, v in enumerate(x))


def mixed(trial: optuna.Trial, centre: float) -> float:
    """Eight parameters of the usual kinds."""
    value = (trial.suggest_float("dropout", 0.0, 1.0) - centre) ** 2
    value += abs(trial.suggest_float("lr", 1e-5, 1e-1, log=True) ** 0.2 - centre)
    value += abs(trial.suggest_float("decay", 1e-6, 1.0, log=True) ** 0.2 - centre)
    value += abs(trial.suggest_int("units", 8, 512, log=True) / 512 - centre)
    value += abs(trial.suggest_int("layers", 1, 6) - 3) / 6
    value += abs(trial.suggest_float("momentum", 0.0, 0.95, step=0.05) - centre)
    value += 0.2 * (trial.suggest_categorical("act", ["relu", "tanh", "gelu"]) == "tanh")
    return value + 0.1 * trial.suggest_categorical("norm", [True, False])


PROBLEMS = {"continuous": continuous, "mixed": mixed}


def prior_studies(problem: str) -> list[optuna.Study]:
    """Five finished studies of related problems."""
    studies = []
    for seed in range(N_PRIORS):
        study = optuna.create_study(study_name=f"prior-{seed}", sampler=TPESampler(seed=seed))
        study.optimize(
            lambda t, c=0.2 + 0.05 * seed: PROBLEMS[problem](t, c), n_trials=N_PRIOR_TRIALS
        )
        studies.append(study)
    return studies


def measure(problem: str, n_trials: int, n_repeats: int, seed: int) -> dict[str, list[float]]:
    """Seconds of each of ``n_repeats`` suggestions around ``n_trials`` trials, by sampler."""
    objective = PROBLEMS[problem]
    samplers: dict[str, BaseSampler] = {
        "MetaSampler, 5 priors": MetaSampler(prior_studies(problem), seed=seed),
        "MetaSampler, no prior": MetaSampler(seed=seed),
        "GPSampler": GPSampler(seed=seed),
        "TPESampler": TPESampler(seed=seed),
    }
    history = optuna.create_study(sampler=RandomSampler(seed=seed))
    # Half of the repeats on either side of `n_trials`; two more to warm up, which are not counted.
    history.optimize(lambda t: objective(t, 0.4), n_trials=n_trials - n_repeats // 2 - 2)
    studies = {}
    for name, sampler in samplers.items():
        studies[name] = optuna.create_study(sampler=sampler)
        studies[name].add_trials(history.trials)
    seconds: dict[str, list[float]] = {name: [] for name in samplers}
    for repeat in range(n_repeats + 2):
        for name, study in studies.items():
            start = time.perf_counter()
            trial = study.ask()
            value = objective(trial, 0.4)
            study.tell(trial, value)
            if repeat >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Where to write the figures.",
)
@click.option("--trials", default=100, show_default=True, help="Trials of the studies.")
@click.option("--repeats", default=20, show_default=True, help="Suggestions that are timed.")
@click.option("--seeds", default=3, show_default=True, help="Times that all of it is done.")
def main(out: Path, trials: int, repeats: int, seeds: int) -> None:
    """Measure the seconds per suggestion of MetaSampler, GPSampler and TPESampler."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    runs = [(problem, seed) for problem in PROBLEMS for seed in range(seeds)]
    rows = []
    for problem, seed in tqdm(runs, unit="run", disable=None):
        for sampler, seconds in measure(problem, trials, repeats, seed).items():
            rows.append(
                {
                    "problem": problem,
                    "sampler": sampler,
                    "seed": seed,
                    "median": statistics.median(seconds),
                    "seconds": [round(s, 5) for s in seconds],
                }
            )
    result = {
        "n_trials": trials,
        "n_parameters": 8,
        "n_priors": N_PRIORS,
        "n_prior_trials": N_PRIOR_TRIALS,
        "rows": rows,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("optuna", "torch", "scipy", "numpy")},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    click.echo(table(result))
    click.echo(f"\nFigures: {out}")


def table(result: dict) -> str:
    """The figures as a Markdown table: median over seeds, and the range over seeds."""
    lines = [
        "| parameters | sampler | seconds per suggestion | of GPSampler's |",
        "|---|---|---|---|",
    ]
    for problem in PROBLEMS:
        rows = [row for row in result["rows"] if row["problem"] == problem]
        base = {r["seed"]: r["median"] for r in rows if r["sampler"] == "GPSampler"}
        for sampler in dict.fromkeys(row["sampler"] for row in rows):
            mine = [row for row in rows if row["sampler"] == sampler]
            seconds = statistics.median(row["median"] for row in mine)
            ratios = [row["median"] / base[row["seed"]] for row in mine]
            share = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            lines.append(f"| 8 {problem} | {sampler} | {seconds:.3f} | {share} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

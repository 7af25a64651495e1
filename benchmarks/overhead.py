"""Seconds that a suggestion takes: MetaSampler beside Optuna's own samplers, in one run.

Every study is brought to ``n`` trials with the same random configurations; then each sampler in
turn makes one ``ask``, all ``suggest_*`` calls and one ``tell``, again and again, so that whatever
else the machine does slows all of them alike. Compare ratios, not seconds.

The grid: four numbers of trials without and with five prior studies, and at 100 trials further
numbers of prior studies.

Usage: ``python -m benchmarks.overhead [--out FILE]``
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
import json
from pathlib import Path
import platform
import statistics
import time
from typing import Any

import click
from matplotlib.figure import Figure
import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from tqdm import tqdm

from optuna_metasampler import MetaSampler


RESULTS = Path(__file__).parent / "results" / "overhead.json"

N_TRIALS = (10, 100, 300, 1000)
N_PRIORS = (0, 5, 30, 300)
N_PRIOR_TRIALS = 60
HEAD_TRIALS, HEAD_PRIORS = 100, (5, 0)
"""What the small table shows; the numbers of prior studies that every number of trials has."""

N_SEEDS = 3
N_REPEATS = {10: 6, 100: 20, 300: 10, 1000: 3}
"""Suggestions that are timed, by trials: fewer where one of them takes seconds."""

N_WARM_UP = 2
"""Suggestions before those; the first of them is reported on its own."""

N_STARTUP = 10
"""No study begins with fewer trials: before them Optuna's samplers only draw at random."""

Result = Mapping[str, Any]


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


def prior_studies(
    problem: str, n_studies: int, n_trials: int = N_PRIOR_TRIALS
) -> list[optuna.Study]:
    """Finished studies of related problems: random search, so that hundreds are made quickly."""
    studies = []
    for seed in range(n_studies):
        study = optuna.create_study(study_name=f"prior-{seed}", sampler=RandomSampler(seed=seed))
        centre = 0.2 + 0.05 * (seed % 5)
        study.optimize(lambda t, c=centre: PROBLEMS[problem](t, c), n_trials=n_trials)
        studies.append(study)
    return studies


def makers(
    priors: Sequence[optuna.Study], n_trials: int, seed: int
) -> dict[str, tuple[int, Callable[[], BaseSampler]]]:
    """The samplers of one run by name: how many prior studies each has, and how it is made."""
    numbers = [n for n in N_PRIORS if n in HEAD_PRIORS or n_trials == HEAD_TRIALS]
    # The order of the small table: with the prior studies first.
    numbers = [*HEAD_PRIORS, *(n for n in numbers if n not in HEAD_PRIORS)]
    return {
        **{
            f"MetaSampler, {f'{n} priors' if n else 'no prior'}": (
                n,
                lambda n=n: MetaSampler(priors[:n], seed=seed),
            )
            for n in numbers
        },
        "GPSampler": (0, lambda: GPSampler(seed=seed)),
        "TPESampler": (0, lambda: TPESampler(seed=seed)),
    }


def measure(
    problem: str, priors: Sequence[optuna.Study], n_trials: int, n_repeats: int, seed: int
) -> list[dict[str, Any]]:
    """Seconds of ``n_repeats`` suggestions around ``n_trials`` trials, a row a sampler."""
    objective = PROBLEMS[problem]
    # Half of the repeats on either side of `n_trials`, where there is room.
    n_before = max(n_trials - n_repeats // 2 - N_WARM_UP, N_STARTUP)
    history = optuna.create_study(sampler=RandomSampler(seed=seed))
    history.optimize(lambda t: objective(t, 0.4), n_trials=n_before)
    samplers = makers(priors, n_trials, seed)
    studies: dict[str, optuna.Study] = {}
    seconds: dict[str, list[float]] = {name: [] for name in samplers}
    for repeat in range(N_WARM_UP + n_repeats):
        for name, (_, make) in samplers.items():
            if repeat == 0:
                studies[name] = optuna.create_study()
                studies[name].add_trials(history.trials)
            start = time.perf_counter()
            if repeat == 0:
                studies[name].sampler = make()
            trial = studies[name].ask()
            studies[name].tell(trial, objective(trial, 0.4))
            seconds[name].append(time.perf_counter() - start)
    return [
        {
            "problem": problem,
            "sampler": name,
            "n_trials": n_trials,
            "n_priors": n_priors,
            "seed": seed,
            "first": round(seconds[name][0], 5),
            "median": statistics.median(seconds[name][N_WARM_UP:]),
            "p95": float(np.percentile(seconds[name][N_WARM_UP:], 95)),
            "seconds": [round(s, 5) for s in seconds[name][N_WARM_UP:]],
        }
        for name, (n_priors, _) in samplers.items()
    ]


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Where to write the figures.",
)
@click.option(
    "--trials",
    type=click.Choice([str(n) for n in N_TRIALS]),
    multiple=True,
    help="Only this number of trials; may be given more than once.",
)
@click.option("--seeds", default=N_SEEDS, show_default=True, help="Times that all of it is done.")
def main(out: Path, trials: tuple[str, ...], seeds: int) -> None:
    """Measure the seconds per suggestion of MetaSampler, GPSampler and TPESampler."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    numbers = sorted(int(n) for n in trials) or N_TRIALS
    priors = {problem: prior_studies(problem, max(N_PRIORS)) for problem in PROBLEMS}
    # What is imported or compiled at a first suggestion is no part of any figure.
    measure("mixed", priors["mixed"], N_STARTUP, 1, seed=0)
    runs = [(n, problem, seed) for n in numbers for problem in PROBLEMS for seed in range(seeds)]
    rows: list[dict[str, Any]] = []
    for n, problem, seed in tqdm(runs, unit="run", disable=None):
        rows += measure(problem, priors[problem], n, N_REPEATS[n], seed)
    result = {
        "n_trials": HEAD_TRIALS,
        "n_parameters": 8,
        "n_prior_trials": N_PRIOR_TRIALS,
        "grid": {"n_trials": list(numbers), "n_priors": list(N_PRIORS)},
        "rows": rows,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("optuna", "torch", "scipy", "numpy")},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    click.echo(f"{table(result)}\n\n{grid_table(result)}\n\nFigures: {out}")


def table(result: Result) -> str:
    """The figures at 100 trials as a Markdown table: median over seeds, and their range."""
    lines = [
        "| parameters | sampler | seconds per suggestion | of GPSampler's |",
        "|---|---|---|---|",
    ]
    for problem in PROBLEMS:
        rows = [
            row
            for row in result["rows"]
            if row["problem"] == problem
            and row.get("n_trials", HEAD_TRIALS) == HEAD_TRIALS
            and row.get("n_priors", 0) in HEAD_PRIORS
        ]
        for sampler in _samplers(rows):
            mine = [row for row in rows if row["sampler"] == sampler]
            seconds = statistics.median(row["median"] for row in mine)
            lines.append(f"| 8 {problem} | {sampler} | {seconds:.3f} | {_share(mine, rows)} |")
    return "\n".join(lines)


def grid_table(result: Result) -> str:
    """The whole grid as two Markdown tables: by trials, and by prior studies."""
    numbers = result["grid"]["n_trials"]
    lines = [
        "Seconds per suggestion by trials, median (95th percentile):",
        "",
        "| parameters | sampler | " + " | ".join(str(n) for n in numbers) + " |",
        "|---|---|" + "---|" * len(numbers),
    ]
    for problem in PROBLEMS:
        rows = [
            r
            for r in result["rows"]
            if (r["problem"], r["n_priors"] in HEAD_PRIORS) == (problem, True)
        ]
        for sampler in _samplers(rows):
            cells = [
                _cell(r for r in rows if (r["sampler"], r["n_trials"]) == (sampler, n))
                for n in numbers
            ]
            lines.append(f"| 8 {problem} | {sampler} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"At {HEAD_TRIALS} trials by prior studies of {result['n_prior_trials']} trials; to learn "
        "from them is part of a study's first suggestion:",
        "",
        "| parameters | sampler | seconds per suggestion | of GPSampler's | first suggestion |",
        "|---|---|---|---|---|",
    ]
    for problem in PROBLEMS:
        rows = [
            r for r in result["rows"] if (r["problem"], r["n_trials"]) == (problem, HEAD_TRIALS)
        ]
        for sampler in _samplers(sorted(rows, key=_by_priors)):
            mine = [row for row in rows if row["sampler"] == sampler]
            first = statistics.median(row["first"] for row in mine)
            lines.append(
                f"| 8 {problem} | {sampler} | {_cell(mine)} | {_share(mine, rows)} | {first:.3f} |"
            )
    return "\n".join(lines)


def _samplers(rows: Iterable[Result]) -> list[str]:
    """The samplers of some rows, in their order."""
    return list(dict.fromkeys(row["sampler"] for row in rows))


def _by_priors(row: Result) -> tuple[bool, int]:
    """MetaSampler first, by its prior studies."""
    return not row["sampler"].startswith("MetaSampler"), row["n_priors"]


def _cell(rows: Iterable[Result]) -> str:
    """Median and 95th percentile of all suggestions of some rows."""
    seconds = [s for row in rows for s in row["seconds"]]
    return f"{np.median(seconds):.3f} ({np.percentile(seconds, 95):.3f})" if seconds else "–"


def _share(mine: Sequence[Result], rows: Sequence[Result]) -> str:
    """The ratio to GPSampler in the same run: median, and range over the runs."""
    base = {row["seed"]: row["median"] for row in rows if row["sampler"] == "GPSampler"}
    ratios = [row["median"] / base[row["seed"]] for row in mine]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


# Colour-blind safe (Okabe & Ito 2008).
_STYLES: dict[str, dict[str, Any]] = {
    "MetaSampler": {"color": "#D55E00", "marker": "o"},
    "MetaSampler, 5 priors": {"color": "#D55E00", "marker": "o"},
    "MetaSampler, no prior": {"color": "#D55E00", "marker": "o", "linestyle": ":"},
    "GPSampler": {"color": "#009E73", "marker": "s"},
    "TPESampler": {"color": "#0072B2", "marker": "v"},
}


def figure(result: Result, path: Path) -> None:
    """Draw seconds per suggestion against trials and against prior studies, a row a problem."""
    drawn = Figure(figsize=(8.5, 6.0), layout="constrained")
    grid = drawn.subplots(len(PROBLEMS), 2, sharex="col", sharey="row")
    for problem, (left, right) in zip(PROBLEMS, grid, strict=True):
        rows = [row for row in result["rows"] if row["problem"] == problem]
        plain = [row for row in rows if row["n_priors"] in HEAD_PRIORS]
        for sampler in _samplers(plain):
            mine = [row for row in plain if row["sampler"] == sampler]
            left.plot(*_medians(mine, "n_trials"), label=sampler, **_STYLES[sampler])
        left.set(xscale="log", yscale="log", ylabel=f"seconds per suggestion\n8 {problem}")
        here = [row for row in rows if row["n_trials"] == HEAD_TRIALS]
        for sampler in ("MetaSampler", "GPSampler", "TPESampler"):
            mine = [row for row in here if row["sampler"].startswith(sampler)]
            numbers, seconds = _medians(mine, "n_priors")
            # The others know nothing of prior studies: the same at every number of them.
            if len(numbers) == 1:
                numbers, seconds = (
                    result["grid"]["n_priors"],
                    seconds * len(result["grid"]["n_priors"]),
                )
            right.plot(numbers, seconds, **_STYLES[sampler])
        right.set_xscale("symlog", linthresh=5)
        right.set_xticks(result["grid"]["n_priors"], map(str, result["grid"]["n_priors"]))
        for axes in (left, right):
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
    grid[-1][0].set_xlabel("trials in the study")
    grid[-1][1].set_xlabel(f"prior studies, at {HEAD_TRIALS} trials")
    drawn.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=110)


def _medians(rows: Sequence[Result], key: str) -> tuple[list[int], list[float]]:
    """The numbers that ``key`` takes, and the median seconds at each."""
    numbers = sorted({row[key] for row in rows})
    return numbers, [
        float(np.median([s for row in rows if row[key] == n for s in row["seconds"]]))
        for n in numbers
    ]


if __name__ == "__main__":
    main()

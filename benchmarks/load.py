"""Seconds of a suggestion in long studies and in large spaces, and the memory that they take.

Studies of random configurations are brought to ``n`` trials with ``study.add_trials``; then each
sampler makes a few suggestions. What a storage takes to hand over ``n`` trials is measured apart,
for every sampler pays it. Seconds are processor time on one thread, so that a busy machine changes
them little; compare ratios within the run. Each sampler has a process of its own, whose peak of
resident memory is given.

Usage: ``python -m benchmarks.load [--out FILE]``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
import functools
from importlib.metadata import version
import json
import multiprocessing
from pathlib import Path
import platform
import resource
import sys
import tempfile
import textwrap
import time
from typing import Any

import click
import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from tqdm import tqdm

from benchmarks import markdown
from benchmarks.overhead import mixed, prior_studies
from benchmarks.scale import write_storage
from optuna_metasampler import MetaSampler


RESULTS = Path(__file__).parent / "results" / "load.json"

N_TRIALS = (100, 1000, 10_000)
N_WIDE = 100
"""Trials of the study with a hundred parameters."""

N_PRIORS = 8
N_WARM_UP = 1
N_SUGGESTIONS = 10
N_SLOW = 3
"""Suggestions of a sampler that takes seconds for each."""

MAX_GP = 1000
"""Trials past which ``GPSampler`` is left out: its factorisation is cubic in them."""

PEERS: dict[str, Callable[[Sequence[optuna.Study]], BaseSampler]] = {
    "MetaSampler, no prior": lambda priors: MetaSampler(seed=0),
    f"MetaSampler, {N_PRIORS} priors": lambda priors: MetaSampler(list(priors), seed=0),
    "TPESampler": lambda priors: TPESampler(seed=0),
    "GPSampler": lambda priors: GPSampler(seed=0),
}


def narrow(trial: optuna.Trial) -> float:
    """Eight parameters of the usual kinds."""
    return mixed(trial, 0.4)


def wide(trial: optuna.Trial, centre: float = 0.4) -> float:
    """A hundred parameters of the usual kinds, thirty of which depend on ten others."""
    gates = [trial.suggest_categorical(f"gate{i}", ["on", "off"]) for i in range(10)]
    value = 0.0
    for i in range(15):
        value += (trial.suggest_float(f"float{i}", 0.0, 1.0) - centre) ** 2
        value += abs(trial.suggest_float(f"log{i}", 1e-5, 1.0, log=True) ** 0.2 - centre)
        value += abs(trial.suggest_int(f"int{i}", 1, 50) / 50 - centre)
        value += 0.1 * (trial.suggest_categorical(f"choice{i}", ["a", "b", "c"]) == "b")
    for i in range(30):
        if gates[i // 3] == "on":
            value += (trial.suggest_float(f"conditional{i}", 0.0, 1.0) - centre) ** 2
    return value


PROBLEMS = {"8": narrow, "100": wide}
"""Objectives by number of parameters."""


def history(problem: str, n: int) -> list[optuna.trial.FrozenTrial]:
    """Trials of random search; a study of many repeats configurations, not outcomes."""
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    study.optimize(PROBLEMS[problem], n_trials=min(n, 1000))
    generator = np.random.default_rng(0)
    trials = study.get_trials(deepcopy=False)
    return [
        optuna.trial.create_trial(
            params=t.params,
            distributions=t.distributions,
            value=t.values[0] + 0.01 * float(generator.random()),
        )
        for t in (trials[i % len(trials)] for i in range(n))
    ]


def priors_of(problem: str) -> list[optuna.Study]:
    """Prior studies of the same parameters, with their optimum elsewhere."""
    if problem == "8":
        return prior_studies("mixed", N_PRIORS)
    studies = []
    for seed in range(N_PRIORS):
        study = optuna.create_study(study_name=f"prior-{seed}", sampler=RandomSampler(seed=seed))
        study.optimize(functools.partial(wide, centre=0.2 + 0.05 * seed), n_trials=60)
        studies.append(study)
    return studies


def measure(
    problem: str, n_trials: int, peer: str, n_suggestions: int = N_SUGGESTIONS
) -> dict[str, Any]:
    """Seconds of suggestions for a study of ``n_trials``, and the peak of this process."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    import torch  # noqa: F401

    objective = PROBLEMS[problem]
    study = optuna.create_study()
    study.add_trials(history(problem, n_trials))
    study.sampler = PEERS[peer](priors_of(problem) if "priors" in peer else ())
    seconds = []
    for _ in range(1 + N_WARM_UP + n_suggestions):
        before = time.process_time()
        trial = study.ask()
        value = objective(trial)
        seconds.append(time.process_time() - before)
        study.tell(trial, value)
    later = seconds[1 + N_WARM_UP :]
    # Kilobytes on Linux, bytes on macOS.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return {
        "parameters": problem,
        "n_trials": n_trials,
        "sampler": peer,
        "first": round(seconds[0], 4),
        "median": round(float(np.median(later)), 4),
        "p95": round(float(np.percentile(later, 95)), 4),
        "n_suggestions": len(later),
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1),
    }


def read(n_trials: int) -> dict[str, Any]:
    """Seconds that an SQLite storage takes to hand over trials: at first, and once it knows."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="long")
    study.add_trials(history("8", n_trials))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.db"
        write_storage([study], path)
        loaded = optuna.load_study(study_name="long", storage=f"sqlite:///{path}")
        seconds = []
        for _ in range(6):
            before = time.process_time()
            assert len(loaded.get_trials(deepcopy=False)) == n_trials
            seconds.append(time.process_time() - before)
    return {
        "n_trials": n_trials,
        "first": round(seconds[0], 4),
        "later": round(float(np.median(seconds[1:])), 4),
    }


def apart(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Call a function in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def plan() -> list[tuple[str, int, str, int]]:
    """What is measured: parameters, trials, sampler, suggestions."""
    rows = []
    for problem, n in [*(("8", n) for n in N_TRIALS), ("100", N_WIDE)]:
        for peer in PEERS:
            if peer == "GPSampler" and n > MAX_GP:
                continue
            slow = peer == "GPSampler" and (n > 100 or problem != "8")
            rows.append((problem, n, peer, N_SLOW if slow else N_SUGGESTIONS))
    return rows


def table(result: Mapping[str, Any]) -> str:
    """Seconds by number of trials and parameters, and ratios to Optuna's samplers."""
    lines = []
    by_key = {(r["parameters"], r["n_trials"], r["sampler"]): r for r in result["rows"]}
    for (parameters, n, peer), row in by_key.items():
        ratios = []
        for other in ("TPESampler", "GPSampler"):
            theirs = by_key.get((parameters, n, other))
            same = theirs is None or other == peer
            ratios.append("–" if same else f"{row['median'] / theirs['median']:.2g}")
        lines.append(
            [
                parameters,
                f"{n:,}",
                peer,
                f"{row['first']:.2f}",
                f"{row['median']:.3f}",
                f"{row['p95']:.3f}",
                *ratios,
                f"{row['peak MB']:.0f} MB",
            ]
        )
    header = [
        "parameters",
        "trials",
        "sampler",
        "first suggestion",
        "median",
        "95th percentile",
        "/ TPE",
        "/ GP",
        "peak memory",
    ]
    reads = "; ".join(
        f"{r['n_trials']:,} trials {r['first']:.2f} at first and {r['later']:.4f} later"
        for r in result["reads"]
    )
    text = (
        f"Seconds of processor time of one suggestion, on one thread, with {N_PRIORS} prior "
        "studies of 60 trials where there are any; the first suggestion learns from them. Of the "
        "hundred parameters thirty are conditional. `GPSampler` is left out past "
        f"{MAX_GP:,} trials. Before each suggestion every sampler reads the storage; in memory "
        f"that is nothing, from SQLite it takes: {reads}."
    )
    return f"{markdown.table(header, lines)}\n\n{textwrap.fill(text, 100)}"


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS)
def main(out: Path) -> None:
    """Measure what is missing in the file of results, and print the table."""
    result: dict[str, Any] = (
        json.loads(out.read_text(encoding="utf-8")) if out.exists() else {"reads": [], "rows": []}
    )
    result["versions"] = {"python": platform.python_version()} | {
        name: version(name) for name in ("optuna", "torch", "numpy")
    }

    def keep(key: str, row: Mapping[str, Any]) -> None:
        result[key].append(row)
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    for n in N_TRIALS:
        if n not in {r["n_trials"] for r in result["reads"]}:
            keep("reads", apart(read, n))
    done = {(r["parameters"], r["n_trials"], r["sampler"]) for r in result["rows"]}
    for arguments in tqdm(plan()):
        if arguments[:3] not in done:
            keep("rows", apart(measure, *arguments))
    click.echo(table(result))


if __name__ == "__main__":
    main()

"""Regret by finished trials with eight workers, and how often workers try the same.

The workers are simulated: eight trials are running, each for a random time, the one that ends
first is told, and a new one is asked for. So every sampler meets the same circumstances, and
nothing depends on the machine. Every sampler also runs alone, one trial after the other: the
difference is what it costs to choose before the last outcomes are there.

Runs are written as they end, and those that are there already are not made again.

Usage: ``python -m benchmarks.parallel [--data FOLDER] [--suite NAME] [--targets N] [--peer NAME]``
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import heapq
from importlib.metadata import version
import json
from pathlib import Path
import platform
import textwrap
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from tqdm import tqdm

from benchmarks import markdown
from benchmarks.options import data_option
from benchmarks.peers.base import Setting
from benchmarks.plans import targets
from benchmarks.problems import find
from benchmarks.problems.base import Objective, Suite, seed_of, suggest
from benchmarks.run import setting_of
from benchmarks.scenarios import prior_logs
from benchmarks.statistics import t_interval
from optuna_metasampler import MetaSampler
from optuna_metasampler.space import SearchSpace


RESULTS = Path(__file__).parent / "results" / "parallel.json"

N_WORKERS = 8
N_TRIALS = 64
SUITES = ("synthetic_0.9", "hpobench_mlp", "yahpo_iaml_glmnet")
N_TARGETS = 4
SHOWN = (8, 16, 32, 64)
SCENARIO = "tpe-5"
REFERENCE = "TPESampler"
NEAR = 0.01
"""Two configurations are alike where no parameter differs by more than this part of its range."""

PEERS: dict[str, Callable[[Setting], BaseSampler]] = {
    REFERENCE: lambda setting: TPESampler(seed=setting.seed),
    "GPSampler": lambda setting: GPSampler(seed=setting.seed),
    "MetaSampler": lambda setting: MetaSampler(list(setting.priors), seed=setting.seed),
    "MetaSampler, no priors": lambda setting: MetaSampler(seed=setting.seed),
}

Run = Mapping[str, Any]


def tune(
    setting: Setting, objective: Objective, sampler: BaseSampler, n_workers: int, n_trials: int
) -> dict[str, Any]:
    """A study with simulated workers.

    Returns:
        ``values`` of the trials in the order of their ends; ``alike``, the number of trials that
        are like an earlier one, and ``alike running``, like one that was running beside it.
    """
    study = optuna.create_study(direction=setting.direction, sampler=sampler)
    # The times belong to the trials' numbers: every sampler meets the same.
    durations = np.random.default_rng(setting.seed).lognormal(0.0, 0.5, n_trials)
    running: list[tuple[float, int, optuna.Trial, Mapping[str, Any]]] = []
    asked: list[Mapping[str, Any]] = []
    beside: list[list[int]] = []
    values: list[float] = []
    now = 0.0
    while len(values) < n_trials:
        while len(running) < n_workers and len(asked) < n_trials:
            trial = study.ask()
            params = suggest(trial, setting.parameters)
            beside.append([number for _, number, _, _ in running])
            heapq.heappush(running, (now + durations[len(asked)], len(asked), trial, params))
            asked.append(params)
        now, _, trial, params = heapq.heappop(running)
        values.append(objective(params))
        study.tell(trial, values[-1])
    like = alike(setting, asked)
    return {
        "values": [float(f"{v:.7g}") for v in values],
        "alike": int(sum(like[i, :i].any() for i in range(n_trials))),
        "alike running": int(sum(like[i, beside[i]].any() for i in range(n_trials))),
    }


def alike(setting: Setting, configurations: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_]:
    """Which configurations are nearly the same, shape ``(n, n)``."""
    space = SearchSpace.laid_out(
        {p.name: p.distribution for p in setting.parameters},
        [p.name for p in setting.parameters if p.condition is not None],
    )
    x = space.encode(configurations)
    near: NDArray[np.bool_] = np.abs(x[:, None] - x[None]).max(axis=2) <= NEAR
    return near


def regrets(runs: Iterable[Run]) -> dict[tuple[str, int, str, str], NDArray[np.float64]]:
    """Regret of the best finished trial so far, by peer, workers, suite and task.

    In units of what the median configuration leaves to gain.
    """
    return {
        (r["peer"], r["workers"], r["suite"], r["task"]): np.minimum.accumulate(
            np.maximum((np.array(r["values"]) - r["best"]) / (r["median"] - r["best"]), 0.0)
        )
        for r in runs
    }


def table(result: Mapping[str, Any]) -> str:
    """Regret and repeated configurations as Markdown, a table a suite."""
    runs, n = result["runs"], result["workers"]
    curves = regrets(runs)
    parts = []
    for suite in dict.fromkeys(r["suite"] for r in runs):
        rows = []
        for peer in PEERS:
            # A run that was broken off has fewer tasks of some.
            tasks = [
                task
                for task in dict.fromkeys(r["task"] for r in runs if r["suite"] == suite)
                if all((p, k, suite, task) in curves for p in (peer, REFERENCE) for k in (n, 1))
            ]
            if len(tasks) < 2:
                continue
            mine = [
                r
                for r in runs
                if (r["suite"], r["peer"], r["workers"]) == (suite, peer, n) and r["task"] in tasks
            ]
            together = np.array([curves[peer, n, suite, task] for task in tasks])
            alone = np.array([curves[peer, 1, suite, task] for task in tasks])
            reference = np.array([curves[REFERENCE, n, suite, task] for task in tasks])
            gaps = together.mean(axis=1) - reference.mean(axis=1)
            counts = [np.mean([r[key] for r in mine]) for key in ("alike", "alike running")]
            rows.append(
                [
                    peer,
                    str(len(tasks)),
                    *(f"{together[:, k - 1].mean():.3f}" for k in SHOWN),
                    "–" if peer == REFERENCE else _difference(gaps),
                    _difference(together.mean(axis=1) - alone.mean(axis=1)),
                    *(f"{count:.1f}" for count in counts),
                ]
            )
        header = [
            suite,
            "tasks",
            *(f"{k} trials" for k in SHOWN),
            f"minus {REFERENCE}",
            "minus one worker",
            "alike",
            "alike, running",
        ]
        parts.append(markdown.table(header, rows))
    text = (
        f"{n} simulated workers, {result['trials']} trials; `MetaSampler` has five prior studies "
        "of 60 trials of TPE where nothing else is said. Regret of the best finished trial by "
        "number of finished trials: 0 is the best known, 1 the median configuration. The "
        "differences are of its mean over the trials, paired by task, with 95 % intervals "
        f"(Student's t over tasks): to {REFERENCE} with as many workers, and to the same sampler "
        "with one worker. Last, how many trials of a study are like an earlier one (no parameter "
        f"differs by more than {NEAR:.0%} of its range), and like one that was running beside it."
    )
    return "\n\n".join([*parts, textwrap.fill(text, 100)])


def _difference(gaps: NDArray[np.float64]) -> str:
    return markdown.difference(*t_interval(gaps), digits=3)


def jobs(
    suites: Mapping[str, Suite], n_targets: int, peers: Sequence[str]
) -> list[tuple[Suite, str, str, int]]:
    """Suites, tasks, peers and numbers of workers; tasks of all suites in turn, the slow last."""
    wanted = [
        (suites[name], chosen[i], peer, workers)
        for i in range(n_targets)
        for name in suites
        if i < len(chosen := targets(suites[name], n_targets))
        for peer in peers
        for workers in (N_WORKERS, 1)
    ]
    # It takes longer than all the others together.
    return sorted(wanted, key=lambda job: job[2] == "GPSampler")


@click.command()
@data_option(required=False)
@click.option("--suite", "names", multiple=True, default=SUITES, show_default=True)
@click.option("--targets", "n_targets", default=N_TARGETS, show_default=True, help="A suite.")
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice(list(PEERS)),
    default=list(PEERS),
    help="Which samplers; all by default.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS)
def main(
    data: Path | None, names: tuple[str, ...], n_targets: int, peers: tuple[str, ...], out: Path
) -> None:
    """Run what is missing, write it as JSON and print the tables."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    at_hand = find(data)
    suites = {name: at_hand[name] for name in names}
    result: dict[str, Any] = {
        "workers": N_WORKERS,
        "trials": N_TRIALS,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("optuna", "torch", "numpy")},
        "runs": json.loads(out.read_text(encoding="utf-8"))["runs"] if out.exists() else [],
    }
    done = {(r["suite"], r["task"], r["peer"], r["workers"]) for r in result["runs"]}
    for suite, task, peer, workers in tqdm(jobs(suites, n_targets, peers)):
        if (suite.name, task, peer, workers) in done:
            continue
        seed = seed_of(suite.name, task)
        setting = setting_of(suite, prior_logs(SCENARIO, suite, task, 0), seed)
        run = tune(setting, suite.objective(task), PEERS[peer](setting), workers, N_TRIALS)
        scale = suite.scale(task)
        assert scale is not None
        row = {"suite": suite.name, "task": task, "peer": peer, "workers": workers}
        result["runs"].append(row | {"best": scale.best, "median": scale.median} | run)
        lines = ",\n".join(json.dumps(r) for r in result["runs"])
        head = json.dumps({**result, "runs": []})
        # A run that is broken off has not been in vain.
        out.write_text(f"{head.removesuffix(']}')}\n{lines}\n]}}\n", encoding="utf-8")
    click.echo(table(result))


if __name__ == "__main__":
    main()

"""Regret by trials under constraints, and where trials fail, with and without prior studies.

Test and engineering problems with constraints; GPU kernels of which some configurations do not
compile or run, so that the trial fails; and problems of which some configurations fail by chance,
where there is nothing to be learned from it. Prior studies of a formula are the formula with its
numbers moved, those of a kernel the same kernel on other GPUs.

The regret is that of the best feasible trial so far, in units of what the median feasible random
configuration leaves to gain; 1 before the first feasible trial, and at most.

Usage: ``python -m benchmarks.constraints [--data DIR] [--seeds N] [--peer NAME] [--out FILE]``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
import textwrap
import time
from typing import Any, ClassVar

import click
import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from benchmarks import markdown
from benchmarks.problems.base import seed_of
from benchmarks.problems.constrained import Failure, Problem, formulas, kernels
from benchmarks.statistics import FLOOR, t_interval
from optuna_metasampler import MetaSampler
from optuna_metasampler.methods.default import Auto


RESULTS = Path(__file__).parent / "results" / "constraints.json"

N_TRIALS = 40
N_PRIORS = 3
N_PRIOR_TRIALS = 40
SHOWN = (5, 10, 20, 40)
KERNELS = {
    "gpu_convolution_rtx": ("RTX_2080_Ti",),
    "gpu_pnpoly": ("RTX_2080_Ti",),
}
GROUPS = {
    "constraints": (
        "gramacy",
        "gardner 2",
        "townsend",
        "pressure vessel",
        "welded beam",
    ),
    "kernels that fail": tuple(f"{n} {task}" for n, tasks in KERNELS.items() for task in tasks),
    "failures by chance": ("branin, 15 % fail", "hartmann, 15 % fail"),
}
DEVELOPED_ON = ("gramacy", "gardner 2", "gpu_pnpoly RTX_2080_Ti", "branin, 15 % fail")
"""The problems that choices were made on; the others were looked at once they stood."""

Priors = Sequence[optuna.Study]


@dataclass(frozen=True)
class Unmodelled(Auto):
    """The default method, told of violations as of bad outcomes and of failures not at all."""

    models_constraints: ClassVar[bool] = False


PEERS: dict[str, Callable[[Priors, int], BaseSampler]] = {
    "Random": lambda priors, seed: RandomSampler(seed=seed),
    "TPE": lambda priors, seed: TPESampler(seed=seed),
    "GP": lambda priors, seed: GPSampler(seed=seed),
    "MetaSampler": lambda priors, seed: MetaSampler(list(priors), seed=seed),
    "MetaSampler, no priors": lambda priors, seed: MetaSampler(seed=seed),
    "MetaSampler, no priors, not modelled": lambda priors, seed: MetaSampler(
        method=Unmodelled(), seed=seed
    ),
}


def feasible(trial: FrozenTrial) -> bool:
    """Whether a trial came to its end and violated nothing."""
    return trial.state == TrialState.COMPLETE and all(c <= 0 for c in trial.constraints.values())


def run(problem: Problem, sampler: BaseSampler, n_trials: int) -> optuna.Study:
    """A study in which failures are recorded and go on."""
    study = optuna.create_study(sampler=sampler, study_name=problem.name)
    study.optimize(problem.objective, n_trials=n_trials, catch=(Failure,))
    return study


def outcome(study: optuna.Study, best: float, unit: float) -> dict[str, Any]:
    """Log10 regret after each number of trials shown, its mean over trials, infeasible share."""
    ok = [feasible(t) for t in study.trials]
    values = [t.values[0] if good else np.inf for t, good in zip(study.trials, ok, strict=True)]
    regret = np.clip((np.minimum.accumulate(values) - best) / unit, FLOOR, 1.0)
    log = np.log10(regret)
    return {
        "log regret": [round(float(log[n - 1]), 3) for n in SHOWN],
        "mean log regret": round(float(log.mean()), 4),
        "infeasible": round(1.0 - float(np.mean(ok)), 4),
    }


def gaps(
    runs: Mapping[str, Mapping[str, Mapping[str, Any]]], names: Sequence[str], peer: str, to: str
) -> list[float]:
    """Mean log10 regret of a peer less that of another, a run each, paired by problem and seed."""
    mine, theirs = runs.get(peer, {}), runs.get(to, {})
    return [
        run["mean log regret"] - theirs[key]["mean log regret"]
        for key, run in mine.items()
        if key in theirs and key.split("|")[0] in names
    ]


def _gap(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "–"
    return markdown.difference(*t_interval(values))


def table(result: Mapping[str, Any]) -> str:
    """One Markdown table a group of problems, and what the figures mean."""
    runs = result["runs"]
    parts = []
    for group, names in GROUPS.items():
        rows = []
        for peer, own in runs.items():
            chosen = [r for key, r in own.items() if key.split("|")[0] in names]
            if not chosen:
                continue
            regret = 10.0 ** np.mean([r["log regret"] for r in chosen], axis=0)
            rows.append(
                [
                    peer,
                    *(f"{value:.3f}" for value in regret),
                    f"{np.mean([r['infeasible'] for r in chosen]):.0%}",
                    *(
                        "–" if peer == to else _gap(gaps(runs, names, peer, to))
                        for to in ("TPE", "GP")
                    ),
                ]
            )
        n_problems = len(_all(runs) & {*names})
        header = [
            f"{group} ({n_problems} problems)",
            *(f"trial {n}" for n in SHOWN),
            "infeasible",
            "log10 regret minus TPE",
            "minus GP",
        ]
        parts.append(markdown.table(header, rows))
    own = runs["MetaSampler"]
    n_seeds = sorted({sum(k.startswith(f"{name}|") for k in own) for name in _all(runs)})
    text = (
        f"{' or '.join(map(str, n_seeds))} seeds a problem, {N_TRIALS} trials; {N_PRIORS} prior "
        f"studies of {N_PRIOR_TRIALS} trials of TPE each. Regret of the best feasible trial so "
        "far, geometric mean: 1 is the median feasible random configuration, and what counts "
        "before the first feasible trial. The last columns are the mean of log10 regret over all "
        "trials, paired by problem and seed, with a 95 % interval that counts seeds of one "
        "problem as independent, which makes it too narrow if anything. Choices were made on "
        f"{', '.join(DEVELOPED_ON)}; on the other problems alone, MetaSampler less TPE is "
        f"{_confirmed(runs, 'MetaSampler')} with and "
        f"{_confirmed(runs, 'MetaSampler, no priors')} without prior studies."
    )
    return "\n\n".join([*parts, textwrap.fill(text, 100, break_on_hyphens=False)])


def _all(runs: Mapping[str, Any]) -> set[str]:
    """Names of the problems that were run."""
    return {key.split("|")[0] for own in runs.values() for key in own}


def _confirmed(runs: Mapping[str, Any], peer: str) -> str:
    names = [n for group in GROUPS.values() for n in group if n not in DEVELOPED_ON]
    return _gap(gaps(runs, names, peer, "TPE"))


def problems(data: Path | None) -> dict[str, Problem]:
    """All problems by name; the kernels only where there is a folder with their data."""
    found = formulas()
    for name in KERNELS:
        if data is not None and (data / name).is_dir():
            found |= kernels(data / name)
    return {n: found[n] for group in GROUPS.values() for n in group if n in found}


@click.command()
@click.option("--seeds", default=5, show_default=True, help="Repetitions a problem.")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS)
@click.option("--peer", "peers", multiple=True, type=click.Choice(list(PEERS)))
@click.option("--problem", "names", multiple=True, help="Some problems only.")
def main(
    seeds: int,
    data: Path | None,
    out: Path,
    peers: tuple[str, ...],
    names: tuple[str, ...],
) -> None:
    """Run what the result file lacks, add it there after every run, and print the tables."""
    # Failures are part of the problem.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    chosen = {n: p for n, p in problems(data).items() if not names or n in names}
    result: dict[str, Any] = {"units": {}, "runs": {}}
    if out.exists():
        result |= json.loads(out.read_text(encoding="utf-8"))
    for seed, (name, problem) in tqdm(
        [(s, each) for s in range(seeds) for each in chosen.items()]
    ):
        unit = result["units"].setdefault(name, problem.unit())
        missing = [
            peer
            for peer in peers or PEERS
            if f"{name}|{seed}" not in result["runs"].setdefault(peer, {})
        ]
        if not missing:
            continue
        priors = [
            run(prior, TPESampler(seed=seed_of(prior.name, seed)), N_PRIOR_TRIALS)
            for prior in problem.priors(N_PRIORS, seed)
        ]
        for peer in missing:
            begin = time.process_time()
            study = run(problem, PEERS[peer](priors, seed), N_TRIALS)
            entry = outcome(study, problem.best, unit)
            entry["seconds"] = round(time.process_time() - begin, 2)
            result["runs"][peer][f"{name}|{seed}"] = entry
            out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    click.echo(table(result))


if __name__ == "__main__":
    main()

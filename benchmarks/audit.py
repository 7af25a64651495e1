"""Checks that a sceptic would make of the benchmark, and of any peer in it.

1. Tables: no two tasks of a suite are the same, or one would give the other away.
2. Relabelling: every parameter gets another name and every numeric range is turned round, for the
   target and its priors alike. Whoever only learns from what he is told does as well as before;
   whoever knows a task, its optimum or an earlier run does worse. One-sided signed-rank test over
   tasks; an honest peer is accused with a probability of one in a thousand.
3. Repetition: results that were committed come out again.

Usage: ``python -m benchmarks.audit --data DIR [--peer NAME ...]``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
import warnings

import click
import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy.stats import wilcoxon
from tqdm import tqdm

from benchmarks import results
from benchmarks.options import data_option
from benchmarks.peers import PEERS
from benchmarks.peers.base import Peer
from benchmarks.plans import TABLES, Job, targets
from benchmarks.problems import find
from benchmarks.problems.base import Objective, Scale, Suite, rename, seed_of
from benchmarks.problems.tables import TableSuite
from benchmarks.run import RESULTS, run_one, setting_of, tune
from benchmarks.scenarios import prior_logs
from benchmarks.statistics import best_so_far, log_regret


FALSE_ALARMS = 1e-3
"""Probability of accusing an honest peer."""

_N_TRIALS = 5


class Relabelled(Suite):
    """A suite whose parameters have other names and whose numeric ranges are turned round.

    Args:
        suite: The suite as it is. Seeds are drawn by its name, so that pairs have the same
            sources.
    """

    def __init__(self, suite: Suite) -> None:
        self.name = suite.name
        self.direction = suite.direction
        self.tasks = suite.tasks
        self._suite = suite
        self._names = {p.name: f"parameter_{i}" for i, p in enumerate(suite.parameters)}
        self.parameters = rename(suite.parameters, self._names)

    @property
    def targets(self) -> tuple[str, ...]:
        """See `Suite.targets`."""
        return self._suite.targets

    def sources(self, target: str) -> tuple[str, ...]:
        """See `Suite.sources`."""
        return self._suite.sources(target)

    def scale(self, task: str) -> Scale | None:
        """See `Suite.scale`."""
        return self._suite.scale(task)

    def objective(self, task: str) -> Objective:
        """See `Suite.objective`."""
        objective = self._suite.objective(task)

        def relabelled(params: Mapping[str, Any]) -> float:
            return objective(
                {
                    p.name: turned_round(p.distribution, params[self._names[p.name]])
                    for p in self._suite.parameters
                    if self._names[p.name] in params
                }
            )

        return relabelled


def turned_round(distribution: BaseDistribution, value: Any) -> Any:
    """The value as far from the upper end as it was from the lower one.

    On the log scale where there is one. Choices stay, and so do whole numbers on a log scale,
    which have no mirror image.
    """
    if isinstance(distribution, CategoricalDistribution):
        return value
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if not distribution.log:
        sign_flipped = distribution.low + distribution.high - value
    elif isinstance(distribution, FloatDistribution):
        sign_flipped = distribution.low * distribution.high / value
    else:
        return value
    return min(max(sign_flipped, distribution.low), distribution.high)


@dataclass(frozen=True)
class Verdict:
    """What relabelling did to a peer.

    Attributes:
        n_tasks: Pairs of runs.
        difference: Mean log10 regret as it is, minus relabelled; negative if the names helped.
        p_value: Of the hypothesis that they did not help.
    """

    n_tasks: int
    difference: float
    p_value: float

    @property
    def is_accused(self) -> bool:
        """Whether the peer knows more than it was told."""
        return self.p_value < FALSE_ALARMS


def compare_relabelled(
    peer: Peer, suites: Sequence[Suite], scenario: str, n_targets: int
) -> Verdict:
    """Tune tasks as they are and relabelled, and compare."""
    pairs = []
    for suite in suites:
        for task in targets(suite, n_targets):
            pair = [
                _mean_log_regret(peer, world, task, scenario)
                for world in (suite, Relabelled(suite))
            ]
            pairs.append(pair)
    as_it_is, relabelled = np.array(pairs).T
    difference = as_it_is - relabelled
    if not difference.any():
        return Verdict(len(pairs), 0.0, 1.0)
    p_value = wilcoxon(difference, alternative="less").pvalue
    return Verdict(len(pairs), float(difference.mean()), float(p_value))


def _mean_log_regret(peer: Peer, suite: Suite, task: str, scenario: str) -> float:
    scale = suite.scale(task)
    assert scale is not None, f"{suite.name} has no scale"
    logs = prior_logs(scenario, suite, task, seed=0)
    setting = setting_of(suite, logs, seed_of(suite.name, task, "audit"))
    values, _, error = tune(setting, suite.objective(task), peer, _N_TRIALS)
    if error is not None:
        raise RuntimeError(f"{peer.name} failed on {suite.name}, {task}: {error}")
    return float(log_regret(best_so_far(scale.regret(values))).mean())


def repeat(
    runs: Sequence[results.Run], suites: Mapping[str, Suite]
) -> list[tuple[results.Run, bool]]:
    """Make runs again, and say of each whether its values came out the same, to 5 digits.

    The objective is compared too: with another version of a library, it is another problem.
    """
    verdicts = []
    for old in tqdm(runs, desc="repeat", unit="run", disable=None):
        job = Job(old.suite, old.task, old.seed, old.scenario, old.peer, old.n_trials)
        new = run_one(suites[old.suite], job)
        same = (
            new.objective == old.objective
            and len(new.values) == len(old.values)
            and np.allclose(new.values, old.values, rtol=1e-5, equal_nan=True)
        )
        verdicts.append((old, bool(same)))
    return verdicts


@click.command()
@data_option(required=True)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice(list(PEERS)),
    default=["MetaSampler"],
    show_default=True,
    help="Whom to relabel the world for; may be repeated.",
)
@click.option("--targets", "n_targets", default=4, show_default=True, help="Tasks of each suite.")
@click.option("--repeat", "n_repeated", default=12, show_default=True, help="Runs to make again.")
@click.option("--seed", default=0, show_default=True, help="Of the choice of runs to repeat.")
def main(data: Path, peers: tuple[str, ...], n_targets: int, n_repeated: int, seed: int) -> None:
    """Check the benchmark: equal tables, peers that know too much, results that cannot be had."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    suites = find(data)
    failures = 0
    for suite in suites.values():
        if isinstance(suite, TableSuite):
            for first, second in suite.duplicates():
                failures += 1
                click.echo(f"{suite.name}: tasks {first} and {second} are the same table.")
    tables = [suites[name] for name in TABLES if name in suites]
    for name in peers:
        for scenario in ("none", "tpe-5") if PEERS[name].uses_priors else ("none",):
            verdict = compare_relabelled(PEERS[name], tables, scenario, n_targets)
            failures += verdict.is_accused
            click.echo(
                f"{name}, {scenario}: {verdict.n_tasks} tasks, log10 regret of the first "
                f"{_N_TRIALS} trials as it is minus relabelled {verdict.difference:+.3f}, "
                f"p = {verdict.p_value:.3f}: {'KNOWS TOO MUCH' if verdict.is_accused else 'ok'}"
            )
    runs = [
        run
        for run in results.read(sorted((RESULTS / "runs").glob("*.jsonl")))
        if run.suite in suites and run.error is None
    ]
    chosen = np.random.default_rng(seed).permutation(len(runs))[:n_repeated]
    for run, same in repeat([runs[i] for i in chosen], suites):
        failures += not same
        click.echo(f"{', '.join(map(str, run.key))}: {'same' if same else 'NOT THE SAME'}")
    if failures:
        raise click.ClickException(f"{failures} checks failed.")
    click.echo("Nothing found.")


if __name__ == "__main__":
    main()

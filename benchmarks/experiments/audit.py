"""Checks of the benchmark itself, and of any peer in it.

1. Tables: no two tasks of a suite are the same, or one would give the other away.
2. Relabelling: every parameter gets another name and every numeric range is turned round, for the
   target and its priors alike. A peer that only learns from what it is told does as well as
   before; one that knows a task, its optimum or an earlier run does worse. One-sided signed-rank
   test over tasks; an honest peer is accused with a probability of one in a thousand.
3. Repetition: results that were committed come out again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
)
from scipy.stats import wilcoxon

from benchmarks.experiment import Experiment, Options, Record, Summary, failed
from benchmarks.experiments.comparison import MAIN
from benchmarks.markdown import table
from benchmarks.peers import PEERS
from benchmarks.peers.base import Peer
from benchmarks.problems import TABLES
from benchmarks.problems.base import (
    Distribution,
    Objective,
    Scale,
    Suite,
    rename,
    seed_of,
    targets,
)
from benchmarks.problems.tables import TableSuite
from benchmarks.records import RESULTS, Store
from benchmarks.run import Run, run_one, setting_of, tune
from benchmarks.scenarios import prior_logs
from benchmarks.statistics import best_so_far, log_regret


FALSE_ALARMS = 1e-3
"""Probability of accusing an honest peer."""

N_TRIALS = 5
TABLE, RELABEL, REPEAT = "no equal tables", "relabelled", "repeated"


class CheckFailed(Exception):
    """Something is wrong with the benchmark or a peer."""


@dataclass(frozen=True)
class Job:
    """A check; what does not belong to its kind is empty."""

    check: str
    suite: str = ""
    task: str = ""
    scenario: str = ""
    peer: str = ""
    seed: int = 0


def jobs(options: Options) -> list[Job]:
    """All suites of tables, some peers, and some committed runs drawn at random."""
    suites, peers = options.suites(), options.only.get("peer", ("MetaSampler",))
    if unknown := sorted({*peers} - PEERS.keys()):
        raise ValueError(f"There is no peer {unknown[0]!r}; there are: {', '.join(PEERS)}.")
    tables = [Job(TABLE, name) for name, s in suites.items() if isinstance(s, TableSuite)]
    relabelled = [
        Job(RELABEL, scenario=scenario, peer=name)
        for name in peers
        for scenario in ("none", "tpe-5")
        if (scenario == "none" or PEERS[name].uses_priors) and suites.keys() & {*TABLES}
    ]
    runs = [run for run in committed().values() if run.suite in suites and run.error is None]
    generator = np.random.default_rng(options.settings["seed"])
    chosen = generator.permutation(len(runs))[: options.settings["repeats"]]
    return [*tables, *relabelled, *(Job(REPEAT, *runs[i].key) for i in chosen)]


def committed(folder: Path = RESULTS) -> dict[tuple[Any, ...], Run]:
    """The runs of the comparison by key."""
    return {key: Run.of(record) for key, record in Store.of(folder, MAIN).read().items()}


def run(job: Job, options: Options) -> dict[str, Any]:
    """One check.

    Raises:
        CheckFailed: If something is wrong.
    """
    suites = options.suites()
    if job.check == TABLE:
        return compare_tables(options.suite(job.suite))
    if job.check == RELABEL:
        tables = [suites[name] for name in TABLES if name in suites]
        return accuse(PEERS[job.peer], tables, job.scenario, options.settings["targets"])
    key = (job.suite, job.task, job.scenario, job.peer, job.seed)
    return repeat(committed()[key], options.suite(job.suite))


def compare_tables(suite: Suite) -> dict[str, Any]:
    """Check that no two tasks are the same table."""
    assert isinstance(suite, TableSuite)
    if pairs := suite.duplicates():
        first, second = pairs[0]
        raise CheckFailed(f"tasks {first} and {second} are the same table")
    return {"found": f"{len(suite.tasks)} tasks"}


def accuse(peer: Peer, suites: Sequence[Suite], scenario: str, n_targets: int) -> dict[str, Any]:
    """Check that a peer knows no more than it was told."""
    verdict = compare_relabelled(peer, suites, scenario, n_targets)
    found = (
        f"{verdict.n_tasks} tasks, log10 regret of the first {N_TRIALS} trials as it is minus "
        f"relabelled {verdict.difference:+.3f}, p = {verdict.p_value:.3f}"
    )
    if verdict.is_accused:
        raise CheckFailed(f"{peer.name} knows too much: {found}")
    return {"found": found}


def repeat(old: Run, suite: Suite) -> dict[str, Any]:
    """Make a run again, and check that its values are the same to 5 digits.

    The objective is compared too: with another version of a library it may differ.
    """
    new = run_one(suite, old.task, old.scenario, old.peer, old.seed, old.n_trials)
    if new.objective != old.objective:
        raise CheckFailed("the objective is another one")
    same = len(new.values) == len(old.values) and np.allclose(
        new.values, old.values, rtol=1e-5, equal_nan=True
    )
    if not same:
        raise CheckFailed("not the same values")
    return {"found": f"the same {len(new.values)} values"}


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
    pairs = np.array(
        [
            [_mean_log_regret(peer, w, task, scenario) for w in (suite, Relabelled(suite))]
            for suite in suites
            for task in targets(suite, n_targets)
        ]
    )
    difference = pairs[:, 0] - pairs[:, 1]
    if not difference.any():
        return Verdict(len(pairs), 0.0, 1.0)
    p_value = wilcoxon(difference, alternative="less").pvalue
    return Verdict(len(pairs), float(difference.mean()), float(p_value))


def _mean_log_regret(peer: Peer, suite: Suite, task: str, scenario: str) -> float:
    scale = suite.scale(task)
    assert scale is not None, f"{suite.name} has no scale"
    logs = prior_logs(scenario, suite, task, seed=0)
    setting = setting_of(suite, logs, seed_of(suite.name, task, "audit"))
    values, _, error = tune(setting, suite.objective(task), peer, N_TRIALS)
    if error is not None:
        raise RuntimeError(f"{peer.name} failed on {suite.name}, {task}: {error}")
    return float(log_regret(best_so_far(scale.regret(values))).mean())


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


def turned_round(distribution: Distribution, value: Any) -> Any:
    """The value as far from the upper end as it was from the lower one.

    On the log scale where there is one. Choices stay, and so do whole numbers on a log scale,
    which have no mirror image.
    """
    if isinstance(distribution, CategoricalDistribution):
        return value
    if not distribution.log:
        reflected = distribution.low + distribution.high - value
    elif isinstance(distribution, FloatDistribution):
        reflected = distribution.low * distribution.high / value
    else:
        return value
    return min(max(reflected, distribution.low), distribution.high)


def summarize(records: Sequence[Record]) -> Summary:
    """A row a check."""
    columns = ("suite", "task", "scenario", "peer", "seed")
    return {
        "rows": [
            {
                "check": r["check"],
                "subject": ", ".join(str(r[name]) for name in columns if r[name]),
                "found": f"**{r['error']}**" if failed(r) else r["found"],
            }
            for r in records
        ]
    }


def tables(summary: Summary) -> dict[str, str]:
    """A row a check."""
    columns = [("check", "{check}"), ("of", "{subject}"), ("found", "{found}")]
    return {"audit": table(summary["rows"], columns)}


EXPERIMENT = Experiment(
    name="audit",
    title="checks of the benchmark itself",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    settings={"targets": 4, "repeats": 12, "seed": 0},
    needs_data=True,
    verdicts=True,
    kept=False,
)

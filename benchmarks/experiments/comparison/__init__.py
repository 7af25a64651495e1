"""The comparison of samplers: one peer tunes one held-out task, for every row of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import functools
from typing import Any

from benchmarks.experiment import Experiment, Options
from benchmarks.experiments.comparison import quick
from benchmarks.experiments.comparison.figures import figures
from benchmarks.experiments.comparison.plans import PLANS, Job, jobs, only
from benchmarks.experiments.comparison.summary import of_records
from benchmarks.experiments.comparison.tables import tables
from benchmarks.run import run_one


def planned(plan: str, options: Options) -> Sequence[Job]:
    """The jobs of a plan; suites that it does not have stand in for those of its first block."""
    chosen = options.only.get("suite")
    blocks = PLANS[plan] if chosen is None else only(PLANS[plan], chosen)
    return jobs(blocks, options.suites())


def run(job: Job, options: Options) -> Mapping[str, Any]:
    """One run; a peer that fails is on record with what it had."""
    suite = options.suite(job.suite)
    return run_one(suite, job.task, job.scenario, job.peer, job.seed, job.n_trials).measured()


def _plan(name: str) -> Callable[[Options], Sequence[Job]]:
    return functools.partial(planned, name)


MAIN = Experiment(
    name="main",
    title="all samplers on all search spaces, with good, bad, few and many prior studies",
    job=Job,
    jobs=_plan("main"),
    run=run,
    summarize=of_records,
    tables=tables,
    figures=figures,
    shared=("suite", "task", "seed"),
    split="suite",
)
EXTRA = replace(
    MAIN,
    name="extra",
    title="further rows of the tables of `main`",
    jobs=_plan("extra"),
    records="main",
)
HEBO = replace(
    MAIN,
    name="hebo",
    title="HEBO, from an environment of its own, for the tables of `main`",
    jobs=_plan("hebo"),
    records="main",
)
QUICK = replace(
    MAIN,
    name="quick",
    title="a small comparison that needs no data",
    jobs=_plan("quick"),
    summarize=quick.summarize,
    tables=quick.tables,
    figures=quick.figures,
    split=None,
    kept=False,
)
DEVELOP = replace(
    MAIN,
    name="develop",
    title="the runs that the default method was chosen on",
    jobs=_plan("develop"),
    split=None,
    kept=False,
)

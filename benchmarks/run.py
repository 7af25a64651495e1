"""One run: a peer tunes one problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
import functools
import time
from typing import Any, Literal

from benchmarks.peers import PEERS
from benchmarks.peers.base import Peer, Setting
from benchmarks.priors import Log
from benchmarks.priors import fingerprint as fingerprint_priors
from benchmarks.problems.base import Objective, Scale, Suite, fingerprint, seed_of, suggest
from benchmarks.scenarios import prior_logs
from benchmarks.versions import versions_of


@dataclass(frozen=True)
class Run:
    """One study: who tuned what, under which circumstances, and all that came of it.

    Attributes:
        suite: The search space, such as ``"yahpo_lcbench"``.
        task: The task that was tuned.
        scenario: What the prior studies were like, such as ``"tpe-5"``; see `scenarios`.
        peer: Who tuned it.
        seed: Of the repetition: 0, 1, 2.
        n_trials: The budget.
        values: The objective value of every trial, in order, in the task's own direction.
        seconds: Time of every trial that the peer took: ``ask``, all ``suggest_*``, ``tell``.
        objective: Fingerprint of the objective; runs with different ones are not compared.
        priors: Fingerprint of the prior trials; likewise.
        n_priors: Number of prior studies.
        direction: ``"minimize"`` or ``"maximize"``.
        scale: The task's best and median value; ``None`` where only runs can tell.
        versions: Of Python, Optuna and what the peer uses.
        error: What went wrong; ``None`` if nothing did. A failed run keeps the values it had.
    """

    suite: str
    task: str
    scenario: str
    peer: str
    seed: int
    n_trials: int
    values: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    objective: str = ""
    priors: str = ""
    n_priors: int = 0
    direction: Literal["minimize", "maximize"] = "minimize"
    scale: Scale | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What makes it this run and no other."""
        return (self.suite, self.task, self.scenario, self.peer, self.seed)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Run:
        """A record as a run."""
        scale = record.get("scale")
        return cls(**{**record, "scale": None if scale is None else Scale(*scale)})

    def measured(self) -> dict[str, Any]:
        """The part of its record that is not known beforehand; values keep 7 digits, seconds 3."""
        return {
            "values": [_rounded(v, 7) for v in self.values],
            "seconds": [_rounded(v, 3) for v in self.seconds],
            "objective": self.objective,
            "priors": self.priors,
            "n_priors": self.n_priors,
            "direction": self.direction,
            "scale": None if self.scale is None else [self.scale.best, self.scale.median],
            "versions": self.versions,
            "error": self.error,
        }


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


class PeerCheated(Exception):
    """A peer has used what it must not know."""


class Counted:
    """An objective that counts how often it is evaluated."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.n_calls = 0

    def __call__(self, params: Mapping[str, Any]) -> float:
        """The value of the objective."""
        self.n_calls += 1
        return self._objective(params)


def tune(
    setting: Setting, objective: Objective, peer: Peer, n_trials: int
) -> tuple[list[float], list[float], str | None]:
    """Let a peer tune an objective that it never gets to see.

    A peer that finds the objective all the same, and evaluates it, is stopped.

    Returns:
        The values of all trials, the seconds that the peer took for each (``ask``, ``suggest_*``
        and ``tell``; making the study counts to the first), and what went wrong, if anything.
    """
    values: list[float] = []
    seconds: list[float] = []
    problem = None
    objective = Counted(objective)
    try:
        start = time.perf_counter()
        study = peer.build(setting)
        for _ in range(n_trials):
            trial = study.ask()
            params = suggest(trial, setting.parameters)
            asked = time.perf_counter() - start
            value = objective(params)
            start = time.perf_counter()
            study.tell(trial, value)
            seconds.append(asked + time.perf_counter() - start)
            values.append(value)
            if objective.n_calls != len(values):
                raise PeerCheated(
                    f"The objective was evaluated {objective.n_calls} times in {len(values)} "
                    "trials: the peer did so by itself."
                )
            start = time.perf_counter()
    except Exception as error:  # A peer that fails is a result, whatever it raises.
        problem = f"{type(error).__name__}: {error}"
    return values, seconds, problem


def setting_of(suite: Suite, logs: Iterable[Log], seed: int) -> Setting:
    """What a peer is told. Names of priors are neutral, so that it cannot recognise a data set."""
    priors = tuple(log.to_study(f"prior-{i}") for i, log in enumerate(logs))
    return Setting(suite.parameters, suite.direction, priors, seed)


def run_one(suite: Suite, task: str, scenario: str, peer: str, seed: int, n_trials: int) -> Run:
    """Have one peer tune one task."""
    logs = prior_logs(scenario, suite, task, seed)
    setting = setting_of(suite, logs, seed_of(suite.name, task, seed))
    values, seconds, error = tune(setting, suite.objective(task), PEERS[peer], n_trials)
    return Run(
        suite=suite.name,
        task=task,
        scenario=scenario,
        peer=peer,
        seed=seed,
        n_trials=n_trials,
        values=values,
        seconds=seconds,
        objective=_fingerprint(suite, task),
        priors=fingerprint_priors(logs),
        n_priors=len(logs),
        direction=suite.direction,
        scale=_scale(suite, task),
        versions=versions_of(PEERS[peer].packages),
        error=error,
    )


@functools.lru_cache(maxsize=256)
def _fingerprint(suite: Suite, task: str) -> str:
    return fingerprint(suite, task)


@functools.lru_cache(maxsize=256)
def _scale(suite: Suite, task: str) -> Scale | None:
    return suite.scale(task)

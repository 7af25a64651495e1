"""The aims of the default method, fixed before it was made, and what it reaches."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
import itertools
import math
from typing import Any

import numpy as np

from benchmarks.experiments.comparison.data import REFERENCE, Data, Paired
from benchmarks.statistics import TIE, pooled_mean


HORIZON = 50
HARM = 0.02
"""A regret that is so much higher is worse."""

MAIN = "tpe-5"
_SOON = 10

Value = Callable[[Paired, int], np.ndarray]
"""From pairs of runs and the last trial to a value a task, which is held against a limit."""


def _mean(paired: Paired, horizon: int) -> np.ndarray:
    """Difference of mean log10 regret."""
    del horizon
    return paired.differences()


def _at(trial: int, later: int | None = None) -> Value:
    """Difference of log10 regret at a trial, or to a later one of the other."""
    return lambda paired, horizon: paired.gaps_at(trial, later)


def _is_worse(paired: Paired, horizon: int) -> np.ndarray:
    """1 where the regret at the last trial is higher."""
    return (paired.differences_at(horizon) > HARM).astype(float)


def _is_above(by: float, first: int = 1) -> Value:
    """1 where the mean log10 regret from a trial on is higher by more than so much."""
    return lambda paired, horizon: (paired.differences_from(first) > by).astype(float)


@dataclass(frozen=True)
class Aim:
    """A limit that `MetaSampler` is to keep.

    Attributes:
        situation: Which prior studies there are.
        text: What is aimed at; ``{horizon}`` is the last trial.
        limit: The largest mean that meets it.
        scenario: Of `MetaSampler`.
        others: Peers and their scenarios; the best of them counts.
        value: What is held against the limit.
        n_trials: Only tasks with so many trials count.
    """

    situation: str
    text: str
    limit: float
    scenario: str
    others: tuple[tuple[str, str], ...]
    value: Value = _mean
    n_trials: int = 0

    def row(self, data: Data, suites: Collection[str]) -> dict[str, Any]:
        """What is measured: ``None`` where no task has all that is compared."""
        mine = data.entry(REFERENCE, self.scenario, suites)
        horizon = max(data.horizon, self.n_trials)
        pairs = [
            Paired.of(mine, data.regrets.get(other, {}), horizon).with_trials(self.n_trials)
            for other in self.others
        ]
        row = {"situation": self.situation, "aim": self.text.format(horizon=data.horizon)}
        if not all(paired.tasks for paired in pairs):
            return {**row, "measured": None, "n_tasks": 0, "met": None}
        # The best of the others is the one that least is gained on.
        best = max(pairs, key=lambda p: float(pooled_mean(p.differences(), p.suites)))
        measured = data.interval(self.value(best, data.horizon), best.suites)
        return {
            **row,
            "measured": measured,
            "n_tasks": len(best.tasks),
            "met": bool(measured[0] is not None and measured[0] <= self.limit),
        }


def _both(suffix: str = "", scenario: str = "none") -> tuple[tuple[str, str], ...]:
    return tuple((f"{name}{suffix}", scenario) for name in ("TPE", "GPSampler"))


_ENQUEUED = "-0.30 to the better of these with the best priors enqueued"
_EARLY = f"log10 regret at trial {_SOON} not above TPE's at trial {HORIZON}"
_WORSE = f"at most 0.10 of the tasks worse by {HARM} regret at trial {{horizon}}"
_COLD = ((REFERENCE, "none"),)

_BAD = ("flipped", "mixed", "shuffled", "foreign")
_OVERLAPS = {
    "dropped": "parameters dropped",
    "ranges": "other ranges",
    "renamed": "a parameter renamed",
    "linear": "linear scales",
    "choices": "fewer choices",
    "all": "all of these",
}
_RANDOM = "30 priors of 200 random trials"
_OWN_BEST = "MetaSampler (gp) + best priors"
_FIVE_BEST = ((_OWN_BEST, MAIN),)
"""What its own process does with the best trials of five priors, and nothing else of them."""
_LATE, _ABOVE = 20, 0.05

AIMS = (
    Aim("5 priors", "-0.45 to the better of TPE, GPSampler", -0.45, MAIN, _both()),
    Aim("5 priors", _ENQUEUED, -0.30, MAIN, _both(" + best priors", MAIN)),
    Aim("5 priors", _EARLY, 0.0, MAIN, (("TPE", "none"),), _at(_SOON, HORIZON), HORIZON),
    Aim("1 prior", "-0.25 to the better of TPE, GPSampler", -0.25, "tpe-1", _both()),
    *(
        Aim(
            f"{more} priors",
            f"below {fewer} priors on the same tasks",
            0.0,
            f"tpe-{more}",
            ((REFERENCE, f"tpe-{fewer}"),),
        )
        for more, fewer in ((8, 5), (30, 8))
    ),
    *(
        Aim(
            "no prior",
            f"log10 regret at trial {trial} not above {peer}'s",
            0.0,
            "none",
            ((peer, "none"),),
            _at(trial),
            trial,
        )
        for peer, trial in itertools.product(("GPSampler", "TPE"), (10, 20, 50, 100))
    ),
    *(
        aim
        for bad in _BAD
        for aim in (
            Aim(bad, "at most 0.10 above itself without priors", 0.10, bad, _COLD),
            Aim(bad, _WORSE, 0.10, bad, _COLD, _is_worse),
        )
    ),
    # Limits for the default that comes after the first.
    Aim(
        _RANDOM,
        "-0.20 to its own process with the best of 5 TPE priors enqueued",
        -0.20,
        "random-30x200",
        _FIVE_BEST,
    ),
    Aim(
        _RANDOM,
        "regret at trial 5 at most half of that one's (log10: -0.30)",
        math.log10(0.5),
        "random-30x200",
        _FIVE_BEST,
        _at(5),
        5,
    ),
    Aim("30 priors", "-0.10 to 5 priors on the same tasks", -0.10, "tpe-30", ((REFERENCE, MAIN),)),
    Aim(
        "100 priors", "below 30 priors on the same tasks", 0.0, "tpe-100", ((REFERENCE, "tpe-30"),)
    ),
    Aim(
        "5 priors",
        "-0.05 to its own process with the best priors enqueued",
        -0.05,
        MAIN,
        _FIVE_BEST,
    ),
    Aim(
        "5 priors",
        f"more than {_ABOVE} above that one on at most 0.25 of the tasks",
        0.25,
        MAIN,
        _FIVE_BEST,
        _is_above(_ABOVE),
    ),
    Aim(
        "5 priors",
        f"mean log10 regret over trials {_LATE} to {HORIZON} more than {TIE} above itself without "
        "priors on at most 0.10 of the tasks",
        0.10,
        MAIN,
        _COLD,
        _is_above(TIE, _LATE),
        HORIZON,
    ),
    Aim(
        "5 priors",
        "log10 regret at trial 3 not above Zero-shot portfolio's",
        0.0,
        MAIN,
        (("Zero-shot portfolio", MAIN),),
        _at(3),
        3,
    ),
    *(
        Aim(
            f"5 priors, {change}",
            "below the better of TPE, its own process with the best priors enqueued",
            0.0,
            f"overlap-{kind}",
            tuple((peer, f"overlap-{kind}") for peer in ("TPE + best priors", _OWN_BEST)),
        )
        for kind, change in _OVERLAPS.items()
    ),
    *(Aim(bad, "not above itself without priors", 0.0, bad, _COLD) for bad in _BAD),
)


def aims_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """A row for each aim, measured or not; none at all where nothing is measured."""
    rows = [aim.row(data, suites) for aim in AIMS]
    return rows if any(row["n_tasks"] for row in rows) else []

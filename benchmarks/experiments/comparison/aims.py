"""The aims of the default method, fixed before it was made, and what it reaches."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
import itertools
from typing import Any

import numpy as np

from benchmarks.experiments.comparison.data import REFERENCE, Data, Paired
from benchmarks.statistics import pooled_mean


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

    def row(self, data: Data, suites: Collection[str]) -> dict[str, Any] | None:
        """What is measured; ``None`` where a run is missing."""
        mine = data.entry(REFERENCE, self.scenario, suites)
        horizon = max(data.horizon, self.n_trials)
        pairs = [
            Paired.of(mine, data.regrets.get(other, {}), horizon).with_trials(self.n_trials)
            for other in self.others
        ]
        if not all(paired.tasks for paired in pairs):
            return None
        # The best of the others is the one that least is gained on.
        best = max(pairs, key=lambda p: float(pooled_mean(p.differences(), p.suites)))
        measured = data.interval(self.value(best, data.horizon), best.suites)
        return {
            "situation": self.situation,
            "aim": self.text.format(horizon=data.horizon),
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
        for bad in ("flipped", "mixed", "shuffled", "foreign")
        for aim in (
            Aim(bad, "at most 0.10 above itself without priors", 0.10, bad, _COLD),
            Aim(bad, _WORSE, 0.10, bad, _COLD, _is_worse),
        )
    ),
)


def aims_table(data: Data, suites: Collection[str]) -> list[dict[str, Any]]:
    """A row for each aim that there are runs for."""
    return [row for aim in AIMS if (row := aim.row(data, suites)) is not None]

"""The aims of the default method, fixed before it was made, and what it reaches."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from benchmarks.experiments.comparison.data import REFERENCE, Data, Paired
from benchmarks.statistics import pooled_mean


HORIZON = 50
HARM = 0.02
"""A regret that is so much higher is worse."""

MAIN = "tpe-5"
_SOON = 10

Measured: TypeAlias = tuple[Paired, np.ndarray] | None
"""What is compared, and a value per task; ``None`` without such runs."""

Suites: TypeAlias = Collection[str]


@dataclass(frozen=True)
class Aim:
    """A limit.

    Attributes:
        situation: Which prior studies there are.
        text: What is aimed at; ``{horizon}`` is the last trial.
        limit: The largest mean that meets it.
        measure: From the data and the suites to what is held against the limit.
    """

    situation: str
    text: str
    limit: float
    measure: Callable[[Data, Suites], Measured]


def aims_table(data: Data, suites: Suites) -> list[dict[str, Any]]:
    """A row for each aim that there are runs for."""
    rows = []
    for aim in AIMS:
        found = aim.measure(data, suites)
        if found is None or not found[0].tasks:
            continue
        paired, values = found
        measured = data.interval(values, paired.suites)
        rows.append(
            {
                "situation": aim.situation,
                "aim": aim.text.format(horizon=data.horizon),
                "measured": measured,
                "n_tasks": len(paired.tasks),
                "met": bool(measured[0] is not None and measured[0] <= aim.limit),
            }
        )
    return rows


def _against(data: Data, suites: Suites, scenario: str, peer: str, theirs: str) -> Paired:
    mine = data.entry(REFERENCE, scenario, suites)
    return Paired.of(mine, data.regrets.get((peer, theirs), {}), data.horizon)


def _below_both(
    data: Data, suites: Suites, *, scenario: str, suffix: str = "", theirs: str = "none"
) -> Measured:
    """Against the better of TPE and GPSampler: the one that less is gained on."""
    peers = [f"{name}{suffix}" for name in ("TPE", "GPSampler")]
    pairs = [_against(data, suites, scenario, peer, theirs) for peer in peers]
    if not all(found.tasks for found in pairs):
        return None
    best = max(pairs, key=lambda found: float(pooled_mean(found.differences(), found.suites)))
    return best, best.differences()


def _soon(data: Data, suites: Suites) -> Measured:
    long = _against(data, suites, MAIN, "TPE", "none").with_trials(HORIZON)
    return long, long.gaps_at(_SOON, HORIZON)


def _more_priors(data: Data, suites: Suites, *, more: str, fewer: str) -> Measured:
    found = _against(data, suites, more, REFERENCE, fewer)
    return found, found.differences()


def _cold_at(data: Data, suites: Suites, *, peer: str, trial: int) -> Measured:
    mine = data.entry(REFERENCE, "none", suites)
    theirs = data.regrets.get((peer, "none"), {})
    enough = Paired.of(mine, theirs, 2 * HORIZON).with_trials(trial)
    return enough, enough.gaps_at(trial)


def _harm(data: Data, suites: Suites, *, scenario: str) -> Measured:
    found = data.with_and_without(REFERENCE, scenario, suites)
    return found, found.differences()


def _share_worse(data: Data, suites: Suites, *, scenario: str) -> Measured:
    found = data.with_and_without(REFERENCE, scenario, suites)
    return found, (found.differences_at(data.horizon) > HARM).astype(float)


AIMS = (
    Aim(
        "5 priors",
        "-0.45 to the better of TPE, GPSampler",
        -0.45,
        partial(_below_both, scenario=MAIN),
    ),
    Aim(
        "5 priors",
        "-0.30 to the better of these with the best priors enqueued",
        -0.30,
        partial(_below_both, scenario=MAIN, suffix=" + best priors", theirs=MAIN),
    ),
    Aim(
        "5 priors",
        f"log10 regret at trial {_SOON} not above TPE's at trial {HORIZON}",
        0.0,
        _soon,
    ),
    Aim(
        "1 prior",
        "-0.25 to the better of TPE, GPSampler",
        -0.25,
        partial(_below_both, scenario="tpe-1"),
    ),
    *(
        Aim(
            f"{more} priors",
            f"below {fewer} priors on the same tasks",
            0.0,
            partial(_more_priors, more=f"tpe-{more}", fewer=f"tpe-{fewer}"),
        )
        for more, fewer in ((8, 5), (30, 8))
    ),
    *(
        Aim(
            "no prior",
            f"log10 regret at trial {trial} not above {peer}'s",
            0.0,
            partial(_cold_at, peer=peer, trial=trial),
        )
        for peer in ("GPSampler", "TPE")
        for trial in (10, 20, 50, 100)
    ),
    *(
        aim
        for scenario in ("flipped", "mixed", "shuffled", "foreign")
        for aim in (
            Aim(
                scenario,
                "at most 0.10 above itself without priors",
                0.10,
                partial(_harm, scenario=scenario),
            ),
            Aim(
                scenario,
                f"at most 0.10 of the tasks worse by {HARM} regret at trial {{horizon}}",
                0.10,
                partial(_share_worse, scenario=scenario),
            ),
        )
    ),
)

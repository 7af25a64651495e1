"""The statistics of the report: pure functions on arrays.

A task is one observation: repetitions (seeds) of it are averaged before anything here is asked.
Suites weigh alike whatever their number of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from typing import TypeAlias

import numpy as np
from scipy import stats


FLOOR = 1e-3
"""Regrets below count as this: imperceptible regrets should not decide a mean of logarithms."""

TIE = 0.02
"""Differences of log10 regret up to this (5% of regret) are ties."""

N_DRAWS = 10_000

Interval: TypeAlias = tuple[float, float, float]
"""A mean, and the lower and the upper end of its interval."""

_CONFIDENCE = 0.95
_ALPHA = 0.05
_SEED = 0


def best_so_far(regrets: np.ndarray) -> np.ndarray:
    """The least regret up to each trial; a value that is not finite counts as the run's worst."""
    finite = np.isfinite(regrets)
    if not finite.any():
        raise ValueError("no value is finite.")
    best: np.ndarray = np.minimum.accumulate(np.where(finite, regrets, regrets[finite].max()))
    return best


def log_regret(regrets: np.ndarray, floor: float = FLOOR) -> np.ndarray:
    """Log10 of regrets, in decades."""
    logs: np.ndarray = np.log10(np.maximum(regrets, floor))
    return logs


def pooled_mean(values: np.ndarray, suites: Sequence[str]) -> np.ndarray:
    """Mean over suites of the mean over a suite's tasks; ``values`` has a task a row."""
    means: np.ndarray = _equal_weights(tuple(suites)) @ values
    return means


def _equal_weights(suites: tuple[str, ...]) -> np.ndarray:
    _, suite, size = np.unique(suites, return_inverse=True, return_counts=True)
    return 1.0 / (size[suite] * len(size))


@functools.lru_cache(maxsize=16)
def _bootstrap_weights(suites: tuple[str, ...], n_draws: int) -> np.ndarray:
    """What each task weighs in each draw ``(n_draws, n_tasks)``."""
    generator = np.random.default_rng(_SEED)
    # One task a suite: there is nothing to draw inside of them, so suites are drawn.
    single = len(set(suites)) == len(suites)
    names = np.array(["all"] * len(suites) if single else suites)
    groups = np.unique(names)
    weights = np.empty((n_draws, len(names)))
    for suite in groups:
        mine = np.flatnonzero(names == suite)
        n = max(len(mine) - 1, 1)
        weights[:, mine] = (
            generator.multinomial(n, np.full(len(mine), 1.0 / len(mine)), n_draws) / n
        )
    return weights / len(groups)


def bootstrap(
    values: np.ndarray, suites: Sequence[str], n_draws: int = N_DRAWS
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95% percentile interval of `pooled_mean` (Efron & Tibshirani 1993, ch. 13).

    Tasks are drawn again inside each suite, one fewer than it has: suites are small, and as many
    draws as tasks would make the interval too narrow (Rao & Wu 1988, JASA 83). The suites are what
    they are, and one with a single task adds no width; where all have a single one, suites are
    drawn. The same tasks always get the same draws, so that intervals of different peers can be
    compared.
    """
    low, high = _percentiles(_bootstrap_weights(tuple(suites), n_draws) @ values)
    return low, high


def bootstrap_ratio(
    above: np.ndarray, below: np.ndarray, suites: Sequence[str], n_draws: int = N_DRAWS
) -> tuple[float, float]:
    """Ends of the 95% interval of the ratio of two pooled means over the same tasks."""
    weights = _bootstrap_weights(tuple(suites), n_draws)
    denominator = weights @ below
    ratio = np.divide(
        weights @ above, denominator, out=np.full(n_draws, np.nan), where=denominator != 0
    )
    low, high = _percentiles(ratio[np.isfinite(ratio)]) if np.isfinite(ratio).any() else (0.0, 0.0)
    return float(low), float(high)


def _percentiles(draws: np.ndarray) -> np.ndarray:
    tail = 50.0 * (1.0 - _CONFIDENCE)
    ends: np.ndarray = np.percentile(draws, [tail, 100.0 - tail], axis=0)
    return ends


def t_interval(values: Sequence[float] | np.ndarray) -> Interval | None:
    """Mean, and the ends of its 95% interval by Student's t; ``None`` for fewer than two."""
    x = np.asarray(values, dtype=float)
    if len(x) < 2:
        return None
    mean = float(x.mean())
    half = float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return mean, mean - half, mean + half


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p-value of the Wilcoxon signed-rank test (Wilcoxon 1945) over tasks."""
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P-values corrected for their number by the step-down method of Holm (1979)."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def wins_ties_losses(differences: np.ndarray) -> tuple[int, int, int]:
    """Tasks on which the first is lower, alike (see `TIE`) and higher."""
    wins, losses = int(np.sum(differences < -TIE)), int(np.sum(differences > TIE))
    return wins, len(differences) - wins - losses, losses


def ranks(regrets: np.ndarray) -> np.ndarray:
    """Rank of each peer (last axis), 1 the best; ties share the mean of their ranks."""
    found: np.ndarray = stats.rankdata(np.round(regrets, 8), method="average", axis=-1)
    return found


def friedman_p(regrets: np.ndarray) -> float:
    """P-value of the Friedman test that peers ``(n_tasks, n_peers)`` are alike (Friedman 1937)."""
    rounded = np.round(regrets, 8)
    if rounded.shape[1] < 3 or np.all(rounded == rounded[:, :1]):
        return 1.0
    return float(stats.friedmanchisquare(*rounded.T).pvalue)


def nemenyi(n_peers: int, n_tasks: int) -> float:
    """Average ranks that are further apart differ at the 5% level (Demsar 2006, JMLR, eq. 6)."""
    return nemenyi_q(n_peers) * float(np.sqrt(n_peers * (n_peers + 1) / (6.0 * n_tasks)))


@functools.cache
def nemenyi_q(n_peers: int) -> float:
    """Studentized range over the square root of 2, at the 5% level (Demsar 2006, table 5)."""
    return float(stats.studentized_range.ppf(1.0 - _ALPHA, n_peers, np.inf) / np.sqrt(2.0))


def first_at_or_below(curve: np.ndarray, target: float) -> float:
    """The first trial, counted from 1, at or below a target; infinity where there is none."""
    reached = np.flatnonzero(curve <= target)
    return float(reached[0] + 1) if len(reached) else float("inf")

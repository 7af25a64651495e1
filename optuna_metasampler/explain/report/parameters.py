"""What is learned of the parameters, in numbers and words.

Axis letters: ``g`` values of a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from optuna_metasampler._text import listed
from optuna_metasampler.explain.report.data import ParameterPart
from optuna_metasampler.explain.report.phrases import number, span, value_of
from optuna_metasampler.explain.trial_record import INTERVAL


if TYPE_CHECKING:
    from torch import Tensor

    from optuna_metasampler.explain.effects import Effect
    from optuna_metasampler.explain.snapshot import Snapshot

# How much of the best value's advantage over the worst the values beside it may lack.
_BEST_QUARTER = 0.25
# Smaller differences in units of the warped outcome are none.
_FLAT = 1e-6
_MOST_CHOICES = 4
# Shares of the variation: less is nothing here, or nothing that is worth a word of the priors.
_NEGLIGIBLE, _TELLING = 0.02, 0.05
# Standard deviations below which a normal variable is with the interval's probability, by those
# of half of the interval.
_SURE = NormalDist().inv_cdf(INTERVAL) / NormalDist().inv_cdf((1 + INTERVAL) / 2)


@dataclass(frozen=True)
class Region:
    """The best values along a parameter, by their places.

    Attributes:
        first: The first of them.
        last: The last of them.
        best: The very best.
        worst: The worst of all values.
        n: Number of values along the parameter.
    """

    first: int
    last: int
    best: int
    worst: int
    n: int

    @classmethod
    def of(cls, effect: Tensor, categorical: bool) -> Region | None:
        """Where an effect ``(g,)``, larger is better, is best; ``None`` where it is flat."""
        heights = effect.tolist()
        if not all(map(math.isfinite, heights)):
            return None
        best, worst = int(effect.argmax()), int(effect.argmin())
        top, bottom = heights[best], heights[worst]
        if top - bottom <= _FLAT:
            return None
        first = last = best
        if not categorical:
            enough = top - _BEST_QUARTER * (top - bottom)
            while first > 0 and heights[first - 1] >= enough:
                first -= 1
            while last < len(heights) - 1 and heights[last + 1] >= enough:
                last += 1
        return cls(first, last, best, worst, len(heights))

    def values(self, effect: Effect) -> tuple[Any, ...]:
        """The best values."""
        return effect.values[self.first : self.last + 1]


def parameter_of(effect: Effect, snapshot: Snapshot, objective: int, unit: bool) -> ParameterPart:
    """What one parameter does.

    Args:
        effect: The same in units of the warped outcome.
        snapshot: What is known of the study.
        objective: Number of the objective.
        unit: Whether the outcome's units are known.
    """
    here = Region.of(effect.here, effect.categorical) if unit else None
    before = None
    if effect.before is not None and (effect.importance_before or 0.0) >= _TELLING:
        before = Region.of(effect.before, effect.categorical)
    clear = here is not None and _is_clear(effect, here)
    of_studies = effect.importance_of_studies
    average: tuple[float, ...] = ()
    ends: list[tuple[float, ...]] = [(), ()]
    average_before = None
    if unit:
        average = _values(effect.here, snapshot, objective)
        ends = [_values(z, snapshot, objective) for z in (effect.low, effect.high)]
        if snapshot.signs[objective] < 0:
            ends.reverse()
        if effect.before is not None:
            average_before = _values(effect.before, snapshot, objective)
    return ParameterPart(
        name=effect.name,
        categorical=effect.categorical,
        log=effect.log,
        importance=effect.importance,
        importance_before=effect.importance_before,
        importance_low=min(of_studies, default=None),
        importance_high=max(of_studies, default=None),
        values=effect.values,
        average=average,
        low=ends[0],
        high=ends[1],
        before=average_before,
        clear=clear,
        best=() if here is None else here.values(effect),
        best_before=() if before is None else before.values(effect),
        learned=learned(effect, average, here, before, clear),
    )


def _is_clear(effect: Effect, here: Region) -> bool:
    """Whether the best value is better than the worst with a probability of 80 % or more.

    So it is where the two averages are independent. They mostly go together, which makes their
    difference surer.
    """
    half = (effect.high - effect.low) / 2
    gap = effect.here[here.best] - effect.here[here.worst]
    apart = (half[here.best].square() + half[here.worst].square()).sqrt()
    return bool(gap > _SURE * apart)


def _values(z: Tensor, snapshot: Snapshot, objective: int) -> tuple[float, ...]:
    """Warped outcomes ``(g,)`` in the objective's units."""
    from optuna_metasampler.outcomes import half_rank_unwarp

    sign = snapshot.signs[objective]
    y = half_rank_unwarp(z, snapshot.outcomes(objective))
    return tuple(sign * float(v) + 0.0 for v in y)


def learned(
    effect: Effect,
    average: tuple[float, ...],
    here: Region | None,
    before: Region | None,
    clear: bool,
) -> str:
    """What is known of a parameter's effect, in words.

    Args:
        effect: The effect.
        average: The same in the objective's units, ``g`` of them, or none.
        here: Where it is best.
        before: Where the prior studies say that it is.
        clear: Whether that is beyond doubt.
    """
    said = "" if before is None else _best(effect, before)
    if here is None:
        return (
            f"nothing known here; the prior studies say: {said}" if said else "nothing known yet"
        )
    if effect.importance < _NEGLIGIBLE:
        told = "no effect to speak of"
    elif clear:
        told = _best(effect, here)
        if average and effect.categorical:
            told += f": {_ranked(effect, average, here)}"
        elif average:
            told += f": {number(average[here.best])} there, {number(average[here.worst])} at worst"
    else:
        told = f"no clear effect so far, perhaps {_best(effect, here)}"
    if before is None:
        return told
    if effect.categorical:
        agree = before.best == here.best
    else:
        agree = before.first <= here.last and here.first <= before.last
    if agree:
        return f"{told}; the prior studies agree"
    return f"{told}; the prior studies say: {said}"


def _best(effect: Effect, region: Region) -> str:
    """Where an effect is best."""
    values = region.values(effect)
    if effect.categorical:
        return f"best with {value_of(values[0])}"
    if region.first == region.last:
        return f"best at {value_of(values[0], 3)}"
    if region.first == 0 and region.last < region.n - 1:
        return f"best up to {value_of(values[-1], 3)}"
    if region.last == region.n - 1 and region.first > 0:
        return f"best from {value_of(values[0], 3)} up"
    return f"best from {span(values)}"


def _ranked(effect: Effect, average: tuple[float, ...], here: Region) -> str:
    """The choices with their averages, the best first."""
    heights = effect.here.tolist()
    order = sorted(range(here.n), key=lambda i: -heights[i])
    return listed(
        [f"{value_of(effect.values[i])} {number(average[i])}" for i in order], _MOST_CHOICES
    )

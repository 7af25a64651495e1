"""Random distributions, spaces and configurations for property-based tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler.priors.study import PriorStudy


CHOICES = [None, True, False, 0, 1, 1.0, 0.5, -3, "a", "b", "", "True", "1", float("inf")]


@st.composite
def floats(draw: st.DrawFn) -> FloatDistribution:
    if draw(st.booleans()):
        low = draw(st.floats(1e-12, 1e6))
        return FloatDistribution(low, low * draw(st.floats(1.0, 1e9)), log=True)
    low = draw(st.floats(-1e6, 1e6))
    if draw(st.booleans()):
        return FloatDistribution(low, low + draw(st.floats(0, 1e6)))
    # Grids as people write them, with three decimals, and exactly divisible.
    step, start = draw(st.integers(1, 5000)), draw(st.integers(-(10**6), 10**6))
    end = start + step * draw(st.integers(0, 300))
    return FloatDistribution(start / 1000, end / 1000, step=step / 1000)


@st.composite
def ints(draw: st.DrawFn) -> IntDistribution:
    if draw(st.booleans()):
        low = draw(st.integers(1, 10**6))
        return IntDistribution(low, low + draw(st.integers(0, 10**9)), log=True)
    low = draw(st.integers(-(10**12), 10**12))
    step = draw(st.integers(1, 1000))
    return IntDistribution(low, low + step * draw(st.integers(0, 10**6)), step=step)


@st.composite
def categoricals(draw: st.DrawFn) -> CategoricalDistribution:
    chosen = draw(st.permutations(CHOICES))
    return CategoricalDistribution(chosen[: draw(st.integers(1, len(CHOICES)))])


def distributions() -> st.SearchStrategy[BaseDistribution]:
    return st.one_of(floats(), ints(), categoricals())


def values(distribution: BaseDistribution) -> st.SearchStrategy[Any]:
    """Values that `suggest_*` may return under ``distribution``."""
    if isinstance(distribution, CategoricalDistribution):
        return st.sampled_from(distribution.choices)
    if isinstance(distribution, IntDistribution):
        cells = (distribution.high - distribution.low) // distribution.step
        return st.integers(0, cells).map(lambda i: distribution.low + i * distribution.step)
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        return st.floats(distribution.low, distribution.high)
    cells = round((distribution.high - distribution.low) / distribution.step)
    step = distribution.step
    return st.integers(0, cells).map(lambda i: distribution.low + i * step)


@st.composite
def spaces(draw: st.DrawFn, max_size: int = 5) -> dict[str, BaseDistribution]:
    n = draw(st.integers(1, max_size))
    return {f"p{i}": draw(distributions()) for i in range(n)}


@st.composite
def configurations(
    draw: st.DrawFn, space: dict[str, BaseDistribution], complete: bool = True
) -> dict[str, Any]:
    return {
        name: draw(values(distribution))
        for name, distribution in space.items()
        if complete or draw(st.booleans())
    }


finite_or_not = st.floats(allow_nan=False)
"""Outcomes: Optuna stores infinite ones too."""


@st.composite
def finished_trials(draw: st.DrawFn, number: int, n_objectives: int = 1) -> FrozenTrial:
    """A finished trial as a storage of Optuna may hold it."""
    space = draw(spaces()) if draw(st.booleans()) else {}
    state = draw(st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]))
    dates = st.none() | st.datetimes()
    has_values = state == TrialState.COMPLETE or (n_objectives == 1 and draw(st.booleans()))
    return FrozenTrial(
        number=number,
        state=state,
        value=None,
        values=[draw(finite_or_not) for _ in range(n_objectives)] if has_values else None,
        datetime_start=draw(dates),
        datetime_complete=draw(dates),
        params=draw(configurations(space)),
        distributions=space,
        user_attrs={},
        system_attrs=draw(st.sampled_from([{}, {"constraints": [1.0, -0.5]}])),
        intermediate_values=draw(st.dictionaries(st.integers(0, 9), st.floats(), max_size=3)),
        trial_id=number,
    )


@st.composite
def prior_studies(draw: st.DrawFn) -> PriorStudy:
    """A prior study of up to six trials, each with a space of its own."""
    n = draw(st.integers(1, 3))
    ways = st.sampled_from([StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE])
    return PriorStudy(
        name=draw(st.text()),
        directions=draw(st.none() | st.tuples(*[ways] * n)),
        trials=tuple(draw(finished_trials(i, n)) for i in range(draw(st.integers(0, 6)))),
        user_attrs=draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text())),
    )


@st.composite
def moved(draw: st.DrawFn) -> tuple[BaseDistribution, BaseDistribution]:
    """A distribution, and one to which it may be changed: values of the first stay values.

    Ranges are of a size at which no digits are lost.
    """
    low, log = draw(st.floats(0.01, 10)), draw(st.booleans())
    high = low * draw(st.floats(1.5, 1000))
    wider = low * draw(st.floats(0.1, 1)), high * draw(st.floats(1, 10))
    kind = draw(st.sampled_from(["float", "int", "number", "choice"]))
    if kind == "float":
        return FloatDistribution(low, high, log=log), FloatDistribution(
            *wider, log=draw(st.booleans())
        )
    first = draw(st.integers(1, 8))
    last = first + draw(st.integers(1, 100))
    if kind == "int":
        later = draw(
            st.sampled_from(
                [
                    IntDistribution(1, last + 10, log=True),
                    IntDistribution(first - 3, last),
                    FloatDistribution(first, last, log=True),
                ]
            )
        )
        return IntDistribution(first, last, log=log), later
    numbers = draw(st.lists(st.integers(1, 256), min_size=2, max_size=5, unique=True))
    if kind == "number":
        pair = CategoricalDistribution(numbers), IntDistribution(1, 300, log=log)
        return pair if draw(st.booleans()) else (pair[0], CategoricalDistribution([*numbers, 999]))
    return CategoricalDistribution(["a", "b"]), CategoricalDistribution([True, "b", "c", "a"])

"""Which parameters of a study are those of a known learner, by name, range and unit.

People write one parameter in many ways: ``num_leaves``, ``lgbm__num_leaves``, ``numLeaves``; ``C``
from 0.001 to 1000, or ``log_C`` from -3 to 3. Nothing is renamed or rescaled here: what is known
of a parameter is expressed in the name and the unit of the study. Where the unit is in doubt, the
parameter counts as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
import math
import re
from typing import Any, Literal, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_metasampler.builtin.catalogue import (
    Learner,
    LearnerName,
    LearnerParameter,
    folded,
    learners,
    prefixes,
    words,
)


Unit: TypeAlias = Literal["same", "percent", "log10", "log2", "ln"]
"""How a study's values follow from canonical ones: the same, 100 times, or their logarithm."""

_EXPRESSED: dict[Unit, Callable[[float], float]] = {
    "same": float,
    "percent": lambda value: 100 * value,
    "log10": math.log10,
    "log2": math.log2,
    "ln": math.log,
}

# What stands before or after a name and says the unit; "log" leaves the base open.
_MARKS = {
    **dict.fromkeys(["log", "exp", "exponent", "power", "pow"], "log"),
    **dict.fromkeys(["log10", "lg", "exp10", "pow10"], "log10"),
    **dict.fromkeys(["log2", "exp2", "pow2"], "log2"),
    **dict.fromkeys(["ln", "loge"], "ln"),
    **dict.fromkeys(["percent", "percentage", "pct", "perc"], "percent"),
}
_LAYERS = {"l", "layer", "layers", "hidden", "dense", "fc"}
# Behind a step of a pipeline the name begins, whatever stands before. Behind a dot it may begin,
# which ends a group of a configuration, but in R only a word.
_STEP = re.compile(r"__|[/:|>]")
_GROUP = re.compile(r"__|[./:|>]")

# Part of the smaller range that has to be common, for a name whose unit is not in doubt.
_COMMON = 0.25
# Part of the study's range that has to be inside, where the base of an exponent is guessed.
_INSIDE = 0.5
# Exponents outside are not those of a learner's parameter, and overflow.
_MAX_EXPONENT = 100

# What a learner needs of a study's parameters: a number, and a part of them.
_MIN_OWN = 2
_MIN_SHARE = 0.5


@dataclass(frozen=True)
class Translated:
    """What is known of a parameter, in the name and unit of the running study.

    Attributes:
        parameter: The canonical name.
        distribution: The canonical distribution in the study's unit: the study's encoding of a
            value by it is the encoding of the canonical value by the canonical distribution.
        unit: The study's unit.
        default: The learner's default in that unit, or its spelling; for a number, ``None`` where
            there is none.
    """

    parameter: str
    distribution: BaseDistribution
    unit: Unit
    default: float | str | bool | None


@dataclass(frozen=True)
class Recognised:
    """The learner that a study seems to tune.

    Attributes:
        learner: Its name.
        translated: The study's names of the parameters that something is known of.
        score: The part of the study's parameters that these are, above 0 and up to 1.
    """

    learner: LearnerName
    translated: Mapping[str, Translated]
    score: float


def translate(learner: Learner, name: str, distribution: BaseDistribution) -> Translated | None:
    """What is known of a parameter of the running study.

    A count is not taken for a fraction, nor a fraction for a count. Exponents are taken for
    numbers on a log scale where the name says so (``log10_C``, ``C_exp``), or where the range has
    negative numbers. Their base is the name's; else e where the ends are logarithms of round
    numbers, 10 where most of the range is then a usual one, or 2 where it is and the ends are
    whole, as on LIBSVM's grid. A fraction is a percentage where the name says so. Several
    parameters may be the same canonical one, such as the units of each layer.

    Args:
        learner: A learner, see :func:`~optuna_metasampler.builtin.catalogue.learner_of`.
        name: The study's name of a parameter.
        distribution: The study's distribution of it.

    Returns:
        ``None`` if it is no known parameter of the learner, its range has little in common with
        the canonical one, or its unit is in doubt.
    """
    reading = _understood(learner, _readings(name))
    if reading is None:
        return None
    parameter = learner.vocabulary[reading.key]
    if parameter is None:
        return None
    if parameter.choices:
        return _translated_choice(parameter, distribution)
    span = _span(distribution)
    unit = None if span is None else _unit(parameter, span, reading.mark)
    if unit is None:
        return None
    default = parameter.default
    if unit != "same":
        # A default of 0 has no logarithm.
        known = isinstance(default, (int, float)) and (unit == "percent" or default > 0)
        default = _EXPRESSED[unit](float(default)) if known and default is not None else None
    return Translated(parameter.name, _expressed(parameter, unit), unit, default)


def translate_constant(learner: Learner, name: str, value: object) -> Translated | None:
    """What is known of a parameter that the running study holds constant.

    A number may lie beyond all that was tried, unless it may be a count in place of a fraction.

    Args:
        learner: As in :func:`translate`.
        name: The study's name of the parameter.
        value: Its value.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return translate(learner, name, CategoricalDistribution((str(value),)))
    found = translate(learner, name, FloatDistribution(value, value))
    reading = _understood(learner, _readings(name))
    parameter = None if reading is None or reading.mark else learner.vocabulary[reading.key]
    if found is not None or parameter is None or parameter.choices or parameter.fraction:
        return found
    return Translated(parameter.name, parameter.distribution, "same", None)


def recognise(
    distributions: Mapping[str, BaseDistribution], hints: Iterable[str] = ()
) -> Recognised | None:
    """The learner that a study tunes, by the names and ranges of its parameters.

    A learner is recognised if (1) it has every parameter of the study that any of the learners
    has, so a study that tunes ``momentum`` is not LightGBM's; (2) at least half of the study's
    parameters are its own, by name and, where a range is known, by range: two or more, of which
    one translates; and (3) names tell it that others do not have, such as ``num_leaves``, or ``C``
    together with ``gamma``. A learner that is called by its name, before a parameter
    (``xgb_max_depth``) or in a hint, needs only one parameter and no telling names, and the others
    are then out. If several are left, the one with most translated parameters wins; where that is
    a tie, there is no answer. Nor is there for a study that chooses between learners.

    Args:
        distributions: The study's parameters.
        hints: Texts that may name the learner, such as those of a study or of a class.

    Returns:
        ``None`` if no learner is recognised.
    """
    if any(len(_learners_in(d)) > 1 for d in distributions.values()):
        return None
    readings = {name: list(_readings(name)) for name in distributions}
    found = {
        learner: {
            name: reading
            for name in distributions
            if (reading := _understood(each, readings[name])) is not None
        }
        for learner, each in learners().items()
    }
    anyones = set().union(*found.values())
    hinted = {caller for hint in hints for caller in _callers(hint)}
    called = [
        learner
        for learner, known in found.items()
        if learner in hinted or any(learner in r.callers for r in known.values())
    ]
    ranked = sorted(
        (
            recognised
            for learner in called or learners()
            if anyones == found[learner].keys()
            and (
                recognised := _recognised(
                    learners()[learner], distributions, found[learner], bool(called)
                )
            )
        ),
        key=lambda recognised: -recognised.score,
    )
    if not ranked or (len(ranked) > 1 and ranked[0].score == ranked[1].score):
        return None
    return ranked[0]


def _recognised(
    learner: Learner,
    distributions: Mapping[str, BaseDistribution],
    found: Mapping[str, _Reading],
    called: bool,
) -> Recognised | None:
    """The learner, if enough of the study's parameters are its own and are telling."""
    translated = {
        name: known
        for name in found
        if (known := translate(learner, name, distributions[name])) is not None
    }
    # A name that should have been translated, but was not, says nothing.
    own = {
        name: reading.key
        for name, reading in found.items()
        if name in translated or learner.vocabulary[reading.key] is None
    }
    if not translated or len(own) < _MIN_SHARE * len(distributions):
        return None
    if not called:
        # The units of several layers are one parameter.
        names = set(own.values())
        told = any(all(names & each for each in entry) for entry in learner.telling)
        if len(names) < _MIN_OWN or not told:
            return None
    return Recognised(learner.name, translated, len(translated) / len(distributions))


# Names


@dataclass(frozen=True)
class _Reading:
    """One way to take a name apart.

    Attributes:
        key: What is left of it, folded.
        callers: What the words before say, see :func:`~.catalogue.prefixes`.
        mark: A unit that it says, as in ``_MARKS``; or empty.
        layer: Whether the number of a layer was taken away.
    """

    key: str
    callers: frozenset[str]
    mark: str = ""
    layer: bool = False


def _understood(learner: Learner, readings: Iterable[_Reading]) -> _Reading | None:
    """The first reading that is the learner's; ``None`` if the parameter is not."""
    for reading in readings:
        if reading.key not in learner.vocabulary:
            continue
        parameter = learner.vocabulary[reading.key]
        if reading.layer and not (parameter and parameter.per_layer):
            continue
        callers = reading.callers - {"any"}
        if not callers or (learner.name in callers and "none" not in callers):
            return reading
    return None


def _readings(name: str) -> Iterator[_Reading]:
    """Ways to take a name apart, with the most literal first."""
    found = words(name)
    parts = [word.group().lower() for word in found]
    gaps = [name[a.end() : b.start()] for a, b in pairwise(found)]
    groups = [0, *(i for i, gap in enumerate(gaps, start=1) if _GROUP.search(gap))]
    first = max((i for i, gap in enumerate(gaps, start=1) if _STEP.search(gap)), default=0)
    for start in range(first, len(parts)):
        group = max(each for each in groups if each <= start)
        if None in _said(parts[group:start]):
            continue
        callers = frozenset(each for each in _said(parts[:start]) if each)
        rest = parts[start:]
        yield _Reading("".join(rest), callers)
        for n in range(1, len(rest)):
            for mark, key in ((rest[:n], rest[n:]), (rest[n:], rest[:n])):
                unit = _MARKS.get("".join(mark))
                if unit:
                    yield _Reading("".join(key), callers, unit)
        for key in _without_layer(rest):
            yield _Reading("".join(key), callers, layer=True)


def _said(parts: Sequence[str]) -> list[str | None]:
    """What words before a name say; ``None`` for each that says nothing known."""
    known, said, i = prefixes(), list[str | None](), 0
    while i < len(parts):
        # The longest first: `random_forest`, not `forest`.
        for end in range(len(parts), i, -1):
            meaning = known.get("".join(parts[i:end]))
            if meaning:
                break
        said.append(meaning)
        i = end
    return said


def _callers(text: str) -> set[LearnerName]:
    """Learners that a text names, without their short forms."""
    parts = [word.group().lower() for word in words(text)]
    pieces = {"".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)}
    return {name for name, learner in learners().items() if learner.names & pieces}


def _without_layer(parts: list[str]) -> Iterator[list[str]]:
    """Names without the number of a layer: ``n_units_l0``, ``units2``, ``layer_1_units``."""
    if len(parts) > 1 and parts[-1].isdigit():
        yield parts[:-1]
    if len(parts) > 2 and parts[-1].isdigit() and parts[-2] in _LAYERS:
        yield parts[:-2]
    if len(parts) > 2 and parts[0] in _LAYERS and parts[1].isdigit():
        yield parts[2:]


def _learners_in(distribution: BaseDistribution) -> set[LearnerName]:
    """Learners that are among the choices of a parameter."""
    if not isinstance(distribution, CategoricalDistribution):
        return set()
    said = {folded(choice) for choice in distribution.choices if isinstance(choice, str)}
    return {name for name, each in learners().items() if said & (each.names | each.prefixes)}


# Ranges and units


@dataclass(frozen=True)
class _Span:
    """The range of a study's parameter: ends, log scale or not, and whether all are integers."""

    low: float
    high: float
    log: bool
    whole: bool


def _span(distribution: BaseDistribution) -> _Span | None:
    """The range of a number, or of at least two among choices; ``None`` if there is none."""
    if isinstance(distribution, CategoricalDistribution):
        numbers = {
            c
            for c in distribution.choices
            if isinstance(c, (int, float)) and not isinstance(c, bool) and -1e300 < c < 1e300
        }
        if len(numbers) < 2:
            return None
        whole = all(isinstance(each, int) for each in numbers)
        return _Span(float(min(numbers)), float(max(numbers)), False, whole)
    if not isinstance(distribution, (FloatDistribution, IntDistribution)):
        return None
    low, high = distribution.low, distribution.high
    if not -1e300 < low <= high < 1e300:
        return None
    whole = isinstance(distribution, IntDistribution)
    return _Span(float(low), float(high), distribution.log, whole)


def _unit(parameter: LearnerParameter, span: _Span, mark: str) -> Unit | None:
    """The unit of a range, ``None`` where it is in doubt."""
    if mark == "percent" and parameter.fraction:
        return "percent" if span.high > 1 and _common(parameter, span, "percent") else None
    natural = not mark and (span.low >= 0 or not parameter.log)
    if natural or span.log:
        # Of features or rows a number is as usual as a share, and both may be 1.
        count = parameter.fraction and (span.whole or span.high > 1)
        return "same" if not count and _common(parameter, span, "same") else None
    # An exponent. Less than one step of a scale is more likely no exponent at all.
    exponents = parameter.log and mark != "percent" and span.high - span.low >= 1
    if not exponents or max(-span.low, span.high) > _MAX_EXPONENT:
        return None
    return _base(parameter, span, mark)


def _base(parameter: LearnerParameter, span: _Span, mark: str) -> Unit | None:
    bases: tuple[Unit, ...] = ("log10", "log2", "ln")
    for base in bases:
        if base == mark:
            return base if _common(parameter, span, base) else None
    ends = (span.low, span.high)
    on_grid = all(end.is_integer() for end in ends)
    if not on_grid and all(_is_round(math.exp(end)) for end in ends):
        return "ln" if _common(parameter, span, "ln") else None
    for base in ("log10", "log2") if on_grid else ("log10",):
        low, high = _ends(parameter, base)
        if min(high, span.high) - max(low, span.low) >= _INSIDE * (span.high - span.low):
            return base
    return None


def _common(parameter: LearnerParameter, span: _Span, unit: Unit) -> bool:
    """Whether a range in a unit has enough in common with the canonical one."""
    low, high = _ends(parameter, unit)
    first, last = span.low, span.high
    if unit == "same" and parameter.log and first > 0:
        low, high, first, last = map(math.log, (low, high, first, last))
    if first == last:
        return low <= first <= high
    return min(high, last) - max(low, first) >= _COMMON * min(high - low, last - first)


def _ends(parameter: LearnerParameter, unit: Unit) -> tuple[float, float]:
    express = _EXPRESSED[unit]
    return express(parameter.low), express(parameter.high)


def _expressed(parameter: LearnerParameter, unit: Unit) -> BaseDistribution:
    """The canonical distribution in a unit."""
    if unit == "same":
        return parameter.distribution
    # The encoding of whole numbers reaches half a number further: `optuna_metasampler.space`.
    half = 0.5 if parameter.whole else 0.0
    express = _EXPRESSED[unit]
    return FloatDistribution(express(parameter.low - half), express(parameter.high + half))


def _is_round(number: float) -> bool:
    """Whether a number has two significant digits, up to rounding errors."""
    return math.isclose(number, float(f"{number:.1e}"), rel_tol=1e-6)


# Choices


def _translated_choice(
    parameter: LearnerParameter, distribution: BaseDistribution
) -> Translated | None:
    """Canonical choices, spelled as in the study where it has them."""
    if not isinstance(distribution, CategoricalDistribution):
        return None
    spelled: dict[Any, Any] = {}
    for choice in distribution.choices:
        for canonical, spellings in zip(parameter.choices, parameter.spellings, strict=True):
            if _plain(choice) in spellings:
                spelled.setdefault(canonical, choice)
    if not spelled:
        return None
    choices = tuple(spelled.get(canonical, canonical) for canonical in parameter.choices)
    default = spelled.get(parameter.default, parameter.default)
    return Translated(parameter.name, CategoricalDistribution(choices), "same", default)


def _plain(choice: object) -> str:
    """A choice as it is compared; empty for what is no spelling."""
    if isinstance(choice, str):
        return folded(choice)
    return str(choice).lower() if choice is None or isinstance(choice, int) else ""

"""Search spaces: Optuna's distributions to points of the unit cube, and back.

A configuration becomes one row of ``d`` encoded columns:

* ``FloatDistribution`` and ``IntDistribution``: one column in ``[0, 1]``, on the log scale where
  ``log=True``. A finite grid is encoded by the middle of its cells, so that rounding any number in
  ``[0, 1]`` gives every grid value the same share.
* ``CategoricalDistribution``: one column a choice, one-hot. An unknown choice, such as one of an
  older study, is the zero vector. In the running study the choices that Optuna holds equal, such
  as ``1`` and ``True``, are one, as they are in its storage; across studies they are told apart.
* A conditional parameter has one more column, its *activity*: 1 where the parameter is active and
  0 where it is not. An inactive or missing value is encoded as the neutral 0.5 (numbers) or the
  zero vector (categories).

Axis letters: ``n`` points, ``d`` encoded columns, ``p`` parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
import copy
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
import json
import math
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)


if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

# Encoded values outside the range (enqueued, or of a study with a wider range) are clipped half a
# range away: far enough to differ from the edge, near enough not to dominate a kernel.
_MARGIN = 0.5
_NEUTRAL = 0.5
_NAN = object()
# Beyond this, floating-point numbers have no halves.
_EXACT = 2**51
# Values of a range that are this part of it apart are the same, but for rounding.
_SAME = 1e-12
# A log scale over less than this part of its numbers is as good as linear.
_NEARLY_LINEAR = 1024


def choice_key(value: object) -> tuple[type, object]:
    """A key that distinguishes ``True``, ``1`` and ``1.0``, and equals itself for NaN."""
    try:
        hash(value)
    except TypeError:
        return type(value), repr(value)
    return (type(value), value) if value == value else (type(value), "nan")  # noqa: PLR0124


class _Unhashable:
    """A choice that has no hash, such as a list, as a key."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __hash__(self) -> int:
        # Equal containers have equal lengths.
        return len(self.value) if isinstance(self.value, Sized) else -1

    def __eq__(self, other: object) -> bool:
        try:
            return isinstance(other, _Unhashable) and bool(self.value == other.value)
        except Exception:
            # An array has no truth value, and is no choice of Optuna's.
            return False


def equal_key(value: object) -> object:
    """A key that is equal where Optuna holds two choices equal: ``True`` and ``1``, NaN and NaN.

    As :meth:`optuna.distributions.CategoricalDistribution.to_internal_repr`, which takes the first
    choice that is equal, but in constant time.
    """
    if isinstance(value, str):
        # Most choices are, and the check below is slow.
        return value
    if isinstance(value, Real) and math.isnan(value):
        return _NAN
    try:
        hash(value)
    except TypeError:
        return _Unhashable(value)
    return value


@dataclass(frozen=True)
class Parameter:
    """One parameter and its place among the encoded columns.

    Attributes:
        name: The name in ``trial.suggest_*``.
        distribution: Optuna's distribution.
        start: First encoded column.
        width: Number of encoded columns: 1 for numbers, one a choice for categories.
        n_values: Number of grid values or choices; ``None`` for a continuum.
        lower: Lower edge of the first cell, on the log scale where ``log``.
        upper: Upper edge of the last cell, likewise.
        log: Whether the column is on the log scale.
        activity: The activity column of a conditional parameter, else ``None``.
        choices: The choices of a category that have a column, in their order; empty for numbers.
        merges_equal: Whether choices that Optuna holds equal are the first of them.
        origin: The integer that ``lower`` and ``upper`` are relative to: 0 but for integers that
            floating-point numbers cannot tell apart.
    """

    name: str
    distribution: BaseDistribution
    start: int
    width: int
    n_values: int | None
    lower: float
    upper: float
    log: bool
    activity: int | None
    choices: tuple[Any, ...] = ()
    merges_equal: bool = False
    origin: int = 0

    @property
    def columns(self) -> slice:
        """The encoded columns of the value, without the activity column."""
        return slice(self.start, self.start + self.width)

    @property
    def categorical(self) -> bool:
        """Whether the parameter is a choice."""
        return isinstance(self.distribution, CategoricalDistribution)

    @cached_property
    def _index_of_choice(self) -> dict[object, int]:
        key = _key(self.merges_equal)
        return {key(choice): i for i, choice in enumerate(self.choices)}

    @cached_property
    def choice_of_type(self) -> dict[object, Any]:
        """All choices of the distribution, told apart by type."""
        return {choice_key(c): c for c in getattr(self.distribution, "choices", ())}

    def place(self, choice: object) -> int:
        """The position of a choice among those that have a column; -1 if it has none."""
        return self._index_of_choice.get(_key(self.merges_equal)(choice), -1)

    @property
    def offered(self) -> BaseDistribution:
        """The distribution with the choices that have a column."""
        if len(self.choices) == len(getattr(self.distribution, "choices", ())):
            return self.distribution
        # A copy, because the constructor warns of unusual types, as it has done already.
        part = copy.copy(self.distribution)
        assert isinstance(part, CategoricalDistribution)
        part.choices = self.choices
        return part

    def encode(self, values: Sequence[object]) -> FloatArray:
        """Encode raw values.

        Args:
            values: ``n`` raw values, ``_MISSING`` where the parameter is inactive.

        Returns:
            The columns of the values, shape ``(n, width)``.
        """
        if self.categorical:
            x = np.zeros((len(values), self.width))
            index, key = self._index_of_choice, _key(self.merges_equal)
            choice = np.array([index.get(key(v), -1) for v in values], dtype=np.int64)
            known = choice >= 0
            x[np.flatnonzero(known), choice[known]] = 1.0
            return x
        raw = _as_floats([_offset(v, self.origin) for v in values] if self.origin else values)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self.log:
                raw = np.where(
                    raw > 0, np.log(np.maximum(raw, 5e-324)), np.where(raw <= 0, -np.inf, raw)
                )
            # Halves, because a range such as [-1e308, 1e308] has no finite width.
            u = (raw / 2 - self.lower / 2) / (self.upper / 2 - self.lower / 2)
        u = np.clip(u, -_MARGIN, 1 + _MARGIN)
        return np.where(np.isnan(u), _NEUTRAL, u)[:, None]

    def decode(self, columns: FloatArray) -> Any:
        """The raw value, a plain Python object, of one encoded value of shape ``(width,)``."""
        distribution = self.distribution
        if self.categorical:
            return self.choices[int(np.argmax(columns))]
        u = min(max(float(columns[0]), 0.0), 1.0)
        if isinstance(distribution, IntDistribution):
            if self.log:
                value = round(math.exp(self.lower + u * (self.upper - self.lower)))
            else:
                value = distribution.low + self._cell(u) * distribution.step
            return min(max(value, distribution.low), distribution.high)
        assert isinstance(distribution, FloatDistribution)
        if distribution.step is not None:
            # Decimal, like Optuna: 0.1 * 3 has to be the 0.3 of the user's grid.
            step = Decimal(str(distribution.step))
            value_on_grid = float(Decimal(str(distribution.low)) + self._cell(u) * step)
            return min(max(value_on_grid, distribution.low), distribution.high)
        if u in (0.0, 1.0):
            # Rounding below may miss them by a digit.
            return distribution.high if u else distribution.low
        number = 2 * (self.lower / 2 + u * (self.upper / 2 - self.lower / 2))
        if self.log:
            number = math.exp(number)
        return min(max(number, distribution.low), distribution.high)

    def _cell(self, u: float) -> int:
        assert self.n_values is not None
        return min(int(u * self.n_values), self.n_values - 1)


class _Missing:
    """The value of an inactive parameter (``None`` is a choice)."""


_MISSING = _Missing()


def _as_floats(values: Sequence[object]) -> FloatArray:
    numbers = [math.nan if v is _MISSING else v for v in values]
    try:
        return np.fromiter(numbers, dtype=np.float64, count=len(numbers))
    except (TypeError, ValueError, OverflowError):
        return np.array([_as_float(v) for v in numbers], dtype=np.float64)


def _offset(value: object, origin: int) -> object:
    """An integer relative to another one, without rounding; other values as they are."""
    if isinstance(value, (int, np.integer)):
        return int(value) - origin
    if isinstance(value, (float, np.floating)) and math.isfinite(value):
        return int(value) - origin
    return value


def _as_float(value: object) -> float:
    """A number, or NaN: a prior study may have a string where this space has a number."""
    if not isinstance(value, (int, float, np.number)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _key(merges_equal: bool) -> Callable[[object], object]:
    return equal_key if merges_equal else choice_key


def distinct(choices: Iterable[Any], merges_equal: bool = True) -> tuple[Any, ...]:
    """The first of every group of equal choices: those that Optuna holds equal, by default."""
    key = _key(merges_equal)
    first: dict[object, Any] = {}
    for choice in choices:
        first.setdefault(key(choice), choice)
    return tuple(first.values())


def as_stored(distribution: BaseDistribution, value: Any) -> Any:
    """The value that Optuna stores for a value of ``distribution``: the first equal choice."""
    if not isinstance(distribution, CategoricalDistribution):
        return value
    key = equal_key(value)
    return next(choice for choice in distribution.choices if equal_key(choice) == key)


def as_recorded(distribution: BaseDistribution, value: Any, recorded: FloatArray | None) -> Any:
    """The recorded value whose encoding was decoded to ``value``; ``value`` if there is none.

    An encoded number has the last digits of its place in the range, not its own: 0.001 on a log
    scale becomes 0.0010000000000000002.

    Args:
        distribution: The distribution of the value.
        value: What was decoded.
        recorded: Known values in ascending order, shape ``(r,)``.
    """
    if not _is_continuous(distribution) or recorded is None:
        return value
    if value in (distribution.low, distribution.high):
        return value
    # Each end by itself, for a range such as [-1e308, 1e308] has no finite width.
    gap = _SAME * distribution.high - _SAME * distribution.low
    if distribution.log:
        gap = _SAME * value * (math.log(distribution.high) - math.log(distribution.low))
    above = int(np.searchsorted(recorded, value))
    beside = [float(r) for r in recorded[max(above - 1, 0) : above + 1]]
    nearest = min(beside, key=lambda r: abs(r - value), default=value)
    # Far above the rounding of encodings, and far below what an objective can tell apart.
    near = abs(nearest - value) <= gap + 2 * math.ulp(value)
    return nearest if near and distribution.low <= nearest <= distribution.high else value


def _is_continuous(distribution: BaseDistribution) -> TypeGuard[FloatDistribution]:
    return isinstance(distribution, FloatDistribution) and distribution.step is None


def _layout(
    name: str,
    distribution: BaseDistribution,
    start: int,
    conditional: bool,
    offered: Sequence[Any] | None = None,
    merges_equal: bool = False,
) -> Parameter:
    choices: tuple[Any, ...] = ()
    origin = 0
    if isinstance(distribution, CategoricalDistribution):
        choices = distinct(distribution.choices if offered is None else offered, merges_equal)
        width = n_values = len(choices)
        lower, upper, log = math.nan, math.nan, False
        cells: int | None = n_values
    elif isinstance(distribution, IntDistribution):
        width, log = 1, distribution.log
        low, high, step = distribution.low, distribution.high, distribution.step
        cells = (high - low) // step + 1
        if max(abs(low), abs(high)) > _EXACT and (not log or cells < low // _NEARLY_LINEAR):
            # So far from zero floating-point numbers are too far apart, but not from here.
            origin, log = low, False
        start_at = low - origin
        lower, upper = start_at - step / 2, start_at - step / 2 + cells * step
    elif isinstance(distribution, FloatDistribution):
        width, log = 1, distribution.log
        lower, upper, cells = distribution.low, distribution.high, None
        if distribution.step is not None:
            cells = round((distribution.high - distribution.low) / distribution.step) + 1
            lower -= distribution.step / 2
            upper = lower + cells * distribution.step
    else:
        raise TypeError(
            f"The distribution of `{name}` must be a float, int or categorical distribution, but "
            f"got {distribution!r}."
        )
    if log:
        lower, upper = math.log(lower), math.log(upper)
    if not lower < upper and width == 1:
        # A single value: the column is constant, so the width does not matter.
        upper = max(lower + 1.0, math.nextafter(lower, math.inf))
    activity = start + width if conditional else None
    return Parameter(
        name,
        distribution,
        start,
        width,
        cells,
        lower,
        upper,
        log,
        activity,
        choices,
        merges_equal,
        origin,
    )


@dataclass(frozen=True)
class ActivityRule:
    """The condition of a conditional parameter, as learned from trials.

    Attributes:
        parameter: The conditional parameter.
        features: Encoded columns of the parameters that it may depend on.
        tree: A fitted ``sklearn.tree.DecisionTreeClassifier`` from those columns to activity;
            ``None`` if it cannot depend on any.
        parents: The columns of the parameters that it does depend on, ``c`` of them.
        examples: Values of these columns with which it was active, shape ``(e, c)``.
    """

    parameter: Parameter
    features: tuple[int, ...]
    tree: Any
    parents: tuple[int, ...] = ()
    examples: FloatArray | None = None

    def __call__(self, x: FloatArray) -> NDArray[np.bool_]:
        """Whether the parameter is active at ``x`` of shape ``(n, d)``; returns shape ``(n,)``."""
        if self.tree is None:
            return np.ones(len(x), dtype=bool)
        # `tree_` directly: the estimator's `predict` takes 10 times as long to check its input.
        votes = self.tree.tree_.predict(
            np.ascontiguousarray(x[:, self.features], dtype=np.float32)
        )
        active = self.tree.classes_[np.argmax(votes.reshape(len(x), -1), axis=1)]
        return np.asarray(active, dtype=bool)


@dataclass(frozen=True)
class SearchSpace:
    """A set of parameters, their encoded columns, and their activity rules.

    Build one with :meth:`of`. Instances are immutable.

    Attributes:
        parameters: The parameters, in the order of their columns.
        rules: Activity of the conditional parameters, parents before children.
        pinned: Fixed values of all points of the space.
    """

    parameters: tuple[Parameter, ...]
    rules: tuple[ActivityRule, ...] = ()
    pinned: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        distributions: Mapping[str, BaseDistribution],
        configurations: Sequence[Mapping[str, Any]] = (),
        groups: Sequence[int] | None = None,
        offered: Mapping[str, Sequence[Any]] | None = None,
        merges_equal: bool = False,
    ) -> SearchSpace:
        """Lay out a space, and learn from configurations which parameters are conditional.

        A parameter is conditional if some configurations have it and others do not. A decision
        tree learns its condition from the parameters that are present whenever it is, and more
        often: in a define-by-run program its condition depends on those.

        Args:
            distributions: Name to distribution.
            configurations: Evaluated configurations, each a name-to-value mapping; if empty, no
                parameter is conditional.
            groups: The study of each configuration, as a label. A parameter that a whole study
                lacks is no evidence about its condition. ``None`` means one study.
            offered: Name to the choices that have a column; all of them by default. The others
                are encoded as the zero vector, and never proposed.
            merges_equal: Whether choices that Optuna holds equal are one, as in its storage.

        Returns:
            The space; parameters are sorted by name, so the layout is deterministic.

        Raises:
            TypeError: If a distribution is of a kind that Optuna's samplers do not draw from.
        """
        names = sorted(distributions)
        present = np.array([[name in c for name in names] for c in configurations], dtype=bool)
        present = present.reshape(len(configurations), len(names))
        labels = np.zeros(len(present), dtype=int) if groups is None else np.asarray(groups)
        _, group = np.unique(labels, return_inverse=True)
        # Whether any configuration of the group has the parameter.
        counts = [np.bincount(group, weights=column)[group] for column in present.T]
        known = np.array(counts).T.reshape(present.shape) > 0
        conditional = (known & ~present).any(axis=0)

        space = cls.laid_out(
            distributions,
            [n for n, c in zip(names, conditional, strict=True) if c],
            offered,
            merges_equal,
        )
        if not conditional.any():
            return space
        return replace(space, rules=_learn_activity(space, configurations, present, known))

    @classmethod
    def laid_out(
        cls,
        distributions: Mapping[str, BaseDistribution],
        conditional: Collection[str] = (),
        offered: Mapping[str, Sequence[Any]] | None = None,
        merges_equal: bool = False,
    ) -> SearchSpace:
        """A space whose conditional parameters are known, but not their conditions.

        Args:
            distributions: Name to distribution.
            conditional: Names of the conditional parameters, which are active at every point.
            offered: As in :meth:`of`.
            merges_equal: As in :meth:`of`.

        Raises:
            TypeError: If a distribution is of a kind that Optuna's samplers do not draw from.
        """
        parameters: list[Parameter] = []
        start = 0
        for name in sorted(distributions):
            parameter = _layout(
                name,
                distributions[name],
                start,
                name in conditional,
                (offered or {}).get(name),
                merges_equal,
            )
            parameters.append(parameter)
            start += parameter.width + int(name in conditional)
        rules = [ActivityRule(p, (), None) for p in parameters if p.activity is not None]
        return cls(tuple(parameters), tuple(rules))

    @cached_property
    def n_columns(self) -> int:
        """Number of encoded columns, ``d``."""
        return sum(p.width + (p.activity is not None) for p in self.parameters)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in the order of their columns."""
        return tuple(p.name for p in self.parameters)

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Name to distribution."""
        return {p.name: p.distribution for p in self.parameters}

    @cached_property
    def layout(self) -> tuple[tuple[str, str, int | None], ...]:
        """Equal for spaces of the same columns with the same meaning."""
        return tuple((p.name, repr(p.offered), p.activity) for p in self.parameters)

    @cached_property
    def block_of_column(self) -> NDArray[np.int64]:
        """The block of each column, ``(d,)``: a parameter's columns, or one activity column."""
        blocks = np.empty(self.n_columns, dtype=np.int64)
        block = 0
        for p in self.parameters:
            blocks[p.columns] = block
            block += 1
            if p.activity is not None:
                blocks[p.activity] = block
                block += 1
        return blocks

    @cached_property
    def column_weight(self) -> FloatArray:
        """Weight of each column in a squared distance, shape ``(d,)``.

        0.5 for one-hot columns, so that two different choices are at distance 1, like the two ends
        of a numeric range.
        """
        weight = np.ones(self.n_columns)
        for p in self.parameters:
            if p.categorical:
                weight[p.columns] = 0.5
        return weight

    @cached_property
    def trend_weight(self) -> FloatArray:
        """Variance of each column's coefficient in a linear trend, shape ``(d,)``.

        All parameters together have a variance of about 1: 12 is 1 over the variance of a uniform
        number, and choices differ from each other by as much as the quarters of a range.
        """
        weight = np.ones(self.n_columns)
        for p in self.parameters:
            if not p.categorical:
                weight[p.columns] = 12.0
        return weight / max(len(self.parameters), 1)

    @cached_property
    def neutral(self) -> FloatArray:
        """Encoding of the empty configuration: neutral values, shape ``(d,)``."""
        row: FloatArray = self.encode([{}])[0]
        return row

    @cached_property
    def free(self) -> tuple[Parameter, ...]:
        """The parameters that are not pinned."""
        return tuple(p for p in self.parameters if p.name not in self.pinned)

    @cached_property
    def n_points(self) -> float:
        """Number of configurations with every parameter active; ``inf`` for a continuum."""
        # As floats, for products of huge integers are slow, and more than a float can be.
        return math.prod(
            (math.inf if p.n_values is None else float(p.n_values)) for p in self.free
        )

    def pin(self, values: Mapping[str, Any]) -> SearchSpace:
        """The same space with parameters fixed at ``values``; unknown names are ignored."""
        return replace(self, pinned={k: v for k, v in values.items() if k in self.distributions})

    def renamed(self, names: Mapping[str, tuple[str, BaseDistribution]]) -> SearchSpace:
        """The same columns under other names, and in other units.

        Args:
            names: Name here to the name and the distribution there. A distribution must encode its
                values as the one here encodes those that they stand for.

        Raises:
            ValueError: If a distribution has another number of columns than the one here.
        """
        found = []
        for p in self.parameters:
            name, distribution = names.get(p.name, (p.name, p.distribution))
            q = _layout(name, distribution, p.start, p.activity is not None)
            if q.width != p.width:
                raise ValueError(
                    f"{name!r} has {q.width} columns, but {p.name!r}, for which it stands, has "
                    f"{p.width}."
                )
            found.append(q)
        again = dict(zip(self.parameters, found, strict=True))
        rules = [replace(rule, parameter=again[rule.parameter]) for rule in self.rules]
        return SearchSpace(tuple(found), tuple(rules))

    def encode(self, configurations: Sequence[Mapping[str, Any]]) -> FloatArray:
        """Encode configurations; unknown names are ignored.

        Args:
            configurations: ``n`` name-to-value mappings.

        Returns:
            Points of shape ``(n, d)``, in the unit cube except for values outside their range.
        """
        x = np.empty((len(configurations), self.n_columns))
        for p in self.parameters:
            values = [c.get(p.name, _MISSING) for c in configurations]
            x[:, p.columns] = p.encode(values)
            if p.activity is not None:
                x[:, p.activity] = [v is not _MISSING for v in values]
        return x

    def active_part(
        self, configurations: Sequence[Mapping[str, Any]], certain: Sequence[Collection[str]]
    ) -> list[dict[str, Any]]:
        """Configurations without the parameters that are inactive in them.

        Args:
            configurations: ``n`` name-to-value mappings.
            certain: Names of the parameters of each that are active in any case.
        """
        parts = [dict(c) for c in configurations]
        if not parts or not self.rules:
            return parts
        x = self.encode(parts)
        for rule in self.rules:
            p = rule.parameter
            for i in np.flatnonzero(~rule(x)).tolist():
                if p.name in parts[i] and p.name not in certain[i]:
                    del parts[i][p.name]
                    x[i] = self.encode([parts[i]])[0]
        return parts

    def decode(self, x: FloatArray) -> list[dict[str, Any]]:
        """Decode points of shape ``(n, d)`` to configurations of the active parameters.

        Values are plain Python objects, inside their range and on their grid.
        """
        return [
            {
                p.name: p.decode(row[p.columns])
                for p in self.parameters
                if p.activity is None or row[p.activity] > 0.5
            }
            for row in np.asarray(x, dtype=np.float64)
        ]

    def project(self, x: FloatArray) -> FloatArray:
        """The nearest feasible points: on the grid, one-hot, pinned, inactive values neutral.

        Args:
            x: Any points, shape ``(n, d)``.

        Returns:
            Feasible points, shape ``(n, d)``. The projection is idempotent.
        """
        out = np.array(x, dtype=np.float64)
        columns, cells, log_ints = self._grid
        u = np.clip(out[:, columns], 0.0, 1.0)
        snapped = (np.minimum(np.floor(u * cells), cells - 1) + 0.5) / cells
        out[:, columns] = np.where(cells > 0, snapped, u)
        for p in log_ints:
            span = p.upper - p.lower
            value = np.rint(np.exp(p.lower + np.clip(x[:, p.start], 0.0, 1.0) * span))
            assert isinstance(p.distribution, IntDistribution)
            value = np.clip(value, float(p.distribution.low), float(p.distribution.high))
            out[:, p.start] = (np.log(value) - p.lower) / span
        for p in self.parameters:
            if p.categorical:
                best = np.argmax(out[:, p.columns], axis=1)
                out[:, p.columns] = 0.0
                out[np.arange(len(out)), p.start + best] = 1.0
        return self._deactivate(self._activate_pinned(self._hold(out)))

    def opening(self) -> dict[str, Any]:
        """Values of other parameters with which the pinned ones are active, by name."""
        (params,) = self.decode(self.project(self.encode([self.pinned])))
        columns = {c for rule in self.rules for c in rule.parents if self._is_pinned(rule)}
        for rule in reversed(self.rules):
            if rule.parameter.activity in columns:
                columns.update(rule.parents)
        return {
            p.name: params[p.name]
            for p in self.parameters
            if p.start in columns and p.name in params and p.name not in self.pinned
        }

    def _is_pinned(self, rule: ActivityRule) -> bool:
        return rule.parameter.name in self.pinned

    def _activate_pinned(self, x: FloatArray) -> FloatArray:
        """Change ``x`` in place so that pinned conditional parameters are active, if possible.

        Their parents take the nearest values with which they were active before: an enqueued value
        is of no use where its parameter is never asked for.
        """
        if not any(map(self._is_pinned, self.rules)):
            return x
        seen = self._deactivate(x.copy())
        needed = {rule.parameter.activity: self._is_pinned(rule) for rule in self.rules}
        rows_of = {c: np.full(len(x), pinned) for c, pinned in needed.items()}
        # Children first, for a parent has to be active itself.
        for rule in reversed(self.rules):
            rows = rows_of[rule.parameter.activity]
            if rule.examples is None or not len(rule.examples):
                continue
            closed = np.flatnonzero(rows & ~rule(seen))
            columns = list(rule.parents)
            if len(closed):
                gap = seen[closed][:, None, columns] - rule.examples
                nearest = rule.examples[np.square(gap).sum(axis=2).argmin(axis=1)]
                for y in (x, seen):
                    y[closed[:, None], columns] = nearest
                    self._hold(y)
            for column in set(columns) & rows_of.keys():
                rows_of[column] = rows_of[column] | (rows & (seen[:, column] > 0.5))
        return x

    def spread(self, u: FloatArray) -> FloatArray:
        """Map uniform numbers ``(n, p)``, one a parameter, to feasible points ``(n, d)``."""
        x = np.zeros((len(u), self.n_columns))
        for j, p in enumerate(self.parameters):
            if p.categorical:
                choice = np.minimum((u[:, j] * p.width).astype(int), p.width - 1)
                x[np.arange(len(u)), p.start + choice] = 1.0
            else:
                x[:, p.start] = u[:, j]
        return self.project(x)

    def grid(self) -> FloatArray:
        """All configurations of a finite space, shape ``(m, d)``, with pinned values.

        Raises:
            ValueError: If the space is not finite.
        """
        if not math.isfinite(self.n_points):
            raise ValueError(
                "`grid` needs a finite space, but this space has a continuous parameter."
            )
        axes = [
            np.arange(1 if p.name in self.pinned else p.n_values or 1) for p in self.parameters
        ]
        mesh = np.meshgrid(*axes, indexing="ij")
        u = np.empty((math.prod(len(a) for a in axes), len(axes)))
        for j, (p, cell) in enumerate(zip(self.parameters, mesh, strict=True)):
            u[:, j] = (cell.ravel() + 0.5) / (p.n_values or 1)
            if p.log and isinstance(p.distribution, IntDistribution):
                value = float(p.distribution.low) + cell.ravel()
                u[:, j] = (np.log(value) - p.lower) / (p.upper - p.lower)
        return np.unique(self.spread(u), axis=0)

    @cached_property
    def _grid(self) -> tuple[list[int], FloatArray, list[Parameter]]:
        """Numeric columns, their number of cells (-1: none), and the integers on a log scale."""
        numeric = [p for p in self.parameters if not p.categorical]
        log_ints = [p for p in numeric if p.log and isinstance(p.distribution, IntDistribution)]
        cells = [
            -1.0 if p.n_values is None or p in log_ints else float(p.n_values) for p in numeric
        ]
        return [p.start for p in numeric], np.array(cells), log_ints

    @cached_property
    def _held(self) -> tuple[list[int], FloatArray]:
        row = self.encode([self.pinned])[0]
        columns = [
            c
            for p in self.parameters
            if p.name in self.pinned
            for c in range(p.start, p.start + p.width)
        ]
        return columns, row[columns]

    def _hold(self, x: FloatArray) -> FloatArray:
        """Write the pinned values into ``x`` in place."""
        if self.pinned:
            columns, values = self._held
            x[:, columns] = values
        return x

    def _deactivate(self, x: FloatArray) -> FloatArray:
        """Apply the activity rules to ``x`` in place, parents first."""
        for rule in self.rules:
            p = rule.parameter
            assert p.activity is not None
            active = np.ones(len(x), dtype=bool) if p.name in self.pinned else rule(x)
            x[:, p.activity] = active
            x[~active, p.columns] = 0.0 if p.categorical else _NEUTRAL
        return x


def with_unit_column(space: SearchSpace, name: str) -> SearchSpace:
    """The space with one more parameter in ``[0, 1]``, in the last column."""
    one = _layout(name, FloatDistribution(0.0, 1.0), space.n_columns, conditional=False)
    return replace(space, parameters=(*space.parameters, one))


def _learn_activity(
    space: SearchSpace,
    configurations: Sequence[Mapping[str, Any]],
    present: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> tuple[ActivityRule, ...]:
    """One rule a conditional parameter; ``present`` and ``known`` have shape ``(n, p)``."""
    from sklearn.tree import DecisionTreeClassifier

    exact = space.encode(configurations)
    x = exact.astype(np.float32)
    share = present.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    rules = []
    # A parent is present more often than its child, so this order has parents first.
    for j in sorted(range(len(space.parameters)), key=lambda j: (-share[j], j)):
        child = space.parameters[j]
        if child.activity is None:
            continue
        rows = known[:, j]
        features: list[int] = []
        for k, parent in enumerate(space.parameters):
            always_with_child = (present[rows, k] >= present[rows, j]).all()
            more_often = present[rows, k].sum() > present[rows, j].sum()
            if always_with_child and more_often:
                features += range(parent.start, parent.start + parent.width)
                if parent.activity is not None:
                    features.append(parent.activity)
        tree = None
        if features:
            # Depth 8: enough for the conditions of real programs, shallow enough not to overfit.
            tree = DecisionTreeClassifier(max_depth=8, random_state=0)
            tree.fit(x[rows][:, features], present[rows, j])
        parents, examples = _examples(space, exact, rows & present[:, j], features, tree)
        rules.append(ActivityRule(child, tuple(features), tree, parents, examples))
    return tuple(rules)


def _examples(
    space: SearchSpace,
    x: FloatArray,
    active: NDArray[np.bool_],
    features: Sequence[int],
    tree: Any,
) -> tuple[tuple[int, ...], FloatArray | None]:
    """The columns that a rule depends on, and up to 64 different values of them where it holds."""
    if tree is None:
        return (), None
    used = {features[i] for i in tree.tree_.feature if i >= 0}
    parents: list[int] = []
    for p in space.parameters:
        own = [*range(p.start, p.start + p.width), *([] if p.activity is None else [p.activity])]
        if used.intersection(own):
            parents += own
    return tuple(parents), np.unique(x[active][:, parents], axis=0)[:64]


def space_to_json(space: SearchSpace) -> list[dict[str, Any]]:
    """A space as a JSON document, without the conditions of its conditional parameters.

    Raises:
        ValueError: If a parameter has choices that JSON cannot represent.
    """
    document = []
    for p in space.parameters:
        if isinstance(p.distribution, CategoricalDistribution):
            odd = [c for c in p.choices if not _plain(c)]
            if odd:
                raise ValueError(
                    f"To be written to a file, the choices of `{p.name}` must be None, booleans, "
                    f"finite numbers or strings, but one is {odd[0]!r}."
                )
        document.append(
            {
                "name": p.name,
                "distribution": json.loads(distribution_to_json(p.offered)),
                "conditional": p.activity is not None,
            }
        )
    return document


def space_from_json(document: Sequence[Mapping[str, Any]]) -> SearchSpace:
    """The inverse of :func:`space_to_json`; conditional parameters are always active.

    Raises:
        KeyError, TypeError, ValueError: If the document is not a valid space.
    """
    distributions = {
        str(row["name"]): json_to_distribution(json.dumps(row["distribution"])) for row in document
    }
    if len(distributions) != len(document):
        raise ValueError("a parameter occurs twice")
    return SearchSpace.laid_out(
        distributions, [str(row["name"]) for row in document if row["conditional"]]
    )


def _plain(choice: object) -> bool:
    if isinstance(choice, float):
        return math.isfinite(choice)
    return choice is None or isinstance(choice, (bool, int, str))


def is_value_of(distribution: IntDistribution, value: object) -> bool:
    """Whether an integer is in the range and on the grid of a distribution, without rounding."""
    return (
        isinstance(value, int)
        and distribution.low <= value <= distribution.high
        and (value - distribution.low) % distribution.step == 0
    )


def centre(distribution: BaseDistribution) -> Any:
    """The middle of a range on its scale, or the first choice."""
    space = SearchSpace.of({"value": distribution})
    return space.decode(space.neutral[None])[0]["value"]

"""Prior studies in one common space, and the map to it from the running study's space.

Axis letters: ``q`` points, ``d`` encoded columns of the running study, ``e`` of the common space.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
import torch
from torch import Tensor

from optuna_metasampler._runtime import gc_paused
from optuna_metasampler._text import listed
from optuna_metasampler._warnings import warn
from optuna_metasampler.history import (
    FinishedTrials,
    curve_correlation_in,
    distributions_of,
    finished_trials,
)
from optuna_metasampler.learning_curves import CurveCorrelation
from optuna_metasampler.outcomes import scalarize
from optuna_metasampler.priors.constants import is_number, meant, single, with_choices
from optuna_metasampler.priors.study import PriorStudy, meta_features
from optuna_metasampler.shortlist import best_first, shortlists_of_priors
from optuna_metasampler.space import Parameter, SearchSpace, choice_key
from optuna_metasampler.task import Task, to_tensor


if TYPE_CHECKING:
    from typing import TypeAlias

    from optuna_metasampler.space import FloatArray

    Numeric: TypeAlias = "FloatDistribution | IntDistribution"

_LARGEST = 1e308
_MAX_NAMES = 3


@dataclass(frozen=True)
class Pool:
    """Prior studies in one common space.

    Attributes:
        space: The common space.
        studies: Names of the studies that are used.
        records: Their finished trials.
        failures: Names and finished trials of further studies, whose trials cannot be ranked: all
            or nearly all have failed. They only say where trials fail.
        skipped: Names of the other studies, with the reason.
        features: Meta-features of the studies.
        curve_correlation: What is left of early differences at the end of their learning curves.
        constants: The parameters of the space that no study tuned, with the values that studies
            held them at.
    """

    space: SearchSpace
    studies: tuple[str, ...]
    records: tuple[FinishedTrials, ...]
    skipped: dict[str, str]
    features: tuple[Mapping[str, float], ...]
    curve_correlation: CurveCorrelation
    failures: tuple[tuple[str, FinishedTrials], ...] = ()
    constants: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def tuned(self) -> dict[str, BaseDistribution]:
        """The distributions of the parameters that a study tuned."""
        return {n: d for n, d in self.space.distributions.items() if n not in self.constants}

    @cached_property
    def recorded(self) -> dict[str, FloatArray]:
        """The values of each continuous parameter in finished trials, in ascending order."""
        names = [
            n
            for n, d in self.space.distributions.items()
            if isinstance(d, FloatDistribution) and d.step is None
        ]
        configurations = [c for records in self.records for c in records.configurations]
        return {
            name: np.unique([float(c[name]) for c in configurations if is_number(c.get(name))])
            for name in names
        }

    def tasks(
        self,
        weights: Sequence[float],
        without: frozenset[str] = frozenset(),
        ranges: Mapping[str, BaseDistribution] | None = None,
    ) -> list[Task]:
        """The studies as tasks of one outcome, without those that have none of the parameters.

        Args:
            weights: Weights of the objectives, see :func:`~optuna_metasampler.task.scalarize`.
            without: Parameters excluded from the common space.
            ranges: The running study's distributions of :attr:`constants`.
        """
        space = self._space(without, ranges or {})
        names = frozenset(space.names)
        used = [
            (name, records, features)
            for name, records, features in zip(
                self.studies, self.records, self.features, strict=True
            )
            if any(records.has_any(names, c) for c in records.configurations)
        ]
        # All studies at once: each call of the encoding has a cost besides that of the trials.
        configurations = [c for _, records, _ in used for c in records.configurations]
        together = Task.of(space, configurations, torch.zeros(len(configurations)))
        scale = torch.tensor(weights, dtype=torch.float64)
        tasks = []
        end = 0
        for name, records, features in used:
            configurations = records.configurations
            start, end = end, end + len(configurations)
            outcomes = to_tensor(records.outcomes)
            y = scalarize(outcomes, scale)
            # Copies: the last digit of a product depends on the alignment in memory.
            x, mask = together.x[start:end].clone(), together.mask[start:end].clone()
            task = replace(
                together, name=name, x=x, y=y, mask=mask, outcomes=outcomes, features=features
            )
            if any(records.constraints):
                constraint_names, table = records.constraint_table(range(len(configurations)))
                task = replace(
                    task, constraints=to_tensor(table), constraint_names=constraint_names
                )
            if records.extrapolated.any():
                task = replace(task, extrapolated=to_tensor(records.extrapolated))
            crashed = [c for c in records.crashed if records.has_any(names, c)]
            if crashed:
                task = replace(task, crashed=to_tensor(space.encode(crashed)))
            tasks.append(task)
        return tasks

    def failure_tasks(
        self,
        without: frozenset[str] = frozenset(),
        ranges: Mapping[str, BaseDistribution] | None = None,
    ) -> list[Task]:
        """The studies of :attr:`failures` as tasks whose outcome is 1, or -1 where a trial failed.

        Args:
            without: Parameters excluded from the common space.
            ranges: The running study's distributions of :attr:`constants`.
        """
        space = self._space(without, ranges or {})
        names = frozenset(space.names)
        tasks = []
        for name, records in self.failures:
            ended = [(c, 1.0) for c in records.configurations if records.has_any(names, c)]
            ended += [(c, -1.0) for c in records.crashed if records.has_any(names, c)]
            if any(label < 0 for _, label in ended):
                labels = torch.tensor([label for _, label in ended], dtype=torch.float64)
                tasks.append(Task.of(space, [c for c, _ in ended], labels, name=name))
        return tasks

    def warn_of_skipped(self) -> None:
        """Warn of the studies that are not used, of all at once."""
        if not self.skipped:
            return
        named: dict[str, list[str]] = {}
        for name, reason in self.skipped.items():
            named.setdefault(reason, []).append(repr(name))
        n = len(self.skipped) + len(self.studies) + len(self.failures)
        if len(self.skipped) == 1:
            ((reason, (name,)),) = named.items()
            text = f"The prior study {name} is left out: {reason}."
        else:
            groups = [f"{listed(names, _MAX_NAMES)} ({why})" for why, names in named.items()]
            text = f"{len(self.skipped)} of {n} prior studies are left out: {'; '.join(groups)}."
        warn(f"{text} Take them out of `prior` or `prior_studies` to silence this warning.")

    def _space(
        self, without: frozenset[str], ranges: Mapping[str, BaseDistribution]
    ) -> SearchSpace:
        if not without and not ranges:
            return self.space
        known = {n: with_choices(d, self.constants[n]) for n, d in ranges.items()}
        remaining = {
            n: known.get(n, d) for n, d in self.space.distributions.items() if n not in without
        }
        return _common_space(remaining, self.records)


@gc_paused()
def pool(
    studies: Sequence[PriorStudy],
    directions: Sequence[StudyDirection],
    rename: Mapping[str, str] | None = None,
    with_failures: bool = False,
) -> Pool:
    """Bring prior studies into one common space.

    Parameters are matched by name. Ranges are merged to their hull, choices to their union. A
    number in one study and a choice of numbers in another become a number; other disagreements on
    the kind, or on the log scale, are decided by the majority of trials. Values that do not fit,
    and parameters that a study does not have, are missing. What a study held constant
    (:attr:`PriorStudy.fixed`) counts as if its trials had recorded it.

    Args:
        studies: Prior studies.
        directions: Directions of the running study, and of bare trials.
        rename: Parameter names, from prior studies to the running study.
        with_failures: Whether studies that only say where trials fail are usable.

    Returns:
        The usable studies, and the reasons why the others are not.
    """
    names: list[str] = []
    used: list[FinishedTrials] = []
    curves: list[tuple[Sequence[FrozenTrial], StudyDirection]] = []
    features: list[dict[str, float]] = []
    drawn: dict[str, list[BaseDistribution]] = {}
    skipped: dict[str, str] = {}
    failures: list[tuple[str, FinishedTrials]] = []
    for study in studies:
        own = study.directions or tuple(directions)
        records = finished_trials(study.trials, own, rename, fixed=study.fixed)
        distributions = distributions_of(study.trials, rename)
        reason = unusable(own, directions, records, distributions)
        if (
            reason is not None
            and with_failures
            and says_where_trials_fail(own, directions, records, distributions)
        ):
            failures.append((study.name, records))
            for name, many in distributions.items():
                drawn.setdefault(name, []).extend(many)
            continue
        if reason is not None:
            skipped[study.name] = reason
            continue
        names.append(study.name)
        used.append(records)
        if len(own) == 1:
            curves.append((study.trials, own[0]))
        features.append(meta_features(study.user_attrs))
        for name, many in distributions.items():
            drawn.setdefault(name, []).extend(many)
    merged = {name: merge(many) for name, many in drawn.items()}
    held: dict[str, dict[object, Any]] = {}
    for records in (*used, *(records for _, records in failures)):
        for name, value in records.assumed.items():
            held.setdefault(name, {})[choice_key(value)] = value
    for name, values in held.items():
        constant = tuple(values.values())
        merged[name] = (
            with_choices(merged[name], constant)
            if name in drawn
            else merge([single(value) for value in constant])
        )
    space = _common_space(merged, used)
    return Pool(
        space,
        tuple(names),
        tuple(used),
        skipped,
        tuple(features),
        curve_correlation_in(curves),
        tuple(failures),
        {name: tuple(values.values()) for name, values in held.items() if name not in drawn},
    )


def warn_of_renames(rename: Mapping[str, str], studies: Sequence[PriorStudy]) -> None:
    """Warn of each name in ``rename`` that no prior study has, with what was probably meant."""
    if not rename:
        return
    known = {name for s in studies for t in s.trials for name in t.params}
    known.update(name for s in studies for name in s.fixed)
    for old, new in rename.items():
        if known and old not in known:
            hint = meant(old, sorted(known), "Parameters")
            if new in known:
                hint = f"It maps names there to names here: did you mean {{{new!r}: {old!r}}}?"
            warn(f"`rename` names {old!r}, but no prior study has that parameter. {hint}")


def unusable(
    own: Sequence[StudyDirection],
    directions: Sequence[StudyDirection],
    records: FinishedTrials,
    distributions: Mapping[str, object],
) -> str | None:
    """Reason why a study cannot be used; ``None`` if it can."""
    if len(own) != len(directions):
        return f"it has {len(own)} objective(s), the running study has {len(directions)}"
    if not records.configurations:
        return "it has no finished trial with a value"
    if not distributions:
        return "none of its parameters varies"
    if len({tuple(row) for row in records.outcomes.tolist()}) < 2:
        return (
            f"all of its {len(records.configurations)} finished trial(s) have the same value, "
            "so that it has no best trial"
        )
    return None


def says_where_trials_fail(
    own: Sequence[StudyDirection],
    directions: Sequence[StudyDirection],
    records: FinishedTrials,
    distributions: Mapping[str, object],
) -> bool:
    """Whether a study that is :func:`unusable` has failed trials to learn from."""
    return len(own) == len(directions) and bool(records.crashed) and bool(distributions)


def _common_space(
    distributions: Mapping[str, BaseDistribution], records: Sequence[FinishedTrials]
) -> SearchSpace:
    groups = [i for i, r in enumerate(records) for _ in r.configurations]
    configurations = [c for r in records for c in r.configurations]
    offered = shortlists_of_priors(distributions, _ranked(records))
    return SearchSpace.of(distributions, configurations, groups, offered)


def _ranked(records: Sequence[FinishedTrials]) -> Iterator[dict[str, Any]]:
    """The best configuration of each study, then the second best of each, and so on."""
    orders = [best_first(r.outcomes) for r in records]
    for rank in range(max(map(len, orders), default=0)):
        for r, order in zip(records, orders, strict=True):
            if rank < len(order):
                yield r.configurations[order[rank]]


def merge(distributions: Sequence[BaseDistribution]) -> BaseDistribution:
    """One distribution that covers all distributions of a parameter.

    Args:
        distributions: At least one; each is repeated for every trial that used it.
    """
    # Each object once: the trials of a study may share it, and comparisons are slow.
    each = {id(d): d for d in distributions}
    counts = Counter(map(id, distributions))
    categorical = _different(d for d in each.values() if isinstance(d, CategoricalDistribution))
    numeric = [d for d in each.values() if isinstance(d, (FloatDistribution, IntDistribution))]
    n_numeric = sum(counts[id(d)] for d in numeric)
    numbers = all(map(of_numbers, categorical))
    if not numeric or (len(distributions) > 2 * n_numeric and not numbers):
        choices = {choice_key(c): c for d in categorical for c in d.choices}
        return CategoricalDistribution(tuple(choices.values()))
    chosen = [c for d in categorical for c in d.choices] if numbers else []
    if len(set(numeric)) == 1 and not chosen:
        return numeric[0]
    whole = all(isinstance(d, IntDistribution) for d in numeric) and all(
        isinstance(c, int) for c in chosen
    )
    log = 2 * sum(counts[id(d)] for d in numeric if d.log) > n_numeric
    edges: list[Any] = [*(e for d in numeric for e in (d.low, d.high)), *chosen]
    if log:
        # Ends that have no logarithm are ignored, so that the majority keeps its scale.
        edges = [e for e in edges if (e >= 1 if whole else e > 0)]
    if whole:
        return IntDistribution(int(min(edges)), int(max(edges)), log=log)
    return FloatDistribution(float(min(edges)), float(max(edges)), log=log)


def _different(distributions: Iterable[CategoricalDistribution]) -> list[CategoricalDistribution]:
    """The first of each group with the same choices, of the same types."""
    first: dict[object, CategoricalDistribution] = {}
    for d in distributions:
        key: object = d.choices, tuple(map(type, d.choices))
        try:
            first.setdefault(key, d)
        except TypeError:
            # A choice has no hash.
            first[id(d)] = d
    return list(first.values())


def of_numbers(distribution: BaseDistribution) -> bool:
    """Whether all values are numbers, as those of ``[16, 32]``; Booleans are not numbers."""
    if not isinstance(distribution, CategoricalDistribution):
        return True
    return all(
        isinstance(c, (int, float)) and not isinstance(c, bool) and abs(c) <= _LARGEST
        for c in distribution.choices
    )


def compatible(a: BaseDistribution, b: BaseDistribution) -> bool:
    """Whether values of ``a`` can be read as values of ``b``: both numbers, or both choices."""
    same_kind = isinstance(a, CategoricalDistribution) == isinstance(b, CategoricalDistribution)
    return same_kind or (of_numbers(a) and of_numbers(b))


def nearest_choice(distribution: CategoricalDistribution, value: object) -> Any:
    """The choice that represents a value of another study; ``True`` and ``1`` are different.

    Returns:
        The value itself if it is a choice, the nearest choice if all are numbers, or
        :data:`NO_CHOICE`.
    """
    choices = {choice_key(choice): choice for choice in distribution.choices}
    if choice_key(value) in choices:
        return choices[choice_key(value)]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not of_numbers(distribution):
        return NO_CHOICE
    return min(distribution.choices, key=lambda choice: abs(choice - value))  # type: ignore[operator]


def fitted(configuration: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """A configuration of another space, its choices replaced by the nearest ones of ``space``."""
    fit = dict(configuration)
    for p in space.parameters:
        if isinstance(p.distribution, CategoricalDistribution) and p.name in fit:
            choice = p.choice_of_type.get(choice_key(fit[p.name]), NO_CHOICE)
            if choice is NO_CHOICE:
                choice = nearest_choice(p.distribution, fit[p.name])
            fit[p.name] = fit[p.name] if choice is NO_CHOICE else choice
    return fit


class _NoChoice:
    """Type of :data:`NO_CHOICE`; ``None`` is not used, for it may be a choice."""


NO_CHOICE = _NoChoice()


def shared_names(own: SearchSpace, common: SearchSpace) -> set[str]:
    """Names of the parameters with comparable values in both spaces."""
    theirs = common.distributions
    return {
        name
        for name, distribution in own.distributions.items()
        if name in theirs and compatible(distribution, theirs[name])
    }


@dataclass(frozen=True)
class Alignment:
    """Maps points of the running study's space to the common space of the prior studies.

    The map preserves raw values: it is affine if both columns have the same scale, a logarithm or
    an exponential if only one is logarithmic, and choice by choice for categories. A choice of
    numbers is mapped to the position of its number; a number between two choices becomes a linear
    blend of both, and a number beyond them the last choice. Numbers outside the common range count
    as its ends: what was learned there carries on beyond, so that an optimum at an end draws the
    search across it. Parameters that the running study does not have are missing, but for those
    that it holds constant. Differentiable in numeric columns.

    Attributes:
        matrix: Linear part, shape ``(d, e)``.
        offset: Shape ``(e,)``.
        bent: For every column of another scale: source column, target column, and edges of both:
            ``(column, column, log, lower, upper, lower, upper)`` where ``log`` says whether the
            running study's side is the logarithmic one.
        blended: For every number that is a choice in the common space: source column, positions
            of the choices in it, ascending, and their target columns; shapes ``(k,)``.
        activity: For every column of ``e`` the column of ``d`` that says whether it is active; -1
            where it always is; shape ``(e,)``.
        neutral: The encoding of a missing configuration, shape ``(e,)``.
    """

    matrix: Tensor
    offset: Tensor
    bent: tuple[tuple[int, int, bool, float, float, float, float], ...]
    blended: tuple[tuple[int, Tensor, Tensor], ...]
    activity: Tensor
    neutral: Tensor

    @classmethod
    def of(
        cls, own: SearchSpace, common: SearchSpace, held: Mapping[str, Any] | None = None
    ) -> Alignment:
        """The map from a study's ``own`` space to the ``common`` one.

        Args:
            own: The study's space.
            common: The other space.
            held: Values that the study holds other parameters at.
        """
        d, e = own.n_columns, common.n_columns
        matrix = torch.zeros((d, e), dtype=torch.float64)
        neutral = to_tensor(common.neutral)
        others = {n: v for n, v in (held or {}).items() if n not in own.distributions}
        offset = to_tensor(common.encode([others])[0])
        activity = torch.full((e,), -1, dtype=torch.int64)
        bent: list[tuple[int, int, bool, float, float, float, float]] = []
        blended: list[tuple[int, Tensor, Tensor]] = []
        theirs = {p.name: p for p in own.parameters}
        for p in common.parameters:
            source = theirs.get(p.name)
            if source is None or not compatible(source.distribution, p.distribution):
                continue
            offset[p.columns] = 0.0
            if source.activity is not None:
                activity[p.columns] = source.activity
            if p.activity is not None:
                if source.activity is None:
                    offset[p.activity] = 1.0
                else:
                    matrix[source.activity, p.activity] = 1.0
            if p.categorical and source.categorical:
                _match_choices(matrix, source, p)
            elif p.categorical:
                blended.append(_blend(source, p))
            elif isinstance(source.distribution, CategoricalDistribution):
                # Relative to the neutral value, which thus stands for no choice at all.
                places = p.encode(source.choices)[:, 0]
                offset[p.start] = neutral[p.start]
                matrix[source.columns, p.start] = to_tensor(places) - neutral[p.start]
            elif source.log == p.log:
                # Halved, because a range such as [-1e308, 1e308] has no finite width.
                width = p.upper / 2 - p.lower / 2
                matrix[source.start, p.start] = (source.upper / 2 - source.lower / 2) / width
                apart = (source.origin - p.origin) / 2
                offset[p.start] = (source.lower / 2 - p.lower / 2 + apart) / width
            else:
                edges = (*_from_zero(source), *_from_zero(p))
                bent.append((source.start, p.start, source.log, *edges))
        return cls(matrix, offset, tuple(bent), tuple(blended), activity, neutral)

    def __call__(self, x: Tensor) -> Tensor:
        """Map points ``(q, d)`` to points ``(q, e)``."""
        out = x @ self.matrix + self.offset
        for column, target, log, lower, upper, to_lower, to_upper in self.bent:
            value = (1.0 - x[:, column]) * lower + x[:, column] * upper
            if log:
                value = value.exp()
            else:
                # Values below the common range may have no logarithm.
                floor = torch.tensor(to_lower, dtype=torch.float64).exp()
                value = torch.maximum(value, floor).log()
            position = (value - to_lower) / (to_upper - to_lower)
            out = out.index_copy(1, torch.tensor([target]), position[:, None])
        for column, knots, targets in self.blended:
            out = out.index_copy(1, targets, _hats(x[:, column], knots))
        out = out.clamp(0.0, 1.0)
        if bool((self.activity >= 0).any()):
            on = torch.where(self.activity >= 0, x[:, self.activity.clamp_min(0)], 1.0)
            out = on * out + (1.0 - on) * self.neutral
        return out


def _from_zero(p: Parameter) -> tuple[float, float]:
    """The edges of a numeric column, whatever they are relative to; never equal."""
    lower, upper = p.lower + p.origin, p.upper + p.origin
    return lower, max(upper, math.nextafter(lower, math.inf))


def _match_choices(matrix: Tensor, source: Parameter, target: Parameter) -> None:
    """Write ones where choices of ``source`` and ``target`` are equal, including their type."""
    assert isinstance(source.distribution, CategoricalDistribution)
    columns = {choice_key(c): target.start + i for i, c in enumerate(target.choices)}
    matched = set()
    # Where the running study has both 1 and True, which are one there, the first one that the
    # prior studies know stands for both.
    for choice in source.distribution.choices:
        place, column = source.place(choice), columns.get(choice_key(choice))
        if column is not None and place >= 0 and place not in matched:
            matched.add(place)
            matrix[source.start + place, column] = 1.0


def _blend(source: Parameter, target: Parameter) -> tuple[int, Tensor, Tensor]:
    """Positions in the column of ``source`` of the choices of ``target``, all of them numbers."""
    choices = target.choices
    order = sorted(range(len(choices)), key=lambda i: choices[i])
    knots = to_tensor(source.encode([choices[i] for i in order])[:, 0])
    return source.start, knots, torch.tensor(order) + target.start


def _hats(x: Tensor, knots: Tensor) -> Tensor:
    """Weights of the knots ``(k,)`` at points ``(q,)``: linear in between, shape ``(q, k)``."""
    weights = x.new_zeros((len(x), len(knots)))
    if len(knots) == 1:
        return weights + 1.0
    right = torch.searchsorted(knots, x.detach().contiguous()).clamp(1, len(knots) - 1)
    left = right - 1
    # Numbers far outside the range share one position.
    width = (knots[right] - knots[left]).clamp_min(1e-12)
    share = ((x - knots[left]) / width).clamp(0.0, 1.0)
    weights = weights.scatter(1, left[:, None], 1.0 - share[:, None])
    return weights.scatter(1, right[:, None], share[:, None])

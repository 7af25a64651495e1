"""Prior studies of other shapes in one common space, and the way there from a study's own space.

Axis letters: ``q`` points, ``d`` encoded columns of the running study, ``e`` of the common space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
import torch
from torch import Tensor

from optuna_metasampler.priors.records import Records, distributions_of, records_of
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import Parameter, SearchSpace, choice_key
from optuna_metasampler.task import Task, scalarize, to_tensor


if TYPE_CHECKING:
    from typing import TypeAlias

    Numeric: TypeAlias = "FloatDistribution | IntDistribution"

# As in the encoding: a value outside the common range is kept up to half a range away.
_LOW, _HIGH = -0.5, 1.5


@dataclass(frozen=True)
class Pool:
    """Prior studies in one common space.

    Attributes:
        space: The common space.
        studies: Names of the studies that are used.
        records: Their records.
        skipped: Names of the studies that are not, with the reason.
    """

    space: SearchSpace
    studies: tuple[str, ...]
    records: tuple[Records, ...]
    skipped: dict[str, str]

    def tasks(self, weights: Sequence[float], without: frozenset[str] = frozenset()) -> list[Task]:
        """The studies as tasks of one outcome.

        Args:
            weights: Weights of the objectives, see :func:`~optuna_metasampler.task.scalarize`.
            without: Parameters to leave out of the common space.
        """
        space = self._space(without)
        return [
            Task.of(
                space,
                records.configurations,
                scalarize(to_tensor(records.outcomes), torch.tensor(weights, dtype=torch.float64)),
                name=name,
            )
            for name, records in zip(self.studies, self.records, strict=True)
        ]

    def _space(self, without: frozenset[str]) -> SearchSpace:
        if not without:
            return self.space
        kept = {n: d for n, d in self.space.distributions.items() if n not in without}
        return _common_space(kept, self.records)


def pool(
    studies: Sequence[PriorStudy],
    directions: Sequence[StudyDirection],
    rename: Mapping[str, str] | None = None,
) -> Pool:
    """Bring prior studies into one common space.

    Parameters are matched by name. Their range is the hull of the studies' ranges, their choices
    the union; where studies disagree on the kind (a number here, a choice there) or on the log
    scale, the majority of trials decides. A value that does not fit is missing, and so is a
    parameter that a study does not have.

    Args:
        studies: Prior studies.
        directions: Directions of the running study; bare trials are read by these.
        rename: Parameters' names, prior to running study.

    Returns:
        The studies that can be used, and why the others cannot.
    """
    names: list[str] = []
    kept: list[Records] = []
    shown: dict[str, list[BaseDistribution]] = {}
    skipped: dict[str, str] = {}
    for study in studies:
        own = study.directions or tuple(directions)
        records = records_of(study.trials, own, rename)
        distributions = distributions_of(study.trials, rename)
        reason = _unusable(own, directions, records, distributions)
        if reason is not None:
            skipped[study.name] = reason
            continue
        names.append(study.name)
        kept.append(records)
        for name, many in distributions.items():
            shown.setdefault(name, []).extend(many)
    space = _common_space({name: merge(many) for name, many in shown.items()}, kept)
    return Pool(space, tuple(names), tuple(kept), skipped)


def _unusable(
    own: Sequence[StudyDirection],
    directions: Sequence[StudyDirection],
    records: Records,
    distributions: Mapping[str, object],
) -> str | None:
    """Why a study cannot be learned from; ``None`` where it can."""
    if len(own) != len(directions):
        return f"it has {len(own)} objective(s), the running study has {len(directions)}"
    if not records.configurations:
        return "it has no finished trial with a value"
    if not distributions:
        return "none of its parameters varies"
    if len({tuple(row) for row in records.outcomes.tolist()}) < 2:
        return (
            f"all of its {len(records.configurations)} finished trial(s) have the same value, "
            "which says nothing about what is better"
        )
    return None


def _common_space(
    distributions: Mapping[str, BaseDistribution], records: Sequence[Records]
) -> SearchSpace:
    groups = [i for i, r in enumerate(records) for _ in r.configurations]
    return SearchSpace.of(distributions, [c for r in records for c in r.configurations], groups)


def merge(distributions: Sequence[BaseDistribution]) -> BaseDistribution:
    """One distribution for all under which a parameter was drawn.

    Args:
        distributions: At least one, listed as often as it was used.
    """
    categorical = [d for d in distributions if isinstance(d, CategoricalDistribution)]
    numeric = [d for d in distributions if isinstance(d, (FloatDistribution, IntDistribution))]
    if len(categorical) > len(numeric):
        choices = {choice_key(c): c for d in categorical for c in d.choices}
        return CategoricalDistribution(tuple(choices.values()))
    if len(set(numeric)) == 1:
        return numeric[0]
    low, high = min(d.low for d in numeric), max(d.high for d in numeric)
    mostly_log = 2 * sum(d.log for d in numeric) > len(numeric)
    if all(isinstance(d, IntDistribution) for d in numeric):
        return IntDistribution(int(low), int(high), log=mostly_log and low >= 1)
    return FloatDistribution(low, high, log=mostly_log and low > 0)


def compatible(a: BaseDistribution, b: BaseDistribution) -> bool:
    """Whether values of ``a`` can be read as values of ``b``: both numbers, or both choices."""
    return isinstance(a, CategoricalDistribution) == isinstance(b, CategoricalDistribution)


def shared_names(own: SearchSpace, common: SearchSpace) -> set[str]:
    """Names of the parameters whose values in one space can be read as values in the other."""
    theirs = common.distributions
    return {
        name
        for name, distribution in own.distributions.items()
        if name in theirs and compatible(distribution, theirs[name])
    }


@dataclass(frozen=True)
class Alignment:
    """Maps points of the running study's space to the common space of the prior studies.

    The map goes through the raw values: an affine one where both columns have the same scale,
    through the logarithm or the exponential where one is logarithmic and the other is not, choice
    by choice for categories. What the running study does not have is missing. Differentiable in
    numeric columns.

    Attributes:
        matrix: Linear part, shape ``(d, e)``.
        offset: Shape ``(e,)``.
        bent: For every column of another scale: source column, target column, and edges of both:
            ``(column, column, log, lower, upper, lower, upper)`` where ``log`` says whether the
            running study's side is the logarithmic one.
        activity: For every column of ``e`` the column of ``d`` that says whether it is active; -1
            where it always is; shape ``(e,)``.
        neutral: The encoding of a missing configuration, shape ``(e,)``.
    """

    matrix: Tensor
    offset: Tensor
    bent: tuple[tuple[int, int, bool, float, float, float, float], ...]
    activity: Tensor
    neutral: Tensor

    @classmethod
    def of(cls, own: SearchSpace, common: SearchSpace) -> Alignment:
        """The map from a study's ``own`` space to the ``common`` one."""
        d, e = own.n_columns, common.n_columns
        matrix = torch.zeros((d, e), dtype=torch.float64)
        neutral = to_tensor(common.neutral)
        offset = neutral.clone()
        activity = torch.full((e,), -1, dtype=torch.int64)
        bent: list[tuple[int, int, bool, float, float, float, float]] = []
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
            if p.categorical:
                _match_choices(matrix, source, p)
            elif source.log == p.log:
                width = p.upper - p.lower
                matrix[source.start, p.start] = (source.upper - source.lower) / width
                offset[p.start] = (source.lower - p.lower) / width
            else:
                edges = (source.lower, source.upper, p.lower, p.upper)
                bent.append((source.start, p.start, source.log, *edges))
        return cls(matrix, offset, tuple(bent), activity, neutral)

    def __call__(self, x: Tensor) -> Tensor:
        """Map points ``(q, d)`` to points ``(q, e)``."""
        out = x @ self.matrix + self.offset
        for column, target, log, lower, upper, to_lower, to_upper in self.bent:
            value = lower + x[:, column] * (upper - lower)
            if log:
                value = value.exp()
            else:
                # What the logarithm cannot take lies at, or below, the common range's lower end.
                floor = torch.tensor(to_lower - (to_upper - to_lower), dtype=torch.float64).exp()
                value = torch.maximum(value, floor).log()
            position = (value - to_lower) / (to_upper - to_lower)
            out = out.index_copy(1, torch.tensor([target]), position[:, None])
        out = out.clamp(_LOW, _HIGH)
        if bool((self.activity >= 0).any()):
            on = torch.where(self.activity >= 0, x[:, self.activity.clamp_min(0)], 1.0)
            out = on * out + (1.0 - on) * self.neutral
        return out


def _match_choices(matrix: Tensor, source: Parameter, target: Parameter) -> None:
    """Write ones where a choice of ``source`` and of ``target`` are the same, type included."""
    assert isinstance(source.distribution, CategoricalDistribution)
    assert isinstance(target.distribution, CategoricalDistribution)
    columns = {choice_key(c): target.start + i for i, c in enumerate(target.distribution.choices)}
    for i, choice in enumerate(source.distribution.choices):
        column = columns.get(choice_key(choice))
        if column is not None:
            matrix[source.start + i, column] = 1.0

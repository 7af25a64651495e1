"""Overlap of prior studies with a search space, as a table that can be printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import Study, StudyDirection

from optuna_metasampler._text import counted, listed, preformatted, printable, table
from optuna_metasampler.history import distributions_of, finished_trials
from optuna_metasampler.priors.align import compatible, merge, says_where_trials_fail, unusable
from optuna_metasampler.priors.constants import single
from optuna_metasampler.priors.study import PriorFilter, PriorStudy, Selected, select
from optuna_metasampler.space import choice_key


_MAX_SHOWN = 6
_ONLY_HERE, _ONLY_PRIOR = "only here", "only in the prior study"
_FIXED = "fixed"


@dataclass(frozen=True)
class ParameterOverlap:
    """One parameter of a prior study, of the search space, or of both.

    Attributes:
        name: Its name in the search space; that in the prior study if the space lacks it.
        shared: Whether its values in the prior study can be used in the search space.
        notes: Differences between the prior study and the search space ("here"), as text.
    """

    name: str
    shared: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyOverlap:
    """Overlap of one prior study with a search space.

    Attributes:
        name: Name of the study.
        n_trials: Number of its trials with an outcome, without those of the running study.
        n_own: Number of its trials that also belong to the running study.
        reason: Why the study is not used; ``None`` if it is used.
        parameters: Its parameters and those of the search space, by name; none if the study was
            left out before they were compared.
        fixed: Values of shared parameters that it is said to have held constant, for the trials
            that recorded none.
        fixed_here: Values of the parameters that it tuned, and that the running study is said to
            hold constant.
    """

    name: str
    n_trials: int
    n_own: int
    reason: str | None
    parameters: tuple[ParameterOverlap, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    fixed_here: Mapping[str, Any] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether the study is used."""
        return self.reason is None

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the parameters whose values can be used in the search space."""
        return tuple(p.name for p in self.parameters if p.shared)


@dataclass(frozen=True)
class Overlaps:
    """Overlap of prior studies with one search space; printed as a table.

    Attributes:
        studies: One entry per prior study, in the order given.
        names: The parameters of the search space; ``None`` if it is not known yet.
    """

    studies: tuple[StudyOverlap, ...]
    names: tuple[str, ...] | None

    def __iter__(self) -> Iterator[StudyOverlap]:
        return iter(self.studies)

    def __len__(self) -> int:
        return len(self.studies)

    def __str__(self) -> str:
        if not self.studies:
            return "No prior studies."
        rows = [["prior study", "trials", "shared", "used"]]
        for s in self.studies:
            used = "yes" if s.reason is None else f"no: {s.reason}"
            shared = "?" if self.names is None else f"{len(s.shared)} of {len(self.names)}"
            rows.append([s.name, str(s.n_trials), shared, used])
        head, *lines = table(rows, left={0, 2, 3})
        text = [head]
        for s, line in zip(self.studies, lines, strict=True):
            text.append(line)
            text += [f"    {detail}" for detail in _details(s)] if s.usable else []
        if self.names is None:
            text.append("The first trial will show which parameters are shared.")
        return "\n".join(text)

    def __repr__(self) -> str:
        """What an interactive session shows: the contents, not the fields."""
        return str(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return preformatted(str(self))


def _details(study: StudyOverlap) -> Iterator[str]:
    if study.n_own:
        yield f"{study.n_own} more trials belong to the running study"
    alone = {
        note: [p.name for p in study.parameters if p.notes == (note,)]
        for note in (_ONLY_HERE, _ONLY_PRIOR)
    }
    for p in study.parameters:
        if p.notes and p.notes[0] not in alone:
            yield printable(f"{p.name}: {'; '.join(p.notes)}")
    for note, names in alone.items():
        if names:
            yield printable(f"{note}: {listed(names, _MAX_SHOWN)}")


def inspect(
    priors: Sequence[PriorStudy],
    target: Mapping[str, BaseDistribution] | Study | PriorStudy,
    prior_filter: PriorFilter,
    rename: Mapping[str, str] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Overlaps:
    """Overlap of prior studies with a search space or with a study.

    Args:
        priors: Prior studies.
        target: A search space, name to distribution; or a study, whose space consists of the
            latest distributions of its finished trials.
        prior_filter: Conditions that prior studies must meet.
        rename: Parameter names, from prior studies to the target.
        fixed: Values of parameters that the objective of the running study holds constant.
    """
    if isinstance(target, Mapping):
        return overlaps(select(priors, None, prior_filter, rename), target, None, rename, fixed)
    running = PriorStudy.of(target) if isinstance(target, Study) else target
    space = _space_of(running)
    selected = select(priors, running, prior_filter, rename)
    return overlaps(selected, space or None, running.directions, rename, fixed)


def of_space(
    learned: Mapping[str, BaseDistribution],
    studies: Sequence[tuple[str, int]],
    target: Mapping[str, BaseDistribution] | Study | PriorStudy,
) -> Overlaps:
    """Overlap of prior studies, of which only their common space is kept, with a space or study.

    Args:
        learned: The common space, name to distribution.
        studies: Name and number of trials of each prior study.
        target: As in :func:`inspect`.
    """
    own = space_of(target)
    space = own or None
    rows = tuple(
        _parameter_overlap(name, learned.get(name), space, False, None)
        for name in sorted({*learned, *own})
    )
    reason = None
    if space is not None and not any(row.shared for row in rows):
        reason = _foreign(learned)
    return Overlaps(
        tuple(StudyOverlap(name, n, 0, reason, rows) for name, n in studies),
        None if space is None else tuple(sorted(space)),
    )


def space_of(
    target: Mapping[str, BaseDistribution] | Study | PriorStudy,
) -> Mapping[str, BaseDistribution]:
    """The search space of a target of :func:`inspect`."""
    if isinstance(target, Mapping):
        return target
    return _space_of(PriorStudy.of(target) if isinstance(target, Study) else target)


def _space_of(running: PriorStudy) -> dict[str, BaseDistribution]:
    """The latest distributions of a study."""
    return {name: many[-1] for name, many in distributions_of(running.trials).items()}


def _foreign(space: Mapping[str, BaseDistribution]) -> str:
    names = listed(sorted(space), _MAX_SHOWN)
    return f"none of its parameters ({names}) is in this search space"


def overlaps(
    selected: Sequence[Selected],
    target: Mapping[str, BaseDistribution] | None,
    directions: Sequence[StudyDirection] | None = None,
    rename: Mapping[str, str] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Overlaps:
    """Overlap of selected prior studies with a search space.

    Args:
        selected: The prior studies.
        target: The search space, name to distribution; ``None`` if it is unknown.
        directions: The directions of the running study; ``None`` if they do not matter.
        rename: Parameter names, from prior studies to the running study.
        fixed: Values of parameters that the objective of the running study holds constant.
    """
    rows = tuple(
        _study_overlap(s, target, directions, rename or {}, fixed or {}) for s in selected
    )
    return Overlaps(rows, None if target is None else tuple(sorted(target)))


def _study_overlap(
    selected: Selected,
    target: Mapping[str, BaseDistribution] | None,
    directions: Sequence[StudyDirection] | None,
    rename: Mapping[str, str],
    fixed_here: Mapping[str, Any],
) -> StudyOverlap:
    study = selected.study
    own = study.directions or directions
    if own is None:
        n_values = max((len(t.values) for t in study.trials if t.values), default=1)
        own = (StudyDirection.MINIMIZE,) * n_values
    records = finished_trials(study.trials, own, rename, fixed=study.fixed)
    n_trials = len(records.configurations)
    if selected.reason is not None:
        return StudyOverlap(study.name, n_trials, selected.n_own, selected.reason, ())
    distributions = distributions_of(study.trials, rename)
    reason = unusable(own, directions or own, records, distributions)
    if reason is not None and says_where_trials_fail(
        own, directions or own, records, distributions
    ):
        n_failed = counted(len(records.crashed), "failed trial says", "failed trials say")
        reason = f"{reason}; {n_failed} where trials fail"
    space = {name: merge(many) for name, many in distributions.items()}
    recorded = {name for c in records.configurations for name in c} - records.assumed.keys()
    old_names = {new: old for old, new in rename.items()}
    filled = _filled(study, rename)
    held = {n: v for n, v in fixed_here.items() if n in space and n not in (target or ())}
    parameters = []
    for name in sorted({*space, *recorded, *records.assumed, *(target or ())}):
        known = space.get(name)
        if name in records.assumed:
            row = _constant_overlap(name, records.assumed[name], target, old_names.get(name))
        else:
            row = _parameter_overlap(name, known, target, name in recorded, old_names.get(name))
        if name in held:
            notes = [note for note in row.notes if note != _ONLY_PRIOR]
            row = replace(row, notes=(*notes, f"{held[name]!r} here (fixed)"))
        elif name in filled and row.shared and known is not None:
            note = f"{filled[name]!r} in the trials without it (fixed)"
            row = replace(row, notes=(*row.notes, note))
        parameters.append(row)
    shared = [p.name for p in parameters if p.shared]
    if reason is None and target is not None and not set(shared) - records.assumed.keys():
        reason = _foreign(space)
    return StudyOverlap(
        study.name,
        n_trials,
        selected.n_own,
        reason,
        tuple(parameters),
        {name: filled[name] for name in shared if name in filled},
        held,
    )


def _filled(study: PriorStudy, rename: Mapping[str, str]) -> dict[str, Any]:
    """What the study is said to have held constant, and some trial did not record."""
    said = {rename.get(name, name): value for name, value in study.fixed.items()}
    trials = [t for t in study.trials if t.state.is_finished()] if said else []
    recorded = [{rename.get(name, name) for name in t.params} for t in trials]
    return {n: v for n, v in said.items() if any(n not in names for names in recorded)}


def _constant_overlap(
    name: str,
    value: Any,
    target: Mapping[str, BaseDistribution] | None,
    old_name: str | None,
) -> ParameterOverlap:
    """A parameter that the prior study is said to have held constant."""
    if target is not None and name not in target:
        return ParameterOverlap(name, False, (_ONLY_PRIOR,))
    own = None if target is None else target[name]
    prior = single(value)
    notes = [] if old_name is None else [f"named {old_name}"]
    notes.append(f"{value!r} in the prior study (fixed)")
    shared = own is not None and compatible(prior, own)
    if own is not None and not shared:
        notes.append(f"{_kind(prior)}, here {_kind(own)}")
    return ParameterOverlap(name, shared, tuple(notes))


def _parameter_overlap(
    name: str,
    prior: BaseDistribution | None,
    target: Mapping[str, BaseDistribution] | None,
    fixed: bool,
    old_name: str | None,
) -> ParameterOverlap:
    renamed = (f"named {old_name}",) if old_name is not None and (prior or fixed) else ()
    if target is None:
        return ParameterOverlap(name, False, renamed)
    own = target.get(name)
    if own is None:
        return ParameterOverlap(name, False, (*renamed, _ONLY_PRIOR))
    if prior is None:
        return ParameterOverlap(name, False, (*renamed, _FIXED if fixed else _ONLY_HERE))
    if not compatible(prior, own):
        notes = (*renamed, f"{_kind(prior)}, here {_kind(own)}")
        return ParameterOverlap(name, False, notes)
    return ParameterOverlap(name, True, (*renamed, *_differences(prior, own)))


def _differences(prior: BaseDistribution, own: BaseDistribution) -> list[str]:
    """Differences between two distributions with comparable values."""
    notes = []
    if _kind(prior) != _kind(own):
        notes.append(f"{_kind(prior)}, here {_kind(own)}")
    if isinstance(prior, CategoricalDistribution) and isinstance(own, CategoricalDistribution):
        old = {choice_key(c): c for c in prior.choices}
        new = {choice_key(c): c for c in own.choices}
        for where, choices in (
            (_ONLY_PRIOR, [c for k, c in old.items() if k not in new]),
            (_ONLY_HERE, [c for k, c in new.items() if k not in old]),
        ):
            if choices:
                notes.append(f"{listed(map(repr, choices), _MAX_SHOWN)} {where}")
        return notes
    if isinstance(prior, CategoricalDistribution) or isinstance(own, CategoricalDistribution):
        return notes
    assert isinstance(prior, (FloatDistribution, IntDistribution))
    assert isinstance(own, (FloatDistribution, IntDistribution))
    if (prior.low, prior.high) != (own.low, own.high):
        notes.append(f"{_range(prior)}, here {_range(own)}")
    if prior.log != own.log:
        notes.append(f"{_scale(prior)} scale, here {_scale(own)}")
    if type(prior) is type(own) and prior.step != own.step:
        notes.append(f"{_step(prior)}, here {_step(own)}")
    return notes


def _kind(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return "choices"
    return "int" if isinstance(distribution, IntDistribution) else "float"


def _range(distribution: FloatDistribution | IntDistribution) -> str:
    return f"{distribution.low:g} to {distribution.high:g}"


def _scale(distribution: FloatDistribution | IntDistribution) -> str:
    return "log" if distribution.log else "linear"


def _step(distribution: FloatDistribution | IntDistribution) -> str:
    return "no step" if distribution.step is None else f"step {distribution.step:g}"

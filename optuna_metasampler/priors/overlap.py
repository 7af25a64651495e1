"""How far prior studies and a search space overlap, as a value that can be printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import Study, StudyDirection

from optuna_metasampler._text import listed, printable, table
from optuna_metasampler.history import distributions_of, finished_trials
from optuna_metasampler.priors.align import compatible, merge, unusable
from optuna_metasampler.priors.filter import PriorFilter
from optuna_metasampler.priors.selection import Selected, select
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import choice_key


_MAX_SHOWN = 6
_ONLY_HERE, _ONLY_THERE = "only here", "only there"


@dataclass(frozen=True)
class ParameterOverlap:
    """One parameter, in a prior study and here.

    Attributes:
        name: Its name here; the one there if it is missing here.
        shared: Whether its values there say something here.
        notes: What differs, in words.
    """

    name: str
    shared: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyOverlap:
    """One prior study, and what of it is of use here.

    Attributes:
        name: Name of the study.
        n_trials: Number of its trials with an outcome; trials of the running study not counted.
        n_own: Number of trials that are not counted because the running study has them itself.
        reason: Why the study is not used; ``None`` if it is.
        parameters: Its parameters and those here, by name; none if it was left out before they
            were compared.
    """

    name: str
    n_trials: int
    n_own: int
    reason: str | None
    parameters: tuple[ParameterOverlap, ...]

    @property
    def usable(self) -> bool:
        """Whether the study is used."""
        return self.reason is None

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of the parameters whose values say something here."""
        return tuple(p.name for p in self.parameters if p.shared)


@dataclass(frozen=True)
class Overlaps:
    """Prior studies beside one search space; a table where it is printed.

    Attributes:
        studies: One entry a prior study, in the order given.
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
            return "No prior study."
        total = "?" if self.names is None else str(len(self.names))
        rows = [["prior study", "trials", "shared", "used"]]
        for s in self.studies:
            used = "yes" if s.reason is None else f"no: {s.reason}"
            rows.append([s.name, str(s.n_trials), f"{len(s.shared)} of {total}", used])
        head, *lines = table(rows, left={0, 2, 3})
        text = [head]
        for s, line in zip(self.studies, lines, strict=True):
            text.append(line)
            text += [f"    {detail}" for detail in _details(s)] if s.usable else []
        return "\n".join(text)


def _details(study: StudyOverlap) -> Iterator[str]:
    if study.n_own:
        yield f"{study.n_own} more trials are trials of the running study"
    alone = {
        note: [p.name for p in study.parameters if p.notes == (note,)]
        for note in (_ONLY_HERE, _ONLY_THERE)
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
) -> Overlaps:
    """Compare prior studies with a search space or with a study.

    Args:
        priors: Prior studies.
        target: A search space, name to distribution; or a study, whose space is what its finished
            trials have shown last.
        prior_filter: Conditions that prior studies must meet.
        rename: Parameters' names, prior to target.
    """
    if isinstance(target, Mapping):
        return overlaps(select(priors, None, prior_filter, rename), target, None, rename)
    running = PriorStudy.of(target) if isinstance(target, Study) else target
    shown = {name: many[-1] for name, many in distributions_of(running.trials).items()}
    selected = select(priors, running, prior_filter, rename)
    return overlaps(selected, shown or None, running.directions, rename)


def overlaps(
    selected: Sequence[Selected],
    target: Mapping[str, BaseDistribution] | None,
    directions: Sequence[StudyDirection] | None = None,
    rename: Mapping[str, str] | None = None,
) -> Overlaps:
    """Compare prior studies with a search space.

    Args:
        selected: The prior studies.
        target: The search space, name to distribution; ``None`` if it is not known yet.
        directions: The directions of the running study; ``None`` if they do not matter.
        rename: Parameters' names, prior to running study.
    """
    rows = tuple(_study_overlap(s, target, directions, rename or {}) for s in selected)
    return Overlaps(rows, None if target is None else tuple(sorted(target)))


def _study_overlap(
    selected: Selected,
    target: Mapping[str, BaseDistribution] | None,
    directions: Sequence[StudyDirection] | None,
    rename: Mapping[str, str],
) -> StudyOverlap:
    study = selected.study
    own = study.directions or directions
    if own is None:
        n_values = max((len(t.values) for t in study.trials if t.values), default=1)
        own = (StudyDirection.MINIMIZE,) * n_values
    records = finished_trials(study.trials, own, rename)
    n_trials = len(records.configurations)
    if selected.reason is not None:
        return StudyOverlap(study.name, n_trials, selected.n_own, selected.reason, ())
    shown = distributions_of(study.trials, rename)
    reason = unusable(own, directions or own, records, shown)
    there = {name: merge(many) for name, many in shown.items()}
    fixed = {name for c in records.configurations for name in c if name not in there}
    old_names = {new: old for old, new in rename.items()}
    parameters = tuple(
        _parameter_overlap(name, there.get(name), target, name in fixed, old_names.get(name))
        for name in sorted({*there, *fixed, *(target or ())})
    )
    if reason is None and target is not None and not any(p.shared for p in parameters):
        names = listed(sorted(there), _MAX_SHOWN)
        reason = f"none of its parameters ({names}) is one of this space"
    return StudyOverlap(study.name, n_trials, selected.n_own, reason, parameters)


def _parameter_overlap(
    name: str,
    there: BaseDistribution | None,
    target: Mapping[str, BaseDistribution] | None,
    fixed: bool,
    old_name: str | None,
) -> ParameterOverlap:
    renamed = (f"called {old_name} there",) if old_name is not None and (there or fixed) else ()
    if target is None:
        return ParameterOverlap(name, False, renamed)
    here = target.get(name)
    if here is None:
        return ParameterOverlap(name, False, (*renamed, _ONLY_THERE))
    if there is None:
        return ParameterOverlap(name, False, (*renamed, "fixed there" if fixed else _ONLY_HERE))
    if not compatible(there, here):
        notes = (*renamed, f"{_kind(there)} there, {_kind(here)} here")
        return ParameterOverlap(name, False, notes)
    return ParameterOverlap(name, True, (*renamed, *_differences(there, here)))


def _differences(there: BaseDistribution, here: BaseDistribution) -> list[str]:
    """What differs between two distributions whose values can be compared."""
    notes = []
    if _kind(there) != _kind(here):
        notes.append(f"{_kind(there)} there, {_kind(here)} here")
    if isinstance(there, CategoricalDistribution) and isinstance(here, CategoricalDistribution):
        old = {choice_key(c): c for c in there.choices}
        new = {choice_key(c): c for c in here.choices}
        for where, choices in (
            (_ONLY_THERE, [c for k, c in old.items() if k not in new]),
            (_ONLY_HERE, [c for k, c in new.items() if k not in old]),
        ):
            if choices:
                notes.append(f"{listed(map(repr, choices), _MAX_SHOWN)} {where}")
        return notes
    if isinstance(there, CategoricalDistribution) or isinstance(here, CategoricalDistribution):
        return notes
    assert isinstance(there, (FloatDistribution, IntDistribution))
    assert isinstance(here, (FloatDistribution, IntDistribution))
    if (there.low, there.high) != (here.low, here.high):
        notes.append(f"{_range(there)} there, {_range(here)} here")
    if there.log != here.log:
        notes.append(f"{_scale(there)} scale there, {_scale(here)} here")
    if type(there) is type(here) and there.step != here.step:
        notes.append(f"{_step(there)} there, {_step(here)} here")
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

"""Studies out of a storage: what is damaged is left out by name, and the rest is used.

The only place that reads prior studies from storages of Optuna. Most are read as Optuna reads
them. Where that fails, for whatever reason, a study is read in parts, and what then still fails is
left out. Much damage raises no error where it is read but would do so in the middle of the running
study, such as a text in place of a value: all trials are looked at, whatever they were read from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
import math
from numbers import Integral, Real
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._optuna import constraints_of, database_of, trial_id
from optuna_metasampler._text import counted, described_error, listed
from optuna_metasampler._warnings import warn
from optuna_metasampler.priors import rows
from optuna_metasampler.priors.journal import SalvagedJournal
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import choice_key


_MAX_SHOWN = 5


@dataclass
class Damage:
    """What had to be left out of a source, for one warning.

    Attributes:
        studies: Name of each study that is left out, with the reason.
        trials: Names of the other studies that lack trials, with the number of each such trial
            and the reason.
        notes: What else is missing.
    """

    studies: dict[str, str] = field(default_factory=dict)
    trials: dict[str, dict[object, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.studies or self.trials or self.notes)

    def touches(self, name: str) -> bool:
        """Whether anything of a study is left out."""
        return name in self.studies or name in self.trials or bool(self.notes)

    def leave_out(self, name: str) -> Callable[[object, str], None]:
        """A function that notes a trial of a study, by its number, and the reason."""
        return self.trials.setdefault(name, {}).__setitem__

    def warn(self, place: str) -> None:
        """Warn of everything at once, if there is anything.

        Args:
            place: What was read.
        """
        parts = [f"the study {name!r} ({reason})" for name, reason in self.studies.items()]
        for name, faults in self.trials.items():
            number, reason = next(iter(faults.items()))
            trials = counted(len(faults), "trial")
            parts.append(f"{trials} of the study {name!r} (first trial {number}: {reason})")
        if parts or self.notes:
            left_out = f" It is used without {listed(parts, _MAX_SHOWN)}." if parts else ""
            notes = "".join(f" {note}." for note in self.notes)
            warn(
                f"The prior {place} is damaged.{left_out}{notes} Take it out of `prior`, or these "
                "studies out of `prior_studies`, to silence this warning."
            )


def study_names(storage: BaseStorage) -> list[str]:
    """Names of all studies of a storage, also of those that cannot be read."""
    return [name for name in _names(storage) if isinstance(name, str)]


def note_nameless(storage: BaseStorage, damage: Damage) -> None:
    """Note the studies of a storage that cannot even be called by a name."""
    strange = [name for name in _names(storage) if not isinstance(name, str)]
    damage.notes += [f"A study has the name {name!r}" for name in strange]


def _names(storage: BaseStorage) -> Sequence[object]:
    try:
        return optuna.get_all_study_names(storage)
    except Exception:
        # Optuna decodes the attributes of all studies to name one.
        database = database_of(storage)
        if database is None:
            raise
        return rows.names(database)


def read_study(storage: BaseStorage, name: str, damage: Damage) -> PriorStudy | None:
    """Read a study.

    Args:
        storage: Any storage of Optuna, or with its interface.
        name: Name of the study.
        damage: What is left out is added to it.

    Returns:
        The study, with the trials that can be read; ``None`` if nothing of use can be.

    Raises:
        KeyError: If there is no such study.
        Exception: Any error, if the storage can no longer be read at all.
    """
    number = storage.get_study_id_from_name(name)  # raises the KeyError
    if isinstance(storage, SalvagedJournal) and name in storage.lost_studies:
        damage.studies[name] = storage.lost_studies[name]
        return None
    try:
        study = PriorStudy.of(optuna.load_study(study_name=name, storage=storage))
    except Exception as error:
        try:
            study = _in_parts(storage, number, name, damage)
        except Exception:
            # Raises if it is the storage that is gone.
            study_names(storage)
            damage.trials.pop(name, None)
            damage.studies[name] = described_error(error)
            return None
    if isinstance(storage, SalvagedJournal):
        study = _without_lost_lines(study, storage, damage)
    return sound(study, damage)


def read_header(storage: BaseStorage, name: str) -> PriorStudy:
    """A study without its trials; errors as in :func:`read_study`."""
    number = storage.get_study_id_from_name(name)
    try:
        attributes = storage.get_study_user_attrs(number)
    except Exception:
        database = database_of(storage)
        if database is None:
            raise
        attributes, _ = rows.user_attributes(database, number)
    return PriorStudy(name, tuple(storage.get_study_directions(number)), (), attributes)


def sound(study: PriorStudy, damage: Damage) -> PriorStudy | None:
    """A study without the trials that would fail later on.

    Args:
        study: A study from anywhere.
        damage: What is left out is added to it.

    Returns:
        The study, the same object if nothing is wrong with it; ``None`` if it has lost its
        directions or all of its finished trials.
    """
    directions = study.directions
    name = study.name
    if directions is not None and not (
        directions and all(isinstance(d, StudyDirection) for d in directions)
    ):
        damage.trials.pop(name, None)
        damage.studies[name] = "its direction is missing"
        return None
    n_objectives = None if directions is None else len(directions)
    known: dict[int, tuple[BaseDistribution, bool]] = {}
    faults: dict[object, str] = {}
    kept = []
    for trial in study.trials:
        try:
            _check(trial, n_objectives, known)
        except Exception as error:
            # Whatever its fields hold: what cannot be checked cannot be used.
            faults[getattr(trial, "number", None)] = described_error(error)
        else:
            kept.append(trial)
    if faults:
        damage.trials.setdefault(name, {}).update(faults)
        study = replace(study, trials=tuple(kept))
    lost = damage.trials.get(name)
    if not lost:
        damage.trials.pop(name, None)
    elif not any(trial.state.is_finished() for trial in kept):
        number, reason = next(iter(lost.items()))
        damage.studies[name] = f"none of its trials can be read, first trial {number}: {reason}"
        del damage.trials[name]
        return None
    return study


def _in_parts(storage: BaseStorage, number: int, name: str, damage: Damage) -> PriorStudy:
    """A study of which every part is read by itself, as far as the storage allows it."""
    database = database_of(storage)
    directions = tuple(storage.get_study_directions(number))
    attributes: Mapping[str, Any]
    try:
        attributes = storage.get_study_user_attrs(number)
    except Exception as error:
        attributes, lost = {}, ["all"]
        if database is not None:
            # Without a table of attributes, the trials are what they were.
            with suppress(Exception):
                attributes, lost = rows.user_attributes(database, number)
        damage.notes.append(
            f"User attributes of the study {name!r} that cannot be read ({described_error(error)})"
            f": {listed(lost, _MAX_SHOWN)}"
        )
    leave_out = damage.leave_out(name)
    try:
        trials = storage.get_all_trials(number, deepcopy=False)
    except Exception:
        if database is not None:
            trials = rows.trials(
                database,
                number,
                leave_out,
                lambda reason: damage.notes.append(f"Of the study {name!r}, {reason}"),
            )
        else:
            trials = _one_by_one(storage, number, leave_out)
    return PriorStudy(name, directions, tuple(trials), attributes)


def _one_by_one(
    storage: BaseStorage, study: int, leave_out: Callable[[object, str], None]
) -> list[FrozenTrial]:
    """The trials that a storage can give one at a time.

    Raises:
        Exception: Any error, if it cannot even tell their ids.
    """
    trials: list[FrozenTrial] = []
    number = 0
    while True:
        try:
            trial = storage.get_trial_id_from_study_id_trial_number(study, number)
        except KeyError:
            return trials
        try:
            trials.append(storage.get_trial(trial))
        except Exception as error:
            leave_out(number, described_error(error))
        number += 1


def _without_lost_lines(study: PriorStudy, journal: SalvagedJournal, damage: Damage) -> PriorStudy:
    """A study of a journal log without the trials that lines were lost of."""
    lost: dict[object, str] = {
        t.number: r for t in study.trials if (r := journal.lost_trials.get(trial_id(t)))
    }
    if lost:
        damage.trials.setdefault(study.name, {}).update(lost)
        study = replace(study, trials=tuple(t for t in study.trials if t.number not in lost))
    return study


# --------------------------------------------------------------------------------------------
# Checks


def _check(
    trial: Any, n_objectives: int | None, known: dict[int, tuple[BaseDistribution, bool]]
) -> None:
    """Raise an error for a trial that has something else than what its types say.

    Args:
        trial: The trial, in any state; all but the finished ones are of no use, and harmless.
        n_objectives: Number of values of a completed trial; ``None`` if unknown.
        known: The distributions that are right, and whether they are of numbers, by id; trials
            of one study may share them. Holding them keeps the ids.
    """
    if not isinstance(trial.state, TrialState):
        raise TypeError(f"the state {trial.state!r}")
    if not isinstance(trial.number, Integral):
        raise TypeError(f"the number {trial.number!r}")
    if trial.state.is_finished():
        _check_outcome(trial, n_objectives)
        _check_params(trial, known)


def _check_outcome(trial: Any, n_objectives: int | None) -> None:
    for date in (trial.datetime_start, trial.datetime_complete):
        if date is not None and not isinstance(date, datetime):
            raise TypeError(f"the date {date!r}")
    values = trial.values or ()
    if trial.state == TrialState.COMPLETE and len(values) != (n_objectives or len(values) or 1):
        raise ValueError(f"{counted(len(values), 'value')} of a completed trial")
    _require_numbers("the value", values)
    reports = trial.intermediate_values
    if reports:
        _require_numbers("the step", reports)
        _require_numbers("the reported value", reports.values())
    if trial.system_attrs:
        constraints_of(trial)


def _check_params(trial: Any, known: dict[int, tuple[BaseDistribution, bool]]) -> None:
    distributions = trial.distributions
    if trial.params.keys() != distributions.keys():
        raise ValueError("a parameter without a distribution, or the reverse")
    for name, value in trial.params.items():
        distribution = distributions[name]
        entry = known.get(id(distribution))
        if entry is None:
            entry = known[id(distribution)] = distribution, _of_numbers(distribution)
        if entry[1]:
            _require_numbers(f"the parameter {name!r}", (value,))
            if not math.isfinite(value):
                raise ValueError(f"the parameter {name!r} is {value!r}")


def _require_numbers(what: str, values: Any) -> None:
    for value in values:
        # Most are of these types, and isinstance() of an abstract class is slow.
        if type(value) is float or type(value) is int:
            continue
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{what} is {value!r}, not a number")


def _of_numbers(distribution: Any) -> bool:
    """Whether a distribution is of numbers rather than choices; raises what is wrong with it."""
    if isinstance(distribution, CategoricalDistribution):
        if not distribution.choices:
            raise ValueError("a parameter without choices")
        for choice in distribution.choices:
            choice_key(choice)
        return False
    if not isinstance(distribution, (FloatDistribution, IntDistribution)):
        raise TypeError(f"a distribution of the unknown type {type(distribution).__name__}")
    low, high = float(distribution.low), float(distribution.high)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"the range from {low} to {high}")
    if distribution.log and low <= 0:
        raise ValueError(f"the logarithmic range from {low} to {high}")
    step = distribution.step
    if step is not None and not (math.isfinite(step) and step > 0):
        raise ValueError(f"the step {step}")
    return True

"""Journal logs with damaged lines: what the sound lines say is used.

A log numbers studies and trials by the order of the lines that create them. A damaged line may be
such a line, and then all later numbers would point at the wrong study or trial. Its beginning says
what it was; where that is lost too, a later line with a number not yet reached gives it away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
import json
import re
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from optuna_metasampler._text import described_error, listed


_CREATE_STUDY, _DELETE_STUDY, _CREATE_TRIAL = 0, 1, 4
_OPERATION = re.compile(rb'\s*\{\s*"op_code":\s*(\d+)\s*[,}]')
_STUDY = re.compile(rb'"study_id":\s*(\d+)\s*[,}]')
_TRIAL = re.compile(rb'"trial_id":\s*(\d+)\s*[,}]')
_NAME = re.compile(rb'"study_name":\s*("(?:[^"\\]|\\.)*")')
_KNOWN = range(11)
_FINISHED = [state.value for state in TrialState if state.is_finished()]
_MAX_UNKNOWN = 100
_MAX_SHOWN = 5

Operation = dict[str, Any]


def is_journal(head: bytes) -> bool:
    """Whether a file that begins like this is a journal log of Optuna."""
    lines = head.split(b"\n")
    if any(_OPERATION.match(line) for line in lines):
        return True
    try:
        return "op_code" in json.loads(lines[0])
    except (ValueError, TypeError, RecursionError):
        return False


class SalvagedJournal(JournalStorage):
    """A journal log without its damaged lines.

    Attributes:
        lost_trials: Ids of the trials that such a line was or may have been about, with the
            reason.
        lost_studies: Names of the studies whose creation is damaged, with the reason.
        notes: What else there is to say.
    """

    def __init__(self, content: bytes) -> None:
        self._salvage = _Salvage.of(_Line.all_of(content))
        self.lost_trials = self._salvage.lost_trials
        self.lost_studies = self._salvage.lost_studies
        self.notes: tuple[str, ...] = ()
        operations = _Operations(self._salvage.steps)
        super().__init__(_Operations(()))
        self._backend = operations
        bad = {line.number: line.problem for line in self._salvage.unreadable}
        while True:
            try:
                # Replays what is left of the log.
                self.get_all_studies()
            except Exception as error:
                # Whatever an operation holds that Optuna cannot carry out.
                bad[operations.step.line] = described_error(error)
                self._give_up(operations, described_error(error))
            else:
                break
        if bad:
            shown = (f"{number} ({problem})" for number, problem in sorted(bad.items()))
            self.notes = (f"Lines that cannot be read: {listed(shown, _MAX_SHOWN)}",)

    def _give_up(self, operations: _Operations, problem: str) -> None:
        step = operations.step
        operation = step.operation
        reason = f"line {step.line}: {problem}"
        if step.creates_study is not None:
            name = step.creates_study
            self.lost_studies[name] = reason
            operations.first(_study(step.line, name))
        elif step.creates_trial is not None:
            self.lost_trials[step.creates_trial] = reason
            operations.first(_trial(step.line, operation["study_id"], step.creates_trial))
        elif isinstance(trial := operation.get("trial_id"), int):
            self.lost_trials.setdefault(trial, reason)


@dataclass(frozen=True)
class _Step:
    """An operation of a log.

    Attributes:
        line: Number of its line.
        operation: As Optuna wrote it, or what stands in for a damaged one.
        creates_study: Name of the study that it creates.
        creates_trial: Id of the trial that it creates.
    """

    line: int
    operation: Operation
    creates_study: str | None = None
    creates_trial: int | None = None


def _study(line: int, name: str) -> _Step:
    """Stands in for a damaged creation of a study."""
    operation = {"op_code": _CREATE_STUDY, "worker_id": "", "study_name": name, "directions": [1]}
    return _Step(line, operation, creates_study=name)


def _trial(line: int, study: int, number: int) -> _Step:
    """Stands in for a damaged creation of a trial."""
    operation = {
        "op_code": _CREATE_TRIAL,
        "worker_id": "",
        "study_id": study,
        "datetime_start": None,
    }
    return _Step(line, operation, creates_trial=number)


class _Operations(BaseJournalBackend):
    """Operations in memory, each of which is given out once."""

    def __init__(self, steps: Sequence[_Step]) -> None:
        self._waiting = deque(steps)
        self.step = _Step(0, {})

    def first(self, step: _Step) -> None:
        """Put a step before all others."""
        self._waiting.appendleft(step)

    def read_logs(self, log_number_from: int) -> Generator[Operation, None, None]:
        """The operations that have not been given out yet; the number is disregarded."""
        while self._waiting:
            self.step = self._waiting.popleft()
            yield self.step.operation

    def append_logs(self, logs: list[Operation]) -> None:
        """Refuse: prior studies are only read."""
        raise optuna.exceptions.StorageInternalError("attempt to write a readonly journal log")


@dataclass(frozen=True)
class _Line:
    """A line of a log.

    Attributes:
        number: Its number, from 1.
        operation: What it says; ``None`` if it cannot be read.
        kind: Its operation's code; ``None`` if it cannot be read.
        text: The line.
        problem: What is wrong with it.
    """

    number: int
    operation: Operation | None
    kind: int | None
    text: bytes
    problem: str

    @classmethod
    def all_of(cls, content: bytes) -> list[_Line]:
        # As in Optuna, the last line may still be in the making.
        return [cls.of(i, text) for i, text in enumerate(content.split(b"\n")[:-1], 1)]

    @classmethod
    def of(cls, number: int, text: bytes) -> _Line:
        problem = "it is no operation"
        try:
            operation = json.loads(text)
            if operation.get("op_code") in _KNOWN:
                operation.setdefault("worker_id", "")
                return cls(number, operation, operation["op_code"], text, "")
        except (ValueError, RecursionError, AttributeError) as error:
            problem = described_error(error, 80)
        found = _OPERATION.match(text)
        kind = int(found[1]) if found and int(found[1]) in _KNOWN else None
        # Two lines in one: the first was cut off where its writer was killed, so that nobody
        # knows whether others saw it.
        if text.count(b'{"op_code"') > 1:
            kind = None
        return cls(number, None, kind, text, problem)

    def id_of(self, pattern: re.Pattern[bytes]) -> int | None:
        """An id that stands in an unreadable line."""
        found = pattern.search(self.text)
        return int(found[1]) if found else None


@dataclass
class _Salvage:
    """The operations of a log, with something in place of each creation that was lost.

    Attributes:
        steps: The operations.
        lost_trials: See :class:`SalvagedJournal`.
        lost_studies: Likewise.
        unreadable: The lines that cannot be read.
    """

    lines: Sequence[_Line]
    creations: dict[int, int]
    steps: list[_Step] = field(default_factory=list)
    lost_trials: dict[int, str] = field(default_factory=dict)
    lost_studies: dict[str, str] = field(default_factory=dict)
    unreadable: list[_Line] = field(default_factory=list)
    # Studies by id, `None` once deleted; ids of the studies of all trials; unfinished trials.
    _studies: list[str | None] = field(default_factory=list)
    _trials: list[int] = field(default_factory=list)
    _unfinished: set[int] = field(default_factory=set)
    # Lines of unknown kind that created nothing as far as is known, and the number of trials
    # before the first of them.
    _unknown: list[_Line] = field(default_factory=list)
    _n_before: int = 0

    @classmethod
    def of(cls, lines: Sequence[_Line]) -> _Salvage:
        """Find out which of the unreadable lines were creations, and replace these."""
        creations: dict[int, int] = {}
        for _ in range(_MAX_UNKNOWN):
            salvage = cls(lines, creations)
            found = salvage._run()
            if found is None:
                return salvage
            line, kind = found
            creations[line] = kind
        raise ValueError(f"more than {_MAX_UNKNOWN} lines cannot be read")

    def _run(self) -> tuple[int, int] | None:
        """Go through the log; stop at the first line that gives away a lost creation.

        Returns:
            The number of the line that was lost, and what it created; ``None`` at the end.
        """
        for line in self.lines:
            if line.operation is None:
                self._replace(line)
                continue
            if self._unknown and (missing := self._missing(line.operation)) is not None:
                return self._unknown[-1].number, missing
            self._take(line, line.operation)
        return None

    def _missing(self, operation: Operation) -> int | None:
        """What must have been created before an operation but was not."""
        # A number that is further off than lines are missing is damaged itself.
        most = len(self._unknown)
        study, trial = operation.get("study_id"), operation.get("trial_id")
        if isinstance(study, int) and 0 <= study - len(self._studies) < most:
            return _CREATE_STUDY
        if isinstance(trial, int) and 0 <= trial - len(self._trials) < most:
            return _CREATE_TRIAL
        return None

    def _take(self, line: _Line, operation: Operation) -> None:
        study, trial = operation.get("study_id"), operation.get("trial_id")
        step = _Step(line.number, operation)
        if line.kind == _CREATE_STUDY:
            name = operation.get("study_name")
            if not isinstance(name, str):
                self._replace(line)
                return
            if name not in self._studies:
                self._studies.append(name)
                step = _Step(line.number, operation, creates_study=name)
        elif line.kind == _CREATE_TRIAL:
            if not isinstance(study, int):
                self._replace(line)
                return
            if self._alive(study):
                trial = self._new_trial(study)
                step = _Step(line.number, operation, creates_trial=trial)
        elif line.kind == _DELETE_STUDY and isinstance(study, int) and self._alive(study):
            self._studies[study] = None
        if isinstance(trial, int) and operation.get("state") in _FINISHED:
            self._unfinished.discard(trial)
        self.steps.append(step)

    def _replace(self, line: _Line) -> None:
        self.unreadable.append(line)
        kind = line.kind if line.kind is not None else self.creations.get(line.number)
        reason = f"line {line.number}: {line.problem}"
        if kind == _CREATE_STUDY:
            found = _NAME.search(line.text)
            name = json.loads(found[1]) if found else f"(line {line.number})"
            if name in self._studies:
                return
            self._studies.append(name)
            self.lost_studies[name] = reason
            self.steps.append(_study(line.number, name))
        elif kind == _CREATE_TRIAL:
            study = line.id_of(_STUDY)
            if study is None or not self._alive(study):
                study = self._likely_study()
            if study is not None:
                number = self._new_trial(study)
                self.lost_trials[number] = reason
                self.steps.append(_trial(line.number, study, number))
        elif (trial := line.id_of(_TRIAL)) is not None:
            self.lost_trials.setdefault(trial, reason)
            return
        elif kind is None or line.id_of(_STUDY) is None:
            # It may have been about any trial that had not ended.
            self.lost_trials |= {t: reason for t in self._unfinished - self.lost_trials.keys()}
        if kind is None:
            if not self._unknown:
                self._n_before = len(self._trials)
            self._unknown.append(line)
        elif line.number in self.creations and self._unknown:
            # An earlier line may as well have been the creation, and all since then shifted.
            ids = range(self._n_before, len(self._trials))
            self.lost_trials |= {t: reason for t in ids if t not in self.lost_trials}

    def _alive(self, study: int) -> bool:
        return 0 <= study < len(self._studies) and self._studies[study] is not None

    def _likely_study(self) -> int | None:
        """The study of the last trial, or the last study, that is still there."""
        candidates = [*range(len(self._studies)), *self._trials[-1:]]
        return next((s for s in reversed(candidates) if self._alive(s)), None)

    def _new_trial(self, study: int) -> int:
        number = len(self._trials)
        self._trials.append(study)
        self._unfinished.add(number)
        return number

"""Live graphs for optuna-dashboard, and the report as a study's note.

optuna-dashboard shows graphs that are stored in system attributes of the study. It need not run on
the machine of the study, or at the same time.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
import copy
from dataclasses import dataclass
import json
import threading
import time
from typing import Any, TypeAlias
import warnings
import weakref

from optuna import Study
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._optuna import storage_of, study_id, trials_of_all_brackets
from optuna_metasampler._runtime import get_logger
from optuna_metasampler._text import printable
from optuna_metasampler.explain.effects import effects
from optuna_metasampler.explain.plots import charts
from optuna_metasampler.explain.plots.chart import Chart
from optuna_metasampler.explain.plots.plotly import figure_on_any_ground, to_json
from optuna_metasampler.explain.snapshot import Snapshot


_logger = get_logger(__name__)

ReadTrials: TypeAlias = Callable[[], Sequence[FrozenTrial]]
TakeSnapshot: TypeAlias = Callable[[Sequence[FrozenTrial]], Snapshot | None]

PREFIX = "metasampler-"
"""Prefix of the ids of the graphs."""

MAX_LENGTH = 48_000
"""Most characters of a graph: MySQL's texts have at most 65,535 bytes, here of JSON in JSON."""

# Graphs are stored in attributes `dashboard:plot_data:<id>:<number of the part>`. Every storage
# writes a single part atomically. Several parts it does not, and a page loaded in between would
# show half a graph.
_KEY = "dashboard:plot_data:{}:0"

_FIRST_TRIALS = 3
_MAX_PANELS, _PANEL_COLUMNS = 4, 2
# A journal keeps all versions of a graph, so a new one is written only when the study has grown by
# this factor.
_JOURNAL_GROWTH = 1.1

_BEGIN = "[//]: # (begin: report of optuna_metasampler)"
_END = "[//]: # (end: report of optuna_metasampler)"


@dataclass
class Budget:
    """Share of a study's time that may be spent on a repeated task.

    Attributes:
        share: The largest share, in ``[0, 1]``.
        cost: Seconds that the task took the last time; an estimate before the first.
        last: When it was done last, in seconds; at first when the study was first seen.
        n_trials: Number of trials of the study at that time.
    """

    share: float
    cost: float
    last: float
    n_trials: int = 0

    def allows(self, now: float) -> bool:
        """Whether enough time has passed to do it again."""
        # A sampler that was sent to another machine finds another origin of its clock.
        self.last = min(self.last, now)
        return self.cost <= self.share * (now - self.last)

    def spend(self, start: float, end: float, n_trials: int) -> None:
        """Note that it was done from ``start`` to ``end``."""
        self.cost, self.last, self.n_trials = max(end - start, 0.0), end, n_trials


class LiveGraphs:
    """The graphs of one running study, which are updated as its trials end.

    The two groups of graphs have budgets of their own: those of the stored records take
    milliseconds, and those of the model about as long as a few suggestions. No sampler is told
    that a study has ended, so what is postponed is drawn at the end of the process.

    Args:
        clock: Seconds from any origin.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        now = clock()
        self._clock = clock
        self._records = Budget(share=0.005, cost=0.02, last=now)
        self._model = Budget(share=0.01, cost=0.3, last=now)
        self._off = False
        self._postponed: tuple[Study, TakeSnapshot] | None = None
        _live.add(self)
        # A thread does not wait for another one that is drawing.
        self._drawing = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock, and what is left to do in this process."""
        state = {**self.__dict__, "_postponed": None}
        del state["_drawing"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore pickled or copied graphs."""
        self.__dict__.update(state)
        self._drawing = threading.Lock()
        _live.add(self)

    def refresh(self, study: Study, trials: ReadTrials, snapshot: TakeSnapshot) -> None:
        """Draw the graphs for which there is time. Never raises.

        Args:
            study: The running study.
            trials: Reads its trials, with the ending one in its final state.
            snapshot: The sampler's model given these; ``None`` if there is none yet.
        """
        if self._off or not self._drawing.acquire(blocking=False):
            return
        try:
            drawn = self._refresh(study, trials, snapshot)
            self._postponed = None if drawn else (study, snapshot)
        except Exception as error:
            # Graphs are best effort: never fail the study.
            self._off = True
            _logger.warning(
                "Drawing the graphs for optuna-dashboard failed; they are off for the rest of "
                "this study: %r",
                error,
            )
        finally:
            self._drawing.release()

    def _refresh(self, study: Study, trials: ReadTrials, snapshot: TakeSnapshot) -> bool:
        """Draw the graphs for which there is time; return whether that is all of them."""
        now = self._clock()
        records, model = self._records.allows(now), self._model.allows(now)
        if not (records or model):
            return False
        known = trials()
        n = sum(t.state.is_finished() for t in known)
        if n < _FIRST_TRIALS:
            return True
        growth = _JOURNAL_GROWTH if isinstance(storage_of(study), JournalStorage) else 1.0
        records &= n >= growth * self._records.n_trials
        model &= n >= growth * self._model.n_trials
        if records:
            write(study, of_trials(known, len(study.directions)), n)
            self._records.spend(now, self._clock(), n)
        now = self._clock()
        if model:
            taken = snapshot(known)
            if taken is not None:
                write(study, of_model(taken, known), n)
            self._model.spend(now, self._clock(), n)
        return records and model

    def finish(self) -> None:
        """Draw what was postponed, all of it. Never raises."""
        if self._off or self._postponed is None:
            return
        (study, snapshot), self._postponed = self._postponed, None
        try:
            known = trials_of_all_brackets(study)
            n = sum(t.state.is_finished() for t in known)
            taken = snapshot(known) if n >= _FIRST_TRIALS else None
            if taken is not None:
                of_records = of_trials(known, len(study.directions))
                write(study, {**of_records, **of_model(taken, known)}, n)
        except Exception as error:
            # The storage may be gone by now.
            _logger.debug("The last graphs for optuna-dashboard were not drawn: %r", error)


_live: weakref.WeakSet[LiveGraphs] = weakref.WeakSet()


@atexit.register
def _finish_all() -> None:
    for graphs in list(_live):
        graphs.finish()


def trials_with(
    study: Study, number: int, state: TrialState, values: Sequence[float] | None
) -> list[FrozenTrial]:
    """The trials of a study, the ending one in its final state before that is stored."""
    trials = list(trials_of_all_brackets(study))
    for i, trial in enumerate(trials):
        if trial.number == number:
            trials[i] = copy.copy(trial)
            trials[i].state, trials[i].values = state, None if values is None else list(values)
    return trials


def of_trials(trials: Sequence[FrozenTrial], n_objectives: int) -> dict[str, Chart]:
    """The charts of the stored records, by id."""
    found = {"weights": charts.prior_weights(trials)}
    for j in range(n_objectives):
        chart = charts.predicted_vs_observed(trials, j, n_objectives)
        found["predicted" + _suffix(j, n_objectives)] = chart
    return found


def of_model(snapshot: Snapshot, trials: Sequence[FrozenTrial]) -> dict[str, Chart]:
    """The charts of the model, by id."""
    n = len(snapshot.signs)
    found: dict[str, Chart] = {}
    for j in range(n):
        known = effects(snapshot, j)
        of_objective = charts.of_model(snapshot, trials, known, j, _MAX_PANELS, _PANEL_COLUMNS)
        if not snapshot.prior_names(j):
            # It compares with prior studies.
            del of_objective["regret"]
        found |= {name + _suffix(j, n): chart for name, chart in of_objective.items()}
    return found


def publish(
    study: Study, *, note: bool = False, report: Callable[[Study], str] | None = None
) -> None:
    """Draw all graphs of a study for optuna-dashboard now.

    The sampler of a running study does so by itself from time to time. This function is for a
    study that has ended, or that was run without optuna-dashboard being installed.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        note: Whether to write the report into the study's note as well, below your own text. A
            report that is there is replaced.
        report: Makes the report in Markdown; the sampler's report by default.

    Raises:
        TypeError: If the study's sampler is another.
        ValueError: If no trial of the study has a parameter yet.
        ImportError: If there is a note to write and optuna-dashboard is not installed.
    """
    snapshot, trials = Snapshot.of(study), trials_of_all_brackets(study)
    found = {**of_trials(trials, len(study.directions)), **of_model(snapshot, trials)}
    write(study, found, sum(t.state.is_finished() for t in trials))
    if note:
        _write_note(study, _report(study) if report is None else report(study))


def _report(study: Study) -> str:
    sampler: Any = study.sampler
    text: str = sampler.report(study).to_markdown()
    return text


def _suffix(objective: int, n: int) -> str:
    return f"-{objective}" if n > 1 else ""


def write(study: Study, found: dict[str, Chart], n_trials: int) -> None:
    """Store graphs of ``n_trials`` finished trials, unless there are graphs of more already.

    Charts are given by id, and empty ones are skipped.
    """
    storage, number = storage_of(study), study_id(study)
    stored = storage.get_study_system_attrs(number)
    for name, chart in found.items():
        key = _KEY.format(PREFIX + name)
        # Another worker may have stored a newer graph.
        if chart.missing or _n_trials_of(stored.get(key)) > n_trials:
            continue
        graph = to_json(figure_on_any_ground(chart, n_trials))
        if len(graph) <= MAX_LENGTH and graph != stored.get(key):
            storage.set_study_system_attr(number, key, graph)


def _n_trials_of(graph: Any) -> float:
    """Number of trials that a stored graph shows; -1 if it is no graph of this module."""
    try:
        return float(json.loads(graph)["layout"]["meta"]["trials"])
    except (TypeError, ValueError, KeyError):
        return -1.0


def _write_note(study: Study, text: str) -> None:
    try:
        with warnings.catch_warnings():
            # Warnings of optuna-dashboard's imports do not concern the user.
            warnings.simplefilter("ignore")
            from optuna_dashboard import get_note, save_note
    except ImportError as error:
        raise ImportError(
            "Notes need optuna-dashboard, which is not installed: pip install optuna-dashboard"
        ) from error
    save_note(study, noted(get_note(study), text))


def noted(note: str, text: str) -> str:
    """A note with a report at its place: that of the last report, or the end of the note."""
    block = f"{_BEGIN}\n\n{printable(text, lines=True).strip()}\n\n{_END}"
    before, begin, rest = note.partition(_BEGIN)
    if not begin:
        return f"{note.rstrip()}\n\n{block}" if note.strip() else block
    _, _, after = rest.partition(_END)
    return before + block + after

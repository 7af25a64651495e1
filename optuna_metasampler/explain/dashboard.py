"""Live graphs for optuna-dashboard, and the report as a study's note.

optuna-dashboard shows what a study keeps in system attributes of certain names; it need not run on
the machine, or at the time, that the study does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import copy
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
import warnings

from optuna.storages import InMemoryStorage, JournalStorage

from optuna_metasampler._optuna import (
    storage_of,
    study_id,
    trials_of_all_brackets,
)
from optuna_metasampler._runtime import get_logger
from optuna_metasampler._text import printable


if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, TrialState

    from optuna_metasampler.explain.plots.chart import Chart
    from optuna_metasampler.explain.snapshot import Snapshot


_logger = get_logger(__name__)

PREFIX = "metasampler-"
"""With it begin the ids of our graphs."""

# Graphs are kept in attributes `dashboard:plot_data:<id>:<number of the part>`. One part is
# written whole or not at all by every storage, whoever else writes at that moment; several are
# not, and a page that is asked for in between would show half a graph.
_KEY = "dashboard:plot_data:{}:0"
# MySQL's texts end at 65,535 bytes, of JSON in JSON.
_MAX_LENGTH = 48_000

_FIRST_TRIALS = 3
_MAX_PANELS, _PANEL_COLUMNS = 4, 2
# A journal keeps everything ever written, so it gets few versions of a graph: one each time that
# the study has grown by this factor.
_JOURNAL_GROWTH = 1.1

_BEGIN = "[//]: # (begin: report of optuna_metasampler)"
_END = "[//]: # (end: report of optuna_metasampler)"


@dataclass
class Budget:
    """How much of its time a study spends on something that is done now and then.

    Attributes:
        share: The most, in ``[0, 1]``.
        cost: Seconds that it took the last time; before the first, what it is taken to be.
        last: When it was done last, in seconds; at first when the study was seen first.
        n_trials: How many trials the study had then.
    """

    share: float
    cost: float
    last: float
    n_trials: int = 0

    def allows(self, now: float) -> bool:
        """Whether enough time has passed to do it once more."""
        # The clock of another machine, to which the sampler was sent, begins anywhere.
        self.last = min(self.last, now)
        return self.cost <= self.share * (now - self.last)

    def spend(self, start: float, end: float, n_trials: int) -> None:
        """Note that it was done from ``start`` to ``end``."""
        self.cost, self.last, self.n_trials = max(end - start, 0.0), end, n_trials


class LiveGraphs:
    """The graphs of one running study, drawn anew as its trials end.

    Two groups have budgets of their own: what is drawn from what trials keep takes milliseconds,
    and what the model is asked for about as long as a few suggestions.

    Args:
        clock: Seconds from any origin.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        now = clock()
        self._clock = clock
        self._kept = Budget(share=0.005, cost=0.02, last=now)
        self._model = Budget(share=0.01, cost=0.3, last=now)
        self._off = False
        # Threads that find another one drawing go on with their trials.
        self._drawing = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock: a thread that draws stays here."""
        state = self.__dict__.copy()
        del state["_drawing"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore pickled or copied graphs."""
        self.__dict__.update(state)
        self._drawing = threading.Lock()

    def refresh(
        self,
        study: Study,
        trials: Callable[[], Sequence[FrozenTrial]],
        snapshot: Callable[[Sequence[FrozenTrial]], Snapshot | None],
    ) -> None:
        """Draw what there is time for; never fails.

        Args:
            study: The running study.
            trials: Reads its trials, the one that is ending as it will be.
            snapshot: What the sampler knows with these; ``None`` if nothing yet.
        """
        if self._off or not self._drawing.acquire(blocking=False):
            return
        try:
            self._refresh(study, trials, snapshot)
        except Exception as error:
            # Whatever it is, no study shall fail for a picture of it.
            self._off = True
            _logger.warning(
                "The graphs for optuna-dashboard could not be drawn and will not be drawn again "
                "while this study runs: %r",
                error,
            )
        finally:
            self._drawing.release()

    def _refresh(
        self,
        study: Study,
        trials: Callable[[], Sequence[FrozenTrial]],
        snapshot: Callable[[Sequence[FrozenTrial]], Snapshot | None],
    ) -> None:
        now = self._clock()
        kept, model = self._kept.allows(now), self._model.allows(now)
        if not (kept or model):
            return
        known = trials()
        n = sum(t.state.is_finished() for t in known)
        if n < _FIRST_TRIALS:
            return
        growth = _JOURNAL_GROWTH if isinstance(storage_of(study), JournalStorage) else 1.0
        if kept and n >= growth * self._kept.n_trials:
            _write(study, of_trials(known, len(study.directions)), n)
            self._kept.spend(now, self._clock(), n)
        now = self._clock()
        if model and n >= growth * self._model.n_trials:
            taken = snapshot(known)
            if taken is not None:
                _write(study, of_model(taken, known), n)
            self._model.spend(now, self._clock(), n)


@cache
def _installed() -> bool:
    return find_spec("optuna_dashboard") is not None


def wanted(study: Study) -> bool:
    """Whether somebody may look at the study with optuna-dashboard.

    It has to be installed; a study in memory can be seen only by one that runs in this process.
    """
    if isinstance(storage_of(study), InMemoryStorage):
        return "optuna_dashboard" in sys.modules
    return _installed()


def trials_with(
    study: Study, number: int, state: TrialState, values: Sequence[float] | None
) -> list[FrozenTrial]:
    """The trials of a study, one of them as it will be in a moment, when its end is stored.

    Args:
        study: The study.
        number: Of the trial that is ending.
        state: In which it ends.
        values: To which it came.
    """
    trials = list(trials_of_all_brackets(study))
    for i, trial in enumerate(trials):
        if trial.number == number:
            trials[i] = copy.copy(trial)
            trials[i].state, trials[i].values = state, None if values is None else list(values)
    return trials


def of_trials(trials: Sequence[FrozenTrial], n_objectives: int) -> dict[str, Chart]:
    """The graphs that are drawn from what trials keep, by id."""
    from optuna_metasampler.explain.plots import charts

    found = {"weights": charts.prior_weights(trials)}
    for j in range(n_objectives):
        chart = charts.predicted_vs_observed(trials, j, n_objectives)
        found["predicted" + _suffix(j, n_objectives)] = chart
    return found


def of_model(snapshot: Snapshot, trials: Sequence[FrozenTrial]) -> dict[str, Chart]:
    """The graphs that the model is asked for, by id."""
    from optuna_metasampler.explain.effects import effects
    from optuna_metasampler.explain.plots import charts
    from optuna_metasampler.explain.plots.preparation import regret_of
    from optuna_metasampler.explain.similarity import similarity

    n = len(snapshot.signs)
    found: dict[str, Chart] = {}
    for j in range(n):
        end, known = _suffix(j, n), effects(snapshot, j)
        names = charts.prior_names(snapshot, j)
        found["parameters" + end] = charts.prior_vs_posterior(
            known[:_MAX_PANELS], snapshot, trials, j, _PANEL_COLUMNS
        )
        found["importances" + end] = charts.parameter_importances(known, names, j, n)
        if names:
            found["regret" + end] = regret_of(snapshot, trials, j, n)
            found["similarity" + end] = charts.similarity_map(similarity(snapshot, j), j, n)
    return found


def publish(
    study: Study, *, note: bool = False, report: Callable[[Study], str] | None = None
) -> None:
    """Draw all graphs of a study for optuna-dashboard now.

    While a study runs, its sampler does so by itself, as often as there is time; this is for a
    study that has ended, or was run without optuna-dashboard being installed.

    Args:
        study: A study whose sampler is a ``MetaSampler``.
        note: Whether to write the report into the study's note as well. What you wrote there
            stays: the report has a place of its own below it, which is written anew each time.
        report: What to write, as Markdown; the sampler's report by default.

    Raises:
        TypeError: If the study's sampler is another.
        ValueError: If no trial of the study has a parameter yet.
        ImportError: If there is a note to write and optuna-dashboard is not installed.
    """
    from optuna_metasampler.explain.snapshot import Snapshot

    snapshot, trials = Snapshot.of(study), trials_of_all_brackets(study)
    charts = {**of_trials(trials, len(study.directions)), **of_model(snapshot, trials)}
    _write(study, charts, sum(t.state.is_finished() for t in trials))
    if note:
        _write_note(study, _report(study) if report is None else report(study))


def _report(study: Study) -> str:
    sampler: Any = study.sampler
    told: str = sampler.report(study).to_markdown()
    return told


def _suffix(objective: int, n: int) -> str:
    return f"-{objective}" if n > 1 else ""


def _write(study: Study, charts: dict[str, Chart], n_trials: int) -> None:
    """Keep graphs with a study, unless there are some of more trials already.

    Args:
        study: The study.
        charts: By id; those without anything to show are left out.
        n_trials: How many finished trials they show.
    """
    from optuna_metasampler.explain.plots.figures import figure_on_any_ground, to_json

    storage, number = storage_of(study), study_id(study)
    there = storage.get_study_system_attrs(number)
    for name, chart in charts.items():
        key = _KEY.format(PREFIX + name)
        # Another worker may have drawn meanwhile, and seen more.
        if chart.missing or _trials_of(there.get(key)) > n_trials:
            continue
        graph = to_json(figure_on_any_ground(chart, n_trials))
        if len(graph) <= _MAX_LENGTH and graph != there.get(key):
            storage.set_study_system_attr(number, key, graph)


def _trials_of(graph: Any) -> float:
    """How many trials a graph of ours shows; -1 if it is none."""
    try:
        return float(json.loads(graph)["layout"]["meta"]["trials"])
    except (TypeError, ValueError, KeyError):
        return -1.0


def _write_note(study: Study, text: str) -> None:
    try:
        with warnings.catch_warnings():
            # Its own, and those of what it imports, are not for us to tell.
            warnings.simplefilter("ignore")
            from optuna_dashboard import get_note, save_note
    except ImportError as error:
        raise ImportError(
            "A note is for optuna-dashboard, which is not installed: pip install optuna-dashboard"
        ) from error
    save_note(study, noted(get_note(study), text))


def noted(note: str, text: str) -> str:
    """A note with the report in its place: where the last one was, or at the end.

    Args:
        note: The note as it is; what its reader has written stays.
        text: The report.
    """
    block = f"{_BEGIN}\n\n{printable(text, lines=True).strip()}\n\n{_END}"
    before, begin, rest = note.partition(_BEGIN)
    if not begin:
        return f"{note.rstrip()}\n\n{block}" if note.strip() else block
    _, _, after = rest.partition(_END)
    return before + block + after

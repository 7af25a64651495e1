"""Which prior studies a running study learns from, and why not from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.trial import FrozenTrial

from optuna_metasampler._runtime import get_logger
from optuna_metasampler.priors.filter import PriorFilter
from optuna_metasampler.priors.study import PriorStudy


_logger = get_logger(__name__)


@dataclass(frozen=True)
class Selected:
    """One prior study, and whether it is used.

    Attributes:
        study: The study, without trials that the running study has itself.
        reason: Why it is left out; ``None`` where it is not.
        n_own: Number of the trials that were taken out of it.
    """

    study: PriorStudy
    reason: str | None
    n_own: int = 0


def select(
    priors: Sequence[PriorStudy],
    running: PriorStudy | None = None,
    prior_filter: PriorFilter = PriorFilter(),  # noqa: B008  # frozen
    rename: Mapping[str, str] | None = None,
) -> list[Selected]:
    """Leave out what a filter asks to leave out, and what the running study knows itself.

    A trial of the running study must not count twice, once as its own and once as a prior's. A
    prior study loses the trials that the running study has too: a copy of it has none left, and of
    an old study that some trials were taken over from (``study.add_trials``) the others remain.
    Of several equal prior studies, as a storage and an archive of it hold them, the first counts.

    Args:
        priors: Prior studies.
        running: The running study as it is now, if there is one.
        prior_filter: Conditions that prior studies must meet.
        rename: Parameters' names, prior to running study.

    Returns:
        One entry a prior study, in the order given.
    """
    own = _OwnTrials(running) if running is not None else None
    used: dict[object, list[PriorStudy]] = {}
    selected = []
    for study in priors:
        one = _select(study, own, prior_filter, rename or {})
        if one.reason is None:
            alike = used.setdefault(_values(study), [])
            first = next((other for other in alike if _same_trials(study, other)), None)
            if first is None:
                alike.append(study)
            else:
                one = replace(one, reason=f"it has the same trials as {first.name!r}")
        selected.append(one)
    return selected


def _select(
    study: PriorStudy,
    own: _OwnTrials | None,
    prior_filter: PriorFilter,
    rename: Mapping[str, str],
) -> Selected:
    reason = prior_filter.reason_against(study)
    if reason is not None or own is None:
        return Selected(study, reason)
    if own.is_running_study(study):
        return Selected(study, "it is the running study itself")
    others = tuple(t for t in study.trials if not own.has(t, rename))
    n_own = len(study.trials) - len(others)
    if n_own and not any(t.values for t in others):
        reason = f"all of its {n_own} trials with a value are trials of the running study"
    return Selected(replace(study, trials=others) if n_own else study, reason, n_own)


def kept(selected: Sequence[Selected]) -> list[PriorStudy]:
    """The studies that are used; that others are not goes to the log."""
    used = [one.study for one in selected if one.reason is None]
    for one in selected:
        if one.reason is not None:
            _logger.debug("Prior study %r is left out: %s.", one.study.name, one.reason)
    if len(used) < len(selected):
        _logger.info(
            "%d of %d prior studies are left out; MetaSampler.inspect_priors says why.",
            len(selected) - len(used),
            len(selected),
        )
    return used


class _OwnTrials:
    """The trials of the running study, to recognise them in whatever study they are found.

    Two trials are the same if they have the same values and, further, the same parameters or the
    same times: a copy through a file may have lost the types of the one or all of the other. One
    that had ended before the running study tried the same is no copy, it is what the study was
    opened with.
    """

    def __init__(self, running: PriorStudy) -> None:
        self._name = running.name
        self._starts = {t.datetime_start for t in running.trials if t.datetime_start}
        self._known: dict[tuple[float, ...], list[FrozenTrial]] = {}
        for trial in running.trials:
            if trial.values:
                self._known.setdefault(tuple(trial.values), []).append(trial)

    def is_running_study(self, study: PriorStudy) -> bool:
        """Whether a study is the running one, or an earlier state of it, in whatever storage."""
        return study.name == self._name and (
            not study.trials or any(t.datetime_start in self._starts for t in study.trials)
        )

    def has(self, trial: FrozenTrial, rename: Mapping[str, str]) -> bool:
        """Whether a trial is one of the running study."""
        if not trial.values:
            return False
        return any(
            _same_times(trial, own)
            or (_params(trial, rename) == own.params and not _ended_before(trial, own))
            for own in self._known.get(tuple(trial.values), ())
        )


def _values(study: PriorStudy) -> tuple[object, ...]:
    """What equal studies have in common, and hardly any others do."""
    return study.directions, tuple(tuple(t.values) for t in study.trials if t.values)


def _same_trials(a: PriorStudy, b: PriorStudy) -> bool:
    """Whether two studies of equal values have the same parameters too, and any at all."""
    params = [[t.params for t in study.trials if t.values] for study in (a, b)]
    return bool(params[0]) and params[0] == params[1]


def _params(trial: FrozenTrial, rename: Mapping[str, str]) -> dict[str, Any]:
    return {rename.get(name, name): value for name, value in trial.params.items()}


def _ended_before(trial: FrozenTrial, own: FrozenTrial) -> bool:
    if trial.datetime_complete is None or own.datetime_start is None:
        return False
    return trial.datetime_complete <= own.datetime_start


def _same_times(a: FrozenTrial, b: FrozenTrial) -> bool:
    return (
        None not in (a.datetime_start, a.datetime_complete)
        and a.datetime_start == b.datetime_start
        and a.datetime_complete == b.datetime_complete
    )

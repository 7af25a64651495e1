"""Why one trial was chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import math
import textwrap
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._optuna import finite_value, sign_of
from optuna_metasampler._text import WIDTH, listed, number, percent, preformatted, shortened
from optuna_metasampler.explain.report.data import plain
from optuna_metasampler.explain.report.phrases import describe_params, describe_reason, value_of
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import Forecast, Stop, TrialRecord
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import equal_key


_MAX_NAMES_SHOWN = 6


@dataclass(frozen=True)
class NearestPrior:
    """The trial of the prior studies whose configuration is nearest to that of a trial.

    Attributes:
        study: Name of its study.
        number: Its number there.
        rank: Its rank there, 1 for the best; ``None`` with several objectives.
        n_ranked: Number of trials there with a value.
        differs: Its values of the shared parameters that are others there, by their names here.
    """

    study: str
    number: int
    rank: int | None
    n_ranked: int
    differs: dict[str, Any]


@dataclass(frozen=True)
class TrialPart:
    """Why one trial was chosen; ``print`` shows it in 80 columns.

    Attributes:
        study: Name of its study.
        number: Its number.
        state: Its state, such as ``"complete"``.
        values: Its values; ``None`` without.
        params: Its parameters.
        phase: Why it was chosen, see
            :class:`~optuna_metasampler.explain.trial_record.TrialRecord`; ``None`` without a
            stored record.
        forecasts: What was predicted for it, one an objective; empty if nothing was.
        acquisition: Its score; ``None`` if points were not scored.
        p_transfer: The transfer weight at its suggestion; ``None`` without prior studies.
        weights: Names and weights of the prior studies then, the highest first.
        nearest: The nearest trial of the prior studies; ``None`` if these are not at hand.
        statements: All of this in sentences.
    """

    study: str
    number: int
    state: str
    values: tuple[float, ...] | None
    params: dict[str, Any]
    phase: str | None
    forecasts: tuple[Forecast, ...]
    acquisition: float | None
    p_transfer: float | None
    weights: tuple[tuple[str, float], ...]
    nearest: NearestPrior | None
    statements: tuple[str, ...]

    def __str__(self) -> str:
        values = ", ".join(map(number, self.values or ())) or "no value"
        lines = [f"Trial {self.number} of {shortened(self.study)}: {values} ({self.state})"]
        for text in (describe_params(self.params), *self.statements):
            lines += textwrap.wrap(
                text,
                WIDTH,
                initial_indent="  ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        """What an interactive session shows: the contents, not the fields."""
        return str(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return preformatted(str(self))

    def to_dict(self) -> dict[str, Any]:
        """The same in values that JSON can represent."""
        document: dict[str, Any] = plain(self)
        return document


def trial_part(
    study: str, trials: Sequence[FrozenTrial], snapshot: Snapshot | None, n: int
) -> TrialPart:
    """Why a trial was chosen.

    Args:
        study: Name of its study.
        trials: All trials.
        snapshot: The model of the study; ``None`` if there is none.
        n: The trial's number.

    Raises:
        ValueError: If there is no such trial.
    """
    trial = next((t for t in trials if t.number == n), None)
    if trial is None:
        raise ValueError(f"There is no trial {n}: {shortened(study)} has {len(trials)} trials.")
    record = TrialRecord.read(trial)
    nearest = None if snapshot is None else _nearest(trial, snapshot)
    return TrialPart(
        study=study,
        number=n,
        state="failed" if trial.state == TrialState.FAIL else trial.state.name.lower(),
        values=tuple(trial.values) if trial.values else None,
        params=dict(trial.params),
        phase=None if record is None else record.phase,
        forecasts=() if record is None else record.forecasts,
        acquisition=None if record is None else record.acquisition,
        p_transfer=None if record is None else record.p_transfer,
        weights=() if record is None else record.weights,
        nearest=nearest,
        statements=tuple(_statements(trial, record, nearest)),
    )


def _statements(
    trial: FrozenTrial, record: TrialRecord | None, nearest: NearestPrior | None
) -> Iterator[str]:
    if record is None:
        yield "Nothing is stored of why it was chosen."
    else:
        yield describe_reason(record.phase)
        for j, forecast in enumerate(record.forecasts):
            yield _forecast(forecast, finite_value(trial, j), j, len(record.forecasts))
        if record.p_transfer is not None:
            shares = [f"{shortened(name)} {percent(w)}" for name, w in record.weights if w > 0]
            rest = f": {listed(shares, _MAX_NAMES_SHOWN)}" if shares else ""
            yield f"Transfer weight at its suggestion: {record.p_transfer:.2f}{rest}."
    if nearest is not None:
        yield _neighbour(nearest)
    if (stop := Stop.read(trial)) is not None:
        yield _stopped(stop)


def _stopped(stop: Stop) -> str:
    text = f"Stopped at step {stop.step}"
    if stop.needed is None or stop.low is None or stop.high is None:
        return f"{text}: its last value was not a number."
    low, high = number(stop.low), number(stop.high)
    chance = percent(stop.probability) if stop.probability >= 0.01 else "below 1%"
    return (
        f"{text}: it would have ended between {low} and {high} (80% interval); the chance of "
        f"{number(stop.needed)}, to be among the best, was {chance}."
    )


def _forecast(forecast: Forecast, value: float | None, j: int, m: int) -> str:
    about = f" of objective {j}" if m > 1 else ""
    low, high = number(forecast.low), number(forecast.high)
    text = f"Forecast{about}: {number(forecast.predicted)} (80% interval {low} to {high})"
    if value is None:
        return f"{text}."
    where = "inside" if forecast.low <= value <= forecast.high else "outside"
    return f"{text}; the outcome is {where} the interval."


def _neighbour(nearest: NearestPrior) -> str:
    text = f"Nearest prior trial: trial {nearest.number} of {shortened(nearest.study)}"
    if nearest.rank is not None:
        place = "the best" if nearest.rank == 1 else f"rank {nearest.rank}"
        text += f", {place} of {nearest.n_ranked} there"
    if not nearest.differs:
        return f"{text}, with the same parameters."
    others = [f"{shortened(n, 30)}={value_of(v)}" for n, v in nearest.differs.items()]
    return f"{text}; it has {listed(others, _MAX_NAMES_SHOWN)}."


def _nearest(trial: FrozenTrial, snapshot: Snapshot) -> NearestPrior | None:
    """The nearest trial of the prior studies that are used."""
    best: tuple[float, PriorStudy, FrozenTrial, dict[str, Any]] | None = None
    for prior, overlap in zip(snapshot.priors, snapshot.overlaps, strict=bool(snapshot.priors)):
        names = [name for name in overlap.shared if name in trial.params]
        if not overlap.usable or not names:
            continue
        for other in prior.trials:
            if other.state != TrialState.COMPLETE:
                continue
            there = {snapshot.rename.get(name, name): v for name, v in other.params.items()}
            apart = {
                name: _distance(trial.distributions[name], trial.params[name], there.get(name))
                for name in names
            }
            distance = sum(apart.values()) / len(names)
            if best is None or distance < best[0]:
                differs = {n: there[n] for n in names if apart[n] > 0 and n in there}
                best = distance, prior, other, differs
    if best is None:
        return None
    _, prior, other, differs = best
    rank, n_ranked = _rank(prior, other, snapshot.signs)
    return NearestPrior(prior.name, other.number, rank, n_ranked, differs)


def _distance(distribution: BaseDistribution, here: Any, there: Any) -> float:
    """Distance of two values as a share of the range; 1 if one is unknown, or for two choices."""
    if equal_key(here) == equal_key(there):
        return 0.0
    numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (here, there))
    if isinstance(distribution, CategoricalDistribution) or not numeric:
        return 1.0
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    ends = [low, high, here, there]
    if distribution.log:  # type: ignore[attr-defined]
        if there <= 0:
            return 1.0
        ends = [math.log(v) for v in ends]
    width = ends[1] - ends[0]
    return min(abs(ends[2] - ends[3]) / width, 1.0) if width > 0 else 1.0


def _rank(prior: PriorStudy, trial: FrozenTrial, signs: Sequence[float]) -> tuple[int | None, int]:
    """The rank of a trial in its study, and the number of trials that have one."""
    values = [v for t in prior.trials if (v := finite_value(t, 0)) is not None]
    own = finite_value(trial, 0)
    if len(signs) > 1 or own is None:
        return None, len(values)
    sign = sign_of(prior.directions[0]) if prior.directions else signs[0]
    return 1 + sum(sign * v > sign * own for v in values), len(values)

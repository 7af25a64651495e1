"""What a report holds: plain numbers and words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from optuna_metasampler.explain.calibration import PriorGain, Progress, Retrospect
    from optuna_metasampler.explain.improvement_forecast import ImprovementForecast
    from optuna_metasampler.explain.report.plots import Plot


@dataclass(frozen=True)
class BestTrial:
    """One of the best trials.

    Attributes:
        number: Its number.
        values: Its value of each objective.
        params: Its parameters.
    """

    number: int
    values: tuple[float, ...]
    params: dict[str, Any]


@dataclass(frozen=True)
class PriorPart:
    """One prior study, and what it had to say.

    Attributes:
        name: Its name.
        used: Whether the model builds on it.
        reason: Why not; ``None`` if it does.
        n_trials: Its number of trials with an outcome; ``None`` where only its name is known.
        shared: Names of the parameters whose values say something here.
        rank_correlation: Spearman correlation of what it predicts for this study's trials with
            their outcomes, in ``[-1, 1]``; ``None`` if not known.
        weight: Its share of the say in the next suggestion, in ``[0, 1]``; ``None`` if not known.
        weights: The like in the suggestions at :attr:`Report.weights_at`.
        n_strongest: For how many suggestions no other had a larger share.
    """

    name: str
    used: bool
    reason: str | None = None
    n_trials: int | None = None
    shared: tuple[str, ...] = ()
    rank_correlation: float | None = None
    weight: float | None = None
    weights: tuple[float, ...] = ()
    n_strongest: int = 0


@dataclass(frozen=True)
class ParameterPart:
    """What one parameter does.

    Attributes:
        name: Its name.
        categorical: Whether its values are choices.
        log: Whether its range is on the log scale.
        importance: Share of the variation over the space that moves with it, alone or together
            with others, as far as the model knows now. The shares of all can add up to more than
            1.
        importance_before: The like in what the prior studies together say; ``None`` without.
        importance_low: The least of it in any one prior study; ``None`` without.
        importance_high: The most of it in any one prior study; ``None`` without.
        values: Values along it.
        average: What a configuration with such a value comes to on the average, in the units of
            the objective; none where these are not known, see :attr:`ObjectivePart.unit`.
        low: Below it the average lies with a probability of 10 %.
        high: Above it the average lies with a probability of 10 %.
        before: What the prior studies together say of the average; ``None`` without.
        clear: Whether its best value is better than its worst with a probability of 80 % or more.
        best: The values whose average is within a quarter of the best one's advantage, in a row
            with it; a choice alone. None where nothing is known.
        best_before: The like in what the prior studies together say; none where the parameter is
            of no importance there.
        learned: The same in words.
    """

    name: str
    categorical: bool
    log: bool
    importance: float
    importance_before: float | None
    importance_low: float | None
    importance_high: float | None
    values: tuple[Any, ...]
    average: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    before: tuple[float, ...] | None
    clear: bool
    best: tuple[Any, ...]
    best_before: tuple[Any, ...]
    learned: str


@dataclass(frozen=True)
class ObjectivePart:
    """One objective.

    Attributes:
        number: Its place among the objectives, from 0.
        direction: ``"minimize"`` or ``"maximize"``.
        best: Its best value of a feasible trial; ``None`` without.
        unit: Whether two different values are known, without which there is no scale.
        probability: That the prior studies are of use; ``None`` without.
        gain: How much better they make the model; ``None`` without.
        progress: How far the study has come; ``None`` where that cannot be said.
        forecasts: How good the forecasts were that are kept with the trials.
        parameters: The parameters, the one that matters most first; none without a model.
        improvement_forecast: What more trials are likely to bring; ``None`` with several
            objectives, or where nothing can be said.
        statements: All of this in words.
    """

    number: int
    direction: str
    best: float | None
    unit: bool
    probability: float | None
    gain: PriorGain | None
    progress: Progress | None
    forecasts: Retrospect
    parameters: tuple[ParameterPart, ...]
    improvement_forecast: ImprovementForecast | None
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a sampler did in a study, and why; ``print`` shows it in 80 columns.

    Attributes:
        study: Name of the study.
        method: Name of the sampler's method.
        own_model: Whether parameters and outlook are by the model that the method itself goes by;
            ``None`` without a model.
        directions: ``"minimize"`` or ``"maximize"``, one an objective.
        states: Numbers of trials by state, such as ``{"complete": 20, "fail": 1}``.
        phases: Numbers of trials by how they were chosen, see
            :class:`~optuna_metasampler.explain.trial_record.TrialRecord`.
        until: When the last trial ended, in ISO format; ``None`` if none has.
        best: The best trial; the trials on the Pareto front with several objectives.
        priors: The prior studies, the one with the largest say first.
        weights_at: Numbers of the trials for which :attr:`PriorPart.weights` are given: those that
            keep them, or evenly spread ones of these.
        objectives: What is known of each objective.
        statements: All of it in short, in words.
        warnings: What there may be to do, in words.
        figures: Makes the plots of the page; ``None`` without. It is no part of the report's
            value, and keeps the model for as long as the report is kept.
    """

    study: str
    method: str
    own_model: bool | None
    directions: tuple[str, ...]
    states: dict[str, int]
    phases: dict[str, int]
    until: str | None
    best: tuple[BestTrial, ...]
    priors: tuple[PriorPart, ...]
    weights_at: tuple[int, ...]
    objectives: tuple[ObjectivePart, ...]
    statements: tuple[str, ...]
    warnings: tuple[str, ...]
    figures: Callable[[], tuple[Plot, ...]] | None = field(default=None, compare=False, repr=False)

    @property
    def n_trials(self) -> int:
        """Number of trials, in any state."""
        return sum(self.states.values())

    def __str__(self) -> str:
        from optuna_metasampler.explain.report.text import text_of

        return text_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything in the report, as JSON can hold it.

        The keys are the names of the attributes, and stay what they are. A number that is not
        finite or not known is ``None``; a choice that is none of JSON's types is its ``repr``.
        """
        from optuna_metasampler.explain.report.document import document_of

        return document_of(self)

    def to_markdown(self) -> str:
        """The most important, for a note in Markdown."""
        from optuna_metasampler.explain.report.markdown import markdown_of

        return markdown_of(self)

    def to_html(self) -> str:
        """One page that needs nothing else, no network either.

        It has plots where Plotly is installed.
        """
        from optuna_metasampler.explain.report.html import page_of

        return page_of(self)

    def write_html(self, path: str | Path) -> None:
        """Write the page to a file, which is there whole or not at all.

        Args:
            path: The file; one that is there is replaced.

        Raises:
            OSError: If it cannot be written.
        """
        from optuna_metasampler._runtime import replace_file

        replace_file(Path(path), self.to_html().encode("utf-8"))

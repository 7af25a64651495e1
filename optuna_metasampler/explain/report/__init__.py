"""Reports: what the sampler did in a study, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from optuna import Study

from optuna_metasampler._optuna import trials_of_all_brackets
from optuna_metasampler._runtime import replace_file
from optuna_metasampler.explain.effects import Effect, effects
from optuna_metasampler.explain.plots.chart import Chart
from optuna_metasampler.explain.report.build import report_data
from optuna_metasampler.explain.report.data import ReportData, plain
from optuna_metasampler.explain.report.html import page_of, plots_of
from optuna_metasampler.explain.report.text import markdown_of, text_of
from optuna_metasampler.explain.report.trial import TrialPart, trial_part
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.priors.overlap import Overlaps


__all__ = ["Report"]

_VERSION = 1


@dataclass(frozen=True)
class Report(ReportData):
    """What the sampler did in a study, and why; ``print`` shows it in 80 columns.

    Attributes:
        plots: Makes the plots of the page; ``None`` for none. It is not compared, and keeps the
            model alive as long as the report.
        explain_trial: Says why a trial was chosen, likewise.
    """

    plots: Callable[[], list[tuple[str, Chart]]] | None = field(
        default=None, compare=False, repr=False
    )
    explain_trial: Callable[[int], TrialPart] | None = field(
        default=None, compare=False, repr=False
    )

    @classmethod
    def of(
        cls,
        study: Study,
        snapshot: Snapshot | None,
        *,
        method: str = "",
        overlaps: Overlaps | None = None,
        problem: str | None = None,
    ) -> Report:
        """The report of a study.

        Args:
            study: The study, which is only read.
            snapshot: The sampler's model of it; ``None`` if there is none.
            method: Name of the sampler's method; that of the snapshot by default.
            overlaps: The prior studies compared with this one; those of the snapshot by default.
            problem: Why there is no snapshot.
        """
        m, trials = len(study.directions), trials_of_all_brackets(study)
        found: list[tuple[Effect, ...]] = []
        if snapshot is not None:
            found = [effects(snapshot, j) if snapshot.is_telling(j) else () for j in range(m)]
        data = report_data(study, snapshot, found, method, overlaps, problem)
        return cls(
            **vars(data),
            plots=partial(plots_of, trials, snapshot, found, m),
            explain_trial=partial(trial_part, study.study_name, trials, snapshot),
        )

    def __str__(self) -> str:
        return text_of(self)

    def __repr__(self) -> str:
        """What an interactive session shows: the contents, not the fields."""
        return str(self)

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return self.to_markdown()

    def trial(self, n: int) -> TrialPart:
        """Why trial ``n`` was chosen: phase, forecast, weights, and the nearest prior trial.

        Raises:
            ValueError: If there is no such trial.
        """
        if self.explain_trial is None:
            raise ValueError("This report has no trials.")
        return self.explain_trial(n)

    def to_dict(self) -> dict[str, Any]:
        """The whole report in values that JSON can represent.

        The keys are the names of the attributes. Numbers that are infinite or unknown are
        ``None``; choices of other types than those of JSON are their ``repr``.
        """
        document = {f.name: plain(getattr(self, f.name)) for f in fields(ReportData)}
        return {"version": _VERSION, **document}

    def to_markdown(self) -> str:
        """The most important parts, for a note in Markdown."""
        return markdown_of(self)

    def to_html(self) -> str:
        """A self-contained page, which needs no network.

        It has plots if Plotly is installed.
        """
        return page_of(self, () if self.plots is None else self.plots())

    def write_html(self, path: str | Path) -> None:
        """Write the page to a file, atomically.

        Args:
            path: The file, which is replaced if it exists.

        Raises:
            OSError: If it cannot be written.
        """
        replace_file(Path(path), self.to_html().encode("utf-8"))

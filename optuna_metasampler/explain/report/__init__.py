"""Reports: what the sampler did in a study, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
import math
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from optuna import Study

from optuna_metasampler._optuna import trials_of_all_brackets
from optuna_metasampler._runtime import replace_file
from optuna_metasampler.explain.effects import effects
from optuna_metasampler.explain.plots.chart import Chart
from optuna_metasampler.explain.report.build import report_data
from optuna_metasampler.explain.report.data import ReportData
from optuna_metasampler.explain.report.html import page_of, plots_of
from optuna_metasampler.explain.report.text import markdown_of, text_of
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
    """

    plots: Callable[[], list[tuple[str, Chart]]] | None = field(
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
        found = [] if snapshot is None else [effects(snapshot, j) for j in range(m)]
        data = report_data(study, snapshot, found, method, overlaps, problem)
        return cls(**vars(data), plots=partial(plots_of, trials, snapshot, found, m))

    def __str__(self) -> str:
        return text_of(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole report in values that JSON can represent.

        The keys are the names of the attributes. Numbers that are infinite or unknown are
        ``None``; choices of other types than those of JSON are their ``repr``.
        """
        document = {f.name: _plain(getattr(self, f.name)) for f in fields(ReportData)}
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


def _plain(value: Any) -> Any:
    """A value as JSON can represent it, which knows no NaN and no infinity."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return repr(value)

"""The most important of a report in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import re
from typing import TYPE_CHECKING

from optuna_metasampler.explain.report.phrases import params_told, percent, shortened


if TYPE_CHECKING:
    from optuna_metasampler.explain.report.data import Report

_MOST_PRIORS, _MOST_PARAMETERS = 5, 5
# What could begin something in Markdown or HTML inside of a line, links without brackets included.
_SIGNS = re.compile(r"[\\`*_\[\]#!|~$<>&]|(?<=www)\.|:(?=//)|@")


def markdown_of(report: Report) -> str:
    """A title, what there is to know in short, and two small tables."""
    return "\n".join(_lines(report)) + "\n"


def escaped(text: str) -> str:
    """A text that Markdown shows letter by letter."""
    return _SIGNS.sub(lambda found: f"&#{ord(found[0])};", text)


def _lines(report: Report) -> Iterator[str]:
    yield f"## {escaped(shortened(report.study))}"
    yield ""
    for statement in report.statements:
        yield f"- {escaped(statement)}"
    if len(report.directions) == 1 and report.best:
        yield f"- Best trial {report.best[0].number}: {escaped(params_told(report.best[0]))}"
    for warning in report.warnings:
        yield f"- **Worth acting on:** {escaped(shortened(warning, 400))}"
    used = [p for p in report.priors if p.used][:_MOST_PRIORS]
    if used:
        yield from _table(
            ("prior study", "say now", "strongest for"),
            [
                (
                    shortened(p.name),
                    "?" if p.weight is None else percent(p.weight),
                    f"{p.n_strongest} {'trial' if p.n_strongest == 1 else 'trials'}",
                )
                for p in used
            ],
        )
    for objective in report.objectives:
        rows = [
            (shortened(p.name), percent(p.importance), p.learned.partition(";")[0])
            for p in objective.parameters[:_MOST_PARAMETERS]
        ]
        if rows:
            of = "" if len(report.objectives) == 1 else f", objective {objective.number}"
            yield from _table((f"parameter{of}", "share of the variation", "learned"), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield "| " + " | ".join(map(escaped, row)) + " |"

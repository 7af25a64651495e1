"""A report in Markdown, short enough for a note."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import re
from typing import TYPE_CHECKING

from optuna_metasampler.report.words import (
    aims_told,
    number,
    params_told,
    percent,
    shortened,
    sparkline,
)


if TYPE_CHECKING:
    from optuna_metasampler.report.contents import ObjectivePart, PriorPart, Report

_MOST_PRIORS, _MOST_PARAMETERS, _MOST_BEST = 8, 8, 3
_BARS = 16
# What has a meaning in Markdown, or in the HTML that may stand in it.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~$&:@])")


def markdown_of(report: Report) -> str:
    """The most important of a report."""
    lines = [
        f"## What the sampler did in {quoted(report.study)}",
        "",
        f"{report.n_trials:,} trials, {aims_told(report.directions)}, "
        f"method {quoted(report.method) or 'unknown'}.",
        "",
        *(f"- {quoted(statement)}" for statement in report.statements),
        *(f"- **Note:** {quoted(warning)}" for warning in report.warnings),
    ]
    for trial in report.best[:_MOST_BEST]:
        values = ", ".join(map(number, trial.values))
        told = quoted(f"{values}, trial {trial.number}: {params_told(trial)}")
        lines += ["", f"**Best:** {told}"]
    lines += _priors([p for p in report.priors if p.used])
    for objective in report.objectives:
        lines += _parameters(objective, len(report.objectives))
    skipped = [p for p in report.priors if not p.used]
    if skipped:
        lines += ["", "### Prior studies that are not used", ""]
    for p in skipped[:_MOST_PRIORS]:
        lines.append(f"- {quoted(shortened(p.name))}: {quoted(shortened(p.reason or '', 200))}")
    if len(skipped) > _MOST_PRIORS:
        lines.append(f"- and {len(skipped) - _MOST_PRIORS:,} more")
    return "\n".join(lines) + "\n"


def _priors(used: Sequence[PriorPart]) -> Iterator[str]:
    if not used:
        return
    yield from ("", "### Prior studies", "")
    yield "| study | trials | rank correlation | say now | over the trials |"
    yield "|---|--:|--:|--:|---|"
    top = max((w for p in used for w in p.weights), default=0.0)
    for p in used[:_MOST_PRIORS]:
        cells = [
            quoted(shortened(p.name)),
            "?" if p.n_trials is None else f"{p.n_trials:,}",
            "?" if p.rank_correlation is None else f"{p.rank_correlation:.2f}",
            "?" if p.weight is None else percent(p.weight),
            sparkline(p.weights, _BARS, top),
        ]
        yield f"| {' | '.join(cells)} |"
    if len(used) > _MOST_PRIORS:
        yield from ("", f"and {len(used) - _MOST_PRIORS:,} more")


def _parameters(objective: ObjectivePart, m: int) -> Iterator[str]:
    if not objective.parameters:
        return
    of = "" if m == 1 else f" for objective {objective.number}"
    yield from ("", f"### Parameters{of}", "")
    yield "| parameter | share of the variation | learned |"
    yield "|---|--:|---|"
    for p in objective.parameters[:_MOST_PARAMETERS]:
        yield f"| {quoted(shortened(p.name))} | {percent(p.importance)} | {quoted(p.learned)} |"


def quoted(text: str) -> str:
    """A text that Markdown shows letter by letter."""
    return _SPECIAL.sub(r"\\\1", text)

"""A report in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import textwrap
from typing import TYPE_CHECKING

from optuna_metasampler.explain.report.phrases import (
    number,
    params_told,
    percent,
    phase_told,
    phases_told,
    shortened,
    sparkline,
    states_told,
)


if TYPE_CHECKING:
    from optuna_metasampler.explain.report.data import ObjectivePart, PriorPart, Report

_WIDTH = 80
_MOST_PRIORS, _MOST_PARAMETERS, _MOST_BEST = 6, 6, 3
_MOST_DETAILS = 30
_BARS = 16


def text_of(report: Report) -> str:
    """The report: what there is to know on the first screen, the details below."""
    lines = [*_head(report), *_priors(report)]
    for objective in report.objectives:
        lines += _parameters(objective, len(report.objectives))
    lines += _details(report)
    return "\n".join(lines)


def _wrapped(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
    )


def _head(report: Report) -> Iterator[str]:
    direction = {"minimize": "minimised", "maximize": "maximised"}
    aims = ", ".join(direction[d] for d in report.directions)
    yield from _wrapped(
        f"{shortened(report.study)}: {report.n_trials:,} "
        f"{'trial' if report.n_trials == 1 else 'trials'}, {aims}, method "
        f"{shortened(report.method) or 'unknown'}",
        "",
        "  ",
    )
    if report.n_trials:
        yield from _wrapped(f"Trials: {states_told(report.states)}", "  ", "    ")
    if report.phases:
        yield from _wrapped(f"Chosen: {phases_told(report.phases)}", "  ", "    ")
    for trial in report.best[:_MOST_BEST]:
        values = ", ".join(map(number, trial.values))
        yield from _wrapped(
            f"Best: {values}, trial {trial.number}: {params_told(trial)}", "  ", "    "
        )
    if len(report.best) > _MOST_BEST:
        yield f"  ... and {len(report.best) - _MOST_BEST} more on the Pareto front"
    yield ""
    yield "In short"
    for statement in report.statements:
        yield from _wrapped(statement, "  ", "    ")
    for warning in report.warnings:
        yield from _wrapped(warning, "  ! ", "    ")


def _table(rows: Sequence[Sequence[str]], elastic: int, left: set[int]) -> list[str]:
    """Rows below headings, one column of which gives way where the table is too wide."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rest = sum(widths) - widths[elastic] + 2 * len(widths)
    widths[elastic] = max(len(rows[0][elastic]), min(widths[elastic], _WIDTH - rest))
    return [
        (
            "  "
            + "  ".join(
                f"{shortened(cell, w):{'<' if i in left else '>'}{w}}"
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in rows
    ]


def _priors(report: Report) -> Iterator[str]:
    used = [p for p in report.priors if p.used]
    if not used:
        return
    yield ""
    yield "Prior studies: what share of the say each has"
    shown = used[:_MOST_PRIORS]
    top = max((w for p in used for w in p.weights), default=0.0)
    kept = bool(report.weights_at)
    rows = [["study", "trials", "rank corr.", "say now"]]
    rows[0] += ["over the trials", "strongest"] if kept else []
    for p in shown:
        row = [
            shortened(p.name),
            "?" if p.n_trials is None else f"{p.n_trials:,}",
            "?" if p.rank_correlation is None else f"{p.rank_correlation:.2f}",
            "?" if p.weight is None else percent(p.weight),
        ]
        if kept:
            times = "once" if p.n_strongest == 1 else f"{p.n_strongest:,} times"
            row += [sparkline(p.weights, _BARS, top), times]
        rows.append(row)
    yield from _table(rows, 0, {0, 4})
    if len(used) > len(shown):
        yield f"  ... and {len(used) - len(shown):,} more"


def _parameters(objective: ObjectivePart, m: int) -> Iterator[str]:
    if not objective.parameters:
        return
    yield ""
    of = "" if m == 1 else f" for objective {objective.number}, {objective.direction}"
    yield from _wrapped(f"Parameters{of}: what share of the variation moves with each", "", "  ")
    shown = objective.parameters[:_MOST_PARAMETERS]
    before = any(p.importance_before is not None for p in shown)
    rows = [["parameter", "here"]]
    if before:
        rows[0] += ["before", "in the priors"]
    rows[0] += ["learned"]
    for p in shown:
        row = [shortened(p.name, 24), percent(p.importance)]
        if before:
            row += [
                "?" if p.importance_before is None else percent(p.importance_before),
                _range(p.importance_low, p.importance_high),
            ]
        short = p.learned.partition(":")[0].partition(";")[0].partition(", perhaps")[0]
        rows.append([*row, short])
    yield from _table(rows, len(rows[0]) - 1, {0, len(rows[0]) - 1})
    if len(objective.parameters) > len(shown):
        yield f"  ... and {len(objective.parameters) - len(shown):,} more"


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "?"
    one, other = percent(low), percent(high)
    return one if one == other else f"{one.removesuffix(' %')} to {other}"


def _details(report: Report) -> Iterator[str]:
    for objective in report.objectives:
        if objective.parameters:
            yield ""
            of = "" if len(report.objectives) == 1 else f" for objective {objective.number}"
            yield f"What was learned of each parameter{of}"
        for p in objective.parameters[:_MOST_DETAILS]:
            yield from _wrapped(f"{shortened(p.name)}: {p.learned}", "  ", "    ")
        yield from _forecasts(objective, len(report.objectives))
    yield from _shared(report.priors)
    skipped = [p for p in report.priors if not p.used]
    if skipped:
        yield ""
        yield "Prior studies that are not used"
    for prior in skipped[:_MOST_DETAILS]:
        why = shortened(prior.reason or "", 300)
        yield from _wrapped(f"{shortened(prior.name)}: {why}", "  ", "    ")
    if len(skipped) > _MOST_DETAILS:
        yield f"  ... and {len(skipped) - _MOST_DETAILS:,} more"


def _forecasts(objective: ObjectivePart, m: int) -> Iterator[str]:
    forecasts = objective.forecasts
    if not forecasts.trials:
        return
    yield ""
    of = "" if m == 1 else f" for objective {objective.number}"
    yield from _wrapped(
        f"What was expected and what came{of}: how many lay in the 80 % interval", "", "  "
    )
    rows = [["chosen", "trials", "inside", "rank corr.", "median error"]]
    for phase, accuracy in (*forecasts.by_phase.items(), ("all", forecasts.accuracy)):
        rows.append(
            [
                phase_told(phase),
                f"{accuracy.n_trials:,}",
                percent(accuracy.coverage),
                number(accuracy.rank_correlation, 2),
                number(accuracy.median_error, 2),
            ]
        )
    yield from _table(rows, 0, {0})
    worst = forecasts.worst
    if worst is not None:
        yield from _wrapped(
            f"The greatest surprise was trial {worst.number}: {number(worst.observed)}, where "
            f"{number(worst.predicted)} was expected ({number(worst.low)} to "
            f"{number(worst.high)}).",
            "  ",
            "    ",
        )


def _shared(priors: Sequence[PriorPart]) -> Iterator[str]:
    used = [p for p in priors if p.used and p.shared]
    by_shared: dict[tuple[str, ...], list[str]] = {}
    for p in used:
        by_shared.setdefault(p.shared, []).append(p.name)
    if not used:
        return
    yield ""
    yield "Parameters that the prior studies share with this one"
    for shared, names in list(by_shared.items())[:_MOST_DETAILS]:
        who = shortened(names[0]) + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
        yield from _wrapped(f"{who}: {', '.join(map(shortened, shared))}", "  ", "    ")

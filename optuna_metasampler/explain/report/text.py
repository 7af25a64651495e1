"""A report as plain text in 80 columns, and its most important parts as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import re
import textwrap

from optuna_metasampler._text import WIDTH, counted, number, percent, shortened, table, thinned
from optuna_metasampler.explain.report.data import ObjectivePart, PriorPart, ReportData
from optuna_metasampler.explain.report.phrases import (
    describe_fixed,
    describe_params,
    describe_phase,
    describe_phases,
    describe_states,
)


_MOST_PRIORS, _MOST_PARAMETERS, _MOST_BEST = 6, 6, 3
_MOST_DETAILS = 30
_N_BARS = 16
_BARS = "▁▂▃▄▅▆▇█"
_MOST_MARKDOWN_ROWS = 5
# Characters with a meaning in Markdown or HTML, including those of links without brackets.
_MARKUP = re.compile(r"[\\`*_\[\]#!|~$<>&]|(?<=www)\.|:(?=//)|@")


def text_of(report: ReportData) -> str:
    """The report: a summary on the first screen, details below."""
    m = len(report.objectives)
    lines = [*_head(report), *_priors(report)]
    for objective in report.objectives:
        lines += _parameters(objective, m)
    for objective in report.objectives:
        lines += _parameter_details(objective, m)
        lines += _calibration(objective, m)
    lines += _shared(report.used)
    lines += _fixed(report.used)
    lines += _unused(report.unused)
    return "\n".join(lines)


def sparkline(shares: Sequence[float], width: int, top: float) -> str:
    """Numbers from 0 to ``top`` as a row of at most ``width`` bars."""
    bars = []
    for share in thinned(shares, width):
        level = 0.0 if not top > 0 else min(max(share / top, 0.0), 1.0)
        bars.append(_BARS[min(round(level * (len(_BARS) - 1)), len(_BARS) - 1)])
    return "".join(bars)


def _wrapped(text: str, first: str = "  ", later: str = "    ") -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
    )


def _more(n: int, what: str = "") -> Iterator[str]:
    if n > 0:
        yield f"  ... and {n:,} more{what}"


def _of(objective: ObjectivePart, m: int) -> str:
    return "" if m == 1 else f" of objective {objective.number} ({objective.direction})"


def _head(report: ReportData) -> Iterator[str]:
    yield from _wrapped(
        f"{shortened(report.study)}: {counted(report.n_trials, 'trial')}, "
        f"{', '.join(report.directions)}, method {shortened(report.method) or 'unknown'}",
        "",
        "  ",
    )
    if report.n_trials:
        yield from _wrapped(f"States: {describe_states(report.states)}")
    if report.phases:
        yield from _wrapped(f"Phases: {describe_phases(report.phases)}")
    for trial in report.best[:_MOST_BEST]:
        values = ", ".join(map(number, trial.values))
        yield from _wrapped(
            f"Best: {values} (trial {trial.number}: {describe_params(trial.params)})"
        )
    yield from _more(len(report.best) - _MOST_BEST, " on the Pareto front")
    yield ""
    yield "Summary"
    for statement in report.statements:
        yield from _wrapped(statement)
    for warning in report.warnings:
        yield from _wrapped(warning, "  ! ")


def _priors(report: ReportData) -> Iterator[str]:
    used = report.used
    if not used:
        return
    top = max((w for p in used for w in p.weights), default=0.0)
    over_time = bool(report.weights_at)
    rows = [["study", "trials", "rank corr.", "weight"]]
    rows[0] += ["over time", "strongest"] if over_time else []
    for p in used[:_MOST_PRIORS]:
        row = [
            shortened(p.name),
            "?" if p.n_trials is None else f"{p.n_trials:,}",
            "?" if p.rank_correlation is None else f"{p.rank_correlation:.2f}",
            _share(p.weight),
        ]
        if over_time:
            row += [sparkline(p.weights, _N_BARS, top), counted(p.n_strongest, "trial")]
        rows.append(row)
    yield ""
    yield "Prior studies"
    yield from table(rows, {0, 4}, elastic=0, indent="  ")
    yield from _more(len(used) - _MOST_PRIORS)


def _parameters(objective: ObjectivePart, m: int) -> Iterator[str]:
    if not objective.parameters:
        return
    shown = objective.parameters[:_MOST_PARAMETERS]
    with_priors = any(p.prior_importance is not None for p in shown)
    rows = [["parameter", "importance"]]
    rows[0] += ["in priors", "range"] if with_priors else []
    for p in shown:
        row = [shortened(p.name, 24), percent(p.importance)]
        if with_priors:
            row += [
                _share(p.prior_importance),
                _range(p.prior_importance_low, p.prior_importance_high),
            ]
        rows.append(row)
    yield ""
    yield from _wrapped(
        f"Parameters{_of(objective, m)}: importance is the share of the variance", "", "  "
    )
    yield from table(rows, {0}, elastic=0, indent="  ")
    yield from _more(len(objective.parameters) - len(shown))


def _share(share: float | None) -> str:
    return "?" if share is None else percent(share)


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "?"
    ends = percent(low), percent(high)
    return ends[0] if ends[0] == ends[1] else f"{ends[0].removesuffix('%')} to {ends[1]}"


def _parameter_details(objective: ObjectivePart, m: int) -> Iterator[str]:
    if objective.parameters:
        yield ""
        yield f"Findings on the parameters{_of(objective, m)}"
    for p in objective.parameters[:_MOST_DETAILS]:
        yield from _wrapped(f"{shortened(p.name)}: {p.summary}")


def _calibration(objective: ObjectivePart, m: int) -> Iterator[str]:
    known = objective.calibration
    if not known.trials:
        return
    rows = [["phase", "trials", "in 80% interval", "rank corr.", "median error"]]
    groups = [(describe_phase(p), a) for p, a in known.by_phase.items()]
    for name, a in (*groups, ("all", known.accuracy)):
        numbers = [number(v, 2) for v in (a.rank_correlation, a.median_error)]
        rows.append([name, f"{a.n_trials:,}", percent(a.coverage), *numbers])
    yield ""
    yield f"Calibration of the forecasts{_of(objective, m)}"
    yield from table(rows, {0}, elastic=0, indent="  ")
    worst = known.worst
    if worst is not None:
        yield from _wrapped(
            f"Largest standardised error: trial {worst.number}, predicted "
            f"{number(worst.predicted)} ({number(worst.low)} to {number(worst.high)}), observed "
            f"{number(worst.observed)}."
        )


def _shared(used: Sequence[PriorPart]) -> Iterator[str]:
    shared = [(p.name, ", ".join(map(shortened, p.shared))) for p in used]
    return _alike("Parameters shared with the prior studies", shared)


def _fixed(used: Sequence[PriorPart]) -> Iterator[str]:
    fixed = [(p.name, describe_fixed(p)) for p in used]
    return _alike("Parameters that are not tuned, with their assumed values", fixed)


def _alike(title: str, texts: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Names of studies with their texts, those with the same one together; none if it is empty."""
    by_text: dict[str, list[str]] = {}
    for name, text in texts:
        if text:
            by_text.setdefault(text, []).append(name)
    if by_text:
        yield ""
        yield title
    for text, names in list(by_text.items())[:_MOST_DETAILS]:
        who = shortened(names[0]) + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
        yield from _wrapped(f"{who}: {text}")


def _unused(unused: Sequence[PriorPart]) -> Iterator[str]:
    if unused:
        yield ""
        yield "Prior studies that are not used"
    for prior in unused[:_MOST_DETAILS]:
        yield from _wrapped(f"{shortened(prior.name)}: {shortened(prior.reason or '', 300)}")
    yield from _more(len(unused) - _MOST_DETAILS)


# --------------------------------------------------------------------------------------------
# Markdown


def markdown_of(report: ReportData) -> str:
    """A title, the summary, and two small tables."""
    return "\n".join(_markdown(report)) + "\n"


def escaped(text: str) -> str:
    """A text without any markup of Markdown or HTML."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)


def _markdown(report: ReportData) -> Iterator[str]:
    yield f"## {escaped(shortened(report.study))}"
    yield ""
    for statement in report.statements:
        yield f"- {escaped(statement)}"
    if len(report.directions) == 1 and report.best:
        best = report.best[0]
        yield f"- Best trial {best.number}: {escaped(describe_params(best.params))}"
    for warning in report.warnings:
        yield f"- **Warning:** {escaped(shortened(warning, 400))}"
    priors = [
        (shortened(p.name), _share(p.weight), counted(p.n_strongest, "trial")) for p in report.used
    ]
    yield from _markdown_table(("prior study", "weight", "strongest for"), priors)
    for objective in report.objectives:
        of = "" if len(report.objectives) == 1 else f", objective {objective.number}"
        parameters = [
            (shortened(p.name), percent(p.importance), p.finding) for p in objective.parameters
        ]
        headings = (f"parameter{of}", "share of the variance", "finding")
        yield from _markdown_table(headings, parameters)


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    for row in rows[:_MOST_MARKDOWN_ROWS]:
        yield "| " + " | ".join(map(escaped, row)) + " |"

"""Turn runs into tables and figures, and write those of `benchmarks/results` into the READMEs.

No number is typed by hand: the blocks between markers such as ``<!-- demo:begin -->`` are made
from the JSON files of `benchmarks/results`, so that a checkout without any runs can check them.

Usage: ``python -m benchmarks.report [--runs DIR] [--out DIR]``; ``--check`` only says whether the
READMEs are up to date.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
import json
from pathlib import Path
import textwrap
from typing import Any

import click

from benchmarks import (
    calibration,
    constraints,
    explanation,
    figures,
    forecasts,
    load,
    methods,
    noise,
    objectives,
    outlook,
    overhead,
    parallel,
    pruning,
    results,
    scale,
)
from benchmarks.markdown import table
from benchmarks.peers import PEERS
from benchmarks.statistics import FLOOR, TIE
from benchmarks.summary import HARM, LOSS, LOW_FLOOR, MAIN, MAIN_PEERS, REFERENCE, summarize


ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

Summary = Mapping[str, Any]

_NONE = "–"
_README_TRIALS = ("1", "5", "10", "20", "50")
_FIELDS = "control, chemistry, logistics, epidemiology, optics and structures"


def _text(text: str) -> str:
    """A paragraph, broken like those that were typed."""
    return textwrap.fill(
        " ".join(text.split()), 100, break_long_words=False, break_on_hyphens=False
    )


def _number(value: float | None, digits: int = 2) -> str:
    # A zero has no sign.
    return _NONE if value is None else f"{value:.{digits}f}".replace("-0.00", "0.00")


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{value:.0%}"


def _interval(
    values: Sequence[float | None] | None, show: Callable[[float | None], str] = _number
) -> str:
    if values is None:
        return _NONE
    mean, low, high = map(show, values)
    return f"{mean} ({low} to {high})"


def _p(value: float | None) -> str:
    if value is None:
        return _NONE
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _peer(name: str) -> str:
    return f"**{name}**" if name == REFERENCE else name


def _span(ends: Sequence[int]) -> str:
    low, high = ends
    return str(low) if low == high else f"{low} to {high}"


# --- Blocks of README.md ----------------------------------------------------------------------


def demo_block() -> str:
    """What `make demo` measured, in one sentence and a table."""
    result = json.loads((RESULTS / "demo.json").read_text(encoding="utf-8"))
    counts = list(next(iter(result["median_best"].values())))
    names = {"MetaSampler": "`MetaSampler`", "TPESampler": "Optuna's default (`TPESampler`)"}
    n_seeds = len(result["runs"]) // 2
    versions = result["versions"]
    lines = [
        "Real tuning, as `make demo` does it: a scikit-learn network on "
        f"`{result['target']}`. The priors are {len(result['priors'])}",
        f"finished studies of {result['n_prior_trials']} trials on *other* data sets. Relative "
        "loss of the best trial so far,",
        f"median of {n_seeds} seeds, lower is better, Optuna {versions['optuna']}. One "
        "problem, told as it came out:",
        "",
        table(
            ["after trial", *counts],
            [
                [names[sampler], *(f"{best[n]:.4f}" for n in counts)]
                for sampler, best in result["median_best"].items()
            ],
        ),
    ]
    return "\n".join(lines)


def overhead_block() -> str:
    """What `make bench-overhead` measured."""
    result = _overhead()
    n_seeds = len({row["seed"] for row in result["rows"]})
    return "\n".join(
        [
            f"One `ask`, all `suggest_*` and one `tell` at {result['n_trials']} trials, medians; "
            f"the priors have {result['n_prior_trials']} trials",
            f"each. Compare the ratios (range over {n_seeds} runs), not the seconds of a machine.",
            "",
            overhead.table(result),
        ]
    )


def benchmark_block(summary: Summary) -> str:
    """The main peers, on the tasks on which all of them ran."""
    rows = [row for row in summary["shared_comparison"] if row["peer"] in MAIN_PEERS]
    if not rows:
        return "There are no runs yet."
    trials = [n for n in _README_TRIALS if all(n in row["regret"] for row in rows)]
    first = rows[0]
    n_seeds = [n for row in rows for n in row["n_seeds"]]
    text = _text(
        f"""{first["n_tasks"]} tasks of {first["n_suites"]} search spaces, seeds per task:
        {_span([min(n_seeds), max(n_seeds)])}, {_priors(summary)}. Regret of the best trial so
        far: 0 is the best known value, 1 the median configuration; geometric mean, every space
        weighs alike. The last column is the mean of log10 regret over trials 1 to
        {summary["horizon"]}, with
        its 95% bootstrap interval. Lower is better:"""
    )
    return (
        f"{text}\n\n"
        + table(
            ["sampler", *(f"trial {n}" for n in trials), "mean log10 regret"],
            [
                [
                    _peer(row["peer"]),
                    *(_number(row["regret"][n], 3) for n in trials),
                    _interval(row["endpoint"]),
                ]
                for row in rows
            ],
        )
        + _other_fields(summary["comparison"]["simulators"])
    )


def _other_fields(rows: Sequence[Summary]) -> str:
    if not rows:
        return ""
    shown = [row for row in rows if row["peer"] in MAIN_PEERS]
    found = ", ".join(f"{_peer(row['peer'])} {_interval(row['endpoint'])}" for row in shown)
    return "\n\n" + _text(
        f"""On simulators of other fields ({_FIELDS}; {rows[0]["n_tasks"]} tasks on which nothing
        was chosen), mean log10 regret: {found}."""
    )


def _priors(summary: Summary) -> str:
    counts = summary["provenance"]["n_priors"]
    if summary["scenario"] == MAIN and counts:
        number = _span([counts[0], counts[-1]])
        return f"with {number} prior studies of 60 TPE trials on other tasks"
    return f"scenario `{summary['scenario']}`"


# --- Sections of the report -------------------------------------------------------------------


def main_section(summary: Summary) -> str:
    """Every peer, and its difference to `MetaSampler`."""
    return (
        _text(
            f"""Mean log10 regret over the first {summary["horizon"]} trials, {_priors(summary)};
            95% bootstrap intervals (tasks are drawn again inside each suite). *Difference* is
            {REFERENCE} minus the peer, on the tasks and trials that both have: below 0,
            {REFERENCE} is better. Wins, ties and losses are {REFERENCE}'s, by task; a tie is
            within {TIE}. p is of the Wilcoxon signed-rank test over tasks, corrected by Holm.
            Regrets below {FLOOR:g} count as {FLOOR:g}; the columns *floor {LOW_FLOOR:g}* show
            what that does. Peers with other tasks or trials than the first row compare by
            *difference* only; the figure shows the {_n_shared(summary)} tasks on which all main
            samplers ran."""
        )
        + "\n\n"
        + _comparison(summary["comparison"]["all"])
    )


def _n_shared(summary: Summary) -> int:
    return max((row["n_tasks"] for row in summary["shared_comparison"]), default=0)


def _comparison(rows: Sequence[Summary]) -> str:
    low_floor = f"floor {LOW_FLOOR:g}"
    return table(
        [
            "sampler",
            "tasks",
            "seeds",
            "trials",
            "mean log10 regret",
            low_floor,
            "difference",
            low_floor,
            "on tasks",
            "wins/ties/losses",
            "p",
        ],
        [
            [
                _peer(row["peer"]),
                str(row["n_tasks"]),
                _span(row["n_seeds"]),
                str(row["n_trials"]),
                _interval(row["endpoint"]),
                _number(row["endpoint_low_floor"]),
                _interval(row.get("difference")),
                _interval(row.get("difference_low_floor")),
                str(row.get("n_paired", _NONE)),
                f"{row['wins']}/{row['ties']}/{row['losses']}" if "wins" in row else _NONE,
                _p(row.get("p_holm")),
            ]
            for row in rows
        ],
    )


def regret_section(summary: Summary) -> str:
    """Regret at some trials, of every peer."""
    rows = summary["comparison"]["all"]
    trials = list(dict.fromkeys(n for row in rows for n in row["regret"]))
    return "Geometric mean; every suite weighs alike.\n\n" + table(
        ["sampler", "tasks", *(f"trial {n}" for n in trials)],
        [
            [
                _peer(row["peer"]),
                str(row["n_tasks"]),
                *(_number(row["regret"].get(n), 4) for n in trials),
            ]
            for row in rows
        ],
    )


def cold_section(summary: Summary) -> str:
    """Without any priors."""
    return (
        f"Nobody has priors. *Difference* is {REFERENCE} without priors minus the peer.\n\n"
        + _comparison(summary["cold_comparison"])
    )


def seen_section(summary: Summary) -> str:
    """Suites that were looked at while methods were made, and the others."""
    pools = {name: summary["comparison"][name] for name in ("seen", "unseen")}
    rows = {name: {row["peer"]: row for row in pool} for name, pool in pools.items()}
    return (
        "Suites that were looked at while methods were made can flatter; the others cannot.\n\n"
        + "\n".join(f"- {name}: {', '.join(summary['pools'][name]) or 'none'}" for name in pools)
        + f"\n\nMean log10 regret, and the difference {REFERENCE} minus the peer:\n\n"
        + table(
            ["sampler", "seen", "difference", "tasks", "unseen", "difference", "tasks"],
            [
                [
                    _peer(peer),
                    *(
                        cell
                        for name in pools
                        for row in [rows[name].get(peer, {})]
                        for cell in (
                            _interval(row.get("endpoint")),
                            _interval(row.get("difference")),
                            str(row.get("n_tasks", _NONE)),
                        )
                    ),
                ]
                for peer in (row["peer"] for row in summary["comparison"]["all"])
            ],
        )
    )


def suite_section(summary: Summary) -> str:
    """Mean log10 regret of the main peers by suite, and who is best of all."""
    suites = summary["by_suite"]
    present = {row["peer"] for rows in suites.values() for row in rows}
    peers = [peer for peer in MAIN_PEERS if peer in present]
    lines = []
    for suite, rows in suites.items():
        value = {row["peer"]: row["endpoint"][0] for row in rows}
        most = max((row["n_tasks"] for row in rows), default=0)
        # Another peer's mean over fewer tasks says nothing about who is best.
        full = {row["peer"]: value[row["peer"]] for row in rows if row["n_tasks"] == most}
        best = min(full, key=lambda peer: full[peer]) if full else _NONE
        lines.append([suite, str(most), *(_number(value.get(p)) for p in peers), best])
    text = _text(
        f"""Mean log10 regret over the first {summary["horizon"]} trials, {_priors(summary)};
        *best* is of all samplers that ran on every task of the suite."""
    )
    return f"{text}\n\n" + table(["suite", "tasks", *map(_peer, peers), "best"], lines)


def simulator_section(summary: Summary) -> str:
    """Simulators of other fields than learning, with and without priors."""
    rows = summary["comparison"]["simulators"]
    cold = summary["cold_simulators"]
    trials = list(dict.fromkeys(n for row in rows + cold for n in row["regret"]))

    def by_trial(found: Sequence[Summary]) -> str:
        return table(
            ["sampler", *(f"trial {n}" for n in trials), "mean log10 regret", "difference"],
            [
                [
                    _peer(row["peer"]),
                    *(_number(row["regret"].get(n), 4) for n in trials),
                    _interval(row["endpoint"]),
                    _interval(row.get("difference")),
                ]
                for row in found
            ],
        )

    if not rows and not cold:
        return "There are no such runs."
    n_tasks = max(row["n_tasks"] for row in rows + cold)
    text = _text(
        f"""{_FIELDS.capitalize()}: {n_tasks} tasks on which nothing was chosen. They are in no
        other pooled figure: the best possible value is not known, and that of all runs stands for
        it. *Difference* is {REFERENCE} minus the peer.
        Scenario `{summary["scenario"]}`:"""
    )
    return "\n\n".join(
        [
            text,
            by_trial(rows),
            "Nobody has priors:",
            by_trial(cold),
            "Each sampler with these priors minus itself without, as in *Priors that mislead*:",
            _harm_table(summary["harm_simulators"]),
        ]
    )


def rank_section(summary: Summary) -> str:
    """Average ranks with Friedman's test and the critical difference."""
    found = summary["ranks"]
    if not found:
        return "Fewer than two peers ran on all tasks."
    trials = [str(n) for n in found["trials"]]
    left_out = ", ".join(found["left_out"]) or "nobody"
    friedman = ", ".join(f"{_p(found['friedman_p'][n])} at trial {n}" for n in trials)
    return (
        _text(
            f"""Over {found["n_tasks"]} tasks, 1 is best. Ranks that are less than
            {found["critical_difference"]:.2f} apart do not differ at the 5% level (Nemenyi;
            Demsar 2006, *Statistical comparisons of classifiers over multiple data sets*).
            Friedman p: {friedman}. Left out, as they did not run on all tasks for all trials:
            {left_out}."""
        )
        + "\n\n"
        + table(
            ["sampler", *(f"trial {n}" for n in trials)],
            [
                [_peer(peer), *(_number(ranks[n]) for n in trials)]
                for peer, ranks in sorted(
                    found["average"].items(), key=lambda item: item[1][trials[-1]]
                )
            ],
        )
    )


def match_section(summary: Summary) -> str:
    """Trials to be as good as Optuna's own samplers at the end of their budget."""
    horizon = summary["horizon"]
    return (
        _text(
            f"""The first trial at which a sampler's log10 regret (mean over seeds) is at or below
            the target's; the median over tasks, and the share of tasks on which that happens
            within {horizon} trials."""
        )
        + "\n\n"
        + table(
            ["target", "sampler", "tasks", "median trial", "reached"],
            [
                [
                    row["target"],
                    _peer(row["peer"]),
                    str(row["n_tasks"]),
                    f">{horizon}" if row["median"] is None else f"{row['median']:g}",
                    _share(row["share"]),
                ]
                for row in summary["match"]
            ],
        )
    )


def repeats_section(summary: Summary) -> str:
    """Who asks for what is known already."""
    rows = summary["repeats"]
    suites = list(dict.fromkeys(suite for row in rows for suite in row["by_suite"]))
    return (
        _text(
            """Share of the trials after the first ten that returned a value which the run already
            had. Where values come from a table or have plateaus, such trials found nothing out."""
        )
        + "\n\n"
        + table(
            ["sampler", "mean", *suites],
            [
                [
                    _peer(row["peer"]),
                    _share(row["share"]),
                    *(_share(row["by_suite"].get(suite)) for suite in suites),
                ]
                for row in rows
            ],
        )
    )


CHANCE = "another seed"


def harm_section(summary: Summary) -> str:
    """What priors of every kind did to each peer."""
    return (
        _text(
            f"""Each sampler with these priors minus itself without: above 0, the priors did harm.
            *Worst decile* is the 90% quantile over tasks. *Worse* is the share of tasks with a
            regret more than {HARM} above the one without priors. How much of both comes about by
            chance says the row `{CHANCE}`: no priors on either side, only another seed."""
        )
        + f"\n\n{_harm_table(summary['harm'])}"
    )


def _harm_table(rows: Sequence[Summary]) -> str:
    trials = list(dict.fromkeys(n for row in rows for n in row["worse_at"]))
    return table(
        [
            "scenario",
            "sampler",
            "tasks",
            "difference",
            "worst decile",
            *(f"worse at {n}" for n in trials),
        ],
        [
            [
                CHANCE if row["scenario"] == "none" else row["scenario"],
                _peer(row["peer"]),
                str(row["n_tasks"]),
                _interval(row["difference"]),
                _number(row["worst_decile"]),
                *(_share(row["worse_at"].get(n)) for n in trials),
            ]
            for row in rows
        ],
    )


def n_priors_section(summary: Summary) -> str:
    """What the number of prior studies does."""
    return (
        _text(
            """Each sampler with this many priors minus itself without, on all tasks that have so
            many, and on those that have every number."""
        )
        + "\n\n"
        + table(
            ["sampler", "priors", "tasks", "difference", "same tasks", "difference"],
            [
                [
                    _peer(row["peer"]),
                    str(row["k"]),
                    str(row["n_tasks"]),
                    _interval(row["difference"]),
                    str(row["n_common"]),
                    _interval(row["difference_common"]),
                ]
                for row in summary["n_priors"]
            ],
        )
    )


def overlap_section(summary: Summary) -> str:
    """What is kept when priors share the search space only in part."""
    return (
        _text(
            """What priors that share the space only in part are worth: *difference* is mean log10
            regret with minus without them, beside the same from priors that share all of the
            space, on the same tasks. No share is given where that gain is not certain. The share
            is of each sampler's own gain: one that is good without priors has less to gain."""
        )
        + "\n\n"
        + table(
            [
                "scenario",
                "sampler",
                "tasks",
                "mean log10 regret",
                "difference",
                "with full overlap",
                "share kept",
            ],
            [
                [
                    row["scenario"],
                    _peer(row["peer"]),
                    str(row["n_tasks"]),
                    _interval(row["endpoint"]),
                    _interval(row["difference"]),
                    _interval(row["full"]),
                    _interval(row["share"], _share),
                ]
                for row in summary["overlap"]
            ],
        )
    )


def aims_section(summary: Summary) -> str:
    """What was aimed at, and what came of it."""
    return (
        _text(
            """Limits that were set before the default method was made. Differences are of mean
            log10 regret over trials 1 to 50 unless a trial is named, MetaSampler minus the other;
            95% bootstrap intervals. *Met* looks at the measured mean alone. Overlaps, costs and
            first trials have tables of their own."""
        )
        + "\n\n"
        + table(
            ["situation", "aim", "measured", "tasks", "met"],
            [
                [
                    row["situation"],
                    row["aim"],
                    _interval(row["measured"]),
                    str(row["n_tasks"]),
                    "yes" if row["met"] else "**no**",
                ]
                for row in summary["aims"]
            ],
        )
        + _hindsight(summary["hindsight"])
    )


def _hindsight(found: Summary | None) -> str:
    if found is None:
        return ""
    return "\n\n" + _text(
        f"""What there is to gain: who knew beforehand, for each of the {found["n_tasks"]} tasks,
        which of the {found["n_samplers"]} samplers that ran on all of them does best on it, would
        be at {_interval(found["difference"])} to the better of TPE and GPSampler with the best
        priors enqueued. It flatters, as the best of several is partly luck."""
    )


def ablation_section(summary: Summary) -> str:
    """What each part of the default method is good for."""
    trials = list(dict.fromkeys(n for row in summary["ablation"] for n in row["by_trial"]))
    return (
        _text(
            """MetaSampler with one part left out or told otherwise, minus MetaSampler as it is, on
            the same tasks and seed: above 0, the part helps. The last columns are differences of
            log10 regret at single trials. One seed, so differences below 0.1 say little."""
        )
        + "\n\n"
        + table(
            ["priors", "variant", "tasks", "difference", *(f"at {n}" for n in trials)],
            [
                [
                    row["scenario"],
                    row["name"],
                    str(row["n_tasks"]),
                    _interval(row["difference"]),
                    *(_number(row["by_trial"].get(n)) for n in trials),
                ]
                for row in summary["ablation"]
            ],
        )
    )


def relatedness_section(summary: Summary) -> str:
    """What priors of a known correlation with the target do."""
    return (
        _text(
            """Random functions; the correlation of the priors with the target is set. *Difference*
            is to the sampler itself without priors."""
        )
        + "\n\n"
        + table(
            ["correlation", "sampler", "tasks", "mean log10 regret", "difference"],
            [
                [
                    f"{row['relatedness']:g}",
                    _peer(row["peer"]),
                    str(row["n_tasks"]),
                    _interval(row["endpoint"]),
                    _interval(row["difference"]),
                ]
                for row in summary["relatedness"]
            ],
        )
    )


def losses_section(summary: Summary) -> str:
    """Where it is not the one to use."""
    found = summary["losses"]
    ahead = ["ahead", "by", "peers ahead"]
    return (
        _text(
            f"""Where {REFERENCE} is more than {LOSS} decades behind the best other sampler (itself
            without priors is one of them). The best of many is partly luck, on a single task
            above all."""
        )
        + "\n\n"
        + table(
            ["suite", "tasks", *ahead],
            [
                [
                    row["suite"],
                    str(row["n_tasks"]),
                    row["ahead"],
                    _interval(row["difference"]),
                    f"{row['n_ahead']} of {row['n_peers']}",
                ]
                for row in found["suites"]
            ],
        )
        + "\n\n"
        + table(
            ["suite", "task", *ahead],
            [
                [
                    row["suite"],
                    row["task"],
                    row["ahead"],
                    _number(row["difference"]),
                    f"{row['n_ahead']} of {row['n_peers']}",
                ]
                for row in found["tasks"]
            ],
        )
    )


def problems_section(summary: Summary) -> str:
    """Runs that failed or are missing, and tasks that cannot be judged."""
    parts = ["All planned runs are there, and none failed."]
    if summary["problems"]:
        parts = [
            table(
                ["", "sampler", "scenario", "suite", "runs", "first message"],
                [
                    [
                        row["kind"],
                        row["peer"],
                        row["scenario"],
                        row["suite"],
                        str(row["count"]),
                        row["error"][:200],
                    ]
                    for row in summary["problems"]
                ],
            )
        ]
    if summary["unscaled"]:
        lines = [f"- {r['suite']}, {r['task']}: {r['reason']}" for r in summary["unscaled"]]
        parts.append("Tasks that are left out:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({n})" for name, n in counts.items()) or "none"


def provenance_section(summary: Summary) -> str:
    """What all of it rests on."""
    found = summary["provenance"]
    versions = ", ".join(f"{p} {' and '.join(v)}" for p, v in found["versions"].items())
    derived = Counter(suite for suite, _ in found["derived_scales"])
    return "\n".join(
        [
            f"- Runs: {found['n_runs']}, of which {found['n_judged']} are used "
            f"({found['n_trials']} trials).",
            f"- Suites (tasks): {_counts(found['tasks'])}.",
            f"- Seeds: {', '.join(map(str, found['seeds'])) or 'none'}.",
            "- Tasks whose best value is that of the runs, as no other is known (who found it has "
            f"no regret): {_counts(derived)}.",
            f"- Versions: {versions or 'unknown'}.",
        ]
    )


_SECTIONS: dict[str, tuple[str, Callable[[Summary], str], tuple[str, ...]]] = {
    "main": ("All samplers", main_section, ("curves",)),
    "aims": ("What was aimed at", aims_section, ()),
    "regret": ("Regret by trial", regret_section, ()),
    "ranks": ("Ranks", rank_section, ("critical_difference",)),
    "match": ("Trials to match Optuna's samplers", match_section, ()),
    "suites": ("By suite", suite_section, ("curves_by_suite",)),
    "seen": ("Seen and unseen suites", seen_section, ()),
    "simulators": ("Simulators of other fields", simulator_section, ()),
    "losses": ("Where it loses", losses_section, ()),
    "repeats": ("Trials that found nothing out", repeats_section, ()),
    "harm": ("Priors that mislead", harm_section, ("harm",)),
    "n_priors": ("Number of priors", n_priors_section, ("n_priors",)),
    "overlap": ("Priors from another version of the space", overlap_section, ()),
    "relatedness": (
        "How much priors have to do with the task",
        relatedness_section,
        ("relatedness",),
    ),
    "cold": ("Without priors", cold_section, ()),
    "ablation": ("What each part is good for", ablation_section, ()),
    "problems": ("Failed and missing runs", problems_section, ()),
    "provenance": ("What this rests on", provenance_section, ()),
}
"""By name: title, text and figures."""


def sections(summary: Summary, drawn: Mapping[str, str], level: int = 2) -> str:
    """All sections; ``drawn`` has the address of each figure that there is."""
    parts = []
    for title, text, names in _SECTIONS.values():
        parts.append(f"{'#' * level} {title}")
        parts += [f"![{title}]({drawn[name]})" for name in names if name in drawn]
        parts.append(text(summary))
    return "\n\n".join(parts)


# --- Files ------------------------------------------------------------------------------------


def with_block(text: str, name: str, block: str) -> str:
    """The text with everything between the two markers of ``name`` replaced, if it has them."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if begin not in text:
        return text
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    return f"{head}{begin}\n{block}\n{end}{tail}"


def readme(text: str) -> str:
    """The README with the current figures."""
    text = with_block(with_block(text, "demo", demo_block()), "overhead", overhead_block())
    summary = _committed_summary()
    return text if summary is None else with_block(text, "benchmark", benchmark_block(summary))


def benchmarks_readme(text: str) -> str:
    """The README of the benchmarks with the current figures."""
    result = _overhead()
    if "grid" in result:
        text = with_block(text, "overhead-grid", overhead.grid_table(result))
    for name, tabulate in _TABLES.items():
        measured = _measured(name)
        if measured is not None:
            text = with_block(text, name, tabulate(measured))
    summary = _committed_summary()
    if summary is None:
        return text
    drawn = {name: f"results/{address}" for name, address in summary["figures"].items()}
    return with_block(text, "results", sections(summary, drawn, level=3))


# By the name of their result file, which is that of their part of the text as well.
_TABLES: dict[str, Callable[[Summary], str]] = {
    "calibration": calibration.table,
    "explanation": explanation.table,
    "forecasts": forecasts.table,
    "outlook": outlook.table,
    "scale": scale.table,
    "parallel": parallel.table,
    "pruning": pruning.table,
    "constraints": constraints.table,
    "objectives": objectives.table,
    "noise": noise.table,
    "load": load.table,
}


def methods_page(text: str) -> str:
    """The page of methods with the current tables."""
    measured = _measured("methods/summary")
    return text if measured is None else with_block(text, "methods", methods.table(measured))


def _overhead() -> Summary:
    return json.loads((RESULTS / "overhead.json").read_text(encoding="utf-8"))


def _measured(name: str) -> Summary | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _committed_summary() -> Summary | None:
    return _measured("summary")


_READMES: dict[Path, Callable[[str], str]] = {
    ROOT / "README.md": readme,
    ROOT / "benchmarks" / "README.md": benchmarks_readme,
    ROOT / "docs" / "methods.md": methods_page,
}


def write(runs: Path, out: Path) -> Summary:
    """Write ``summary.json``, ``report.md`` and the figures of a folder of runs.

    The folder around it has ``scales.json`` and may have ``expected.json``, the runs that there
    should be.

    Raises:
        FileNotFoundError: If there are no runs, or no scales to judge them by.
        ValueError: If a file is not of its form, or runs cannot be compared.
    """
    paths = sorted(runs.glob("*.jsonl"))
    if not paths:
        raise FileNotFoundError(f"There is no file of runs (*.jsonl) in {runs}.")
    scales = json.loads((runs.parent / "scales.json").read_text(encoding="utf-8"))
    plan = runs.parent / "expected.json"
    expected = json.loads(plan.read_text(encoding="utf-8")) if plan.exists() else []
    cold = {name: peer.cold for name, peer in PEERS.items() if peer.cold is not None}
    summary = summarize(results.read(paths), scales, cold, map(tuple, expected))
    drawn = figures.draw(summary, out / "figures")
    summary["figures"] = {name: f"figures/{path.name}" for name, path in drawn.items()}
    # One entry a line: a change shows where it is.
    entries = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in summary.items())
    (out / "summary.json").write_text(f"{{\n{entries}\n}}\n", encoding="utf-8")
    (out / "report.md").write_text(
        f"# Report\n\n{sections(summary, summary['figures'])}\n", encoding="utf-8"
    )
    return summary


@click.command()
@click.option(
    "--runs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of runs (*.jsonl), beside their scales.json; the committed ones by default.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the report goes; the folder around the runs by default.",
)
@click.option("--check", is_flag=True, help="Only say whether the READMEs are up to date.")
def main(runs: Path | None, out: Path | None, check: bool) -> None:
    """Write tables and figures of runs; without options also the figures of the READMEs."""
    if check:
        stale = [
            path.relative_to(ROOT)
            for path, render in _READMES.items()
            if render(before := path.read_text(encoding="utf-8")) != before
        ]
        if stale:
            names = " and ".join(map(str, stale))
            raise click.ClickException(
                f"Not up to date: {names}. Run python -m benchmarks.report."
            )
        return
    source = runs or RESULTS / "runs"
    target = out or source.parent
    if runs is not None or source.exists():
        try:
            write(source, target)
        except (FileNotFoundError, ValueError) as error:
            raise click.ClickException(str(error)) from error
        click.echo(f"Report: {target / 'report.md'}")
    if target.resolve() == RESULTS.resolve():
        if "grid" in _overhead():
            overhead.figure(_overhead(), RESULTS / "figures" / "overhead.png")
        if (measured := _measured("calibration")) is not None:
            calibration.figure(measured, RESULTS / "figures" / "calibration.png")
        methods.write()
        for path, render in _READMES.items():
            path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
        names = ", ".join(str(path.relative_to(ROOT)) for path in _READMES)
        click.echo(f"These have the figures of benchmarks/results: {names}.")


if __name__ == "__main__":
    main()

"""The comparison's numbers as Markdown, a block a section of ``benchmarks/README.md``.

What a table is about stands in the README; a block says only what depends on the runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.experiments.comparison.aims import MAIN
from benchmarks.experiments.comparison.data import REFERENCE
from benchmarks.experiments.comparison.summary import LOW_FLOOR, MAIN_PEERS
from benchmarks.markdown import (
    NONE,
    Column,
    Row,
    digits,
    interval,
    number,
    p_value,
    paragraph,
    share,
    spread,
    table,
    table_of,
    text,
)


Summary = Mapping[str, Any]

CHANCE = "another seed"
_README_TRIALS = ("1", "5", "10", "20", "50")
_FLOOR = f"floor {LOW_FLOOR:g}"


def tables(summary: Summary) -> dict[str, str]:
    """All blocks."""
    return {name: block(summary) for name, block in _BLOCKS.items()}


# --- Cells ------------------------------------------------------------------------------------


def bold(name: str) -> str:
    """A peer's name, the reference's in bold."""
    return f"**{name}**" if name == REFERENCE else name


def _peer(row: Row) -> str:
    return bold(row["peer"])


def _scenario(row: Row) -> str:
    return CHANCE if row["scenario"] == "none" else str(row["scenario"])


def _share(name: str) -> Callable[[Row], str]:
    return lambda row: share(row[name])


def _span(ends: Sequence[int]) -> str:
    low, high = ends
    return str(low) if low == high else f"{low} to {high}"


def _by(name: str, rows: Sequence[Row], show: Callable[[Any], str], header: str) -> list[Column]:
    """A column for each key that the mappings in column ``name`` have."""
    keys = dict.fromkeys(key for row in rows for key in row[name])
    return [
        (header.format(key), lambda row, key=key: show(row[name].get(key)))  # type: ignore[misc]
        for key in keys
    ]


SAMPLER: Column = ("sampler", _peer)
TASKS: Column = ("tasks", text("n_tasks"))
ENDPOINT: Column = ("mean log10 regret", spread("endpoint"))
DIFFERENCE: Column = ("difference", spread("difference"))
AHEAD: tuple[Column, Column] = (
    ("ahead", text("ahead")),
    ("peers ahead", lambda row: f"{row['n_ahead']} of {row['n_peers']}"),
)


def _regret(rows: Sequence[Row], n: int) -> list[Column]:
    return _by("regret", rows, lambda value: number(value, n), "trial {}")


# --- The short table of README.md -------------------------------------------------------------


def short(summary: Summary) -> str:
    """The main peers, on the tasks on which all of them ran."""
    rows = [row for row in summary["shared_comparison"] if row["peer"] in MAIN_PEERS]
    if not rows:
        return "There are no runs yet."
    trials = [n for n in _README_TRIALS if all(n in row["regret"] for row in rows)]
    first, n_seeds = rows[0], [n for row in rows for n in row["n_seeds"]]
    intro = f"""{first["n_tasks"]} tasks of {first["n_suites"]} search spaces, seeds per task:
        {_span([min(n_seeds), max(n_seeds)])}, {_priors(summary)}. Regret of the best trial so
        far: 0 is the best known value, 1 the median configuration; geometric mean, every space
        weighs alike. The last column is the mean of log10 regret over trials 1 to
        {summary["horizon"]}, with its 95% bootstrap interval. Lower is better:"""
    shown = [{**row, "regret": {n: row["regret"][n] for n in trials}} for row in rows]
    parts = [paragraph(intro), table_of(shown, [SAMPLER, *_regret(shown, 3), ENDPOINT])]
    others = summary["comparison"]["simulators"]
    if others:
        found = ", ".join(
            f"{_peer(row)} {interval(row['endpoint'])}"
            for row in others
            if row["peer"] in MAIN_PEERS
        )
        parts.append(
            paragraph(
                f"""On simulators of other fields (control, chemistry, logistics, epidemiology,
                optics and structures; {others[0]["n_tasks"]} tasks on which nothing was chosen),
                mean log10 regret: {found}."""
            )
        )
    return "\n\n".join(parts)


def _priors(summary: Summary) -> str:
    counts = summary["provenance"]["n_priors"]
    if summary["scenario"] == MAIN and counts:
        number_of = _span([counts[0], counts[-1]])
        return f"with {number_of} prior studies of 60 TPE trials on other tasks"
    return f"scenario `{summary['scenario']}`"


# --- Sections of benchmarks/README.md ---------------------------------------------------------


def _all_samplers(summary: Summary) -> str:
    n_shared = max((row["n_tasks"] for row in summary["shared_comparison"]), default=0)
    intro = f"""The first {summary["horizon"]} trials, {_priors(summary)}. The figure shows the
        {n_shared} tasks on which all main samplers ran."""
    return f"{paragraph(intro)}\n\n{_comparison(summary['comparison']['all'])}"


def _comparison(rows: Sequence[Row]) -> str:
    def record(row: Row) -> str:
        return f"{row['wins']}/{row['ties']}/{row['losses']}" if "wins" in row else NONE

    return table_of(
        rows,
        [
            SAMPLER,
            TASKS,
            ("seeds", lambda row: _span(row["n_seeds"])),
            ("trials", text("n_trials")),
            ENDPOINT,
            (_FLOOR, digits("endpoint_low_floor", 2)),
            DIFFERENCE,
            (_FLOOR, spread("difference_low_floor")),
            ("on tasks", text("n_paired")),
            ("wins/ties/losses", record),
            ("p", lambda row: p_value(row.get("p_holm"))),
        ],
    )


def _aims(summary: Summary) -> str:
    found = table_of(
        summary["aims"],
        [
            ("situation", text("situation")),
            ("aim", text("aim")),
            ("measured", spread("measured")),
            TASKS,
            ("met", lambda row: "yes" if row["met"] else "**no**"),
        ],
    )
    bound = summary["hindsight"]
    if bound is None:
        return found
    outro = f"""An oracle that knew, for each of the {bound["n_tasks"]} tasks, which of the
        {bound["n_samplers"]} samplers that ran on all of them does best on it, would be at
        {interval(bound["difference"])} to the better of TPE and GPSampler with the best priors
        enqueued. This is a bound on what there is to gain, and it flatters: the best of several
        is partly luck."""
    return f"{found}\n\n{paragraph(outro)}"


def _regret_by_trial(summary: Summary) -> str:
    rows = summary["comparison"]["all"]
    return table_of(rows, [SAMPLER, TASKS, *_regret(rows, 4)])


def _cold(summary: Summary) -> str:
    return _comparison(summary["cold_comparison"])


def _seen(summary: Summary) -> str:
    pools = ("seen", "unseen")
    rows = {name: {row["peer"]: row for row in summary["comparison"][name]} for name in pools}
    names = "\n".join(f"- {name}: {', '.join(summary['pools'][name]) or 'none'}" for name in pools)
    header = ["sampler", *(h for name in pools for h in (name, "difference", "tasks"))]
    cells = (spread("endpoint"), spread("difference"), text("n_tasks"))
    lines = [
        [bold(peer), *(cell(rows[name].get(peer, {})) for name in pools for cell in cells)]
        for peer in (row["peer"] for row in summary["comparison"]["all"])
    ]
    return f"{names}\n\n{table(header, lines)}"


def _suites(summary: Summary) -> str:
    suites = summary["by_suite"]
    present = {row["peer"] for rows in suites.values() for row in rows}
    peers = [peer for peer in MAIN_PEERS if peer in present]
    lines = []
    for suite, rows in suites.items():
        value = {row["peer"]: row["endpoint"][0] for row in rows}
        most = max((row["n_tasks"] for row in rows), default=0)
        # Another peer's mean over fewer tasks says nothing about who is best.
        full = {row["peer"]: value[row["peer"]] for row in rows if row["n_tasks"] == most}
        best = min(full, key=lambda peer: full[peer]) if full else NONE
        lines.append([suite, str(most), *(number(value.get(p)) for p in peers), best])
    return table(["suite", "tasks", *map(bold, peers), "best"], lines)


def _simulators(summary: Summary) -> str:
    warm, cold = summary["comparison"]["simulators"], summary["cold_simulators"]
    if not warm and not cold:
        return "There are no such runs."
    regret = _regret([*warm, *cold], 4)
    n_tasks = max(row["n_tasks"] for row in [*warm, *cold])
    return "\n\n".join(
        [
            f"{n_tasks} tasks. Scenario `{summary['scenario']}`:",
            table_of(warm, [SAMPLER, *regret, ENDPOINT, DIFFERENCE]),
            "Without priors for anybody:",
            table_of(cold, [SAMPLER, *regret, ENDPOINT, DIFFERENCE]),
            "Each sampler with these priors minus itself without:",
            _harm_table(summary["harm_simulators"]),
        ]
    )


def _ranks(summary: Summary) -> str:
    found = summary["ranks"]
    if not found:
        return "Fewer than two samplers ran on all tasks."
    trials = [str(n) for n in found["trials"]]
    friedman = ", ".join(f"{p_value(found['friedman_p'][n])} at trial {n}" for n in trials)
    intro = f"""{found["n_tasks"]} tasks. Ranks that are less than
        {found["critical_difference"]:.2f} apart do not differ at the 5% level (Nemenyi). Friedman
        p: {friedman}. Left out, as they did not run on all tasks for all trials:
        {", ".join(found["left_out"]) or "none"}."""
    average = sorted(found["average"].items(), key=lambda item: item[1][trials[-1]])
    rows = [{"peer": peer, "rank": ranks} for peer, ranks in average]
    columns = [SAMPLER, *_by("rank", rows, number, "trial {}")]
    return f"{paragraph(intro)}\n\n{table_of(rows, columns)}"


def _match(summary: Summary) -> str:
    def median(row: Row) -> str:
        if row["median"] is None:
            return f">{summary['horizon']}"
        return f"{row['median']:g}"

    return table_of(
        summary["match"],
        [
            ("target", text("target")),
            SAMPLER,
            TASKS,
            ("median trial", median),
            ("reached", _share("share")),
        ],
    )


def _repeats(summary: Summary) -> str:
    rows = summary["repeats"]
    return table_of(
        rows, [SAMPLER, ("mean", _share("share")), *_by("by_suite", rows, share, "{}")]
    )


def _harm(summary: Summary) -> str:
    return _harm_table(summary["harm"])


def _harm_table(rows: Sequence[Row]) -> str:
    return table_of(
        rows,
        [
            ("scenario", _scenario),
            SAMPLER,
            TASKS,
            DIFFERENCE,
            ("worst decile", digits("worst_decile", 2)),
            *_by("worse_at", rows, share, "worse at {}"),
        ],
    )


def _n_priors(summary: Summary) -> str:
    return table_of(
        summary["n_priors"],
        [
            SAMPLER,
            ("priors", text("k")),
            TASKS,
            DIFFERENCE,
            ("same tasks", text("n_common")),
            ("difference", spread("difference_common")),
        ],
    )


def _overlap(summary: Summary) -> str:
    return table_of(
        summary["overlap"],
        [
            ("scenario", text("scenario")),
            SAMPLER,
            TASKS,
            ENDPOINT,
            DIFFERENCE,
            ("with full overlap", spread("full")),
            ("share kept", lambda row: interval(row["share"], share)),
        ],
    )


def _ablation(summary: Summary) -> str:
    rows = summary["ablation"]
    return table_of(
        rows,
        [
            ("priors", text("scenario")),
            ("variant", text("name")),
            TASKS,
            DIFFERENCE,
            *_by("by_trial", rows, number, "at {}"),
        ],
    )


def _relatedness(summary: Summary) -> str:
    return table_of(
        summary["relatedness"],
        [
            ("correlation", lambda row: f"{row['relatedness']:g}"),
            SAMPLER,
            TASKS,
            ENDPOINT,
            DIFFERENCE,
        ],
    )


def _losses(summary: Summary) -> str:
    found, (ahead, n_ahead) = summary["losses"], AHEAD
    suite: Column = ("suite", text("suite"))
    return "\n\n".join(
        [
            table_of(
                found["suites"], [suite, TASKS, ahead, ("by", spread("difference")), n_ahead]
            ),
            table_of(
                found["tasks"],
                [suite, ("task", text("task")), ahead, ("by", digits("difference", 2)), n_ahead],
            ),
        ]
    )


def _problems(summary: Summary) -> str:
    parts = ["All planned runs are there, and none failed."]
    if summary["problems"]:
        names = ("peer", "scenario", "suite", "count")
        header = ("sampler", "scenario", "suite", "runs")
        columns = [(h, text(name)) for h, name in zip(header, names, strict=True)]
        message: Column = ("first message", lambda row: str(row["error"])[:200])
        parts = [table_of(summary["problems"], [("", text("kind")), *columns, message])]
    if summary["unscaled"]:
        lines = [f"- {r['suite']}, {r['task']}: {r['reason']}" for r in summary["unscaled"]]
        parts.append("Tasks that are left out:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({n})" for name, n in counts.items()) or "none"


def _provenance(summary: Summary) -> str:
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


_BLOCKS: dict[str, Callable[[Summary], str]] = {
    "benchmark": short,
    "all-samplers": _all_samplers,
    "aims": _aims,
    "regret": _regret_by_trial,
    "ranks": _ranks,
    "match": _match,
    "suites": _suites,
    "seen": _seen,
    "simulators": _simulators,
    "losses": _losses,
    "repeats": _repeats,
    "harm": _harm,
    "n-priors": _n_priors,
    "overlap": _overlap,
    "relatedness": _relatedness,
    "cold": _cold,
    "ablation": _ablation,
    "problems": _problems,
    "provenance": _provenance,
}
"""By name, in the order of a report."""

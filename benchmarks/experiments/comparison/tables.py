"""The comparison's numbers as Markdown: a block a section of ``benchmarks/README.md``.

What a table is about stands in that page; a block says only what depends on the runs. The two
sentences of the first page are blocks, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.experiments.comparison.aims import MAIN
from benchmarks.experiments.comparison.data import FEWEST_TESTED, REFERENCE
from benchmarks.experiments.comparison.summary import (
    DEFAULT,
    DEFAULT_ENQUEUED,
    HEADLINE,
    LOW_FLOOR,
    MAIN_PEERS,
)
from benchmarks.markdown import NONE, Column, Row, blocks, cell, paragraph, table


Summary = Mapping[str, Any]

CHANCE = "another seed"
_SHORT_TRIALS = ("1", "5", "10", "20", "50")
_TRIALS_SAVED_AT = 10
_COLD_RIVALS = ("GPSampler", "TPE", "BoTorch", "Ax", "SMAC3")
_FLOOR = f"floor {LOW_FLOOR:g}"

SAMPLER, TASKS = ("sampler", "{sampler}"), ("tasks", "{n_tasks}")
ENDPOINT, DIFFERENCE = ("mean log10 regret", "{endpoint:ci}"), ("difference", "{difference:ci}")
AHEAD, N_AHEAD = ("ahead", "{ahead}"), ("peers ahead", "{n_ahead} of {n_peers}")

COMPARISON = (
    SAMPLER,
    TASKS,
    ("seeds", "{n_seeds:span}"),
    ("trials", "{n_trials}"),
    ENDPOINT,
    (_FLOOR, "{endpoint_low_floor:2}"),
    DIFFERENCE,
    (_FLOOR, "{difference_low_floor:ci}"),
    ("on tasks", "{n_paired}"),
    ("wins/ties/losses", "{record}"),
    ("p", "{p_holm:p}"),
)


def bold(peer: str) -> str:
    """A peer's name, the reference's in bold."""
    return f"**{peer}**" if peer == REFERENCE else peer


def named(rows: Iterable[Row]) -> list[Row]:
    """Rows with their sampler as tables show it, wins, ties and losses in one, and no vain p."""
    return [
        {
            **row,
            "sampler": bold(row["peer"]),
            "record": cell("{wins}/{ties}/{losses}", row) if "wins" in row else None,
            "p_holm": row.get("p_holm") if row.get("n_paired", 0) >= FEWEST_TESTED else None,
        }
        for row in rows
    ]


def _each(name: str, rows: Sequence[Row], header: str, spec: str) -> list[Column]:
    """A column for each key that the mappings in column ``name`` have."""
    keys = dict.fromkeys(key for row in rows for key in row[name])
    return [(header.format(key), f"{{{name}[{key}]:{spec}}}") for key in keys]


def short(summary: Summary) -> str:
    """The main peers, on the tasks on which all of them ran."""
    rows = [row for row in named(summary["shared_comparison"]) if row["peer"] in MAIN_PEERS]
    if not rows:
        return "There are no runs yet."
    n_seeds = [n for row in rows for n in row["n_seeds"]]
    trials = [n for n in _SHORT_TRIALS if all(n in row["regret"] for row in rows)]
    intro = """{n_tasks} tasks of {n_suites} search spaces, seeds per task: {seeds:span}, {priors}.
        Regret of the best trial so far: 0 is the best known value, 1 the median configuration;
        geometric mean, every space weighs alike. The last column is the mean of log10 regret over
        trials 1 to {horizon}, with its 95% bootstrap interval. Lower is better:"""
    values = {
        "n_tasks": rows[0]["n_tasks"],
        "n_suites": rows[0]["n_suites"],
        "seeds": [min(n_seeds), max(n_seeds)],
        "priors": _priors(summary),
        "horizon": summary["horizon"],
    }
    by_trial = [(f"trial {n}", f"{{regret[{n}]:3}}") for n in trials]
    found = table(rows, [SAMPLER, *by_trial, ENDPOINT])
    return blocks(paragraph(intro, values), found)


def trials_to_match(curve: Sequence[float], other: Sequence[float], trials: int) -> int | None:
    """How many trials a sampler needs to get where another one is after some.

    Args:
        curve: Mean log10 regret of the sampler, trial by trial.
        other: That of the other one.
        trials: Of the other one.

    Returns:
        The first trial at which the sampler is as good or better; ``None`` if there is none.
    """
    aim = other[trials - 1]
    return next((n for n, value in enumerate(curve, start=1) if value <= aim), None)


def _trials_saved(summary: Summary) -> str:
    """What the first trials are worth, in trials of Optuna's default: for ``README.md``."""
    curves = summary["curves"]["all"]
    found = {peer: curves[peer]["mean"] for peer in HEADLINE if peer in curves}
    if set(found) != set(HEADLINE) or len(found[REFERENCE]) < _TRIALS_SAVED_AT:
        return "There are no runs yet."
    needed = {}
    for peer in (DEFAULT, DEFAULT_ENQUEUED):
        n = trials_to_match(found[peer], found[REFERENCE], _TRIALS_SAVED_AT)
        needed[peer] = f"more than {len(found[peer])}" if n is None else str(n)
    text = f"""**{{trials}} trials with `MetaSampler` get as far as {needed[DEFAULT]} with
        Optuna's default, TPE**, or {needed[DEFAULT_ENQUEUED]} with TPE and the best old
        configurations enqueued. This is the average of {{n_tasks}} tasks from {{n_suites}} search
        spaces, {_priors(summary)}."""
    (row,) = (row for row in summary["shared_comparison"] if row["peer"] == REFERENCE)
    return paragraph(text, {**row, "trials": _TRIALS_SAVED_AT})


def _without_priors(summary: Summary) -> str:
    """Who is behind where no sampler has priors: for ``README.md``."""
    rows = {row["peer"]: row for row in summary["cold_comparison"] if "difference" in row}
    rivals = [rows[peer] for peer in _COLD_RIVALS if peer in rows]
    if not rivals:
        return "There are no runs yet."
    behind = [row for row in rivals if row["difference"][0] < 0]
    ahead = [row for row in rivals if row not in behind]
    better = _listed([cell("{peer} (on {wins} of {n_paired} tasks)", row) for row in behind])
    text = f"Without any prior study, `MetaSampler` is better on average than {better}."
    if ahead:
        text += f" It is not better than {_listed([row['peer'] for row in ahead])}."
    return paragraph(text)


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence has them; "none of the others" where there are none."""
    if not names:
        return "none of the others"
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _priors(summary: Summary) -> str:
    counts = summary["provenance"]["n_priors"]
    if summary["scenario"] == MAIN and counts:
        ends = {"ends": [counts[0], counts[-1]]}
        return cell("with {ends:span} prior studies of 60 TPE trials on other tasks", ends)
    return f"scenario `{summary['scenario']}`"


def _all_samplers(summary: Summary) -> str:
    n_shared = max((row["n_tasks"] for row in summary["shared_comparison"]), default=0)
    intro = f"""The first {summary["horizon"]} trials, {_priors(summary)}. The figure shows the
        {n_shared} tasks on which all main samplers ran."""
    return blocks(paragraph(intro), table(named(summary["comparison"]["all"]), COMPARISON))


def _cold(summary: Summary) -> str:
    return table(named(summary["cold_comparison"]), COMPARISON)


def _aims(summary: Summary) -> str:
    verdict = {True: "yes", False: "**no**", None: "not measured"}
    rows = [{**row, "verdict": verdict[row["met"]]} for row in summary["aims"]]
    columns = [
        ("situation", "{situation}"),
        ("aim", "{aim}"),
        ("measured", "{measured:ci}"),
        TASKS,
        ("met", "{verdict}"),
    ]
    outro = """An oracle that knew, for each of the {n_tasks} tasks, which of the {n_samplers}
        samplers that ran on all of them does best on it, would be at {difference:ci} to the better
        of TPE and GPSampler with the best priors enqueued. This is a bound on what there is to
        gain, and it flatters: the best of several is partly luck."""
    bound = summary["hindsight"]
    return blocks(table(rows, columns), paragraph(outro, bound) if bound else "")


def _regret(summary: Summary) -> str:
    rows = named(summary["comparison"]["all"])
    return table(rows, [SAMPLER, TASKS, *_each("regret", rows, "trial {}", "4")])


def _seen(summary: Summary) -> str:
    pools = ("seen", "unseen")
    names = "\n".join(f"- {name}: {', '.join(summary['pools'][name]) or 'none'}" for name in pools)
    by_peer = {name: {row["peer"]: row for row in summary["comparison"][name]} for name in pools}
    rows = [
        {"sampler": bold(row["peer"])} | {name: by_peer[name].get(row["peer"]) for name in pools}
        for row in summary["comparison"]["all"]
    ]
    columns = [
        column
        for name in pools
        for column in (
            (name, f"{{{name}[endpoint]:ci}}"),
            ("difference", f"{{{name}[difference]:ci}}"),
            ("tasks", f"{{{name}[n_tasks]}}"),
        )
    ]
    return blocks(names, table(rows, [SAMPLER, *columns]))


def _suites(summary: Summary) -> str:
    suites = summary["by_suite"]
    present = {row["peer"] for rows in suites.values() for row in rows}
    lines = []
    for suite, rows in suites.items():
        value = {row["peer"]: row["endpoint"][0] for row in rows}
        most = max((row["n_tasks"] for row in rows), default=0)
        # Another peer's mean over fewer tasks says nothing about who is best.
        full = {row["peer"]: value[row["peer"]] for row in rows if row["n_tasks"] == most}
        best = min(full, key=lambda peer: full[peer]) if full else NONE
        lines.append({"suite": suite, "n_tasks": most, "value": value, "best": best})
    peers = [(bold(peer), f"{{value[{peer}]:2}}") for peer in MAIN_PEERS if peer in present]
    return table(lines, [("suite", "{suite}"), TASKS, *peers, ("best", "{best}")])


def _simulators(summary: Summary) -> str:
    warm, cold = named(summary["comparison"]["simulators"]), named(summary["cold_simulators"])
    if not warm and not cold:
        return "There are no such runs."
    regret = _each("regret", [*warm, *cold], "trial {}", "4")
    columns = [SAMPLER, *regret, ENDPOINT, DIFFERENCE]
    n_tasks = max(row["n_tasks"] for row in [*warm, *cold])
    return blocks(
        f"{n_tasks} tasks. Scenario `{summary['scenario']}`:",
        table(warm, columns),
        "Without priors for anybody:",
        table(cold, columns),
        "Each sampler with these priors minus itself without:",
        _harm_table(summary["harm_simulators"]),
    )


def _ranks(summary: Summary) -> str:
    found = summary["ranks"]
    if not found:
        return f"There are no ranks: two samplers must have run on {FEWEST_TESTED} tasks or more."
    last = str(found["trials"][-1])
    rows = [
        {"sampler": bold(peer), "rank": ranks}
        for peer, ranks in sorted(found["average"].items(), key=lambda item: item[1][last])
    ]
    friedman = ", ".join(
        cell(f"{{p[{n}]:p}} at trial {n}", {"p": found["friedman_p"]}) for n in found["trials"]
    )
    intro = f"""{{n_tasks}} tasks. Ranks that are less than {{critical_difference:2}} apart do not
        differ at the 5% level (Nemenyi). Friedman p: {friedman}. Left out, as they did not run on
        all tasks for all trials: {", ".join(found["left_out"]) or "none"}."""
    columns = [SAMPLER, *_each("rank", rows, "trial {}", "2")]
    return blocks(paragraph(intro, found), table(rows, columns))


def _match(summary: Summary) -> str:
    late = f">{summary['horizon']}"
    rows = [
        {**row, "trial": late if row["median"] is None else f"{row['median']:g}"}
        for row in named(summary["match"])
    ]
    columns = [("median trial", "{trial}"), ("reached", "{share:.0%}")]
    return table(rows, [("target", "{target}"), SAMPLER, TASKS, *columns])


def _repeats(summary: Summary) -> str:
    rows = named(summary["repeats"])
    by_suite = _each("by_suite", rows, "{}", ".0%")
    return table(rows, [SAMPLER, ("mean", "{share:.0%}"), *by_suite])


def _harm(summary: Summary) -> str:
    return _harm_table(summary["harm"])


def _harm_table(rows: Iterable[Row]) -> str:
    rows = [
        {**row, "scenario": CHANCE if row["scenario"] == "none" else row["scenario"]}
        for row in named(rows)
    ]
    worst, worse = (
        ("worst decile", "{worst_decile:2}"),
        _each("worse_at", rows, "worse at {}", ".0%"),
    )
    return table(rows, [("scenario", "{scenario}"), SAMPLER, TASKS, DIFFERENCE, worst, *worse])


def _n_priors(summary: Summary) -> str:
    same = [("same tasks", "{n_common}"), ("difference", "{difference_common:ci}")]
    return table(
        named(summary["n_priors"]), [SAMPLER, ("priors", "{k}"), TASKS, DIFFERENCE, *same]
    )


def _many_priors(summary: Summary) -> str:
    rows = named(summary["many_priors"])
    by_trial = _each("by_trial", rows, "at {}", "2")
    who = [("scenario", "{scenario}"), ("against", "{sampler}"), ("in", "{against}")]
    return table(rows, [*who, TASKS, DIFFERENCE, ("wins/ties/losses", "{record}"), *by_trial])


def _overlap(summary: Summary) -> str:
    kept = [("with full overlap", "{full:ci}"), ("share kept", "{share:ci%}")]
    columns = [("scenario", "{scenario}"), SAMPLER, TASKS, ENDPOINT, DIFFERENCE, *kept]
    return table(named(summary["overlap"]), columns)


def _ablation(summary: Summary) -> str:
    rows = summary["ablation"]
    by_trial = _each("by_trial", rows, "at {}", "2")
    columns = [("priors", "{scenario}"), ("variant", "{name}"), TASKS, DIFFERENCE, *by_trial]
    return table(rows, columns)


def _relatedness(summary: Summary) -> str:
    columns = [("correlation", "{relatedness:g}"), SAMPLER, TASKS, ENDPOINT, DIFFERENCE]
    return table(named(summary["relatedness"]), columns)


def _losses(summary: Summary) -> str:
    found, suite = summary["losses"], ("suite", "{suite}")
    return blocks(
        table(found["suites"], [suite, TASKS, AHEAD, ("by", "{difference:ci}"), N_AHEAD]),
        table(
            found["tasks"], [suite, ("task", "{task}"), AHEAD, ("by", "{difference:2}"), N_AHEAD]
        ),
    )


def _problems(summary: Summary) -> str:
    rows = [{**row, "error": row["error"][:200]} for row in summary["problems"]]
    columns = [
        ("", "{kind}"),
        ("sampler", "{peer}"),
        ("scenario", "{scenario}"),
        ("suite", "{suite}"),
        ("runs", "{count}"),
        ("first message", "{error}"),
    ]
    lines = [cell("- {suite}, {task}: {reason}", row) for row in summary["unscaled"]]
    return blocks(
        table(rows, columns) if rows else "All planned runs are there, and none failed.",
        "Tasks that are left out:\n\n" + "\n".join(lines) if lines else "",
    )


def _provenance(summary: Summary) -> str:
    found = summary["provenance"]
    versions = ", ".join(f"{p} {' and '.join(v)}" for p, v in found["versions"].items())
    derived = Counter(suite for suite, _ in found["derived_scales"])
    return "\n".join(
        [
            cell("- Runs: {n_runs}, of which {n_judged} are used ({n_trials} trials).", found),
            f"- Suites (tasks): {_counts(found['tasks'])}.",
            f"- Seeds: {', '.join(map(str, found['seeds'])) or 'none'}.",
            "- Tasks whose best value is that of the runs, as no other is known (who found it has "
            f"no regret): {_counts(derived)}.",
            f"- Versions: {versions or 'unknown'}.",
        ]
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({n})" for name, n in counts.items()) or "none"


_BLOCKS: dict[str, Callable[[Summary], str]] = {
    "trials-saved": _trials_saved,
    "without-priors": _without_priors,
    "benchmark": short,
    "all-samplers": _all_samplers,
    "aims": _aims,
    "regret": _regret,
    "ranks": _ranks,
    "match": _match,
    "suites": _suites,
    "seen": _seen,
    "simulators": _simulators,
    "losses": _losses,
    "repeats": _repeats,
    "harm": _harm,
    "n-priors": _n_priors,
    "many-priors": _many_priors,
    "overlap": _overlap,
    "relatedness": _relatedness,
    "cold": _cold,
    "ablation": _ablation,
    "problems": _problems,
    "provenance": _provenance,
}
"""By name, in the order of a report."""


def tables(summary: Summary) -> dict[str, str]:
    """All blocks."""
    return {name: block(summary) for name, block in _BLOCKS.items()}

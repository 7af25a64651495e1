"""``optuna-metasampler inspect``: show prior studies, and how they overlap with a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
import json
from typing import TYPE_CHECKING, Any

import click

from optuna_metasampler.cli.output import (
    WIDTH,
    as_json,
    called,
    counted,
    echo_json,
    failures,
    fixed,
    fixed_values,
    printable,
    prior_fixed,
    rename,
    renames,
    shortened,
    studies,
    table,
    wrapped,
)


if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from optuna_metasampler.priors.constants import Constants
    from optuna_metasampler.priors.study import PriorStudy

_MAX_STUDIES_SHOWN = 40
_MAX_SPACES_SHOWN = 8


_EXAMPLES = (
    "\b\nExamples:\n"
    "  optuna-metasampler inspect old.db\n"
    "  optuna-metasampler inspect sqlite:///old.db --studies 'resnet-*' --json\n"
    "  optuna-metasampler inspect old.db --study new --rename eta=lr"
)


@click.command(short_help="Show studies, their trials and their search spaces.", epilog=_EXAMPLES)
@click.argument("location")
@studies
@click.option(
    "--study",
    "target",
    metavar="NAME",
    help="Show how the other studies overlap with this study of LOCATION.",
)
@rename
@fixed
@prior_fixed
@click.option("--all", "everything", is_flag=True, help="Show all studies.")
@as_json
def inspect(
    location: str,
    patterns: tuple[str, ...],
    target: str | None,
    rename: tuple[str, ...],
    fixed: tuple[str, ...],
    prior_fixed: tuple[str, ...],
    everything: bool,
    json_: bool,
) -> None:
    """Show the studies of LOCATION, their finished trials and their search spaces.

    LOCATION is any source that MetaSampler(prior=...) reads: a storage URL, an SQLite file, a
    journal log, a CSV file of study.trials_dataframe(), or an archive. The command only reads it.
    """
    names = renames(rename)
    here, there = fixed_values(fixed, "--fixed"), fixed_values(prior_fixed, "--prior-fixed")
    with failures():
        from optuna_metasampler.priors.constants import Constants
        from optuna_metasampler.priors.sources import read_priors

        constants = Constants.of(here, there)

        with called("LOCATION"):
            found = read_priors(location, patterns or None)
        if target is not None:
            _show_overlaps(location, found, target, names, constants, everything, json_)
            return
    if json_:
        echo_json({"location": location, "studies": [_described(study) for study in found]})
        return
    n_trials = sum(len(_finished(study)) for study in found)
    click.echo(
        f"{printable(location)}: {counted(len(found), 'study', 'studies')} with "
        f"{counted(n_trials, 'finished trial')}\n"
    )
    _show_studies(found if everything else found[:_MAX_STUDIES_SHOWN], len(found))
    _show_spaces(found, everything)


def _show_overlaps(
    location: str,
    studies: Sequence[PriorStudy],
    target: str,
    rename: Mapping[str, str],
    constants: Constants,
    everything: bool,
    json_: bool,
) -> None:
    from optuna_metasampler.exceptions import PriorError
    from optuna_metasampler.priors.overlap import inspect as overlaps_of
    from optuna_metasampler.priors.sources import read_priors
    from optuna_metasampler.priors.study import PriorFilter

    found = [s for s in studies if s.name == target]
    if not found:
        with called("LOCATION", "--study"):
            found = read_priors(location, [target])
    if not found:
        raise PriorError(f"The study {target!r} of {location} is damaged and cannot be read.")
    own = found[0]
    others = constants.completed([s for s in studies if s.name != own.name])
    overlaps = overlaps_of(others, own, PriorFilter(), rename, constants.here)
    if json_:
        echo_json(
            {
                "location": location,
                "target": own.name,
                "parameters": overlaps.names,
                "studies": [asdict(s) | {"usable": s.usable} for s in overlaps],
            }
        )
        return
    click.echo(f"Overlap with the study {printable(own.name)}:\n")
    n = len(overlaps) if everything else _MAX_STUDIES_SHOWN
    shown = replace(overlaps, studies=overlaps.studies[:n])
    for line in str(shown).split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        click.echo(wrapped(line.strip(), indent) if len(line) > WIDTH else printable(line))
    _echo_more(len(overlaps) - len(shown), "studies")


def _finished(study: PriorStudy) -> list[Any]:
    return [t for t in study.trials if t.state.is_finished()]


def _states(study: PriorStudy) -> dict[str, int]:
    """Numbers of finished trials by state."""
    states = [t.state.name for t in study.trials]
    return {name.lower(): states.count(name) for name in ("COMPLETE", "PRUNED", "FAIL")}


def _space(study: PriorStudy) -> dict[str, BaseDistribution]:
    from optuna_metasampler.priors.align import merge

    distributions: dict[str, list[BaseDistribution]] = {}
    for trial in _finished(study):
        for name, distribution in trial.distributions.items():
            distributions.setdefault(name, []).append(distribution)
    return {name: merge(many) for name, many in sorted(distributions.items())}


def _described(study: PriorStudy) -> dict[str, Any]:
    from optuna.distributions import distribution_to_json

    return {
        "name": study.name,
        "directions": study.directions and [d.name.lower() for d in study.directions],
        "trials": _states(study),
        "user_attrs": dict(study.user_attrs),
        "parameters": {
            name: json.loads(distribution_to_json(d)) for name, d in _space(study).items()
        },
    }


def _show_studies(studies: Sequence[PriorStudy], total: int) -> None:
    rows = []
    for study in studies:
        directions = [d.name.lower() for d in study.directions or ()]
        rows.append(
            {
                "study": study.name,
                **_states(study),
                "parameters": len(_space(study)),
                "direction": ", ".join(dict.fromkeys(directions)) or "unknown",
            }
        )
    click.echo(table(rows, "study"))
    _echo_more(total - len(studies), "studies")


def _show_spaces(studies: Iterable[PriorStudy], everything: bool) -> None:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    def described(distribution: Any) -> str:
        if isinstance(distribution, CategoricalDistribution):
            return "choice of " + ", ".join(map(repr, distribution.choices))
        kind = "int" if isinstance(distribution, IntDistribution) else "float"
        log = ", log" if distribution.log else ""
        step = distribution.step
        grid = f", step {step:g}" if step is not None and (kind, step) != ("int", 1) else ""
        return f"{kind} {distribution.low:g} to {distribution.high:g}{log}{grid}"

    spaces: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for study in studies:
        space = tuple((name, described(d)) for name, d in _space(study).items())
        spaces.setdefault(space, []).append(study.name)
    shown = list(spaces.items()) if everything else list(spaces.items())[:_MAX_SPACES_SHOWN]
    for space, names in shown:
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        click.echo(f"\nSearch space of {shortened(names[0], 40)}{more}:")
        for name, distribution in space:
            click.echo(wrapped(f"{name}: {distribution}", "  "))
        if not space:
            click.echo("  no parameters")
    _echo_more(len(spaces) - len(shown), "search spaces")


def _echo_more(n: int, noun: str) -> None:
    if n > 0:
        click.echo(f"... and {n:,} more {noun} (use --all to show them)")

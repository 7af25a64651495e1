"""``optuna-metasampler explain``: report what the sampler did in a study, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import sys
from typing import TYPE_CHECKING, Any
import warnings

import click

from optuna_metasampler.cli.output import (
    as_json,
    called,
    echo_json,
    failures,
    fixed,
    fixed_values,
    force,
    printable,
    prior_fixed,
    rename,
    renames,
    studies,
    wrong_usage,
)


if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage

    from optuna_metasampler import MetaSampler
    from optuna_metasampler.explain.report import Report
    from optuna_metasampler.explain.report.trial import TrialPart

_EXAMPLES = (
    "\b\nExamples:\n"
    "  optuna-metasampler explain new.db --prior old.db\n"
    "  optuna-metasampler explain sqlite:///new.db resnet --prior old.db \\\n"
    "      --studies 'resnet-*' --html report.html\n"
    "  optuna-metasampler explain journal.log resnet --json\n"
    "  optuna-metasampler explain new.db --trial 1"
)


@click.command(short_help="Report what the sampler did in a study, and why.", epilog=_EXAMPLES)
@click.argument("location", required=False, metavar="LOCATION")
@click.argument("name", required=False, metavar="[STUDY]")
# The former way to give both.
@click.option("--storage", hidden=True)
@click.option("--study", hidden=True)
@click.option(
    "--prior",
    metavar="LOCATION",
    multiple=True,
    help="Prior studies of the sampler, as in MetaSampler(prior=...); can be repeated.",
)
@studies
@rename
@fixed
@prior_fixed
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write a self-contained HTML page with plots.",
)
@click.option(
    "--trial",
    type=click.IntRange(min=0),
    metavar="N",
    help="Say why trial N was chosen, in place of the report.",
)
@force
@as_json
def explain(
    location: str | None,
    name: str | None,
    storage: str | None,
    study: str | None,
    prior: tuple[str, ...],
    patterns: tuple[str, ...],
    rename: tuple[str, ...],
    fixed: tuple[str, ...],
    prior_fixed: tuple[str, ...],
    html: Path | None,
    trial: int | None,
    force: bool,
    json_: bool,
) -> None:
    """Report what the sampler did in STUDY, a study of LOCATION, and why.

    LOCATION is a storage URL, an SQLite file or a journal log. You can leave out STUDY if there
    is only one.

    The study can be finished or running, on this machine or another. The command only reads it.
    Each trial stores how it was chosen. Everything else comes from a model of the study, with the
    prior studies of --prior. Without --prior, they are those whose files the trials name, if these
    files still exist.
    """
    if (place := location or storage) is None:
        raise click.UsageError("Missing argument 'LOCATION'.")
    names = renames(rename)
    here, there = fixed_values(fixed, "--fixed"), fixed_values(prior_fixed, "--prior-fixed")
    if html is not None and html.exists() and not force:
        raise click.BadParameter(
            f"{html} exists. Choose another name, or replace it with --force.",
            param_hint="'--html'",
        )
    if html is not None and trial is not None:
        raise click.BadParameter("shows the whole report, not one trial.", param_hint="'--html'")
    if patterns and not prior:
        raise click.BadParameter(
            "selects prior studies, so it requires --prior.", param_hint="'--studies'"
        )
    with failures():
        from optuna_metasampler.priors.storages import opened

        with called("LOCATION"), opened(place) as held:
            chosen = _chosen(held, place, name or study)
            report = _report(held, chosen, prior, patterns, names, here, there)
        if html is not None:
            report.write_html(html)
    shown: Report | TrialPart = report
    if trial is not None:
        try:
            shown = report.trial(trial)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="'--trial'") from None
    if json_:
        echo_json(shown.to_dict())
        return
    click.echo(_encodable(str(shown)))
    if html is not None:
        click.echo(f"\nWrote {printable(str(html))}.")


def _chosen(held: BaseStorage, location: str, name: str | None) -> str:
    """The study of this name, or the only one."""
    from difflib import get_close_matches

    from optuna_metasampler._text import listed
    from optuna_metasampler.exceptions import PriorNotFoundError
    from optuna_metasampler.priors.reading import study_names
    from optuna_metasampler.priors.storages import redacted

    known = study_names(held)
    if name is None and len(known) == 1:
        return known[0]
    if name in known:
        return str(name)
    near = known if name is None else get_close_matches(name, known) or known
    shown = listed(map(repr, near), 8) or "none"
    asked = f"STUDY must be named, for {redacted(location)} does not have exactly one study."
    if name is not None:
        asked = f"STUDY is {name!r}, but {redacted(location)} has no such study."
    raise PriorNotFoundError(f"{asked} Studies: {shown}.")


def _report(
    held: BaseStorage,
    name: str,
    prior: tuple[str, ...],
    patterns: tuple[str, ...],
    names: dict[str, str],
    here: dict[str, Any],
    there: dict[str, Any],
) -> Report:
    import optuna

    from optuna_metasampler import MetaSampler
    from optuna_metasampler.exceptions import PriorWarning
    from optuna_metasampler.priors.origin import recorded_origin

    study = optuna.load_study(study_name=name, storage=held)
    given: dict[str, Any] = {
        "prior": list(prior),
        "prior_studies": list(patterns),
        "rename": names,
        "fixed": here,
        "prior_fixed": there,
    }
    given = {argument: value for argument, value in given.items() if value}
    sampler = None if prior else _as_it_was_run(study, given)
    if sampler is None:
        recorded = recorded_origin(study.get_trials(deepcopy=False))
        for argument in {"method", "method_options"} & recorded.keys():
            given[argument] = recorded[argument]
        with called("--prior"), wrong_usage("'--prior'"):
            # What is shipped counts only where the study was run with it.
            sampler = MetaSampler(learner=None, **given)
    study.sampler = sampler
    with warnings.catch_warnings():
        # The report lists the studies that are not used.
        warnings.simplefilter("ignore", PriorWarning)
        return sampler.report(study)


def _as_it_was_run(study: Study, given: Mapping[str, Any]) -> MetaSampler | None:
    """A sampler with the prior studies that the study was run with, if its trials record them.

    Only files are opened: whoever can write to a storage could name any server.
    """
    from optuna_metasampler import MetaSampler
    from optuna_metasampler.priors.origin import is_local, recorded_origin

    arguments = recorded_origin(study.get_trials(deepcopy=False))
    places = [*arguments.get("prior", ()), *filter(None, [arguments.get("checkpoint")])]
    if not places and "learner" not in arguments:
        return None
    shown = printable(", ".join(map(str, places)))
    if not all(map(is_local, places)):
        click.echo(f"The study was run with {shown}. Pass it as --prior to use it.", err=True)
        return None
    try:
        return MetaSampler(**{"learner": None, **arguments, **given})
    except (TypeError, ValueError) as error:
        text = printable(f"The study was run with {shown}, which is not used: {error}")
        click.echo(f"{text} Pass --prior.", err=True)
        return None


def _encodable(text: str) -> str:
    """The text, with the characters replaced that standard output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding, "replace")

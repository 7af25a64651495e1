"""``optuna-metasampler explain``: what the sampler did in a study, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from optuna_metasampler.cli.output import (
    as_json,
    echo_json,
    failures,
    force,
    only,
    printable,
    rename,
    renames,
    shortened,
    wrong_usage,
)


if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_MAX_NAMES_SHOWN = 8

_EXAMPLES = (
    "\b\nExamples:\n"
    "  optuna-metasampler explain --storage runs.db --study new --prior old.db\n"
    "  optuna-metasampler explain --storage runs.db --study new --html report.html\n"
    "  optuna-metasampler explain --storage runs.db --study new --json"
)


@click.command(epilog=_EXAMPLES)
@click.option(
    "--storage",
    "location",
    metavar="LOCATION",
    required=True,
    help="Storage URL, SQLite file or journal log with the study; it is only read.",
)
@click.option(
    "--study", "name", metavar="NAME", help="Name of the study; not needed if there is one only."
)
@click.option(
    "--prior",
    "priors",
    metavar="LOCATION",
    multiple=True,
    help="Prior studies as the sampler had them; may be given more than once.",
)
@only
@rename
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one page that needs nothing else into this file.",
)
@force
@as_json
def explain(
    location: str,
    name: str | None,
    priors: tuple[str, ...],
    only: tuple[str, ...],
    rename: tuple[str, ...],
    html: Path | None,
    force: bool,
    json_: bool,
) -> None:
    """Say what the sampler did in a study, and why.

    Which prior studies helped, how well trials came out as expected, what each parameter does, and
    what ten more trials are likely to bring. Trials keep how they were chosen; what the prior
    studies say of parameters is known where they are given with --prior.
    """
    names = renames(rename)
    if only and not priors:
        raise click.UsageError("--only chooses among the studies of --prior, which is missing.")
    if html is not None and html.exists() and not force:
        raise click.ClickException(
            f"{printable(str(html))} exists. Give --force to replace it, or another name."
        )
    with failures():
        import optuna

        from optuna_metasampler import MetaSampler
        from optuna_metasampler.priors.storages import opened

        with wrong_usage("'--prior'"):
            sampler = MetaSampler(list(priors) or None, prior_studies=only or None, rename=names)
        with opened(location) as storage:
            study = optuna.load_study(
                study_name=_named(storage, location, name), storage=storage, sampler=sampler
            )
            report = sampler.report(study)
        if html is not None:
            report.write_html(html)
    if json_:
        echo_json(report.to_dict())
    elif html is None:
        click.echo(str(report))
    else:
        click.echo(f"Wrote the report on {printable(report.study)} into {printable(str(html))}.")


def _named(storage: BaseStorage, location: str, name: str | None) -> str:
    """The name of the study that is meant."""
    from optuna_metasampler.priors.storages import shown

    there = [study.study_name for study in storage.get_all_studies()]
    if name in there:
        return name
    if name is None and len(there) == 1:
        return there[0]
    said = ", ".join(shortened(n, 40) for n in there[:_MAX_NAMES_SHOWN]) or "none"
    if len(there) > _MAX_NAMES_SHOWN:
        said += f" and {len(there) - _MAX_NAMES_SHOWN:,} more"
    wrong = "Say which study with --study" if name is None else f"There is no study {name!r}"
    raise click.ClickException(printable(f"{wrong}: the studies in {shown(location)} are {said}."))

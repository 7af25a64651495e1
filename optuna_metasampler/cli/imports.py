"""``optuna-metasampler import``: results of other tools become studies of Optuna."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optuna_metasampler.cli.output import (
    as_json,
    echo_json,
    failures,
    force,
    only,
    table,
    wrong_usage,
)


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from optuna_metasampler.priors.study import PriorStudy

_DATABASES = (".db", ".sqlite", ".sqlite3")

# What the library's own messages say in Python.
_HOW = (
    "\nOn the command line: --objective COLUMN --direction minimize --parameter COLUMN "
    "--parameter COLUMN=log"
)
_EXAMPLES = (
    "\b\nExamples:\n"
    "  optuna-metasampler import runs.csv --to old.db --objective val_loss\n"
    "      --direction minimize --parameter lr=log --parameter layers\n"
    "      --study-column data_set\n"
    "  optuna-metasampler import trials.csv --to old.metaprior"
)


@click.command("import", epilog=_EXAMPLES)
@click.argument("source")
@click.option(
    "--to",
    "target",
    required=True,
    metavar="TARGET",
    help="Storage URL, SQLite file (.db) or archive (.metaprior) to write to.",
)
@click.option(
    "--objective",
    metavar="COLUMN",
    multiple=True,
    help="Column of the objective, where SOURCE is not of Optuna's form; may be given more than "
    "once.",
)
@click.option(
    "--direction",
    type=click.Choice(["minimize", "maximize"]),
    multiple=True,
    help="Of each objective.",
)
@click.option(
    "--parameter",
    metavar="COLUMN[=SCALE]",
    multiple=True,
    help="Column of a parameter, and how it was drawn where its values do not say it: log, linear "
    "or categorical; may be given more than once.",
)
@click.option("--study-column", metavar="COLUMN", help="Column that tells studies apart.")
@click.option("--name", metavar="NAME", help="Name of the study, or what their names begin with.")
@only
@force
@as_json
def import_studies(
    source: str,
    target: str,
    objective: tuple[str, ...],
    direction: tuple[str, ...],
    parameter: tuple[str, ...],
    study_column: str | None,
    name: str | None,
    only: tuple[str, ...],
    force: bool,
    json_: bool,
) -> None:
    """Write the studies of SOURCE into an Optuna storage or an archive.

    SOURCE is a CSV file (with names in its first row), or whatever MetaSampler(prior=...) reads.
    Studies that the storage has already are never changed.
    """
    prior = _prior(source, objective, direction, parameter, study_column, name)
    path = None if "://" in target else Path(target)
    is_archive = path is not None and path.suffix not in _DATABASES
    if path is not None and is_archive and path.suffix != ".metaprior":
        raise click.BadParameter(
            f"must be a storage URL, or a file that ends in {', '.join(_DATABASES)} or "
            f".metaprior, but got {target!r}.",
            param_hint="'--to'",
        )
    if path is not None and is_archive and path.exists() and not force:
        raise click.BadParameter(
            f"{path} exists. Give another name, or --force to replace it.", param_hint="'--to'"
        )
    with failures(_HOW if _is_table(source) and not objective else ""):
        from optuna_metasampler import Archive
        from optuna_metasampler.priors.sources import read_priors

        studies = read_priors(prior, only or None)
        if path is not None and is_archive:
            Archive.write(path, studies, origin=source)
        else:
            _store(studies, target if path is None else f"sqlite:///{path}", direction)
    rows = [
        {"study": s.name, "trials": sum(t.state.is_finished() for t in s.trials)} for s in studies
    ]
    if json_:
        echo_json({"target": target, "studies": rows})
        return
    click.echo(table(rows, "study"))
    click.echo(f"\nWritten to {target}.")


def _is_table(source: str) -> bool:
    return source.lower().endswith((".csv", ".tsv")) and "://" not in source


def _prior(
    source: str,
    objective: Sequence[str],
    direction: Sequence[Any],
    parameter: Sequence[str],
    study_column: str | None,
    name: str | None,
) -> Any:
    """What ``MetaSampler(prior=...)`` would be given."""
    if not _is_table(source):
        for option, value in (
            ("--objective", objective),
            ("--parameter", parameter),
            ("--study-column", study_column),
            ("--name", name),
        ):
            if value:
                raise click.UsageError(f"{option} is for CSV files (.csv), but got {source!r}.")
        return source
    if objective and not parameter:
        raise click.UsageError(
            "Which columns are parameters? Name each: --parameter lr=log --parameter layers"
        )
    from optuna_metasampler.priors.table import SCALES, Table

    scales: dict[str, Any] = {}
    for each in parameter:
        # A column's name may have an equals sign itself.
        column, _, scale = each.rpartition("=")
        if column and scale in SCALES:
            scales[column] = scale
        else:
            scales[each] = None
    with wrong_usage("'--objective', '--direction', '--parameter'"):
        return Table(
            source,
            objective=list(objective) or None,
            direction=list(direction) or None,
            parameters=scales or None,
            study=study_column,
            name=name,
        )


def _store(studies: Sequence[PriorStudy], url: str, direction: Sequence[str]) -> None:
    """Write studies into a storage, each of them whole or not at all."""
    import optuna

    from optuna_metasampler._runtime import tracked

    for study in studies:
        if study.directions is None and not direction:
            raise click.UsageError(
                f"Which values of the study {study.name!r} are better is unknown. Give "
                "--direction, once for each objective."
            )
    given = [optuna.study.StudyDirection[d.upper()] for d in direction]
    storage = optuna.storages.RDBStorage(url)
    taken = optuna.get_all_study_names(storage)
    for study in studies:
        if study.name in taken:
            raise click.ClickException(
                f"There is a study {study.name!r} already. Give --name for another name."
            )
        taken.append(study.name)
    for study in tracked(studies, "Writing", "study"):
        new = optuna.create_study(
            study_name=study.name,
            storage=storage,
            directions=study.directions or given,
        )
        try:
            for key, value in study.user_attrs.items():
                new.set_user_attr(key, value)
            new.add_trials([_dated(t) for t in study.trials if t.state.is_finished()])
        except BaseException:
            optuna.delete_study(study_name=study.name, storage=storage)
            raise


def _dated(trial: FrozenTrial) -> FrozenTrial:
    """The trial with the times that Optuna insists on; a table may have none."""
    dated, now = copy(trial), datetime.now()
    dated.datetime_start = trial.datetime_start or trial.datetime_complete or now
    dated.datetime_complete = trial.datetime_complete or dated.datetime_start
    return dated

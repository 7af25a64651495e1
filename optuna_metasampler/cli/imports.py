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

# The command-line form of what the error message says in Python.
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
    help="Column of the objective, if SOURCE is not in Optuna's format; can be repeated.",
)
@click.option(
    "--direction",
    type=click.Choice(["minimize", "maximize"]),
    multiple=True,
    help="Direction of the objective; once per objective.",
)
@click.option(
    "--parameter",
    metavar="COLUMN[=SCALE]",
    multiple=True,
    help="Column of a parameter, and its scale if it should not be inferred: log, linear or "
    "categorical; can be repeated.",
)
@click.option("--study-column", metavar="COLUMN", help="Column with the name of the study.")
@click.option("--name", metavar="NAME", help="Name of the study, or prefix if there are several.")
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

    SOURCE is a CSV file with column names in its first row, or any source that
    MetaSampler(prior=...) reads. Existing studies of the storage are never changed.
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
            f"{path} exists. Choose another name, or replace it with --force.", param_hint="'--to'"
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
    click.echo(f"\nWrote {target}.")


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
    """The source, as for ``MetaSampler(prior=...)``."""
    if not _is_table(source):
        for option, value in (
            ("--objective", objective),
            ("--parameter", parameter),
            ("--study-column", study_column),
            ("--name", name),
        ):
            if value:
                raise click.UsageError(f"{option} requires a CSV file (.csv), but got {source!r}.")
        return source
    if objective and not parameter:
        raise click.UsageError(
            "Name the columns of the parameters too: --parameter lr=log --parameter layers"
        )
    from optuna_metasampler.priors.table import SCALES, Table

    scales: dict[str, Any] = {}
    for each in parameter:
        # A column's name may contain an equals sign.
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
    """Write studies into a storage, each of them completely or not at all."""
    import optuna

    from optuna_metasampler._runtime import tracked

    for study in studies:
        if study.directions is None and not direction:
            raise click.UsageError(
                f"The study {study.name!r} has no direction. Give --direction, once per objective."
            )
    given = [optuna.study.StudyDirection[d.upper()] for d in direction]
    storage = optuna.storages.RDBStorage(url)
    taken = optuna.get_all_study_names(storage)
    for study in studies:
        if study.name in taken:
            raise click.ClickException(
                f"The storage already has a study {study.name!r}. Choose another name with --name."
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
    """The trial with the times that Optuna requires; those of a table may have none."""
    dated, now = copy(trial), datetime.now()
    dated.datetime_start = trial.datetime_start or trial.datetime_complete or now
    dated.datetime_complete = trial.datetime_complete or dated.datetime_start
    return dated

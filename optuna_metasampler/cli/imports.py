"""``optuna-metasampler import``: results of other tools become studies of Optuna."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optuna_metasampler.cli.output import (
    Renamed,
    as_json,
    called,
    counted,
    echo_json,
    failures,
    force,
    studies,
    table,
    wrong_usage,
)


if TYPE_CHECKING:
    from optuna import Study
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
    "  optuna-metasampler import runs.csv --out old.db --objective val_loss \\\n"
    "      --direction minimize --parameter lr=log --parameter layers \\\n"
    "      --study-column data_set\n"
    "  optuna-metasampler import mlflow.csv --out old.db --objective metrics.loss \\\n"
    "      --direction minimize --update\n"
    "  optuna-metasampler import trials.csv --out old.metaprior"
)


@click.command("import", short_help="Write results of any tool into a storage.", epilog=_EXAMPLES)
@click.argument("source")
@click.option(
    "-o",
    "--out",
    "--to",
    "target",
    cls=Renamed,
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
    help="Column of a parameter, or a glob such as 'hp_*', and its scale if it should not be "
    "inferred: log, linear or categorical; can be repeated. By default, the columns that begin "
    "with params., config. or config/, without this prefix.",
)
@click.option(
    "--strip-prefix",
    metavar="PREFIX",
    help="Prefix to remove from the names of the parameters, such as hp_.",
)
@click.option("--study-column", metavar="COLUMN", help="Column with the name of the study.")
@click.option("--name", metavar="NAME", help="Name of the study, or prefix if there are several.")
@studies
@click.option(
    "--update",
    is_flag=True,
    help="Add the trials that a study of the storage does not have yet; repeating it adds none.",
)
@force
@as_json
def import_studies(
    source: str,
    target: str,
    objective: tuple[str, ...],
    direction: tuple[str, ...],
    parameter: tuple[str, ...],
    strip_prefix: str | None,
    study_column: str | None,
    name: str | None,
    patterns: tuple[str, ...],
    update: bool,
    force: bool,
    json_: bool,
) -> None:
    """Write the studies of SOURCE into an Optuna storage or an archive.

    SOURCE is a CSV file with column names in its first row, or any source that
    MetaSampler(prior=...) reads. An existing study of the storage changes only with --update.

    A row is a failed trial if it has no finite objective, or if a column called state or status
    says that the run failed, crashed or still runs.
    """
    prior = _prior(source, objective, direction, parameter, strip_prefix, study_column, name)
    path = None if "://" in target else Path(target)
    is_archive = path is not None and path.suffix not in _DATABASES
    if path is not None and is_archive and path.suffix != ".metaprior":
        raise click.BadParameter(
            f"must be a storage URL, or a file that ends in {', '.join(_DATABASES)} or "
            f".metaprior, but got {target!r}.",
            param_hint="'--out'",
        )
    if is_archive and update:
        raise click.UsageError("--update requires a storage. Replace an archive with --force.")
    if path is not None and is_archive and path.exists() and not force:
        raise click.BadParameter(
            f"{path} exists. Choose another name, or replace it with --force.",
            param_hint="'--out'",
        )
    with failures(_HOW if _is_table(source) and not (objective and parameter) else ""):
        from optuna_metasampler import Archive
        from optuna_metasampler.priors.sources import read_priors

        with called("SOURCE"):
            found = read_priors(prior, patterns or None)
            n_rows = None if patterns or isinstance(prior, str) else prior.n_rows()
        added = {s.name: sum(t.state.is_finished() for t in s.trials) for s in found}
        if path is not None and is_archive:
            Archive.write(path, found, origin=source)
        else:
            url = target if path is None else f"sqlite:///{path}"
            added = _store(found, url, direction, update)
    rows = [
        {"study": s.name, "trials": sum(t.state.is_finished() for t in s.trials)}
        | ({"added": added[s.name]} if update else {})
        for s in found
    ]
    if json_:
        echo_json({"target": target, "studies": rows})
        return
    click.echo(table(rows, "study"))
    click.echo(f"\n{_outcome(found, n_rows)}")
    click.echo(f"Wrote {target}.")


def _outcome(found: Sequence[PriorStudy], n_rows: int | None) -> str:
    """What became of the rows, in one line."""
    states = Counter(t.state.name for s in found for t in s.trials)
    parts = [counted(states["COMPLETE"], "result")]
    if states["PRUNED"]:
        parts.append(counted(states["PRUNED"], "pruned trial"))
    parts.append(counted(states["FAIL"], "failed trial"))
    if n_rows is not None:
        parts.append(counted(n_rows - sum(states.values()), "row left out", "rows left out"))
    return f"{', '.join(parts)}."


def _is_table(source: str) -> bool:
    return source.lower().endswith((".csv", ".tsv")) and "://" not in source


def _prior(
    source: str,
    objective: Sequence[str],
    direction: Sequence[Any],
    parameter: Sequence[str],
    strip_prefix: str | None,
    study_column: str | None,
    name: str | None,
) -> Any:
    """The source, as for ``MetaSampler(prior=...)``."""
    if not _is_table(source):
        for option, value in (
            ("--objective", objective),
            ("--parameter", parameter),
            ("--strip-prefix", strip_prefix),
            ("--study-column", study_column),
            ("--name", name),
        ):
            if value:
                raise click.UsageError(f"{option} requires a CSV file (.csv), but got {source!r}.")
        return source
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
            strip_prefix=strip_prefix,
        )


def _store(
    studies: Sequence[PriorStudy], url: str, direction: Sequence[str], update: bool
) -> dict[str, int]:
    """Write studies into a storage, each new one completely or not at all.

    Returns:
        The number of trials added to each.
    """
    import optuna

    from optuna_metasampler._runtime import tracked

    for study in studies:
        if study.directions is None and not direction:
            raise click.UsageError(
                f"The study {study.name!r} has no direction. Give --direction, once per objective."
            )
    given = [optuna.study.StudyDirection[d.upper()] for d in direction]
    storage = optuna.storages.RDBStorage(url)
    before = set(optuna.get_all_study_names(storage))
    taken = set() if update else set(before)
    for study in studies:
        if study.name in taken:
            raise click.ClickException(
                f"The storage already has a study {study.name!r}. Choose another name with "
                "--name, or add new trials to it with --update."
            )
        taken.add(study.name)
    added = {}
    for study in tracked(studies, "Writing", "study"):
        trials = [_dated(t) for t in study.trials if t.state.is_finished()]
        if study.name in before:
            old = optuna.load_study(study_name=study.name, storage=storage)
            added[study.name] = _add_new(old, study.directions or given, trials)
            continue
        new = optuna.create_study(
            study_name=study.name,
            storage=storage,
            directions=study.directions or given,
        )
        try:
            for key, value in study.user_attrs.items():
                new.set_user_attr(key, value)
            new.add_trials(trials)
        except BaseException:
            optuna.delete_study(study_name=study.name, storage=storage)
            raise
        added[study.name] = len(trials)
    return added


def _add_new(study: Study, directions: Sequence[Any], trials: Sequence[FrozenTrial]) -> int:
    """Add the trials that a study does not have yet; their number."""
    if list(study.directions) != list(directions):
        raise click.ClickException(
            f"The study {study.study_name!r} of the storage has other directions. Choose another "
            "name with --name."
        )
    known = Counter(map(_key, study.get_trials(deepcopy=False)))
    n_added = 0
    for trial in trials:
        if known[_key(trial)] > 0:
            known[_key(trial)] -= 1
            continue
        try:
            study.add_trial(trial)
        except ValueError as error:
            raise click.ClickException(
                f"The study {study.study_name!r} of the storage has a parameter of another kind "
                f"or with other choices: {error} Choose another name with --name."
            ) from error
        n_added += 1
    return n_added


def _key(trial: FrozenTrial) -> object:
    """Equal for trials of the same row; times are not compared, for a row may have none."""
    return trial.state, tuple(trial.values or ()), frozenset(trial.params.items())


def _dated(trial: FrozenTrial) -> FrozenTrial:
    """The trial with the times that Optuna requires; those of a table may have none."""
    dated, now = copy(trial), datetime.now()
    dated.datetime_start = trial.datetime_start or trial.datetime_complete or now
    dated.datetime_complete = trial.datetime_complete or dated.datetime_start
    return dated

"""``optuna-metasampler archive``: build, list and verify archives of prior studies."""

from __future__ import annotations

from pathlib import Path

import click

from optuna_metasampler.cli.output import (
    as_json,
    called,
    counted,
    echo_json,
    failures,
    force,
    printable,
    studies,
    table,
)


_files = click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")


@click.group()
def archive() -> None:
    """Build, list and verify archives of prior studies.

    An archive is a single file that MetaSampler reads much faster than a storage. It holds
    finished trials only, and nothing in it can be executed.
    """


_EXAMPLE = (
    "\b\nExample:\n  optuna-metasampler archive build old.db --studies 'resnet-*' \\\n"
    "      --out resnet.metaprior"
)


@archive.command(short_help="Write studies into one archive.", epilog=_EXAMPLE)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Archive to write, such as old.metaprior.",
)
@studies
@force
@as_json
def build(
    sources: tuple[str, ...], out: Path, patterns: tuple[str, ...], force: bool, json_: bool
) -> None:
    """Write the studies of all SOURCEs into one archive.

    SOURCE is a storage URL, an SQLite file, a journal log, a CSV file of study.trials_dataframe(),
    or another archive.
    """
    if out.exists() and not force:
        raise click.BadParameter(
            f"{out} exists. Choose another name, or replace it with --force.", param_hint="'--out'"
        )
    with failures():
        from optuna_metasampler import Archive
        from optuna_metasampler.priors.sources import read_priors
        from optuna_metasampler.priors.storages import redacted

        with called("SOURCE"):
            found = read_priors(list(sources), patterns or None)
        written = Archive.write(out, found, origin=", ".join(map(redacted, sources)))
        n_trials = sum(entry.n_trials for entry in written.entries())
        size = out.stat().st_size
    if json_:
        echo_json({"path": out, "studies": len(found), "trials": n_trials, "bytes": size})
        return
    click.echo(
        f"Wrote {counted(len(found), 'study', 'studies')} with "
        f"{counted(n_trials, 'finished trial')} to {out} ({size:,} bytes)."
    )


@archive.command("list", short_help="List the studies of archives, or the cache.")
@_files
@as_json
def list_(files: tuple[Path, ...], json_: bool) -> None:
    """List the studies of each FILE, or the archives in the cache if no FILE is given.

    The cache holds the studies of large storages, so that the sampler does not read them again.
    The environment variable METASAMPLER_CACHE sets its folder; "off" disables the cache.
    """
    from optuna_metasampler import Archive

    if not files:
        _list_cache(json_)
        return
    listing = []
    with failures():
        for path in files:
            contents = Archive(path).load()
            studies = [
                {
                    "study": entry.name,
                    "trials": entry.n_trials,
                    "directions": ", ".join(d.name.lower() for d in entry.directions or ())
                    or "unknown",
                }
                for entry in contents.entries
            ]
            listing.append({"path": str(path), "origin": contents.origin, "studies": studies})
            if not json_:
                origin = f", from {contents.origin}" if contents.origin else ""
                click.echo(printable(f"{path}{origin}"))
                click.echo(table(studies, "study") if studies else "no studies")
    if json_:
        echo_json(listing)


def _list_cache(json_: bool) -> None:
    from optuna_metasampler import Archive
    from optuna_metasampler.exceptions import PriorError
    from optuna_metasampler.priors.archive import SUFFIX
    from optuna_metasampler.priors.cache import cache_folder

    folder = cache_folder()
    rows = []
    for path in sorted(folder.glob(f"*{SUFFIX}")) if folder is not None else []:
        try:
            contents = Archive(path).load()
        except PriorError:
            row = {"origin": "(not readable, will be rebuilt)", "studies": 0, "trials": 0}
        else:
            n_trials = sum(entry.n_trials for entry in contents.entries)
            row = {
                "origin": contents.origin,
                "studies": len(contents.entries),
                "trials": n_trials,
            }
        rows.append(row | {"bytes": path.stat().st_size, "file": path.name})
    if json_:
        echo_json({"folder": folder, "archives": rows})
        return
    click.echo("The cache is disabled." if folder is None else f"Cache: {folder}")
    if rows:
        click.echo(table([{k: row[k] for k in row if k != "file"} for row in rows], "origin"))
    elif folder is not None:
        click.echo("The cache is empty.")


@archive.command(short_help="Verify that archives are undamaged.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@as_json
@click.pass_context
def verify(context: click.Context, files: tuple[Path, ...], json_: bool) -> None:
    """Verify each FILE: its checksum, its list of studies, and all of their trials.

    Exits with code 1 if a file is damaged or of an earlier version.
    """
    from optuna_metasampler import Archive
    from optuna_metasampler.exceptions import PriorError

    results = []
    for path in files:
        try:
            studies = Archive(path).read()
        except PriorError as error:
            results.append({"path": str(path), "ok": False, "error": str(error)})
        else:
            n_trials = sum(len(study.trials) for study in studies)
            results.append(
                {"path": str(path), "ok": True, "studies": len(studies), "trials": n_trials}
            )
    if json_:
        echo_json(results)
    else:
        for result in results:
            if result["ok"]:
                counts = f"{result['studies']:,} studies, {result['trials']:,} trials"
                click.echo(printable(f"{result['path']}: ok, {counts}"))
            else:
                click.echo(printable(f"{result['error']}"), err=True)
    if not all(result["ok"] for result in results):
        context.exit(1)

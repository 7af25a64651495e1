"""The command: ``python -m benchmarks list``, ``run NAME`` and ``report``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from benchmarks import report as reports
from benchmarks import runner
from benchmarks.experiment import Options, finished
from benchmarks.experiments import EXPERIMENTS
from benchmarks.records import RESULTS, Store


OUTPUT = Path("bench-output")
"""Where records go that are no part of the repository."""


@click.group()
def main() -> None:
    """Experiments of the benchmark: what there is, running one, and the report of all."""


@main.command("list")
def list_experiments() -> None:
    """List the experiments with the columns of their jobs and their settings."""
    for experiment in EXPERIMENTS.values():
        settings = ", ".join(f"{name} {value}" for name, value in experiment.settings.items())
        needs = ", needs --data" if experiment.needs_data else ""
        click.echo(f"{experiment.name}: {experiment.title}{needs}")
        click.echo(f"    --only {', '.join(experiment.columns)}")
        if settings:
            click.echo(f"    --set {settings}")


@main.command()
@click.argument("name", type=click.Choice(list(EXPERIMENTS)))
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of tables; see benchmarks/README.md for its form.",
)
@click.option(
    "--hpo-b",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of HPO-B, such as meta-test-dataset.json.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the records go; benchmarks/results, or bench-output where they are not kept.",
)
@click.option("--processes", default=os.cpu_count(), show_default=True, help="At once.")
@click.option(
    "--only",
    type=(str, str),
    multiple=True,
    metavar="COLUMN VALUE",
    help="Only jobs with this value, such as: peer TPE. May be repeated.",
)
@click.option(
    "--set",
    "settings",
    type=(str, int),
    multiple=True,
    metavar="NAME NUMBER",
    help="A setting of the experiment, such as: seeds 2. May be repeated.",
)
@click.option("--retry-failed", is_flag=True, help="Do again what has failed before.")
@click.option("--again", is_flag=True, help="Do again what has a record already.")
def run(
    name: str,
    data: Path | None,
    hpo_b: Path | None,
    out: Path | None,
    processes: int,
    only: tuple[tuple[str, str], ...],
    settings: tuple[tuple[str, int], ...],
    retry_failed: bool,
    again: bool,
) -> None:
    """Run the experiment NAME, or what is still missing of it, and print its tables."""
    experiment = EXPERIMENTS[name]
    store = Store.of(out or (RESULTS if experiment.kept else OUTPUT), experiment)
    wanted = {name: tuple(v for n, v in only if n == name) for name, _ in only}
    options = Options(data, hpo_b, wanted, dict(settings))
    try:
        outcome = runner.run(experiment, options, store, processes, again, retry_failed)
    except (FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{outcome.n_planned} jobs, {outcome.n_there} of them were done already.")
    # Verdicts of an earlier command do not hold any more.
    records = outcome.records if experiment.verdicts else tuple(store.read().values())
    if finished(records) or experiment.verdicts:
        for text in experiment.tables(experiment.summarize(records)).values():
            click.echo(f"\n{text}")
    click.echo(f"\nRecords: {store.folder}. Report: python -m benchmarks report")
    for message, count in outcome.failures.items():
        click.echo(f"failed {count} times: {message}", err=True)
    if experiment.verdicts and outcome.failures:
        raise click.ClickException("Checks failed.")


@main.command()
@click.option(
    "--results",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=RESULTS,
    help="Folder of records; the committed ones by default, which also fill the pages.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the report goes; the folder of records by default.",
)
@click.option("--check", is_flag=True, help="Only see whether the pages are up to date.")
def report(folder: Path, out: Path | None, check: bool) -> None:
    """Write the summary, the figures and the tables of records."""
    try:
        if check:
            reports.check_pages()
            return
        target = out or folder
        for path in reports.write(folder, target):
            click.echo(path)
        if target.resolve() == RESULTS.resolve():
            reports.fill_pages()
    except (FileNotFoundError, ValueError, reports.Stale) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()

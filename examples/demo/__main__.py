"""``python -m examples.demo``, from the root of the repository."""

from __future__ import annotations

from pathlib import Path

import click

from examples.demo.problem import DATA_SETS
from examples.demo.studies import run


@click.command(context_settings={"show_default": True})
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    help="Folder for prior.db, demo.png and demo.json.",
)
@click.option(
    "--target",
    type=click.Choice(DATA_SETS),
    default=None,
    show_default="the largest",
    help="Data set to tune; the other four become the prior studies.",
)
@click.option(
    "--trials", type=click.IntRange(min=1), default=20, help="Trials of every compared study."
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=8,
    help="Repeats of the comparison, with the seeds 0, 1, ...",
)
@click.option("--jobs", type=click.IntRange(min=1), default=2, help="Worker processes.")
def main(out: Path, target: str | None, trials: int, seeds: int, jobs: int) -> None:
    """Tune scikit-learn models with and without prior studies.

    A neural network is tuned on four small data sets with Optuna's default sampler; the four
    studies are kept in OUT/prior.db. A fifth data set is then tuned by MetaSampler, which reads
    those studies, and by Optuna's default sampler, with equal budgets and seeds. Prints a table
    and writes OUT/demo.png and OUT/demo.json.

    Takes two to three minutes on two cores. Nothing is downloaded.
    """
    try:
        result = run(out, target=target, n_trials=trials, n_seeds=seeds, n_jobs=jobs)
    except KeyboardInterrupt:
        raise click.ClickException(
            f"Interrupted. Finished prior studies are kept in {out / 'prior.db'}; run the same "
            "command again to continue."
        ) from None
    click.echo(result.summary())
    click.echo(f"\nPicture: {out / 'demo.png'}\nNumbers: {out / 'demo.json'}")


if __name__ == "__main__":
    main(prog_name="python -m examples.demo")

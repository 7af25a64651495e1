"""``python -m examples.demo``, from the root of the repository."""

from __future__ import annotations

import json
from pathlib import Path
import textwrap

import click

from examples.demo.studies import run


@click.command(context_settings={"show_default": True})
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    help="Folder for demo.png and demo.json.",
)
@click.option(
    "--trials", type=click.IntRange(min=3), default=15, help="Trials of every new study."
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    help="Repeats of everything, with the seeds 0, 1, ...",
)
@click.option("--jobs", type=click.IntRange(min=1), default=2, help="Worker processes.")
def main(out: Path, trials: int, seeds: int, jobs: int) -> None:
    """Tune gradient boosting with and without old studies.

    Each of four small data sets is tuned with the studies of the three others, and without.
    Prints a table, what follows from it, and MetaSampler's reports of the best and of the worst
    case, and writes OUT/demo.png and OUT/demo.json.

    Takes about 90 seconds on two cores. Nothing is downloaded.
    """
    try:
        result = run(click.echo, n_trials=trials, n_seeds=seeds, n_jobs=jobs)
    except KeyboardInterrupt:
        raise click.ClickException("Interrupted.") from None
    best, *_, worst = result.by_gain()
    click.echo(f"\n{result.summary()}\n\n{textwrap.fill(result.conclusion(), 80)}")
    for case, data_set in (("most", best), ("least", worst)):
        click.echo(f"\nWhere old studies helped {case}, MetaSampler's report (seed 0):\n")
        click.echo(result.reports[data_set])
    out.mkdir(parents=True, exist_ok=True)
    result.figure().savefig(out / "demo.png", dpi=150)
    numbers = json.dumps(result.to_json(), indent=1, allow_nan=False)
    (out / "demo.json").write_text(numbers + "\n", encoding="utf-8")
    click.echo(
        f"\n{len(result.values)} small data sets show how it works. How good it is, and where it "
        "loses: benchmarks/README.md"
    )
    click.echo(f"\nPicture: {out / 'demo.png'}\nNumbers: {out / 'demo.json'}")


if __name__ == "__main__":
    main(prog_name="python -m examples.demo")

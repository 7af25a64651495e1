"""The command: ``python -m benchmarks.learner_records run``, ``status`` and ``publish``."""

from __future__ import annotations

from collections import Counter
import json
from pathlib import Path

import click

from benchmarks.learner_records import work
from benchmarks.learner_records.catalogue import SOURCES
from benchmarks.learner_records.data import load
from benchmarks.learner_records.learners import LEARNERS
from benchmarks.learner_records.store import ARCHIVES, FOLDER, MANIFEST, Store
from benchmarks.learner_records.unit import PARTS
from optuna_metasampler.builtin.catalogue import LearnerName


BUILTIN = FOLDER.parent.parent / "optuna_metasampler" / "builtin"

_ARCHIVES_OPTION = click.option(
    "--archives",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ARCHIVES,
    help="Folder of the packages in packages.txt.",
)


@click.group()
def main() -> None:
    """Records of common learners on tables that ship inside packages."""


@main.command()
@_ARCHIVES_OPTION
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where units go until they are published.",
)
@click.option("--processes", default=2, show_default=True, help="At once, of one thread each.")
@click.option("--learner", "learners", multiple=True, type=click.Choice(list(LEARNERS)))
@click.option(
    "--data-sets",
    type=click.IntRange(min=1),
    help="How many data sets, from the first in the order of work.  [default: all]",
)
def run(
    archives: Path,
    out: Path | None,
    processes: int,
    learners: tuple[str, ...],
    data_sets: int | None,
) -> None:
    """Do all units that have no record yet, with a bar and the time that is left."""
    from tqdm import tqdm

    chosen = learners or tuple(LEARNERS)
    store = Store(pending=out) if out else Store()
    units = work.plan(chosen, data_sets)
    done = store.done()
    missing = [each for each in units if each not in done]
    click.echo(f"{len(units)} units, {len(units) - len(missing)} of them were done already.")
    failures = 0
    with tqdm(total=len(missing), unit="unit", smoothing=0.05) as bar:
        for each, failure in work.run(missing, archives, store, processes):
            bar.set_postfix_str(" ".join(each))
            bar.update()
            if failure:
                failures += 1
                bar.write(f"failed: {' '.join(each)}: {failure}")
    if failures:
        raise click.ClickException(f"{failures} units failed; the same command tries them again.")


@main.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path))
def status(out: Path | None) -> None:
    """Say what is done, what it took, and what is left."""
    store = Store(pending=out) if out else Store()
    count: Counter[tuple[str, str]] = Counter()
    seconds: Counter[tuple[str, str]] = Counter()
    failures: Counter[str] = Counter()
    for record in store.read():
        key = record["learner"], record["part"]
        count[key] += 1
        seconds[key] += record["total_seconds"]
        failures[key[0]] += len(record["failures"])
    click.echo(f"Data sets of {len(SOURCES)} and seconds of one core for each:")
    left = 0.0
    for learner in LEARNERS:
        cells = []
        for part in PARTS:
            n = count[learner, part]
            mean = seconds[learner, part] / n if n else 0.0
            left += mean * (len(SOURCES) - n) / 3600
            cells.append(f"{part} {n:3} {mean:5.0f} s")
        click.echo(f"{learner:24}{'   '.join(cells)}   {failures[learner]} failures")
    click.echo(f"Left of parts that have begun: {left:.1f} hours of one core.")


@main.command()
@_ARCHIVES_OPTION
@click.option("--out", type=click.Path(file_okay=False, path_type=Path))
def publish(archives: Path, out: Path | None) -> None:
    """Pack what is done into the repository, and describe its data sets and learners."""
    store = Store(pending=out) if out else Store()
    for piece in store.publish():
        click.echo(piece)
    used = {record["data_set"] for record in store.read()}
    described = [load(s, archives).describe() for s in SOURCES if s.name in used]
    _write(store.pieces / MANIFEST, sorted(described, key=lambda each: str(each["name"])))
    _write(
        store.pieces / "learners.json", {name: each.describe() for name, each in LEARNERS.items()}
    )


@main.command()
@click.option("--learner", "names", multiple=True, type=click.Choice(list(LEARNERS)))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=BUILTIN,
    help="Where the files go.  [default: into the package]",
)
def learn(names: tuple[LearnerName, ...], out: Path) -> None:
    """Write what the package ships about learners, from the published records."""
    from tqdm import tqdm

    from benchmarks.learner_records import knowledge

    store = Store()
    described = store.manifest()
    features = {row["name"]: row["features"] for row in described}
    path = out / "origins.json"
    learned = json.loads(path.read_text())["learners"] if path.exists() else {}
    for name in tqdm(names or knowledge.SHIPPED, unit="learner"):
        checkpoint = knowledge.learn(name, store.published(name), features)
        checkpoint.write(out / f"{name}.safetensors")
        learned[name] = {
            "data_sets": sorted({record["data_set"] for record in store.published(name)}),
            "trials": checkpoint.header.n_trials,
        }
    used = {each for row in learned.values() for each in row["data_sets"]}
    columns = ("name", "kind", "package", "version", "licence", "rows", "features", "classes")
    rows = [{c: row[c] for c in columns} for row in described if row["name"] in used]
    _write(path, {"learners": learned, "data_sets": rows})


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

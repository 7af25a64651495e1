"""``optuna-metasampler explain``: what the sampler did in a study, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import sys
from typing import TYPE_CHECKING
import warnings

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
    wrong_usage,
)


if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from optuna_metasampler.explain.report import Report

_EXAMPLES = (
    "\b\nExamples:\n"
    "  optuna-metasampler explain --storage new.db --study resnet --prior old.db\n"
    "  optuna-metasampler explain --storage sqlite:///new.db --study resnet \\\n"
    "      --prior old.db --only 'resnet-*' --html report.html\n"
    "  optuna-metasampler explain --storage journal.log --study resnet --json"
)


@click.command(epilog=_EXAMPLES)
@click.option(
    "--storage",
    metavar="LOCATION",
    required=True,
    help="Where the study is: a storage URL, an SQLite file or a journal log.",
)
@click.option("--study", "name", metavar="NAME", required=True, help="Name of the study.")
@click.option(
    "--prior",
    metavar="LOCATION",
    multiple=True,
    help="The prior studies that the sampler had, as MetaSampler(prior=...) reads them; may be "
    "given more than once.",
)
@only
@rename
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write a page with plots that needs nothing else.",
)
@force
@as_json
def explain(
    storage: str,
    name: str,
    prior: tuple[str, ...],
    only: tuple[str, ...],
    rename: tuple[str, ...],
    html: Path | None,
    force: bool,
    json_: bool,
) -> None:
    """Say what the sampler did in a study, and why.

    The study may be finished or running, here or elsewhere; it is only read. What its trials keep
    of how they were chosen is told in any case. Without --prior, the model behind the rest is one
    that knows nothing of prior studies.
    """
    names = renames(rename)
    if html is not None and html.exists() and not force:
        raise click.BadParameter(
            f"{html} exists. Give another name, or --force to replace it.", param_hint="'--html'"
        )
    if only and not prior:
        raise click.BadParameter(
            "selects prior studies, but there is no --prior.", param_hint="'--only'"
        )
    with failures():
        from optuna_metasampler.priors.storages import opened

        with _called("--storage"), opened(storage) as held:
            report = _report(held, storage, name, prior, only, names)
        if html is not None:
            report.write_html(html)
    if json_:
        echo_json(report.to_dict())
        return
    click.echo(_encodable(str(report)))
    if html is not None:
        click.echo(f"\nWrote {printable(str(html))}.")


def _report(
    held: BaseStorage,
    location: str,
    name: str,
    prior: tuple[str, ...],
    only: tuple[str, ...],
    names: dict[str, str],
) -> Report:
    from difflib import get_close_matches

    import optuna

    from optuna_metasampler import MetaSampler
    from optuna_metasampler._text import listed
    from optuna_metasampler.exceptions import PriorNotFoundError, PriorWarning
    from optuna_metasampler.priors.storages import shown

    known = optuna.get_all_study_names(held)
    if name not in known:
        near = listed(map(repr, get_close_matches(name, known) or known), 8) or "none at all"
        raise PriorNotFoundError(
            f"--study asks for {name!r}, but {shown(location)} has no such study. There is {near}."
        )
    with _called("--prior"), wrong_usage("'--prior'"):
        sampler = MetaSampler(
            list(prior) or None, prior_studies=list(only) or None, rename=names, seed=0
        )
    study = optuna.load_study(study_name=name, storage=held, sampler=sampler)
    with warnings.catch_warnings():
        # The report names what is left out.
        warnings.simplefilter("ignore", PriorWarning)
        return sampler.report(study)


@contextmanager
def _called(option: str) -> Iterator[None]:
    """Errors about an argument of ``MetaSampler``, by the name that it has here."""
    from optuna_metasampler.exceptions import PriorError

    try:
        yield
    except PriorError as error:
        text = str(error).replace("`prior`", option).replace("`prior_studies`", "--only")
        raise type(error)(text) from error


def _encodable(text: str) -> str:
    """The text as far as standard output knows its characters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding, "replace")

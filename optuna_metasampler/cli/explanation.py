"""``optuna-metasampler explain``: report what the sampler did in a study, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import sys
from typing import TYPE_CHECKING, Any
import warnings

import click

from optuna_metasampler.cli.output import (
    as_json,
    echo_json,
    failures,
    fixed,
    fixed_values,
    force,
    only,
    printable,
    prior_fixed,
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
    help="Storage of the study: a URL, an SQLite file or a journal log.",
)
@click.option("--study", "name", metavar="NAME", required=True, help="Name of the study.")
@click.option(
    "--prior",
    metavar="LOCATION",
    multiple=True,
    help="Prior studies of the sampler, as in MetaSampler(prior=...); can be repeated.",
)
@only
@rename
@fixed
@prior_fixed
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write a self-contained HTML page with plots.",
)
@force
@as_json
def explain(
    storage: str,
    name: str,
    prior: tuple[str, ...],
    only: tuple[str, ...],
    rename: tuple[str, ...],
    fixed: tuple[str, ...],
    prior_fixed: tuple[str, ...],
    html: Path | None,
    force: bool,
    json_: bool,
) -> None:
    """Report what the sampler did in a study, and why.

    The study can be finished or running, on this or another machine; it is only read. How each
    trial was chosen is stored with the trial. Everything else comes from a model of the study,
    which knows the prior studies only if --prior is given.
    """
    names = renames(rename)
    here, there = fixed_values(fixed, "--fixed"), fixed_values(prior_fixed, "--prior-fixed")
    if html is not None and html.exists() and not force:
        raise click.BadParameter(
            f"{html} exists. Choose another name, or replace it with --force.",
            param_hint="'--html'",
        )
    if only and not prior:
        raise click.BadParameter(
            "selects prior studies, so it requires --prior.", param_hint="'--only'"
        )
    with failures():
        from optuna_metasampler.priors.storages import opened

        with _called("--storage"), opened(storage) as held:
            report = _report(held, storage, name, prior, only, names, here, there)
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
    here: dict[str, Any],
    there: dict[str, Any],
) -> Report:
    from difflib import get_close_matches

    import optuna

    from optuna_metasampler import MetaSampler
    from optuna_metasampler._text import listed
    from optuna_metasampler.exceptions import PriorNotFoundError, PriorWarning
    from optuna_metasampler.priors.reading import study_names
    from optuna_metasampler.priors.storages import redacted

    known = study_names(held)
    if name not in known:
        names_shown = listed(map(repr, get_close_matches(name, known) or known), 8) or "none"
        raise PriorNotFoundError(
            f"--study asks for {name!r}, but {redacted(location)} has no such study. "
            f"Studies: {names_shown}."
        )
    with _called("--prior"), wrong_usage("'--prior'"):
        sampler = MetaSampler(
            list(prior) or None,
            prior_studies=list(only) or None,
            rename=names,
            fixed=here,
            prior_fixed=there,
            seed=0,
        )
    study = optuna.load_study(study_name=name, storage=held, sampler=sampler)
    with warnings.catch_warnings():
        # The report lists the studies that are not used.
        warnings.simplefilter("ignore", PriorWarning)
        return sampler.report(study)


@contextmanager
def _called(option: str) -> Iterator[None]:
    """Name the option in place of the argument of ``MetaSampler`` in error messages."""
    from optuna_metasampler.exceptions import PriorError

    try:
        yield
    except PriorError as error:
        text = str(error).replace("`prior`", option).replace("`prior_studies`", "--only")
        raise type(error)(text) from error


def _encodable(text: str) -> str:
    """The text, with the characters replaced that standard output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding, "replace")

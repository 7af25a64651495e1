"""Options and output shared by the commands: tables of 80 columns, JSON, and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
import json
from typing import Any

import click

from optuna_metasampler._text import WIDTH as WIDTH
from optuna_metasampler._text import counted as counted
from optuna_metasampler._text import printable as printable
from optuna_metasampler._text import shortened as shortened
from optuna_metasampler._text import table as lines_of_table


as_json = click.option("--json", "json_", is_flag=True, help="Print one JSON document instead.")
"""Option of every command that prints a result."""


class Renamed(click.Option):
    """An option that goes by its former names too, which its help does not show."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """See :meth:`click.Option.get_help_record`."""
        shown = copy(self)
        shown.opts = [o for o in self.opts if o not in _FORMER]
        return click.Option.get_help_record(shown, ctx)


_FORMER = ("--only", "--to")

studies = click.option(
    "--studies",
    "--only",
    "patterns",
    cls=Renamed,
    metavar="GLOB",
    multiple=True,
    help="Only studies whose name matches; can be repeated.",
)

rename = click.option(
    "--rename",
    metavar="OLD=NEW",
    multiple=True,
    help="Name of a parameter in the prior studies, and its name here; can be repeated.",
)

prior_fixed = click.option(
    "--prior-fixed",
    metavar="NAME=VALUE",
    multiple=True,
    help="A value that prior studies held constant; can be repeated.",
)

fixed = click.option(
    "--fixed",
    metavar="NAME=VALUE",
    multiple=True,
    help="A value that the study holds constant; can be repeated.",
)

force = click.option("--force", is_flag=True, help="Replace the file if it exists.")


@contextmanager
def failures(hint: str = "") -> Iterator[None]:
    """Exit with a message and code 1, not a traceback, if something cannot be read or written.

    Args:
        hint: Text after the message.
    """
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    from optuna_metasampler.exceptions import MetaSamplerError

    try:
        yield
    except (MetaSamplerError, OptunaError, SQLAlchemyError, ImportError, OSError) as error:
        raise click.ClickException(printable(str(error) + hint, lines=True)) from error


@contextmanager
def called(prior: str, prior_studies: str = "--studies") -> Iterator[None]:
    """Name options in place of the arguments of ``MetaSampler`` in error messages.

    Args:
        prior: What the command calls ``prior``.
        prior_studies: What it calls ``prior_studies``.
    """
    from optuna_metasampler.exceptions import PriorError

    try:
        yield
    except PriorError as error:
        text = str(error).replace("`prior`", prior).replace("`prior_studies`", prior_studies)
        raise type(error)(text) from error


@contextmanager
def wrong_usage(hint: str) -> Iterator[None]:
    """Exit with a message and code 2 if the value of an option is invalid."""
    from optuna_metasampler.exceptions import MetaSamplerError

    try:
        yield
    except MetaSamplerError:
        raise
    except (TypeError, ValueError) as error:
        raise click.BadParameter(str(error), param_hint=hint) from error


def echo_json(document: object) -> None:
    """Print a JSON document."""
    click.echo(json.dumps(document, indent=2, default=str))


def table(rows: Sequence[Mapping[str, Any]], elastic: str) -> str:
    """Rows below their headings; numbers are right-aligned.

    Args:
        rows: At least one, with the same headings.
        elastic: Heading of the column that is shortened if the table is too wide.
    """
    headings = list(rows[0])
    left = [i for i, h in enumerate(headings) if not all(isinstance(r[h], int) for r in rows)]
    cells = [headings, *([str(row[h]) for h in headings] for row in rows)]
    return "\n".join(lines_of_table(cells, left, headings.index(elastic)))


def wrapped(text: str, indent: str) -> str:
    """A text in lines of at most 80 columns."""
    return click.wrap_text(printable(text), WIDTH, indent, indent + "  ")


def renames(pairs: Sequence[str]) -> dict[str, str]:
    """The mapping given by ``--rename OLD=NEW``."""
    names = {}
    for pair in pairs:
        old, separator, new = pair.partition("=")
        if not (old and separator and new):
            raise click.BadParameter(
                f"must be OLD=NEW, such as eta=lr, but got {pair!r}.", param_hint="'--rename'"
            )
        names[old] = new
    return names


def named_values(pairs: Sequence[str], option: str, example: str) -> dict[str, Any]:
    """The mapping given by ``NAME=VALUE``; values are JSON, or else strings.

    Args:
        pairs: The values of the option.
        option: Its name.
        example: One of its values.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not (name and separator):
            raise click.BadParameter(
                f"must be NAME=VALUE, such as {example}, but got {pair!r}.",
                param_hint=f"'{option}'",
            )
        try:
            values[name] = json.loads(value)
        except json.JSONDecodeError:
            values[name] = value
    return values


def fixed_values(pairs: Sequence[str], option: str) -> dict[str, Any]:
    """The mapping from parameters to values given by ``NAME=VALUE``; see :func:`named_values`."""
    values = named_values(pairs, option, "dropout=0.0")
    for name, value in values.items():
        if isinstance(value, (dict, list)):
            raise click.BadParameter(
                f"must give {name!r} one value, such as 0.0 or adam, but got {value!r}.",
                param_hint=f"'{option}'",
            )
    return values

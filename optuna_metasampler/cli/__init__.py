"""The command line, ``optuna-metasampler`` or ``python -m optuna_metasampler``.

What a command needs is imported when the command runs, so that ``--help`` answers at once. A
command ends with 0 if all is well, with 1 if something cannot be read or written, and with 2 if it
was called in a wrong way.
"""

from __future__ import annotations

from optuna_metasampler import __version__


try:
    import click
except ModuleNotFoundError as error:
    if error.name != "click":
        raise
    raise SystemExit(
        "The command line needs the package click, which is missing. Run: "
        "pip install 'optuna-metasampler[cli]'"
    ) from None

from optuna_metasampler.cli.archive import archive
from optuna_metasampler.cli.explanation import explain
from optuna_metasampler.cli.fit import fit
from optuna_metasampler.cli.imports import import_studies
from optuna_metasampler.cli.inspection import inspect
from optuna_metasampler.logging import (
    INFO,
    get_verbosity,
    set_verbosity,
    write_warnings_only,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="optuna-metasampler")
def main() -> None:
    """An Optuna sampler that starts where your earlier studies ended."""
    write_warnings_only()
    # Commands quieten Optuna, but what takes long is to be seen.
    set_verbosity(min(get_verbosity(), INFO))


for command in (archive, explain, fit, import_studies, inspect):
    main.add_command(command)

"""The command line, ``optuna-metasampler`` or ``python -m optuna_metasampler``.

Each command imports its dependencies when it runs, so that ``--help`` answers at once. Exit codes:
0 for success, 1 if something cannot be read or written, 2 for wrong usage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import logging

import click

from optuna_metasampler import __version__
from optuna_metasampler.cli.archive import archive
from optuna_metasampler.cli.builtin import builtin
from optuna_metasampler.cli.explanation import explain
from optuna_metasampler.cli.fit import fit
from optuna_metasampler.cli.imports import import_studies
from optuna_metasampler.cli.inspection import inspect


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="optuna-metasampler")
@click.pass_context
def main(context: click.Context) -> None:
    """An Optuna sampler that starts where your earlier studies ended."""
    context.with_resource(_warnings_only())


for command in (archive, builtin, explain, fit, import_studies, inspect):
    main.add_command(command)


@contextmanager
def _warnings_only() -> Iterator[None]:
    """Log warnings only, of this package and of Optuna, but draw progress bars."""
    import optuna

    from optuna_metasampler._runtime import PACKAGE

    logger, verbosity = logging.getLogger(PACKAGE), optuna.logging.get_verbosity()
    level, propagate = logger.level, logger.propagate
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(optuna.logging.create_default_formatter())
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
        logger.setLevel(level)
        logger.propagate = propagate
        logger.removeHandler(handler)

"""Options that several commands of the benchmark have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def data_option(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--data``: the folder of tables."""
    return click.option(
        "--data",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        required=required,
        help="Folder of tables; see benchmarks/README.md for its form.",
    )

"""The door to ``optuna_metasampler``, where the sampler is.

The registry of OptunaHub takes no binary files, and the sampler is more than one file: it comes
from the Python package, of which this module hands on the one name.
"""

from __future__ import annotations


try:
    from optuna_metasampler import MetaSampler
except ModuleNotFoundError as error:
    if error.name != "optuna_metasampler":
        # It is there, and something that it needs is not.
        raise
    raise ModuleNotFoundError(
        "`samplers/metasampler` needs the package `optuna-metasampler`, which is not installed. "
        "Run `pip install optuna-metasampler`.",
        name=error.name,
    ) from error


__all__ = ["MetaSampler"]

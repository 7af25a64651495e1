"""Wrapper of ``optuna_metasampler.MetaSampler`` for OptunaHub.

The sampler has too many modules for a package of the registry: it is in the Python package
``optuna-metasampler``, and this module re-exports it.
"""

from __future__ import annotations


try:
    from optuna_metasampler import MetaSampler
except ModuleNotFoundError as error:
    if error.name != "optuna_metasampler":
        # The package is installed, but one of its requirements is not.
        raise
    raise ModuleNotFoundError(
        "`samplers/metasampler` needs the package `optuna-metasampler`, which is not installed. "
        "Run `pip install optuna-metasampler`.",
        name=error.name,
    ) from error


__all__ = ["MetaSampler"]

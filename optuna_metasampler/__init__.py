"""Optuna sampler that starts where earlier studies ended."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from optuna_metasampler.checkpoint import fit as fit
    from optuna_metasampler.priors.archive import Archive as Archive
    from optuna_metasampler.priors.study import PriorFilter as PriorFilter
    from optuna_metasampler.priors.table import Table as Table
    from optuna_metasampler.pruner import MetaPruner as MetaPruner
    from optuna_metasampler.sampler import MetaSampler as MetaSampler

__all__ = ["Archive", "MetaPruner", "MetaSampler", "PriorFilter", "Table", "fit"]
__version__ = "0.1.0"

_MODULES = {
    "Archive": "priors.archive",
    "MetaPruner": "pruner",
    "MetaSampler": "sampler",
    "PriorFilter": "priors.study",
    "Table": "priors.table",
    "fit": "checkpoint",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that importing the package is cheap."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""What a record was made with."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
import platform

from benchmarks.problems.base import digest
import optuna_metasampler


@functools.cache
def versions_of(packages: tuple[str, ...] = ("torch", "scipy")) -> dict[str, str]:
    """Versions of Python, this package, what it always needs, and other distributions."""
    found = {
        "python": platform.python_version(),
        "optuna_metasampler": f"{optuna_metasampler.__version__}+{_code()}",
    }
    for package in ("optuna", "numpy", "scikit-learn", *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@functools.cache
def _code() -> str:
    """Tells states of the package's code apart that have one version number."""
    folder = Path(optuna_metasampler.__file__).parent
    return digest([path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))])

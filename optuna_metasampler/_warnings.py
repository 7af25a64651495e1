"""Warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings

from optuna_metasampler.exceptions import PriorWarning


# Between a line of the user and a warning: this package, what calls it, and decorators.
_PASSED_OVER = frozenset(
    {__name__.partition(".")[0], "optuna", "contextlib", "functools", "torch"}
)


def warn(message: str) -> None:
    """Warn of prior studies, at the nearest line that is neither this package's nor Optuna's."""
    stacklevel, frame = 1, sys._getframe()
    while (
        frame.f_back is not None
        and str(frame.f_globals.get("__name__")).partition(".")[0] in _PASSED_OVER
    ):
        stacklevel, frame = stacklevel + 1, frame.f_back
    warnings.warn(message, PriorWarning, stacklevel=stacklevel)

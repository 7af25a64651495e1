"""Errors and warnings of the package."""

from __future__ import annotations


class MetaSamplerError(Exception):
    """Base class of the errors of this package."""


class PriorError(MetaSamplerError, ValueError):
    """A source of prior studies cannot be read; the message gives a remedy."""


class PriorNotFoundError(PriorError):
    """A file, a storage or a study name given as a prior does not exist."""


class MethodError(MetaSamplerError, ValueError):
    """The requirements of a method are not met; the message lists them."""


class CheckpointError(MetaSamplerError, ValueError):
    """A checkpoint cannot be read, or does not fit; the message gives a remedy."""


class PriorWarning(UserWarning):
    """Something of prior studies is left out, or an argument about them says it in vain.

    The running study goes on. The warning points at the nearest line outside of this package and
    of Optuna.
    """

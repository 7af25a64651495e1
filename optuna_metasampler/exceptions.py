"""Errors and warnings of the package, all under one base each."""

from __future__ import annotations


class MetaSamplerError(Exception):
    """Base of every error that this package raises on its own account."""


class PriorError(MetaSamplerError, ValueError):
    """A source of prior studies cannot be read; the message says what to do."""


class PriorNotFoundError(PriorError):
    """A file, a storage or a study name given as a prior does not exist."""


class MethodError(MetaSamplerError, ValueError):
    """A method cannot work with what it was given; the message says what it needs."""


class CheckpointError(MetaSamplerError, ValueError):
    """A checkpoint cannot be read, or is of another kind; the message says what to do."""


class PriorWarning(UserWarning):
    """A prior study is left out; the running study goes on without it."""

"""What the package says on standard error, in the manner of :mod:`optuna.logging`.

The logger is called ``optuna_metasampler``, looks like Optuna's, and is as talkative as Optuna is:
``optuna.logging.set_verbosity(optuna.logging.WARNING)`` keeps both from chatting, and no progress
bar is drawn. :func:`set_verbosity` sets it apart.
"""

from __future__ import annotations

import logging
from logging import DEBUG as DEBUG
from logging import ERROR as ERROR
from logging import INFO as INFO
from logging import WARNING as WARNING
import threading

import optuna


_NAME = __name__.split(".", maxsplit=1)[0]
_lock = threading.Lock()
_handler: logging.Handler | None = None
_verbosity: int | None = None


class _Talkative(logging.Filter):
    """Lets through what the verbosity asks for, which may be Optuna's at that moment."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= get_verbosity()


# Of each module's logger: a filter of the package's own would not see their messages.
_TALKATIVE = _Talkative()


def get_logger(name: str) -> logging.Logger:
    """The logger of a module of this package, ready to be heard."""
    _configure()
    logger = logging.getLogger(name)
    logger.addFilter(_TALKATIVE)
    return logger


def get_verbosity() -> int:
    """The level below which nothing is said, such as ``logging.INFO``; Optuna's by default."""
    return optuna.logging.get_verbosity() if _verbosity is None else _verbosity


def set_verbosity(verbosity: int | None) -> None:
    """Set the level below which nothing is said, no progress bar drawn.

    Args:
        verbosity: Such as ``logging.WARNING``; ``None`` to go by Optuna's.
    """
    global _verbosity
    _verbosity = verbosity


def disable_default_handler() -> None:
    """Write nothing to standard error."""
    logging.getLogger(_NAME).removeHandler(_configure())


def enable_default_handler() -> None:
    """Write to standard error again."""
    logging.getLogger(_NAME).addHandler(_configure())


def write_warnings_only() -> None:
    """Leave out of standard error what is no warning; progress bars are drawn all the same."""
    _configure().setLevel(logging.WARNING)


def disable_propagation() -> None:
    """Keep messages from the root logger, as it is from the start."""
    _configure()
    logging.getLogger(_NAME).propagate = False


def enable_propagation() -> None:
    """Hand messages on to the root logger, whose handlers the application has set."""
    _configure()
    logging.getLogger(_NAME).propagate = True


def _configure() -> logging.Handler:
    """Give the package's logger its handler, once."""
    global _handler
    with _lock:
        if _handler is None:
            _handler = logging.StreamHandler()
            _handler.setFormatter(optuna.logging.create_default_formatter())
            logger = logging.getLogger(_NAME)
            logger.addHandler(_handler)
            # Without any handler Python's last resort would speak up.
            logger.addHandler(logging.NullHandler())
            # What is too much is for the filter to say: Optuna's verbosity may change.
            logger.setLevel(logging.DEBUG)
            logger.propagate = False
        return _handler

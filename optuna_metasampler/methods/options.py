"""Checks of methods' options: what is refused is shown, with what it may be."""

from __future__ import annotations

from collections.abc import Sequence
import math


def whole(option: str, value: object, least: int, hint: str = "") -> None:
    """Refuse an option that should be a whole number of at least ``least``.

    Args:
        option: Its name.
        value: Its value.
        least: The smallest that it may be.
        hint: What to say after the message.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(
            f"`{option}` must be a whole number, at least {least}, but got {value!r}.{hint}"
        )


def positive(option: str, value: object, hint: str = "") -> None:
    """Refuse an option that should be a finite number above 0.

    Raises:
        ValueError: If it is none.
    """
    if not (is_number(value) and float(value) > 0.0):  # type: ignore[arg-type]
        raise ValueError(f"`{option}` must be a finite number above 0, but got {value!r}.{hint}")


def non_negative(option: str, value: object) -> None:
    """Refuse an option that should be a finite number of at least 0.

    Raises:
        ValueError: If it is none.
    """
    if not (is_number(value) and float(value) >= 0.0):  # type: ignore[arg-type]
        raise ValueError(f"`{option}` must be a finite number, at least 0, but got {value!r}.")


def probability(option: str, value: object) -> None:
    """Refuse an option that should be a number in ``[0, 1]``.

    Raises:
        ValueError: If it is none.
    """
    if not (is_number(value) and 0.0 <= float(value) <= 1.0):  # type: ignore[arg-type]
        raise ValueError(f"`{option}` must be a number from 0 to 1, but got {value!r}.")


def one_of(option: str, value: object, choices: Sequence[str]) -> None:
    """Refuse an option that should be one of some strings.

    Raises:
        ValueError: If it is none of them.
    """
    if value not in choices:
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"`{option}` must be one of {listed}, but got {value!r}.")


def flag(option: str, value: object) -> None:
    """Refuse an option that should be true or false.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(value, bool):
        raise ValueError(f"`{option}` must be True or False, but got {value!r}.")


def is_number(value: object) -> bool:
    """Whether a value is a finite number; truth values are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

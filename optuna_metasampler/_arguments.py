"""Checks of arguments: what Python would silently take for something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def check_integer(
    name: str, value: object, least: int, most: int | None = None, hint: str = ""
) -> None:
    """Check an argument that counts.

    Args:
        name: Name of the argument.
        value: Its value.
        least: The smallest one allowed.
        most: The largest one allowed.
        hint: What to do instead, as a sentence.

    Raises:
        TypeError: If it is no integer; ``True`` and ``2.0`` are none.
        ValueError: If it is out of range.
    """
    hint = f" {hint}" if hint else ""
    # Integers of NumPy too.
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"`{name}` must be an integer, but got {value!r}.{hint}")
    number = value.__index__()
    if number < least or (most is not None and number > most):
        limit = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"`{name}` must be {limit}, but got {value!r}.{hint}")


def check_share(name: str, value: object) -> None:
    """Check an argument that is a probability or a share.

    Args:
        name: Name of the argument.
        value: Its value.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is not from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"`{name}` must be a number from 0 to 1, but got {value!r}.")
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"`{name}` must be from 0 to 1, but got {value!r}.")


def check_kind(name: str, value: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Check the type of an argument.

    Args:
        name: Name of the argument.
        value: Its value.
        kind: Its type.
        wanted: The type in words.

    Raises:
        TypeError: If it is of another.
    """
    if not isinstance(value, kind):
        raise TypeError(f"`{name}` must be {wanted}, but got {value!r}.")


def checked_rename(rename: Any) -> dict[str, str]:
    """The argument ``rename`` as a dictionary.

    Raises:
        TypeError: If it is no mapping of strings.
        ValueError: If two parameters would have one name.
    """
    example = "such as {'eta': 'lr'}"
    if rename is None:
        return {}
    if not isinstance(rename, Mapping):
        raise TypeError(
            f"`rename` must map names in the prior studies to names here, {example}, but got "
            f"{rename!r}."
        )
    olds: dict[str, str] = {}
    for old, new in rename.items():
        if not (isinstance(old, str) and isinstance(new, str) and old and new):
            raise TypeError(
                f"`rename` must map names to names, {example}, but got {old!r}: {new!r}."
            )
        if new in olds:
            raise ValueError(
                f"`rename` must give every parameter a name of its own, but {olds[new]!r} and "
                f"{old!r} both become {new!r}. Leave one of them out."
            )
        olds[new] = old
    return dict(rename)


def checked_values(name: str, values: Any, where: str = "") -> dict[str, Any]:
    """An argument that gives parameters values, as a dictionary; empty for ``None``.

    Args:
        name: Name of the argument.
        values: Its value.
        where: The part of the argument that this is, for messages.

    Raises:
        TypeError: If it does not map names to values of a parameter; numbers of NumPy become
            plain ones.
    """
    example = "such as {'dropout': 0.0}"
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise TypeError(
            f"`{name}`{where} must map names of parameters to values, {example}, but got "
            f"{values!r}."
        )
    checked = {}
    for parameter, value in values.items():
        if not (isinstance(parameter, str) and parameter):
            raise TypeError(
                f"`{name}`{where} must map names of parameters to values, {example}, but got "
                f"the name {parameter!r}."
            )
        plain = value.item() if isinstance(value, np.generic) else value
        if isinstance(plain, (Mapping, list, set, np.ndarray)):
            raise TypeError(
                f"`{name}`{where} must give {parameter!r} one value, such as 0.0 or 'adam', but "
                f"got {plain!r}."
            )
        checked[parameter] = plain
    return checked

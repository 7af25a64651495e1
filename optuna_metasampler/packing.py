"""Named tensors, the form in which learned things are written to files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any

import torch
from torch import Tensor


def pack(value: Any, name: str = "") -> dict[str, Tensor]:
    """All tensors in a value, by name.

    Args:
        value: A tensor or a number; or a mapping, a sequence or a dataclass of these or of others
            of its kind.
        name: The name of a tensor or a number, and a prefix of the names of others: an item is
            ``name.key``, an entry ``name.0`` and so on, a field ``name.field``.
    """
    if isinstance(value, Tensor):
        return {name: value}
    if isinstance(value, (int, float)):
        kind = torch.float64 if isinstance(value, float) else torch.int64
        return {name: torch.tensor(value, dtype=kind)}
    if is_dataclass(value):
        value = vars(value)
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    prefix = f"{name}." if name else ""
    return {k: t for key, part in items for k, t in pack(part, f"{prefix}{key}").items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def checked(tensors: Mapping[str, Tensor], name: str, *shape: int | None) -> Tensor:
    """A tensor of a checkpoint, if it has the shape that it should.

    Args:
        tensors: The checkpoint's tensors.
        name: Which of them.
        shape: Its shape; ``None`` for any length.

    Raises:
        KeyError: If it is missing.
        ValueError: If it has another shape, or holds infinite numbers or NaN.
    """
    tensor = tensors[name]
    fits = tensor.dim() == len(shape) and all(
        want is None or want == got for want, got in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        expected = tuple("any" if n is None else n for n in shape)
        raise ValueError(f"{name!r} has shape {tuple(tensor.shape)}, not {expected}")
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name!r} holds infinite numbers or NaN")
    return tensor


def checked_sequence(
    tensors: Mapping[str, Tensor], name: str, shapes: Iterable[tuple[int | None, ...]]
) -> tuple[Tensor, ...]:
    """The tensors ``name.0``, ``name.1`` and so on of the given shapes; see :func:`checked`."""
    return tuple(checked(tensors, f"{name}.{i}", *shape) for i, shape in enumerate(shapes))

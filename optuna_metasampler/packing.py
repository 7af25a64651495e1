"""What was learned as named tensors, the form in which it is written to files."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def checked(tensors: Mapping[str, Tensor], name: str, *shape: int | None) -> Tensor:
    """A tensor of a checkpoint, if it has the shape that it should.

    Args:
        tensors: The checkpoint's tensors.
        name: Which of them.
        shape: Its shape; ``None`` where any length will do.

    Raises:
        KeyError: If it is missing.
        ValueError: If it has another shape, or holds a number that is none.
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

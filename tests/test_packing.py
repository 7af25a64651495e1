"""Tensors from files, which may be anything."""

from __future__ import annotations

import pytest
import torch

from optuna_metasampler.packing import checked


TENSORS = {
    "w": torch.zeros(3, 4),
    "scalar": torch.tensor(1.0),
    "bad": torch.tensor([1.0, torch.nan]),
}


def test_a_tensor_of_the_right_shape_is_handed_out() -> None:
    assert checked(TENSORS, "w", 3, None) is TENSORS["w"]
    assert checked(TENSORS, "scalar") is TENSORS["scalar"]


@pytest.mark.parametrize("shape", [(3,), (3, 5), (None, None, None)])
def test_another_shape_is_an_error_that_shows_both(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(ValueError, match=r"'w' has shape \(3, 4\)"):
        checked(TENSORS, "w", *shape)


def test_nan_is_an_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        checked(TENSORS, "bad", 2)


def test_a_missing_tensor_is_an_error() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        checked(TENSORS, "nowhere")

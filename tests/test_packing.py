"""Tensors from files, which may be anything."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from optuna_metasampler.packing import below, checked, checked_sequence, pack


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


@dataclass(frozen=True)
class Learned:
    weights: tuple[torch.Tensor, ...]
    n_steps: int
    pull: float


def test_packed_tensors_are_named_by_fields_keys_and_places() -> None:
    w = torch.ones(2, 3)
    packed = pack({"best": w, "of": [Learned((w, w), 3, 0.5)], "none": ()})
    assert list(packed) == [
        "best",
        "of.0.weights.0",
        "of.0.weights.1",
        "of.0.n_steps",
        "of.0.pull",
    ]
    assert packed["best"] is packed["of.0.weights.1"] is w
    assert packed["of.0.n_steps"].dtype == torch.int64
    assert packed["of.0.pull"].dtype == torch.float64
    assert list(pack((w, w))) == ["0", "1"]
    assert list(pack([w], "rate")) == ["rate.0"]


def test_tensors_below_a_prefix_lose_it() -> None:
    assert list(below("a.", {"a.b.c": torch.ones(1), "ab": torch.ones(1)})) == ["b.c"]


def test_a_sequence_is_checked_tensor_by_tensor() -> None:
    packed = pack({"w": (torch.zeros(1, 2), torch.zeros(3))})
    assert len(checked_sequence(packed, "w", [(1, None), (3,)])) == 2
    with pytest.raises(ValueError, match=r"'w\.1' has shape \(3,\)"):
        checked_sequence(packed, "w", [(1, 2), (4,)])
    with pytest.raises(KeyError, match=r"w\.2"):
        checked_sequence(packed, "w", [(1, 2), (3,), (4,)])

"""Checkpoints that earlier versions wrote: they can still be read, and tensors keep their names.

Each file is of four studies of :func:`objective` with few trials, by a method with small options.
"""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from safetensors.torch import load_file
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.checkpoint import Checkpoint


FILES = sorted(Path(__file__).with_name("checkpoints").glob("*.safetensors"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def objective(trial: optuna.Trial) -> float:
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    width = trial.suggest_float("width", 1.0, 5.0)
    depth = trial.suggest_int("depth", 1, 8)
    kind = trial.suggest_categorical("kind", ["relu", "tanh", "gelu"])
    return (math.log10(lr) + 2) ** 2 + (width - 3) ** 2 + (depth - 4) ** 2 + (kind == "tanh")


def test_there_are_files_of_several_methods() -> None:
    assert {path.stem for path in FILES} == {"cluster", "mlp", "q-learning"}


@each_file
def test_an_old_checkpoint_is_read_and_packed_to_the_same_tensors(path: Path) -> None:
    checkpoint = Checkpoint.read(path)
    assert checkpoint.method.name == path.stem
    stored = load_file(path)
    packed = checkpoint.method.pack(checkpoint.learned)
    assert {f"learned.{name}" for name in packed} == set(stored) - {"best"}
    for name, tensor in packed.items():
        assert tensor.dtype == stored[f"learned.{name}"].dtype
        assert torch.equal(tensor, stored[f"learned.{name}"])


@each_file
def test_a_study_goes_on_from_an_old_checkpoint(path: Path) -> None:
    study = optuna.create_study(sampler=MetaSampler(checkpoint=path, seed=0))
    study.optimize(objective, n_trials=3)
    assert len({tuple(sorted(t.params.items())) for t in study.trials}) == 3

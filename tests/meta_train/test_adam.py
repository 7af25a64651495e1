"""Our Adam, which is PyTorch's without its compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from optuna_metasampler.meta_train.adam import Adam
from tests.tasks import generator


def test_its_steps_are_those_of_pytorch_to_the_last_bit() -> None:
    random = generator()
    start = [torch.randn(shape, generator=random) for shape in ((3, 4), (5,), ())]
    ours = [p.clone() for p in start]
    theirs = [p.clone().requires_grad_() for p in start]
    optimizer, reference = Adam(ours), torch.optim.Adam(theirs)
    for i in range(20):
        gradients = [torch.randn(p.shape, generator=random) for p in start]
        rate = 0.1 / (i + 1)
        # One that the loss does not depend on, every other step.
        given = [*gradients[:2], None if i % 2 else gradients[2]]
        optimizer.step(given, rate)
        reference.param_groups[0]["lr"] = rate
        for p, gradient in zip(theirs, given, strict=True):
            p.grad = gradient
        reference.step()
        assert all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize("method", ["auto", "mlp", "fine-tune", "deep-kernel"])
def test_suggestions_do_not_import_the_compiler_of_pytorch(method: str) -> None:
    """With prior studies, and where the method can do without them."""
    program = f"""
import sys
import optuna
from optuna.samplers import RandomSampler
from optuna_metasampler import MetaSampler

def loss(trial):
    return trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 1, 9)

old = optuna.create_study(sampler=RandomSampler(seed=0))
old.optimize(loss, n_trials=8)
options = {{"n_meta_steps": 2}} if {method!r} == "fine-tune" else {{}}
for prior in [old, None] if {method!r} in ("auto", "mlp") else [old]:
    sampler = MetaSampler(prior, method={method!r}, n_startup_trials=1, seed=0)
    study = optuna.create_study(sampler=sampler)
    for _ in range(3):
        study.optimize(loss, n_trials=1)
        assert "torch._dynamo" not in sys.modules
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)

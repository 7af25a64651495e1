"""Learning once and for all: `fit`, interrupted and resumed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_metasampler import MetaSampler, fit
from optuna_metasampler.checkpoint import Checkpoint
from optuna_metasampler.exceptions import CheckpointError, MethodError, PriorError, PriorWarning
from optuna_metasampler.meta_train.loop import Point
from optuna_metasampler.methods import METHODS
from tests.studies import random_study


def objective(trial: optuna.Trial, optimum: float) -> float:
    return (trial.suggest_float("x", 0, 1) - optimum) ** 2 + 0.1 * trial.suggest_int("n", 0, 5)


@pytest.fixture(scope="module")
def studies() -> list[optuna.Study]:
    return [
        random_study(partial(objective, optimum=0.1 if i % 2 else 0.9), 12, i, f"old-{i}")
        for i in range(6)
    ]


LIGHT: dict[str, dict[str, Any]] = {
    "mlp": {"n_meta_steps": 12},
    "fine-tune": {"n_meta_steps": 12},
    "maml": {"n_meta_steps": 12},
    "reptile": {"n_meta_steps": 12},
    "meta-sgd": {"n_meta_steps": 12},
    "imaml": {"n_meta_steps": 12},
    "meta-random-search": {"n_candidates": 2, "n_finalists": 1},
    "lstm": {"n_steps": 20, "n_rollouts": 4, "horizon": 5},
    "q-learning": {"n_steps": 16, "n_parallel": 4, "horizon": 5},
    "deep-kernel": {"n_steps": 16},
    "cluster": {"base_options": {"n_meta_steps": 12}},
}
# Those that run the loop; the others learn in one go.
TRAINED = [name for name in LIGHT if name != "meta-random-search"]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_kept_in_a_file_and_serves_a_study(
    studies: list[optuna.Study], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "model.safetensors"
    written = fit(studies, path, method=name, method_options=LIGHT.get(name), seed=3)
    assert written.header.finished
    assert bool(written.header.curve) == (name in TRAINED)
    read = Checkpoint.read(path)
    assert read.method == written.method
    running = optuna.create_study(sampler=MetaSampler(checkpoint=path, seed=0))
    running.optimize(lambda t: objective(t, 0.2), n_trials=4)
    assert len({tuple(t.params.items()) for t in running.trials}) == 4


@pytest.mark.parametrize("name", ["lstm", "q-learning", "deep-kernel", "cluster"])
def test_an_interrupted_training_resumes_to_the_very_same_file(
    studies: list[optuna.Study], tmp_path: Path, name: str
) -> None:
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    options = LIGHT[name]
    steps: list[tuple[int, int]] = []
    fit(
        studies,
        whole,
        method=name,
        method_options=options,
        watch=lambda i, n, p: steps.append((i, n)),
    )
    until = (2 * len(steps)) // 3
    calls = iter(range(len(steps)))

    def interrupt(step: int, n_steps: int, point: Point | None) -> None:
        if next(calls) == until:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(studies, broken, method=name, method_options=options, watch=interrupt)
    with pytest.raises(CheckpointError, match="not finished"):
        MetaSampler(checkpoint=broken)
    again: list[int] = []
    fit(
        studies,
        broken,
        method=name,
        method_options=options,
        resume=True,
        watch=lambda i, n, p: again.append(i),
    )
    assert len(again) < len(steps)
    assert broken.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "another seed"),
        ({"method_options": {"n_meta_steps": 13}}, "another method or other options"),
        ({"method": "reptile"}, "another method or other options"),
        ({"prior_studies": "old-1"}, "other prior studies"),
    ],
)
def test_a_training_of_something_else_is_not_resumed(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    storage = f"sqlite:///{tmp_path}/old.db"
    for i in range(3):
        old = optuna.create_study(study_name=f"old-{i}", storage=storage)
        old.optimize(lambda t: objective(t, 0.5), n_trials=4)
    arguments: dict[str, Any] = {"method": "maml", "method_options": {"n_meta_steps": 12}}

    def interrupt(step: int, n_steps: int, point: Point | None) -> None:
        if step == 6:
            raise KeyboardInterrupt

    path = tmp_path / "model.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(storage, path, watch=interrupt, **arguments)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=message):
        fit(storage, path, resume=True, **(arguments | changes))
    assert path.read_bytes() == before


def test_a_finished_file_is_left_alone_by_resuming(
    studies: list[optuna.Study], tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    fit(studies, path)
    before = path.read_bytes()
    assert fit(studies, path, resume=True).header.finished
    assert path.read_bytes() == before


def test_too_few_studies_are_an_error_and_no_file(
    studies: list[optuna.Study], tmp_path: Path
) -> None:
    with pytest.raises(MethodError, match="2 or more prior studies, but 1"):
        fit(studies[0], tmp_path / "model.safetensors", method="cluster")
    assert not list(tmp_path.iterdir())


def test_studies_that_cannot_be_used_are_named(
    studies: list[optuna.Study], tmp_path: Path
) -> None:
    empty = optuna.create_study(study_name="empty")
    with pytest.warns(PriorWarning, match="'empty'"):
        written = fit([*studies, empty], tmp_path / "model.safetensors")
    assert written.header.n_studies == 6
    with (
        pytest.warns(PriorWarning, match="'empty'"),
        pytest.raises(PriorError, match="None of 1 prior studies"),
    ):
        fit(empty, tmp_path / "other.safetensors")


def test_bare_trials_need_a_direction(studies: list[optuna.Study], tmp_path: Path) -> None:
    trials = studies[0].trials
    with pytest.raises(ValueError, match="`direction` must be"):
        fit(trials, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="'up'"):
        fit(trials, tmp_path / "model.safetensors", direction="up")
    low = fit(trials, tmp_path / "low.safetensors", direction="minimize")
    high = fit(trials, tmp_path / "high.safetensors", direction="maximize")
    decoded = [c.space.decode(c.best.numpy())[0] for c in (low, high)]
    assert decoded[0] == studies[0].best_params
    assert decoded[1] != decoded[0]
